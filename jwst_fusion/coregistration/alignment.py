"""The offset between a NIRCam image and the cube, measured on images of the same band and resolution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import gaussian_filter, map_coordinates

from jwst_fusion.observation import FusionGrid
from jwst_fusion.optics.matching import fill_nearest, match_to_ifu

from .fit import fit_band
from .grid import enlarge, grid_wcs
from .resampling import reduce_image, resample_image

if TYPE_CHECKING:
    from jwst_fusion.observation import BandImage, CubeData, ImageProduct

    from .fit import BandFit

__all__ = [
    "MIN_CORRELATION",
    "MIN_SPAXELS",
    "Offset",
    "agreement",
    "find_target",
    "measure_offset",
    "spaxel_centres",
    "spaxel_template",
]

#: Smallest overlap at a trial offset, as a share of that at the first guess; of the field if there is none.
#: Judged.
MIN_OVERLAP = 0.6

#: Correlation below which no offset is measured. Judged.
MIN_CORRELATION = 0.5

#: Standard errors by which the correlation of an offset may be chance. Judged.
SURE = 3.0

#: Variance of the blur [arcsec^2] beyond which its effect is no longer linear, and is fitted again. Judged.
LINEAR_EXCESS = 3e-4

#: Relative contrast that rounding in single precision can cause. Derived.
ROUNDING = 1e-6

#: Largest number of steps along an axis in the search for a moving target. Judged.
MAX_STEPS = 2048

#: Blur of the IFU beyond a spaxel in that search, as a Gaussian's sigma [arcsec]. Judged.
IFU_BLUR = 0.06

#: Smallest number of spaxels for a fit. Judged.
MIN_SPAXELS = 12


@dataclass(frozen=True)
class Offset:
    """Position of a source in the WCS of NIRCam minus that in the WCS of the cube."""

    east: float  # [arcsec]
    north: float
    error: float  # standard error of either [arcsec]; NaN where nothing could be measured
    correlation: float  # of the two images at the offset
    # variance of the IFU's blur beyond the optical model's, along the aperture's x and y axis [arcsec^2]
    excess: tuple = (float("nan"),) * 2
    excess_error: tuple = (float("nan"),) * 2  # standard error of each; NaN where nothing could be measured


def measure_offset(
    synthetic: np.ndarray,
    image: ImageProduct,
    bandpass: np.ndarray,
    cube: CubeData,
    grid: FusionGrid,
    *,
    first_guess: tuple[float, float] = (0.0, 0.0),
    capture: float = 2.0,
) -> Offset:
    """
    Measure the offset of an image within capture [arcsec] of a first guess (east, north) along either axis.

    The image, blurred to the IFU's resolution, is compared with the cube's synthetic photometry (my, mx)
    [MJy/sr], NaN where unknown: first by the correlation coefficient over their common spaxels at all offsets
    in range, then by a robust least-squares fit of offset, scale, pedestal and blur (`fit_band`). The image
    may cover a part of the field: an offset that brings more of it onto the field is not preferred for that
    reason. Where the images do not correlate, the result is the first guess with error NaN.
    """
    d = grid.decimation_factor
    extra = int(np.ceil(capture / (grid.cell_size * d)))
    wide = enlarge(grid, extra)
    seen, _ = resample_image(image, wide, first_guess)
    unknown = Offset(*first_guess, float("nan"), 0.0)
    if not np.isfinite(seen).any():
        return unknown
    template = spaxel_template(seen, image, bandpass, cube, grid)
    start, correlation = _correlate(synthetic, template[0], d, extra, guessed=True)
    if start is None or correlation < MIN_CORRELATION:
        return replace(unknown, correlation=correlation)
    rows, columns = spaxel_centres(synthetic, d, extra)
    lost = (~np.isfinite(template[0])).astype(float)
    inside = map_coordinates(lost, (rows + start[1], columns + start[0]), order=1, cval=1.0) < 1e-6
    use = np.isfinite(synthetic) & inside
    if use.sum() < MIN_SPAXELS:
        return replace(unknown, correlation=correlation)
    fit = fit_band(synthetic[use], rows[use], columns[use], template, start, d)
    excess = np.zeros(2)
    if np.abs(fit.excess).max() > LINEAR_EXCESS:
        excess = fit.excess
        blunter = replace(cube, excess=tuple(np.add(cube.excess, (*excess, 0.0))))
        template = spaxel_template(seen, image, bandpass, blunter, grid)
        fit = fit_band(synthetic[use], rows[use], columns[use], template, fit.shift, d)
    correlation = agreement(fit, synthetic[use], rows[use], columns[use], template[0])
    if correlation < MIN_CORRELATION:
        return replace(unknown, correlation=correlation)
    east, north = grid.jacobian @ fit.shift
    error = float(np.sqrt(np.trace(fit.covariance[:2, :2]) / 2)) * grid.cell_size
    return Offset(
        first_guess[0] + east,
        first_guess[1] + north,
        error,
        correlation,
        excess=tuple(fit.excess + excess),
        excess_error=tuple(np.sqrt(np.diag(fit.covariance)[4:])),
    )


def spaxel_template(
    seen: np.ndarray,
    image: BandImage | ImageProduct,
    bandpass: np.ndarray,
    cube: CubeData,
    grid: FusionGrid,
    *,
    scatter: bool = False,
) -> np.ndarray:
    """Image at the IFU's resolution with its derivatives by blur, spaxel centres on cells, (n, ny, nx)."""
    template = match_to_ifu(seen, image, bandpass, cube, grid, widths=True, scatter=scatter)
    if grid.decimation_factor % 2 == 0:
        template = np.stack([_sample_at_half_cell(plane) for plane in template])
    return template


