"""Tests of the pupil and its autocorrelation."""

import numpy as np
import pytest

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.optics.pupil import (
    Autocorrelation,
    autocorrelation,
    evaluate,
    pupil_amplitude,
    pupil_autocorrelation,
)


@pytest.mark.parametrize("spacing", [0.0064, 0.02])
def test_amplitude_is_a_grey_pupil(spacing):
    amplitude = pupil_amplitude(spacing=spacing)
    assert amplitude.shape == (2 * int(np.ceil(3.301732 / spacing)),) * 2
    assert amplitude.min() >= 0
    assert amplitude.max() <= 1
    assert amplitude.sum() * spacing**2 == pytest.approx(25.779, rel=2e-4)
    middle = amplitude.shape[0] // 2
    assert amplitude[-int(1.3 / spacing) :, middle].max() < 1e-3  # strut 3 shades +V3
    assert amplitude[: int(1.3 / spacing), middle].max() > 0.9  # and nothing -V3


def test_amplitude_rejects_a_bad_spacing():
    with pytest.raises(ParameterError, match="spacing"):
        pupil_amplitude(spacing=0.0)


def test_autocorrelation_of_a_square():
    square = np.zeros((40, 40))
    square[10:30, 10:30] = 1
    result = autocorrelation(square, 0.1)
    v2, v3 = np.array([0.0, 0.7, -1.3, 1.0, 2.5]), np.array([0.0, 0.4, 0.9, -1.1, 0.0])
    expected = np.clip(1 - abs(v2) / 2, 0, None) * np.clip(1 - abs(v3) / 2, 0, None)
    np.testing.assert_allclose(evaluate(result, v2, v3), expected, atol=2e-6)


def test_autocorrelation_matches_direct_sums():
    spacing = 2e-3
    amplitude = pupil_amplitude(spacing=spacing)
    n = amplitude.shape[0]
    rng = np.random.default_rng(5)
    lags = rng.integers(0, n, (20, 2)) * [1, 1]
    direct = [np.vdot(amplitude[j:, i:], amplitude[: n - j, : n - i]) / amplitude.sum() for j, i in lags]
    values = evaluate(pupil_autocorrelation(), lags[:, 1] * spacing, lags[:, 0] * spacing)
    np.testing.assert_allclose(values, direct, atol=1e-4)


def test_autocorrelation_is_even_and_cached():
    pupil = pupil_autocorrelation()
    assert pupil is pupil_autocorrelation()
    assert isinstance(pupil, Autocorrelation)
    v2, v3 = np.random.default_rng(6).uniform(-7, 7, (2, 1000))
    values = evaluate(pupil, v2, v3)
    np.testing.assert_allclose(values, evaluate(pupil, -v2, -v3), atol=1e-6)
    assert evaluate(pupil, np.zeros(1), np.zeros(1)) == 1
    assert not values[np.hypot(v2, v3) > 6.61].any()
    assert values.min() >= 0
    assert values.max() <= 1
