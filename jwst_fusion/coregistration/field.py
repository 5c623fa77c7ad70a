"""The field of view of the fusion: all of the cube, or the rectangle that a user asks for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from scipy.ndimage import map_coordinates

from jwst_fusion.exceptions import NoOverlapError, ParameterError
from jwst_fusion.optics.matching import fill_nearest

from .grid import cube_footprint, local_frame

if TYPE_CHECKING:
    from jwst_fusion.observation import CubeProduct

__all__ = ["field_angle", "field_window", "parse_centre", "rotate_cube"]


def parse_centre(text: str) -> tuple[float, float]:
    """
    Read right ascension and declination [deg] from a text; raise ParameterError if it is no position.

    It is in degrees (``83.834 -5.42``) or sexagesimal (``05:35:20.2 -05:25:12``, ``5h35m20.2s -5d25m12s``).
    """
    sexagesimal = any(mark in text for mark in ":hd")
    try:
        place = SkyCoord(text.replace(",", " "), unit=(u.hourangle if sexagesimal else u.deg, u.deg))
        return float(place.ra.deg), float(place.dec.deg)
    except (ValueError, TypeError, IndexError) as error:
        raise ParameterError(
            f"center = {text!r} is not a position: use '83.834 -5.42' or '05:35:20.2 -05:25:12'"
        ) from error


def field_angle(position_angle: str | float, product: CubeProduct) -> float | None:
    """
    Position angle of the field's y axis [deg E of N]; None where the cube need not be rotated.

    It is given as ``cube``: that of the cube; ``aperture``: along the IFU; or in degrees. Raises
    ParameterError for anything else.
    """
    if position_angle == "cube":
        return None
    if position_angle == "aperture":
        return product.position_angle_aperture
    try:
        angle = float(position_angle)
    except (TypeError, ValueError):
        angle = np.nan
    if not np.isfinite(angle):
        raise ParameterError(
            f"position_angle = {position_angle!r} cannot be used: use cube, aperture or degrees E of N"
        )
    return angle


def rotate_cube(product: CubeProduct, angle: float) -> CubeProduct:
    """
    Interpolate a cube bicubically onto spaxels of the same size whose y axis is at an angle [deg E of N].

    East is at the left of north; NaN where a neighbour is NaN.
    """
    footprint = cube_footprint(product.data)
    if not footprint.any():
        return product
    rows, columns = (np.flatnonzero(footprint.any(axis=axis)) for axis in (1, 0))
    middle = (columns[0] + columns[-1]) / 2, (rows[0] + rows[-1]) / 2
    centre, jacobian = local_frame(product.wcs, *middle)
    spaxel = np.sqrt(abs(np.linalg.det(jacobian)))
    sine, cosine = np.sin(np.radians(angle)), np.cos(np.radians(angle))
    axes = spaxel * np.array([[-cosine, sine], [sine, cosine]])
    y, x = np.nonzero(footprint)
    turned = np.linalg.solve(axes, jacobian @ np.array([x - middle[0], y - middle[1]]))
    half = np.ceil(np.abs(turned).max(axis=1)).astype(int) + 1
    shape = 2 * half[1] + 1, 2 * half[0] + 1
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.crpix = centre, half + 1.0
    wcs.wcs.cdelt, wcs.wcs.pc = [spaxel / 3600] * 2, axes / spaxel
    wcs.wcs.set()
    grid_y, grid_x = np.indices(shape)
    ra, dec = wcs.wcs_pix2world(grid_x.ravel(), grid_y.ravel(), 0)
    x, y = product.wcs.wcs_world2pix(ra, dec, 0)
    data = np.full((len(product.data), *shape), np.nan, dtype=np.float32)
    error = data.copy()
    for plane, variance, new, new_error in zip(product.data, product.error**2, data, error, strict=True):
        bad = ~np.isfinite(plane)
        if bad.all():
            continue
        lost = map_coordinates(bad.astype(np.float32), (y, x), order=1, cval=1.0) > 1e-6
        values = map_coordinates(fill_nearest(plane), (y, x), order=3, mode="nearest")
        spread = map_coordinates(np.nan_to_num(variance), (y, x), order=1, mode="nearest")
        new[:] = np.where(lost, np.nan, values).reshape(shape)
        new_error[:] = np.where(lost, np.nan, np.sqrt(spread)).reshape(shape)
    return replace(product, data=data, error=error, wcs=wcs)


def field_window(
    footprint: np.ndarray,
    wcs: WCS,
    *,
    centre: tuple[float, float] | None = None,
    centre_spaxel: tuple[float, float] | None = None,
    height: float | None = None,
    width: float | None = None,
) -> tuple[slice, slice]:
    """
    Choose the rows and columns of spaxels that are fused: the smallest with the footprint within a rectangle.

    Its middle is the centre [deg] or the spaxel (x, y), by default that of the footprint, and so are its
    height along y and width along x [arcsec]. Raises NoOverlapError if no spaxel of the footprint lies
    within.
    """
    rows, columns = (np.flatnonzero(footprint.any(axis=axis)) for axis in (1, 0))
    if rows.size == 0:
        raise NoOverlapError(
            "the cube has no spaxel with data in the wavelength range of the fusion; fetch it again, or "
            "rebuild it with cube_build"
        )
    middle: tuple[float, ...] = (columns[0] + columns[-1]) / 2, (rows[0] + rows[-1]) / 2
    _, jacobian = local_frame(wcs, *middle)
    if centre is not None:
        middle = tuple(float(v) for v in wcs.wcs_world2pix(*centre, 0))
    elif centre_spaxel is not None:
        middle = tuple(centre_spaxel)
    inside = footprint.copy()
    for axis, (at, extent) in enumerate(((middle[1], height), (middle[0], width))):
        if extent is None:
            continue
        step = np.hypot(*jacobian[:, 1 - axis])
        distance = np.abs(np.arange(footprint.shape[axis]) - at) * step
        inside &= (distance <= extent / 2 + 1e-6).reshape((-1, 1) if axis == 0 else (1, -1))
    if not inside.any():
        raise NoOverlapError(
            f"no spaxel of the cube lies in the field of {height} x {width} arcsec about spaxel x = "
            f"{middle[0]:.1f}, y = {middle[1]:.1f}: the cube's data cover x {columns[0]} to {columns[-1]}, y "
            f"{rows[0]} to {rows[-1]}; correct center, height or width"
        )
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
