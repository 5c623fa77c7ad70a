"""The minimiser of the quadratic objective: exact blocks, and conjugate gradients under masks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft2, rfft2

from .forward import CubeTerm, ImageTerm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .groups import FrequencyGroups

__all__ = ["Blocks", "Problem", "Solution", "conjugate_gradients", "solve"]


@dataclass(frozen=True, eq=False)
class Problem:
    """
    The quadratic objective of the fusion (paper, Eq. C.2, with a weight for each datum).

    ``image_factor * sum w_f |image_f - .|^2 + cube_factor * sum |cube - .|^2
    + sum_x e(x) grad a(x)^T A(x) grad a(x)``

    Attributes
    ----------
    image_term, cube_term : ImageTerm, CubeTerm
        The data terms.
    image_factor, cube_factor : float
        Inverse of the variance of each instrument's residuals in units of its stated noise.
    regularization : ndarray, shape (k, k)
        Matrix M: weights of the components' gradients and of their products.
    gradient : ndarray, shape (ny, nx // 2 + 1)
        Squared transfer function of the gradient.
    edges : ndarray, shape (2, ny, nx), or None
        Weights e of the differences to the next cell along y and along x; None: one everywhere.
    alignment : ndarray, shape (2, k, k, ny, nx), or None
        Matrices A of these differences, ``M^(1/2) D^(-1/2) M^(1/2)``: the gradients' local covariance is D
        in units of the one that M was taken from. None: M everywhere.
    steepness : ndarray, shape (2, ny, nx), or None
        Variances that these differences of the scene are expected to have, in units of the covariance that
        M was taken from; None: one everywhere. The errors need it, the solution does not.
    """

    image_term: ImageTerm
    cube_term: CubeTerm
    image_factor: float
    cube_factor: float
    regularization: np.ndarray
    gradient: np.ndarray
    edges: np.ndarray | None = None
    alignment: np.ndarray | None = None
    steepness: np.ndarray | None = None

    @property
    def groups(self) -> FrequencyGroups:
        """The grid, as `FrequencyGroups`."""
        return self.cube_term.groups

    @cached_property
    def root(self) -> np.ndarray:
        """Symmetric square root of the matrix M, shape (k, k)."""
        values, axes = np.linalg.eigh(self.regularization)
        return (axes * np.sqrt(np.maximum(values, 0.0))) @ axes.T

    def right_hand_side(self) -> np.ndarray:
        """Right-hand side of the normal equations, shape (k, ny, nx)."""
        cube, image = self.cube_term, self.image_term
        half_plane = self.cube_factor * cube.adjoint(cube.weighted_data())
        half_plane += self.image_factor * image.adjoint(image.weight * image.data)
        return irfft2(half_plane, s=self.groups.shape)

    def normal(self, coefficients: np.ndarray) -> np.ndarray:
        """Apply the normal matrix to coefficients of shape (k, ny, nx)."""
        cube, image = self.cube_term, self.image_term
        spectrum = rfft2(coefficients)
        half_plane = self.cube_factor * cube.adjoint(cube.weigh(cube.predict(spectrum)))
        half_plane += self.image_factor * image.adjoint(image.weight * image.predict(spectrum))
        if self.edges is None:
            half_plane += np.tensordot(self.regularization, self.gradient * spectrum, axes=1)
            return irfft2(half_plane, s=self.groups.shape)
        return irfft2(half_plane, s=self.groups.shape) + self.divergence(self._fluxes(coefficients))

    def _fluxes(self, coefficients):
        """Differences along y and along x, times their weights."""
        steps = _steps(coefficients)
        if self.edges is not None:
            steps = [e * step for e, step in zip(self.edges, steps, strict=True)]
        if self.alignment is None:
            return [np.tensordot(self.regularization, step, axes=1) for step in steps]
        return [
            np.einsum("ijyx,jyx->iyx", matrices, step)
            for matrices, step in zip(self.alignment, steps, strict=True)
        ]

    def divergence(self, steps: Sequence[np.ndarray]) -> np.ndarray:
        """Apply the adjoint of the differences to fields (k, ny, nx) along y and along x."""
        return sum(np.roll(step, 1, axis) - step for axis, step in zip((1, 2), steps, strict=True))

    def perturbation(
        self, rng: np.random.Generator, variances: tuple[float, float], prior_scale: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """
        Draw right-hand sides whose solutions are the errors that the noise and the smoothing make.

        The solution's error is linear in both: ``inverse(N) (H^T W noise - grad^T e A grad scene)``.
        Gradients of the scene have the covariance that was measured, ``prior_scale * steepness * inverse(M)``
        or, where they are aligned, with ``M^(-1/2) D M^(-1/2)`` in place of ``inverse(M)``: A times such
        gradients is ``M^(1/2)`` times white noise in both cases.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness.
        variances : tuple of float
            Variance of the noise of the images and of the cube in units of the stated one.
        prior_scale : float
            Factor by which the regularization matrix M is larger or smaller than the inverse of the
            measured covariance of the gradients.

        Returns
        -------
        noise, smoothing : ndarray, shape (k, ny, nx)
            Right-hand sides.
        """
        cube, image = self.cube_term, self.image_term
        half_plane = self.cube_factor * np.sqrt(variances[1]) * cube.adjoint(cube.weighted_noise(rng))
        half_plane += self.image_factor * np.sqrt(variances[0]) * image.adjoint(image.weighted_noise(rng))
        shape = (len(self.regularization), *self.groups.shape)
        edges = (1.0, 1.0) if self.edges is None else self.edges
        variance = (1.0, 1.0) if self.steepness is None else self.steepness
        steps = [e * np.sqrt(v) * rng.standard_normal(shape) for e, v in zip(edges, variance, strict=True)]
        smoothing = np.tensordot(np.sqrt(prior_scale) * self.root, self.divergence(steps), axes=1)
        return irfft2(half_plane, s=self.groups.shape), smoothing

    def terms(self, coefficients: np.ndarray) -> tuple[float, float, float]:
        """
        Objective's terms at a solution.

        Parameters
        ----------
        coefficients : ndarray, shape (k, ny, nx)
            The solution.

        Returns
        -------
        images, cube, regularization : float
            Weighted sums of squares. The cube's is that of its compressed channels.
        """
        cube, image = self.cube_term, self.image_term
        spectrum = rfft2(coefficients)
        images = self.image_factor * (image.weight * (image.data - image.predict(spectrum)) ** 2).sum()
        residual = cube.data - cube.predict(spectrum)
        squares = self.cube_factor * (residual * cube.weigh(residual)).sum()
        fluxes = self._fluxes(coefficients)
        rough = sum((step * flux).sum() for step, flux in zip(_steps(coefficients), fluxes, strict=True))
        return float(images), float(squares), float(rough)


def _steps(coefficients):
    """Differences to the next cell along y and along x, periodic, of fields (k, ny, nx)."""
    return [np.roll(coefficients, -1, axis) - coefficients for axis in (1, 2)]


class Blocks:
    """
    Inverse of the normal matrix that a problem would have if all its cells and spaxels had data.

    It splits into Hermitian blocks, one for each group of frequencies. It is the exact inverse for a
    stationary problem, and preconditions any other.

    Parameters
    ----------
    problem : Problem
        The objective.

    Attributes
    ----------
    cube_parameters, image_parameters : float
        Effective numbers of parameters that either instrument determines.
    """

    def __init__(self, problem):
        self.problem, self.groups, self.k = problem, problem.groups, len(problem.regularization)
        groups = self.groups
        n, d2 = groups.n_groups, groups.decimation_factor**2
        self._prior = self._typical_prior()
        cube = problem.cube_factor * problem.cube_term.blocks()
        image = groups.gather(problem.image_factor * problem.image_term.power())
        cell = np.arange(d2)
        total = cube.reshape(n, self.k, d2, self.k, d2).copy()
        total[:, :, cell, :, cell] += (image + groups.gather(self._prior)).transpose(3, 2, 0, 1)
        self._inverse = np.linalg.inv(total.reshape(cube.shape))
        self._own = self._inverse.reshape(total.shape)[:, :, cell, :, cell]  # of each frequency with itself
        share = groups.multiplicity
        self.cube_parameters = float(share @ np.einsum("gij,gji->g", self._inverse, cube, optimize=True).real)
        self.image_parameters = float(share @ np.einsum("agij,jiga->g", self._own, image, optimize=True).real)

    def _typical_prior(self):
        """Regularization of each frequency, (k, k, ny, nx // 2 + 1), with the typical weight everywhere."""
        problem = self.problem
        typical = 1.0 if problem.edges is None else np.exp(np.log(problem.edges).mean())
        matrix = problem.regularization if problem.alignment is None else problem.alignment.mean((0, 3, 4))
        return matrix[:, :, np.newaxis, np.newaxis] * (typical * problem.gradient)

    @cached_property
    def covariance(self) -> np.ndarray:
        """Mean over cells of the posterior covariance of a cell's coefficients, (k, k)."""
        share = self.groups.multiplicity / (self.groups.shape[0] * self.groups.shape[1])
        return np.einsum("g,agij->ij", share, self._own, optimize=True).real

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Apply the inverse to coefficients of shape (k, ny, nx)."""
        groups = self.groups
        members = groups.gather(rfft2(values)).transpose(1, 0, 2).reshape(groups.n_groups, -1, 1)
        members = (self._inverse @ members).reshape(groups.n_groups, self.k, -1).transpose(1, 0, 2)
        return irfft2(groups.scatter(members), s=groups.shape)

    def response(self, point: np.ndarray) -> np.ndarray:
        """
        Tell what the fusion makes of a point source in the middle cell.

        Parameters
        ----------
        point : ndarray, shape (k,)
            Coefficients of the source.

        Returns
        -------
        ndarray, shape (k, ny, nx)
            Coefficients of the fused scene.
        """
        d = self.groups.decimation_factor
        row, column = (n // 2 * d + (d - 1) // 2 for n in self.groups.spaxel_shape)
        scene = np.zeros((self.k, *self.groups.shape))
        scene[:, row, column] = point
        smoothed = np.einsum("ijyx,jyx->iyx", self._prior, rfft2(scene))
        return scene - self.apply(irfft2(smoothed, s=self.groups.shape))


@dataclass(frozen=True, eq=False)
class Solution:
    """
    The minimiser and how it was reached.

    Attributes
    ----------
    coefficients : ndarray, shape (k, ny, nx)
        The minimiser.
    blocks : Blocks
        Inverse of the problem without masks.
    iterations : int
        Conjugate gradient iterations.
    residual : float
        Norm of the preconditioned residual over that of the right-hand side.
    converged : bool
        Whether ``residual`` reached the tolerance.
    """

    coefficients: np.ndarray
    blocks: Blocks
    iterations: int
    residual: float
    converged: bool


def solve(
    problem: Problem,
    *,
    blocks: Blocks | None = None,
    start: np.ndarray | None = None,
    rtol: float = 1e-5,
    max_iterations: int = 200,
) -> Solution:
    """
    Minimise the objective.

    The inverse of the block-diagonal normal matrix of a field without masks is exact there, and
    preconditions conjugate gradients where cells or spaxels have no data.

    Parameters
    ----------
    problem : Problem
        The objective.
    blocks : Blocks, optional
        Preconditioner, if there is one from a similar problem.
    start : ndarray, shape (k, ny, nx), optional
        First guess.
    rtol : float, optional
        Tolerance of the preconditioned residual.
    max_iterations : int, optional
        Largest number of iterations.

    Returns
    -------
    Solution
        The minimiser.
    """
    blocks = Blocks(problem) if blocks is None else blocks
    coefficients, iterations, residual = conjugate_gradients(
        problem.normal,
        problem.right_hand_side(),
        blocks.apply,
        start=start,
        rtol=rtol,
        max_iterations=max_iterations,
    )
    return Solution(coefficients, blocks, iterations, residual, residual <= rtol)


def conjugate_gradients(
    normal: Callable,
    right_hand_side: np.ndarray,
    precondition: Callable,
    *,
    start: np.ndarray | None = None,
    rtol: float = 1e-5,
    max_iterations: int = 200,
) -> tuple[np.ndarray, int, float]:
    """
    Solve a symmetric positive system by preconditioned conjugate gradients.

    The criterion is the norm of the residual in the metric of the preconditioner, which for a good
    preconditioner is that of the error in the metric of the objective.

    Parameters
    ----------
    normal, precondition : callable
        Linear operators on arrays of the right-hand side's shape.
    right_hand_side : ndarray
        Right-hand side.
    start : ndarray, optional
        First guess; by default the preconditioned right-hand side.
    rtol : float, optional
        Tolerance.
    max_iterations : int, optional
        Largest number of iterations.

    Returns
    -------
    solution : ndarray
        The solution.
    iterations : int
        Number of iterations done.
    residual : float
        Final relative residual.
    """
    solution = precondition(right_hand_side)
    reference = np.sqrt(max(np.vdot(right_hand_side, solution), 0.0))
    if reference == 0.0:
        return np.zeros_like(right_hand_side), 0, 0.0
    if start is not None:
        solution = start.copy()
    residual = right_hand_side - normal(solution)
    preconditioned = precondition(residual)
    power = np.vdot(residual, preconditioned)
    direction = preconditioned
    iterations = 0
    while np.sqrt(max(power, 0.0)) > rtol * reference and iterations < max_iterations:
        image = normal(direction)
        step = power / np.vdot(direction, image)
        solution += step * direction
        residual -= step * image
        preconditioned = precondition(residual)
        power, previous = np.vdot(residual, preconditioned), power
        direction = preconditioned + power / previous * direction
        iterations += 1
    return solution, iterations, float(np.sqrt(max(power, 0.0)) / reference)
