"""Weights by which squared gradients count as lengths, from the present solution."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from .regularization import MIN_GRADIENT, STEEPNESS_RANGE, between_cells

if TYPE_CHECKING:
    from .solver import Problem

__all__ = ["count_lengths"]

#: Standard deviation of the Gaussian over which the solution, and then the products of its gradients, are
#: averaged for the local mixture [spaxels]: as far as the cube resolves which spectra change.
MIXTURE_SMOOTHING = 0.5

#: Least variance of a direction among the components' gradients over the mean of all directions.
LEAST_SHARE = 0.1


def count_lengths(problem: Problem, coefficients: np.ndarray, *, aligned: bool) -> Problem:
    """
    Let squared gradients count as lengths: one step of half-quadratic minimisation.

    Each cell's gradient is weighed by the inverse of its own length ``(g^T M g)^(1/2)``, in units of the
    typical one, at the present solution (Pineau et al. 2025). Aligned, it is weighed by the inverse square
    root of the local covariance of the components' gradients, which makes the penalty a nuclear norm
    (total nuclear variation, Holt 2014; structure tensors, Lefkimmiatis et al. 2015): where a star
    is steep, the gradients along its own spectrum are cheap, and those of a line that it does not have
    are not.

    Parameters
    ----------
    problem : Problem
        The objective; its matrix M measures the length.
    coefficients : ndarray, shape (k, ny, nx)
        Present solution.
    aligned : bool
        Whether the weights depend on which components change together.

    Returns
    -------
    Problem
        With new weights ``edges`` and matrices ``alignment``.
    """
    seen = (problem.image_term.weight > 0).any(axis=0)
    root = problem.root
    scene = np.tensordot(root, coefficients, axes=1)
    squared = _over_steps(scene, lambda steps: (steps**2).sum(axis=0))
    level = max(float(squared[seen].mean()), MIN_GRADIENT)
    length = np.sqrt(np.clip(squared / level, *STEEPNESS_RANGE))
    edges = between_cells(length[seen].mean() / length)
    if not aligned:
        return replace(problem, edges=edges)
    variances, directions = _local_mixture(scene, MIXTURE_SMOOTHING * problem.groups.decimation_factor)
    axes = root @ directions
    at_cells = np.einsum("yxil,yxl,yxjl->ijyx", axes, variances**-0.5, axes, optimize=True)
    typical = np.exp(np.log(variances[seen]).mean() / 2)
    return replace(problem, edges=typical * edges, alignment=between_cells(at_cells))


def _local_mixture(scene, width):
    """Variances (ny, nx, k), of mean one, and directions (ny, nx, k, k) of the gradients about each cell."""
    blurred = gaussian_filter(scene, (0, width, width), mode="wrap")
    products = _over_steps(blurred, lambda steps: steps[:, np.newaxis] * steps)
    products = gaussian_filter(products, (0, 0, width, width), mode="wrap")
    variances, directions = np.linalg.eigh(np.moveaxis(products, (0, 1), (-2, -1)))
    floor = LEAST_SHARE * variances.mean(axis=-1, keepdims=True) + np.finfo(float).tiny
    variances = np.maximum(variances, floor)
    return variances / variances.mean(axis=-1, keepdims=True), directions


def _over_steps(fields, product):
    """Sum over both axes of a product of differences, averaged over those to both neighbours of a cell."""
    total = 0.0
    for axis in (1, 2):
        values = product(np.roll(fields, -1, axis) - fields)
        total = total + (values + np.roll(values, 1, axis - 3)) / 2
    return total
