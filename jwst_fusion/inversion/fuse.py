"""The pure entry point: a cross-calibrated observation in, the fused cube out."""

import logging
from dataclasses import dataclass, replace

import numpy as np
from scipy.fft import next_fast_len, rfft2
from threadpoolctl import threadpool_limits

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.optics.psf import fwhm
from jwst_fusion.optics.transfer import transfer_functions

from .forward import compress_cube, gradient_power, image_term
from .groups import FrequencyGroups
from .regularization import smoothness_weights
from .solver import Problem, solve
from .subspace import find_subspace

__all__ = ["FusionResult", "FusionSettings", "fuse"]

log = logging.getLogger(__name__)

#: Free cells around the data [arcsec], so that opposite edges of the field do not touch.
GUARD = 0.5

#: Least share of the data that counts as degrees of freedom of the residuals.
MIN_FREEDOM = 0.05

#: Channels at which the width of the point spread function is measured.
RESOLUTION_SAMPLES = 16

#: Median of the chi-squared distribution with one degree of freedom.
CHI2_MEDIAN = 0.4549364

#: Factor of the regularization weights: best over simulated disk, Titan and nebula to 0.7 dB (1 to 0.3).
DEFAULT_MU = 0.5

#: Tolerance of the solutions that only serve to find the weights, over that of the last.
LOOSER = 10.0


