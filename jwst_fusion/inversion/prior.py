"""The prior of the scene: a quadratic penalty of the gradients of its components (paper, Eq. C.2)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from .cells import between_cells

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Prior", "gradient", "gradient_adjoint", "gradient_power"]

#: Mean squared gradient that is assumed for a uniform scene, in units of the noise. Judged.
MIN_GRADIENT = 1e-9

#: Bounds of the squared gradient over its mean. Judged.
STEEPNESS_RANGE = (0.05, 1e4)


def gradient(images: np.ndarray) -> np.ndarray:
    """
    Differences to the next cell, on a periodic grid.

    Parameters
    ----------
    images : ndarray, shape (..., ny, nx)
        Images.

    Returns
    -------
    ndarray, shape (2, ..., ny, nx)
        Differences along y, and along x.
    """
    return np.stack([np.roll(images, -1, axis) - images for axis in (-2, -1)])


def gradient_adjoint(steps: np.ndarray) -> np.ndarray:
    """
    Adjoint of `gradient`: minus the divergence.

    Parameters
    ----------
    steps : ndarray, shape (2, ..., ny, nx)
        Differences along y, and along x.

    Returns
    -------
    ndarray, shape (..., ny, nx)
        Images.
    """
    along_y, along_x = steps
    return (np.roll(along_y, 1, -2) - along_y) + (np.roll(along_x, 1, -1) - along_x)


def gradient_power(shape: tuple[int, int]) -> np.ndarray:
    """
    Squared transfer function of `gradient`.

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


@dataclass(frozen=True, eq=False)
class Prior:
    """
    Quadratic penalty of the gradients of the components, with matrices as weights.

    With G the `gradient` and W the weights (`weigh`), it is ``c^T G^T W G c = sum_x e(x) g(x)^T A(x) g(x)``
    over the differences ``g = G c`` between neighbouring cells. `apply` is its matrix ``G^T W G``.

    Attributes
    ----------
    matrix : ndarray, shape (k, k)
        Matrix M: inverse covariance of the gradients, times the strength mu.
    shape : tuple of int
        Cells (ny, nx) of the periodic grid.
    edges : ndarray, shape (2, ny, nx), or None
        Weights e of the differences along y and along x; None: one everywhere.
    alignment : ndarray, shape (2, k, k, ny, nx), or None
        Matrices A of these differences, ``M^(1/2) D^(-1/2) M^(1/2)``: the gradients' local covariance is D
        in units of the one that M was taken from. None: M everywhere.
    """

    matrix: np.ndarray
    shape: tuple[int, int]
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
        return matrix[:, :, np.newaxis, np.newaxis] * (level * gradient_power(self.shape))

    def weigh(self, steps: np.ndarray) -> np.ndarray:
        """Apply the weights W to differences of shape (2, k, ny, nx)."""
        if self.edges is not None:
            steps = self.edges[:, np.newaxis] * steps
        if self.alignment is None:
            return np.einsum("ij,ajyx->aiyx", self.matrix, steps, optimize=True)
        return np.einsum("aijyx,ajyx->aiyx", self.alignment, steps)

    def apply(self, coefficients: np.ndarray) -> np.ndarray:
        """Apply the matrix of the penalty to coefficients of shape (k, ny, nx)."""
        return gradient_adjoint(self.weigh(gradient(coefficients)))

    def energy(self, coefficients: np.ndarray) -> float:
        """Penalty of coefficients of shape (k, ny, nx)."""
        steps = gradient(coefficients)
        return float((steps * self.weigh(steps)).sum())

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """
        Apply the matrix of the penalty to a random scene whose gradients are as the prior expects them.

        With covariance ``M^(-1/2) D M^(-1/2)`` of the gradients, A times them is ``M^(1/2)`` times white
        noise, whatever D is.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        ndarray, shape (k, ny, nx)
            A right-hand side of the normal equations.
        """
        steps = rng.standard_normal((2, len(self.matrix), *self.shape))
        if self.edges is not None:
            steps *= np.sqrt(self.edges)[:, np.newaxis]
        return np.tensordot(self.root, gradient_adjoint(steps), axes=1)

    def scaled(self, factor: float) -> Prior:
        """
        Multiply the penalty.

        Parameters
        ----------
        factor : float
            Factor.

        Returns
        -------
        Prior
            With all weights multiplied.
        """
        alignment = None if self.alignment is None else factor * self.alignment
        return replace(self, matrix=factor * self.matrix, alignment=alignment)

    def updated(self, coefficients: np.ndarray, seen: np.ndarray, local: np.ndarray | float = 1.0) -> Prior:
        """
        Penalise the lengths of the gradients instead of their squares: a step of half-quadratic minimisation.

        The weight of each cell is the inverse of its gradient's length ``(g^T M g)^(1/2)`` at the present
        solution, in units of the typical one (Pineau et al. 2025).

        Parameters
        ----------
        coefficients : ndarray, shape (k, ny, nx)
            Present solution.
        seen : ndarray of bool, shape (ny, nx)
            Cells that an image sees.
        local : ndarray, shape (ny, nx), optional
            Strength in each cell over the typical one.

        Returns
        -------
        Prior
            With new weights ``edges``.
        """
        squared = at_cells(gradient(np.tensordot(self.root, coefficients, axes=1)) ** 2).sum(axis=0)
        level = max(float(squared[seen].mean()), MIN_GRADIENT)
        length = np.sqrt(np.clip(squared / level, *STEEPNESS_RANGE))
        return replace(self, edges=between_cells(local * length[seen].mean() / length))


def at_cells(products: Iterable[np.ndarray]) -> np.ndarray:
    """
    Sum products of differences over both axes, averaged over those to both neighbours of a cell.

    Parameters
    ----------
    products : iterable of two ndarray, shape (..., ny, nx)
        Products of differences to the next cell along y, and along x.

    Returns
    -------
    ndarray, shape (..., ny, nx)
        Values at the cells.
    """
    along_y, along_x = (
        (step + np.roll(step, 1, axis)) / 2 for axis, step in zip((-2, -1), products, strict=True)
    )
    return along_y + along_x
