"""Both instruments onto one flux scale: which bands are used, and with what factor."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_closing
from threadpoolctl import threadpool_limits

from jwst_fusion.coregistration import ranges
from jwst_fusion.exceptions import InputError, ParameterError
from jwst_fusion.optics import throughput

from .scale import BESIDE, BandScale, fit_scales, ratio_of_means

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jwst_fusion.observation import Observation

__all__ = [
    "CrossCalibrationSettings",
    "cross_calibrate",
    "flux_scale",
    "given_factors",
    "hold_out",
    "names_of",
]

log = logging.getLogger(__name__)

#: Range of plausible factors between the calibrations of the instruments. Judged.
FACTORS = 0.5, 2.0

#: Largest relative error of a factor. Judged.
MAX_ERROR = 0.1

#: Least share of a bandpass within the cube's data, counting isolated lost channels as covered. Judged.
MIN_COVERED = 0.95

#: Distance of pivot wavelengths above which a trend of the factors shows beyond their scatter [um]. Judged.
TREND_REACH = 0.1

#: Scatter of the zero points of the bands. Judged.
ZERO_POINTS = 0.01


@dataclass(frozen=True)
class CrossCalibrationSettings:
    """
    Settings of the cross-calibration.

    Attributes
    ----------
    method : {'fit', 'ratio'}
        ``fit``: joint fit of scale, pedestal and the IFU's PSF; ``ratio``: the paper's ratio of means.
    pedestal : {'auto', 'fit', 'none'}
        Whether an image may have a constant on top of the cube: where it is significant, always, never.
    band_policy : {'drop', 'keep', 'fail'}
        Treatment of a band whose factor or coverage is implausible.
    reference : {'nirspec', 'nircam'}
        Whose flux scale the fused cube carries.
    factors : dict of BandScale
        Scales to use in place of those measured, by filter, or by the label of one of several images in it.
    """

    method: str = "fit"
    pedestal: str = "auto"
    band_policy: str = "drop"
    reference: str = "nirspec"
    factors: dict = field(default_factory=dict)

    def __post_init__(self):
        """Refuse values that cannot be used."""
        for name, known in (
            ("method", ("fit", "ratio")),
            ("pedestal", ("auto", "fit", "none")),
            ("band_policy", ("drop", "keep", "fail")),
            ("reference", ("nirspec", "nircam")),
        ):
            if getattr(self, name) not in known:
                raise ParameterError(f"{name} = {getattr(self, name)!r} is unknown: use {', '.join(known)}")
        for name, factor in self.factors.items():
            if not (np.isfinite(factor.scale) and factor.scale > 0 and np.isfinite(factor.pedestal)):
                raise ParameterError(f"factor of {name} is {factor.scale}: a positive number is needed")


def cross_calibrate(
    observation: Observation, settings: CrossCalibrationSettings | None = None
) -> Observation:
    """
    Find the bandpass and the flux scale of each band (paper, Eqs. B.3 and B.4).

    Parameters
    ----------
    observation : Observation
        Cube and images on one grid.
    settings : CrossCalibrationSettings, optional
        Settings.

    Returns
    -------
    Observation
        The same, its bands with bandpass, scale and its error, the pedestal subtracted from their data,
        and the cube with the departure of its PSF from the model. Implausible bands are left out.

    Raises
    ------
    InputError
        A band has no common spaxel with the cube, cannot be compared with it, or no band is left.
    ParameterError
        A factor is given for a band that is not there.
    """
    settings = settings or CrossCalibrationSettings()
    with threadpool_limits(limits=1, user_api="blas"):
        return _cross_calibrate(observation, settings)


def _cross_calibrate(observation, settings):
    """Cross-calibrate on one thread: the same input gives the same bits."""
    _check_names(settings.factors, observation, "factors")
    usable = np.isfinite(observation.cube.noise)
    bands = []
    for band in observation.bands:
        bandpass, covered = throughput.bandpass(
            band.filter, band.module, observation.cube.wavelength, usable=usable, curve=band.throughput
        )
        bands.append(replace(band, bandpass=bandpass, covered_fraction=covered))
    measured, shape = _measure(observation, bands, settings)
    bridged, wavelength = _bridge(usable), observation.cube.wavelength
    reached = [throughput.bandpass(b.filter, b.module, wavelength, usable=bridged)[1] for b in bands]
    needed = min(MIN_COVERED, max([*reached, ranges.MIN_COVERED]))  # the best covered band may have less
    log.info("Flux scale of NIRCam over NIRSpec: %s", "; ".join(map(_words, measured, measured.values())))
    kept, found = [], []
    for band, share in zip(bands, reached, strict=True):
        problem = _problem(band, measured, share, needed, settings)
        if not problem or settings.band_policy != "drop":
            kept.append(_calibrated(band, measured[band.label]))
        found.append(f"{band.label}: {problem}")
    if not kept:
        raise InputError(
            f"{', '.join(found)}: no band can be used; check that the brightest source in the "
            "images is the one in the cube, or set band_policy to keep"
        )
    excess = np.add(observation.cube.excess, shape)
    cube = replace(
        observation.cube, excess=tuple(round(float(v), n) for v, n in zip(excess, (9, 9, 6), strict=True))
    )
    return replace(observation, cube=cube, bands=tuple(kept), reference=settings.reference)


def _measure(observation, bands, settings):
    """Scale of each band by label: given, fitted, or the ratio of means; and the IFU's excess."""
    given = {
        band.label: settings.factors.get(band.label) or settings.factors[band.filter]
        for band in bands
        if {band.label, band.filter} & settings.factors.keys()
    }
    rest = [band for band in bands if band.label not in given]
    if settings.method == "ratio":
        scales, shape = [ratio_of_means(observation, band) for band in rest], np.zeros(3)
    else:
        scales, shape = fit_scales(observation, rest, pedestal=settings.pedestal)
    return {**given, **{band.label: scale for band, scale in zip(rest, scales, strict=True)}}, shape


