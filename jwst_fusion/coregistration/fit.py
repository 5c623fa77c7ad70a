"""The joint fit of offset, flux scale, pedestal and blur of one image against the cube."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates, spline_filter
from scipy.optimize import least_squares
from scipy.special import ndtri

from jwst_fusion.optics.matching import fill_nearest

__all__ = ["BLOCK", "GAUSSIAN_MAD", "BandFit", "covariances", "fit_band", "root_weight", "typical"]

#: Standard deviation over median absolute deviation, for a Gaussian. Derived.
GAUSSIAN_MAD = 1 / float(ndtri(0.75))

#: Residual, in units of the typical one, above which the weight of a spaxel decreases. Judged.
ROBUST_SCALE = 2.0

#: Largest departure from the optical model of the blur's two variances [arcsec^2] and of the wavefront's
#: [rad^2]. Judged.
MAX_EXCESS = (0.005, 0.005, 0.5)

#: Smallest share of a block's residual that is assumed to remain after the fit. Judged.
MIN_LEFT = 0.01

#: Side of the blocks of sky within which residuals are taken to be correlated [spaxels]. Derived.
BLOCK = 3


@dataclass(frozen=True, eq=False)
class BandFit:
    """Parameters of one band with their covariance."""

    shift: np.ndarray  # offset of the image from the cube along x and y [cells]
    scale: float  # cube over image
    pedestal: float  # additive constant of the cube [MJy/sr]
    # variance of the IFU's blur beyond the optical model's, along the aperture's x and y [arcsec^2], and, if
    # the template has its derivative, of the wavefront [rad^2]
    excess: np.ndarray
    # of x, y, scale, pedestal and the excess, the one of covariances with the larger errors of x and y
    covariance: np.ndarray
    covariances: tuple  # for independent residuals, and for residuals that share blocks of sky


def fit_band(
    values: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    template: np.ndarray,
    start: np.ndarray,
    decimation_factor: int,
    *,
    pedestal: bool = True,
) -> BandFit:
    """
    Fit an image and its derivatives to the cube's synthetic photometry (n,) [MJy/sr], robustly.

    The rows and columns (n,) of the spaxels are cell coordinates in the template (n, ny, nx): the image at
    the IFU's resolution, and its derivatives as `match_to_ifu` gives them. The start is the first guess of
    the shift (x, y) [cells]; without pedestal the cube has no constant on top of the image. The residuals of
    neighbouring spaxels are correlated (noise of the drizzle, errors of the PSF), so the covariance is that
    for correlated residuals within blocks.
    """
    splines = [spline_filter(fill_nearest(plane), mode="mirror") for plane in template]
    unit = np.array(MAX_EXCESS[: len(template) - 1])

    def sample(shift):
        at = rows + shift[1], columns + shift[0]
        return [map_coordinates(spline, at, mode="mirror", prefilter=False) for spline in splines]

    def model(p):
        image, *slopes = sample(p[:2])
        return p[2] * (image + sum(map(np.multiply, unit * p[4:], slopes))) + p[3]

    first = sample(start)[0]
    if pedestal:
        slope, level = np.polyfit(first, values, 1)
    else:
        slope, level = float(first @ values / (first @ first)), 0.0
    residual = values - slope * first - level
    scatter = typical(residual)
    shape = unit.size
    best = np.array([*start, slope, level, *np.zeros(shape)])
    free = np.array([True] * 3 + [pedestal] + [True] * shape)

    def complete(p):
        best[free] = p
        return best

    bound = np.array([np.inf] * 4 + [1.0] * shape)[free]
    fit = least_squares(
        lambda p: (model(complete(p)) - values) / scatter,
        best[free],
        bounds=(-bound, bound),
        x_scale=np.array([1.0, 1.0, max(abs(slope), 1e-3), max(abs(level), scatter), *[0.1] * shape])[free],
        diff_step=1e-3,
        loss="soft_l1",
        f_scale=ROBUST_SCALE,
    )
    best = complete(fit.x).copy()
    residual = (model(best) - values) / scatter
    jacobian = _jacobian(model, best, scatter, abs(level) + scatter) * free
    units = np.array([1.0, 1.0, 1.0, 1.0, *unit])
    matrices = tuple(
        covariance * np.outer(units, units)
        for covariance in covariances(jacobian, residual, rows, columns, BLOCK * decimation_factor)
    )
    covariance = max(matrices, key=lambda matrix: matrix[0, 0] + matrix[1, 1])
    return BandFit(best[:2], best[2], best[3], best[4:] * unit, covariance, matrices)


def typical(residual: np.ndarray) -> float:
    """Find the standard deviation (never zero), by the median, of residuals most of which are Gaussian."""
    return GAUSSIAN_MAD * np.median(np.abs(residual)) or np.abs(residual).max() or 1.0


def root_weight(residual: np.ndarray) -> np.ndarray:
    """Find the root of the weight in a robust fit (soft L1) of residuals over their typical size."""
    return (1 + (residual / ROBUST_SCALE) ** 2) ** -0.25


def _jacobian(model, parameters, scatter, brightness):
    """Differentiate the model over the scatter, (n_data, n), by central differences."""
    steps = np.full(len(parameters), 1e-2)
    steps[2:4] = 1e-3 * max(abs(parameters[2]), 1e-3), 1e-3 * brightness
    columns = []
    for i, step in enumerate(steps):
        change = np.zeros(len(parameters))
        change[i] = step
        columns.append((model(parameters + change) - model(parameters - change)) / (2 * step * scatter))
    return np.stack(columns, axis=1)


def covariances(
    jacobian: np.ndarray, residual: np.ndarray, rows: np.ndarray, columns: np.ndarray, side: float
) -> tuple[np.ndarray, np.ndarray]:
    """
    Compute two covariances (n, n) of the parameters of a robust fit, of which the larger is to be used.

    That for independent residuals of one variance, and the sandwich estimator for residuals that share blocks
    of sky and differ in size between them, corrected for the part that the fit has absorbed in each block
    (Bell and McCaffrey 2002). The first is too small where a wrong PSF leaves patterns, the second where few
    blocks determine a parameter. The residuals (n_data,) and their derivatives (n_data, n) are over their
    typical size, the side of a block is in the unit of the rows.
    """
    root = root_weight(residual)
    design, rest = jacobian * root[:, np.newaxis], residual * root
    length = np.linalg.norm(design, axis=0)
    length[length == 0.0] = 1.0  # of a parameter that is kept
    design = design / length  # or what is far from one in the data's unit is lost to rounding
    inverse = np.linalg.pinv(design.T @ design)
    freedom = max(residual.size - jacobian.shape[1], 1)
    plain = inverse * (rest @ rest) / freedom
    block = (rows // side).astype(int) * 10_000 + (columns // side).astype(int)
    scores = []
    for label in np.unique(block):
        own = design[block == label]
        left, axes = np.linalg.eigh(np.eye(len(own)) - own @ inverse @ own.T)
        factor = 1 / np.sqrt(np.maximum(left, MIN_LEFT))
        scores.append((axes * factor) @ (axes.T @ rest[block == label]) @ own)
    score = np.array(scores)
    clustered = inverse @ (score.T @ score) @ inverse
    units = np.outer(length, length)
    return plain / units, clustered / units
