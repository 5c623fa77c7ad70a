"""The fusion grid: the cube's own spaxels, each split into d x d cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from jwst_fusion.observation import FusionGrid

__all__ = ["crop_cube", "cube_footprint", "enlarge", "grid_wcs", "local_frame", "make_grid", "tangent_wcs"]

#: Share of its channels in which a spaxel of the footprint must have data. Judged.
MIN_KNOWN = 0.5


def cube_footprint(data: np.ndarray) -> np.ndarray:
    """
    Find the spaxels (my, mx) that the IFU saw of a cube (n_wave, my, mx), NaN where bad.

    They are known in at least half of the channels that are known anywhere.
    """
    known = np.isfinite(data)
    alive = known.any(axis=(1, 2))
    if not alive.any():
        return np.zeros(data.shape[1:], dtype=bool)
    return known[alive].mean(axis=0) >= MIN_KNOWN


def make_grid(window: tuple[slice, slice], wcs: WCS, decimation_factor: int, margin: float) -> FusionGrid:
    """
    Lay the fusion grid over a window (rows, columns) of a cube with a margin of sky [arcsec] around it.

    Its origin may lie outside the cube.
    """
    rows, columns = window
    middle = (columns.start + columns.stop - 1) / 2, (rows.start + rows.stop - 1) / 2
    centre, jacobian = local_frame(wcs, *middle)
    spaxel = np.sqrt(abs(np.linalg.det(jacobian)))
    wide = int(np.ceil(margin / spaxel - 1e-9))
    spaxels = [at.stop - at.start for at in window]
    return FusionGrid(
        shape=tuple((n + 2 * wide) * decimation_factor for n in spaxels),
        decimation_factor=decimation_factor,
        jacobian=jacobian / decimation_factor,
        centre=centre,
        origin=(rows.start - wide, columns.start - wide),
        field=tuple(slice(wide, wide + n) for n in spaxels),
    )


def tangent_wcs(centre: Sequence, pixel: Sequence, jacobian: np.ndarray) -> WCS:
    """Celestial WCS by `local_frame` at a pixel, which is counted from 0."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = centre
    wcs.wcs.crpix = pixel[0] + 1, pixel[1] + 1
    wcs.wcs.cd = jacobian / 3600
    wcs.wcs.set()
    return wcs


def local_frame(wcs: WCS, x: float, y: float) -> tuple[tuple[float, float], np.ndarray]:
    """
    Sky position (right ascension, declination) [deg] of a pixel, counted from 0, and the axes there.

    The latter are the sky displacement (east, north) [arcsec] for one step along (x, y), shape (2, 2).
    """
    half = 0.5
    xs = np.array([x, x + half, x - half, x, x])
    ys = np.array([y, y, y, y + half, y - half])
    ra, dec = wcs.wcs_pix2world(xs, ys, 0)
    east, north = tangent_wcs((ra[0], dec[0]), (-1, -1), np.eye(2)).wcs_world2pix(ra, dec, 0)
    jacobian = np.array([[east[1] - east[2], east[3] - east[4]], [north[1] - north[2], north[3] - north[4]]])
    return (float(ra[0]), float(dec[0])), jacobian


def grid_wcs(grid: FusionGrid, offset: tuple[float, float] = (0.0, 0.0)) -> WCS:
    """
    Celestial WCS of the cells, a tangential projection about the grid's centre.

    It may be displaced (east, north) [arcsec]: with the offset of a NIRCam image, it gives the coordinates at
    which that image has the sky of each cell.
    """
    centre = SkyCoord(*grid.centre, unit="deg")
    if any(offset):
        centre = centre.spherical_offsets_by(*(value / 3600 * u.deg for value in offset))
    middle = (grid.shape[1] - 1) / 2, (grid.shape[0] - 1) / 2
    return tangent_wcs((centre.ra.deg, centre.dec.deg), middle, grid.jacobian)


def enlarge(grid: FusionGrid, spaxels: int) -> FusionGrid:
    """Grid with the same centre, and spaxels of sky more on each side."""
    d = grid.decimation_factor
    return FusionGrid(
        shape=tuple(n + 2 * spaxels * d for n in grid.shape),
        decimation_factor=d,
        jacobian=grid.jacobian,
        centre=grid.centre,
        origin=tuple(n - spaxels for n in grid.origin),
        field=tuple(slice(at.start + spaxels, at.stop + spaxels) for at in grid.field),
    )


def crop_cube(array: np.ndarray, grid: FusionGrid, fill: float) -> np.ndarray:
    """
    Cut an array (..., my, mx) on the cube's spaxels to those of a grid, into a new array.

    What lies outside the cube is filled with a value.
    """
    result = np.full((*array.shape[:-2], *grid.spaxel_shape), fill, dtype=array.dtype)
    target, source = [], []
    for first, n_grid, n_cube in zip(grid.origin, grid.spaxel_shape, array.shape[-2:], strict=True):
        low, high = max(first, 0), min(first + n_grid, n_cube)
        source.append(slice(low, high))
        target.append(slice(low - first, high - first))
    result[..., target[0], target[1]] = array[..., source[0], source[1]]
    return result
