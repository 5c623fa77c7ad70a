"""Flux scales of several cubes: overlaps, bands, and cubes that contradict the others."""

import numpy as np
import pytest

from jwst_fusion.crosscalib.sets import _onto_one_scale, hold_out_of_set, overlap
from jwst_fusion.exceptions import InputError, ParameterError
from jwst_fusion.observation import BandImage, CubeData, FusionGrid, Observation

SHAPE = (12, 12)


def seen(low, high, factor=1.0, bands=(), seed=0, shift=(0.0, 0.0), spaxels=slice(None)):
    """A cube of a scene with a gradient and a slope along wavelength, times a factor, with 1 % of noise."""
    rng = np.random.default_rng(seed)
    wavelength = np.arange(low, high, 0.005)
    rows, columns = np.indices(SHAPE)
    plane = 10.0 + 0.3 * (rows + shift[0] / 3) + 0.2 * (columns + shift[1] / 3)
    data = factor * wavelength[:, None, None] * plane
    data = data * (1 + 0.01 * rng.standard_normal(data.shape))
    footprint = np.zeros(SHAPE, dtype=bool)
    footprint[:, spaxels] = True
    data[:, ~footprint] = np.nan
    noise = np.full(wavelength.size, 0.1)
    cube = CubeData(data, np.full_like(data, 0.1), wavelength, noise, footprint, 0.0, 139.0, shift=shift)
    images = [
        BandImage(name, "B", np.ones((36, 36)), np.ones((36, 36)), 2.0, 0.0, 0.031, 0.031,
                  scale=scale, scale_err=0.002, covered_fraction=1.0, bandpass=np.ones(wavelength.size))
        for name, scale in bands
    ]  # fmt: skip
    return Observation(FusionGrid((36, 36), 3, np.diag([-0.0333, 0.0333])), cube, tuple(images))


def test_overlap_is_the_ratio_of_the_fluxes():
    found = overlap(seen(1.0, 1.9, 1.03, seed=1), seen(1.6, 3.1, 0.98, seed=2, shift=(0.7, -1.2)))
    assert found.ratio == pytest.approx(1.03 / 0.98, abs=4 * found.error)
    assert found.error < 0.003
    assert (found.low, found.high) == pytest.approx((1.6, 1.9), abs=0.01)


def test_cubes_that_share_nothing_are_not_compared():
    assert overlap(seen(1.0, 1.5), seen(1.6, 3.1)) is None
    assert overlap(seen(1.0, 1.9, spaxels=slice(0, 6)), seen(1.6, 3.1, spaxels=slice(6, 12))) is None


def test_holes_do_not_change_the_ratio():
    """A channel lost in half of the spaxels of one cube."""
    a, b = seen(1.0, 1.9, 1.03, seed=1), seen(1.6, 3.1, seed=2)
    a.cube.data[-5, :, :6] = np.nan
    found = overlap(a, b)
    assert found.ratio == pytest.approx(1.03, abs=4 * found.error)


def test_factors_come_from_overlaps_and_bands():
    """The bands have factors of their own; those of the cubes have a mean of one, and bring them together."""
    cubes = [
        seen(1.0, 1.9, 1.02, [("F115W", 1.10 / 1.02)], seed=1),
        seen(1.6, 3.1, 0.97, [("F200W", 1.05 / 0.97)], seed=2),
    ]
    kept, scaled, fluxes = _onto_one_scale(cubes, ["a", "b"])
    assert kept == [0, 1]
    assert fluxes[0].factor / fluxes[1].factor == pytest.approx(1.02 / 0.97, abs=0.003)
    assert fluxes[0].factor * fluxes[1].factor == pytest.approx(1.0, abs=1e-5)
    mean = np.sqrt(1.02 * 0.97)
    assert [o.bands[0].scale * mean for o in scaled] == pytest.approx([1.10, 1.05], abs=0.003)
    assert overlap(*scaled).ratio == pytest.approx(1.0, abs=0.002)
    noise = [o.cube.noise[0] * f.factor for o, f in zip(scaled, fluxes, strict=True)]
    assert noise == pytest.approx([0.1, 0.1])


def test_a_band_that_two_cubes_see_ties_them():
    """Without common wavelengths of both, but an image that both see."""
    cubes = [
        seen(1.0, 1.5, 1.02, [("F150W", 1.10 / 1.02)], seed=1),
        seen(1.6, 3.1, 0.98, [("F150W", 1.10 / 0.98)], seed=2),
    ]
    _, _, fluxes = _onto_one_scale(cubes, ["a", "b"])
    assert fluxes[0].factor / fluxes[1].factor == pytest.approx(1.02 / 0.98, abs=0.003)


def test_a_cube_whose_flux_contradicts_the_others_is_left_out(caplog):
    cubes = [
        seen(1.0, 1.9, 1.0, [("F115W", 1.1)], seed=1),
        seen(1.6, 3.1, 1.0, [("F200W", 1.1)], seed=2),
        seen(1.6, 3.1, 1.6, [("F200W", 1.1 / 1.6)], seed=3),
    ]
    kept, scaled, _ = _onto_one_scale(cubes, ["a", "b", "c"])
    assert kept == [0, 1]
    assert len(scaled) == 2
    assert "c left out: its flux is 1.60 times that of the other cubes" in caplog.text


def test_two_cubes_that_contradict_each_other_are_refused():
    cubes = [seen(1.0, 1.9, 1.0, [("F115W", 1.1)]), seen(1.6, 3.1, 2.0, [("F200W", 0.55)], seed=2)]
    with pytest.raises(InputError, match="a, b: their fluxes contradict each other"):
        _onto_one_scale(cubes, ["a", "b"])


def test_bands_are_held_out_of_the_cubes_that_have_them():
    cubes = [
        seen(1.0, 1.9, bands=[("F115W", 1.1), ("F150W", 1.1)]),
        seen(1.6, 3.1, bands=[("F200W", 1.1)]),
    ]
    held = hold_out_of_set(cubes, ["f150w"])
    assert [[b.held_out for b in o.bands] for o in held] == [[False, True], [False]]
    with pytest.raises(ParameterError, match="F444W not among the bands"):
        hold_out_of_set(cubes, ["F444W"])
    with pytest.raises(ParameterError, match="leave at least one"):
        hold_out_of_set(cubes, ["F200W"])
