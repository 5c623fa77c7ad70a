"""Seams: how fused cubes of several gratings agree where they meet, and the error of that."""

from types import SimpleNamespace

import numpy as np
import pytest

from jwst_fusion.quality.seams import measure_seams
from tests.crosscalib.test_sets import SHAPE, seen

CELLS = (3 * SHAPE[0], 3 * SHAPE[1])


def fused(index, observation, rng, *, factor=1.0, noise=0.0, error=0.0, tilt=0.0):
    """
    A fused cube with one component: its spectra with noise, and coefficients with an error common to all.

    A tilt is what the component has over the mean spectrum: coefficients that are wrong change the light.
    """
    wavelength = observation.cube.wavelength
    spectrum = 10.0 * wavelength
    basis = 0.1 * spectrum[:, np.newaxis] * (1 + tilt)
    rows = np.indices(CELLS)[0] / CELLS[0]
    draws = error * np.ones((1, 1, *CELLS)) * np.array([-1.0, 1.0])[:, None, None, None]
    result = SimpleNamespace(
        mean_spectrum=factor * (spectrum + noise * rng.standard_normal(wavelength.size)),
        basis=factor * basis, coefficients=rows[np.newaxis] - rows.mean(),
        mean_noise=np.full(wavelength.size, noise), draws=draws,
    )  # fmt: skip
    return SimpleNamespace(members=(index,), observation=observation, result=result)


def seam(seed=0, **options):
    """The seam of two gratings; options of the second."""
    rng = np.random.default_rng(seed)
    cubes = [seen(1.0, 1.9, seed=1), seen(1.6, 3.1, seed=2)]
    noise = options.get("noise", 0.0)
    pair = [fused(0, cubes[0], rng, noise=noise, error=options.get("error", 0.0)),
            fused(1, cubes[1], rng, **options)]  # fmt: skip
    (found,) = measure_seams(cubes, pair)
    return found


def test_a_jump_is_measured():
    found = seam(factor=1 / 1.02)
    assert found.fused == pytest.approx(0.02, abs=1e-4)
    assert abs(found.cubes) < 4 * found.cubes_err
    assert (found.low, found.high) == pytest.approx((1.6, 1.9), abs=0.01)


def test_the_error_is_that_of_repeated_noise():
    found = [seam(seed, noise=0.5) for seed in range(60)]
    pulls = np.array([each.fused / each.fused_err for each in found])
    assert pulls.std() == pytest.approx(1.0, abs=0.3)


def test_what_both_have_in_common_makes_no_error():
    """Wrong coefficients change both fused cubes alike, unless they make another spectrum of them."""
    assert seam(error=0.5).fused_err < 1e-3
    assert seam(error=0.5, tilt=0.4).fused_err == pytest.approx(0.5 * 0.1 * 0.4, rel=0.05)


def test_two_pointings_have_one_fused_cube_and_the_seam_is_that_of_the_cubes():
    cubes = [seen(1.0, 1.9, seed=1), seen(1.0, 1.9, 1.03, seed=2)]
    one = fused(0, cubes[0], np.random.default_rng(0))
    one.members = (0, 1)
    (found,) = measure_seams(cubes, [one])
    assert (found.fused, found.fused_err) == (found.cubes, found.cubes_err)
    assert found.cubes == pytest.approx(1 / 1.03 - 1, abs=4 * found.cubes_err)