def _bridge(usable):
    """Treat lost channels as usable if there are usable ones within `BESIDE` channels on both sides."""
    padded = np.pad(usable, 2 * BESIDE)
    return binary_closing(padded, np.ones(2 * BESIDE))[2 * BESIDE : -2 * BESIDE]


def _words(name, scale):
    """Flux scale of a band in words."""
    pedestal = (
        f", pedestal {scale.pedestal:.3g} +- {scale.pedestal_error:.2g} MJy/sr" if scale.pedestal else ""
    )
    return f"{name} {scale.scale:.4f} +- {scale.error:.4f}{pedestal}"


def _problem(band, measured, reached, needed, settings):
    """Warn of the problems of a band, and return them in words; empty if there are none."""
    scale = measured[band.label]
    wrong = []
    if not FACTORS[0] <= scale.scale <= FACTORS[1]:
        wrong.append(f"its scale {scale.scale:.3g} is outside {FACTORS[0]:g} to {FACTORS[1]:g}")
    if scale.error > MAX_ERROR * scale.scale:
        wrong.append(f"its scale is uncertain by {100 * scale.error / scale.scale:.0f} %")
    if reached < MIN_COVERED:
        covered = (
            f"{100 * reached:.1f} % of its bandpass lie in the cube's data, {100 * MIN_COVERED:.0f} % needed"
        )
        if reached < needed or settings.band_policy == "fail":
            wrong.append(covered)
        else:
            log.warning("%s kept: %s, but no band has more", band.label, covered)
    if not wrong:
        return ""
    found = " and ".join(wrong)
    if settings.band_policy == "fail":
        raise InputError(f"{band.label}: {found}; leave the image out, or set band_policy to drop or keep")
    dropped = settings.band_policy == "drop"
    log.warning(
        "%s %s: %s%s",
        band.label,
        "left out" if dropped else "kept",
        found,
        "; set band_policy to keep to use it" if dropped else "",
    )
    return found


