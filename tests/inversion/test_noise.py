"""Noise that neighbouring pixels share."""

import numpy as np
import pytest

from jwst_fusion.inversion.noise import correlated_noise, cube_noise_transfer, image_noise_transfer
from jwst_fusion.inversion.subspace import Subspace
from jwst_fusion.observation import BandImage

SHAPE = (24, 30)


def autocorrelation(transfer, shape=SHAPE):
    return np.fft.irfft2(transfer**2, s=shape)


def test_drawn_noise_has_unit_variance_and_the_stated_correlation():
    kernel = np.zeros(SHAPE)
    kernel[0, 0], kernel[0, [1, -1]], kernel[[1, -1], 0] = 1.0, 0.3, 0.1
    transfer = np.sqrt(np.fft.rfft2(kernel).real)
    noise = correlated_noise(np.random.default_rng(1), (400, *SHAPE), transfer)
    for (dy, dx), expected in {(0, 0): 1.0, (0, 1): 0.3, (1, 0): 0.1, (1, 1): 0.0, (0, 2): 0.0}.items():
        assert (noise * np.roll(noise, (dy, dx), (1, 2))).mean() == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("share", [0.0, 0.35])
def test_correlation_of_a_cubes_noise_is_measured_outside_its_components(share):
    """On a rotated field with a hole, whatever the scene is."""
    rng = np.random.default_rng(2)
    n_wave, (my, mx) = 600, (26, 24)
    white = rng.standard_normal((n_wave, my + 2, mx + 2))
    along_y = white[:, 1:-1] + share * (white[:, 2:] + white[:, :-2])
    noise = along_y[..., 1:-1] + share * (along_y[..., 2:] + along_y[..., :-2])
    noise /= 1 + 2 * share**2
    y, x = np.mgrid[:my, :mx]
    spaxels = (abs(y - 13 + (x - 12) / 2) < 11) & (abs(x - 12 - (y - 13) / 2) < 11)
    spaxels[10:13, 9:12] = False
    basis = np.linalg.qr(rng.standard_normal((n_wave, 2)))[0]
    scene = np.stack([1000 * np.exp(-((x - 12) ** 2 + (y - 13) ** 2) / 8), 30.0 * x])
    whitened = np.where(spaxels, np.tensordot(basis, scene, axes=1) + noise, 0.0)
    subspace = Subspace(np.zeros(n_wave), basis, whitened, spaxels, np.ones(n_wave), np.ones(2), 1.0)
    found = autocorrelation(cube_noise_transfer(subspace, (30, 30)), (30, 30))
    one = np.array([1.0, 2 * share / (1 + 2 * share**2), share**2 / (1 + 2 * share**2)])
    taper = 1 - np.arange(3) / 5
    np.testing.assert_allclose(found[:3, :3], np.multiply.outer(one * taper, one * taper), atol=0.02)


@pytest.mark.parametrize("pixfrac", [1.0, 0.5])
def test_noise_of_an_image_is_shared_as_its_drizzle_says(pixfrac):
    """Against drops of white noise that fall on the pixels of an image at random phases."""
    rng = np.random.default_rng(3)
    n, covariance = 12, np.zeros(3)
    for _ in range(400):
        centre = np.arange(n) + rng.random()
        edges = np.arange(n + 1)[:, np.newaxis]
        inside = np.clip(edges, centre - pixfrac / 2, centre + pixfrac / 2)
        overlap = np.diff(inside, axis=0) / pixfrac  # of each drop (columns) with each pixel
        covariance += [np.diagonal((overlap @ overlap.T)[3:-3, 3:-3], lag).mean() for lag in range(3)]
    image = np.zeros(SHAPE)
    band = BandImage("F210M", "A", image, image + 1, 2.0, 0.0, detector_pixel=0.03, image_pixel=0.03,
                     pixfrac=pixfrac)  # fmt: skip
    found = autocorrelation(image_noise_transfer(band, 0.03, SHAPE))
    np.testing.assert_allclose(found[0, :3], covariance / covariance[0], atol=0.03)
    np.testing.assert_allclose(found[:3, 0], covariance / covariance[0], atol=0.03)
