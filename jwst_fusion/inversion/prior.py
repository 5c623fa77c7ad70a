"""The prior of the scene: how the gradients of its components are distributed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from .regularization import (
    MIN_GRADIENT,
    STEEPNESS_RANGE,
    between_cells,
    interior,
    noise_gradient,
    upsample,
    within,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Prior", "gradient_power", "local_mixture", "reweighted"]

#: Standard deviation of the Gaussian over which products of the cube's gradients are averaged [spaxels]:
#: the resolution of the IFU, below which the cube cannot show which spectra change together. Derived.
MIXTURE_SMOOTHING = 1.0

#: Least variance of a direction among the components' gradients over the mean of all directions. Judged.
LEAST_SHARE = 0.01

#: Share of the smoothing over known cells from which the mixture of a cell is known. Judged.
MIN_SHARE = 0.02


@dataclass(frozen=True, eq=False)
class Prior:
    """
    Penalty of the gradients of the components (paper, Eq. C.2, with matrices as weights).

    ``sum_x e(x) g(x)^T A(x) g(x)``, over the differences g between neighbouring cells along both axes.

    Attributes
    ----------
    matrix : ndarray, shape (k, k)
        Matrix M: inverse covariance of the gradients, times the strength mu.
    gradient : ndarray, shape (ny, nx // 2 + 1)
        Squared transfer function of the gradient.
    edges : ndarray, shape (2, ny, nx), or None
        Weights e of the differences to the next cell along y and along x; None: one everywhere.
    alignment : ndarray, shape (2, k, k, ny, nx), or None
        Matrices A of these differences, ``M^(1/2) D^(-1/2) M^(1/2)``: the gradients' local covariance is D
        in units of the one that M was taken from. None: M everywhere.
    """

    matrix: np.ndarray
    gradient: np.ndarray
    edges: np.ndarray | None = None
    alignment: np.ndarray | None = None

    @cached_property
    def root(self) -> np.ndarray:
        """Symmetric square root of the matrix M, shape (k, k)."""
        values, axes = np.linalg.eigh(self.matrix)
        return (axes * np.sqrt(np.maximum(values, 0.0))) @ axes.T

    @cached_property
    def typical(self) -> np.ndarray:
        """Penalty of each frequency with the same weight in all cells, (k, k, ny, nx // 2 + 1)."""
        level = 1.0 if self.edges is None else np.exp(np.log(self.edges).mean())
        matrix = self.matrix if self.alignment is None else self.alignment.mean((0, 3, 4))
        return matrix[:, :, np.newaxis, np.newaxis] * (level * self.gradient)

    def apply(self, coefficients: np.ndarray) -> np.ndarray:
        """Apply the matrix of the penalty to coefficients of shape (k, ny, nx)."""
        return _divergence(self._weigh(_steps(coefficients)))

    def energy(self, coefficients: np.ndarray) -> float:
        """Penalty of coefficients of shape (k, ny, nx)."""
        steps = _steps(coefficients)
        return float(sum((a * b).sum() for a, b in zip(steps, self._weigh(steps), strict=True)))

    def draw(self, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """
        Apply the matrix of the penalty to a random scene whose gradients are as the prior expects them.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness.
        shape : tuple of int
            Cells (ny, nx).

        Returns
        -------
        ndarray, shape (k, ny, nx)
            With covariance ``M^(-1/2) D M^(-1/2)`` of the gradients, A times them is ``M^(1/2)`` times white
            noise, whatever D is.
        """
        edges = (1.0, 1.0) if self.edges is None else self.edges
        steps = [np.sqrt(e) * rng.standard_normal((len(self.matrix), *shape)) for e in edges]
        return np.tensordot(self.root, _divergence(steps), axes=1)

    def _weigh(self, steps):
        """Weights times differences along y and along x."""
        if self.edges is not None:
            steps = [e * step for e, step in zip(self.edges, steps, strict=True)]
        if self.alignment is None:
            return [np.tensordot(self.matrix, step, axes=1) for step in steps]
        return [np.einsum("ijyx,jyx->iyx", a, step) for a, step in zip(self.alignment, steps, strict=True)]


def gradient_power(shape: tuple[int, int]) -> np.ndarray:
    """
    Squared transfer function of the first differences along both axes.

    Parameters
    ----------
    shape : tuple of int
        Cells (ny, nx).

    Returns
    -------
    ndarray, shape (ny, nx // 2 + 1)
        ``4 sin^2(pi f_y) + 4 sin^2(pi f_x)``.
    """
    ny, nx = shape
    rows = 4 * np.sin(np.pi * np.fft.fftfreq(ny)) ** 2
    columns = 4 * np.sin(np.pi * np.fft.rfftfreq(nx)) ** 2
    return rows[:, np.newaxis] + columns[np.newaxis, :]


def reweighted(prior: Prior, coefficients: np.ndarray, seen: np.ndarray) -> Prior:
    """
    Count squared gradients as lengths: one step of half-quadratic minimisation.

    Each cell's gradient is weighed by the inverse of its own length ``(g^T M g)^(1/2)``, in units of the
    typical one, at the present solution (Pineau et al. 2025).

    Parameters
    ----------
    prior : Prior
        The prior; its matrix M measures the length.
    coefficients : ndarray, shape (k, ny, nx)
        Present solution.
    seen : ndarray of bool, shape (ny, nx)
        Cells that an image sees.

    Returns
    -------
    Prior
        With new weights ``edges``.
    """
    scene = np.tensordot(prior.root, coefficients, axes=1)
    squared = _over_steps(scene, lambda steps: (steps**2).sum(axis=0))
    level = max(float(squared[seen].mean()), MIN_GRADIENT)
    length = np.sqrt(np.clip(squared / level, *STEEPNESS_RANGE))
    return replace(prior, edges=between_cells(length[seen].mean() / length))


def local_mixture(
    coefficients: np.ndarray, spaxels: np.ndarray, d: int, prior: Prior, shape: tuple[int, int]
) -> Prior:
    """
    Find which components change together about each cell, from the cube itself.

    The penalty with ``A = M^(1/2) D^(-1/2) M^(1/2)`` is a nuclear norm (total nuclear variation, Holt 2014;
    structure tensors, Lefkimmiatis et al. 2015): about a star, gradients along the star's own spectrum are
    cheap, and those of a line that it does not have are not; where a line shifts, its shift is tied to the
    light that the images see. D is measured on the cube, which sees all components with one resolution and
    a known noise, and not on the solution, whose noise would count as structure: of the products of the
    gradients, averaged over the resolution of the IFU, what noise alone can reach (the edge of Marchenko
    and Pastur 1967 for the spaxels averaged) is dropped, and the mean of the noise taken from the rest.

    Parameters
    ----------
    coefficients : ndarray, shape (k, my, mx)
        Coefficients of the cube, with unit noise.
    spaxels : ndarray of bool, shape (my, mx)
        Spaxels with data.
    d : int
        Cells per spaxel along an axis.
    prior : Prior
        The prior without alignment.
    shape : tuple of int
        Cells (ny, nx) of the periodic grid that holds the spaxels at its lower left corner.

    Returns
    -------
    Prior
        With matrices ``alignment``.
    """
    k, width = len(coefficients), MIXTURE_SMOOTHING * d
    inside = interior(spaxels, d)
    products = _over_steps(upsample(coefficients, d), lambda steps: steps[:, np.newaxis] * steps)
    share = gaussian_filter(inside.astype(float), width)
    products = gaussian_filter(products * inside, (0, 0, width, width)) / np.maximum(share, MIN_SHARE)
    values, axes = np.linalg.eigh(np.moveaxis(products, (0, 1), (-2, -1)))
    noise, averaged = noise_gradient(d), 2 * 4 * np.pi * MIXTURE_SMOOTHING**2
    edge = noise * (1 + np.sqrt(k / averaged)) ** 2
    values = np.where(values > edge, values - noise, 0.0)
    axes = prior.root @ axes
    values, axes = np.linalg.eigh((axes * values[..., np.newaxis, :]) @ np.swapaxes(axes, -1, -2))
    mean = values.mean(axis=-1, keepdims=True)
    known = (mean > 0) & (share > MIN_SHARE)[..., np.newaxis]
    values = np.where(known, np.maximum(values / np.where(known, mean, 1.0), LEAST_SHARE), 1.0)
    values /= values.mean(axis=-1, keepdims=True)
    typical = np.exp(np.log(values[known[..., 0]]).mean() / 2) if known.any() else 1.0
    axes = prior.root @ axes
    at_cells = typical * (axes * values[..., np.newaxis, :] ** -0.5) @ np.swapaxes(axes, -1, -2)
    elsewhere = typical * prior.matrix[..., np.newaxis, np.newaxis]
    return replace(
        prior, alignment=between_cells(within(np.moveaxis(at_cells, (-2, -1), (0, 1)), shape, elsewhere))
    )


def _steps(fields):
    """Differences to the next cell along y and along x, periodic, of fields (k, ny, nx)."""
    return [np.roll(fields, -1, axis) - fields for axis in (1, 2)]


def _divergence(steps: Sequence[np.ndarray]) -> np.ndarray:
    """Adjoint of the differences, of fields (k, ny, nx) along y and along x."""
    return sum(np.roll(step, 1, axis) - step for axis, step in zip((1, 2), steps, strict=True))


def _over_steps(fields, product):
    """Sum over both axes of a product of differences, averaged over those to both neighbours of a cell."""
    total = 0.0
    for axis, steps in zip((1, 2), _steps(fields), strict=True):
        values = product(steps)
        total = total + (values + np.roll(values, 1, axis - 3)) / 2
    return total
