"""The exact solution, the blocks, and conjugate gradients under masks."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.fft import rfft2

from jwst_fusion.inversion.solver import Blocks, Solution, conjugate_gradients, solve, solve_each

from .scenario import Scenario

GRIDS = [(3, (6, 5)), (2, (5, 6)), (4, (3, 4))]


@pytest.mark.parametrize(("d", "spaxels"), GRIDS)
def test_blocks_are_the_inverse_of_the_normal_matrix(d, spaxels):
    problem = Scenario(d, spaxels).problem(mu=0.7)
    x = np.random.default_rng(4).normal(size=(2, *problem.groups.shape))
    # the blocks have a penalty on the mean of each component too, so that they are definite without images
    x -= x.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(Blocks(problem).apply(problem.normal(x)), x, atol=1e-9 * np.abs(x).max())


def test_blocks_are_definite_where_no_image_determines_a_mean():
    scenario = Scenario()
    problem = scenario.problem()
    problem.image_term.transfer[..., 0, 0] = 0.0
    assert np.isfinite(Blocks(problem).apply(np.ones_like(scenario.coefficients))).all()


def test_the_objective_is_that_of_the_normal_equations():
    """Half the gradient of the objective is N x - b, half its curvature N, wherever one is."""
    scenario = Scenario()
    problem = scenario.problem(mu=0.3, noise=1.0)
    here, step = np.random.default_rng(2).normal(size=(2, *scenario.coefficients.shape))
    slope = np.vdot(step, problem.normal(here) - problem.right_hand_side())
    change = sum(problem.terms(here + step)) - sum(problem.terms(here))
    assert change == pytest.approx(2 * slope + np.vdot(step, problem.normal(step)), rel=1e-9)
    images, cube, regularization = problem.terms(here)
    assert images == pytest.approx(problem.image_factor * problem.image_term.energy(rfft2(here)))
    assert regularization == pytest.approx(problem.prior.energy(here))
    assert cube > 0


@pytest.mark.parametrize("known", [1.0, 0.7])
def test_equals_dense_least_squares(known):
    scenario = Scenario(3, (4, 3))
    mask = np.random.default_rng(5).random((4, 3)) < known
    solution = solve(scenario.problem(mu=0.3, mask=mask), rtol=1e-13)
    dense = scenario.dense_solution(0.3, mask)
    assert known < 1 or solution.iterations <= 4
    np.testing.assert_allclose(solution.coefficients, dense, atol=1e-8 * np.abs(dense).max())


def test_a_scene_is_recovered_without_noise_also_where_only_images_look():
    scenario = Scenario(3, (8, 8))
    mask = np.ones((8, 8), dtype=bool)
    mask[:2] = False
    for mask_, mu, atol in ((None, 1e-14, 1e-6), (mask, 1e-10, 1e-4)):
        solution = solve(scenario.problem(mu=mu, mask=mask_), rtol=1e-12, max_iterations=2000)
        assert solution.converged
        np.testing.assert_allclose(
            solution.coefficients, scenario.coefficients, atol=atol * np.abs(scenario.coefficients).max()
        )


def test_the_tolerance_is_met_and_a_start_saves_iterations():
    scenario = Scenario(3, (8, 8))
    problem = scenario.problem(mu=1e-3, mask=np.random.default_rng(1).random((8, 8)) > 0.4)
    loose, tight = (solve(problem, rtol=rtol) for rtol in (1e-2, 1e-5))
    assert loose.residual <= 1e-2
    assert tight.residual <= 1e-5
    assert 0 < loose.iterations < tight.iterations
    again = solve(problem, start=tight.coefficients, rtol=1e-5)
    assert again.iterations < tight.iterations / 2
    assert solve(problem, rtol=1e-9, max_iterations=2).iterations == 2
    assert not solve(problem, rtol=1e-9, max_iterations=2).converged


@pytest.mark.parametrize(("stiff", "unit"), [(1.0, 1.0), (1e12, 1.0), (1.0, 1e-25), (1.0, 1e25)])
def test_draws_are_solved_as_in_double_precision(stiff, unit):
    """In single precision, and in double where it does not suffice: stiff equations, extreme units."""
    problem = Scenario(3, (8, 8)).problem(mu=0.1, mask=np.random.default_rng(1).random((8, 8)) > 0.4)
    prior = replace(problem.prior, matrix=np.diag([stiff, 1.0]) * problem.prior.matrix)
    image = problem.image_term
    image = replace(image, transfer=unit * image.transfer, weight=unit**-2 * image.weight)
    problem = replace(problem, prior=prior, image_term=image)
    rng = np.random.default_rng(2)
    right = [rng.normal(size=(2, *problem.groups.shape)) for _ in range(3)]
    blocks = Blocks(problem)
    solution = Solution(right[0], blocks, 0, 0.0, True)
    for found, each in zip(solve_each(problem, solution, right, 1e-3), right, strict=True):
        expected = conjugate_gradients(problem.normal, each, blocks.apply, rtol=1e-3)[0]
        np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def test_equations_that_rounding_errors_spoil_are_refused():
    right = np.ones((2, 12, 12))
    sign = np.sign(np.arange(right.size).reshape(right.shape) - 9)
    for wrong in (lambda x: -x, lambda x: np.nan * x, lambda x: x * sign):
        with pytest.raises(np.linalg.LinAlgError, match="rounding errors"):
            conjugate_gradients(lambda x: x, right, wrong)
    assert conjugate_gradients(lambda x: x, 0 * right, lambda x: x)[1] == 0


def test_covariance_is_that_of_repeated_noise():
    problem = Scenario(3, (5, 5)).problem(mu=0.5)
    rng, right = np.random.default_rng(6), []
    for _ in range(150):
        right.append(problem.noise(rng, (1.0, 1.0)) + problem.prior.draw(rng))
    scatter = [conjugate_gradients(problem.normal, r, Blocks(problem).apply, rtol=1e-6)[0] for r in right]
    measured = np.einsum("siyx,sjyx->ij", scatter, scatter) / (150 * np.prod(problem.groups.shape))
    expected = Blocks(problem).covariance
    np.testing.assert_allclose(measured, expected, rtol=0.15, atol=0.03 * np.abs(measured).max())


def test_effective_parameters_add_up():
    """Of the inverse of the normal matrix times that of each data term, the trace."""
    scenario = Scenario(3, (4, 3))
    n = scenario.coefficients.size
    tight, loose = (Blocks(scenario.problem(mu=mu)) for mu in (1e-10, 1e3))
    assert tight.cube_parameters + tight.image_parameters == pytest.approx(n, rel=1e-3)
    assert loose.cube_parameters + loose.image_parameters < 0.3 * n
    problem = scenario.problem(mu=0.3)
    blocks, traces = Blocks(problem), np.zeros(2)
    rng = np.random.default_rng(7)
    for _ in range(200):
        x = rng.choice([-1.0, 1.0], scenario.coefficients.shape)
        spectrum = rfft2(x)
        for i, term in enumerate((problem.cube_term, problem.image_term)):
            traces[i] += (
                np.vdot(blocks.apply(np.fft.irfft2(term.normal(spectrum), s=scenario.shape)), x) / 200
            )
    assert (blocks.cube_parameters, blocks.image_parameters) == pytest.approx(tuple(traces), rel=0.05)


@pytest.mark.parametrize("d", [2, 3])
def test_the_response_to_a_point_is_where_the_point_is(d):
    """It tends to the point itself where the data determine all, and spreads with the prior."""
    scenario = Scenario(d, (6, 7))
    point = np.array([1.0, -0.5])
    sharp, blunt = (Blocks(scenario.problem(mu=mu)).response(point) for mu in (1e-13, 10.0))
    row, column = np.unravel_index(np.argmax(sharp[0]), scenario.shape)
    assert (row, column) == (3 * d + (d - 1) // 2, 3 * d + (d - 1) // 2)
    np.testing.assert_allclose(sharp[:, row, column], point, rtol=1e-3)
    assert 0 < blunt[0, row, column] < 0.5
    assert blunt[0].argmax() == sharp[0].argmax()
