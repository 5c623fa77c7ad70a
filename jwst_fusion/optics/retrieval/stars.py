"""Stars in an image: found and vetted with photutils, and cut out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from astropy.stats import mad_std
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["StarCutouts", "find_stars"]

#: Rows that are looked at at once.
ROWS = 512

#: Half side of a cut-out [pixels].
HALF = 16

#: Standard deviations of the Gaussians whose difference brings point sources out [pixels].
INNER, OUTER = 0.9, 2.2

#: Peak of that difference over its noise from which a source is a candidate.
THRESHOLD = 20.0

#: Least signal-to-noise ratio of a star's core, and the most stars that are cut out.
SNR, MOST = 25.0, 16

#: Height of a source, over a star's, that makes it a neighbour, and distance within which peaks are the
#: star's own [pixels].
NEIGHBOUR, NEAR = 0.15, 4.0

#: Share of a cut-out's pixels that have to be usable, and half side of the core that has to be usable whole.
USABLE, CORE = 0.9, 2

#: Bounds of the light within 1.5 pixels over that within 4: a point source, neither a spike nor a galaxy.
CONCENTRATION = (0.35, 0.9)

#: Noise of the sky about a star over its stated error, within which the statement is believed.
NOISE_RANGE = (0.7, 1.4)


@dataclass(frozen=True, eq=False)
class StarCutouts:
    """
    Stars of an image.

    Attributes
    ----------
    data, error : ndarray, shape (n_star, m, m)
        Cut-outs and their noise, float32; NaN where unusable.
    structure : ndarray, shape (n_star,)
        Rms of the sky about a star beyond the noise, a plane and its curvature apart.
    place : ndarray, shape (n_star, 2)
        Centroid (x, y) from the middle of the cut-out's middle pixel [pixels].
    pixel : ndarray of int, shape (n_star, 2)
        That pixel (x, y) in the image.
    rejected : dict of int
        How many candidates were not taken, by reason.
    """

    data: np.ndarray
    error: np.ndarray
    structure: np.ndarray
    place: np.ndarray
    pixel: np.ndarray
    rejected: dict


def find_stars(
    data: np.ndarray,
    error: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    *,
    most: int = MOST,
    avoid: Callable[[int, int], bool] | None = None,
) -> StarCutouts:
    """
    Find stars that a PSF can be measured on.

    Parameters
    ----------
    data : ndarray, shape (ny, nx)
        Image; NaN where bad. It is read in stripes, and may be on disk.
    error, weight : ndarray, shape (ny, nx), optional
        Error and drizzle weight; no weight means no data.
    most : int, optional
        Largest number of stars: the best of them by their signal-to-noise ratio.
    avoid : callable, optional
        Tests whether a star at a pixel (x, y) is excluded.

    Returns
    -------
    StarCutouts
        Stars that are isolated, complete and point-like, the best first.
    """
    peaks = np.concatenate([_peaks(data, weight, first) for first in range(0, data.shape[0], ROWS)])
    rejected: dict[str, int] = {}
    found = []
    for x, y, height in peaks[np.argsort(-peaks[:, 2])] if len(peaks) else ():
        if avoid is not None and avoid(int(x), int(y)):
            reason, star = "in the field of the cube", None
        else:
            reason, star = _vet(data, error, weight, peaks, (int(x), int(y)), height)
        if reason:
            rejected[reason] = rejected.get(reason, 0) + 1
        else:
            found.append(star)
        if len(found) == 2 * most:
            break
    found = sorted(found, key=lambda star: -star[0])[:most]
    side = 2 * HALF + 1
    empty = np.empty((0, side, side), np.float32)
    return StarCutouts(
        np.array([star[1] for star in found], np.float32) if found else empty,
        np.array([star[2] for star in found], np.float32) if found else empty,
        np.array([star[3] for star in found]),
        np.array([star[4] for star in found]).reshape(-1, 2),
        np.array([star[5] for star in found], int).reshape(-1, 2),
        rejected,
    )


def _stripe(array, rows, columns=slice(None)):
    """Read a part of an array in memory."""
    return np.array(array[rows, columns], dtype=np.float32)


def _read(data, weight, rows, columns=slice(None)):
    """Read a part of an image; NaN where there are no data."""
    part = _stripe(data, rows, columns)
    if weight is not None:
        part[~(_stripe(weight, rows, columns) > 0)] = np.nan
    return part


def _peaks(data, weight, first):
    """Candidates (x, y, height over the noise) of a stripe of rows, (n, 3)."""
    from photutils.detection import find_peaks  # half a second that most runs need not wait

    border = int(np.ceil(4 * OUTER))
    low = max(first - border, 0)
    part = _read(data, weight, slice(low, min(first + ROWS + border, data.shape[0])))
    bad = ~np.isfinite(part)
    if bad.all():
        return np.empty((0, 3))
    part[bad] = np.median(part[~bad][::97])
    sharp = gaussian_filter(part, INNER) - gaussian_filter(part, OUTER)
    sharp[bad] = 0.0
    noise = mad_std(sharp[~bad][::7])
    if not 0 < noise < sharp.max() / THRESHOLD:
        return np.empty((0, 3))
    table = find_peaks(sharp, THRESHOLD * noise, box_size=5)
    x, y = np.asarray(table["x_peak"]), np.asarray(table["y_peak"]) + low
    own = (y >= first) & (y < first + ROWS)
    return np.column_stack([x, y, np.asarray(table["peak_value"]) / noise])[own]


def _vet(data, error, weight, peaks, at, height):
    """Reason against a candidate, or (signal-to-noise ratio, cut-out, noise, structure, centroid, pixel)."""
    from photutils.centroids import centroid_quadratic

    x, y = at
    if not (HALF <= x < data.shape[1] - HALF and HALF <= y < data.shape[0] - HALF):
        return "edge", None
    distance = np.hypot(peaks[:, 0] - x, peaks[:, 1] - y)
    near = (distance > NEAR) & (distance < 1.5 * HALF) & (peaks[:, 2] > NEIGHBOUR * height)
    close = (distance > 0) & (distance <= NEAR) & (peaks[:, 2] > 0.3 * height)
    if near.any() or close.any():
        return "neighbour", None
    window = slice(y - HALF, y + HALF + 1), slice(x - HALF, x + HALF + 1)
    stamp = _read(data, weight, *window)
    core = slice(HALF - CORE, HALF + CORE + 1)
    good = np.isfinite(stamp)
    if good.mean() < USABLE or not good[core, core].all():
        return "gap or saturation", None
    brightest = np.unravel_index(np.argmax(stamp[core, core]), (2 * CORE + 1, 2 * CORE + 1))
    if np.abs(np.array(brightest) - CORE).max() == CORE:
        return "shape", None
    errors, structure = _errors(stamp, None if error is None else _stripe(error, *window))
    column, row = centroid_quadratic(stamp[core, core])
    place = np.array([column, row]) - CORE
    if not np.isfinite(place).all() or np.abs(place).max() > 1:
        return "shape", None
    radius = np.hypot(*(np.indices(stamp.shape) - HALF - place[::-1, None, None]))
    sky = np.nanmedian(stamp[radius > 0.7 * HALF])
    light = [np.nansum((stamp - sky)[radius <= r]) for r in (1.5, 4.0)]
    if not CONCENTRATION[0] < light[0] / max(light[1], 1e-30) < CONCENTRATION[1]:
        return "shape", None
    inner = good & (radius <= 4)
    snr = float(light[1] / np.sqrt(np.sum(errors[inner] ** 2 + structure**2)))
    if snr < SNR:
        return "faint", None
    return "", (snr, stamp, errors, structure, place, at)


def _errors(stamp, stated):
    """
    Noise of a cut-out, and the rms of the sky about the star beyond it that is no plane.

    The noise is the stated one if it agrees with the differences between the sky's pixels, else theirs.
    """
    y, x = np.indices(stamp.shape) - HALF
    ring = (np.hypot(x, y) > 0.7 * HALF) & np.isfinite(stamp)
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)[ring].astype(float)
    sky = stamp[ring].astype(float)
    structure = mad_std(sky - terms @ np.linalg.lstsq(terms, sky, rcond=None)[0])
    # differences along diagonals, two pixels apart: the drizzle's correlation and the wings count little
    steps = (stamp[2:, 2:] - stamp[:-2, :-2])[ring[2:, 2:] & ring[:-2, :-2]]
    noise = mad_std(steps) / np.sqrt(2)
    if stated is None or not (stated[ring] > 0).any() or not np.nanmedian(stated[ring]) > 0:
        stated = np.full(stamp.shape, noise)
    scale = noise / np.nanmedian(stated[ring])
    scale = 1.0 if NOISE_RANGE[0] < scale < NOISE_RANGE[1] else np.clip(scale, 0.1, 10.0)
    beyond = max(structure**2 - (scale * np.nanmedian(stated[ring])) ** 2, 0.0)
    return np.where(np.isfinite(stamp), scale * stated, np.nan), float(np.sqrt(beyond))
