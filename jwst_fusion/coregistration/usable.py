"""Which images can be used: those whose bandpass the cube covers, and that cover enough of the field."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from jwst_fusion.exceptions import InputError, NoOverlapError
from jwst_fusion.optics import throughput

from .grid import grid_wcs
from .ranges import MIN_COVERED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jwst_fusion.observation import BandImage, CubeData, FusionGrid, ImageProduct

__all__ = ["covering", "usable_bands"]

log = logging.getLogger(__name__)

#: Side of the window in the middle of two images in which their pixels are compared [pixel]. Judged.
WINDOW = 512

#: Relative difference below which pixels are the same but for a factor: rounding in single precision. The
#: noise of two exposures differs by much more. Derived.
ROUNDING = 1e-5


def usable_bands(images: Sequence[ImageProduct], cube: CubeData) -> dict:
    """
    Find the bands that a cube covers: bandpass (n_wave,), covered fraction and pivot [um] by label.

    The data of the images are not used. Raises InputError if two images have one label, or the cube covers
    none.
    """
    usable = np.isfinite(cube.noise)
    bandpasses, shares = {}, []
    for image in images:
        if image.label in bandpasses:
            raise InputError(
                f"{image.name}: a second image with the label {image.label}; give each image its own"
            )
        try:
            weights, covered = throughput.bandpass(
                image.filter, image.module, cube.wavelength, usable=usable, curve=image.throughput
            )
        except InputError:
            weights, covered = None, 0.0
        shares.append(f"{image.label} {100 * covered:.0f} %")
        if covered < MIN_COVERED:
            log.warning(
                "%s left out: %.0f %% of the bandpass of %s lie in the cube's data from %.3f to %.3f um, "
                "%.0f %% needed",
                image.name, 100 * covered, image.filter, *cube.wavelength[[0, -1]], 100 * MIN_COVERED,
            )  # fmt: skip
            continue
        pivot = throughput.pivot_wavelength(image.filter, image.module, image.throughput)
        bandpasses[image.label] = weights, covered, pivot
    if not bandpasses:
        raise InputError(
            f"no filter has {100 * MIN_COVERED:.0f} % of its bandpass in the cube's data from "
            f"{cube.wavelength[0]:.3f} to {cube.wavelength[-1]:.3f} um ({', '.join(shares)}); use filters "
            "that the cube covers"
        )
    return bandpasses


def covering(
    bands: Sequence[BandImage],
    images: Sequence[ImageProduct],
    field: np.ndarray,
    grid: FusionGrid,
    min_overlap: float,
) -> list[BandImage]:
    """
    Keep the bands that cover at least min_overlap of the field (my, mx), each once; log the others.

    Of images that have the same pixels but for a factor, only the first is kept.

    Images that are not among the bands were not found. Raises NoOverlapError if none covers enough.
    """
    d = grid.decimation_factor
    field = np.kron(field, np.ones((d, d), dtype=bool))
    products = {image.label: image for image in images}
    names = {image.label: image.name for image in images}
    for lost in names.keys() - {band.label for band in bands}:
        log.warning("%s left out: the target of the cube was not found in it", names[lost])
    kept: list[BandImage] = []
    best = (0.0, images[0].name)
    for band in bands:
        same = next((k for k in kept if _same_pixels(products[k.label], products[band.label])), None)
        if same is not None:
            log.warning(
                "%s left out: it has the pixels of %s%s", names[band.label], names[same.label],
                "" if same.filter == band.filter
                else f", so that one of the filters {same.filter} and {band.filter} is wrong",
            )  # fmt: skip
            continue
        share = float(np.isfinite(band.data[field]).mean())
        best = max(best, (share, names[band.label]))
        if share >= min_overlap:
            kept.append(band)
        else:
            log.warning(
                "%s left out: it covers %.0f %% of the field, %.0f %% needed",
                names[band.label], 100 * share, 100 * min_overlap,
            )  # fmt: skip
    if not kept:
        ra, dec = grid_wcs(grid).wcs.crval
        raise NoOverlapError(
            f"{best[1]}: no image covers the field about RA {ra:.5f}, Dec {dec:+.5f}: the best covers "
            f"{100 * best[0]:.0f} %, {100 * min_overlap:.0f} % needed; use images of the same target"
        )
    return kept


def _same_pixels(first, second):
    """Whether the pixels of two images are the same but for a factor."""
    if first.data.shape != second.data.shape:
        return False
    window = tuple(slice(max(n - WINDOW, 0) // 2, max(n - WINDOW, 0) // 2 + WINDOW) for n in first.data.shape)
    a, b = (np.asarray(image.data[window], dtype=np.float64) for image in (first, second))
    known = np.isfinite(a) & np.isfinite(b) & (a != 0)
    if known.sum() < 2 or np.ptp(a[known]) == 0:
        return False
    factor = np.median(b[known] / a[known])
    same = np.abs(b[known] - factor * a[known]) <= ROUNDING * np.abs(factor * a[known])
    return bool(factor != 0 and same.mean() > 0.5)
