"""What two images of one field differ by: signs, sizes, errors, and when it cannot be told."""

from dataclasses import astuple

import numpy as np
import pytest
from scipy.ndimage import affine_transform, gaussian_filter, shift

from jwst_fusion.coregistration.comparison import Comparison, common, compare_images, mismatch

D, CELL = 3, 0.0333
JACOBIAN = CELL * np.array([[-0.8, 0.6], [0.6, 0.8]])  # (east, north) for a step along x and y
SPAXEL = slice(1, None, D)


def scene(seed=0):
    """A smooth random sky on cells."""
    rng = np.random.default_rng(seed)
    return 10 + gaussian_filter(rng.normal(size=(90, 96)), 4) * 40


def compared(sharp, noise=0.0, scale=1.0, pedestal=0.0, sky=None):
    """Comparison of an image on cells with the sky on spaxels."""
    blunt = scale * (scene() if sky is None else sky)[SPAXEL, SPAXEL] + pedestal
    blunt = blunt + np.random.default_rng(1).normal(scale=noise, size=blunt.shape)
    margin = np.full_like(sharp, np.nan)
    margin[6:-6, 6:-6] = sharp[6:-6, 6:-6]
    return compare_images(margin, blunt, D, JACOBIAN)


def moved(cells):
    """The sky moved by cells (x, y)."""
    return shift(scene(), cells[::-1], order=5, mode="nearest")


def turned(angle, factor=1.0):
    """The sky turned from the x to the y axis about its middle [deg], and magnified."""
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    matrix = np.array([[cosine, -sine], [sine, cosine]]) / factor  # of (y, x): back to where it was
    middle = (np.array(scene().shape) - 1) / 2
    return affine_transform(scene(), matrix, middle - matrix @ middle, order=5, mode="nearest")


@pytest.mark.parametrize(
    ("cells", "scale", "pedestal"), [((0.0, 0.0), 1.0, 0.0), ((0.5, -0.4), 0.8, 5.0), ((0.0, 0.6), 1.0, 0.0)]
)
def test_shift_is_found_with_its_sign(cells, scale, pedestal):
    found = compared(moved(cells), scale=scale, pedestal=pedestal)
    np.testing.assert_allclose((found.east, found.north), JACOBIAN @ cells, atol=0.002)
    assert found.correlation > 0.99
    assert abs(found.roll) < 0.1
    assert abs(found.magnification) < 0.002


@pytest.mark.parametrize(("angle", "factor"), [(1.0, 1.0), (0.0, 1.01), (-0.5, 0.99)])
def test_roll_and_magnification_are_found_with_their_signs(angle, factor):
    found = compared(turned(angle, factor), noise=0.01)
    # On the sky x goes from north to the west: what turns from x to y turns through east.
    assert np.linalg.det(JACOBIAN) < 0
    assert found.roll == pytest.approx(angle, abs=0.1)
    assert found.magnification == pytest.approx(factor - 1, abs=0.002)
    assert 0 < found.roll_error < 0.1
    assert 0 < found.magnification_error < 0.002
    assert np.hypot(found.east, found.north) < 0.001


def test_blur_of_the_cube_beyond_the_images_is_found():
    sigma = 1.0  # cells
    found = compared(scene(), sky=gaussian_filter(scene(), sigma))
    assert found.blur == pytest.approx((sigma * CELL) ** 2, rel=0.1)
    assert compared(gaussian_filter(scene(), sigma)).blur == pytest.approx(-((sigma * CELL) ** 2), rel=0.15)


def test_change_of_a_source_is_found_and_no_change_is_none():
    assert compared(scene(), noise=0.05).change == 0
    bright = scene()
    rows, columns = np.indices(bright.shape)
    bright += 10 * np.exp(-0.5 * ((rows - 46) ** 2 + (columns - 40) ** 2) / 2.0**2)
    found = compared(bright, noise=0.05)
    assert found.change > 0.2
    assert abs(found.roll) < 0.3
    assert abs(found.magnification) < 0.005


def test_an_image_of_another_band_is_found_and_noise_alone_is_none():
    first, second = scene(), scene() + 0.1 * scene(3)
    own, other = first[SPAXEL, SPAXEL], second[SPAXEL, SPAXEL]
    noisy = own + np.random.default_rng(1).normal(scale=0.1, size=own.shape)
    assert mismatch(first, own, other[np.newaxis], 0.0, D) < 0.1
    assert mismatch(second, own, other[np.newaxis], 0.0, D) > 10
    # A band that is noisier than another with the same sky fits less well for no fault.
    assert mismatch(first, noisy, own[np.newaxis], 0.0, D) > 3
    assert mismatch(first, noisy, own[np.newaxis], 0.1, D) == pytest.approx(1.0, abs=0.1)


def test_no_other_band_or_no_image_is_no_mismatch():
    own = scene()[SPAXEL, SPAXEL]
    assert np.isnan(mismatch(scene(), own, np.empty((0, *own.shape)), 0.1, D))
    assert np.isnan(mismatch(np.full_like(scene(), np.nan), own, own[np.newaxis], 0.1, D))


def test_error_is_that_of_the_noise():
    found = compared(scene(), noise=0.5)
    assert 0 < found.shift_error < 0.01
    assert np.hypot(found.east, found.north) < 4 * found.shift_error
    assert compared(scene(), noise=1.0).shift_error == pytest.approx(2 * found.shift_error, rel=0.1)


def test_images_of_different_skies_do_not_correlate():
    assert abs(compare_images(scene(0), scene(9)[SPAXEL, SPAXEL], D, JACOBIAN).correlation) < 0.5


@pytest.mark.parametrize("sharp", [np.full((90, 96), np.nan), np.ones((90, 96))])
def test_nothing_is_measured_on_nothing(sharp):
    assert np.isnan(astuple(compare_images(sharp, scene()[SPAXEL, SPAXEL], D, JACOBIAN))).all()


def test_outliers_do_not_pull():
    """A twentieth of the spaxels is ten times as bright: the robust weights have to converge."""
    sky = scene()
    bad = np.zeros_like(sky)
    places = np.random.default_rng(4).random(sky[SPAXEL, SPAXEL].shape) < 0.05
    bad[SPAXEL, SPAXEL][places] = 300.0
    found = compared(moved((0.5, 0.0)), sky=sky + bad, noise=0.05)
    np.testing.assert_allclose((found.east, found.north), JACOBIAN @ (0.5, 0.0), atol=0.003)


def test_a_common_departure_has_the_error_of_its_scatter():
    values = [1.0, 1.5, 2.0, 2.5]
    bands = [Comparison(roll=v, roll_error=0.1) for v in values]
    mean, error = common([*bands, Comparison()], "roll")
    assert mean == pytest.approx(1.75)
    assert error == pytest.approx(np.std(values, ddof=1) / 2, rel=1e-6)
    assert common(bands[:1], "roll") == pytest.approx((1.0, 0.1))
    assert np.isnan(common([Comparison()], "roll")).all()
