"""The channels of several gratings as one axis."""

import numpy as np
import pytest

from jwst_fusion.inversion.wavelengths import join_channels
from jwst_fusion.observation import channel_edges

BLUE, RED = np.arange(1.0, 1.9, 0.00235), np.arange(1.66, 3.1, 0.00396)
NOISES = [np.full(BLUE.size, 0.3), np.full(RED.size, 0.2)]


def test_channels_ascend_and_those_outside_the_overlap_are_as_they_were():
    joined = join_channels([BLUE, RED], NOISES)
    assert (np.diff(joined.wavelength) > 0.001).all()
    assert (joined.wavelength[0], joined.wavelength[-1]) == (BLUE[0], RED[-1])
    assert set(joined.wavelength) == set(BLUE[BLUE < RED[0]]) | set(RED)
    rng = np.random.default_rng(0)
    blue, red = rng.standard_normal(BLUE.size), rng.standard_normal((RED.size, 3))
    found = joined.combine([np.stack([blue] * 3, axis=1), red])
    np.testing.assert_array_equal(found[: (BLUE < RED[0] - 0.004).sum(), 0], blue[BLUE < RED[0] - 0.004])
    np.testing.assert_array_equal(found[joined.wavelength > 1.91], red[RED > 1.91])


def test_the_overlap_is_the_mean_by_inverse_variance():
    joined = join_channels([BLUE, RED], NOISES)
    both = (joined.weights > 0).all(axis=0)
    assert joined.wavelength[both] == pytest.approx(RED[: both.sum()])
    assert joined.wavelength[both][-1] > 1.89
    np.testing.assert_allclose(joined.weights.sum(axis=0), 1.0)
    rng = np.random.default_rng(1)
    draws = [noise[:, None] * rng.standard_normal((noise.size, 4000)) for noise in NOISES]
    scatter = joined.combine(draws).std(axis=1)
    np.testing.assert_allclose(scatter, joined.noise, rtol=0.06)
    assert (joined.noise[both] < 0.2).all()
    expected = 1 / np.sqrt(1 / 0.2**2 + 1 / (0.3**2 * 0.00235 / 0.00396))
    assert np.median(joined.noise[both]) == pytest.approx(expected, rel=0.15)


def test_flux_is_conserved():
    """A slope stays as it is, and a line of both gratings has the light that it had."""
    joined = join_channels([BLUE, RED], NOISES)
    np.testing.assert_allclose(joined.combine([BLUE, RED]), joined.wavelength, atol=2e-4)
    line = [np.exp(-(((each - 1.77) / 0.006) ** 2) / 2) for each in (BLUE, RED)]
    width = np.diff(channel_edges(joined.wavelength))
    light = joined.combine(line) @ width
    assert light == pytest.approx(0.006 * np.sqrt(2 * np.pi), rel=2e-3)


def test_channels_without_data_leave_the_other_grating():
    noises = [each.copy() for each in NOISES]
    dead = (RED > 1.75) & (RED < 1.80)
    noises[1][dead] = np.nan
    noises[0][10] = np.nan
    joined = join_channels([BLUE, RED], noises)
    values = [np.where(np.isfinite(noises[0]), 1.0, np.nan), np.where(dead, np.nan, 2.0)]
    found = joined.combine(values)
    within = np.isin(joined.wavelength, RED[dead])
    assert within.sum() == dead.sum()
    np.testing.assert_allclose(found[within], 1.0)
    assert list(np.flatnonzero(np.isnan(joined.noise))) == [10]
    assert joined.sources(10)[0][0] == 0


def test_a_grating_within_another_and_one_apart():
    inner = np.arange(1.2, 1.5, 0.00235)
    far = np.arange(4.0, 4.5, 0.00665)
    joined = join_channels([inner, BLUE, far], [np.full(each.size, 0.1) for each in (inner, BLUE, far)])
    assert (np.diff(joined.wavelength) > 0).all()
    assert (joined.weights[2] > 0).sum() == far.size
    ones = joined.combine([np.ones(each.size) for each in (inner, BLUE, far)])
    np.testing.assert_allclose(ones, 1.0)
