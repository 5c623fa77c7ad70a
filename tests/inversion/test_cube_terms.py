"""Several cubes in one objective: a sum of data terms, each cube with spaxels of its own."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.fft import irfft2, rfft2

from jwst_fusion.inversion.cube_terms import CubeTerms
from jwst_fusion.inversion.solver import Blocks, conjugate_gradients, solve
from jwst_fusion.observation import CubeData, FusionGrid, Observation
from jwst_fusion.optics.transfer import ifu_transfer

from .scenario import Scenario


def masked(term, columns):
    """A term that sees the given columns only."""
    weight = np.zeros_like(term.weight)
    weight[:, columns] = 1.0
    return replace(term, weight=weight)


def test_one_cube_among_several_is_that_cube():
    scenario = Scenario()
    problem = scenario.problem()
    spectrum = rfft2(scenario.coefficients)
    one, term = problem.cube_term, CubeTerms((problem.cube_term,))
    np.testing.assert_array_equal(term.predict(spectrum), one.predict(spectrum))
    np.testing.assert_array_equal(term.adjoint(one.data), one.adjoint(one.data))
    np.testing.assert_array_equal(term.factor(), one.factor())
    assert term.chi2(0.9 * spectrum) == one.chi2(0.9 * spectrum)
    np.testing.assert_array_equal(term.squares(0.9 * spectrum), one.squares(0.9 * spectrum).ravel())


def test_adjoint():
    scenarios = Scenario(seed=1), Scenario(seed=2)
    term = CubeTerms(tuple(scenario.problem().cube_term for scenario in scenarios))
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=scenarios[0].coefficients.shape), rng.normal(size=term.data.shape)
    backward = np.vdot(x, irfft2(term.adjoint(y), s=scenarios[0].shape))
    assert np.vdot(term.predict(rfft2(x)), y) == pytest.approx(backward, rel=1e-12)


def test_two_halves_of_a_field_are_as_good_as_the_whole():
    """Two cubes that each see a part of the field, exact data: the solution is that of the whole cube."""
    scenario = Scenario(3, (6, 8))
    problem = scenario.problem(mu=1e-3)
    halves = CubeTerms((masked(problem.cube_term, slice(0, 4)), masked(problem.cube_term, slice(4, 8))))
    whole = solve(problem, rtol=1e-10)
    parts = solve(replace(problem, cube_term=halves), rtol=1e-10)
    assert parts.converged
    scale = np.abs(whole.coefficients).max()
    np.testing.assert_allclose(parts.coefficients, whole.coefficients, atol=1e-6 * scale)


def test_a_cube_that_is_there_twice_counts_twice():
    scenario = Scenario()
    problem = scenario.problem(mu=0.7)
    twice = replace(problem, cube_term=CubeTerms((problem.cube_term,) * 2))
    x = np.random.default_rng(4).normal(size=scenario.coefficients.shape)
    doubled = replace(problem, cube_factor=2.0 * problem.cube_factor)
    np.testing.assert_allclose(twice.normal(x), doubled.normal(x), atol=1e-9 * np.abs(x).max())
    x -= x.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(Blocks(twice).apply(twice.normal(x)), x, atol=1e-8 * np.abs(x).max())


def test_a_cube_may_see_combinations_of_the_coefficients():
    """Those of a grating are combinations of the scene's: operator, adjoint and blocks take them so."""
    scenario = Scenario()
    problem = scenario.problem(mu=0.7)
    rng = np.random.default_rng(6)
    mixing = rng.normal(size=(2, 3))
    term = replace(problem.cube_term, mixing=mixing)
    x = rng.normal(size=(3, *scenario.shape))
    own = problem.cube_term.predict(rfft2(np.tensordot(mixing, x, axes=1)))
    np.testing.assert_allclose(term.predict(rfft2(x)), own, atol=1e-12 * np.abs(own).max())
    y = rng.normal(size=term.data.shape)
    backward = np.vdot(x, irfft2(term.adjoint(y), s=scenario.shape))
    assert np.vdot(own, y) == pytest.approx(backward, rel=1e-12)
    image = problem.image_term
    mixed = replace(
        problem,
        cube_term=term,
        image_term=replace(image, transfer=np.einsum("fkyx,kj->fjyx", image.transfer, mixing)),
        prior=replace(problem.prior, matrix=0.7 * np.eye(3)),
    )
    x -= x.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(Blocks(mixed).apply(mixed.normal(x)), x, atol=1e-8 * np.abs(x).max())


def test_noise_is_lower_where_two_pointings_look():
    """By the root of two for what no image sees, and beside the seam it is as high as elsewhere."""
    scenario = Scenario(3, (6, 12))
    problem = scenario.problem(mu=1e-3)
    whole, image = replace(problem.cube_term, noise=np.ones((6, 12))), problem.image_term
    transfer = image.transfer.copy()
    transfer[:, 1] = 0.0
    parts = CubeTerms((masked(whole, slice(0, 8)), masked(whole, slice(4, 12))))
    problem = replace(problem, cube_term=parts, image_term=replace(image, transfer=transfer))
    blocks, rng = Blocks(problem), np.random.default_rng(7)
    errors = []
    for _ in range(60):
        drawn = problem.noise(rng, (1.0, 1.0))
        error = conjugate_gradients(problem.normal, drawn, blocks.apply, rtol=1e-3)[0][1]
        errors.append(error.reshape(6, 3, 12, 3).mean(axis=(1, 3)))
    columns = np.sqrt(np.mean(np.square(errors), axis=(0, 1)))
    single = columns[[1, 2, 9, 10]].mean()
    assert columns[4:8].mean() / single == pytest.approx(0.5**0.5, abs=0.09)  # 60 draws, and the prior
    assert columns[[3, 8]].max() < 1.15 * single


@pytest.mark.parametrize("d", [2, 3])
def test_a_shift_by_a_whole_spaxel_is_that_spaxel(d):
    """And a shift along x moves what the cube sees along x, to where the next spaxel is."""
    shape = (8 * d, 9 * d)
    grid = FusionGrid(shape, d, np.diag([-0.1 / d, 0.1 / d]), (83.8, -5.4))
    empty = np.zeros((3, 8, 9))
    cube = CubeData(empty, empty, np.array([1.7, 1.8, 1.9]), np.ones(3), np.ones((8, 9), bool), 20.0, 158.97)
    scene = rfft2(np.random.default_rng(5).normal(size=shape))

    def seen(shift):
        observation = Observation(grid, replace(cube, shift=shift), ())
        return irfft2(ifu_transfer(observation, shape).nirspec[0] * scene, s=shape)

    np.testing.assert_allclose(seen((0, d)), np.roll(seen((0, 0)), -d, axis=1), atol=1e-9)
    np.testing.assert_allclose(seen((d, 0)), np.roll(seen((0, 0)), -d, axis=0), atol=1e-9)
    half = seen((0.0, 0.5))
    assert np.abs(half - seen((0, 0))).max() > 1e-3
    np.testing.assert_allclose(seen((0.0, 1.0)), np.roll(seen((0, 0)), -1, axis=1), atol=1e-9)
