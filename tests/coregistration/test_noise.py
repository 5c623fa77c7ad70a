"""The noise of a cube's channels."""

import numpy as np
import pytest

from jwst_fusion.coregistration.noise import channel_noise

N_WAVE, SHAPE = 300, (24, 22)
CHANNEL = np.arange(N_WAVE)
FOOTPRINT = np.ones(SHAPE, dtype=bool)
SMOOTH = 0.3 * (1 + 0.2 * (CHANNEL / N_WAVE - 0.4) ** 2)


def cube(sigma, seed=0, lines=0.0):
    """A smooth spectrum that varies over the field, with noise and narrow lines."""
    rng = np.random.default_rng(seed)
    field = 1 + rng.random(SHAPE)
    spectrum = 5 + 2 * np.sin(CHANNEL / 60)
    for at in (40, 43, 151, 220):
        spectrum = spectrum + lines * np.exp(-0.5 * ((CHANNEL - at) / 1.0) ** 2)
    data = spectrum[:, None, None] * field
    return data + sigma[:, None, None] * rng.normal(size=data.shape)


def stated(sigma, factor=1.0):
    return np.broadcast_to(sigma[:, None, None] / factor, (N_WAVE, *SHAPE)).copy()


@pytest.mark.parametrize("lines", [0.0, 300.0])
def test_known_noise_is_recovered_whatever_the_stated_level(lines):
    # The stated errors hold the change from channel to channel, but are too small.
    sigma = SMOOTH * np.random.default_rng(1).uniform(0.6, 1.5, N_WAVE)
    noise, ratio = channel_noise(cube(sigma, lines=lines), stated(sigma, 1.4), FOOTPRINT)
    np.testing.assert_allclose(noise, sigma, rtol=0.03)
    assert ratio == pytest.approx(1.4, rel=0.02)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_no_stated_errors(value):
    noise, ratio = channel_noise(cube(SMOOTH, lines=300.0), np.full((N_WAVE, *SHAPE), value), FOOTPRINT)
    np.testing.assert_allclose(noise, SMOOTH, rtol=0.03)
    assert np.isnan(ratio)


def test_what_is_missing_or_wrong_does_not_matter():
    """Channels without stated errors or data, bad voxels, outliers, and what lies outside the footprint."""
    data, errors, rng = cube(SMOOTH), stated(SMOOTH, 1.4), np.random.default_rng(3)
    errors[[0, 100, 101, 299]] = np.nan
    errors[200] = 0.0
    data[rng.random(data.shape) < 0.05] = np.nan
    data[rng.random(data.shape) < 0.005] = 1e5
    data[:, :6] *= 1e4
    dead = [1, 50, 51, 120, 151, 153, 155, 298]
    data[dead] = np.nan
    poor = rng.random(SHAPE) < 0.6
    data[30, poor] = np.nan
    seen = FOOTPRINT.copy()
    seen[:6] = False
    noise, _ = channel_noise(data, errors, seen)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(noise)), sorted([*dead, 30]))
    alive = np.isfinite(noise)
    np.testing.assert_allclose(noise[alive], SMOOTH[alive], rtol=0.05)


def test_a_cube_without_noise_has_the_stated_one():
    data = np.ones((N_WAVE, *SHAPE))
    noise, ratio = channel_noise(data, stated(SMOOTH), FOOTPRINT)
    np.testing.assert_array_equal(noise, SMOOTH)
    assert np.isnan(ratio)
