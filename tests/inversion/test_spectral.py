"""What is significant in the spectra of a cube."""

import numpy as np
import pytest
from scipy.ndimage import convolve1d

from jwst_fusion.inversion.spectral import denoise_spectra, shared_noise, starlet, starlet_noise
from jwst_fusion.inversion.subspace import find_subspace
from jwst_fusion.observation import CubeData

N_WAVE, SHAPE = 600, (20, 18)
CHANNEL = np.arange(N_WAVE)
EVERYWHERE = np.ones(SHAPE, dtype=bool)
DRIZZLE = [0.25, 1.0, 0.25]


def lines(at, width=1.2):
    return np.exp(-0.5 * ((CHANNEL[:, None] - np.asarray(at)) / width) ** 2).sum(axis=1)


@pytest.mark.parametrize("n_channels", [3, 9, 100])
def test_planes_sum_to_the_spectra(n_channels):
    spectra = np.random.default_rng(1).normal(size=(n_channels, 7))
    planes = list(starlet(spectra, 6))
    assert len(planes) == 7
    np.testing.assert_allclose(sum(planes), spectra, atol=1e-12)


def test_levels_are_those_of_white_noise():
    noise = np.random.default_rng(3).normal(size=(4000, 40))
    measured = [plane.std() for plane in list(starlet(noise, 5))[:5]]
    np.testing.assert_allclose(starlet_noise(5), measured, rtol=0.05)


def noise_of(seed, kernel=None, shape=(N_WAVE, *SHAPE)):
    """Noise of unit variance, white or shared between neighbouring spaxels."""
    noise = np.random.default_rng(seed).normal(size=shape)
    if kernel is not None:
        kernel = np.array(kernel) / np.sqrt(np.sum(np.square(kernel)))
        for axis in (1, 2):
            noise = convolve1d(noise, kernel, axis=axis, mode="wrap")
    return noise


def signal_of(seed=4, line=1.5):
    """A bright continuum map and a faint line map on top, (n_wave, ny, nx)."""
    rng = np.random.default_rng(seed)
    continuum = 30 * np.linspace(1, 1.3, N_WAVE)[:, None, None] * rng.normal(size=SHAPE)
    return continuum + lines([150, 400])[:, None, None] * line * rng.normal(size=SHAPE)


def columns_of(cube):
    columns = cube.reshape(N_WAVE, -1)
    return columns - columns.mean(axis=1, keepdims=True)


@pytest.mark.parametrize("kernel", [None, DRIZZLE])
def test_shared_noise_is_measured(kernel):
    """The variance of sums over spaxels, and the sum of squared correlations."""
    noise = noise_of(6, kernel, (2000, *SHAPE))
    variance, spread = shared_noise(noise.reshape(2000, -1), EVERYWHERE)
    assert variance == pytest.approx(noise.sum(axis=(1, 2)).var() / noise[0].size, rel=0.15)
    correlation = np.corrcoef(noise.reshape(2000, -1)[:, SHAPE[1] * 10 + 9], noise.reshape(2000, -1).T)[0, 1:]
    assert spread == pytest.approx((correlation[np.abs(correlation) > 0.1] ** 2).sum(), rel=0.15)


@pytest.mark.parametrize("kernel", [None, DRIZZLE])
def test_lines_stay_and_noise_between_them_goes(kernel):
    truth = columns_of(signal_of())
    columns = truth + columns_of(noise_of(14, kernel))
    axes = np.linalg.svd(columns, full_matrices=False)[0][:, :4]
    clean, freedom = denoise_spectra(columns, np.ones(N_WAVE), axes, EVERYWHERE)
    at_line, between = np.abs(CHANNEL - 150) < 4, (CHANNEL > 200) & (CHANNEL < 350)
    # the smooth rest is that of 2^6 channels, of which a tenth of the noise's standard deviation is left
    assert (clean - truth)[between].std() < 0.3
    overlap = np.vdot(clean[at_line], truth[at_line]) / (truth[at_line] ** 2).sum()
    assert overlap == pytest.approx(1, abs=0.02)
    wings = (np.abs(CHANNEL - 150) < 9) & ~at_line
    assert np.abs((clean - truth)[wings].mean(axis=1)).max() < 0.1
    assert 20 < freedom < 0.35 * N_WAVE


def test_noise_that_jumps_from_channel_to_channel_leaves_no_structure():
    """Spectra over a noise that alternates are still smooth."""
    noise = np.where(CHANNEL % 2, 1.0, 3.0)
    truth = columns_of(signal_of(line=0.0))
    columns = truth / noise[:, None]
    axes = np.linalg.svd(columns, full_matrices=False)[0][:, :1]
    clean, freedom = denoise_spectra(columns + columns_of(noise_of(8)), noise, axes, EVERYWHERE)
    assert np.abs((clean * noise[:, None] - truth)[100:-100]).std() < 0.5
    assert freedom < 0.2 * N_WAVE


def test_faint_lines_are_found_in_the_denoised_spectra_only():
    data = 100 + signal_of(5) + noise_of(15)
    wavelength = np.linspace(1.7, 2.3, N_WAVE)
    cube = CubeData(data, np.ones(data.shape), wavelength, np.ones(N_WAVE), EVERYWHERE, 0.0, 0.0)
    true = np.linalg.qr(np.stack([np.linspace(1, 1.3, N_WAVE), lines([150, 400])], axis=1))[0]
    plain, denoised = (
        np.linalg.svd(true.T @ find_subspace(cube, n_components=2, denoise=denoise).whitened_basis)[1][1]
        for denoise in (False, True)
    )
    assert denoised > 0.98
    assert denoised > plain + 0.02
    assert find_subspace(cube).n_components == 2


def test_without_noise_nothing_is_lost():
    columns = signal_of().reshape(N_WAVE, -1)
    axes = np.linalg.svd(columns, full_matrices=False)[0][:, :2]
    clean, _ = denoise_spectra(columns, np.ones(N_WAVE), axes, EVERYWHERE)
    np.testing.assert_allclose(clean, columns, atol=1e-9)
