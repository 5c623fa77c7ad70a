"""Fit of wavefront and blur to the stars of all bands at once."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize

from jwst_fusion.limits import available_threads

from .model import PointImage
from .star_fit import ALIKE, at_star, fit_stars, star_residuals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .modes import WavefrontModes
    from .star_fit import BandStars, StarFit

__all__ = ["Retrieval", "retrieve"]

log = logging.getLogger(__name__)

#: Standard deviations of the moments of the blur about those of the optical model: what lies between no blur
#: and the largest by the drizzle; variances [pixels of the image, squared] and third moments [cubed].
SQUARES, CUBES = 0.08, 0.05

#: Error of the image of a star, over its brightness: that of the statistics' mean image (measured: 0.03 to
#: 0.07), the least that is left of it, as the blur by the drizzle differs from star to star, and by how much
#: what is accepted may fall from one fit to the next.
FIRST_FLOOR, LARGEST_FLOOR, LEAST_FLOOR, FALL = 0.04, 0.07, 0.005, 3.0

#: Moments of a blur.
MOMENTS = 7

#: Modes, stars and steps of the first search, and how many wavefronts it starts from.
FIRST_MODES, FIRST_STARS, FIRST_STEPS, STARTS = 40, 8, 12, 2

#: Rms of these first wavefronts, in units of the statistics'.
START_RMS = 0.5

#: Steps of the fit of all modes, norm of the gradient at which it ends, and first radius of trust: parameters
#: are in units of their standard deviation, so that the cost is known to half the square of the gradient.
STEPS, GRADIENT, RADIUS = 12, 2.0, 5.0

#: Groups of modes whose variance is taken from the data, by their first mode.
GROUPS = (0, 12, 40, 70)

#: Bounds of the standard deviation of a group over the statistics'.
GROUP_RANGE = (0.1, 3.0)

#: Misfit of a star over that of the best quarter, beyond which it is dropped.
MISFIT = 1.7

#: Stars of a band whose residuals are kept to be looked at.
PICTURES = 3

#: Sets into which stars are parted; each is left out in turn.
FOLDS = 2


@dataclass(frozen=True, eq=False)
class Retrieval:
    """
    Wavefront and blur as measured.

    Attributes
    ----------
    modes : WavefrontModes
        Modes of the wavefront.
    amplitudes : ndarray, shape (n_mode,)
        Amplitudes of the modes, in units of their standard deviation.
    rest : float
        Variance of the remainder that the modes do not represent, in units of that of the statistics.
    excess : dict of ndarray, shape (7,)
        Moments of the blur beyond the optical model's by band, along V2 and V3: see `moment_exponents`.
    error : dict of float
        Error of the PSF by band: rms of the residuals of stars left out, noise apart, over their structure.
    assumed_error : dict of float
        The same of the statistics' mean PSF, from which the fit started.
    improvement : float
        How much smaller the squared residuals of the stars left out, over their errors, are than with that.
    used : dict of ndarray of bool, shape (n_star,)
        Stars that were kept, by band.
    pictures : dict of ndarray, shape (n, 2, m, m)
        The brightest stars that were kept, minus their background and over their peak, and the residuals of
        the fit, by band.
    """

    modes: WavefrontModes
    amplitudes: np.ndarray
    rest: float
    excess: dict
    error: dict
    assumed_error: dict
    improvement: float
    used: dict
    pictures: dict


class _Problem:
    """
    Residuals of the stars of all bands, and their derivatives by amplitudes and blur.

    `floor` is the error of the model over itself, `scale` the standard deviations of the modes over those of
    the statistics, and `rest` the variance of the remainder that the modes do not represent, over that of
    the statistics.
    """

    def __init__(self, bands, modes, *, precision=np.float32):
        self.bands, self.floor = bands, FIRST_FLOOR
        self.scale, self.rest = np.ones(modes.number), 1.0
        size = bands[0].data.shape[-1]
        y, x = np.indices((size, size)) - size // 2
        self.inside = np.hypot(x, y).ravel() <= size // 2
        reach = [band.optics.pixel * (size // 2 + 1) for band in bands]
        self.images = [
            PointImage(b.optics, modes, r, precision=precision) for b, r in zip(bands, reach, strict=True)
        ]

    def with_stars(self, chosen: Sequence) -> _Problem:
        """Restrict the stars of each band, by indices or masks."""
        other = copy(self)
        other.bands = [band.subset(c) for band, c in zip(self.bands, chosen, strict=True)]
        return other

    def with_statistics(self, scale: np.ndarray, rest: float) -> _Problem:
        """Change the statistics of the wavefront."""
        other = copy(self)
        other.scale, other.rest = scale, rest
        return other

    def split(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Amplitudes of the modes, and the excess blur of each band [arcsec^2]."""
        number = parameters.size - MOMENTS * len(self.bands)
        units = np.array([_units(band) for band in self.bands])
        return parameters[:number], parameters[number:].reshape(-1, MOMENTS) * units

    def fits(self, parameters: np.ndarray) -> list[StarFit]:
        """Stars of each band fitted by the image of a point source."""
        amplitudes, excess = self.split(parameters)

        def of_band(band, image, own):
            return fit_stars(band, image, image(amplitudes * self.scale, self.rest, own)[0], self.floor)[0]

        with ThreadPoolExecutor(available_threads()) as pool:
            return list(pool.map(of_band, self.bands, self.images, excess))

    def cost(self, parameters: np.ndarray) -> float:
        """Half of the squared residuals over their errors and of the parameters over their deviations."""
        squares = sum(np.sum(fit.residual**2) for fit in self.fits(parameters))
        return 0.5 * (squares + parameters @ parameters)

    def normal(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """
        Gradient of the cost (n,), and its matrix of second derivatives (n, n) by Gauss and Newton.

        Flux, background and place of each star follow the parameters (variable projection).
        """
        amplitudes, excess = self.split(parameters)
        gradient, matrix = parameters.copy(), np.eye(parameters.size)
        of_band = partial(self._normal_of, amplitudes)
        with ThreadPoolExecutor(available_threads()) as pool:
            parts = pool.map(of_band, self.bands, self.images, excess)
            for index, (slope, curvature) in enumerate(parts):
                own = np.arange(amplitudes.size + MOMENTS)
                own[amplitudes.size :] += MOMENTS * index
                gradient[own] += slope
                matrix[np.ix_(own, own)] += curvature
        return gradient, matrix

    def _normal_of(self, amplitudes, band, image, excess):
        """Add up gradient and second derivatives of the stars of a band, by amplitudes and its own blur."""
        planes, changes = image(amplitudes * self.scale, self.rest, excess, derivatives=True)
        fit, columns = fit_stars(band, image, planes, self.floor)
        unit = np.concatenate([self.scale, _units(band)])
        gradient, matrix = np.zeros(unit.size), np.zeros((unit.size, unit.size))
        for k in range(len(band.data)):
            change = at_star(image, changes, band, fit.place[k])[:, self.inside]
            change *= -fit.flux[k] * unit[:, None] * fit.weight[k, self.inside]
            basis = np.linalg.qr(columns[k][:, self.inside].T)[0]
            change -= (change @ basis) @ basis.T
            gradient += change @ fit.residual[k, self.inside]
            matrix += change @ change.T
        return gradient, matrix


def _units(band):
    """Return the standard deviations of the moments of a band's blur."""
    pixel = band.optics.pixel
    return np.array([SQUARES * pixel**2] * 3 + [CUBES * pixel**3] * 4)


def retrieve(bands: Sequence[BandStars], modes: WavefrontModes) -> Retrieval:
    """
    Measure the wavefront and the blur on the stars of all bands.

    Parameters
    ----------
    bands : sequence of BandStars
        Stars of each band, all cut-outs of one size.
    modes : WavefrontModes
        Modes of the wavefront.

    Returns
    -------
    Retrieval
        The measurement.
    """
    problem = _Problem([replace(band, share=float(len(bands))) for band in bands], modes)
    blank = np.zeros(modes.number + MOMENTS * len(bands))
    kept = [np.ones(len(band.data), dtype=bool) for band in bands]
    kept, problem.floor = _fitting(problem, blank, FIRST_FLOOR)
    groups = np.searchsorted(GROUPS, np.arange(modes.number), side="right") - 1
    scales, rest = np.ones(len(GROUPS)), 1.0
    parameters = _first(problem.with_stars(kept), modes)
    for _ in range(3):
        least = max(problem.floor / FALL, LEAST_FLOOR)
        parameters, _, matrix = _minimise(problem.with_stars(kept), parameters, STEPS)
        kept, problem.floor = _fitting(problem, parameters, least)
        log.debug("floor %.4f kept %s scales %s", problem.floor, [int(k.sum()) for k in kept], scales)
        new, rest = _statistics(parameters, matrix, scales, groups, modes)
        parameters[: modes.number] *= (scales / new)[groups]
        scales = new
        problem = problem.with_statistics(scales[groups], rest)
    amplitudes, excess = problem.split(parameters)
    left_out = _left_out(problem, kept, parameters)
    without = _Problem(problem.bands, replace(modes, structure=modes.whole))
    without.floor = problem.floor
    assumed = _errors_of(without.with_stars(kept), blank)
    names = [band.name for band in bands]
    return Retrieval(
        modes=modes,
        amplitudes=amplitudes * scales[groups],
        rest=rest,
        excess=dict(zip(names, excess, strict=True)),
        error=dict(zip(names, _error(left_out), strict=True)),
        assumed_error=dict(zip(names, _error(assumed), strict=True)),
        improvement=float(np.sum(assumed[:, 3] - left_out[:, 3])),
        used=dict(zip(names, kept, strict=True)),
        pictures=_pictures(problem.with_stars(kept), parameters),
    )


def _pictures(problem, parameters):
    """Brightest stars of each band and the residuals of the fit, over their peaks."""
    found = {}
    for band, fit in zip(problem.bands, problem.fits(parameters), strict=True):
        brightest = np.argsort(-fit.flux)[:PICTURES]
        used = fit.weight[brightest] > 0
        left = np.where(used, fit.residual[brightest] / np.where(used, fit.weight[brightest], 1.0), np.nan)
        pair = (
            np.stack([fit.model[brightest] + left, left], axis=1)
            / fit.model[brightest].max(axis=1)[:, None, None]
        )
        found[band.name] = pair.reshape(len(brightest), 2, *band.data.shape[1:])
    return found


def _first(problem, modes):
    """Search with few modes and the brightest stars, from several wavefronts: their signs are not known."""
    brightest = [np.argsort(-_brightness(band))[:FIRST_STARS] for band in problem.bands]
    part = problem.with_stars(brightest).with_statistics(np.ones(FIRST_MODES), 1.0)
    rng = np.random.default_rng(0)
    blurs, best = MOMENTS * len(problem.bands), None
    for _ in range(STARTS):
        start = np.concatenate([START_RMS * rng.standard_normal(FIRST_MODES), np.zeros(blurs)])
        found = _minimise(part, start, FIRST_STEPS)[:2]
        best = found if best is None or found[1] < best[1] else best
    return np.insert(best[0], FIRST_MODES, np.zeros(modes.number - FIRST_MODES))


def _minimise(problem, start, steps):
    """Solve for the parameters from a start: they, the cost, and its second derivatives there."""
    latest = {}

    def derivatives(parameters):
        if not np.array_equal(latest.get("at"), parameters):
            latest["at"], latest["normal"] = parameters.copy(), problem.normal(parameters)
        return latest["normal"]

    found = minimize(
        problem.cost,
        start,
        method="trust-exact",
        jac=lambda parameters: derivatives(parameters)[0],
        hess=lambda parameters: derivatives(parameters)[1],
        options={"maxiter": steps, "gtol": GRADIENT, "initial_trust_radius": RADIUS},
    )
    log.debug(
        "%d steps, %d costs, cost %.1f, gradient %.2f",
        found.nit,
        found.nfev,
        found.fun,
        np.linalg.norm(found.jac),
    )
    return found.x, found.fun, derivatives(found.x)[1]


def _brightness(band):
    """Signal-to-noise ratio of each star, without the floor of the errors."""
    size = band.data.shape[-1]
    core = slice(size // 2 - 2, size // 2 + 3)
    level = np.nanmedian(band.data, axis=(1, 2))
    signal = np.nansum(band.data[:, core, core] - level[:, None, None], axis=(1, 2))
    return signal / np.sqrt(np.nansum(band.error[:, core, core] ** 2, axis=(1, 2)))


def _fitting(problem, parameters, least):
    """
    Choose the stars that are fitted as well as the best quarter is.

    Returns a mask for each band, and the misfit of the best quarter over the brightness, ``least`` or more.
    """
    fits = problem.fits(parameters)
    measured = [_misfit(band, fit) for band, fit in zip(problem.bands, fits, strict=True)]
    best = np.quantile(np.concatenate([misfit for misfit, _ in measured]), 0.25)
    floor = float(np.sqrt(np.clip(best, least**2, LARGEST_FLOOR**2)))
    return [misfit < (MISFIT * floor) ** 2 + 2 * error for misfit, error in measured], floor


def _misfit(band, fit):
    """Squared residuals beyond the noise over those of the star, and their error, (n_star,) each."""
    squares, _ = star_residuals(band, fit)
    star = np.sum(fit.model**2, axis=1)
    noise, structure = np.nanmean(band.error.astype(float) ** 2, axis=(1, 2)), band.structure**2
    variance = noise**2 + 2 * noise * structure + ALIKE * structure**2
    return squares / star, np.sqrt(2 * np.sum(fit.weight > 0, axis=1) * variance) / star


def _statistics(parameters, matrix, scales, groups, modes):
    """
    Find the standard deviations of the groups of modes, and the variance of what they do not represent.

    The deviations follow from the amplitudes and their errors (a step of expectation maximisation). The total
    of the wavefront's variance is that of the statistics, whose encircled energies are right: the modes leave
    the less the more of it is seen in them.
    """
    number = groups.size
    squares = parameters[:number] ** 2 + np.diag(np.linalg.inv(matrix))[:number]
    new = scales * [np.sqrt(squares[groups == g].mean()) for g in range(scales.size)]
    seen = np.sum(squares * scales[groups] ** 2 * modes.variance)
    left = 1 - (seen - modes.variance.sum()) / modes.structure.max()
    return np.clip(new, *GROUP_RANGE), float(np.clip(left, 0.0, 1.0))


def _left_out(problem, kept, parameters):
    """Compute the sums of `_errors_of` over stars that are left out of the fit."""
    parts = [np.flatnonzero(k) for k in kept]
    sums = np.zeros((len(kept), 4))
    for fold in range(FOLDS):
        left = [p[fold::FOLDS] for p in parts]
        others = [np.setdiff1d(p, out) for p, out in zip(parts, left, strict=True)]
        found = _minimise(problem.with_stars(others), parameters, STEPS // 2)[0]
        sums += _errors_of(problem.with_stars(left), found)
    return sums


def _errors_of(problem, parameters):
    """
    Sum over the stars of each band, (n_band, 4).

    Squared residuals beyond the noise, the variance of that, squares of the structure, and squared residuals
    over their errors.
    """
    sums = []
    for band, fit in zip(problem.bands, problem.fits(parameters), strict=True):
        squares, structure = star_residuals(band, fit)
        spread = _misfit(band, fit)[1] * np.sum(fit.model**2, axis=1)
        sums.append([squares.sum(), np.sum(spread**2), structure.sum(), np.sum(fit.residual**2)])
    return np.array(sums)


def _error(sums):
    """Error over structure from such sums, at least what can be measured with all bands together."""
    least = max(np.sqrt(sums[:, 1].sum()) / max(sums[:, 2].sum(), 1e-30), LEAST_FLOOR**2)
    squares, _, structure, _ = np.where(sums[:, 2:3] > 0, sums, sums.sum(axis=0)).T
    return np.sqrt(np.maximum(squares / np.maximum(structure, 1e-30), least)).tolist()
