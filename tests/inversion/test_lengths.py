"""Weights of the gradients by their length and by which components change together."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, gaussian_filter

from jwst_fusion.inversion import fuse as fuse_module
from jwst_fusion.inversion.fuse import FusionSettings, build_problem, fuse
from jwst_fusion.inversion.lengths import count_lengths
from jwst_fusion.inversion.solver import solve
from jwst_fusion.inversion.subspace import find_subspace

from .field import N_WAVE, fused_scene, make_field, maps, spectra
from .test_fuse import rms


def starry(shape, rng, brightness):
    """Stars without a line on a line-emitting cloud, (n_wave, ny, nx)."""
    lines = spectra(np.linspace(1.70, 2.26, N_WAVE))
    y, x = np.indices(shape)
    cloud = 1 + np.exp(-0.5 * ((x - shape[1] / 2 - 0.3 * (y - shape[0] / 2)) / 4) ** 2)
    continuum, broad = maps(shape, rng, n=2)
    for row, column in ((30, 34), (44, 40), (38, 52)):
        continuum[row, column] += 2 * brightness
    layers = np.stack([4 + 0.5 * continuum, 3 * cloud, 1 + 0.3 * broad])
    return np.tensordot(lines.T, layers, axes=1)


@pytest.fixture(scope="module")
def field():
    return make_field(3, noise=0.05, image_noise=0.03, draw=partial(starry, brightness=300))


@pytest.fixture(scope="module")
def problem(field):
    settings = FusionSettings(regularization="sobolev")
    return build_problem(field.observation, find_subspace(field.observation.cube), settings)


@pytest.fixture(scope="module")
def solution(problem):
    return solve(problem, rtol=1e-3).coefficients


@pytest.fixture(scope="module")
def aligned(problem, solution):
    return count_lengths(problem, solution, aligned=True)


def test_weights_are_inverse_lengths(problem, solution):
    weighed = count_lengths(problem, solution, aligned=False)
    assert weighed.alignment is None
    steps = np.roll(solution, -1, 2) - solution
    power = np.einsum("iyx,ij,jyx->yx", steps, problem.regularization, steps)
    steep, flat = power > np.quantile(power, 0.98), power < np.quantile(power, 0.5)
    assert weighed.edges[1][steep].mean() < 0.3 * weighed.edges[1][flat].mean()


def test_units_do_not_matter(problem, solution):
    once, again = (count_lengths(problem, f * solution, aligned=True) for f in (1.0, 1e3))
    np.testing.assert_allclose(once.edges, again.edges, rtol=1e-8)
    np.testing.assert_allclose(once.alignment, again.alignment, rtol=1e-6, atol=1e-12)


def test_a_flat_scene_is_not_aligned(problem):
    flat = np.ones((len(problem.regularization), *problem.groups.shape))
    weighed = count_lengths(problem, flat, aligned=True)
    np.testing.assert_allclose(weighed.edges, 1.0)


def test_alignment_only_redistributes(problem, solution, aligned):
    """Its determinant is that of M on the average, with the weights of the differences."""
    size = len(problem.regularization)
    spread = aligned.edges / count_lengths(problem, solution, aligned=False).edges
    assert np.ptp(spread) < 1e-9 * spread.mean()
    matrices = np.moveaxis(aligned.alignment, (1, 2), (-2, -1))
    assert (np.linalg.eigvalsh(matrices) > 0).all()
    np.testing.assert_allclose(matrices, np.swapaxes(matrices, -2, -1), rtol=1e-9, atol=1e-15)
    seen = (problem.image_term.weight > 0).any(axis=0)
    growth = np.linalg.slogdet(matrices[:, seen])[1].mean() - np.linalg.slogdet(problem.regularization)[1]
    assert growth > 0.3 * size  # the scene has directions to align with
    assert np.log(spread.mean()) == pytest.approx(-growth / size, rel=0.1)
    plain = count_lengths(problem, np.zeros((size, *problem.groups.shape)), aligned=True)
    np.testing.assert_allclose(plain.alignment[0, :, :, 5, 5], problem.regularization, rtol=1e-8, atol=1e-15)


def test_gradients_along_a_stars_spectrum_are_cheap(field, problem, solution, aligned):
    """Per length in the metric of M, less than those of the line that it does not have."""
    subspace = find_subspace(field.observation.cube)
    place = tuple(np.unravel_index(np.argmax((solution**2).sum(axis=0)), problem.groups.shape))
    lines = spectra(field.observation.cube.wavelength)
    costs = []
    for spectrum in lines[:2]:
        direction = subspace.whitened_basis.T @ (spectrum * subspace.weights)
        length = direction @ problem.regularization @ direction
        costs.append(direction @ aligned.alignment[0][:, :, *place] @ direction / length)
    assert costs[0] < 0.5 * costs[1]


def line_error(field, observation, **settings):
    """Rms error of the line less its continuum, about the stars."""
    peak = np.argmax(spectra(observation.cube.wavelength)[1])
    near = binary_dilation(field.scene[peak - 6] > 15, iterations=3) & field.inside
    assert 50 < near.sum() < 200
    errors = fused_scene(fuse(observation, FusionSettings(samples=0, **settings))) - field.scene
    return rms((errors[peak] - (errors[peak - 6] + errors[peak + 6]) / 2)[near])


def test_stars_leave_less_in_a_line_map():
    field = make_field(3, noise=0.3, image_noise=0.1, draw=partial(starry, brightness=60))
    aligned, plain = (line_error(field, field.observation, regularization=r) for r in ("nuclear", "l1"))
    assert aligned < 0.75 * plain


def test_a_wrong_psf_of_one_band_does_not_make_a_line(field, monkeypatch):
    """Of an image that is wider than the telescope is taken to make it."""
    first, second = field.observation.bands
    wider = replace(first, data=gaussian_filter(first.data, 0.4))
    observation = replace(field.observation, bands=(wider, second))
    error = line_error(field, observation)
    monkeypatch.setattr(fuse_module, "PSF_ERROR", 1e-9)
    assert error < 0.5 * line_error(field, observation)
