"""The figures of merit of a fused cube, on an observation made through the package's own optics."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_fusion.inversion.fuse import FusionSettings, fuse, seen_by_ifu
from jwst_fusion.quality.metrics import psnr, ssim
from jwst_fusion.quality.validation import mean_spectra, validate

from ..inversion.field import make_field

SETTINGS = FusionSettings(n_components=4, gamma=1.0, reweightings=0, samples=0)


@pytest.fixture(scope="module")
def field():
    return make_field(3, spaxels=(9, 8), margin=2)


@pytest.fixture(scope="module")
def result(field):
    return fuse(field.observation, SETTINGS)


def validated(observation, result):
    """Compare a fused cube with its data."""
    return validate(observation, result, seen_by_ifu(observation, result))


@pytest.fixture(scope="module")
def validation(field, result):
    return validated(field.observation, result)


def test_bands_are_compared_inside_the_footprint(field, result, validation):
    for f, band in enumerate(field.observation.bands):
        image = np.where(field.inside, band.data, np.nan)
        predicted = result.predicted_images[f]
        assert validation.scores[f].psnr == pytest.approx(psnr(image, predicted))
        assert validation.scores[f].ssim == pytest.approx(ssim(image, predicted))
        residual = (image - predicted)[field.inside] / 0.01
        assert validation.scores[f].chi2 == pytest.approx(np.mean(residual**2))


def test_the_cube_through_the_ifu_is_the_cube(field, result):
    cube = field.observation.cube
    seen = seen_by_ifu(field.observation, result)
    assert seen.shape == cube.data.shape
    residual = (seen - cube.data)[:, cube.footprint]
    assert residual.std() < 1.3 * 0.05
    # The centre of a spaxel is where it should be: half a cell off is seen at once.
    moved = replace(result, coefficients=np.roll(result.coefficients, 1, axis=2))
    off = (seen_by_ifu(field.observation, moved) - cube.data)[:, cube.footprint]
    assert off.std() > 1.3 * residual.std()


def test_the_mean_spectrum_agrees(field, validation):
    alive = np.isfinite(validation.relative_error)
    assert alive.all()
    # Of a field so small a part of the light comes from sky that nobody has seen.
    assert np.median(np.abs(validation.relative_error)) < 1e-2
    seen = field.observation.cube.data[:, field.observation.cube.footprint].mean(axis=1)
    np.testing.assert_allclose(validation.cube_mean, seen, rtol=1e-6)


def test_means_are_over_what_both_know():
    cube, fused = np.ones((2, 2, 2)), np.full((2, 2, 2), 1.1)
    cube[0, 0, 0], fused[0, 0, 1] = np.nan, np.nan
    cube[1] = np.nan
    cube_mean, fused_mean, relative = mean_spectra(cube, fused)
    np.testing.assert_allclose([cube_mean[0], fused_mean[0], relative[0]], [1.0, 1.1, 0.1])
    assert np.isnan([cube_mean[1], fused_mean[1], relative[1]]).all()


def test_the_table_and_its_summary(field, validation):
    table = validation.table().splitlines()
    assert [line.split()[0] for line in table[2:-1]] == [band.filter for band in field.observation.bands]
    summary = validation.summary()
    assert summary["psnr_min"] == min(score.psnr for score in validation.scores)
    assert summary["held_out"] == "none"
    assert np.isnan(summary["psnr_unseen"])
    assert summary["chi2_images"] == pytest.approx(np.mean([score.chi2 for score in validation.scores]))
    assert summary["spectrum_error"] == np.median(np.abs(validation.relative_error))


def test_a_band_held_out_is_told_from_the_others(field):
    bands = (replace(field.observation.bands[0], held_out=True), *field.observation.bands[1:])
    observation = replace(field.observation, bands=bands)
    validation = validated(observation, fuse(observation, SETTINGS))
    summary = validation.summary()
    assert summary["held_out"] == bands[0].filter
    assert summary["psnr_unseen"] == validation.scores[0].psnr
    assert summary["psnr_min"] == min(score.psnr for score in validation.scores[1:])
    assert "held out" in validation.table().splitlines()[2]


def test_each_band_left_out_is_predicted_worse(field):
    result = fuse(field.observation, replace(SETTINGS, leave_each_out=True))
    validation = validated(field.observation, result)
    assert all(u.psnr < s.psnr for u, s in zip(validation.unseen, validation.scores, strict=True))
    assert validation.summary()["held_out"] == "each"
    assert "unseen: PSNR" in validation.table()
