"""The pure entry point: a cross-calibrated observation in, the fused cube out."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import rfft2
from threadpoolctl import threadpool_limits

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.optics.transfer import ifu_transfer, transfer_functions

from .boundary import mirrored, periodic_shape, unmirrored, unweighted
from .forward import compress_cube, image_term
from .groups import FrequencyGroups
from .measures import dropped_variance, mean_noise, resolution
from .objective import Problem
from .psf_errors import cube_weight_loss, model_errors
from .regularization import find_prior
from .settings import FusionSettings
from .solver import solve
from .subspace import find_subspace
from .tuning import solve_and_weigh
from .uncertainty import blurred, posterior

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jwst_fusion.observation import Observation

    from .subspace import Subspace

__all__ = [
    "FusionResult",
    "FusionSettings",
    "at_beam",
    "build_problem",
    "fuse",
    "seen_by_ifu",
    "solving",
]

log = logging.getLogger(__name__)

#: Range of the ratio of a voxel's stated error to that of its channel in which the voxel is used. Judged.
VOXEL_RANGE = (0.2, 10.0)


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
        On the observation's grid, of the scene itself (`at_beam` blurs them).
    covariance : ndarray, shape (k, k, ny, nx)
        Posterior covariance of the coefficients of each cell, scaled to the residuals; at the settings' beam.
    draws : ndarray, shape (n_draw, k, ny, nx), or None
        Errors of the coefficients, each as likely as any other: the mean of their products is the covariance,
        between cells too (`jwst_fusion.inversion.uncertainty`); at the settings' beam. None without draws.
    prior_share : ndarray, shape (ny, nx)
        Share of the variance that comes from the regularization and not from the noise.
    dropped_variance : ndarray, shape (n_wave,)
        Variance of the signal outside the subspace, mean over the footprint [(MJy/sr)^2].
    dropped_share : ndarray, shape (ny, nx)
        How much of it a cell has, in units of that mean.
    mean_noise : ndarray, shape (n_wave,)
        Noise of the mean spectrum [MJy/sr]; NaN in channels without data.
    predicted_images : ndarray, shape (n_band, ny, nx)
        The fused cube seen through each band, on the cube's flux scale [MJy/sr].
    image_chi2 : ndarray, shape (n_band,)
        Mean squared residual of each image over its stated variance; NaN for one held out.
    cube_chi2 : float
        Mean squared residual of the cube's coefficients over their variance, with the error of the IFU's PSF.
    eigenvalues : ndarray
        Variances of the whitened data along their principal axes.
    info_kept : float
        Share of the whitened signal that the components carry.
    regularization : ndarray, shape (k, k)
        Weights of the components' gradients and of their products.
    gamma : float
        Weight of NIRSpec over NIRCam, relative to their inverse variances.
    settings : FusionSettings
        How it was made.
    gamma_history : ndarray, shape (n, 2)
        Weights gamma that were tried, and the weight that the residuals of each implied.
    objective : tuple of float
        Terms of the objective at the solution: images, cube, regularization.
    iterations : int
        Conjugate gradient iterations of the last solution.
    converged : bool
        Whether they reached the tolerance.
    resolution : ndarray, shape (n_wave,)
        FWHM of the fused cube's own point spread function [arcsec]; NaN where it is wider than the field.
    unseen_images : ndarray, shape (n_band, ny, nx), or None
        Each image as predicted from all other data, on the cube's flux scale [MJy/sr].
    """

    mean_spectrum: np.ndarray
    basis: np.ndarray
    coefficients: np.ndarray
    covariance: np.ndarray
    draws: np.ndarray | None
    prior_share: np.ndarray
    dropped_variance: np.ndarray
    dropped_share: np.ndarray
    mean_noise: np.ndarray
    predicted_images: np.ndarray
    image_chi2: np.ndarray
    cube_chi2: float
    eigenvalues: np.ndarray
    info_kept: float
    regularization: np.ndarray
    gamma: float
    settings: FusionSettings
    gamma_history: np.ndarray
    objective: tuple
    iterations: int
    converged: bool
    resolution: np.ndarray
    unseen_images: np.ndarray | None = None


