"""The cube's spectra in few bits."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_fusion.quality.diagnosis import Diagnosis, quantise_spectra, rescaled, restore_spectra

N_WAVE, K = 90, 3


@pytest.fixture
def cube():
    """Departures from the mean, basis and noise, with holes and a dead channel."""
    rng = np.random.default_rng(6)
    basis = rng.normal(size=(N_WAVE, K))
    noise = rng.uniform(0.5, 2.0, N_WAVE)
    departure = np.tensordot(basis, 1e4 * rng.normal(size=(K, 5, 6)), axes=1)
    departure += noise[:, None, None] * rng.normal(size=departure.shape)
    departure[3, 2, 2] += 1000  # a line that no component carries
    noise[10], departure[10] = np.nan, np.nan
    departure[:, 0, 0] = np.nan
    departure[20:25, 1, 1] = np.nan
    return departure, basis, noise


def kept(cube, **options):
    spectra, step, coefficients, averaged = quantise_spectra(*cube, **options)
    return Diagnosis(
        spectra=spectra, spectra_step=step, spectra_coefficients=coefficients, channels_averaged=averaged
    )


def test_spectra_come_back_within_an_eighth_of_the_noise(cube):
    departure, basis, noise = cube
    mean = np.linspace(1, 2, N_WAVE)
    restored = restore_spectra(kept(cube), mean, basis)
    np.testing.assert_array_equal(np.isfinite(restored), np.isfinite(departure))
    off = np.abs(restored - mean[:, None, None] - departure) / noise[:, None, None]
    assert np.nanmax(off) < 1 / 8 + 0.002


def test_many_voxels_are_averaged_along_wavelength(cube):
    departure, basis, noise = cube
    diagnosis = kept(cube, max_voxels=int(np.isfinite(departure).sum()) // 3 + 1)
    assert diagnosis.channels_averaged == 3
    assert diagnosis.spectra.shape == (30, 5, 6)
    restored = restore_spectra(diagnosis, np.zeros(N_WAVE), basis)
    assert restored.shape == departure.shape
    difference = (restored - departure)[:, 4, 4] / noise
    assert np.nanstd(difference) < 1.1


def test_flux_scale_of_nircam_is_that_of_the_scaled_components(cube):
    _, basis, _ = cube
    mean, factor = np.linspace(1, 2, N_WAVE), np.linspace(1.05, 1.15, N_WAVE)
    images = np.ones((1, 15, 18))
    bandpasses = np.full((1, N_WAVE), 1 / N_WAVE)
    found = replace(kept(cube), images=images, predicted=images, matched=images, bandpasses=bandpasses)
    scaled = rescaled(found, factor)
    np.testing.assert_allclose(
        restore_spectra(scaled, factor * mean, factor[:, None] * basis),
        factor[:, None, None] * restore_spectra(found, mean, basis),
        rtol=1e-5,
    )
    np.testing.assert_allclose(scaled.images, 1.1, rtol=1e-6)
