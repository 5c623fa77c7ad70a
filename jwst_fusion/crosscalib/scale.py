"""Scale and pedestal of each NIRCam image against the cube, from one joint fit of all bands."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from jwst_fusion.coregistration.alignment import MIN_SPAXELS, spaxel_centres, spaxel_template
from jwst_fusion.coregistration.fit import fit_band
from jwst_fusion.exceptions import InputError
from jwst_fusion.optics import throughput
from jwst_fusion.optics.photometry import synthetic_photometry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jwst_fusion.observation import BandImage, Observation

__all__ = ["BandScale", "fit_scales", "ratio_of_means"]

log = logging.getLogger(__name__)

#: Pedestal, in standard errors, above which it is considered real. Judged.
SIGNIFICANT = 3.0

#: Channels on either side of a lost one that estimate its signal: a line covers two or three. Derived.
BESIDE = 2

#: Chi-squared of the PSF's three departures from its model from which they are adopted: 99.9 %. Derived.
SIGNIFICANT_SHAPE = 16.3

#: Relative error of a scale due to interpolation and bandpass. Judged.
RESAMPLING = 5e-4

#: A priori standard deviations of the departures of the IFU's PSF from its model: its
#: two variances [arcsec^2], and its wavefront's variance [rad^2 at 1 um]. Judged.
PRIOR = np.array([1e-3, 1e-3, 0.5])

#: Standard deviations of the differences between bands. Judged.
BETWEEN_BANDS = np.array([3e-5, 3e-5, 0.02])

#: Relative error of the light that a halo of the IFU's PSF takes from the core: its shape is not known.
#: Judged.
HALO_SHAPE = 0.2


@dataclass(frozen=True)
class BandScale:
    """
    Fit of an image to the cube: ``image = scale * synthetic photometry + pedestal``.

    Scale and pedestal are rounded well below their errors, so that the last bit of a sum does not reach
    the fused cube.

    Attributes
    ----------
    scale, error : float
        NIRCam image over the cube's synthetic photometry, and its standard error.
    pedestal, pedestal_error : float
        Additive constant of the image and its standard error [MJy/sr]; zero and NaN if it was not fitted.
    """

    scale: float
    error: float
    pedestal: float = 0.0
    pedestal_error: float = float("nan")


@dataclass(frozen=True, eq=False)
class _Comparison:
    """
    The spaxels of a band, and the parameters of its fit.

    ``parameters`` are (scale, pedestal, *shape) of the cube over the image; the shape is the departure
    of the IFU's PSF from its model, with the variance of the wavefront at 1 um.
    """

    band: Any
    values: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    template: np.ndarray
    decimation_factor: int
    wavelength: float
    missed: float
    with_pedestal: bool = False
    parameters: np.ndarray | None = None
    covariance: np.ndarray | None = None


def fit_scales(
    observation: Observation, bands: Sequence[BandImage], *, pedestal: str = "auto"
) -> tuple[tuple[BandScale, ...], np.ndarray]:
    """
    Fit scale and pedestal of all bands, with one PSF of the IFU for all.

    In each band the image, blurred to the IFU's resolution, is fitted to the cube's synthetic photometry
    over the spaxels, robustly: offset, scale, pedestal, and how the IFU's PSF departs from its model, in
    width and in the light that its wavefront scatters into a halo. Apart from its dependence on
    wavelength it is common to all bands, and the fit of each band is adjusted to the common value.

    Parameters
    ----------
    observation : Observation
        The cube on its grid.
    bands : sequence of BandImage
        The images, with bandpass and covered fraction.
    pedestal : {'auto', 'fit', 'none'}
        Whether an image may have a constant on top of the cube: where it is significant, always, never.

    Returns
    -------
    scales : tuple of BandScale
        One for each band.
    shape : ndarray, shape (3,)
        Excess of the IFU's PSF over its model: variance along the aperture's x and y axis [arcsec^2], and
        of the wavefront [rad^2 at 1 um]; zero unless significant.

    Raises
    ------
    InputError
        A band has no common spaxel with the cube, or cannot be compared with it.
    """
    compared = [_compare(observation, band) for band in bands]
    fitted = [
        c for c in compared if c.values.size >= MIN_SPAXELS and np.ptp(c.template[0][c.rows, c.columns])
    ]
    fitted = [_fit(c, pedestal != "none") for c in fitted]
    scales, shape = _tie(fitted)
    if pedestal == "auto" and fitted:
        real = [abs(scale.pedestal) > SIGNIFICANT * scale.pedestal_error for scale in scales]
        fitted = [c if keep else _fit(c, False) for c, keep in zip(fitted, real, strict=True)]
        scales, shape = _tie(fitted)
    if shape.any():
        log.info(_in_words(shape, np.mean([c.wavelength for c in fitted])))
    known = {c.band.label: scale for c, scale in zip(fitted, scales, strict=True)}
    scales = tuple(known.get(band.label) or ratio_of_means(observation, band) for band in bands)
    return scales, shape


def _in_words(shape, wavelength):
    """Departure of the IFU's PSF from its model in words, with the light in its halo at a wavelength [um]."""
    widths = 1e3 * np.sign(shape[:2]) * np.sqrt(np.abs(shape[:2]))
    return (
        f"The IFU's PSF differs from its optical model: width {widths[0]:+.0f} x {widths[1]:+.0f} mas "
        f"(standard deviations, in quadrature), light in its halo {100 * shape[2] / wavelength**2:+.1f} % at "
        f"{wavelength:.2f} um"
    )