def _sample_at_half_cell(blurred):
    """Shift an image by half a cell, so that spaxel centres of an even grid fall on samples."""
    rows, columns = np.indices(blurred.shape) + 0.5
    values = map_coordinates(fill_nearest(blurred), (rows, columns), order=3, mode="nearest")
    lost = map_coordinates((~np.isfinite(blurred)).astype(float), (rows, columns), order=1, mode="nearest")
    return np.where(lost > 1e-6, np.nan, values)


def spaxel_centres(synthetic: np.ndarray, d: int, extra: int) -> tuple[np.ndarray, np.ndarray]:
    """Cell coordinates (rows, columns) of the spaxels on the enlarged grid."""
    rows, columns = np.indices(synthetic.shape)
    first = extra * d + (d - 1) // 2
    return rows * d + first, columns * d + first


def _without_plane(values, rows, columns):
    """
    Values (n,) at places minus the plane fitted to them; zero where nothing but rounding errors is left.

    A shifted plane is a plane at another level and does not constrain the shift.
    """
    design = np.stack([np.ones(values.size), rows - np.mean(rows), columns - np.mean(columns)], axis=1)
    residual = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    return residual if np.abs(residual).max() > ROUNDING * np.abs(values).max() else np.zeros_like(values)


def agreement(
    fit: BandFit, values: np.ndarray, rows: np.ndarray, columns: np.ndarray, blurred: np.ndarray
) -> float:
    """
    Correlate values (n,), fitted at places in an image as in `fit_band`, with the image at the fitted shift.

    A plane is subtracted from each before; the result is zero if one of them is a plane.
    """
    at = rows + fit.shift[1], columns + fit.shift[0]
    seen = map_coordinates(fill_nearest(blurred), at, order=3, mode="mirror")
    pair = [_without_plane(image, rows, columns) for image in (values, seen)]
    norm = np.sqrt((pair[0] @ pair[0]) * (pair[1] @ pair[1]))
    return float(pair[0] @ pair[1] / norm) if norm > 0 else 0.0