def _calibrated(band, scale):
    """Set a band's scale and subtract the pedestal from its data."""
    return replace(
        band,
        data=band.data - scale.pedestal if scale.pedestal else band.data,
        scale=scale.scale,
        scale_err=scale.error,
        pedestal=scale.pedestal,
        pedestal_err=scale.pedestal_error,
    )


def hold_out(observation: Observation, names: Sequence[str]) -> Observation:
    """
    Exclude bands from the fit, to compare them with its prediction.

    Parameters
    ----------
    observation : Observation
        Cross-calibrated cube and images.
    names : sequence of str
        Filters, for all images in these, or labels of images; those that are held out already stay so.

    Returns
    -------
    Observation
        The same, these bands marked.

    Raises
    ------
    ParameterError
        A filter is not among the bands, or none would be left to be fused.
    """
    wanted = {name.strip().upper() for name in names}
    _check_names(wanted, observation, "held_out_filters")
    if not wanted:
        return observation
    bands = tuple(
        replace(band, held_out=True) if {band.label, band.filter} & wanted else band
        for band in observation.bands
    )
    if all(band.held_out for band in bands):
        raise ParameterError(
            f"held_out_filters: {', '.join(band.label for band in bands)} are all available bands: leave at "
            "least one to be fused"
        )
    return replace(observation, bands=bands)


def _check_names(names, observation, parameter):
    """Refuse filters that are not among the bands."""
    unknown = sorted(set(names) - names_of(observation))
    if unknown:
        there = ", ".join(band.label for band in observation.bands)
        raise ParameterError(
            f"{parameter}: {', '.join(unknown)} not among the bands of this observation: {there}"
        )


def names_of(observation: Observation) -> set[str]:
    """
    List what the images of an observation may be called: all in a filter by its name, or one by its label.

    Parameters
    ----------
    observation : Observation
        Cube and images.

    Returns
    -------
    set of str
        Filters and labels.
    """
    return {name for band in observation.bands for name in (band.filter, band.label)}


def flux_scale(observation: Observation) -> np.ndarray:
    """
    Interpolate the bands' scales to the cube's channels.

    Each band of NIRCam has a zero point of its own; what they have in common is a constant, or with bands
    far enough apart a linear trend with wavelength.

    Parameters
    ----------
    observation : Observation
        Cross-calibrated cube and images.

    Returns
    -------
    ndarray, shape (n_wave,)
        NIRCam's flux scale over the cube's; constant outside the bands' pivot wavelengths.
    """
    pivots = np.array([band.pivot_wavelength for band in observation.bands])
    scales = np.array([band.scale for band in observation.bands])
    errors = np.nan_to_num([band.scale_err for band in observation.bands])
    degree = 1 if np.ptp(pivots) > TREND_REACH else 0
    line = np.polyfit(pivots, scales, degree, w=1 / np.hypot(errors, ZERO_POINTS * scales))
    return np.polyval(line, np.clip(observation.cube.wavelength, pivots.min(), pivots.max()))


def given_factors(entries: Sequence[str]) -> dict:
    """
    Read factors that the user gives.

    Parameters
    ----------
    entries : sequence of str
        ``FILTER:SCALE`` each.

    Returns
    -------
    dict of BandScale
        By filter.

    Raises
    ------
    ParameterError
        An entry is not of this form.
    """
    factors = {}
    for entry in entries:
        name, _, value = str(entry).partition(":")
        try:
            factors[name.strip().upper()] = BandScale(float(value), 0.0)
        except ValueError:
            raise ParameterError(
                f"factors: {entry!r} cannot be read: give FILTER:SCALE, such as F182M:1.14, or the name of "
                "a table with the columns filter and scale"
            ) from None
    return factors
