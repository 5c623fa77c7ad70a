"""Spatial frequencies of a grid of cells, in the sky's frame."""

from __future__ import annotations

import numpy as np

from jwst_fusion.exceptions import ParameterError

__all__ = ["grid_frequencies", "symmetrise_nyquist"]


def grid_frequencies(shape: tuple[int, int], jacobian: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Compute the frequencies of the half plane of `numpy.fft.rfft2`.

    A cell step p moves ``jacobian @ p`` on the sky, so that equal phases f_sky . (J p) = f_cell . p
    ask for ``f_sky = inv(J).T @ f_cell``.

    Parameters
    ----------
    shape : tuple of int
        Number of cells (ny, nx).
    jacobian : ndarray, shape (2, 2)
        Sky displacement (east, north) [arcsec] for one cell step along (x, y), as columns.

    Returns
    -------
    frequency_east, frequency_north : ndarray, shape (ny, nx // 2 + 1)
        Frequencies [cycles/arcsec].

    Raises
    ------
    ParameterError
        If the jacobian cannot be inverted.
    """
    matrix = np.asarray(jacobian, dtype=np.float64)
    determinant = np.linalg.det(matrix) if matrix.shape == (2, 2) else np.nan
    if not np.isfinite(determinant) or determinant == 0:
        raise ParameterError(f"found jacobian {matrix.tolist()}, expected an invertible 2 x 2 matrix")
    ny, nx = shape
    along_x = np.fft.rfftfreq(nx)[np.newaxis, :]
    along_y = np.fft.fftfreq(ny)[:, np.newaxis]
    inverse = np.linalg.inv(matrix)
    east = inverse[0, 0] * along_x + inverse[1, 0] * along_y
    north = inverse[0, 1] * along_x + inverse[1, 1] * along_y
    return east, north


def symmetrise_nyquist(otf: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """
    Make a half-plane OTF that of a real kernel, also in the column of the highest x frequency.

    For even nx that column stands for both +1/2 and -1/2 cycle per cell. `numpy.fft.irfft2` quietly
    drops the part of a real OTF there that is odd in y frequency; without it the OTF is exactly the
    operator's diagonal, and products of OTFs that of the product.

    Parameters
    ----------
    otf : ndarray, shape (..., ny, nx // 2 + 1)
        OTF on the half plane; real for a PSF that is its own mirror image.
    shape : tuple of int
        Number of cells (ny, nx).

    Returns
    -------
    ndarray, shape (..., ny, nx // 2 + 1)
        The OTF, a copy.
    """
    ny, nx = shape
    result = np.array(otf)
    if nx % 2 == 0:
        last = result[..., -1].copy()
        result[..., -1] = 0.5 * (last + last[..., -np.arange(ny) % ny].conj())
    return result
