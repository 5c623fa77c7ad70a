"""Weights of the images: their noise, and what inexact PSFs make of a structured scene."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_fusion.inversion.fuse import FusionSettings, build_problem
from jwst_fusion.inversion.subspace import find_subspace

from .field import make_field
from .test_fuse import change


@pytest.fixture(scope="module", params=[3, 2])
def field(request):
    return make_field(request.param)


def weights(observation, **settings):
    """Weights of the images on their own cells."""
    problem = build_problem(observation, find_subspace(observation.cube), FusionSettings(**settings))
    ny, nx = observation.grid.shape
    return problem.image_term.weight[:, :ny, :nx]


def test_a_psf_is_not_known_better_than_its_images_are_structured(field):
    """Weights of very good images stop to grow where the model's error begins, save where all is smooth."""
    sharper = change(field.observation, noise=1e-3)
    gains = weights(sharper) / weights(field.observation)
    assert (gains > 1).all()
    assert (np.median(gains, axis=(1, 2)) < 1e4).all()  # 1e6 is that of the stated noise
    assert (gains.max(axis=(1, 2)) > 10 * np.median(gains, axis=(1, 2))).all()
    given = {"tuning": "manual", "mu": 1.0, "gamma": 1.0}
    np.testing.assert_allclose(weights(sharper, **given) / weights(field.observation, **given), 1e6)


def test_smooth_images_have_no_model_error(field):
    flat = change(field.observation, of_image=lambda x: np.full_like(x, 3.0))
    for found, band in zip(weights(flat), flat.bands, strict=True):
        np.testing.assert_allclose(found, (band.scale / np.median(band.error)) ** 2)


def test_a_bright_star_counts_less_than_its_surroundings(field):
    def star(image):
        image = image.copy()
        image[20, 18] += 100.0
        return image

    found = weights(change(field.observation, of_image=star))
    assert (found[:, 20, 18] < 0.01 * np.median(found, axis=(1, 2))).all()


def test_holes_are_not_steps(field):
    """An unknown pixel has no weight, and does not take it from its neighbours."""
    data = [band.data.copy() for band in field.observation.bands]
    for image in data:
        image[20:23, 18:21] = np.nan
    bands = tuple(replace(b, data=d) for b, d in zip(field.observation.bands, data, strict=True))
    holed, whole = weights(replace(field.observation, bands=bands)), weights(field.observation)
    assert (holed[:, 20:23, 18:21] == 0).all()
    edge = np.zeros(holed.shape[1:], dtype=bool)
    edge[18:25, 16:23] = True
    edge[20:23, 18:21] = False
    assert holed[:, edge].mean() > 0.7 * whole[:, edge].mean()