def fuse(observation: Observation, settings: FusionSettings | None = None) -> FusionResult:
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
        The data cannot be fused, or a setting cannot be used.
    """
    settings = settings or FusionSettings()
    with solving(settings):
        return _fused(observation, settings)


@contextmanager
def solving(settings: FusionSettings) -> Iterator[None]:
    """
    Solve with one BLAS thread, and report equations without a solution in one line.

    Parameters
    ----------
    settings : FusionSettings
        Settings; the message names the weights.

    Raises
    ------
    ParameterError
        Rounding errors spoil the solution (a LinAlgError inside).
    """
    try:
        with threadpool_limits(limits=1, user_api="blas"):
            yield
    except np.linalg.LinAlgError as error:
        raise ParameterError(
            f"mu = {settings.mu}, gamma = {settings.gamma}: no solution ({error}); give numbers nearer to "
            "one, or leave them to the tuning"
        ) from None


def _fused(observation, settings):
    """Fuse; raises a LinAlgError if rounding errors spoil the solution."""
    seen = unweighted(observation) if settings.weighting == "uniform" else observation
    if settings.boundary == "symmetric":
        seen = mirrored(seen)
    subspace = find_subspace(
        seen.cube,
        n_components=settings.n_components,
        max_components=settings.max_components,
        denoise=settings.weighting != "uniform",
    )
    log.info(
        "%d spectral components keep %.2f %% of the cube's signal",
        subspace.n_components,
        100 * subspace.info_kept,
    )
    problem = build_problem(seen, subspace, settings)
    problem, solution, history = solve_and_weigh(problem, settings)
    filters = [band.filter for band in observation.bands]
    unseen = _leave_each_out(problem, solution, settings, filters) if settings.leave_each_out else None
    result = _result(seen, subspace, problem, solution, settings, history, unseen)
    return _cut(result, observation.grid) if settings.boundary == "symmetric" else result


def _cut(result, grid):
    """Cut a result for a mirrored field to the observation's own grid."""
    names = (
        "coefficients",
        "covariance",
        "draws",
        "prior_share",
        "dropped_share",
        "predicted_images",
        "unseen_images",
    )
    maps = {name: getattr(result, name) for name in names}
    cut = {name: None if m is None else unmirrored(m, grid) for name, m in maps.items()}
    return replace(result, mean_noise=2 * result.mean_noise, **cut)  # each spaxel was there four times


def at_beam(result: FusionResult, cell_size: float) -> FusionResult:
    """
    Blur a fused cube to its stated beam, of which its covariance is already.

    Parameters
    ----------
    result : FusionResult
        The fused cube, its settings with or without a beam.
    cell_size : float
        Side of a cell [arcsec].

    Returns
    -------
    FusionResult
        With the coefficients of the scene at that beam.
    """
    return replace(
        result, coefficients=blurred(result.coefficients, result.settings.beam, cell_size, mode="nearest")
    )


def seen_by_ifu(observation: Observation, result: FusionResult) -> np.ndarray:
    """
    Predict the cube in each channel from a fused cube (paper, Eq. B.2).

    Parameters
    ----------
    observation : Observation
        What was fused.
    result : FusionResult
        The fused cube, not at a beam.

    Returns
    -------
    ndarray of float32, shape (n_wave, my, mx)
        Noise-free cube on the spaxels of the grid [MJy/sr].
    """
    grid, k = observation.grid, len(result.coefficients)
    my, mx = grid.spaxel_shape
    shape = periodic_shape(grid)
    margins = [(0, long - short) for long, short in zip(shape, grid.shape, strict=True)]
    spectrum = rfft2(np.pad(result.coefficients, [(0, 0), *margins], mode="symmetric"))
    groups, optics = FrequencyGroups(shape, grid.decimation_factor), ifu_transfer(observation, shape)
    at_nodes = np.empty((len(optics.nirspec), k, my, mx), dtype=np.float32)
    for plane, otf in zip(at_nodes, optics.nirspec, strict=True):
        plane[:] = groups.decimate(otf * spectrum)[:, :my, :mx]
    mixing = optics.interpolation[:, :, np.newaxis] * result.basis[:, np.newaxis, :]
    mixing = mixing.reshape(len(mixing), -1).astype(np.float32)
    seen = (mixing @ at_nodes.reshape(mixing.shape[1], -1)).reshape(-1, my, mx)
    seen += result.mean_spectrum.astype(np.float32)[:, np.newaxis, np.newaxis]
    return seen


