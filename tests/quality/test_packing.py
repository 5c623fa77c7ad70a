"""Arrays in few bytes: nothing is lost but what is below the step."""

import numpy as np
import pytest

from jwst_fusion.quality.packing import factor_errors, pack, unpack


@pytest.mark.parametrize("span", [1.0, 300.0, 1e5, 1e8])
def test_values_come_back_within_half_a_step(span):
    values = np.random.default_rng(0).uniform(-span, span, size=(3, 40))
    packed = pack(values, 0.5)
    assert unpack(packed).shape == (3, 40)
    assert np.abs(unpack(packed) - values).max() <= 0.5 * packed["step"] * (1 + 1e-9)
    assert packed["step"] == max(0.5, np.abs(values).max() / 2**29)


def test_unknown_values_stay_unknown_and_extremes_are_kept():
    values = np.array([np.nan, 0.0, -1.0, 1.0, np.inf, 1e6])
    back = unpack(pack(values, 1.0))
    np.testing.assert_array_equal(back, [np.nan, 0.0, -1.0, 1.0, np.nan, 1e6])


@pytest.mark.parametrize("values", [np.full(4, np.nan), np.zeros((0, 3)), np.zeros(5)])
@pytest.mark.parametrize("step", [0.1, np.nan, 0.0])
def test_nothing_and_zeros(values, step):
    np.testing.assert_array_equal(unpack(pack(values, step)), values)


def test_noise_takes_the_bits_of_its_entropy():
    steps = np.random.default_rng(1).normal(scale=8.0, size=100_000)
    size = len(pack(steps, 1.0)["data"]) * 6 / steps.size
    assert size < 1.1 * np.log2(8.0 * np.sqrt(2 * np.pi * np.e)) + 0.2


def cube_of_errors(rank):
    rng = np.random.default_rng(2)
    inside = np.ones((20, 20), dtype=bool)
    inside[:4] = False
    alive = np.ones(50, dtype=bool)
    alive[10:13] = False
    # errors over five decades from channel to channel
    errors = np.tensordot(rng.uniform(1, 2, size=(50, rank)), rng.uniform(1, 2, size=(rank, 20, 20)), axes=1)
    errors *= np.logspace(0, 5, 50)[:, np.newaxis, np.newaxis]
    errors[~alive] = np.nan
    errors[:, ~inside] = np.nan
    return errors.astype(np.float32), inside, alive


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_errors_are_rebuilt_from_their_factors(rank):
    errors, inside, alive = cube_of_errors(rank)
    spectra, maps = factor_errors(errors, inside, alive)
    assert spectra.shape[1] <= rank
    rebuilt = np.tensordot(spectra, maps, axes=1)
    ratio = (rebuilt / errors)[alive][:, inside]
    assert np.median(np.abs(ratio - 1)) < 0.02
    assert np.abs(ratio - 1).max() < 0.3
    assert np.isnan(maps[:, ~inside]).all()
    assert (spectra[~alive] == 0).all()


def test_errors_of_nothing():
    errors, inside, alive = cube_of_errors(1)
    spectra, maps = factor_errors(errors, np.zeros_like(inside), alive)
    assert (spectra == 0).all()
    assert np.isnan(maps).all()
