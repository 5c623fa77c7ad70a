"""Two cubes that see the same sky at the same wavelengths."""

import numpy as np
import pytest

from jwst_fusion.coregistration.overlaps import common_planes, measure_displacement
from jwst_fusion.observation import CubeData

SHAPE = (22, 24)


def sky(begin, *, noise=0.0, seed=0, width=0.75):
    """Sources on a slope, seen with a PSF as wide as the IFU's at 2 um [spaxels], from a place on."""
    rng = np.random.default_rng(5)
    places, fluxes = rng.uniform(-4, 28, (60, 2)), rng.lognormal(0.0, 1.0, 60)
    rows, columns = np.indices(SHAPE) + np.reshape(begin, (2, 1, 1))
    plane = 2.0 + 0.02 * rows
    for (y, x), flux in zip(places, fluxes, strict=True):
        plane += flux * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * width**2))
    return plane + noise * np.random.default_rng(seed).standard_normal(SHAPE)


@pytest.mark.parametrize("by", [(0.5, 0.5), (0.26, -0.4), (-1.37, 2.2)])
def test_a_displacement_is_found_to_a_hundredth_of_a_spaxel(by):
    """Although spaxels do not sample the PSF fully; from a start that is off by a third of a spaxel."""
    first, second = (sky(at, noise=0.005, seed=i) for i, at in enumerate([by, (0.0, 0.0)]))
    first[:, :3] = np.nan
    second[5, 7] = np.nan
    found = measure_displacement(first, second, (by[0] + 0.3, by[1] - 0.2))
    error = np.hypot(found.rows - by[0], found.columns - by[1])
    assert error < 0.01
    assert error < 4 * found.error < 0.06


def test_noise_makes_the_error_larger():
    errors = []
    for noise in (0.02, 0.2):
        first, second = (sky(at, noise=noise, seed=i, width=1.2) for i, at in enumerate([(0.3, 0.1), (0, 0)]))
        errors.append(measure_displacement(first, second, (0, 0)).error)
    assert errors[1] > 3 * errors[0]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (sky((0, 0)), np.random.default_rng(1).standard_normal(SHAPE)),
        (sky((0, 0)), np.full(SHAPE, np.nan)),
        (np.full(SHAPE, 3.0), np.full(SHAPE, 3.0)),
    ],
)
def test_images_that_are_not_alike_tell_nothing(first, second):
    assert measure_displacement(first, second, (0.0, 0.0)) is None


def cube(low, high, factor=1.0):
    wavelength = np.arange(low, high, 0.01)
    data = factor * wavelength[:, None, None] * np.ones((wavelength.size, 3, 4))
    return CubeData(
        data, np.ones_like(data), wavelength, np.ones(wavelength.size), np.ones((3, 4), bool), 0.0, 139.0
    )


def test_the_planes_are_means_over_the_wavelengths_that_both_have():
    first, second, low, high = common_planes(cube(1.0, 1.9), cube(1.6, 3.1, 2.0))
    assert (low, high) == pytest.approx((1.595, 1.895))
    np.testing.assert_allclose(first, 1.745, rtol=1e-3)
    np.testing.assert_allclose(second, 2 * 1.745, rtol=1e-3)
    assert common_planes(cube(1.0, 1.62), cube(1.6, 3.1)) is None
