"""Images that are kept from the fit and predicted by it."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_fusion.inversion.fuse import FusionSettings, fuse
from jwst_fusion.quality.metrics import psnr

from .field import make_field

QUICK = FusionSettings(n_components=3, gamma=1.0, reweightings=0, regularization="sobolev", samples=0)


@pytest.fixture(scope="module")
def field():
    return make_field(3, spaxels=(9, 8), margin=2)


def hold_out(observation, index, **changes):
    """The observation with one image held out, and changed."""
    bands = list(observation.bands)
    bands[index] = replace(bands[index], held_out=True, **changes)
    return replace(observation, bands=tuple(bands))


@pytest.fixture(scope="module")
def held(field):
    return fuse(hold_out(field.observation, 0), QUICK)


def test_an_image_held_out_has_no_part_in_the_fit(field, held):
    image = field.observation.bands[0].data
    spoiled = fuse(hold_out(field.observation, 0, data=image * 0 + 50.0), QUICK)
    np.testing.assert_array_equal(spoiled.coefficients, held.coefficients)
    np.testing.assert_array_equal(spoiled.predicted_images, held.predicted_images)
    assert np.isnan(held.image_chi2[0])
    assert np.isfinite(held.image_chi2[1])


def test_an_image_held_out_is_predicted(field, held):
    inside = np.where(field.inside, 1.0, np.nan)
    image = field.observation.bands[0].data * inside
    used = fuse(field.observation, QUICK)
    assert 25 < psnr(image, held.predicted_images[0]) < psnr(image, used.predicted_images[0]) - 1


def test_each_image_left_out_in_turn(field):
    result = fuse(field.observation, replace(QUICK, leave_each_out=True, rtol=1e-4))
    held = fuse(hold_out(field.observation, 0), replace(QUICK, rtol=1e-4))
    left, expected = result.unseen_images[0], held.predicted_images[0]
    # The prior is that of all images in the one and of one image in the other, lengths of gradients included.
    assert (left - expected).std() < 0.05 * expected.std()
    plain = fuse(field.observation, replace(QUICK, rtol=1e-4))
    np.testing.assert_array_equal(result.coefficients, plain.coefficients)
    assert (left - plain.predicted_images[0]).std() > 0.02 * expected.std()
    assert plain.unseen_images is None
