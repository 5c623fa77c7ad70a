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


@pytest.mark.parametrize("lines", [0.0, 300.0])
def test_smooth_noise_to_three_per_cent(lines):
    noise, ratio = channel_noise(cube(SMOOTH, lines=lines), stated(SMOOTH, 1.4), FOOTPRINT)
    np.testing.assert_allclose(noise, SMOOTH, rtol=0.03)
    assert ratio == pytest.approx(1.4, rel=0.02)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_no_stated_errors(value):
    noise, ratio = channel_noise(cube(SMOOTH, lines=300.0), np.full((N_WAVE, *SHAPE), value), FOOTPRINT)
    np.testing.assert_allclose(noise, SMOOTH, rtol=0.03)
    assert np.isnan(ratio)


def test_channels_without_stated_errors_take_those_of_their_neighbours():
    errors = stated(SMOOTH, 1.4)
    errors[[0, 100, 101, 299]] = np.nan
    errors[200] = 0.0
    noise, _ = channel_noise(cube(SMOOTH), errors, FOOTPRINT)
    np.testing.assert_allclose(noise, SMOOTH, rtol=0.03)


def test_dead_channels_have_none():
    data = cube(SMOOTH)
    dead = [0, 50, 51, 120, 299]
    data[dead] = np.nan
    noise, _ = channel_noise(data, stated(SMOOTH), FOOTPRINT)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(noise)), dead)
    alive = np.isfinite(noise)
    np.testing.assert_allclose(noise[alive], SMOOTH[alive], rtol=0.03)


def test_channels_alone_between_dead_ones_are_known():
    data = cube(SMOOTH)
    data[100:110:2] = np.nan
    noise, _ = channel_noise(data, stated(SMOOTH), FOOTPRINT)
    assert np.isfinite(noise[101:109:2]).all()


def test_only_the_footprint_counts():
    data = cube(SMOOTH)
    data[:, :6] *= 1e4
    seen = FOOTPRINT.copy()
    seen[:6] = False
    noise, _ = channel_noise(data, stated(SMOOTH), seen)
    np.testing.assert_allclose(noise, SMOOTH, rtol=0.04)


def test_scattered_bad_voxels_and_outliers_do_not_matter():
    data = cube(SMOOTH)
    rng = np.random.default_rng(3)
    data[rng.random(data.shape) < 0.05] = np.nan
    data[rng.random(data.shape) < 0.005] = 1e5
    noise, _ = channel_noise(data, stated(SMOOTH), FOOTPRINT)
    np.testing.assert_allclose(noise, SMOOTH, rtol=0.04)


def test_a_cube_without_noise_has_the_stated_one():
    data = np.ones((N_WAVE, *SHAPE))
    noise, ratio = channel_noise(data, stated(SMOOTH), FOOTPRINT)
    np.testing.assert_array_equal(noise, SMOOTH)
    assert np.isnan(ratio)