@dataclass(frozen=True)
class FusionSettings:
    """
    Settings of the fusion.

    Attributes
    ----------
    n_components : int or None
        Dimension k of the subspace; None: from the noise level.
    max_components : int
        Largest k chosen from the noise level.
    mu : float or None
        Factor of the regularization weights ``1 / alpha_i^2``; None: 0.5.
    gamma : float or None
        Weight of NIRSpec over NIRCam relative to their inverse variances; None: from the residuals.
    reweightings : int
        Updates of the instruments' weights from the residuals.
    rtol : float
        Tolerance of the preconditioned residual.
    max_iterations : int
        Largest number of conjugate gradient iterations of a solution.
    leave_each_out : bool
        Whether to predict each image also from all other data.
    """

    n_components: int | None = None
    max_components: int = 8
    mu: float | None = None
    gamma: float | None = None
    reweightings: int = 2
    rtol: float = 1e-4
    max_iterations: int = 200
    leave_each_out: bool = False

    def __post_init__(self):
        """Refuse values that can not be used."""
        for name in ("mu", "gamma", "rtol"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise ParameterError(f"{name} = {value} can not be used: a positive number is needed")
        for name, least in (
            ("n_components", 1), ("max_components", 1), ("max_iterations", 1), ("reweightings", 0),
        ):  # fmt: skip
            value = getattr(self, name)
            if value is None and name == "n_components":
                continue
            if not isinstance(value, int) or value < least:
                raise ParameterError(
                    f"{name} = {value} can not be used: a whole number from {least} is needed"
                )
        if self.rtol is None:
            raise ParameterError("rtol = None can not be used: a positive number is needed")


@dataclass(frozen=True, eq=False)
class FusionResult:
    """
    A fused cube as mean spectrum, basis and coefficients, with its errors and diagnostics.

    Attributes
    ----------
    mean_spectrum : ndarray, shape (n_wave,)
        [MJy/sr].
    basis : ndarray, shape (n_wave, k)
        [MJy/sr].
    coefficients : ndarray, shape (k, ny, nx)
        On the observation's grid.
    covariance : ndarray, shape (k, k)
        Posterior covariance of the coefficients of a cell.
    dropped_variance : ndarray, shape (n_wave,)
        Variance of the signal outside the subspace [(MJy/sr)^2].
    predicted_images : ndarray, shape (n_band, ny, nx)
        The fused cube seen through each band, on the cube's flux scale [MJy/sr].
    image_chi2 : ndarray, shape (n_band,)
        Mean squared residual of each image over its stated variance; NaN for one held out.
    cube_chi2 : float
        Mean squared residual of the cube's coefficients over their variance.
    eigenvalues : ndarray
        Variances of the whitened data along their principal axes.
    info_kept : float
        Share of the whitened signal that the components carry.
    regularization : ndarray, shape (k,)
        Weight mu of the squared gradient of each component.
    gamma : float
        Weight of NIRSpec over NIRCam, relative to their inverse variances.
    tuning : str
        How the weights were found.
    iterations : int
        Conjugate gradient iterations of the last solution.
    converged : bool
        Whether they reached the tolerance.
    resolution : ndarray, shape (n_wave,)
        FWHM of the fused cube's own point spread function [arcsec].
    unseen_images : ndarray, shape (n_band, ny, nx), or None
        Each image as predicted from all other data, on the cube's flux scale [MJy/sr].
    """

    mean_spectrum: np.ndarray
    basis: np.ndarray
    coefficients: np.ndarray
    covariance: np.ndarray
    dropped_variance: np.ndarray
    predicted_images: np.ndarray
    image_chi2: np.ndarray
    cube_chi2: float
    eigenvalues: np.ndarray
    info_kept: float
    regularization: np.ndarray
    gamma: float
    tuning: str
    iterations: int
    converged: bool
    resolution: np.ndarray
    unseen_images: np.ndarray | None = None


def fuse(observation, settings=None):
    """
    Fuse a cross-calibrated observation (paper, Appendix C).

    Parameters
    ----------
    observation : Observation
        Cube and images on one grid; the bands have bandpass and scale.
    settings : FusionSettings, optional
        Settings.

    Returns
    -------
    FusionResult
        The fused cube.

    Raises
    ------
    FusionError
        The data can not be fused, or a setting can not be used.
    """
    settings = settings or FusionSettings()
    with threadpool_limits(limits=1, user_api="blas"):
        subspace = find_subspace(
            observation.cube, n_components=settings.n_components, max_components=settings.max_components
        )
        log.info(
            "Subspace: %d components keep %.2f %% of the signal",
            subspace.n_components,
            100 * subspace.info_kept,
        )
        problem = build_problem(observation, subspace, settings)
        point = subspace.whitened_basis.T @ (subspace.mean_spectrum * subspace.weights)
        problem, solution = solve_and_weigh(problem, settings, point)
        unseen = _leave_each_out(problem, solution, settings) if settings.leave_each_out else None
    tuning = "variance components" if settings.gamma is None and settings.reweightings else "manual"
    return _result(observation, subspace, problem, solution, tuning, unseen)


def _leave_each_out(problem, solution, settings):
    """Predict each image, less the mean spectrum's, from all other data (paper, Appendix E.3)."""
    images = np.empty_like(problem.image_term.data)
    for f in range(len(images)):
        weight = problem.image_term.weight.copy()
        weight[f] = 0.0
        left = replace(problem, image_term=replace(problem.image_term, weight=weight))
        again = solve(
            left, start=solution.coefficients, rtol=settings.rtol, max_iterations=settings.max_iterations
        )
        images[f] = left.image_term.predict(rfft2(again.coefficients))[f]
    return images


def build_problem(observation, subspace, settings):
    """
    Set up the objective on the observation's grid with free cells around it.

    Parameters
    ----------
    observation : Observation
        Cube and images on one grid.
    subspace : Subspace
        Basis and whitened data.
    settings : FusionSettings
        Settings.

    Returns
    -------
    Problem
        The objective with weights from the stated noise.
    """
    grid = observation.grid
    d = grid.decimation_factor
    guard = int(np.ceil(GUARD / (grid.cell_size * d)))
    shape = tuple(d * next_fast_len(m + guard, real=True) for m in grid.spaxel_shape)
    transfer = transfer_functions(observation, shape)
    groups = FrequencyGroups(shape, d)
    mu = smoothness_weights(observation, subspace) * (settings.mu or DEFAULT_MU)
    return Problem(
        image_term=image_term(groups, subspace, transfer.interpolation, observation.bands, transfer.nircam),
        cube_term=compress_cube(groups, subspace, transfer.interpolation, transfer.nirspec),
        image_factor=1.0,
        cube_factor=settings.gamma or 1.0,
        regularization=mu,
        gradient=gradient_power(shape),
    )


def solve_and_weigh(problem, settings, point=None):
    """
    Solve, with the variance of each instrument's residuals as its weight.

    A misjudged PSF or an optimistic error appears as residuals beyond the stated noise. Their variance,
    their median square over its share of freedom, becomes the instrument's noise in the next
    solution (variance components, by fixed point). The median keeps stars, where a wrong PSF shows most,
    from speaking for the field.

    Parameters
    ----------
    problem : Problem
        The objective with weights from the stated noise.
    settings : FusionSettings
        Settings; a given ``gamma`` is kept, and only the common level is estimated.
    point : ndarray, shape (k,), optional
        Coefficients of a point source whose response is wanted.

    Returns
    -------
    problem : Problem
        With the final weights.
    solution : Solution
        Its minimiser.
    """
    solution = None
    for update in range(settings.reweightings + 1):
        start = None if solution is None else solution.coefficients
        last = update == settings.reweightings
        rtol = settings.rtol if last else min(LOOSER * settings.rtol, 0.1)
        solution = solve(
            problem,
            start=start,
            rtol=rtol,
            max_iterations=settings.max_iterations,
            point=point if last else None,
        )
        if last:
            break
        image_variance, cube_variance = residual_variances(problem, solution)
        gamma = settings.gamma or image_variance / cube_variance
        problem = replace(problem, image_factor=1.0 / image_variance, cube_factor=gamma / image_variance)
        log.info(
            "Residuals over stated noise: images %.3g, cube %.3g", image_variance**0.5, cube_variance**0.5
        )
    log.info("%d iterations to a residual of %.1e", solution.iterations, solution.residual)
    if not solution.converged:
        log.warning(
            "No convergence in %d iterations: residual %.1e, asked for %.1e; raise max_iterations",
            solution.iterations, solution.residual, settings.rtol,
        )  # fmt: skip
    return problem, solution


def residual_variances(problem, solution):
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
    image_variance = _robust_variance(squares, seen * solution.image_parameters)
    residual = np.tensordot(cube.projection, cube.data - cube.predict(spectrum), axes=1)
    squares = (residual**2)[:, cube.weight > 0]
    cube_variance = _robust_variance(squares, cube.weight.mean() * solution.cube_parameters)
    return image_variance, cube_variance


def _robust_variance(squares, parameters):
    """Variance from the median of squared residuals, for the freedom that the parameters leave."""
    freedom = max(1.0 - parameters / squares.size, MIN_FREEDOM)
    return float(np.median(squares)) / (CHI2_MEDIAN * freedom)


def _result(observation, subspace, problem, solution, tuning, unseen=None):
    """Cut the solution to the observation's grid and collect the diagnostics."""
    ny, nx = observation.grid.shape
    my, mx = observation.grid.spaxel_shape
    spectrum = rfft2(solution.coefficients)
    image, cube = problem.image_term, problem.cube_term
    predicted = image.predict(spectrum)
    count = (image.weight > 0).sum(axis=(1, 2))
    chi2 = (image.weight * (image.data - predicted) ** 2).sum(axis=(1, 2)) / np.where(count, count, np.nan)
    mean = np.array([band.bandpass @ subspace.mean_spectrum for band in observation.bands])
    mean = mean[:, np.newaxis, np.newaxis]
    residual = np.tensordot(cube.projection, cube.data - cube.predict(spectrum), axes=1)
    cube_chi2 = float((cube.weight * residual**2).sum() / (cube.weight.sum() * residual.shape[0]))
    return FusionResult(
        mean_spectrum=subspace.mean_spectrum,
        basis=subspace.basis,
        coefficients=solution.coefficients[:, :ny, :nx],
        covariance=solution.covariance,
        dropped_variance=_dropped_variance(subspace),
        predicted_images=predicted[:, :ny, :nx] + mean,
        image_chi2=chi2,
        cube_chi2=cube_chi2,
        eigenvalues=subspace.eigenvalues,
        info_kept=subspace.info_kept,
        regularization=problem.regularization,
        gamma=problem.cube_factor / problem.image_factor,
        tuning=tuning,
        iterations=solution.iterations,
        converged=solution.converged,
        resolution=_resolution(subspace, solution.response, observation),
        unseen_images=None if unseen is None else unseen[:, :ny, :nx] + mean,
    )


def _resolution(subspace, response, observation):
    """FWHM [arcsec] per channel of the response to a point source of the mean spectrum."""
    wavelength = observation.cube.wavelength
    point = subspace.whitened_basis.T @ (subspace.mean_spectrum * subspace.weights)
    level = subspace.basis @ point
    bright = np.flatnonzero((subspace.weights > 0) & (level > 0.1 * np.abs(level).max()))
    widths = np.full(wavelength.size, np.nan)
    if bright.size == 0:
        return widths
    sampled = np.unique(bright[np.linspace(0, bright.size - 1, RESOLUTION_SAMPLES).astype(int)])
    cell = observation.grid.cell_size
    measured = [fwhm(np.tensordot(subspace.basis[i], response, axes=1), cell) for i in sampled]
    return np.interp(wavelength, wavelength[sampled], measured)


def _dropped_variance(subspace):
    """Variance of what the subspace can not carry, per channel [(MJy/sr)^2]."""
    basis = subspace.whitened_basis
    columns = subspace.whitened[:, subspace.spaxels]
    residual = columns - basis @ (basis.T @ columns)
    excess = np.maximum((residual**2).mean(axis=1) - 1.0, 0.0)
    used = subspace.weights > 0
    variance = np.zeros(used.size)
    variance[used] = excess[used] / subspace.weights[used] ** 2
    return variance
