"""Spatial frequencies of a grid of cells in the frame of the sky, and half planes of real images."""

from __future__ import annotations

import numpy as np

from jwst_fusion.exceptions import ParameterError

__all__ = ["grid_frequencies", "make_hermitian"]


def grid_frequencies(shape: tuple[int, int], jacobian: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Compute the frequencies of the half plane of `numpy.fft.rfft2`.

    A cell step p is a displacement J p on the sky. Phases are equal, ``f_sky . (J p) = f_cell . p``, for
    ``f_sky = inv(J).T @ f_cell``.

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


def make_hermitian(half_plane: np.ndarray, n_columns: int) -> np.ndarray:
    """
    Make a half plane the transform of a real image.

    Columns 0 and (for even ``n_columns``) the last hold both a frequency and its mirror, which have
    to be each other's conjugate: they are replaced by their mean. A transfer function sampled on a
    grid needs this at the grid's highest frequency only.

    Parameters
    ----------
    half_plane : ndarray, shape (..., ny, nx // 2 + 1)
        Samples of a transfer function.
    n_columns : int
        Columns of the image, nx.

    Returns
    -------
    ndarray
        The same shape; a new array.
    """
    result = half_plane.copy()
    columns = [0] if n_columns % 2 else [0, -1]
    for column in columns:
        values = half_plane[..., column]
        mirror = np.roll(values[..., ::-1], 1, axis=-1).conj()
        result[..., column] = (values + mirror) / 2
    return result
