"""Where several cubes and all images of a scene have its sky: one solution for all offsets."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from jwst_fusion.optics import throughput

from .grid import grid_wcs, tangent_wcs
from .overlaps import common_planes, measure_displacement
from .pointing import ASYMMETRY, CHROMATIC_ASYMMETRY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.wcs import WCS

    from .sets import SetMember

__all__ = ["Begin", "begin_of", "reference_spaxels", "solve_places"]

log = logging.getLogger(__name__)

#: Alignment of NIRCam's images with each other by their coordinates: standard deviation on an axis [arcsec].
#: Judged.
IMAGE_ALIGNMENT = 0.003


@dataclass(frozen=True)
class Begin:
    """Where the grid of a cube begins on the spaxels of the reference (rows, columns)."""

    whole: np.ndarray  # whole spaxels
    part: np.ndarray  # part of a spaxel that is left


@dataclass(frozen=True)
class _Tie:
    """Offset of one cube less that of another (east, north), and its error [arcsec]."""

    first: int
    second: int
    offset: np.ndarray
    error: float


def solve_places(members: Sequence[SetMember]) -> tuple[np.ndarray, np.ndarray, dict]:
    """
    Solve for the places of all cubes and images together.

    Each measured offset is that of an image less that of a cube. Cubes that see the same sky at the same
    wavelengths are compared with each other too. Images are aligned with each other to `IMAGE_ALIGNMENT`; on
    the average those of the short channel are where their coordinates put them.

    The results are where the reference puts a source minus where each cube does, (n, 2) (east, north)
    [arcsec], the standard errors (n,) of either, and where each image puts a source minus where the reference
    does, by file name.
    """
    images = {image.name: image for member in members for image in member.images}
    if members[0].pointing.method == "wcs":
        n = len(members)
        return np.zeros((n, 2)), np.full(n, np.nan), {name: np.zeros(2) for name in images}
    offsets, _, _ = _solve(members, images, [])
    offsets, errors, places = _solve(members, images, _ties(members, offsets))
    for member, offset, error in zip(members, offsets, errors, strict=True):
        log.info(
            "%s is %+.1f mas east, %+.1f mas north of NIRCam, +- %.1f mas",
            member.product.name, *(-1e3 * offset), 1e3 * error,
        )  # fmt: skip
    return offsets, errors, places


def _solve(members, images, ties):
    """Least squares for the offsets of the cubes, with their errors, and the places of the images."""
    names, n = list(images), len(members)
    rows, values = [], []

    def add(terms, value, error):
        row = np.zeros(n + len(names))
        for at, sign in terms:
            row[at] = sign
        rows.append(row / error)
        values.append(np.asarray(value) / error)

    for i, member in enumerate(members):
        for image, offset in zip(member.images, member.pointing.measured, strict=True):
            if np.isfinite(offset.error):
                error = np.hypot(offset.error, CHROMATIC_ASYMMETRY)
                add([(i, 1), (n + names.index(image.name), 1)], (offset.east, offset.north), error)
    for k in range(len(names)):
        add([(n + k, 1)], (0.0, 0.0), IMAGE_ALIGNMENT)
    for tie in ties:
        add([(tie.first, 1), (tie.second, -1)], tie.offset, tie.error)
    design = np.array(rows)
    covariance = np.linalg.inv(design.T @ design)
    solution = covariance @ design.T @ np.array(values)
    channels = np.array([throughput.channel(images[name].filter) for name in names])
    first = channels == "short" if (channels == "short").any() else np.ones(len(names), bool)
    reference = solution[n:][first].mean(axis=0)
    offsets = np.round(solution[:n] + reference, 7)
    errors = np.hypot(np.sqrt(np.diag(covariance)[:n]), ASYMMETRY)
    return (
        offsets,
        errors,
        {k: np.round(at - reference, 7) for k, at in zip(names, solution[n:], strict=True)},
    )


def _ties(members, offsets):
    """Compare the cubes that see the same sky at the same wavelengths, whose images may not be aligned."""
    frame = reference_spaxels(members[0], offsets[0])
    begins = [begin_of(member, offset, frame) for member, offset in zip(members, offsets, strict=True)]
    ties = []
    for i, j in combinations(range(len(members)), 2):
        planes = common_planes(members[i].cube, members[j].cube)
        if planes is None:
            continue
        start = begins[i].whole + begins[i].part - begins[j].whole - begins[j].part
        found = measure_displacement(planes[0], planes[1], tuple(start))
        if found is None:
            continue
        spaxel = members[i].grid.jacobian * members[i].grid.decimation_factor
        change = spaxel @ (found.columns - start[1], found.rows - start[0])
        size = found.error * np.sqrt(abs(np.linalg.det(spaxel)))
        log.debug(
            "%s and %s: %+.1f mas east, %+.1f mas north from where the images have them, +- %.1f mas",
            members[i].product.name, members[j].product.name, *(1e3 * change), 1e3 * size,
        )  # fmt: skip
        ties.append(_Tie(i, j, offsets[i] - offsets[j] + change, float(size)))
    return ties


def reference_spaxels(member: SetMember, offset: np.ndarray) -> WCS:
    """Make the WCS of the spaxels of a cube's grid, in NIRCam's coordinates; offset as in `solve_places`."""
    grid = member.grid
    middle = [(n - 1) / 2 for n in grid.spaxel_shape[::-1]]
    centre = grid_wcs(grid, tuple(offset)).wcs.crval
    return tangent_wcs(centre, middle, grid.jacobian * grid.decimation_factor)


def begin_of(member: SetMember, offset: np.ndarray, frame: WCS) -> Begin:
    """Find where the grid of a cube, at an offset as in `solve_places`, begins in `reference_spaxels`."""
    centre = SkyCoord(*member.grid.centre, unit="deg")
    moved = centre.spherical_offsets_by(*(value / 3600 * u.deg for value in offset))
    x, y = frame.wcs_world2pix(moved.ra.deg, moved.dec.deg, 0)
    begin = np.array([float(y), float(x)]) - (np.array(member.grid.spaxel_shape) - 1) / 2
    whole = np.round(begin).astype(int)
    return Begin(whole, np.round(begin - whole, 7) + 0.0)
