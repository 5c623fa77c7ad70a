"""Errors by inexact PSFs: 2.5 % of an image's structure on the scale of 0.1", and 10 % of the cube's."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from jwst_fusion.inversion.psf_errors import cube_weight_loss, ifu_error, model_errors

from .test_regularization import SHAPE, SPAXELS, D, observation_of, subspace_of, wave

CELL = 0.03


def left(period, pixel):
    """Rms of a wave of unit amplitude less itself blurred by 0.1" [period in pixels]."""
    return (1 - np.exp(-2 * (np.pi * 0.1 / (period * pixel)) ** 2)) / np.sqrt(2)


@pytest.mark.parametrize("period", [4, 12])
def test_the_error_of_an_image_is_a_share_of_its_structure(period):
    (found,) = model_errors(observation_of(5 * wave(period, SHAPE)))
    assert found[20:-20, 20:-20].mean() == pytest.approx(5 * 0.025 * left(period, CELL), rel=0.05)


def test_a_measured_error_takes_the_place_of_the_assumed_one():
    observation = observation_of(wave(6, SHAPE))
    (band,) = observation.bands
    measured = replace(observation, bands=(replace(band, optics=SimpleNamespace(psf_error=0.1)),))
    np.testing.assert_allclose(model_errors(measured)[0], 4 * model_errors(observation)[0])


def test_the_error_is_about_the_star_and_nowhere_else():
    star = np.full(SHAPE, 7.0)
    star[40, 40] += 100.0
    star[60, 60] = np.nan
    (found,) = model_errors(observation_of(star))
    assert found[40, 40] > 0.5
    assert found[40, 47] < 0.1 * found[40, 40]
    assert found[40, 60:].max() < 1e-6
    assert (found[58:63, 58:63] < 1e-6).all()  # a hole is no step


@pytest.mark.parametrize("period", [3, 5])
def test_the_error_of_the_cube_is_a_larger_share(period):
    plane = 3 * wave(period)
    assert ifu_error(plane, 0.1)[8:-8, 8:-8].mean() == pytest.approx(3 * 0.1 * left(period, 0.1), rel=0.06)


def test_weights_are_lost_by_the_covariance_of_the_error():
    """``1 - L = (1 + C)^-1`` in the direction that changes; none is lost in others."""
    direction = np.array([0.6, 0.8])
    amplitude, spaxel = 40.0, CELL * D
    cube = subspace_of(direction[:, None, None] * amplitude * wave(4))
    loss = cube_weight_loss(observation_of(), cube)[..., 8:-8, 8:-8].mean(axis=(-2, -1))
    covariance = (0.1 * amplitude * left(4, spaxel)) ** 2
    assert direction @ loss @ direction == pytest.approx(covariance / (1 + covariance), rel=0.05)
    across = np.array([-0.8, 0.6])
    assert abs(across @ loss @ across) < 1e-9
    unknown = replace(cube, spaxels=np.zeros(SPAXELS, dtype=bool))
    assert not cube_weight_loss(observation_of(), unknown).any()
