"""What inexact PSFs make of the models of images and cube."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .cells import average_known

if TYPE_CHECKING:
    from jwst_fusion.observation import Observation

    from .subspace import Subspace

__all__ = ["cube_weight_loss", "ifu_error", "model_errors"]

#: Error of a modelled image over the structure that the image has on the scale of the PSF, which is not known
#: better: what is left of it when a Gaussian of this width [arcsec] is taken away. Judged.
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
    Find the share of the weight of a spaxel's coefficients that the error of the IFU's PSF takes.

    The structure on the scale of the PSF, averaged over neighbours, is the covariance of that error but for
    its size: where the scene has none, and in the directions that do not change there, the cube counts in
    full.

    Parameters
    ----------
    observation : Observation
        Cube and images on one grid.
    subspace : Subspace
        Basis and whitened data.

    Returns
    -------
    ndarray, shape (k, k, my, mx)
        Matrices of the share.
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
    Estimate the errors that inexact PSFs make in the model of each image.

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
    Estimate the error that the IFU's inexact PSF makes in the model of a plane of the cube.

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
    """Local rms of what a plane has on the scale of the PSF; zero where unknown."""
    squared = average_known((plane - average_known(plane, PSF_SCALE / pixel)) ** 2, STRUCTURE_SMOOTHING)
    return np.sqrt(np.where(np.isfinite(squared), squared, 0.0))
