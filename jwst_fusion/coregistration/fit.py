"""The joint fit of offset, flux scale, pedestal and blur of one image against the cube."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates, spline_filter
from scipy.optimize import least_squares

from jwst_fusion.optics.matching import fill_nearest

__all__ = ["BandFit", "fit_band"]

#: Residual, in units of the typical one, from which a spaxel counts less and less.
ROBUST_SCALE = 2.0

#: Largest departure of the blur's variance from the optical model's [arcsec^2].
MAX_EXCESS = 0.005

#: Least share of a block's residual that the fit is taken to have left.
MIN_LEFT = 0.01

#: Side of the blocks of sky within which residuals are taken to be correlated [spaxels].
BLOCK = 3


@dataclass(frozen=True, eq=False)
class BandFit:
    """
    Parameters of one band with their covariance.

    Attributes
    ----------
    shift : ndarray, shape (2,)
        Where the image has the sky of the cube, along x and y [cells].
    scale, pedestal : float
        Cube over image, and what the cube has on top [MJy/sr].
    excess : ndarray, shape (2,)
        Variance of the IFU's blur beyond the optical model's, along the aperture's x and y [arcsec^2].
    covariance : ndarray, shape (6, 6)
        Of (x, y, scale, pedestal, excess x, excess y).
    """

    shift: np.ndarray
    scale: float
    pedestal: float
    excess: np.ndarray
    covariance: np.ndarray


def fit_band(values, rows, columns, template, start, decimation_factor):
    """
    Fit an image and its derivatives to the cube's synthetic photometry, robustly.

    Neighbouring spaxels share their residuals (noise of the drizzle, errors of the PSF), so that a count
    of spaxels would promise too much: the covariance is that for correlated residuals within blocks.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Synthetic photometry [MJy/sr].
    rows, columns : ndarray, shape (n,)
        Cell coordinates of the spaxels in the template.
    template : ndarray, shape (3, ny, nx)
        The image at the IFU's resolution, and its derivatives with respect to the blur's variance.
    start : ndarray, shape (2,)
        First guess of the shift (x, y) [cells].
    decimation_factor : int
        Cells per spaxel along an axis.

    Returns
    -------
    BandFit
        The fit.
    """
    splines = [spline_filter(fill_nearest(plane), mode="mirror") for plane in template]
    unit = MAX_EXCESS

    def sample(shift):
        at = rows + shift[1], columns + shift[0]
        return [map_coordinates(spline, at, mode="mirror", prefilter=False) for spline in splines]

    def model(p):
        image, along, across = sample(p[:2])
        return p[2] * (image + unit * (p[4] * along + p[5] * across)) + p[3]

    first = sample(start)[0]
    slope, level = np.polyfit(first, values, 1)
    residual = values - slope * first - level
    scatter = 1.4826 * np.median(np.abs(residual)) or np.abs(residual).max() or 1.0
    bound = [np.inf] * 4 + [1.0] * 2
    fit = least_squares(
        lambda p: (model(p) - values) / scatter,
        [*start, slope, level, 0.0, 0.0],
        bounds=([-b for b in bound], bound),
        x_scale=[1.0, 1.0, max(abs(slope), 1e-3), max(abs(level), scatter), 0.1, 0.1],
        diff_step=1e-3,
        loss="soft_l1",
        f_scale=ROBUST_SCALE,
    )
    residual = (model(fit.x) - values) / scatter
    jacobian = _jacobian(model, fit.x, scatter, abs(level) + scatter)
    covariance = _covariance(jacobian, residual, rows, columns, BLOCK * decimation_factor)
    units = np.array([1.0, 1.0, 1.0, 1.0, unit, unit])
    return BandFit(fit.x[:2], fit.x[2], fit.x[3], fit.x[4:] * unit, covariance * np.outer(units, units))


def _jacobian(model, parameters, scatter, brightness):
    """Differentiate the model over the scatter, (n, 6), by central differences."""
    steps = [1e-2, 1e-2, 1e-3 * max(abs(parameters[2]), 1e-3), 1e-3 * brightness, 1e-2, 1e-2]
    columns = []
    for i, step in enumerate(steps):
        change = np.zeros(len(parameters))
        change[i] = step
        columns.append((model(parameters + change) - model(parameters - change)) / (2 * step * scatter))
    return np.stack(columns, axis=1)


def _covariance(jacobian, residual, rows, columns, side):
    """
    Covariance of the parameters, (6, 6).

    The larger of two: that for independent residuals of one variance, and the sandwich estimator for
    residuals that share blocks of sky and differ in size between them, made larger by what the fit has
    taken from each block (Bell and McCaffrey 2002). The first falls short where a wrong PSF leaves
    patterns, the second where few blocks fix a parameter.
    """
    root = (1 + (residual / ROBUST_SCALE) ** 2) ** -0.25
    design, rest = jacobian * root[:, np.newaxis], residual * root
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
    scores = np.array(scores)
    clustered = inverse @ (scores.T @ scores) @ inverse
    return max(plain, clustered, key=lambda matrix: matrix[0, 0] + matrix[1, 1])
