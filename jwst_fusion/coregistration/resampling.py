"""Interpolation of a NIRCam image at the cells of the fusion grid."""

import numpy as np
from scipy.ndimage import map_coordinates

from jwst_fusion.optics.matching import fill_nearest

from .grid import grid_wcs

__all__ = ["resample_image"]

#: Pixels around the field that take part in the interpolation.
BORDER = 12


def resample_image(image, grid, offset=(0.0, 0.0)):
    """
    Interpolate an image bicubically at the centres of the cells.

    Only the part of the image around the field is touched.

    Parameters
    ----------
    image : ImageProduct
        The image.
    grid : FusionGrid
        The cells.
    offset : tuple of float
        Where the image's WCS puts a source minus where the grid's does (east, north) [arcsec].

    Returns
    -------
    data, error : ndarray, shape (ny, nx)
        Surface brightness and its error [MJy/sr]; NaN outside the image and next to bad pixels. Errors
        are those of linear interpolation, which ignores the correlation between drizzled pixels; a pixel
        without a stated error takes its neighbour's.
    """
    rows, columns = np.indices(grid.shape)
    ra, dec = grid_wcs(grid, offset).wcs_pix2world(columns.ravel(), rows.ravel(), 0)
    x, y = image.wcs.wcs_world2pix(ra, dec, 0)
    window, (y, x) = _window(image.data.shape, y, x)
    nothing = np.full(grid.shape, np.nan)
    if window is None:
        return nothing, nothing.copy()
    data = np.asarray(image.data[window], dtype=np.float64)
    variance = np.asarray(image.error[window], dtype=np.float64) ** 2
    bad = ~np.isfinite(data)
    if bad.all():
        return nothing, nothing.copy()
    lost = map_coordinates(bad.astype(np.float32), (y, x), order=1, mode="constant", cval=1.0) > 1e-6
    values = map_coordinates(fill_nearest(data), (y, x), order=3, mode="mirror")
    stated = variance > 0
    variance = fill_nearest(np.where(stated, variance, np.nan)) if stated.any() else np.zeros_like(variance)
    errors = np.sqrt(map_coordinates(variance, (y, x), order=1, mode="nearest"))
    values[lost], errors[lost] = np.nan, np.nan
    return values.reshape(grid.shape), errors.reshape(grid.shape)


def _window(shape, y, x):
    """Slices of the image around the points, and the points within; None where there are none."""
    finite = np.isfinite(x) & np.isfinite(y)
    if not finite.any():
        return None, (y, x)
    slices, points = [], []
    for n, values in zip(shape, (y, x), strict=True):
        low = max(int(np.floor(values[finite].min())) - BORDER, 0)
        high = min(int(np.ceil(values[finite].max())) + BORDER + 1, n)
        if high <= low:
            return None, (y, x)
        slices.append(slice(low, high))
        points.append(np.where(finite, values - low, -10.0))
    return tuple(slices), points