def _compare(observation, band):
    """Compare a band with the cube on the spaxels known in both."""
    cube, grid = observation.cube, observation.grid
    synthetic = synthetic_photometry(cube.data, band.bandpass)
    rows, columns = spaxel_centres(synthetic, grid.decimation_factor, 0)
    known = np.isfinite(synthetic) & cube.footprint
    if known.any() and np.isfinite(band.data).any():
        template = spaxel_template(band.data, band, band.bandpass, cube, grid, scatter=True)
        known &= np.isfinite(template[0][rows, columns])
    else:
        known[:] = False
    if not known.any():
        raise InputError(
            f"{band.label}: no spaxel of the field is known to both image and cube; leave the image out"
        )
    _refuse_dark(band, synthetic[known], template[0][rows[known], columns[known]], np.max)
    return _Comparison(
        band=band,
        values=synthetic[known],
        rows=rows[known],
        columns=columns[known],
        template=template,
        decimation_factor=grid.decimation_factor,
        wavelength=float(band.bandpass @ cube.wavelength),
        missed=_missed_light(cube, band),
    )


def _refuse_dark(band, synthetic, image, statistic):
    """Refuse a band in which the cube or the image is not bright, by a statistic of its spaxels."""
    if statistic(synthetic) <= 0 or statistic(image) <= 0:
        raise InputError(
            f"{band.label}: mean brightness of the field is {image.mean():.3g} MJy/sr in the image and "
            f"{synthetic.mean():.3g} in the cube: cannot be compared; use data whose background has not "
            "been subtracted"
        )


def _missed_light(cube, band):
    """
    Light of a band that channels without data may hold [MJy/sr].

    How much the mean spectrum differs from its mean over the band beside each channel that is lost, times the
    weight of that channel, and what lies outside the range of the cube.
    """
    whole, _ = throughput.bandpass(band.filter, band.module, cube.wavelength, curve=band.throughput)
    spectra = cube.data[:, cube.footprint]
    count = np.isfinite(spectra).sum(axis=1)
    mean = np.divide(
        np.nansum(spectra, axis=1, dtype=np.float64), count, out=np.full(count.size, np.nan), where=count > 0
    )
    seen = (band.bandpass > 0) & (count > 0)
    if not seen.any():
        return 0.0
    away = np.abs(mean - np.average(mean[seen], weights=band.bandpass[seen]))
    spread = np.sqrt(np.average(away[seen] ** 2, weights=band.bandpass[seen]))
    lost = np.flatnonzero((whole > 0) & ~seen)
    light = 0.0
    for channel in lost:
        beside = away[max(channel - BESIDE, 0) : channel + BESIDE + 1]
        light += (whole[channel] * max(spread, np.nanmax(beside, initial=0.0))) ** 2
    outside = max(1 - band.covered_fraction - whole[lost].sum(), 0.0)
    return float(np.sqrt(light + (outside * spread) ** 2))


