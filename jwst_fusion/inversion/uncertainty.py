"""The posterior covariance of the coefficients, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import rfft2
from scipy.ndimage import gaussian_filter

from .solver import solve_each
from .tuning import residual_variances

if TYPE_CHECKING:
    from collections.abc import Callable

    from .objective import Problem
    from .solver import Solution

__all__ = ["Posterior", "blurred", "posterior"]

#: Tolerance of a draw of the noise, and of a draw of the prior, in which coarse structure is a small part.
#: Judged.
SAMPLE_RTOL = 0.03
PRIOR_RTOL = 0.003

#: Standard deviation of the Gaussian over which the draws are averaged [cells]: about the width of the PSFs
#: of the images. Judged.
SMOOTHING = 1.5

#: Standard deviations of the Gaussians between which the structure of the scene is measured [cells]: octaves
#: from half the width of the PSFs. Judged.
WIDTHS = (SMOOTHING / 2, SMOOTHING, 2 * SMOOTHING, 4 * SMOOTHING)

#: Octaves of fine structure that the images do not resolve, over which the scene goes on falling. Judged.
UNRESOLVED = 0.5

#: Draws of the noise for each draw of the prior, of which fewer are needed as its size is measured. Judged.
NOISE_DRAWS = 4

#: Bounds of the local growth of the residuals that the errors follow. Judged.
GROWTH_RANGE = (0.25, 100.0)

#: Cells over which residuals are averaged, as the standard deviation of a Gaussian. Judged.
RESIDUAL_SMOOTHING = 2.0

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
        Share of the first component's variance that comes from the regularization, not from noise, at about
        the resolution of the images: structure much smaller than their PSFs comes from the regularization
        everywhere.
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
    P a)``, with N the matrix of the objective and P that of its prior. Both parts come from draws (perturb
    and optimise; Papandreou and Yuille 2010): of noise as large as the residuals say, larger where the images
    have large residuals, as about stars when the PSF is wrong; and of scenes as the prior expects them,
    scaled to the structure of the scene at hand (`prior_scales`) where an image sees it. Masks and
    edges count in full. Covariances are averaged over neighbouring cells.

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
    variances = residual_variances(problem, solution)
    if n_samples == 0:
        covariance = np.broadcast_to(solution.blocks.covariance[:, :, np.newaxis, np.newaxis], (k, k, *shape))
        return Posterior((1.0 if absolute else variances[0]) * growth * covariance, np.zeros(shape))
    rngs = np.random.default_rng(seed).spawn(2)  # the draws are the same in any order
    blur = blur or (lambda error: error)

    drawn = (problem.noise(rngs[0], variances) for _ in range(n_samples))
    noise_draws = solve_each(problem, solution, drawn, SAMPLE_RTOL)
    n_priors = min(-(-n_samples // NOISE_DRAWS), KEPT_DRAWS)
    pilots = list(islice(noise_draws, n_priors))
    prior_draws = (problem.prior.draw(rngs[1]) for _ in range(n_priors))
    priors = list(solve_each(problem, solution, prior_draws, PRIOR_RTOL))
    scales = prior_scales(problem, solution, pilots, priors)
    priors = [blur(_rescaled(error, scales)) for error in priors]
    bias = _mean_product(priors, n_priors)
    kept: list[np.ndarray] = []
    noises = (_keep(blur(np.sqrt(growth) * error), kept) for error in chain(pilots, noise_draws))
    noise = _mean_product(noises, n_samples)
    levels = _resolved_power(kept[:n_priors]), _resolved_power(priors)
    share = levels[1] / np.maximum(levels[0] + levels[1], np.finfo(float).tiny)
    for i, error in enumerate(kept):
        error += priors[i % n_priors].astype(np.float32)
    return Posterior(noise + bias, share, np.stack(kept))


def _keep(error, kept):
    """Append an error to those that are kept, unless there are enough; return it."""
    if len(kept) < KEPT_DRAWS:
        kept.append(error.astype(np.float32))
    return error


def _resolved_power(errors):
    """Mean square of the first coefficient's errors at about the resolution of the images, (ny, nx)."""
    return _local_power(
        [gaussian_filter(error[:1], (0, SMOOTHING, SMOOTHING), mode="wrap") for error in errors]
    )


def _local_power(fields, width=SMOOTHING):
    """Mean over fields (k, ny, nx), and over neighbouring cells, of the sum of squares of a cell."""
    total = sum(np.einsum("iyx,iyx->yx", field, field) for field in fields)
    return gaussian_filter(total / len(fields), width, mode="wrap")


def _bands(field):
    """Differences of a field (k, ny, nx) between widths of Gaussians that double, and the smooth rest."""
    for width in WIDTHS:
        smooth = gaussian_filter(field, (0, width, width), mode="wrap")
        yield field - smooth
        field = smooth
    yield field


def _rescaled(error, scales):
    """Multiply the bands of an error by their scales."""
    return sum(np.sqrt(scale) * band for scale, band in zip(scales, _bands(error), strict=True))


def prior_scales(
    problem: Problem, solution: Solution, noises: list[np.ndarray], priors: list[np.ndarray]
) -> list[np.ndarray]:
    """
    Measure how much structure the scene has, relative to what the prior expects.

    From a solution c the prior takes ``t = inverse(N) P c``: the structure that the data resolve in part. It
    is compared with what the prior takes from solutions of scenes as it expects them. The solution of such
    a scene a has the error ``e = inverse(N) P a``, so that ``t = inverse(N) (N - P) e``. The part of t that
    the noise in the solution has is subtracted.

    Parameters
    ----------
    problem : Problem
        The objective with its final weights.
    solution : Solution
        Its minimiser.
    noises, priors : list of ndarray, shape (k, ny, nx)
        Errors that draws of the noise and draws of the prior make.

    Returns
    -------
    list of ndarray, shape (ny, nx)
        Variance of the scene over that of the prior, about each cell, for the structure below each of
        `WIDTHS` and for the smooth rest; one where no image looks.
    """
    prior = problem.prior
    taken = chain([prior.apply(solution.coefficients)], map(prior.apply, noises))
    first, *noise = solve_each(problem, solution, taken, PRIOR_RTOL)
    seen = map(problem.data_normal, priors)
    expected = list(solve_each(problem, solution, seen, PRIOR_RTOL))
    scales = []
    bands = (zip(*map(_bands, fields), strict=True) for fields in ([first], noise, expected))
    for width, *each in zip((*WIDTHS, 2 * WIDTHS[-1]), *bands, strict=True):
        powers = [_local_power(band, 2 * width) for band in each]
        scale = np.maximum(powers[0] - powers[1], 0.0) / np.maximum(powers[2], np.finfo(float).tiny)
        scales.append(np.where(problem.image_term.seen, scale, 1.0))
    fall = np.minimum(scales[1], scales[2]) / np.maximum(scales[2], np.finfo(float).tiny)
    return [scales[0] * fall**UNRESOLVED, *scales[1:]]


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
