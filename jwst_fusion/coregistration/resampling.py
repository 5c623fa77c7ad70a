"""Interpolation of a NIRCam image at the cells of the fusion grid."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import map_coordinates

from jwst_fusion.optics.matching import fill_nearest

from .fit import GAUSSIAN_MAD
from .grid import grid_wcs

if TYPE_CHECKING:
    from jwst_fusion.observation import FusionGrid, ImageProduct

__all__ = ["cutout", "moved", "reduce_image", "resample_image"]

#: Pixels around the field that take part in the interpolation. Derived.
BORDER = 12

#: Share of unknown neighbours in an interpolation from which its value is unknown. Derived.
LOST = 1e-6


def resample_image(
    image: ImageProduct, grid: FusionGrid, offset: tuple[float, float] = (0.0, 0.0)
) -> tuple[np.ndarray, np.ndarray]:
    """
    Interpolate an image and its error [MJy/sr] bicubically at the centres of the cells, (ny, nx) each.

    Only the part of the image around the field is touched. The offset is the position of a source in the
    image's WCS minus that in the grid's (east, north) [arcsec]. NaN outside the image and next to bad pixels.
    Errors are those of linear interpolation, which ignores the correlation between drizzled pixels; a pixel
    without a stated error takes its neighbour's.
    """
    rows, columns = np.indices(grid.shape)
    ra, dec = grid_wcs(grid, offset).wcs_pix2world(columns.ravel(), rows.ravel(), 0)
    x, y = image.wcs.wcs_world2pix(ra, dec, 0)
    window, (y, x) = _window(image.data.shape, y, x)
    nothing = np.full(grid.shape, np.nan)
    if window is None:
        return nothing, nothing.copy()
    data, errors = cutout(image, window)
    variance = errors**2
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


def cutout(image: ImageProduct, window: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
    """
    Read a window (rows, columns) of an image and its error [MJy/sr], float64.

    NaN where there is no weight, and the error where it is not stated. If no error is stated, the differences
    of neighbouring pixels give one for all pixels.
    """
    data = np.array(image.data[window], dtype=np.float64)
    data[~np.isfinite(data)] = np.nan
    if image.weight is not None:
        data[image.weight[window] == 0] = np.nan
    error = np.full(data.shape, np.nan)
    if image.error is not None:
        stated = np.asarray(image.error[window], dtype=np.float64)
        error = np.where(stated > 0, stated, np.nan)
    error[~np.isfinite(data)] = np.nan
    if not np.isfinite(error).any() and data.shape[1] > 1:
        difference = np.abs(np.diff(data, axis=1))
        difference = difference[np.isfinite(difference)]
        if difference.size:
            noise = GAUSSIAN_MAD * np.median(difference) / np.sqrt(2.0)
            error = np.where(np.isfinite(data), noise, np.nan)
    return data, error


def moved(plane: np.ndarray, by: tuple[float, float]) -> np.ndarray:
    """
    Interpolate a plane (my, mx) bicubically at places that are displaced (y, x) by a part of a spaxel.

    NaN next to unknown values.
    """
    if not any(by) or not np.isfinite(plane).any():
        return plane
    rows, columns = np.indices(plane.shape)
    at = rows + by[0], columns + by[1]
    values = map_coordinates(fill_nearest(plane), at, order=3, mode="nearest")
    lost = map_coordinates((~np.isfinite(plane)).astype(float), at, order=1, cval=1.0)
    return np.where(lost > LOST, np.nan, values)


def reduce_image(image: ImageProduct, factor: int) -> ImageProduct:
    """
    Average an image over blocks with a factor of pixels along a side, reading a few rows at a time.

    The result has no errors; it is NaN where most of a block is unknown.
    """
    ny, nx = (n // factor for n in image.data.shape)
    blocks = np.full((ny, nx), np.nan, dtype=np.float32)
    for row in range(ny):
        window = slice(row * factor, (row + 1) * factor), slice(0, nx * factor)
        data = cutout(image, window)[0].reshape(factor, nx, factor)
        count = np.isfinite(data).sum(axis=(0, 2))
        total = np.nan_to_num(data).sum(axis=(0, 2))
        enough = count > factor**2 // 2
        blocks[row, enough] = total[enough] / count[enough]
    wcs = image.wcs.deepcopy()
    wcs.wcs.crpix = (wcs.wcs.crpix - 0.5) / factor + 0.5
    if wcs.wcs.has_cd():
        wcs.wcs.cd = wcs.wcs.cd * factor
    else:
        wcs.wcs.cdelt = wcs.wcs.cdelt * factor
    wcs.wcs.set()
    pixel = image.image_pixel * factor
    return replace(image, data=blocks, error=None, weight=None, wcs=wcs, image_pixel=pixel)


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
