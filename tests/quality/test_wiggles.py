"""Wiggles of single-spaxel spectra: found with their amplitude, and not where there is noise alone."""

import numpy as np
import pytest

from jwst_fusion.quality.wiggles import wiggle_amplitude

N_WAVE = 1200
LEVEL, NOISE = 100.0, 3.0


def found(amplitude, period=80.0, level=LEVEL):
    rng = np.random.default_rng(3)
    phase = rng.uniform(0, 2 * np.pi, size=(1, 10, 10))
    waves = amplitude * level * np.sin(2 * np.pi * np.arange(N_WAVE)[:, None, None] / period + phase)
    residual = waves + rng.normal(scale=NOISE, size=(N_WAVE, 10, 10))
    noise = np.full(N_WAVE, NOISE)
    noise[:5] = np.nan
    return wiggle_amplitude(residual, noise, np.full(residual.shape, level) + residual)


@pytest.mark.parametrize("amplitude", [0.03, 0.1, 0.3])
def test_amplitude_is_the_root_mean_square_over_the_brightness(amplitude):
    assert found(amplitude) == pytest.approx(amplitude / np.sqrt(2), rel=0.1)


def test_noise_alone_does_not_wiggle():
    assert found(0.0) < 0.003


def test_dark_spaxels_and_short_spectra_are_not_judged():
    assert np.isnan(found(0.1, level=-1.0))
    assert np.isnan(wiggle_amplitude(np.ones((20, 2, 2)), np.ones(20), np.ones((20, 2, 2))))
