"""Errors and quality flags of the fused cube."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_fusion import scratch
from jwst_fusion.adapters.fused import cube_errors, fused_quality, seen_by_a_band
from jwst_fusion.datamodels import flags
from jwst_fusion.inversion.fuse import FusionSettings, fuse

from ..inversion.field import make_field


@pytest.fixture(scope="module")
def observation():
    observation = make_field(3, spaxels=(9, 8), margin=2).observation
    box = tuple(
        slice(*np.flatnonzero(observation.cube.footprint.any(axis=a))[[0, -1]] + [0, 1]) for a in (1, 0)
    )
    return replace(observation, grid=replace(observation.grid, field=box))


@pytest.fixture(scope="module")
def result(observation):
    return fuse(observation, FusionSettings(samples=4))


@pytest.fixture
def cells(observation):
    return tuple(slice(3 * at.start, 3 * at.stop) for at in observation.grid.field)


@pytest.fixture
def inside(cells):
    return np.ones([at.stop - at.start for at in cells], dtype=bool)


def test_channels_without_a_band_are_flagged(observation, result, cells, inside):
    seen = seen_by_a_band(observation)
    wavelength = observation.cube.wavelength
    assert seen[(wavelength > 1.78) & (wavelength < 1.9)].all()
    assert not seen[wavelength < 1.70].any()
    dq = fused_quality(observation, result, cells, inside)
    assert ((dq & flags.UNSEEN) != 0)[~seen].all()
    assert not ((dq & flags.UNSEEN) != 0)[seen].any()
    held = [replace(band, held_out=band is observation.bands[0]) for band in observation.bands]
    assert seen_by_a_band(replace(observation, bands=tuple(held))).sum() < seen.sum()


def test_holes_of_either_instrument_are_flagged(observation, result, cells, inside):
    data = observation.cube.data.copy()
    data[5, observation.grid.field[0].start + 2, observation.grid.field[1].start + 3] = np.nan
    bands = []
    for band in observation.bands:
        image = band.data.copy()
        image[cells[0].start + 12, cells[1].start + 1] = np.nan
        bands.append(replace(band, data=image))
    holed = replace(observation, cube=replace(observation.cube, data=data), bands=tuple(bands))
    dq = fused_quality(holed, result, cells, inside)
    marked = (dq & flags.INTERPOLATED) != 0
    assert marked[5, 6:9, 9:12].all()
    assert marked[:, 12, 1].all()
    assert marked[5].sum() == 10
    assert marked[6].sum() == 1


def test_dead_channels_and_the_outside_are_not_to_be_used(observation, result, cells, inside):
    noise = observation.cube.noise.copy()
    noise[7] = np.nan
    dead = replace(observation, cube=replace(observation.cube, noise=noise))
    inside[0] = False
    dq = fused_quality(dead, result, cells, inside)
    assert (dq[7] & flags.DO_NOT_USE).all()
    assert (dq[:, 0] == flags.DO_NOT_USE | flags.NON_SCIENCE).all()
    assert not (dq[6, 1:] & flags.DO_NOT_USE).any()
    assert np.isnan(cube_errors(dead, result, cells, inside)[7]).all()


def test_no_convergence_and_what_the_regularization_decides_are_flagged(observation, result, cells, inside):
    share = np.zeros_like(result.prior_share)
    share[cells[0].start] = 0.99
    unsure = replace(result, prior_share=share, converged=False)
    dq = fused_quality(observation, unsure, cells, inside)
    assert (dq & flags.UNCONVERGED).all()
    marked = (dq & flags.PRIOR_DRIVEN) != 0
    assert marked[:, 0].all()
    assert not marked[:, 1:].any()


def test_errors_are_those_of_the_covariance(observation, result, cells, inside):
    errors = cube_errors(observation, result, cells, inside)
    covariance = result.covariance[(slice(None), slice(None), *cells)]
    variance = np.einsum("li,ijyx,lj->lyx", result.basis, covariance, result.basis, optimize=True)
    dropped = result.dropped_variance[:, None, None] * result.dropped_share[cells]
    np.testing.assert_allclose(errors**2, variance + dropped, rtol=1e-4)
    scaled = tuple(replace(band, scale_err=0.01) for band in observation.bands)
    grown = cube_errors(replace(observation, bands=scaled), result, cells, inside)
    assert (grown > errors).all()


def test_arrays_in_files_have_the_same_values(observation, result, cells, inside, tmp_path, monkeypatch):
    inside[0, 0] = False
    made = [make(observation, result, cells, inside, tmp_path) for make in (cube_errors, fused_quality)]
    monkeypatch.setattr(scratch, "LARGE", 1)
    for make, here in zip((cube_errors, fused_quality), made, strict=True):
        there = make(observation, result, cells, inside, tmp_path)
        assert isinstance(there, np.memmap)
        np.testing.assert_array_equal(there, here)
