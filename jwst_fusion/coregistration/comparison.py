"""Residual differences between a registered NIRCam image and the cube's image of the same band."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import uniform_filter

from jwst_fusion.optics.matching import match_to_ifu
from jwst_fusion.optics.photometry import synthetic_photometry

from .fit import BLOCK, covariances, root_weight, typical
from .grid import local_frame, tangent_wcs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jwst_fusion.observation import BandImage, CubeData, FusionGrid, ImageProduct

__all__ = ["Comparison", "common", "compare_band", "compare_images", "figures", "mismatch", "straighten"]

#: Smallest number of spaxels that both images must have for each fitted parameter. Judged.
FEWEST = 5

#: Updates of the robust weights; they converge to one per cent after five. Measured.
UPDATES = 10

#: Side of the patch over which a change of brightness is searched for [spaxels]: a point source fills it.
#: Derived.
PATCH = 3

#: Brightness of a patch over the brightest's above which its change is tested. Judged.
BRIGHT = 0.1

#: Significance of a change, in standard deviations of a patch's residual. Judged.
SIGNIFICANT = 5.0


@dataclass(frozen=True)
class Comparison:
    """Differences between a NIRCam image at the IFU's resolution and the cube's; NaN where undetermined."""

    east: float = float("nan")  # position of a source in the image minus that in the cube [arcsec]
    north: float = float("nan")
    shift_error: float = float("nan")  # of either
    # of the images, corrected for all of these differences but the change, and for the cube's noise
    correlation: float = float("nan")
    roll: float = float("nan")  # position angle in the image minus that in the cube [deg]
    roll_error: float = float("nan")
    magnification: float = float("nan")  # relative excess of distances in the image over those in the cube
    magnification_error: float = float("nan")
    # variance of the cube's PSF beyond the one that the image was blurred to [arcsec^2]
    blur: float = float("nan")
    blur_error: float = float("nan")
    # largest significant relative difference over a patch of PATCH spaxels, or zero
    change: float = float("nan")


def compare_images(
    sharp: np.ndarray, blunt: np.ndarray, decimation_factor: int, jacobian: np.ndarray, noise: float = 0.0
) -> Comparison:
    """
    Compare a NIRCam image (ny, nx) at the IFU's resolution with the cube's (my, mx); NaN where unknown.

    To first order, an image that is shifted, rotated, stretched or blurred differs by its derivatives. These
    are fitted robustly together with scale and pedestal; the errors allow for correlated residuals of
    neighbouring spaxels. The result is a check of a registration, not a registration: differences of more
    than half the PSF are underestimated, but far from zero. The jacobian (2, 2) is the sky displacement
    (east, north) [arcsec] for one cell step along (x, y), the noise that of the cube's image.
    """
    d = decimation_factor
    known, rows, columns, design = _system(sharp, blunt[np.newaxis], d)
    image, values = design[:, 0], blunt[known]
    if known.sum() < 7 * FEWEST or np.ptp(image) == 0 or np.ptp(values) == 0:
        return Comparison()
    norms = np.linalg.norm(design, axis=0)
    if not (norms > 0).all() or np.linalg.matrix_rank(design / norms, tol=1e-8) < design.shape[1]:
        return Comparison(correlation=float(np.corrcoef(image, values)[0, 1]))
    fit, scatter = _robust_fit(design / norms, values)
    if fit[0] <= 0:
        return Comparison(correlation=0.0)
    residual = values - design / norms @ fit
    structure = values.var() - noise**2
    unlike = max(np.mean(residual**2) - noise**2, 0.0) / structure if structure > 0 else np.nan
    correlation = float(np.sqrt(np.maximum(1 - unlike, 0.0)))
    matrices = covariances(design / norms / scatter, -residual / scatter, rows, columns, BLOCK * d)
    covariance = max(matrices, key=np.trace)
    scale = fit[0] / norms[0]
    found, error = (v / norms / scale for v in (fit, np.sqrt(np.diag(covariance))))
    area = np.linalg.det(jacobian)
    # blunt(p) = scale * sharp(p + shift): the image has its source at + shift
    east, north = jacobian @ found[1:3]
    return Comparison(
        float(east), float(north), float(np.sqrt((error[1:3] ** 2).mean() * abs(area))), correlation,
        roll=float(-np.sign(area) * np.degrees(found[4])), roll_error=float(np.degrees(error[4])),
        magnification=float(found[3]), magnification_error=float(error[3]),
        blur=float(found[5] * abs(area)), blur_error=float(error[5] * abs(area)),
        change=_largest_change(known, residual, scale * image, scatter),
    )  # fmt: skip


def compare_band(
    band: BandImage, bandpass: np.ndarray, cube: CubeData, grid: FusionGrid
) -> tuple[Comparison, np.ndarray]:
    """
    Compare a registered image with the cube seen through its band.

    The second result is the image over its scale at the IFU's resolution, (ny, nx) [MJy/sr].
    """
    matched = match_to_ifu(band.data / band.scale, band, bandpass, cube, grid)
    synthetic = np.where(cube.footprint, synthetic_photometry(cube.data, bandpass), np.nan)
    noise = float(np.sqrt(np.sum((bandpass * np.nan_to_num(cube.noise)) ** 2)))
    return compare_images(matched, synthetic, grid.decimation_factor, grid.jacobian, noise), matched


def mismatch(
    sharp: np.ndarray, own: np.ndarray, others: np.ndarray, noise: float, decimation_factor: int
) -> float:
    """
    Test whether an image (ny, nx) fits other bands of the cube (n, my, mx) better than its own (my, mx).

    The result is the typical residual of a fit as in `compare_images` of the image to its own band, over that
    to the band that it fits best, to which the noise of its own is added: at most about one, unless another
    band fits better; NaN without another band or common spaxels.
    """
    planes = np.stack([own, *others])
    known, _, _, design = _system(sharp, planes, decimation_factor)
    norms = np.linalg.norm(design, axis=0)
    if known.sum() < 7 * FEWEST or len(planes) == 1 or not (norms > 0).all():
        return float("nan")
    residuals = []
    for plane in planes:
        fit, scatter = _robust_fit(design / norms, plane[known])
        residuals.append(scatter * norms[0] / fit[0] if fit[0] > 0 else np.inf)  # in the unit of the image
    return float(residuals[0] / np.hypot(min(residuals[1:]), noise))


def figures(comparisons: Sequence[Comparison], name: str) -> np.ndarray:
    """Collect a difference, such as roll, and its errors from the bands that determine it: shape (2, n)."""
    pairs = np.array([(getattr(each, name), getattr(each, f"{name}_error")) for each in comparisons])
    pairs = pairs.reshape(-1, 2)
    return pairs[np.isfinite(pairs).all(axis=1)].T


def common(comparisons: Sequence[Comparison], name: str) -> tuple[float, float]:
    """
    Average a difference that all bands share, such as roll: value and error, NaN if no band determines it.

    The error is scaled up if the scatter of the bands exceeds their errors.
    """
    values, errors = figures(comparisons, name)
    values, errors = values[errors > 0], errors[errors > 0]
    if not values.size:
        return float("nan"), float("nan")
    weights = 1 / errors**2
    mean = weights @ values / weights.sum()
    stretch = max(np.sqrt(weights @ (values - mean) ** 2 / max(values.size - 1, 1)), 1.0)
    return float(mean), float(stretch / np.sqrt(weights.sum()))


def straighten(
    image: ImageProduct, place: tuple[float, float], roll: float, magnification: float
) -> ImageProduct:
    """
    Rotate and stretch the coordinates of an image about a point (right ascension, declination) [deg].

    The roll [deg] is subtracted from position angles, and the relative excess of distances is removed.
    """
    x, y = image.wcs.wcs_world2pix(*place, 0)
    centre, jacobian = local_frame(image.wcs, float(x), float(y))
    cosine, sine = np.cos(np.radians(roll)), np.sin(np.radians(roll))
    axes = np.array([[cosine, -sine], [sine, cosine]]) @ jacobian / (1 + magnification)
    wcs = tangent_wcs(centre, (x, y), axes)
    return replace(image, wcs=wcs, image_pixel=image.image_pixel / (1 + magnification))


def _templates(sharp, d):
    """Image, its slopes along x and y, and its Laplacian, at the spaxels' centres, (4, my, mx)."""
    along_y, along_x = np.gradient(sharp)
    laplacian = np.gradient(along_y, axis=0) + np.gradient(along_x, axis=1)
    middle = [slice((d - 1) // 2, None, d), slice(d // 2, None, d)]
    planes = np.stack([sharp, along_x, along_y, laplacian])
    return np.mean([planes[:, rows, columns] for rows in middle for columns in middle], axis=0)


def _system(sharp, planes, d):
    """Spaxels known to an image and to planes of the cube, their rows and columns [cells], and the design."""
    templates = _templates(sharp, d)
    known = np.isfinite(planes).all(axis=0) & np.isfinite(templates).all(axis=0)
    rows, columns = (d * at.astype(float) for at in np.nonzero(known))
    centre = (rows.mean(), columns.mean()) if rows.size else (0.0, 0.0)
    return known, rows, columns, _design(templates[:, known], rows - centre[0], columns - centre[1])


def _design(templates, y, x):
    """Scale, shift along x and y, magnification, rotation, variance of a blur, pedestal: (n, 7)."""
    image, slope_x, slope_y, laplacian = templates
    return np.stack(
        [
            image, slope_x, slope_y, x * slope_x + y * slope_y, x * slope_y - y * slope_x, laplacian / 2,
            np.ones_like(image),
        ],
        axis=1,
    )  # fmt: skip


def _robust_fit(design, values):
    """Parameters of a linear model, and the typical residual, with little weight for large ones."""
    root = np.ones_like(values)
    for _ in range(UPDATES):
        fit = np.linalg.lstsq(design * root[:, np.newaxis], values * root, rcond=None)[0]
        residual = values - design @ fit
        scatter = typical(residual)
        root = root_weight(residual / scatter)
    return fit, scatter


def _largest_change(known, residual, model, scatter):
    """Largest relative residual over a patch that is bright, significant and known."""
    planes = np.zeros((3, *known.shape))
    planes[:, known] = np.stack([residual, np.abs(model), np.ones_like(model)])
    difference, brightness, share = (uniform_filter(plane, PATCH, mode="constant") for plane in planes)
    noise = scatter * np.sqrt(np.maximum(share, 0.0)) / PATCH  # sums of the filter round
    use = known & (share > 0.6) & (brightness > BRIGHT * brightness.max())
    use &= np.abs(difference) > SIGNIFICANT * noise
    return float((np.abs(difference[use]) / brightness[use]).max(initial=0.0))
