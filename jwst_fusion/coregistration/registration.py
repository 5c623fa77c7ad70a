"""Registration of the images on the cells of the grid."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from jwst_fusion.observation import BandImage

from .comparison import common, compare_band, straighten
from .grid import grid_wcs
from .pointing import Pointing, solve_pointing
from .resampling import resample_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jwst_fusion.observation import CubeData, FusionGrid, ImageProduct

__all__ = ["register"]

log = logging.getLogger(__name__)

#: Displacement at the edge of the field from which a roll or a magnification of the images is taken out of
#: their coordinates [arcsec], a sixth of a cell, and its significance in standard errors: one of 16
#: good random scenes had a magnification with a significance of three. Measured.
CORRECTED = 0.005
SIGNIFICANT = 5.0

#: Largest roll [deg] and magnification that are corrected: larger ones are not calibration errors. Judged.
MAX_ROLL = 1.0
MAX_MAGNIFICATION = 0.03

#: Variance on an axis [arcsec^2] from which the blur of one image beyond the others' enters its PSF. Of 24
#: good random scenes with 78 images none had more than (16 mas)^2. Measured.
CORRECTED_BLUR = 4e-4

#: Times that images are corrected: departures are measured to first order. Judged.
CORRECTIONS = 3


def register(
    images: Sequence[ImageProduct],
    bands: dict,
    cube: CubeData,
    grid: FusionGrid,
    *,
    alignment: str = "auto",
    capture: float = 2.0,
    moving: bool = False,
) -> tuple[list, Pointing, list]:
    """
    Register images with the cube and resample them on the cells; arguments are those of `solve_pointing`.

    A small roll or magnification common to all images is removed from their coordinates, and the excess blur
    of a single image is added to its PSF, unless the coordinates are to be kept. The results are the images
    with the coordinates and the blur that were used, their pointing, and the images on the cells, without
    those whose target was not found.
    """
    for attempt in range(CORRECTIONS + 1):
        pointing = solve_pointing(
            images,
            bands,
            cube,
            grid,
            alignment=alignment,
            capture=capture,
            moving=moving,
        )
        on_grid = [
            _band(image, bands[image.label], grid, offset)
            for image, offset in zip(images, pointing.offsets, strict=True)
            if offset is not None
        ]
        if attempt == CORRECTIONS or pointing.method in ("wcs", "none"):
            break
        seen = replace(cube, excess=pointing.excess)
        compared = [compare_band(band, bands[band.label][0], seen, grid)[0] for band in on_grid]
        cause, blurred = _distortion(compared, cube, grid), _blurred(on_grid, compared)
        if cause is not None:
            images = [
                image if offset is None else straighten(image, _place(grid, offset), *cause)
                for image, offset in zip(images, pointing.offsets, strict=True)
            ]
        elif blurred is not None:
            name, blur = blurred
            images = [replace(i, excess_blur=blur) if i.label == name else i for i in images]
        else:
            break
    for image in images:
        if image.excess_blur:
            log.warning(
                "%s is blurred by %.0f mas (standard deviation on an axis) beyond its PSF and the other "
                "images: its PSF is widened by that", image.label, 1e3 * np.sqrt(image.excess_blur),
            )  # fmt: skip
    return list(images), pointing, on_grid


def _distortion(compared, cube, grid):
    """Roll [deg] and magnification of all images against the cube, if they matter and can be corrected."""
    radius = np.hypot(*cube.footprint[grid.field].shape) / 2 * grid.decimation_factor * grid.cell_size
    (roll, roll_error), (stretch, stretch_error) = (common(compared, n) for n in ("roll", "magnification"))
    sizes = radius * np.array([np.radians(abs(roll)), abs(stretch)])
    errors = radius * np.array([np.radians(roll_error), stretch_error])
    matters = (sizes > CORRECTED) & (sizes > SIGNIFICANT * errors)
    if not matters.any() or abs(roll) > MAX_ROLL or abs(stretch) > MAX_MAGNIFICATION:
        return None
    log.warning(
        "The images are turned by %+.3f +- %.3f deg and magnified by %+.3f +- %.3f %% against the cube: "
        "their coordinates are corrected",
        roll, roll_error, 100 * stretch, 100 * stretch_error,
    )  # fmt: skip
    return float(roll * matters[0]), float(stretch * matters[1])


def _blurred(on_grid, compared):
    """Filter and blur [arcsec^2] of the image that departs most from the others; None if none does."""
    worst, found = 0.0, None
    for i, (band, own) in enumerate(zip(on_grid, compared, strict=True)):
        others = [each.blur for j, each in enumerate(compared) if j != i and np.isfinite(each.blur)]
        if not others or not np.isfinite(own.blur):
            continue
        more = float(np.median(others)) - own.blur  # the cube's blur beyond a blurred image's is less
        if abs(more) < max(CORRECTED_BLUR, SIGNIFICANT * own.blur_error, worst):
            continue
        blur = max(band.excess_blur + more, 0.0)
        if blur != band.excess_blur:
            worst, found = abs(more), (band.label, blur)
    return found


def _place(grid, offset):
    """Right ascension and declination [deg] of the grid's centre in the coordinates of an image."""
    row, column = ((n - 1) / 2 for n in grid.shape)
    ra, dec = grid_wcs(grid, (offset.east, offset.north)).wcs_pix2world(column, row, 0)
    return float(ra), float(dec)


def _band(image, band, grid, offset):
    """Interpolate one image onto the grid."""
    _, covered, pivot = band
    data, errors = resample_image(image, grid, (offset.east, offset.north))
    return BandImage.of(
        image,
        data=data,
        error=errors,
        pivot_wavelength=pivot,
        offset_east=offset.east,
        offset_north=offset.north,
        offset_err=offset.error,
        covered_fraction=covered,
    )
