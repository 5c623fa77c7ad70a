"""What a fused cube's resolution is, and what its mean spectrum and its subspace leave open."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.optics.psf import fwhm

from .spectral import shared_noise
from .uncertainty import blurred

if TYPE_CHECKING:
    from jwst_fusion.observation import FusionGrid, Observation

    from .solver import Blocks
    from .subspace import Subspace

__all__ = ["dropped_variance", "mean_noise", "resolution"]

log = logging.getLogger(__name__)

#: Channels at which the width of the point spread function is measured. Judged.
RESOLUTION_SAMPLES = 16


def resolution(
    subspace: Subspace, blocks: Blocks, observation: Observation, beam: float | None
) -> np.ndarray:
    """
    Measure the width of the response to a point source of the mean spectrum.

    Parameters
    ----------
    subspace : Subspace
        Mean spectrum and basis of the scene.
    blocks : Blocks
        Inverse of the problem without masks.
    observation : Observation
        Grid and wavelengths.
    beam : float or None
        FWHM of the Gaussian beam of the fused cube [arcsec]; None without.

    Returns
    -------
    ndarray, shape (n_wave,)
        FWHM [arcsec]; NaN where it is wider than the field.
    """
    wavelength = observation.cube.wavelength
    point = subspace.whitened_basis.T @ (subspace.mean_spectrum * subspace.weights)
    level = subspace.basis @ point
    bright = np.flatnonzero((subspace.weights > 0) & (level > 0.1 * np.abs(level).max()))
    widths = np.full(wavelength.size, np.nan)
    if bright.size == 0:
        return widths
    sampled = np.unique(bright[np.linspace(0, bright.size - 1, RESOLUTION_SAMPLES).astype(int)])
    cell = observation.grid.cell_size
    response = blurred(blocks.response(point), beam, cell)
    try:
        measured = [fwhm(np.tensordot(subspace.basis[i], response, axes=1), cell) for i in sampled]
    except ParameterError as problem:
        log.warning("The fused cube's resolution is not measured: %s; lower mu", problem)
        return widths
    return np.interp(wavelength, wavelength[sampled], measured)


def mean_noise(subspace: Subspace) -> np.ndarray:
    """
    Measure the noise of the mean spectrum, with what neighbouring spaxels share of it.

    Parameters
    ----------
    subspace : Subspace
        Basis and whitened data.

    Returns
    -------
    ndarray, shape (n_wave,)
        Standard deviation [MJy/sr]; NaN in channels without data.
    """
    used = subspace.weights > 0
    columns = subspace.whitened[:, subspace.spaxels]
    basis = subspace.whitened_basis
    residual = (columns - basis @ (basis.T @ columns))[used]
    level = np.sqrt(shared_noise(residual, subspace.spaxels)[0] / subspace.spaxels.sum())
    return np.where(used, level / np.where(used, subspace.weights, 1.0), np.nan)


def dropped_variance(subspace: Subspace, grid: FusionGrid) -> tuple[np.ndarray, np.ndarray]:
    """
    Measure the variance of what the subspace cannot carry.

    Parameters
    ----------
    subspace : Subspace
        Basis and whitened data.
    grid : FusionGrid
        The cells of the spaxels.

    Returns
    -------
    variance : ndarray, shape (n_wave,)
        Mean over the footprint [(MJy/sr)^2].
    share : ndarray, shape (ny, nx)
        How much of it a cell has, in units of that mean.
    """
    basis = subspace.whitened_basis
    columns = subspace.whitened[:, subspace.spaxels]
    excess = (columns - basis @ (basis.T @ columns)) ** 2 - 1.0
    used = subspace.weights > 0
    variance = np.zeros(used.size)
    variance[used] = np.maximum(excess[used].mean(axis=1), 0.0) / subspace.weights[used] ** 2
    local = np.maximum(excess[used].mean(axis=0), 0.0)
    share = np.ones(subspace.spaxels.shape)
    if local.any():
        share[subspace.spaxels] = local / local.mean()
    d = grid.decimation_factor
    return variance, np.repeat(np.repeat(share, d, axis=0), d, axis=1)
