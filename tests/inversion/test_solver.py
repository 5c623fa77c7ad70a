"""The exact solution, the operators' adjoints, and masks."""

import numpy as np
import pytest
from scipy.fft import irfft2, rfft2

from jwst_fusion.inversion.solver import Blocks, conjugate_gradients, solve

from .scenario import Scenario

GRIDS = [(3, (6, 5)), (3, (5, 7)), (2, (5, 6)), (2, (6, 5)), (4, (3, 4))]


@pytest.mark.parametrize(("d", "spaxels"), GRIDS)
def test_compressed_cube_predicts_what_each_channel_sees(d, spaxels):
    scenario = Scenario(d, spaxels)
    term = scenario.problem().cube_term
    predicted = term.predict(rfft2(scenario.coefficients))
    np.testing.assert_allclose(predicted, term.data, atol=1e-11 * np.abs(term.data).max())


@pytest.mark.parametrize(("d", "spaxels"), GRIDS)
def test_images_are_predicted(d, spaxels):
    scenario = Scenario(d, spaxels)
    term = scenario.problem().image_term
    predicted = term.predict(rfft2(scenario.coefficients))
    np.testing.assert_allclose(predicted, term.data, atol=1e-11 * np.abs(term.data).max())


@pytest.mark.parametrize(("d", "spaxels"), GRIDS)
@pytest.mark.parametrize("name", ["cube_term", "image_term"])
def test_adjoint(d, spaxels, name):
    scenario = Scenario(d, spaxels)
    term = getattr(scenario.problem(), name)
    rng = np.random.default_rng(3)
    x = rng.normal(size=scenario.coefficients.shape)
    y = rng.normal(size=term.data.shape)
    forward = np.vdot(term.predict(rfft2(x)), y)
    backward = np.vdot(x, irfft2(term.adjoint(y), s=scenario.shape))
    assert forward == pytest.approx(backward, rel=1e-12)


@pytest.mark.parametrize(("d", "spaxels"), GRIDS)
def test_blocks_are_the_normal_matrix(d, spaxels):
    scenario = Scenario(d, spaxels)
    problem = scenario.problem(mu=0.7)
    x = np.random.default_rng(4).normal(size=scenario.coefficients.shape)
    # the blocks have a penalty on the mean of each component too, so that they are definite without images
    x -= x.mean(axis=(1, 2), keepdims=True)
    again = Blocks(problem).apply(problem.normal(x))
    np.testing.assert_allclose(again, x, atol=1e-9 * np.abs(x).max())


def test_equations_that_rounding_errors_spoil_are_refused():
    """Rather than solved to a residual of nothing."""
    scenario = Scenario(3, (4, 4))
    right = np.ones_like(scenario.coefficients)
    for wrong in (
        lambda x: -x,
        lambda x: np.nan * x,
        lambda x: x * np.sign(np.arange(x.size).reshape(x.shape) - 9),
    ):
        with pytest.raises(np.linalg.LinAlgError, match="rounding errors"):
            conjugate_gradients(lambda x: x, right, wrong)


@pytest.mark.parametrize(("d", "spaxels"), [(3, (4, 3)), (2, (4, 5))])
def test_equals_dense_least_squares(d, spaxels):
    scenario = Scenario(d, spaxels)
    solution = solve(scenario.problem(mu=0.3), rtol=1e-13)
    dense = scenario.dense_solution(0.3)
    assert solution.iterations <= 4
    np.testing.assert_allclose(solution.coefficients, dense, atol=1e-9 * np.abs(dense).max())


def test_masked_equals_dense_least_squares():
    scenario = Scenario(3, (4, 4))
    mask = np.random.default_rng(5).random((4, 4)) > 0.3
    solution = solve(scenario.problem(mu=0.3, mask=mask), rtol=1e-12)
    dense = scenario.dense_solution(0.3, mask)
    np.testing.assert_allclose(solution.coefficients, dense, atol=1e-8 * np.abs(dense).max())


@pytest.mark.parametrize(("d", "spaxels"), GRIDS)
def test_noise_free_scene_is_recovered(d, spaxels):
    scenario = Scenario(d, spaxels)
    solution = solve(scenario.problem(mu=1e-14), rtol=1e-13)
    np.testing.assert_allclose(
        solution.coefficients, scenario.coefficients, atol=1e-6 * np.abs(scenario.coefficients).max()
    )


def test_masked_scene_is_recovered_where_images_look():
    scenario = Scenario(3, (8, 8), n_band=3)
    mask = np.ones((8, 8), dtype=bool)
    mask[:2] = False
    solution = solve(scenario.problem(mu=1e-10, mask=mask), rtol=1e-12, max_iterations=2000)
    assert solution.converged
    np.testing.assert_allclose(
        solution.coefficients, scenario.coefficients, atol=1e-4 * np.abs(scenario.coefficients).max()
    )


def test_covariance_is_that_of_repeated_noise():
    scenario = Scenario(3, (5, 5))
    problem = scenario.problem(mu=0.5)
    clean = solve(problem, rtol=1e-12)
    rng = np.random.default_rng(6)
    scatter = []
    for _ in range(150):
        right = problem.noise(rng, (1.0, 1.0)) + problem.prior.draw(rng)
        scatter.append(
            conjugate_gradients(problem.normal, right, lambda x: x, rtol=1e-6, max_iterations=2000)[0]
        )
    measured = np.einsum("siyx,sjyx->ij", scatter, scatter) / (150 * np.prod(scenario.shape))
    np.testing.assert_allclose(
        measured, clean.blocks.covariance, rtol=0.15, atol=0.03 * np.abs(measured).max()
    )


def test_effective_parameters_add_up():
    scenario = Scenario(3, (5, 5))
    tight = solve(scenario.problem(mu=1e-10))
    loose = solve(scenario.problem(mu=1e3))
    n = scenario.coefficients.size
    assert tight.blocks.cube_parameters + tight.blocks.image_parameters == pytest.approx(n, rel=1e-3)
    assert loose.blocks.cube_parameters + loose.blocks.image_parameters < 0.3 * n
