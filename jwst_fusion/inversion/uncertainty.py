"""The posterior covariance of the coefficients, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import rfft2
from scipy.ndimage import gaussian_filter

from .solver import conjugate_gradients
from .tuning import residual_variances

if TYPE_CHECKING:
    from .solver import Problem, Solution

__all__ = ["Posterior", "posterior"]

#: Tolerance of a draw: far below the scatter that few draws leave.
SAMPLE_RTOL = 0.03

#: Standard deviation of the Gaussian over which the draws are averaged [cells].
SMOOTHING = 1.5

#: Variance that noise has in what the solution makes of it, over what the residuals show of each pixel: the
#: drizzle of images and cubes shares noise between neighbours, and the solution sums over them.
SHARED_NOISE = 1.5

#: Bounds of the local growth of the residuals that the errors follow.
GROWTH_RANGE = (0.25, 100.0)

#: Cells over which residuals are averaged, as the standard deviation of a Gaussian.
RESIDUAL_SMOOTHING = 2.0


@dataclass(frozen=True, eq=False)
class Posterior:
    """
    Covariance of the coefficients of each cell.

    Attributes
    ----------
    covariance : ndarray, shape (k, k, ny, nx)
        Posterior covariance, larger where residuals are.
    prior_share : ndarray, shape (ny, nx)
        Share of the first component's variance that is the regularization's and not the noise's.
    """

    covariance: np.ndarray
    prior_share: np.ndarray


def posterior(
    problem: Problem,
    solution: Solution,
    n_samples: int,
    *,
    prior_scale: float = 1.0,
    absolute: bool = True,
    seed: int = 0,
) -> Posterior:
    """
    Estimate the posterior covariance of each cell by draws, or from the blocks.

    A draw is the error that noise of the data, as large as the residuals say, and gradients of the scene,
    as they were measured, make of the solution; masks and edges count in full (perturb and optimise;
    Papandreou and Yuille 2010). Where the regularization is the inverse of the measured covariance of the
    gradients this is the posterior covariance, else the error that the chosen regularization leaves. The
    covariance of few draws is smoothed over neighbouring cells. It follows the squared residuals of the
    images, over their typical size: they are large about stars when the PSF is wrong.

    Parameters
    ----------
    problem : Problem
        The objective with its final weights.
    solution : Solution
        Its minimiser.
    n_samples : int
        Number of draws; 0: the covariance of a field without masks and edges, the same in all cells.
    prior_scale : float, optional
        Regularization over the inverse of the measured covariance of the gradients.
    absolute : bool, optional
        Whether the problem's weights stand for the noise itself; else for its ratios, and the residuals of
        the images tell its level.
    seed : int, optional
        Seed of the draws.

    Returns
    -------
    Posterior
        The covariance.
    """
    k, shape = len(problem.regularization), problem.groups.shape
    growth = residual_growth(problem, solution)
    images, cube = residual_variances(problem, solution)
    level = 1.0 if absolute else images
    if n_samples == 0:
        covariance = np.broadcast_to(solution.blocks.covariance[:, :, np.newaxis, np.newaxis], (k, k, *shape))
        return Posterior(level * growth * covariance, np.zeros(shape))
    rng = np.random.default_rng(seed)
    variances = SHARED_NOISE * images, SHARED_NOISE * cube
    gradients = level * prior_scale
    sums = np.zeros((2, k, k, *shape))
    for _ in range(n_samples):
        for total, perturbation in zip(sums, problem.perturbation(rng, variances, gradients), strict=True):
            draw, _, _ = conjugate_gradients(
                problem.normal, perturbation, solution.blocks.apply, rtol=SAMPLE_RTOL, max_iterations=50
            )
            total += draw[:, np.newaxis] * draw / n_samples
    data, prior = gaussian_filter(sums, (0, 0, 0, SMOOTHING, SMOOTHING), mode="wrap")
    share = prior[0, 0] / np.maximum(data[0, 0] + prior[0, 0], np.finfo(float).tiny)
    return Posterior((data + prior) * growth, share)


def residual_growth(problem: Problem, solution: Solution) -> np.ndarray:
    """
    Squared residuals of the images, over their noise, relative to their typical size.

    Parameters
    ----------
    problem : Problem
        The objective.
    solution : Solution
        Its minimiser.

    Returns
    -------
    ndarray, shape (ny, nx)
        Mean over the bands of the smoothed squared residual over its median.
    """
    image = problem.image_term
    predicted = image.predict(rfft2(solution.coefficients))
    total, count = np.zeros(problem.groups.shape), np.zeros(problem.groups.shape)
    for data, model, weight, noise in zip(image.data, predicted, image.weight, image.noise, strict=True):
        known = (weight > 0).astype(float)
        if not known.any():
            continue
        relative = known * (data - model) / np.where(noise > 0, noise, 1.0)
        squares = gaussian_filter(relative**2, RESIDUAL_SMOOTHING, mode="constant")
        share = gaussian_filter(known, RESIDUAL_SMOOTHING, mode="constant")
        local = squares / np.maximum(share, 1e-3)
        typical = np.median(local[weight > 0])
        if typical > 0:
            total += known * local / typical
            count += known
    return np.clip(np.where(count > 0, total / np.maximum(count, 1), 1.0), *GROWTH_RANGE)
