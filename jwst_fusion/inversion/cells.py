"""Maps on the cells of a grid: interpolated from spaxels, averaged, and placed on a larger grid."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_erosion, gaussian_filter, map_coordinates

__all__ = ["average_known", "between_cells", "interior", "upsample", "within"]

#: Share of the smoothing over known values that a cell needs. Judged.
MIN_SHARE = 0.2


def upsample(images: np.ndarray, decimation_factor: int) -> np.ndarray:
    """
    Interpolate images on spaxels bicubically to the cells.

    Parameters
    ----------
    images : ndarray, shape (n, my, mx)
        Images without NaN.
    decimation_factor : int
        Cells per spaxel along an axis, d.

    Returns
    -------
    ndarray, shape (n, my * d, mx * d)
        Interpolated images; edges are mirrored.
    """
    d = decimation_factor
    my, mx = images.shape[1:]
    rows, columns = ((np.arange(n * d) - (d - 1) / 2) / d for n in (my, mx))
    grid = np.meshgrid(rows, columns, indexing="ij")
    return np.stack([map_coordinates(image, grid, order=3, mode="mirror") for image in images])


def average_known(values: np.ndarray, width: float) -> np.ndarray:
    """
    Average neighbouring known values with Gaussian weights.

    Parameters
    ----------
    values : ndarray, shape (ny, nx)
        Values; NaN where unknown.
    width : float
        Standard deviation of the Gaussian [cells].

    Returns
    -------
    ndarray, shape (ny, nx)
        Averages; NaN where few are known.
    """
    known = np.isfinite(values)
    share = gaussian_filter(known.astype(float), width)
    total = gaussian_filter(np.where(known, values, 0.0), width)
    return np.where(share > MIN_SHARE, total / np.maximum(share, MIN_SHARE), np.nan)


def between_cells(values: np.ndarray) -> np.ndarray:
    """
    Average each cell with the next, on a periodic grid.

    Parameters
    ----------
    values : ndarray, shape (..., ny, nx)
        Values at the cells.

    Returns
    -------
    ndarray, shape (2, ..., ny, nx)
        Mean of a cell and of the next along y, and along x.
    """
    return np.stack([(values + np.roll(values, -1, axis)) / 2.0 for axis in (-2, -1)])


def within(values: np.ndarray, shape: tuple[int, int], elsewhere: np.ndarray | float) -> np.ndarray:
    """
    Place values at the lower left corner of a larger grid.

    Parameters
    ----------
    values : ndarray, shape (..., my, mx)
        Values.
    shape : tuple of int
        Cells (ny, nx) of the grid.
    elsewhere : float or ndarray, shape (..., ny, nx)
        Values of the grid's other cells.

    Returns
    -------
    ndarray, shape (..., ny, nx)
        The grid.
    """
    full = np.empty((*values.shape[:-2], *shape))
    full[...] = elsewhere
    full[..., : values.shape[-2], : values.shape[-1]] = values
    return full


def interior(spaxels: np.ndarray, d: int) -> np.ndarray:
    """
    Find the cells at least a spaxel inside the footprint; all cells if there are none.

    Parameters
    ----------
    spaxels : ndarray of bool, shape (my, mx)
        The footprint.
    d : int
        Cells per spaxel along an axis.

    Returns
    -------
    ndarray of bool, shape (my * d, mx * d)
        The cells.
    """
    inside = binary_erosion(np.kron(spaxels, np.ones((d, d), dtype=bool)), iterations=d)
    return inside if inside.any() else np.ones_like(inside)
