"""Several cubes and all images onto one flux scale."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from jwst_fusion.coregistration.overlaps import common_planes
from jwst_fusion.coregistration.resampling import moved
from jwst_fusion.exceptions import InputError, OneCubeError, ParameterError

from .factors import CrossCalibrationSettings, cross_calibrate, hold_out, names_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jwst_fusion.observation import Observation

__all__ = ["CubeFlux", "Overlap", "cross_calibrate_set", "hold_out_of_set", "overlap"]

log = logging.getLogger(__name__)

#: Scatter of the flux scales of NIRSpec's gratings, and of NIRCam's bands, that is expected before anything
#: is measured. Judged.
CUBE_SCATTER = 0.03
BAND_SCATTER = 0.05

#: Error of the ratio of two cubes by the interpolation between their spaxels. Judged.
INTERPOLATION = 5e-4

#: Fewest spaxels that two cubes need in common to be compared. Judged.
MIN_SPAXELS = 12

#: Largest departure of a cube's flux scale from the others', and largest contradiction between what its
#: overlaps with two others tell. Judged.
MAX_DEPARTURE = 0.3
MAX_CONTRADICTION = 0.1


@dataclass(frozen=True)
class Overlap:
    """
    Ratio of the light of two cubes over the sky and the wavelengths that they share.

    Attributes
    ----------
    ratio, error : float
        Light in the first over light in the second, and its standard error.
    low, high : float
        Wavelengths that they share [um].
    spaxels : int
        Number of spaxels.
    """

    ratio: float
    error: float
    low: float
    high: float
    spaxels: int


@dataclass(frozen=True)
class CubeFlux:
    """
    Flux scale of a cube.

    Attributes
    ----------
    factor, error : float
        Flux of the cube over the common scale, by which it was divided; and its standard error.
    """

    factor: float
    error: float


def cross_calibrate_set(
    observations: Sequence[Observation],
    names: Sequence[str],
    settings: CrossCalibrationSettings | None = None,
) -> tuple[list[int], list[Observation], list[CubeFlux]]:
    """
    Find the bandpass and the flux scale of each band, and the flux scale of each cube against the others.

    Each image is fitted to each cube in which its bandpass lies. Cubes that see the same sky at the same
    wavelengths are compared with each other too. The factors of all cubes and bands are solved for together;
    those of the cubes have a geometric mean of one.

    Parameters
    ----------
    observations : sequence of Observation
        Cubes and their images on one grid.
    names : sequence of str
        File names of the cubes, for messages.
    settings : CrossCalibrationSettings, optional
        Settings.

    Returns
    -------
    kept : list of int
        Cubes whose fluxes do not contradict the others'.
    calibrated : list of Observation
        These, on the common scale, their bands with bandpass and scale.
    fluxes : list of CubeFlux
        Their factors.

    Raises
    ------
    InputError
        An observation cannot be calibrated, or fewer than two cubes agree.
    ParameterError
        A setting is for one cube only, or a factor is given for a band that is not there.
    """
    settings = settings or CrossCalibrationSettings()
    if settings.reference != "nirspec":
        raise OneCubeError(f"reference = {settings.reference}")
    there = set().union(*map(names_of, observations))
    if unknown := sorted(set(settings.factors) - there):
        raise ParameterError(
            f"factors: {', '.join(unknown)} not among the bands of these observations: "
            f"{', '.join(sorted(there))}"
        )
    calibrated = []
    for observation, name in zip(observations, names, strict=True):
        log.info("%s:", name)
        own = {name: s for name, s in settings.factors.items() if name in names_of(observation)}
        calibrated.append(cross_calibrate(observation, replace(settings, factors=own)))
    with threadpool_limits(limits=1, user_api="blas"):
        return _onto_one_scale(calibrated, names)


def _onto_one_scale(calibrated, names):
    """Solve for the factors, leaving out cubes that contradict the others; apply them."""
    kept = list(range(len(calibrated)))
    pairs = {
        (a, b): found
        for a, b in combinations(kept, 2)
        if (found := overlap(calibrated[a], calibrated[b])) is not None
    }
    while True:
        cubes, bands, errors = _solve([calibrated[i] for i in kept], _among(pairs, kept))
        wrong = _contradicting(cubes, _among(pairs, kept))
        if wrong is None:
            break
        at, reason = wrong
        log.warning("%s left out: %s", names[kept[at]], reason)
        del kept[at]
        if len(kept) < 2:
            raise InputError(
                f"{', '.join(names)}: their fluxes contradict each other; make an association of each cube, "
                "or reduce them alike"
            )
    for i, factor, error in zip(kept, cubes, errors, strict=True):
        log.info("Flux of %s over the common scale: %.4f +- %.4f", names[i], np.exp(factor), error)
    chosen = _chosen_bands([calibrated[i] for i in kept], bands)
    result = [_scaled(calibrated[i], float(np.exp(f)), chosen) for i, f in zip(kept, cubes, strict=True)]
    fluxes = [CubeFlux(round(float(np.exp(f)), 7), float(e)) for f, e in zip(cubes, errors, strict=True)]
    return kept, result, fluxes


def _among(pairs, kept):
    """Overlaps of the cubes that are kept, by their places among these."""
    return {
        (kept.index(a), kept.index(b)): found for (a, b), found in pairs.items() if a in kept and b in kept
    }


def hold_out_of_set(observations: Sequence[Observation], names: Sequence[str]) -> list[Observation]:
    """
    Exclude images from the fit of several cubes.

    Parameters
    ----------
    observations : sequence of Observation
        Cubes and images.
    names : sequence of str
        Filters.

    Returns
    -------
    list of Observation
        The same, these images marked.

    Raises
    ------
    ParameterError
        A filter is not among the bands, or a cube would have none left.
    """
    wanted = {name.strip().upper() for name in names}
    there = set().union(*map(names_of, observations))
    if unknown := sorted(wanted - there):
        raise ParameterError(
            f"held_out_filters: {', '.join(unknown)} not among the bands of these observations: "
            f"{', '.join(sorted(there))}"
        )
    return [hold_out(o, sorted(wanted & names_of(o))) for o in observations]


def overlap(a: Observation, b: Observation) -> Overlap | None:
    """
    Compare two cubes where both see the same sky at the same wavelengths.

    Parameters
    ----------
    a, b : Observation
        The cubes on one grid.

    Returns
    -------
    Overlap or None
        Ratio of their light; None if they share too little.
    """
    found = common_planes(a.cube, b.cube)
    if found is None:
        return None
    *planes, low, high = found
    if not all(np.isfinite(plane).any() for plane in planes):
        return None
    d = a.grid.decimation_factor
    second = moved(planes[1], tuple((s - t) / d for s, t in zip(a.cube.shift, b.cube.shift, strict=True)))
    both = np.isfinite(planes[0]) & np.isfinite(second)
    x, y = planes[0][both], second[both]
    if x.size < MIN_SPAXELS or x.sum() <= 0 or y.sum() <= 0:
        return None
    ratio = float(x.sum() / y.sum())
    scatter = float(np.std(x - ratio * y) / np.sqrt(x.size) / y.mean())
    error = float(np.hypot(scatter, INTERPOLATION * ratio))
    return Overlap(ratio, error, low, high, int(x.size))


def _solve(observations, pairs):
    """
    Logarithms of the factors of cubes and bands, and the errors of the cubes' factors.

    An image over a cube is the band's factor over the cube's; cubes are compared with each other. What is
    expected before is that the cubes scatter by `CUBE_SCATTER` about each other, and the bands by
    `BAND_SCATTER`.
    """
    names = sorted({band.label for observation in observations for band in observation.bands})
    n, total = len(observations), len(observations) + len(names) + 1
    rows, values = [], []

    def add(terms, value, error):
        row = np.zeros(total)
        for at, sign in terms:
            row[at] = sign
        rows.append(row / error)
        values.append(value / error)

    for i, observation in enumerate(observations):
        add([(i, 1)], 0.0, CUBE_SCATTER)
        for band in observation.bands:
            error = band.scale_err / band.scale if np.isfinite(band.scale_err) else 0.0
            at = n + names.index(band.label)
            add([(at, 1), (i, -1)], np.log(band.scale), np.hypot(error, INTERPOLATION))
    for k in range(len(names)):
        add([(n + k, 1), (total - 1, -1)], 0.0, BAND_SCATTER)
    for (a, b), found in pairs.items():
        add([(a, 1), (b, -1)], np.log(found.ratio), found.error / found.ratio)
    design = np.array(rows)
    covariance = np.linalg.inv(design.T @ design)
    solution = covariance @ design.T @ np.array(values)
    mean = solution[:n].mean()
    centring = np.eye(n) - 1 / n
    errors = np.sqrt(np.diag(centring @ covariance[:n, :n] @ centring))
    return solution[:n] - mean, dict(zip(names, solution[n:-1] - mean, strict=True)), errors


def _contradicting(cubes, pairs):
    """Place of a cube whose flux contradicts the others', and the message about it; None if none does."""
    residuals = np.zeros(len(cubes))
    for (a, b), found in pairs.items():
        departure = abs(np.log(found.ratio) - (cubes[a] - cubes[b]))
        if departure > MAX_CONTRADICTION:
            residuals[[a, b]] += departure
    if residuals.any():
        at = int(np.argmax(residuals))
        return at, (
            f"its flux where it overlaps with other cubes contradicts the rest by {100 * residuals[at]:.0f} %"
        )
    away = np.abs(cubes - np.median(cubes))
    if away.max() > np.log1p(MAX_DEPARTURE):
        at = int(np.argmax(away))
        return at, (
            f"its flux is {np.exp(cubes[at] - np.median(cubes)):.2f} times that of the other cubes, at most "
            f"{1 + MAX_DEPARTURE:.1f} is plausible"
        )
    return None


def _chosen_bands(calibrated, bands):
    """Each band as it was calibrated against the cube that covers most of it, on the common scale."""
    best = {}
    for observation in calibrated:
        for band in observation.bands:
            rank = (band.covered_fraction, -band.scale_err)
            if band.label not in best or rank > best[band.label][0]:
                best[band.label] = rank, replace(band, scale=round(float(np.exp(bands[band.label])), 7))
    return {name: band for name, (_, band) in best.items()}


def _scaled(observation, factor, chosen):
    """Bring a cube to the common scale, with the bands on that scale."""
    cube = observation.cube
    single = np.float32(factor)
    cube = replace(cube, data=cube.data / single, error=cube.error / single, noise=cube.noise / factor)
    bands = tuple(
        replace(chosen[band.label], bandpass=band.bandpass, covered_fraction=band.covered_fraction)
        for band in observation.bands
    )
    return replace(observation, cube=cube, bands=bands)
