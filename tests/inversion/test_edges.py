"""Regularization that knows where the images are steep, and weights of each datum."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_fusion.inversion.cells import interior
from jwst_fusion.inversion.fuse import FusionSettings, build_problem, fuse
from jwst_fusion.inversion.regularization import local_gradients, steepness
from jwst_fusion.inversion.solver import solve
from jwst_fusion.inversion.subspace import find_subspace

from .field import N_WAVE, fused_scene, make_field, spectra
from .test_fuse import rms

QUICK = {"samples": 0, "reweightings": 1}


def blocky(shape, rng):
    """A scene of flat plateaus with sharp borders, of two spectra, (n_wave, ny, nx)."""
    wavelength = np.linspace(1.70, 2.26, N_WAVE)
    y, x = np.indices(shape)
    levels = 4 + 3.0 * (np.hypot(y - shape[0] / 2, x - shape[1] / 2) < 12) + 2.0 * (x > shape[1] / 2)
    second = 1.0 * (y > shape[0] / 2 + 3)
    lines = spectra(wavelength)
    return lines[0][:, None, None] * levels + lines[2][:, None, None] * second


@pytest.fixture(scope="module")
def field():
    return make_field(3, noise=0.05, image_noise=0.03, draw=blocky)


@pytest.fixture(scope="module")
def problem(field):
    problem = build_problem(field.observation, find_subspace(field.observation.cube), FusionSettings())
    seen = (problem.image_term.weight > 0).any(axis=0)
    return replace(problem, prior=problem.prior.updated(solve(problem, rtol=1e-3).coefficients, seen))


def allowed(observation):
    """Local gradients of an observation."""
    subspace = find_subspace(observation.cube)
    inside = interior(subspace.spaxels, observation.grid.decimation_factor)
    return local_gradients(steepness(observation, subspace), inside)


def test_noise_of_the_images_is_not_steep(field):
    """Images have no noise in common: where the scene is flat the steepness vanishes."""
    observation, rng = field.observation, np.random.default_rng(3)
    column = np.arange(observation.grid.shape[1])
    edge = np.where(column > column.size // 2, 1.0, 0.0)
    noisy = tuple(
        replace(b, data=edge + 0.03 * rng.normal(size=b.data.shape), error=np.full_like(b.error, 0.03))
        for b in observation.bands
    )
    squared = steepness(replace(observation, bands=noisy), find_subspace(observation.cube))
    far = np.abs(column - column.size // 2) > 8
    assert len(noisy) > 1
    assert squared[:, ~far].max() > 3
    alone = steepness(replace(observation, bands=noisy[:1]), find_subspace(observation.cube))
    assert squared[:, far].mean() < 0.5 * alone[:, far].mean()
    assert squared[:, far].mean() < 0.02


def test_steepness_is_one_on_the_average_and_high_at_edges(field):
    local = allowed(field.observation)
    assert local[field.inside].mean() == pytest.approx(1, rel=0.3)
    step = np.abs(np.diff(field.scene.mean(axis=0), axis=1, append=0)) > 0.5
    assert local[step & field.inside].mean() > 3 * np.median(local[field.inside])


def test_steepness_does_not_know_units_or_holes(field):
    observation = field.observation
    here = allowed(observation)
    scaled = tuple(replace(b, data=1024 * b.data, error=1024 * b.error) for b in observation.bands)
    np.testing.assert_allclose(allowed(replace(observation, bands=scaled)), here)
    unseen = tuple(replace(b, data=np.full_like(b.data, np.nan)) for b in observation.bands)
    np.testing.assert_array_equal(allowed(replace(observation, bands=unseen)), 1.0)


def test_the_normal_matrix_is_symmetric_and_positive(problem):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, len(problem.prior.matrix), *problem.groups.shape))
    assert np.vdot(x, problem.normal(y)) == pytest.approx(np.vdot(problem.normal(x), y), rel=1e-10)
    assert np.vdot(x, problem.normal(x)) > 0


def test_the_terms_are_the_objective(problem):
    """Half the gradient of the objective is N x - b, half its curvature N, wherever one is."""
    rng = np.random.default_rng(2)
    here, step = rng.normal(size=(2, len(problem.prior.matrix), *problem.groups.shape))
    slope = np.vdot(step, problem.normal(here) - problem.right_hand_side())
    gain = np.vdot(step, problem.normal(step))
    change = sum(problem.terms(here + step)) - sum(problem.terms(here))
    assert change == pytest.approx(2 * slope + gain, rel=1e-9)


def test_edges_are_better_kept(field):
    truth = field.scene[:, field.inside]
    errors = {}
    for name in ("sobolev", "nuclear"):
        fused = fused_scene(fuse(field.observation, FusionSettings(regularization=name, **QUICK)))
        errors[name] = rms(fused[:, field.inside] - truth)
    assert errors["nuclear"] < 0.95 * errors["sobolev"]


def test_weights_of_each_voxel_equal_those_of_channels_where_errors_are_alike(field):
    channel, voxel = (
        fuse(
            field.observation,
            FusionSettings(
                weighting=w, rtol=1e-5, tuning="manual", mu=10.0, gamma=1.0, samples=0, reweightings=0
            ),
        )
        for w in ("channel", "voxel")
    )
    np.testing.assert_allclose(fused_scene(voxel), fused_scene(channel), atol=1e-3)


def test_a_noisy_spaxel_counts_less_by_its_error(field):
    observation = field.observation
    rng = np.random.default_rng(3)
    rows, columns = np.nonzero(observation.cube.footprint)
    chosen = rng.choice(rows.size, 25, replace=False)
    data, error = observation.cube.data.copy(), observation.cube.error.copy()
    for y, x in zip(rows[chosen], columns[chosen], strict=True):
        data[:, y, x] += 0.4 * rng.normal(size=N_WAVE) + 0.4 * rng.normal()
        error[:, y, x] *= 8
    noisy = replace(observation, cube=replace(observation.cube, data=data, error=error))
    given = {"tuning": "manual", "mu": 1.0, "gamma": 1.0, **QUICK}
    errors = [
        rms((fused_scene(fuse(noisy, FusionSettings(weighting=w, **given))) - field.scene)[:, field.inside])
        for w in ("channel", "voxel")
    ]
    assert errors[1] < errors[0]


def test_the_papers_rule_needs_no_reweighting(field):
    result = fuse(field.observation, FusionSettings(tuning="empirical_bayes", samples=0))
    assert result.gamma == 1.0
    off_diagonal = result.regularization - np.diag(np.diag(result.regularization))
    assert (off_diagonal == 0).all()
    assert (np.diag(result.regularization) > 0).all()
