"""The prior: its operator, and weights by the length of gradients and by which components change together."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.fft import irfft2, rfft2
from scipy.ndimage import binary_dilation, gaussian_filter

from jwst_fusion.inversion import psf_errors, regularization
from jwst_fusion.inversion.cells import interior
from jwst_fusion.inversion.fuse import FusionSettings, build_problem, fuse
from jwst_fusion.inversion.prior import Prior, gradient, gradient_adjoint
from jwst_fusion.inversion.regularization import local_mixture
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
def subspace(field):
    return find_subspace(field.observation.cube)


@pytest.fixture(scope="module")
def problem(field, subspace):
    return build_problem(field.observation, subspace, FusionSettings())


@pytest.fixture(scope="module")
def solution(problem):
    return solve(problem, rtol=1e-3).coefficients


@pytest.fixture(scope="module")
def seen(problem):
    return (problem.image_term.weight > 0).any(axis=0)


def test_the_gradient_has_its_adjoint():
    rng = np.random.default_rng(0)
    images, steps = rng.normal(size=(3, 6, 7)), rng.normal(size=(2, 3, 6, 7))
    assert np.vdot(gradient(images), steps) == pytest.approx(
        np.vdot(images, gradient_adjoint(steps)), rel=1e-12
    )


def test_the_penalty_is_symmetric_and_the_energy_its_quadratic_form(problem):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, len(problem.prior.matrix), *problem.groups.shape))
    assert np.vdot(x, problem.prior.apply(y)) == pytest.approx(np.vdot(problem.prior.apply(x), y), rel=1e-10)
    assert problem.prior.energy(x) == pytest.approx(np.vdot(x, problem.prior.apply(x)), rel=1e-10)
    np.testing.assert_allclose(problem.prior.apply(np.ones_like(x)), 0.0, atol=1e-12)


def test_the_penalty_without_weights_is_that_of_its_transfer_function(problem):
    plain = Prior(problem.prior.matrix, problem.prior.shape)
    x = np.random.default_rng(2).normal(size=(len(plain.matrix), *problem.groups.shape))
    spectrum = np.einsum("ijyx,jyx->iyx", plain.typical, rfft2(x))
    np.testing.assert_allclose(plain.apply(x), irfft2(spectrum, s=problem.groups.shape), atol=1e-9)


def test_weights_are_inverse_lengths(problem, solution, seen):
    weighed = problem.prior.updated(solution, seen)
    steps = np.roll(solution, -1, 2) - solution
    power = np.einsum("iyx,ij,jyx->yx", steps, problem.prior.matrix, steps)
    steep, flat = power > np.quantile(power, 0.98), power < np.quantile(power, 0.5)
    assert weighed.edges[1][steep].mean() < 0.4 * weighed.edges[1][flat].mean()
    again = problem.prior.updated(1e3 * solution, seen)
    np.testing.assert_allclose(weighed.edges, again.edges, rtol=1e-8)
    flat = problem.prior.updated(np.ones_like(solution), seen)
    np.testing.assert_allclose(flat.edges, 1.0)


def test_alignment_only_redistributes(problem):
    """The determinant is that of M on the average over the cells whose mixture is known."""
    matrices = np.moveaxis(problem.prior.alignment, (1, 2), (-2, -1))
    assert (np.linalg.eigvalsh(matrices) > 0).all()
    np.testing.assert_allclose(matrices, np.swapaxes(matrices, -2, -1), rtol=1e-9, atol=1e-15)
    logarithms = np.linalg.slogdet(matrices[0])[1] - np.linalg.slogdet(problem.prior.matrix)[1]
    assert np.ptp(logarithms) > 1.0
    known = (
        np.abs(logarithms - np.median(logarithms)) > 1e-6
    )  # others have the matrix M times the typical level
    assert abs(logarithms[known].mean()) < 0.35 * len(problem.prior.matrix)


def test_noise_is_not_aligned_with(problem):
    k, prior = len(problem.prior.matrix), problem.prior
    noise = np.random.default_rng(5).normal(size=(k, *problem.groups.spaxel_shape))
    alignment = local_mixture(noise, interior(np.ones(noise.shape[1:], dtype=bool), 3), 3, prior)
    ratio = np.einsum("iiyx->iyx", alignment[0]) / np.diag(prior.matrix)[:, None, None]
    assert (np.isclose(ratio, np.median(ratio), rtol=1e-6).all(axis=0)).mean() > 0.6


def test_gradients_along_a_stars_spectrum_are_cheap(field, problem, subspace, solution):
    """Per length in the metric of M, less than those of the line that it does not have."""
    place = tuple(np.unravel_index(np.argmax((solution**2).sum(axis=0)), problem.groups.shape))
    lines = spectra(field.observation.cube.wavelength)
    costs = []
    for spectrum in lines[:2]:
        direction = subspace.whitened_basis.T @ (spectrum * subspace.weights)
        length = direction @ problem.prior.matrix @ direction
        costs.append(direction @ problem.prior.alignment[0][:, :, *place] @ direction / length)
    assert costs[0] < 0.5 * costs[1]


def line_error(field, observation, **settings):
    """Rms error of the line less its continuum, about the stars."""
    peak = np.argmax(spectra(observation.cube.wavelength)[1])
    near = binary_dilation(field.scene[peak - 6] > 15, iterations=3) & field.inside
    assert 50 < near.sum() < 200
    errors = fused_scene(fuse(observation, FusionSettings(samples=0, **settings))) - field.scene
    return rms((errors[peak] - (errors[peak - 6] + errors[peak + 6]) / 2)[near])


def test_stars_leave_less_in_a_line_map(monkeypatch):
    """Than if the components changed together everywhere as they do on the average."""
    field = make_field(3, noise=0.3, image_noise=0.1, draw=partial(starry, brightness=60))
    aligned = line_error(field, field.observation)
    average = lambda coefficients, inside, d, prior: np.broadcast_to(  # noqa: E731
        prior.matrix[:, :, None, None], (2, *prior.matrix.shape, *prior.shape)
    )
    monkeypatch.setattr(regularization, "local_mixture", average)
    assert aligned < 0.8 * line_error(field, field.observation)


def test_a_wrong_psf_of_one_band_does_not_make_a_line(field, monkeypatch):
    """Of an image that is wider than the telescope is taken to make it."""
    first, second = field.observation.bands
    wider = replace(first, data=gaussian_filter(first.data, 0.4))
    observation = replace(field.observation, bands=(wider, second))
    error = line_error(field, observation)
    monkeypatch.setattr(psf_errors, "PSF_ERROR", 1e-9)
    assert error < 0.5 * line_error(field, observation)


def test_a_wrong_psf_of_the_cube_does_not_pull(field, monkeypatch):
    """Of a cube that is blunter than the IFU is taken to make it."""
    cube = field.observation.cube
    blunt = replace(cube, data=gaussian_filter(cube.data, (0, 0.35, 0.35)))
    observation = replace(field.observation, cube=blunt)

    def error():
        fused = fused_scene(fuse(observation, FusionSettings(samples=0)))
        return rms((fused - field.scene)[:, field.inside])

    trusted_less = error()
    monkeypatch.setattr(psf_errors, "IFU_PSF_ERROR", 1e-9)
    assert trusted_less < 0.9 * error()
