"""What is significant in the spectra of a cube."""

import numpy as np
import pytest
from scipy.ndimage import convolve1d

from jwst_fusion.inversion.spectral import denoise_spectra, starlet, starlet_noise
from jwst_fusion.inversion.subspace import find_subspace
from jwst_fusion.observation import CubeData

N_WAVE, SHAPE = 600, (20, 18)
CHANNEL = np.arange(N_WAVE)


def lines(at, width=1.2):
    return np.exp(-0.5 * ((CHANNEL[:, None] - np.asarray(at)) / width) ** 2).sum(axis=1)


def test_planes_sum_to_the_spectra():
    spectra = np.random.default_rng(1).normal(size=(100, 7))
    planes = list(starlet(spectra, 4))
    assert len(planes) == 5
    np.testing.assert_allclose(sum(planes), spectra, atol=1e-12)


@pytest.mark.parametrize("n_channels", [3, 9, 40])
def test_scales_may_be_wider_than_the_spectra(n_channels):
    spectra = np.random.default_rng(2).normal(size=(n_channels, 2))
    np.testing.assert_allclose(sum(starlet(spectra, 6)), spectra, atol=1e-12)


def test_levels_are_those_of_white_noise():
    noise = np.random.default_rng(3).normal(size=(4000, 40))
    measured = [plane.std() for plane in list(starlet(noise, 5))[:5]]
    np.testing.assert_allclose(starlet_noise(5), measured, rtol=0.05)


def noisy(kernel=None, seed=4):
    """A bright continuum map, a faint line map on top, and the noise: each (n_wave, ny, nx)."""
    rng = np.random.default_rng(seed)
    continuum = 30 * np.linspace(1, 1.3, N_WAVE)[:, None, None] * rng.normal(size=SHAPE)
    line = lines([150, 400])[:, None, None] * 1.5 * rng.normal(size=SHAPE)
    noise = rng.normal(size=(N_WAVE, *SHAPE))
    if kernel is not None:
        kernel = np.array(kernel) / np.sqrt(np.sum(np.square(kernel)))
        for axis in (1, 2):
            noise = convolve1d(noise, kernel, axis=axis, mode="wrap")
    return continuum + line, noise


@pytest.mark.parametrize("kernel", [None, [0.25, 1.0, 0.25]])
def test_lines_stay_and_noise_between_them_goes(kernel):
    signal, noise = noisy(kernel)
    spaxels = np.ones(SHAPE, dtype=bool)
    columns = (signal + noise).reshape(N_WAVE, -1)
    columns = columns - columns.mean(axis=1, keepdims=True)
    axes = np.linalg.svd(columns, full_matrices=False)[0][:, :4]
    clean, freedom = denoise_spectra(columns, np.ones(N_WAVE), axes, spaxels)
    truth = signal.reshape(N_WAVE, -1)
    truth = truth - truth.mean(axis=1, keepdims=True)
    at_line, between = np.abs(CHANNEL - 150) < 4, (CHANNEL > 200) & (CHANNEL < 350)
    assert (clean - truth)[between].std() < 0.4
    np.testing.assert_allclose((clean - truth)[at_line].mean(), 0, atol=0.1)
    overlap = np.vdot(clean[at_line], truth[at_line]) / (truth[at_line] ** 2).sum()
    assert overlap == pytest.approx(1, abs=0.02)
    assert 20 < freedom < 0.6 * N_WAVE


def test_faint_lines_are_found_in_the_denoised_spectra_only():
    signal, noise = noisy(seed=5)
    data = 100 + signal + noise
    cube = CubeData(
        data,
        np.ones(data.shape),
        np.linspace(1.7, 2.3, N_WAVE),
        np.ones(N_WAVE),
        np.ones(SHAPE, bool),
        0.0,
        0.0,
    )
    true = np.stack([np.linspace(1, 1.3, N_WAVE), lines([150, 400])], axis=1)
    true = np.linalg.qr(true)[0]
    captured = [
        np.linalg.svd(true.T @ find_subspace(cube, n_components=2, denoise=denoise).whitened_basis)[1][1]
        for denoise in (False, True)
    ]
    assert captured[1] > 0.98
    assert captured[1] > captured[0] + 0.02
    assert find_subspace(cube).n_components == 2


def test_without_noise_nothing_is_lost():
    signal, _ = noisy()
    columns = signal.reshape(N_WAVE, -1)
    axes = np.linalg.svd(columns, full_matrices=False)[0][:, :2]
    clean, _ = denoise_spectra(columns, np.ones(N_WAVE), axes, np.ones(SHAPE, dtype=bool))
    np.testing.assert_allclose(clean, columns, atol=1e-9)
