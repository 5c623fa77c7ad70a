"""Tests of PSF images and their measures."""

import numpy as np
import pytest

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.optics.psf import encircled_energy, fwhm, psf_image

SIGMA = 0.05


def gaussian_otf(wavelength, east, north):
    """OTF of a round Gaussian."""
    return np.exp(-2 * (np.pi * SIGMA) ** 2 * (east**2 + north**2))


@pytest.mark.parametrize(("shape", "cell"), [((64, 64), 0.02), ((65, 50), 0.02), ((30, 41), 0.04)])
def test_gaussian(shape, cell):
    psf = psf_image(gaussian_otf, 2.0, shape, cell)
    assert psf.shape == shape
    assert psf.sum() == pytest.approx(1)
    assert np.unravel_index(psf.argmax(), shape) == (shape[0] // 2, shape[1] // 2)
    assert fwhm(psf, cell) == pytest.approx(SIGMA * np.sqrt(8 * np.log(2)), rel=2e-3)
    radius, tolerance = np.array([0.05, 0.1, 0.2]), 0.15 * (cell / SIGMA) ** 2  # of samples at the centres
    expected = 1 - np.exp(-0.5 * (radius / SIGMA) ** 2)
    np.testing.assert_allclose(encircled_energy(psf, cell, radius), expected, atol=tolerance)
    assert encircled_energy(psf, cell, 0.1) == pytest.approx(expected[1], abs=tolerance)


def test_an_image_that_is_no_psf_is_rejected():
    with pytest.raises(ParameterError, match="half maximum"):
        fwhm(np.ones((10, 10)), 0.1)
    with pytest.raises(ParameterError, match="finite"):
        fwhm(np.full((10, 10), np.nan), 0.1)


def test_the_width_is_the_mean_over_position_angles():
    """Of an ellipse twice as long as wide, between the two; half of the peak is where it is measured."""
    y, x = (np.indices((101, 101)) - 50) * 0.01
    ellipse = np.exp(-0.5 * ((x / 0.1) ** 2 + (y / 0.05) ** 2))
    angle = np.linspace(0, np.pi, 200)
    r = np.linspace(0.05, 0.15, 2001)[:, None]
    mean = np.exp(-0.5 * r**2 * ((np.cos(angle) / 0.1) ** 2 + (np.sin(angle) / 0.05) ** 2)).mean(axis=1)
    assert fwhm(ellipse, 0.01) == pytest.approx(2 * r[np.argmin(np.abs(mean - 0.5)), 0], rel=0.01)
