"""The errors of the fused cube."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.fft import rfft2
from scipy.ndimage import binary_erosion, gaussian_filter

from jwst_fusion.inversion import solver, uncertainty
from jwst_fusion.inversion.fuse import FusionSettings, at_beam, build_problem, fuse
from jwst_fusion.inversion.prior import Prior, gradient_power
from jwst_fusion.inversion.solver import solve
from jwst_fusion.inversion.subspace import find_subspace
from jwst_fusion.inversion.uncertainty import blurred, posterior, residual_growth

from .field import fused_scene, make_field, prior_scene, rms, stated_error


@pytest.fixture(scope="module")
def field():
    return make_field(3, spaxels=(11, 10), noise=0.05, image_noise=0.01, draw=prior_scene(0.05, 10.0))


@pytest.fixture(scope="module")
def problem(field):
    subspace = find_subspace(field.observation.cube, n_components=3)
    settings = FusionSettings(regularization="sobolev", tuning="manual", mu=1.0, gamma=1.0)
    problem = build_problem(field.observation, subspace, settings)
    return replace(problem, prior=Prior(np.eye(3) / 100.0, problem.prior.shape))


@pytest.fixture
def full(problem):
    """The problem with data in all cells, their noise white."""
    image, cube = problem.image_term, problem.cube_term
    weight, white = image.weight.max(), {"noise_transfer": None}
    noise = np.full_like(image.noise, weight**-0.5)
    image = replace(image, weight=np.full_like(image.weight, weight), noise=noise, **white)
    cube = replace(cube, weight=np.ones_like(cube.weight), noise=np.ones_like(cube.noise), **white)
    return replace(problem, image_term=image, cube_term=cube)


def observed(problem, scene, rng):
    """The problem with data of a scene, and noise as its weights say."""
    image, cube = problem.image_term, problem.cube_term
    spectrum = np.fft.rfft2(scene)
    images = image.predict(spectrum) + image.noise * rng.standard_normal(image.noise.shape)
    spaxels = cube.predict(spectrum) + rng.standard_normal(cube.data.shape)
    return replace(problem, image_term=replace(image, data=images), cube_term=replace(cube, data=spaxels))


def scene_of(prior, rng, shape):
    """A scene whose gradients are as the prior expects them."""
    power = gradient_power(prior.shape)
    power[0, 0] = 1.0  # that of the mean, which is taken out below
    white = np.fft.rfft2(rng.standard_normal((len(prior.matrix), *shape)))
    white[..., 0, 0] = 0.0
    unit = np.fft.irfft2(white * power**-0.5, s=shape)
    return np.tensordot(np.linalg.inv(prior.root), unit, axes=1)


def test_draws_scatter_as_the_blocks_say(full, monkeypatch):
    """Where all cells are known, errors by noise and by smoothing are the posterior covariance."""
    monkeypatch.setattr(uncertainty, "residual_variances", lambda *_: (1.0, 1.0))
    monkeypatch.setattr(uncertainty, "residual_growth", lambda *_: np.ones(full.groups.shape))
    monkeypatch.setattr(uncertainty, "prior_scales", lambda *_: [1.0] * (len(uncertainty.WIDTHS) + 1))
    solution = solve(full)
    drawn = posterior(full, solution, 24)
    np.testing.assert_allclose(
        np.einsum("iiyx->i", drawn.covariance) / drawn.covariance[0, 0].size,
        np.diag(solution.blocks.covariance),
        rtol=0.1,
    )


@pytest.mark.parametrize("size", [0.4, 1.0, 3.0])
def test_errors_follow_the_structure_of_the_scene(full, size, monkeypatch):
    """They are right for scenes with more or less structure than the prior expects."""
    monkeypatch.setattr(uncertainty, "residual_variances", lambda *_: (1.0, 1.0))
    rng = np.random.default_rng(8)
    scene = size * scene_of(full.prior, rng, full.groups.shape)
    seen = observed(full, scene, rng)
    solution = solve(seen)
    stated = np.einsum("iiyx->yx", posterior(seen, solution, 12).covariance).mean()
    found = ((solution.coefficients - scene) ** 2).sum(axis=0).mean()
    assert 0.8 < np.sqrt(stated / found) < 1.3


def test_errors_are_large_where_the_scene_has_structure(full, monkeypatch):
    monkeypatch.setattr(uncertainty, "residual_variances", lambda *_: (1.0, 1.0))
    rng = np.random.default_rng(9)
    scene = scene_of(full.prior, rng, full.groups.shape)
    half = scene.shape[2] // 2
    scene = gaussian_filter(scene, (0, 6, 6), mode="wrap") + 3 * (np.arange(scene.shape[2]) < half) * scene
    seen = observed(full, scene, rng)
    solution = solve(seen)
    stated = np.einsum("iiyx->yx", posterior(seen, solution, 12).covariance)
    found = ((solution.coefficients - scene) ** 2).sum(axis=0)
    rough, smooth = (np.s_[4:-4, 4 + side : half - 4 + side] for side in (0, half))
    assert 0.8 < np.sqrt(stated[rough].mean() / found[rough].mean()) < 1.3
    assert 0.8 < np.sqrt(stated[smooth].mean() / found[smooth].mean()) < 2.5
    assert stated[rough].mean() > 2 * stated[smooth].mean()


def test_cells_that_nothing_sees_are_less_certain(problem):
    weight, spaxels = problem.image_term.weight.copy(), problem.cube_term.weight.copy()
    weight[:, 18:30, 18:30] = 0.0
    spaxels[6:10, 6:10] = 0.0
    holed = replace(
        problem,
        image_term=replace(problem.image_term, weight=weight),
        cube_term=replace(problem.cube_term, weight=spaxels),
    )
    solution = solve(holed, rtol=1e-4)
    drawn = posterior(holed, solution, 8)
    variance = drawn.covariance[0, 0] / residual_growth(holed, solution)
    assert variance[22:26, 22:26].mean() > 1.25 * variance[9:16, 9:-9].mean()
    assert drawn.prior_share[22:26, 22:26].mean() > drawn.prior_share[9:16, 9:-9].mean()


def test_errors_do_not_depend_on_the_number_of_threads(problem, monkeypatch):
    solution = solve(problem)
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(solver, "available_threads", lambda threads=threads: threads)
        found.append(posterior(problem, solution, 4).covariance)
    np.testing.assert_array_equal(*found)


def test_products_of_the_kept_draws_have_the_covariance_as_mean(problem):
    drawn = posterior(problem, solve(problem), 12)
    mean = np.einsum("piyx,pjyx->ijyx", drawn.draws, drawn.draws) / len(drawn.draws)
    assert drawn.draws.shape == (12, *drawn.covariance.shape[1:])
    inner = (..., slice(8, -8), slice(8, -8))
    np.testing.assert_allclose(
        np.einsum("iiyx->i", mean[inner]), np.einsum("iiyx->i", drawn.covariance[inner]), rtol=0.1
    )


def test_no_draws_are_the_blocks(problem):
    solution = solve(problem)
    stationary = posterior(problem, solution, 0)
    growth = residual_growth(problem, solution)
    expected = solution.blocks.covariance[:, :, None, None] * growth
    np.testing.assert_allclose(stationary.covariance, expected)
    assert stationary.draws is None


def test_bright_structure_that_is_fitted_does_not_enlarge_the_errors(problem):
    """Squares of noise, averaged over the fifty cells of a Gaussian of two cells, scatter by a fifth."""
    solution, image = solve(problem), problem.image_term
    bright = replace(solution, coefficients=100 * solution.coefficients)
    fitted = image.predict(rfft2(bright.coefficients))
    noise = image.noise * np.random.default_rng(4).normal(size=fitted.shape)
    noisy = replace(problem, image_term=replace(image, data=fitted + noise))
    assert fitted.std() > 10 * noise.std()
    growth = residual_growth(noisy, bright)
    assert np.median(growth) == pytest.approx(1.0, abs=0.1)
    assert growth.std() < 0.3


def test_errors_grow_where_residuals_do(problem):
    """Within a few cells, up to a hundredfold."""
    data, noise = problem.image_term.data.copy(), problem.image_term.noise.max()
    data[:, 24:27, 24:27] += 30 * noise * np.array([[1, -1, 1], [-1, 1, -1], [1, -1, 1]])
    odd = replace(problem, image_term=replace(problem.image_term, data=data))
    solution = solve(odd)
    growth = residual_growth(odd, solution)
    assert growth[25, 25] > 20
    assert growth[25, 36] < 3
    assert 0.5 < np.median(growth) < 2
    assert growth.min() < 0.9


def test_a_beam_is_given_by_its_width_at_half_maximum():
    point = np.zeros((1, 41, 41))
    point[0, 20, 20] = 1.0
    beam = blurred(point, 0.24, 0.03)[0]
    assert beam[20, 24] / beam[20, 20] == pytest.approx(0.5, rel=0.02)
    assert blurred(point, None, 0.03) is point


def test_errors_cover_the_truth():
    field = make_field(3, noise=0.05, image_noise=0.01)
    result = fuse(field.observation)
    error = stated_error(result)[:, field.inside]
    pull = np.abs(fused_scene(result) - field.scene)[:, field.inside] / error
    assert 0.55 < (pull < 1).mean() < 0.85
    assert 0.88 < (pull < 2).mean() < 0.995


def test_oversmoothing_is_in_the_errors(field):
    settings = [FusionSettings(mu=mu, samples=6, reweightings=0, n_components=3) for mu in (0.3, 30.0)]
    results = [fuse(field.observation, setting) for setting in settings]
    for result in results:
        error = rms((fused_scene(result) - field.scene)[:, field.inside])
        assert 0.5 < rms(stated_error(result)[:, field.inside]) / error < 2.5


def test_errors_at_a_beam_cover_the_scene_at_that_beam():
    """And are smaller, for neighbouring errors average out."""
    field = make_field(3, noise=0.05, image_noise=0.01)
    beam, cell = 0.1, field.observation.grid.cell_size
    sharp, result = (fuse(field.observation, FusionSettings(beam=b)) for b in (None, beam))
    np.testing.assert_array_equal(result.coefficients, sharp.coefficients)
    scene = gaussian_filter(field.scene, (0, *[beam / 2.3548 / cell] * 2), mode="wrap")
    inner = binary_erosion(field.inside, iterations=3)
    error = (fused_scene(at_beam(result, cell)) - scene)[:, inner]
    stated = stated_error(result)[:, inner]
    assert 0.8 < rms(stated) / rms(error) < 1.5
    # light from beyond the margin, through the wings of the PSFs, is not in the errors
    assert 0.33 < (abs(error) < stated).mean() < 0.85
    assert np.median(stated) < 0.7 * np.median(stated_error(sharp)[:, inner])
    assert np.nanmin(result.resolution) > np.nanmin(sharp.resolution)
