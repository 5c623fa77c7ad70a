"""The minimiser of the quadratic objective: exact blocks, and conjugate gradients under masks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.fft import irfft2, rfft2

from jwst_fusion.limits import available_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .objective import Problem

__all__ = ["Blocks", "Solution", "conjugate_gradients", "solve", "solve_each"]


#: Reason for ending the iteration without a solution.
BREAKDOWN = "rounding errors spoil the equations"


#: Most iterations of a solution that serves statistics only. Judged.
SAMPLE_ITERATIONS = 100


#: Smallest tolerance that is asked of single precision at once. Judged.
PASS_RTOL = 1e-4


#: Groups of frequencies whose blocks are inverted together. Judged.
CHUNK = 256


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
        self.groups, self.k = problem.groups, len(problem.prior.matrix)
        groups = self.groups
        n, d2 = groups.n_groups, groups.decimation_factor**2
        self._prior = problem.prior.typical.copy()
        # the blocks stay well conditioned where no image determines the mean of a component
        self._prior[..., 0, 0] = self._prior[..., 0, 1]
        image = groups.gather(problem.image_factor * problem.image_term.power())
        each = (image + groups.gather(self._prior)).transpose(2, 3, 0, 1)  # n, d2, k, k
        cube = problem.cube_term.factor()
        size, q = d2 * self.k, cube.shape[1]
        self._whole = 2 * q > size  # one product with the inverse is then cheaper than two with its factors
        self._own = np.empty((n, d2, self.k, self.k), dtype=complex)
        self._each = None if self._whole else np.empty_like(self._own)
        self._both = np.empty((n, size, size if self._whole else q), dtype=complex)
        freedom = np.empty(n)
        for first in range(0, n, CHUNK):
            part = slice(first, min(first + CHUNK, n))
            inverse, both, freedom[part] = _factors(each[part], np.sqrt(problem.cube_factor) * cube[part])
            own = both.reshape(-1, d2, self.k, q)
            self._own[part] = inverse - own @ own.conj().transpose(0, 1, 3, 2)
            if self._whole:
                self._both[part] = _multiplied(inverse, both)
            else:
                self._each[part], self._both[part] = inverse, both
        share = groups.multiplicity
        self.cube_parameters = float(share @ freedom)
        self.image_parameters = float(share @ np.einsum("gaij,jiga->g", self._own, image, optimize=True).real)

    @cached_property
    def covariance(self) -> np.ndarray:
        """Mean over cells of the posterior covariance of a cell's coefficients, (k, k)."""
        share = self.groups.multiplicity / (self.groups.shape[0] * self.groups.shape[1])
        return np.einsum("g,gaij->ij", share, self._own, optimize=True).real

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Apply the inverse to coefficients of shape (k, ny, nx)."""
        groups = self.groups
        members = groups.gather(rfft2(values)).transpose(1, 2, 0).reshape(groups.n_groups, -1, 1)
        if self._whole:
            members = self._both @ members
        else:
            inner = (members.transpose(0, 2, 1).conj() @ self._both).conj().transpose(0, 2, 1)
            each = self._each @ members.reshape(*self._each.shape[:3], 1)
            members = each.reshape(members.shape) - self._both @ inner
        members = members.reshape(groups.n_groups, -1, self.k).transpose(2, 0, 1)
        return irfft2(groups.scatter(members), s=groups.shape)

    def single(self) -> Blocks:
        """Return the same blocks in single precision."""
        blocks = copy(self)
        vars(blocks).update({name: single(value) for name, value in vars(self).items()})
        return blocks

    def response(self, point: np.ndarray) -> np.ndarray:
        """
        Compute the response of the fusion to a point source in the middle cell.

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


def _factors(each, cube):
    """
    Invert blocks ``E + F^H F`` by Woodbury's identity, and find how many parameters F determines in each.

    E is one k x k matrix for each frequency of a group, shape (n, d2, k, k); F has shape (n, q, k * d2). The
    inverses are ``inverse(E) - B B^H``; B has shape (n, d2 * k, q).
    """
    n, d2, k, _ = each.shape
    each = np.linalg.inv(each)
    cube = cube.reshape(n, -1, k, d2).transpose(0, 3, 2, 1).conj()  # n, d2, k, q
    half = (each @ cube).reshape(n, d2 * k, -1)
    inner = cube.reshape(n, d2 * k, -1).conj().transpose(0, 2, 1) @ half
    inner += np.eye(inner.shape[-1])
    lower = np.linalg.inv(np.linalg.cholesky(inner))
    freedom = inner.shape[-1] - (np.abs(lower) ** 2).sum(axis=(1, 2))
    return each, half @ lower.conj().transpose(0, 2, 1), freedom


