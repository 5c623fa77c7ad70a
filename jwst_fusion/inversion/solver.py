"""The minimiser of the quadratic objective: exact blocks, and conjugate gradients under masks."""

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft2, rfft2

from .forward import CubeTerm, ImageTerm

__all__ = ["Problem", "Solution", "solve"]


@dataclass(frozen=True, eq=False)
class Problem:
    """
    The quadratic objective of the fusion (paper, Eq. C.2, with a weight for each datum).

    ``image_factor * sum w_f |image_f - .|^2 + cube_factor * sum |cube - .|^2 + sum_i mu_i |grad a_i|^2``

    Attributes
    ----------
    image_term, cube_term : ImageTerm, CubeTerm
        The data terms.
    image_factor, cube_factor : float
        Inverse of the variance of each instrument's residuals in units of its stated noise.
    regularization : ndarray, shape (k,)
        Weight mu of the squared gradient of each component.
    gradient : ndarray, shape (ny, nx // 2 + 1)
        Squared transfer function of the gradient.
    """

    image_term: ImageTerm
    cube_term: CubeTerm
    image_factor: float
    cube_factor: float
    regularization: np.ndarray
    gradient: np.ndarray

    @property
    def groups(self):
        """The grid, as `FrequencyGroups`."""
        return self.cube_term.groups

    @property
    def stationary(self):
        """Whether all cells and spaxels have data, so that the blocks are exact."""
        return bool(
            (self.cube_term.weight == 1).all() and (np.ptp(self.image_term.weight, axis=(1, 2)) == 0).all()
        )

    def right_hand_side(self):
        """Right-hand side of the normal equations, shape (k, ny, nx)."""
        cube, image = self.cube_term, self.image_term
        half_plane = self.cube_factor * cube.adjoint(cube.weight * cube.data)
        half_plane += self.image_factor * image.adjoint(image.weight * image.data)
        return irfft2(half_plane, s=self.groups.shape)

    def normal(self, coefficients):
        """Apply the normal matrix to coefficients of shape (k, ny, nx)."""
        cube, image = self.cube_term, self.image_term
        spectrum = rfft2(coefficients)
        half_plane = self.cube_factor * cube.adjoint(cube.weight * cube.predict(spectrum))
        half_plane += self.image_factor * image.adjoint(image.weight * image.predict(spectrum))
        half_plane += self.regularization[:, np.newaxis, np.newaxis] * self.gradient * spectrum
        return irfft2(half_plane, s=self.groups.shape)

    def blocks(self):
        """
        Blocks of the normal matrix if all cells and spaxels had data.

        Returns
        -------
        total, cube, image : ndarray of complex, shape (n_groups, k * d**2, k * d**2)
            The whole, and the parts of the two data terms in it.
        """
        groups, k, d2 = self.groups, self.regularization.size, self.groups.decimation_factor**2
        cube = self.cube_factor * self.cube_term.blocks()
        members = groups.gather(self.image_factor * self.image_term.power())
        image = np.zeros_like(cube).reshape(groups.n_groups, k, d2, k, d2)
        cell = np.arange(d2)
        image[:, :, cell, :, cell] = members.transpose(3, 2, 0, 1)
        total = cube.reshape(image.shape) + image
        prior = groups.gather(self.gradient)
        for i, mu in enumerate(self.regularization):
            total[:, i, cell, i, cell] += mu * prior
        return total.reshape(cube.shape), cube, image.reshape(cube.shape)


@dataclass(frozen=True, eq=False)
class Solution:
    """
    The minimiser and what is known about it.

    Attributes
    ----------
    coefficients : ndarray, shape (k, ny, nx)
        The minimiser.
    covariance : ndarray, shape (k, k)
        Posterior covariance of a cell's coefficients, mean over cells, where all data are there.
    cube_parameters, image_parameters : float
        Effective numbers of parameters that either instrument determines, if all data were there.
    iterations : int
        Conjugate gradient iterations.
    residual : float
        Norm of the preconditioned residual over that of the right-hand side.
    converged : bool
        Whether ``residual`` reached the tolerance.
    response : ndarray, shape (k, ny, nx), or None
        What the fusion makes of a point source in the middle cell, if all data were there.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    cube_parameters: float
    image_parameters: float
    iterations: int
    residual: float
    converged: bool
    response: np.ndarray | None = None


def solve(problem, *, start=None, rtol=1e-5, max_iterations=200, point=None):
    """
    Minimise the objective.

    The inverse of the block-diagonal normal matrix of a field without masks is exact there, and
    preconditions conjugate gradients where cells or spaxels have no data.

    Parameters
    ----------
    problem : Problem
        The objective.
    start : ndarray, shape (k, ny, nx), optional
        First guess.
    rtol : float, optional
        Tolerance of the preconditioned residual.
    max_iterations : int, optional
        Largest number of iterations.
    point : ndarray, shape (k,), optional
        Coefficients of a point source whose response is wanted.

    Returns
    -------
    Solution
        The minimiser with its covariance.
    """
    groups, k = problem.groups, problem.regularization.size
    total, cube, image = problem.blocks()
    inverse = np.linalg.inv(total)
    del total
    share = groups.multiplicity / (groups.shape[0] * groups.shape[1])
    covariance = _cell_covariance(inverse, share, k)
    counts = [
        float((groups.multiplicity * np.einsum("gij,gji->g", inverse, part).real).sum())
        for part in (cube, image)
    ]

    def apply(blocks, values):
        members = groups.gather(rfft2(values)).transpose(1, 0, 2).reshape(groups.n_groups, -1, 1)
        members = (blocks @ members).reshape(groups.n_groups, k, -1).transpose(1, 0, 2)
        return irfft2(groups.scatter(members), s=groups.shape)

    response = None
    if point is not None:
        response = apply(inverse, apply(cube, _point(groups, point)) + apply(image, _point(groups, point)))
    del cube, image
    coefficients, iterations, residual = conjugate_gradients(
        problem.normal,
        problem.right_hand_side(),
        lambda values: apply(inverse, values),
        start=start,
        rtol=rtol,
        max_iterations=max_iterations,
    )
    return Solution(coefficients, covariance, *counts, iterations, residual, residual <= rtol, response)


def _point(groups, coefficients):
    """Place a point source in the cell nearest the centre of the middle spaxel."""
    d = groups.decimation_factor
    row, column = (n // 2 * d + (d - 1) // 2 for n in groups.spaxel_shape)
    scene = np.zeros((len(coefficients), *groups.shape))
    scene[:, row, column] = coefficients
    return scene


def _cell_covariance(inverse, share, k):
    """Mean over cells of the k x k covariance, from the inverse blocks."""
    n_groups, size, _ = inverse.shape
    blocks = inverse.reshape(n_groups, k, size // k, k, size // k)
    return np.einsum("g,giaja->ij", share, blocks, optimize=True).real


def conjugate_gradients(normal, right_hand_side, precondition, *, start=None, rtol=1e-5, max_iterations=200):
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