def _fit(compared, pedestal):
    """Fit a band alone."""
    c = compared
    fit = fit_band(
        c.values, c.rows, c.columns, c.template, np.zeros(2), c.decimation_factor, pedestal=pedestal
    )
    units = np.array([1.0, 1.0, 1.0, 1.0, c.wavelength**2])
    covariance = max(fit.covariances, key=lambda matrix: matrix[2, 2])[2:, 2:] * np.outer(units, units)
    parameters = np.array([fit.scale, fit.pedestal, *fit.excess]) * units
    return replace(c, with_pedestal=pedestal, parameters=parameters, covariance=covariance)


def _tie(fitted):
    """Combine bands that were fitted alone: their scales for a common PSF of the IFU, and its excess."""
    shapes = [c.parameters[2:] for c in fitted]
    inverses = [np.linalg.inv(c.covariance[2:, 2:] + np.diag(BETWEEN_BANDS**2)) for c in fitted]
    covariance = np.linalg.inv(np.diag(PRIOR**-2.0) + sum(inverses, np.zeros((3, 3))))
    common = covariance @ sum((w @ s for w, s in zip(inverses, shapes, strict=True)), np.zeros(3))
    if len(fitted) > 1:
        away = [s - common for s in shapes]
        chi2 = sum(a @ w @ a for a, w in zip(away, inverses, strict=True))
        covariance = covariance * max(1.0, chi2 / (3 * (len(fitted) - 1)))
    scales = tuple(
        _at_shape(c, common, covariance, inverse) for c, inverse in zip(fitted, inverses, strict=True)
    )
    significant = bool(fitted) and common @ np.linalg.solve(covariance, common) > SIGNIFICANT_SHAPE
    return scales, common if significant else np.zeros(3)


def _at_shape(compared, shape, shape_covariance, inverse):
    """Scale and pedestal of a band for the PSF that all bands agree on."""
    own, cross = compared.covariance[:2, :2], compared.covariance[:2, 2:]
    gain = cross @ inverse
    slope, level = compared.parameters[:2] + gain @ (shape - compared.parameters[2:])
    if slope <= 0 or not np.isfinite(slope):
        raise InputError(
            f"{compared.band.label}: the image does not brighten with the cube (slope {slope:.3g}): no "
            "scale can be determined; check that both show the same field, or leave the image out"
        )
    variance = own - gain @ cross.T + gain @ shape_covariance @ gain.T
    halo = HALO_SHAPE * cross[:, 2] * inverse[2, 2] * shape[2]
    missed = np.array([compared.missed / np.mean(compared.values), compared.missed])
    variance = variance + np.outer(halo, halo) + np.diag(missed**2)
    scale = round(float(1 / slope), 7)
    error = float(np.hypot(np.sqrt(variance[0, 0]) / slope**2, RESAMPLING * scale))
    if not compared.with_pedestal:
        return BandScale(scale, error)
    to_pedestal = np.array([level / slope**2, -1 / slope])
    pedestal_error = float(np.sqrt(to_pedestal @ variance @ to_pedestal))
    return BandScale(scale, error, float(f"{-level / slope:.7g}"), pedestal_error)


def ratio_of_means(observation: Observation, band: BandImage) -> BandScale:
    """
    Mean of the image over mean of the synthetic photometry, at the IFU's resolution (paper, Eq. B.4).

    Comparing at one resolution leaves no difference at the edge of the common footprint.

    Parameters
    ----------
    observation : Observation
        Cube and images on one grid.
    band : BandImage
        The band, with bandpass and covered fraction.

    Returns
    -------
    BandScale
        The ratio, without pedestal.

    Raises
    ------
    InputError
        A mean is not positive.
    """
    compared = _compare(observation, band)
    x = compared.values
    y = compared.template[0][compared.rows, compared.columns]
    _refuse_dark(band, x, y, np.mean)
    scale = y.mean() / x.mean()
    scatter = (y - scale * x).std() / (np.sqrt(x.size) * x.mean())
    return BandScale(float(scale), float(np.hypot(scatter, scale * compared.missed / x.mean())))