def _correlate(synthetic, blurred, d, extra, *, guessed=False):
    """
    Best whole-cell shift (x, y) and its correlation, over all shifts that keep enough overlap.

    Where the shift is guessed, an image of a part of the field has to keep its share only.
    """
    reach = extra * d
    size = [next_fast_len(n, real=True) for n in blurred.shape]
    known = np.isfinite(synthetic)
    rows, columns = (at[known] for at in spaxel_centres(synthetic, d, extra))
    values = _without_plane(synthetic[known], rows, columns)
    mask, spread = np.zeros(size), np.zeros(size)
    mask[rows, columns], spread[rows, columns] = 1.0, values
    there = np.nonzero(np.isfinite(blurred))
    template, valid = np.zeros(size), np.zeros(size)
    template[there], valid[there] = _without_plane(blurred[there], *there), 1.0

    transforms = [rfft2(a).conj() for a in (mask, spread, spread**2)]
    mask_t, spread_t, square_t = transforms
    template_f, valid_f, power_f = rfft2(template), rfft2(valid), rfft2(template**2)

    def at_shifts(product):
        plane = np.roll(irfft2(product, s=size), (reach, reach), axis=(0, 1))
        return plane[: 2 * reach + 1, : 2 * reach + 1]

    count = at_shifts(mask_t * valid_f)
    enough = count > max(MIN_OVERLAP * (count[reach, reach] if guessed else known.sum()), MIN_SPAXELS)
    if not enough.any():
        return None, 0.0
    count = np.maximum(count, MIN_SPAXELS)
    sum_a, sum_b = at_shifts(spread_t * valid_f), at_shifts(mask_t * template_f)
    variance_a = at_shifts(square_t * valid_f) - sum_a**2 / count
    variance_b = at_shifts(mask_t * power_f) - sum_b**2 / count
    covariance = at_shifts(spread_t * template_f) - sum_a * sum_b / count
    floor = 1e-9 * max(variance_a.max() * variance_b.max(), np.finfo(float).tiny)
    correlation = covariance / np.sqrt(np.maximum(variance_a * variance_b, floor))
    # Fisher's z less its standard errors: few spaxels agree by chance
    certain = np.arctanh(np.clip(correlation, 0.0, 1 - ROUNDING)) - SURE / np.sqrt(count - 3)
    certain[~enough] = -np.inf
    row, column = np.unravel_index(np.argmax(certain), certain.shape)
    return np.array([column - reach, row - reach], dtype=float), float(correlation[row, column])


def find_target(
    synthetic: np.ndarray, image: ImageProduct, grid: FusionGrid, start: tuple[float, float]
) -> Offset:
    """
    Find a moving target anywhere in an image, to within a step of the search.

    Coordinates of a moving target in different exposures are unrelated. The whole image is compared with the
    cube's synthetic photometry (my, mx) [MJy/sr] at the resolution of one spaxel, or of a few in a large
    mosaic. The start (east, north) [arcsec] brings the image's centre onto the grid's; it is the result, with
    error NaN, where the images do not correlate.
    """
    reach = np.hypot(*image.data.shape) * image.image_pixel / 2
    bins = max(int(np.ceil(2 * reach / (MAX_STEPS * grid.cell_size * grid.decimation_factor))), 1)
    synthetic, coarse = _binned(synthetic, grid, bins)
    step = coarse.cell_size
    factor = int(step / image.image_pixel)
    reduced = reduce_image(image, factor) if factor > 1 else image
    extra = int(np.ceil(reach / step))
    seen, _ = resample_image(reduced, enlarge(coarse, extra), start)
    if not np.isfinite(seen).any():
        return Offset(*start, float("nan"), 0.0)
    blurred = gaussian_filter(fill_nearest(seen), IFU_BLUR / step)
    blurred[~np.isfinite(seen)] = np.nan
    shift, correlation = _correlate(synthetic, blurred, 1, extra)
    if shift is None or correlation < MIN_CORRELATION:
        return Offset(*start, float("nan"), correlation)
    east, north = coarse.jacobian @ shift
    return Offset(float(start[0] + east), float(start[1] + north), step, correlation)


def _binned(synthetic, grid, bins):
    """Means over bins x bins spaxels, and the grid that has one cell for each."""
    d = grid.decimation_factor
    shape = tuple(-(-n // bins) for n in synthetic.shape)
    missing = [bins * n - known for n, known in zip(shape, synthetic.shape, strict=True)]
    blocks = np.pad(synthetic, [(0, n) for n in missing], constant_values=np.nan)
    blocks = blocks.reshape(shape[0], bins, shape[1], bins)
    count = np.isfinite(blocks).sum(axis=(1, 3))
    total = np.nansum(blocks, axis=(1, 3))
    means = np.where(count > bins**2 // 2, total / np.maximum(count, 1), np.nan)
    middle = [(n + extra * d - 1) / 2 for n, extra in zip(grid.shape, missing, strict=True)]
    centre = tuple(float(v) for v in grid_wcs(grid).wcs_pix2world(middle[1], middle[0], 0))
    field = tuple(slice(0, n) for n in shape)
    return means, FusionGrid(shape, 1, grid.jacobian * d * bins, centre, field=field)