def _multiplied(each, both):
    """Inverses from their factors of `_factors`, (n, d2 * k, d2 * k)."""
    n, d2, k, _ = each.shape
    inverse = -(both @ both.conj().transpose(0, 2, 1))
    view = inverse.reshape(n, d2, k, d2, k)
    for a in range(d2):
        view[:, a, :, a] += each[:, a]
    return inverse


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
    preconditions conjugate gradients where cells or spaxels have no data. These run in single precision,
    which takes half of the time, and correct a solution whose residual is computed in double precision
    (iterative refinement; Wilkinson 1963).

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
    correction, right_hand_side = _corrections(problem, blocks), problem.right_hand_side()
    coefficients = blocks.apply(right_hand_side)
    reference = np.vdot(right_hand_side, coefficients)
    if not right_hand_side.any():
        return Solution(np.zeros_like(right_hand_side), blocks, 0, 0.0, True)
    if not 0 < reference < np.inf:
        raise np.linalg.LinAlgError(BREAKDOWN)
    if start is not None:
        coefficients = start.copy()
    iterations, previous = 0, np.inf
    while True:
        residual = right_hand_side - problem.normal(coefficients)
        size = float(np.sqrt(abs(np.vdot(residual, blocks.apply(residual))) / reference))
        if not np.isfinite(size):
            raise np.linalg.LinAlgError(BREAKDOWN)
        if size <= rtol or iterations >= max_iterations or size >= previous:
            return Solution(coefficients, blocks, iterations, size, size <= rtol)
        change, done, _ = correction(residual, max(rtol / size, PASS_RTOL), max_iterations - iterations)
        coefficients += change
        iterations, previous = iterations + done, size


def _corrections(problem, blocks):
    """Solver of the normal equations in single precision, and in double where they are too stiff for it."""
    with np.errstate(over="ignore"):
        coarse, coarse_blocks = single(problem), blocks.single()
    within_range = np.array_equal(coarse.image_term.weight > 0, problem.image_term.weight > 0)

    def correction(right_hand_side, rtol, max_iterations):
        limits = {"rtol": rtol, "max_iterations": max_iterations}
        if within_range:
            with suppress(np.linalg.LinAlgError), np.errstate(over="ignore", invalid="ignore"):
                right = right_hand_side.astype(np.float32)
                found, *rest = conjugate_gradients(coarse.normal, right, coarse_blocks.apply, **limits)
                return found.astype(float), *rest
        return conjugate_gradients(problem.normal, right_hand_side, blocks.apply, **limits)

    return correction


def conjugate_gradients(
    normal: Callable,
    right_hand_side: np.ndarray,
    precondition: Callable,
    *,
    rtol: float = 1e-5,
    max_iterations: int = 200,
) -> tuple[np.ndarray, int, float]:
    """
    Solve a symmetric positive system by preconditioned conjugate gradients.

    The first guess is the preconditioned right-hand side. The criterion is the norm of the residual in the
    metric of the preconditioner, which for a good preconditioner is that of the error in the metric of the
    objective.

    Parameters
    ----------
    normal, precondition : callable
        Linear operators on arrays of the right-hand side's shape.
    right_hand_side : ndarray
        Right-hand side.
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

    Raises
    ------
    numpy.linalg.LinAlgError
        An operator is not positive, or a number not finite.
    """
    solution = precondition(right_hand_side)
    reference = float(np.vdot(right_hand_side, solution))
    if not right_hand_side.any():
        return np.zeros_like(right_hand_side), 0, 0.0
    if not 0 < reference < np.inf:
        raise np.linalg.LinAlgError(BREAKDOWN)
    target = rtol**2 * reference
    residual = right_hand_side - normal(solution)
    preconditioned = precondition(residual)
    power = np.vdot(residual, preconditioned)
    direction = preconditioned
    iterations = 0
    while not abs(power) <= target and iterations < max_iterations:
        image = normal(direction)
        curvature = np.vdot(direction, image)
        if not (power > 0 and 0 < curvature < np.inf):
            raise np.linalg.LinAlgError(BREAKDOWN)
        step = power / curvature
        solution += step * direction
        residual -= step * image
        preconditioned = precondition(residual)
        power, previous = np.vdot(residual, preconditioned), power
        direction = preconditioned + power / previous * direction
        iterations += 1
    return solution, iterations, float(np.sqrt(abs(power) / reference))


def solve_each(
    problem: Problem, solution: Solution, right_hand_sides: Iterable[np.ndarray], rtol: float
) -> Iterator[np.ndarray]:
    """
    Solve the normal equations for each right-hand side in turn, as many at a time as threads are granted.

    The solutions serve statistics, for which single precision is enough.

    Parameters
    ----------
    problem : Problem
        The objective.
    solution : Solution
        Its minimiser, whose blocks are the preconditioner.
    right_hand_sides : iterable of ndarray, shape (k, ny, nx)
        Right-hand sides.
    rtol : float
        Tolerance of the preconditioned residual.

    Yields
    ------
    ndarray, shape (k, ny, nx)
        The solution with each.
    """
    threads, right_hand_sides = available_threads(), iter(right_hand_sides)
    correction = _corrections(problem, solution.blocks)
    with ThreadPoolExecutor(threads) as pool:
        while some := list(islice(right_hand_sides, threads)):
            yield from pool.map(lambda right: correction(right, rtol, SAMPLE_ITERATIONS)[0], some)


def single(value: Any) -> Any:
    """
    Convert arrays and numbers to single precision, those within dataclasses and tuples too.

    Parameters
    ----------
    value : object
        An array, a dataclass, a tuple, or anything else, which is returned as it is.

    Returns
    -------
    object
        The same in single precision. Numbers are Python's, which leave the precision of arrays as it is.
    """
    if isinstance(value, np.ndarray) and value.dtype.kind in "fc":
        return value.astype(np.float32 if value.dtype.kind == "f" else np.complex64, copy=False)
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, tuple):
        return tuple(map(single, value))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: single(getattr(value, field.name)) for field in fields(value)})
    return value