def _leave_each_out(problem, solution, settings, filters):
    """Predict each image, less the mean spectrum's, from the cube and other filters (paper, Appendix E.3)."""
    images = np.empty_like(problem.image_term.data)
    for name in dict.fromkeys(filters):
        out = np.array([other == name for other in filters])
        weight = problem.image_term.weight.copy()
        weight[out] = 0.0
        left = replace(problem, image_term=replace(problem.image_term, weight=weight))
        again = solve(
            left, start=solution.coefficients, rtol=settings.rtol, max_iterations=settings.max_iterations
        )
        images[out] = left.image_term.predict(rfft2(again.coefficients))[out]
    return images


def build_problem(observation: Observation, subspace: Subspace, settings: FusionSettings) -> Problem:
    """
    Set up the objective on a periodic grid that holds the observation's.

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
    shape = grid.shape if settings.boundary == "symmetric" else periodic_shape(grid)
    transfer = transfer_functions(observation, shape)
    groups = FrequencyGroups(shape, grid.decimation_factor)
    each = settings.weighting == "voxel"
    tuned = settings.tuning == "variance_components"
    return Problem(
        image_term=image_term(
            groups,
            subspace,
            transfer.interpolation,
            observation.bands,
            transfer.nircam,
            cell_size=grid.cell_size,
            model_errors=model_errors(observation) if tuned else None,
            each_pixel=each,
        ),
        cube_term=compress_cube(
            groups,
            subspace,
            transfer.interpolation,
            transfer.nirspec,
            weight_loss=cube_weight_loss(observation, subspace) if tuned else None,
            voxel_weight=_voxel_weight(observation.cube) if each else None,
        ),
        image_factor=1.0,
        cube_factor=settings.gamma or 1.0,
        prior=find_prior(observation, subspace, settings, shape),
    )


def _voxel_weight(cube):
    """Inverse variance of each voxel over that of its channel, from the stated errors."""
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = cube.error / np.nanmedian(cube.error[:, cube.footprint], axis=1)[:, None, None]
        known = np.isfinite(cube.data) & np.isfinite(relative) & (relative > 0)
        return np.where(known, np.clip(relative, *VOXEL_RANGE) ** -2.0, np.isfinite(cube.data))


def _result(observation, subspace, problem, solution, settings, history, unseen):
    """Cut the solution to the observation's grid and collect the diagnostics."""
    ny, nx = observation.grid.shape
    spectrum = rfft2(solution.coefficients)
    image = problem.image_term
    predicted = image.predict(spectrum)
    mean = np.array([band.bandpass @ subspace.mean_spectrum for band in observation.bands])
    mean = mean[:, np.newaxis, np.newaxis]
    errors = posterior(
        problem,
        solution,
        settings.samples,
        absolute=settings.tuning == "variance_components",
        blur=partial(blurred, beam=settings.beam, cell_size=observation.grid.cell_size),
    )
    dropped, share = dropped_variance(subspace, observation.grid)
    return FusionResult(
        mean_spectrum=subspace.mean_spectrum,
        basis=subspace.basis,
        coefficients=solution.coefficients[:, :ny, :nx],
        covariance=errors.covariance[..., :ny, :nx],
        draws=None if errors.draws is None else errors.draws[..., :ny, :nx],
        prior_share=errors.prior_share[:ny, :nx],
        dropped_variance=dropped,
        dropped_share=share,
        mean_noise=mean_noise(subspace),
        predicted_images=predicted[:, :ny, :nx] + mean,
        image_chi2=image.chi2(predicted),
        cube_chi2=problem.cube_term.chi2(spectrum),
        eigenvalues=subspace.eigenvalues,
        info_kept=subspace.info_kept,
        regularization=problem.prior.matrix,
        gamma=problem.cube_factor / problem.image_factor,
        settings=settings,
        gamma_history=np.array(history),
        objective=problem.terms(solution.coefficients),
        iterations=solution.iterations,
        converged=solution.converged,
        resolution=resolution(subspace, solution.blocks, observation, settings.beam),
        unseen_images=None if unseen is None else unseen[:, :ny, :nx] + mean,
    )
