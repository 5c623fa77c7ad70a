"""Two cubes where both see the same sky at the same wavelengths: their images, and where these are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_erosion, map_coordinates

from jwst_fusion.observation import channel_edges

from .alignment import MIN_CORRELATION, MIN_SPAXELS, agreement
from .fit import fit_band

if TYPE_CHECKING:
    from jwst_fusion.observation import CubeData

__all__ = ["Displacement", "common_planes", "measure_displacement"]

#: Fewest channels that two cubes need in common to be compared. Judged.
MIN_CHANNELS = 5

#: Share of the channels that a spaxel must have to be compared. Judged.
MIN_KNOWN = 0.9

#: Spaxels along the edge of an image between which is not interpolated, for a spline is wrong there. Derived.
BORDER = 2


@dataclass(frozen=True)
class Displacement:
    """Place in one cube of what another shows, less that in the other [spaxels]."""

    rows: float
    columns: float
    error: float  # standard error of either


def common_planes(a: CubeData, b: CubeData) -> tuple[np.ndarray, np.ndarray, float, float] | None:
    """
    Average two cubes over the wavelengths that both have; None if these are too few.

    The results are the mean light of either (my, mx) [MJy/sr], NaN where a spaxel misses a tenth of the
    channels, and the limits of the wavelengths [um].
    """
    edges = [channel_edges(cube.wavelength) for cube in (a, b)]
    low, high = max(e[0] for e in edges), min(e[-1] for e in edges)
    planes = []
    for cube, own in zip((a, b), edges, strict=True):
        weights = np.diff(np.clip(own, low, high)) * np.isfinite(cube.noise)
        if (weights > 0).sum() < MIN_CHANNELS:
            return None
        planes.append(_mean_plane(cube, weights))
    return planes[0], planes[1], float(low), float(high)


def _mean_plane(cube, weights):
    """Mean light over channels of a cube, (my, mx) [MJy/sr]; NaN where a spaxel misses a tenth of them."""
    inside = weights > 0
    values, weights = cube.data[inside], weights[inside]
    known = np.isfinite(values)
    count = known.sum(axis=(1, 2))
    values = np.where(known, values, 0.0)
    mean = values.sum(axis=(1, 2), dtype=np.float64) / np.maximum(count, 1)
    expected = np.tensordot(weights * mean, known, axes=1)  # a spaxel with the mean spectrum has that
    usable = (known.mean(axis=0) > MIN_KNOWN) & (expected > 0)
    total = np.tensordot(weights, values, axes=1) * (weights @ mean / weights.sum())
    return np.divide(total, expected, out=np.full(usable.shape, np.nan), where=usable)


def measure_displacement(
    first: np.ndarray, second: np.ndarray, start: tuple[float, float]
) -> Displacement | None:
    """
    Measure how one image is displaced from another (my, mx) at the same wavelengths, NaN where unknown.

    Both were seen with the same PSF, so that what is unknown of it does not matter. Spaxels do not sample the
    PSF fully, and an interpolation between them is biased; each image is fitted to the other, and the mean of
    both fits has much less of that. Their difference is part of the error. The start is a first guess (rows,
    columns) [spaxels]. None if the images share too little, or are not alike.
    """
    there = _fitted(first, second, np.array(start))
    back = _fitted(second, first, -np.array(start))
    if there is None or back is None:
        return None
    rows, columns = (there[0] - back[0]) / 2
    bias = (there[0] + back[0]) / 2
    error = np.sqrt((there[1] ** 2 + back[1] ** 2 + bias @ bias) / 2)
    return Displacement(float(rows), float(columns), float(error))


def _fitted(values, template, start):
    """Displacement (rows, columns) of an image in another, and its error, by a fit of the other to it."""
    rows, columns = (at.astype(float) for at in np.nonzero(np.isfinite(values)))
    known = binary_erosion(np.isfinite(template), iterations=BORDER)
    lost = (~known).astype(float)
    inside = map_coordinates(lost, (rows + start[0], columns + start[1]), order=1, cval=1.0) < 1e-6
    rows, columns = rows[inside], columns[inside]
    if rows.size < MIN_SPAXELS:
        return None
    own = values[rows.astype(int), columns.astype(int)]
    if np.ptp(own) == 0 or np.nanmax(template) == np.nanmin(template):
        return None
    fit = fit_band(own, rows, columns, template[np.newaxis], start[::-1], 1)
    if agreement(fit, own, rows, columns, template) < MIN_CORRELATION:
        return None
    return fit.shift[::-1], float(np.sqrt(np.trace(fit.covariance[:2, :2]) / 2))
