"""Surroundings of the data; and the paper's boundary, mirrored data, and its weights, all equal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from jwst_fusion.optics.matching import fill_nearest

if TYPE_CHECKING:
    from jwst_fusion.observation import FusionGrid, Observation

__all__ = ["mirrored", "periodic_shape", "unmirrored", "unweighted"]

#: Least distance of opposite edges of the field on the periodic grid [arcsec]. Twice the usual margin, which
#: NIRCam covers: cells without data could absorb any light that the wings of the PSF require. Derived.
SEPARATION = 1.2


def periodic_shape(grid: FusionGrid) -> tuple[int, int]:
    """
    Choose the periodic grid on which a field is fused.

    Parameters
    ----------
    grid : FusionGrid
        Grid of the data, margin included.

    Returns
    -------
    ny, nx : int
        Cells, not fewer than the data's and a multiple of the decimation factor; the data lie at the lower
        left corner.
    """
    d = grid.decimation_factor
    apart = int(np.ceil(SEPARATION / (grid.cell_size * d) - 1e-6))
    ny, nx = (
        d * max(m, len(range(m)[at]) + apart) for m, at in zip(grid.spaxel_shape, grid.field, strict=True)
    )
    return ny, nx


def mirrored(observation: Observation) -> Observation:
    """
    Surround the field by its mirror images (paper, Appendix C).

    Parameters
    ----------
    observation : Observation
        Cube and images on one grid.

    Returns
    -------
    Observation
        The field with as many spaxels again on each side, all known: a hole is filled with its nearest
        neighbour.
    """
    grid = observation.grid
    d, field = grid.decimation_factor, grid.field
    cells = tuple(slice(at.start * d, at.stop * d) for at in field)
    spaxels = tuple(at.stop - at.start for at in field)
    origin = tuple(o + at.start - n for o, at, n in zip(grid.origin, field, spaxels, strict=True))
    tripled = replace(
        grid,
        shape=tuple(3 * n * d for n in spaxels),
        origin=origin,
        field=tuple(slice(n, 2 * n) for n in spaxels),
    )

    def mirror(plane):
        filled = fill_nearest(plane) if np.isfinite(plane).any() else plane
        return np.pad(filled, [(n, n) for n in plane.shape], mode="symmetric")

    cube = observation.cube
    data, error = (np.stack([mirror(plane[field]) for plane in part]) for part in (cube.data, cube.error))
    bands = tuple(
        replace(band, data=mirror(band.data[cells]), error=mirror(band.error[cells]))
        for band in observation.bands
    )
    cube = replace(cube, data=data, error=error, footprint=np.ones(data.shape[1:], dtype=bool))
    return replace(observation, grid=tripled, cube=cube, bands=bands)


def unmirrored(maps: np.ndarray, grid: FusionGrid) -> np.ndarray:
    """
    Cut maps of a mirrored field to the field's own grid.

    Parameters
    ----------
    maps : ndarray, shape (..., ny, nx)
        On the cells of `mirrored`.
    grid : FusionGrid
        The observation's own grid.

    Returns
    -------
    ndarray, shape (..., *grid.shape)
        The maps, with what the mirror shows in the grid's margin.
    """
    d, rows = grid.decimation_factor, []
    for n, at, mirror in zip(grid.shape, grid.field, maps.shape[-2:], strict=True):
        rows.append(np.clip(np.arange(n) + (at.stop - 2 * at.start) * d, 0, mirror - 1))
    return maps[..., rows[0][:, np.newaxis], rows[1]]


def unweighted(observation: Observation) -> Observation:
    """
    State a noise of 1 MJy/sr for all data (paper, Eq. C.2).

    Parameters
    ----------
    observation : Observation
        Cube and cross-calibrated images.

    Returns
    -------
    Observation
        The same, but for the noise of channels with data and the errors of the images, which are one on
        the cube's flux scale.
    """
    cube = observation.cube
    noise = np.where(np.isfinite(cube.noise), 1.0, np.nan)
    bands = tuple(replace(b, error=np.full(b.data.shape, b.scale)) for b in observation.bands)
    return replace(observation, cube=replace(cube, noise=noise), bands=bands)
