"""The posterior covariance of the coefficients, cell by cell."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import rfft2
from scipy.ndimage import gaussian_filter

from jwst_fusion.limits import available_threads

from .solver import conjugate_gradients
from .tuning import residual_variances

if TYPE_CHECKING:
    from collections.abc import Callable

    from .objective import Problem
    from .solver import Solution

__all__ = ["Posterior", "blurred", "posterior"]

#: Tolerance of a draw. Judged.
SAMPLE_RTOL = 0.03

#: Standard deviation of the Gaussian over which the draws are averaged [cells]. Judged.
SMOOTHING = 1.5

#: Variance that noise has in what the solution makes of it, over what the residuals show of each pixel: the
#: drizzle of images and cubes shares noise between neighbours, and the solution sums over them. Judged.
SHARED_NOISE = 1.5

#: Bounds of the local growth of the residuals that the errors follow. Judged.
GROWTH_RANGE = (0.25, 100.0)

#: Cells over which residuals are averaged, as the standard deviation of a Gaussian. Judged.
RESIDUAL_SMOOTHING = 2.0


#: Number of terms of the series for the bias of the prior. It converges where the data constrain the scene,
#: and would not converge elsewhere. Judged.
SERIES_TERMS = 3

#: Weight of the last term, which represents all following terms. Without it ERR covered 0.57 of the true
#: values on the average of ten scenes. Measured.
LAST_TERM = 3.0

#: Largest number of draws that are kept: errors computed from them are then accurate to 14 %. Derived.
KEPT_DRAWS = 24


@dataclass(frozen=True, eq=False)
class Posterior:
    """
    Covariance of the coefficients of each cell.

    Attributes
    ----------
    covariance : ndarray, shape (k, k, ny, nx)
        Posterior covariance, larger where residuals are.
    prior_share : ndarray, shape (ny, nx)
        Share of the first component's variance that comes from the regularization, not from noise.
    draws : ndarray, shape (n_draw, k, ny, nx), or None
        Errors of the coefficients, each as likely as any other: the mean of their products is the covariance
        before it is averaged over cells, and between cells too. None without draws.
    """

    covariance: np.ndarray
    prior_share: np.ndarray
    draws: np.ndarray | None = None


def posterior(
    problem: Problem,
    solution: Solution,
    n_samples: int,
    *,
    absolute: bool = True,
    seed: int = 0,
    blur: Callable | None = None,
) -> Posterior:
    """
    Estimate the covariance of the errors of each cell.

    The solution's error is linear in the noise of the data and in the scene a: ``inverse(N) (H^T W noise -
    P a)``, with N the matrix of the objective and P that of its prior. The first part comes from draws of
    noise as large as the residuals say (perturb and optimise; Papandreou and Yuille 2010); masks and edges
    count in full. The second, the bias of the smoothing, is computed from the solution itself: what the
    prior takes from it, from that again, and so on, is a series that tends to what it took from the scene
    where the data see it (`smoothing_error`); where no image looks, it is what draws of the prior
    leave. All are averaged over neighbouring cells, follow the
    squared residuals of the images over their typical size, which are large about stars when the PSF is
    wrong, and grow with the residuals of the cube where these exceed its noise.

    Parameters
    ----------
    problem : Problem
        The objective with its final weights.
    solution : Solution
        Its minimiser.
    n_samples : int
        Number of draws; 0: the covariance of a field without masks and edges, the same in all cells.
    absolute : bool, optional
        Whether the problem's weights stand for the noise itself; else for its ratios, and the residuals of
        the images tell its level.
    seed : int, optional
        Seed of the draws.
    blur : callable, optional
        Blurs errors of shape (k, ny, nx) to the beam that the covariance is wanted at; it needs draws.

    Returns
    -------
    Posterior
        The covariance.
    """
    k, shape = len(problem.prior.matrix), problem.groups.shape
    growth = residual_growth(problem, solution)
    images, cube = residual_variances(problem, solution)
    if n_samples == 0:
        covariance = np.broadcast_to(solution.blocks.covariance[:, :, np.newaxis, np.newaxis], (k, k, *shape))
        return Posterior((1.0 if absolute else images) * growth * covariance, np.zeros(shape))
    rng = np.random.default_rng(seed)
    variances = SHARED_NOISE * images, SHARED_NOISE * cube
    blur = blur or (lambda error: error)

    def left(draws, kept):
        errors = map(blur, _solve_each(problem, solution, draws))
        return (_keep(error, kept) for error in errors)

    seen = problem.image_term.seen
    noises: list[np.ndarray] = []
    noise = _mean_product(left((problem.noise(rng, variances) for _ in range(n_samples)), noises), n_samples)
    smoothing = blur(smoothing_error(problem, solution))
    bias = _mean_product([smoothing], 1)
    surroundings: list[np.ndarray] = []
    if not seen.all():
        n_unseen = (n_samples + 2) // 3
        left_open = left((problem.prior.draw(rng) for _ in range(n_unseen)), surroundings)
        bias = np.where(seen, bias, _mean_product(left_open, n_unseen))
    share = bias[0, 0] / np.maximum(noise[0, 0] + bias[0, 0], np.finfo(float).tiny)
    level = max(cube, 1.0) if absolute else 1.0
    drawn = _likely_errors(noises, np.where(seen, smoothing, 0.0), surroundings, ~seen)
    drawn *= np.sqrt(growth * level).astype(np.float32)
    return Posterior((noise + bias) * growth * level, share, drawn)


def _keep(error, kept):
    """Append an error to those that are kept, unless there are enough; return it."""
    if len(kept) < KEPT_DRAWS:
        kept.append(error.astype(np.float32))
    return error


def _likely_errors(noises, smoothing, surroundings, unseen):
    """
    Make equally likely errors of those by noise, the one by smoothing and those where no image looks.

    The error by smoothing is one, of which the sign alone is unknown. A rotation in the space of the errors
    leaves the sum of their products as it is, and gives each a part of it.
    """
    errors = np.empty((len(noises) + 1, *smoothing.shape), dtype=np.float32)
    for i, noise in enumerate(noises):
        errors[i] = noise
        if surroundings:
            errors[i] += unseen * surroundings[i % len(surroundings)]
    errors[:-1] /= np.sqrt(len(noises))
    errors[-1] = smoothing
    number = len(errors)
    normal = np.random.default_rng(number).standard_normal((number, number))
    rotation = (np.linalg.qr(normal)[0] * np.sqrt(number)).astype(np.float32)
    for i in range(errors.shape[1]):  # one component at a time, in place
        errors[:, i] = np.tensordot(rotation, errors[:, i], axes=1)
    return errors


def blurred(coefficients: np.ndarray, beam: float | None, cell_size: float, mode: str = "wrap") -> np.ndarray:
    """
    Blur coefficients to a Gaussian beam.

    Parameters
    ----------
    coefficients : ndarray, shape (k, ny, nx)
        Coefficients.
    beam : float or None
        FWHM [arcsec]; None: they are returned as they are.
    cell_size : float
        Side of a cell [arcsec].
    mode : str, optional
        What lies beyond the edges, as in `scipy.ndimage.gaussian_filter`; by default the grid is periodic.

    Returns
    -------
    ndarray, shape (k, ny, nx)
        Blurred coefficients.
    """
    if beam is None:
        return coefficients
    sigma = beam / np.sqrt(8 * np.log(2)) / cell_size
    return gaussian_filter(coefficients, (0, sigma, sigma), mode=mode)


def _mean_product(errors, number):
    """Mean over errors (k, ny, nx), and over neighbouring cells, of the products of their coefficients."""
    total = sum(error[:, np.newaxis] * error for error in errors)
    return gaussian_filter(total / number, (0, 0, SMOOTHING, SMOOTHING), mode="wrap")


def smoothing_error(problem: Problem, solution: Solution) -> np.ndarray:
    """
    Estimate what the prior takes from the scene.

    Parameters
    ----------
    problem : Problem
        The objective.
    solution : Solution
        Its minimiser.

    Returns
    -------
    ndarray, shape (k, ny, nx)
        Scene less solution, as far as the terms of the series ``sum_j (inverse(N) P)^j solution`` show it.
    """
    term, total = solution.coefficients, np.zeros_like(solution.coefficients)
    for j in range(SERIES_TERMS):
        term = _solve_roughly(problem, solution, problem.prior.apply(term))
        total += term if j < SERIES_TERMS - 1 else LAST_TERM * term
    return total


def _solve_each(problem, solution, right_hand_sides):
    """Solve for each right-hand side in turn, as many at a time as threads are granted."""
    threads = available_threads()
    with ThreadPoolExecutor(threads) as pool:
        while some := list(islice(right_hand_sides, threads)):
            yield from pool.map(partial(_solve_roughly, problem, solution), some)


def _solve_roughly(problem, solution, right_hand_side):
    """Solve to a tolerance far below the scatter of few draws."""
    return conjugate_gradients(
        problem.normal, right_hand_side, solution.blocks.apply, rtol=SAMPLE_RTOL, max_iterations=50
    )[0]


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
