"""The weights of the instruments and of the prior, from the residuals."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_fusion.inversion.fuse import FusionSettings, build_problem
from jwst_fusion.inversion.prior import Prior
from jwst_fusion.inversion.solver import solve
from jwst_fusion.inversion.subspace import find_subspace
from jwst_fusion.inversion.tuning import relative_strength, residual_variances, solve_and_weigh

from .field import N_WAVE, make_field, natural_scene, prior_scene
from .scenario import Scenario

SETTINGS = FusionSettings()


@pytest.fixture(scope="module")
def scenario():
    return Scenario(3, (12, 11), n_band=4)


def problem_of(scenario, image_noise=1.0, cube_noise=1.0, strength=1.0):
    """Residuals of noise that is so many times the stated one; the prior as the scene is, or weaker."""
    mu = strength / sum((np.diff(scenario.coefficients, axis=axis) ** 2).mean() for axis in (1, 2))
    problem = scenario.problem(mu=mu, noise=1.0)
    image, cube = problem.image_term, problem.cube_term
    image = replace(image, weight=image.weight * image_noise**2, noise=image.noise / image_noise)
    # the cube's data are in units of their noise
    cube = replace(cube, data=cube.data * cube_noise, transfer=cube.transfer * cube_noise)
    return replace(problem, image_term=image, cube_term=cube)


@pytest.mark.parametrize("strength", [1e-3, 1.0])
def test_variances_are_those_of_the_noise(scenario, strength):
    """Whatever part of it the parameters of the scene have taken."""
    problem = problem_of(scenario, strength=strength)
    solution = solve(problem)
    freedom = 1 - solution.blocks.image_parameters / problem.image_term.data.size
    assert freedom < (0.6 if strength < 1 else 0.95)
    assert residual_variances(problem, solution) == pytest.approx((1.0, 1.0), abs=0.3)


def test_a_few_outliers_do_not_count(scenario):
    problem = problem_of(scenario)
    data = problem.image_term.data.copy()
    data[:, 10, 10:13] += 1000.0
    spoiled = replace(problem, image_term=replace(problem.image_term, data=data))
    found, expected = (residual_variances(p, solve(p))[0] for p in (spoiled, problem))
    assert found < 1.5 * expected


def test_understated_noise_is_found_out_and_overstated_noise_is_believed(scenario):
    understated, _, history = solve_and_weigh(problem_of(scenario, image_noise=4.0), SETTINGS)
    assert 1 / understated.image_factor == pytest.approx(16, rel=0.3)
    assert len(history) == SETTINGS.reweightings + 1
    assert history[0][0] == 1.0
    assert history[-1][0] == pytest.approx(understated.cube_factor / understated.image_factor)
    overstated, _, _ = solve_and_weigh(problem_of(scenario, 0.25, 0.25), SETTINGS)
    assert overstated.image_factor == 1.0
    assert overstated.cube_factor == 1.0


def test_a_given_weight_is_kept(scenario):
    weighed, _, _ = solve_and_weigh(problem_of(scenario, image_noise=4.0), replace(SETTINGS, gamma=0.3))
    assert weighed.cube_factor / weighed.image_factor == pytest.approx(0.3)
    assert weighed.image_factor < 0.2
    manual = replace(SETTINGS, tuning="manual", mu=1.0, gamma=1.0)
    assert solve_and_weigh(problem_of(scenario, image_noise=4.0), manual)[0].image_factor == 1.0


def test_the_nuclear_norm_is_updated_twice(scenario):
    """And squares are not: a second update still moves the weights, and the last solution is exact."""
    problem = problem_of(scenario)
    matrices = np.tile(np.eye(2)[:, :, None, None], (2, 1, 1, *scenario.shape))
    nuclear = replace(problem, prior=Prior(np.eye(2), scenario.shape, None, matrices))
    kept = replace(SETTINGS, reweightings=0, mu=1.0)
    weighed, solution, history = solve_and_weigh(nuclear, kept)
    assert len(history) == 3
    assert weighed.prior.edges is not None
    assert solution.residual <= SETTINGS.rtol
    once = nuclear.prior.updated(solve(nuclear, rtol=1e-4).coefficients, nuclear.image_term.seen)
    assert np.abs(weighed.prior.edges / once.edges - 1).max() > 0.05
    assert solve_and_weigh(problem, kept)[0].prior is problem.prior


@pytest.mark.parametrize("wrong", [0.1, 30.0])
def test_the_strength_is_that_of_the_scene(wrong):
    """From a prior that is too weak or much too strong; a given strength is kept."""
    alpha, sobolev = 20.0, replace(SETTINGS, regularization="sobolev")
    field = make_field(3, draw=prior_scene(0.05, alpha))
    subspace = find_subspace(field.observation.cube, n_components=3)
    problem = build_problem(field.observation, subspace, sobolev)
    start = replace(problem, prior=Prior(np.eye(3) * wrong / alpha**2, problem.prior.shape))
    again, strength = start, wrong
    for _ in range(6):
        change, _ = relative_strength(again, solve(again))
        again, strength = replace(again, prior=again.prior.scaled(change)), strength * change
    assert 0.6 < strength < 1.9
    found = solve_and_weigh(start, sobolev)[0].prior.matrix[0, 0] * alpha**2
    assert found <= min(wrong, 3.5)  # two updates: most of the way down, and never up
    assert solve_and_weigh(start, replace(sobolev, mu=1.0))[0].prior is start.prior


def test_a_star_weakens_the_prior_about_itself_only():
    """Its cells are few, and the PSF may be wrong there; sums over the field would be those of the star."""

    def with_star(shape, rng):
        scene = natural_scene(shape, rng, np.linspace(1.70, 2.26, N_WAVE))
        scene[:, shape[0] // 2, shape[1] // 2] += 1000.0
        return scene

    def strength(draw):
        observation = make_field(3, draw=draw).observation
        subspace = find_subspace(observation.cube, n_components=3)
        problem = build_problem(observation, subspace, replace(SETTINGS, mu=0.3))
        band = observation.bands[0].data
        return *relative_strength(problem, solve(problem)), np.unravel_index(band.argmax(), band.shape)

    typical, local, star = strength(with_star)
    without, smooth, _ = strength(None)
    assert typical > 0.9 * without
    assert local[star] < 0.3 * smooth[star]
    assert np.median(local) == pytest.approx(np.median(smooth), rel=0.3)


def test_too_few_iterations_are_told(scenario, caplog):
    problem = problem_of(scenario)
    weight = problem.image_term.weight * (np.random.default_rng(1).random(scenario.shape) > 0.9)
    problem = replace(problem, image_term=replace(problem.image_term, weight=weight))
    _, solution, _ = solve_and_weigh(problem, replace(SETTINGS, max_iterations=2))
    assert not solution.converged
    assert "No convergence in 2 iterations" in caplog.text
    assert "raise max_iterations" in caplog.text
