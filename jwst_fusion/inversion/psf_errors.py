"""Errors of the modelled images and cube due to inexact PSFs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .cells import average_known

if TYPE_CHECKING:
    from jwst_fusion.observation import Observation

    from .subspace import Subspace

__all__ = ["cube_weight_loss", "ifu_error", "model_errors"]

#: Error of a modelled image as a share of its structure on the scale of the PSF, which is the image minus its
#: convolution with a Gaussian of this standard deviation [arcsec]. Judged.
PSF_ERROR = 0.025
PSF_SCALE = 0.1

#: The same of the cube: the IFU's blur is known worse. Between 0.05 and 0.1 results differ by 0.1 dB, but for
#: one scene that gains 0.5 dB. Measured.
IFU_PSF_ERROR = 0.1

#: Standard deviation of the Gaussian over which that structure is averaged [cells, or spaxels of the cube].
#: Judged.
STRUCTURE_SMOOTHING = 1.0


def cube_weight_loss(observation: Observation, subspace: Subspace) -> np.ndarray:
    """
    Compute the loss of weight of each spaxel's coefficients due to the error of the IFU's PSF.

    The covariance C of that error is proportional to the products of the structure on the scale of the PSF,
    averaged over neighbours. The weight is ``(1 + C)^-1``: the cube keeps its full weight where there is no
    structure, and for components without structure.

    Parameters
    ----------
    observation : Observation
        Cube and images on one grid.
    subspace : Subspace
        Basis and whitened data.

    Returns
    -------
    ndarray, shape (k, k, my, mx)
        Matrices ``1 - (1 + C)^-1``.
    """
    data, d = subspace.coefficients, observation.grid.decimation_factor
    known = np.where(subspace.spaxels, data, np.nan)
    width = PSF_SCALE / (observation.grid.cell_size * d)
    rough = np.where(subspace.spaxels, data - [average_known(a, width) for a in known], np.nan)
    k = len(data)
    error = np.empty((*data.shape[1:], k, k))
    for i in range(k):
        for j in range(i + 1):
            product = average_known(rough[i] * rough[j], STRUCTURE_SMOOTHING)
            error[..., i, j] = error[..., j, i] = IFU_PSF_ERROR**2 * np.nan_to_num(product)
    loss = np.eye(k) - np.linalg.inv(np.eye(k) + error)
    return np.moveaxis(loss, (-2, -1), (0, 1))


def model_errors(observation: Observation) -> list[np.ndarray]:
    """
    Estimate the errors of the modelled images due to inexact PSFs.

    Parameters
    ----------
    observation : Observation
        Cube and images on one grid.

    Returns
    -------
    list of ndarray, shape (ny, nx)
        Standard errors [MJy/sr], one for each band.
    """
    cell = observation.grid.cell_size
    return [
        (PSF_ERROR if band.psf_error is None else band.psf_error) * _structure(band.data, cell)
        for band in observation.bands
    ]


def ifu_error(plane: np.ndarray, spaxel: float) -> np.ndarray:
    """
    Estimate the error of a modelled plane of the cube due to the inexact PSF of the IFU.

    Parameters
    ----------
    plane : ndarray, shape (my, mx)
        Light on the spaxels; NaN where unknown.
    spaxel : float
        Side of a spaxel [arcsec].

    Returns
    -------
    ndarray, shape (my, mx)
        Standard error, in the unit of the light.
    """
    return IFU_PSF_ERROR * _structure(plane, spaxel)


def _structure(plane, pixel):
    """Local rms of the structure of a plane on the scale of the PSF; zero where unknown."""
    squared = average_known((plane - average_known(plane, PSF_SCALE / pixel)) ** 2, STRUCTURE_SMOOTHING)
    return np.sqrt(np.where(np.isfinite(squared), squared, 0.0))
