"""The weights of the instruments and of the regularization, from the data."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import rfft2
from scipy.ndimage import gaussian_filter
from scipy.special import ndtri

from .solver import solve, solve_each

if TYPE_CHECKING:
    from .objective import Problem
    from .settings import FusionSettings
    from .solver import Solution

__all__ = [
    "LEAST_VARIANCE",
    "LOOSER",
    "relative_strength",
    "residual_variances",
    "robust_variance",
    "solve_and_weigh",
]

log = logging.getLogger(__name__)

#: Smallest number of degrees of freedom of the residuals, as a share of the data. Judged.
MIN_FREEDOM = 0.05

#: Median of the chi-squared distribution with one degree of freedom. Derived.
CHI2_MEDIAN = float(ndtri(0.75)) ** 2

#: Least variance of an instrument's residuals in units of the stated one. Noise that drizzle shares between
#: neighbours is small in each pixel, and what the residuals do not show of it has gone into the scene.
#: Judged.
LEAST_VARIANCE = 1.0

#: Updates of the weights that turn squared gradients into lengths, and of the prior's strength. Judged.
PRIOR_UPDATES = 2

#: Largest strength of the prior in units of the one that was measured on the cube. The typical cell of a
#: field is one of its empty parts if they are larger than those with structure. Judged.
MOST_STRENGTH = 1.0

#: Least strength of the prior in a cell over the typical one: with less, the solution follows the errors of
#: the PSFs about stars. Judged.
LEAST_LOCAL_STRENGTH = 0.2

#: Tolerance of the solutions from which the strength is found. Judged.
STRENGTH_RTOL = 0.03

#: Standard deviation of the Gaussian over which the strength is averaged before its log [cells]. Judged.
STRENGTH_SMOOTHING = 2.0

#: Standard deviation of the Gaussian over which the strength of a cell is averaged [cells]: more than the
#: PSFs of the images, so that a single draw tells it. Judged.
LOCAL_SMOOTHING = 4.0

#: Tolerance of the solutions that only serve to find the weights, over that of the last. Judged.
LOOSER = 10.0


def solve_and_weigh(
    problem: Problem, settings: FusionSettings, solution: Solution | None = None
) -> tuple[Problem, Solution, list]:
    """
    Solve, with the variance of each instrument's residuals as its weight.

    A misjudged PSF or an optimistic error appears as residuals beyond the stated noise. Their variance,
    their median square over its share of freedom, becomes the instrument's noise in the next solution
    (variance components, by fixed point), unless the stated noise is larger. The median keeps stars, where a
    wrong PSF shows most, from speaking for the field. The strength of the prior follows from the structure
    of the scene (`relative_strength`).

    Parameters
    ----------
    problem : Problem
        The objective with weights from the stated noise.
    settings : FusionSettings
        Settings; a given ``gamma`` is kept, and only the common level is estimated. A given ``mu`` is kept.
    solution : Solution, optional
        Solution of a similar problem, from which to start.

    Returns
    -------
    problem : Problem
        With the final weights.
    solution : Solution
        Its minimiser.
    history : list of tuple of float
        For each solution the weight of NIRSpec over NIRCam that it was made with, and the one that its
        residuals imply.
    """
    history = []
    tuned = settings.tuning == "variance_components"
    reweightings = settings.reweightings if tuned else 0
    lengths = PRIOR_UPDATES if problem.prior.alignment is not None else 0
    strengths = PRIOR_UPDATES if tuned and settings.mu is None else 0
    strength, local = 1.0, np.ones(problem.groups.shape)
    updates = max(reweightings, lengths, strengths)
    for update in range(updates + 1):
        start: np.ndarray | None = None if solution is None else solution.coefficients
        rtol = settings.rtol if update == updates else min(LOOSER * settings.rtol, 0.1)
        solution = solve(problem, start=start, rtol=rtol, max_iterations=settings.max_iterations)
        variances = [max(variance, LEAST_VARIANCE) for variance in residual_variances(problem, solution)]
        history.append((problem.cube_factor / problem.image_factor, variances[0] / variances[1]))
        prior = problem.prior
        if update < strengths:
            typical, ratio = relative_strength(problem, solution)
            change = min(typical, MOST_STRENGTH / strength)
            prior, strength = prior.scaled(change), strength * change
            local = np.clip(local * ratio, LEAST_LOCAL_STRENGTH, 1.0)
        if update < lengths:
            prior = prior.updated(solution.coefficients, problem.image_term.seen, local)
        problem = replace(problem, prior=prior)
        if update < reweightings:
            gamma = settings.gamma or variances[0] / variances[1]
            problem = replace(problem, image_factor=1.0 / variances[0], cube_factor=gamma / variances[0])
            log.debug(
                "Residuals over stated noise: images %.3g, cube %.3g",
                variances[0] ** 0.5,
                variances[1] ** 0.5,
            )
    if strengths:
        log.info("Strength of the regularization (mu), from the data: %.2g", strength)
    log.debug("%d iterations to a residual of %.1e", solution.iterations, solution.residual)
    if not solution.converged:
        log.warning(
            "No convergence in %d iterations: residual %.1e, requested %.1e; raise max_iterations",
            solution.iterations, solution.residual, settings.rtol,
        )  # fmt: skip
    return problem, solution, history


def relative_strength(problem: Problem, solution: Solution) -> tuple[float, np.ndarray]:
    """
    Find how strong the prior should be, relative to what it is, in the field and in each cell.

    The structure that the prior takes from the solution c, ``t = inverse(N) P c``, is compared with what it
    takes from the solution of a scene as it expects it, observed with noise; N is the matrix of the
    objective, P that of the prior. On average ``t^T P c`` is the same for both where Stein's unbiased
    estimate of the error of the predicted data (Stein 1981) has its minimum. It is averaged over neighbouring
    cells, and the typical strength follows from geometric means over the cells that an image sees: sums would
    speak for stars and edges alone. About these the strength is lower if their own averages say so.

    Parameters
    ----------
    problem : Problem
        The objective.
    solution : Solution
        Its minimiser.

    Returns
    -------
    typical : float
        Strength over the present one; one where no image looks.
    local : ndarray, shape (ny, nx)
        Strength in each cell, over the present one and over the typical change.
    """
    prior, seen, rng = problem.prior, problem.image_term.seen, np.random.default_rng(0)
    present = prior.apply(solution.coefficients)
    noise = problem.noise(rng, (1.0 / problem.image_factor, 1.0 / problem.cube_factor))
    right_hand_sides = present, prior.draw(rng), noise
    taken, bias, error = solve_each(problem, solution, right_hand_sides, STRENGTH_RTOL)
    # P times the solution of a scene a that is drawn, a - bias + error
    expected = problem.data_normal(bias) + prior.apply(error)
    (taken_then,) = solve_each(problem, solution, (expected,), STRENGTH_RTOL)
    products = ((taken_then * expected).sum(axis=0), (taken * present).sum(axis=0))
    smooth = [gaussian_filter(product, STRENGTH_SMOOTHING, mode="wrap") for product in products]
    positive = [product[seen & (product > 0)] for product in smooth]
    if not all(product.size for product in positive):
        return 1.0, np.ones(seen.shape)
    means = [float(np.log(product).mean()) for product in positive]
    typical = math.exp(means[0] - means[1])
    over, under = (gaussian_filter(product, LOCAL_SMOOTHING, mode="wrap") for product in products)
    known = seen & (over > 0) & (under > 0)
    return typical, np.where(known, over, typical) / np.where(known, under, 1.0) / typical


def residual_variances(problem: Problem, solution: Solution) -> tuple[float, float]:
    """
    Variance of each instrument's residuals in units of its stated variance.

    Parameters
    ----------
    problem : Problem
        The objective.
    solution : Solution
        Its minimiser.

    Returns
    -------
    image_variance, cube_variance : float
        One where residuals are as large as the stated noise. The cube's are those of its coefficients
        in the subspace.
    """
    spectrum = rfft2(solution.coefficients)
    image, cube = problem.image_term, problem.cube_term
    squares = (image.weight * (image.data - image.predict(spectrum)) ** 2)[image.weight > 0]
    seen = squares.size / image.weight.size
    image_variance = robust_variance(squares, seen * solution.blocks.image_parameters)
    squares = cube.squares(spectrum)
    cube_variance = robust_variance(squares, cube.weight.mean() * solution.blocks.cube_parameters)
    return image_variance, cube_variance


def robust_variance(squares: np.ndarray, parameters: float) -> float:
    """
    Find a variance from the median of squared residuals.

    Parameters
    ----------
    squares : ndarray, shape (n,)
        Squared residuals.
    parameters : float
        Number of parameters that they determine.

    Returns
    -------
    float
        Variance, for the freedom that the parameters leave.
    """
    freedom = max(1.0 - parameters / squares.size, MIN_FREEDOM)
    return float(np.median(squares)) / (CHI2_MEDIAN * freedom)
