"""Tests of PSF images and their measures."""

import numpy as np
import pytest

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.optics.psf import encircled_energy, fwhm, psf_image

SIGMA = 0.05


def gaussian_otf(wavelength, east, north):
    """OTF of a round Gaussian."""
    return np.exp(-2 * (np.pi * SIGMA) ** 2 * (east**2 + north**2))


@pytest.mark.parametrize("shape", [(64, 64), (65, 50), (30, 41)])
@pytest.mark.parametrize("cell", [0.02, 0.04])
def test_gaussian(shape, cell):
    psf = psf_image(gaussian_otf, 2.0, shape, cell)
    assert psf.shape == shape
    assert psf.sum() == pytest.approx(1)
    assert np.unravel_index(psf.argmax(), shape) == (shape[0] // 2, shape[1] // 2)
    assert fwhm(psf, cell) == pytest.approx(SIGMA * np.sqrt(8 * np.log(2)), rel=5e-3)
    radius = np.array([0.05, 0.1, 0.2])
    expected = 1 - np.exp(-0.5 * (radius / SIGMA) ** 2)
    np.testing.assert_allclose(encircled_energy(psf, cell, radius), expected, atol=0.025)
    assert encircled_energy(psf, cell, 0.1) == pytest.approx(expected[1], abs=0.025)


def test_an_image_that_is_no_psf_is_rejected():
    with pytest.raises(ParameterError, match="half maximum"):
        fwhm(np.ones((10, 10)), 0.1)
    with pytest.raises(ParameterError, match="finite"):
        fwhm(np.full((10, 10), np.nan), 0.1)
