"""The joint fit of the scales: one PSF of the IFU for all bands, and what missing channels may hide."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_fusion.crosscalib.scale import _Comparison, _in_words, _missed_light, _tie
from jwst_fusion.observation import BandImage, CubeData
from jwst_fusion.optics.throughput import bandpass

WAVELENGTH = np.linspace(1.66, 2.3, 200)
HALO = np.array([[1e-6, 0, 0, 0, 2e-5], [0, 4e-4, 0, 0, 0], [0, 0, 1e-8, 0, 0], [0, 0, 0, 1e-8, 0],
                 [2e-5, 0, 0, 0, 1e-3]])  # fmt: skip


def fitted(slope=0.8, pedestal=0.0, shape=(0.0, 0.0, 0.0), covariance=HALO, missed=0.0):
    """A band fitted alone: cube over image, with the shape of the PSF that it found for itself."""
    parameters = np.array([slope, pedestal, *shape])
    empty = np.zeros(0)
    return _Comparison(
        None, np.full(9, 2.0), empty, empty, empty, 3, 2.0, missed, True, parameters, covariance
    )


def test_scale_and_pedestal_are_those_of_the_image_over_the_cube():
    (found,), _ = _tie([fitted(0.8, -1.0)])
    assert found.scale == pytest.approx(1.25)
    assert found.pedestal == pytest.approx(1.25)
    assert found.pedestal_error == pytest.approx(0.02 / 0.8, rel=0.01)


def test_the_error_has_a_floor_and_what_was_missed():
    tight = np.diag([1e-12, 1e-12, 1e-8, 1e-8, 1e-3])
    (found,), _ = _tie([fitted(1.0, covariance=tight)])
    assert found.error == pytest.approx(5e-4, rel=0.01)
    (found,), _ = _tie([fitted(1.0, covariance=tight, missed=0.02)])
    assert found.error == pytest.approx(0.01, rel=0.01)


def test_a_halo_adds_a_fifth_of_what_it_takes_from_the_core():
    """The scale follows the shape by the covariance of the two over the shape's variance."""
    found, known = (_tie([fitted(1.0, shape=(0, 0, size))])[0][0].error for size in (2.0, 0.0))
    inverse = 1 / (1e-3 + 4e-4)
    common = 2.0 * inverse / (inverse + 1 / 0.5**2)
    assert np.sqrt(found**2 - known**2) == pytest.approx(0.2 * 2e-5 * inverse * common, rel=0.05)


@pytest.mark.parametrize(("size", "adopted"), [(0.5, False), (1.6, True)])
def test_a_shape_is_adopted_where_it_is_significant(size, adopted):
    """Three bands have an error of 0.06 rad^2: a wavefront of 0.1 is not significant, one of 0.32 is."""
    bands = [fitted(shape=(0.0, 0.0, 0.2 * size), covariance=HALO * 10) for _ in range(3)]
    _, shape = _tie(bands)
    assert shape.any() == adopted
    assert not adopted or shape[2] == pytest.approx(0.2 * size, rel=0.1)


def test_each_band_is_brought_to_the_common_shape():
    """One that found more halo than the others has lost flux to it: its slope falls with the shape."""
    same = [fitted(0.8, shape=(0, 0, 0.3)) for _ in range(4)]
    odd = fitted(0.8, shape=(0, 0, 0.5))
    scales, shape = _tie([*same, odd])
    assert 0.3 < shape[2] < 0.42
    assert scales[0].scale == pytest.approx(scales[1].scale)
    assert scales[-1].scale > 1.25 > scales[0].scale - 0.01
    assert scales[-1].error > 0.5e-3


def cube_and_band(lost):
    """A flat cube with a line, channels of which are lost, and a band that looks at it."""
    spectrum = np.full(200, 10.0)
    line = np.argmin(np.abs(WAVELENGTH - 1.85))
    spectrum[line - 1 : line + 2] = 60.0
    data = spectrum[:, None, None] * np.ones((4, 4))
    data[line + np.asarray(lost, dtype=int)] = np.nan
    known = np.isfinite(data[:, 0, 0])
    cube = CubeData(data, data, WAVELENGTH, np.ones(200), np.ones((4, 4), bool), 0.0, 0.0)
    weights, covered = bandpass("F182M", "B", WAVELENGTH, usable=known)
    optics = {"detector_pixel": 0.03, "image_pixel": 0.03}
    return cube, BandImage(
        "F182M", "B", None, None, 1.85, 0.0, **optics, bandpass=weights, covered_fraction=covered
    )


def test_light_in_a_lost_channel_is_that_of_the_line_beside_it():
    """A lost channel of a line hides ten times what one of the continuum does, five channels away."""
    near, far, beyond = (_missed_light(*cube_and_band([at])) for at in (0, 4, 12))
    cube, band = cube_and_band([0])
    weight = bandpass("F182M", "B", WAVELENGTH)[0][np.argmin(np.abs(WAVELENGTH - 1.85))]
    assert near == pytest.approx(weight * 50, rel=0.15)
    assert far < near / 3
    assert beyond == pytest.approx(far, rel=0.3)
    assert _missed_light(*cube_and_band([])) < 0.2 * near
    assert _missed_light(cube, replace(band, bandpass=0 * band.bandpass)) == 0


def test_the_shape_is_told_in_milliarcseconds_and_per_cent():
    words = _in_words(np.array([1e-4, -4e-4, 0.2]), 2.0)
    assert "+10 x -20 mas" in words
    assert "+5.0 % at 2.00 um" in words
