"""What is left of an offset: sign, size, error, and when it cannot be told."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from jwst_fusion.quality.registration import measure_shift

D, CELL = 3, 0.0333
JACOBIAN = CELL * np.array([[-0.8, 0.6], [0.6, 0.8]])  # (east, north) for a step along x and y
SPAXEL = slice(1, None, D)


def scene(seed=0):
    """A smooth random sky on cells."""
    rng = np.random.default_rng(seed)
    return 10 + gaussian_filter(rng.normal(size=(90, 96)), 4) * 40


def measured(cells, noise=0.0, scale=1.0, pedestal=0.0):
    """Shift found between a sky moved by cells (x, y), and the sky on spaxels."""
    sky = scene()
    sharp = shift(sky, cells[::-1], order=5, mode="nearest")
    blunt = scale * sky[SPAXEL, SPAXEL] + pedestal
    blunt = blunt + np.random.default_rng(1).normal(scale=noise, size=blunt.shape)
    margin = np.full_like(sharp, np.nan)
    margin[6:-6, 6:-6] = sharp[6:-6, 6:-6]
    return measure_shift(margin, blunt, D, JACOBIAN)


@pytest.mark.parametrize("cells", [(0.0, 0.0), (0.5, 0.0), (0.0, -0.4), (0.6, 0.3)])
@pytest.mark.parametrize(("scale", "pedestal"), [(1.0, 0.0), (0.8, 5.0)])
def test_shift_is_found_with_its_sign(cells, scale, pedestal):
    east, north, _, correlation = measured(cells, scale=scale, pedestal=pedestal)
    np.testing.assert_allclose((east, north), JACOBIAN @ cells, atol=0.002)
    assert correlation > 0.99


def test_error_is_that_of_the_noise():
    found = np.array([measured((0.0, 0.0), noise=0.5)[:3]])
    assert 0 < found[0, 2] < 0.01
    assert (np.abs(found[:, :2]) < 4 * found[:, 2:]).all()
    assert measured((0.0, 0.0), noise=1.0)[2] == pytest.approx(2 * found[0, 2], rel=0.1)


def test_shift_of_a_spaxel_is_far_from_zero():
    east, north, _, _ = measured((3.0, 0.0))
    assert np.hypot(east, north) > 0.04


def test_images_of_different_skies_do_not_correlate():
    found = measure_shift(scene(0), scene(9)[SPAXEL, SPAXEL], D, JACOBIAN)
    assert abs(found[3]) < 0.5


@pytest.mark.parametrize("sharp", [np.full((90, 96), np.nan), np.ones((90, 96))])
def test_nothing_is_measured_on_nothing(sharp):
    assert np.isnan(measure_shift(sharp, scene()[SPAXEL, SPAXEL], D, JACOBIAN)).all()
