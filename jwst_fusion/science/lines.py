"""Emission and absorption lines: flux, continuum, velocity, dispersion and equivalent width."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np
from astropy import constants
from astropy import units as u

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.observation import channel_edges

if TYPE_CHECKING:
    from .scene import Scene, Sum

__all__ = ["LineMeasurement", "Quantity", "Window", "line_window", "measure_line"]

#: Speed of light [km/s]. Published.
LIGHT_SPEED = constants.c.to_value("km/s")

#: Speed of light over a micrometer [Hz]. Published.
LIGHT_FREQUENCY = (constants.c / u.um).to_value("Hz")

#: What 1 MJy/sr times 1 Hz is [W m-2 arcsec-2]. Derived.
BRIGHTNESS = (1 * u.MJy / u.sr * u.Hz).to_value("W m-2 arcsec-2")

#: Where the continuum begins and ends, in half widths of the window. Judged.
CONTINUUM_RANGE = (1.25, 4.0)

#: Factor by which the squared residual of a channel of another line exceeds the continuum's median; number
#: of fits; and smallest number of channels on a side. Judged.
OTHER_LINE = 16.0
FITS = 20
LEAST_CHANNELS = 3

#: Least share of a window that has data. Judged.
LEAST_SHARE = 0.8

#: Squared width, in units of its error, above which the error of its root is normal. Derived.
MOST_ERRORS = 30.0


@dataclass(frozen=True, eq=False)
class Quantity:
    """
    A measured quantity with its error.

    Attributes
    ----------
    value, error : ndarray
        In the unit.
    unit : str
        As `astropy.units` reads it.
    """

    value: np.ndarray
    error: np.ndarray
    unit: str

    def to(self, unit: str) -> Quantity:
        """
        Convert to another unit.

        Parameters
        ----------
        unit : str
            As `astropy.units` reads it.

        Returns
        -------
        Quantity
            The same in that unit.

        Raises
        ------
        ValueError, astropy.units.UnitConversionError
            The unit cannot be read, or is of another kind.
        """
        factor = u.Unit(self.unit).to(u.Unit(unit))
        return Quantity(self.value * factor, self.error * factor, unit)


@dataclass(frozen=True, eq=False)
class Window:
    """
    The channels of a line and of its continuum.

    Attributes
    ----------
    wavelength : float
        Wavelength of the line at the systemic velocity [um].
    functionals : ndarray, shape (4, n_wave)
        Weights of the channels that give, for a spectrum [MJy/sr], the line's zeroth, first and second moment
        in velocity minus a linear continuum [W m-2 arcsec-2, (km/s)^n], and the continuum at the line
        [MJy/sr].
    continuum : ndarray of bool, shape (n_wave,)
        Channels of the continuum.
    instrument : float
        Standard deviation of the instrument's line spread function [km/s].
    """

    wavelength: float
    functionals: np.ndarray
    continuum: np.ndarray
    instrument: float


@dataclass(frozen=True, eq=False)
class LineMeasurement:
    """
    A line of each cell, or of a region.

    Attributes
    ----------
    flux : Quantity
        Integral over the window minus the continuum; for a region the sum.
    continuum : Quantity
        At the wavelength of the line; for a region the mean.
    velocity : Quantity
        Mean velocity relative to the systemic one, positive away from us.
    dispersion : Quantity
        Standard deviation of the velocities, corrected for the instrument. For an unresolved line it is about
        as large as its error.
    equivalent_width : Quantity
        Flux over the continuum; positive for emission.
    significance : ndarray
        Flux over its error.
    """

    flux: Quantity
    continuum: Quantity
    velocity: Quantity
    dispersion: Quantity
    equivalent_width: Quantity
    significance: np.ndarray

    @property
    def quantities(self) -> dict[str, Quantity]:
        """The quantities by their names, dict."""
        each = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in each.items() if isinstance(value, Quantity)}


def line_window(
    scene: Scene, wavelength: float, half_width: float, *, instrument_width: float | None = None
) -> Window:
    """
    Choose the channels of a line and of its continuum.

    The continuum is a straight line through the channels on both sides. Channels that deviate from it in the
    mean spectrum or in the components contain other lines and are left out.

    Parameters
    ----------
    scene : Scene
        The scene.
    wavelength : float
        Wavelength of the line at the systemic velocity [um].
    half_width : float
        Half width of the window [km/s].
    instrument_width : float, optional
        Standard deviation of the line spread function [um], if not the scene's.

    Returns
    -------
    Window
        The window.

    Raises
    ------
    ParameterError
        The line lies outside the cube or in a gap, or there is no continuum beside it.
    """
    if not half_width > 0:
        raise ParameterError(f"its window is {half_width} km/s wide: a positive number is needed")
    edges = channel_edges(scene.wavelength)
    velocity = LIGHT_SPEED * (scene.wavelength / wavelength - 1)
    low, high = wavelength * (1 + np.array([-half_width, half_width]) / LIGHT_SPEED)
    inside = np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0.0, None)
    if low < edges[0] or high > edges[-1]:
        raise ParameterError(
            f"its window, {low:.4f} to {high:.4f} um, is not within the cube, {edges[0]:.4f} to "
            f"{edges[-1]:.4f} um; choose another line or a narrower window"
        )
    if (inside > 0).sum() < LEAST_CHANNELS:
        raise ParameterError(
            f"its window of {half_width:g} km/s each way is narrower than {LEAST_CHANNELS} channels of the "
            "instrument; choose a wider one"
        )
    if inside[scene.alive].sum() < LEAST_SHARE * (high - low):
        raise ParameterError(f"its window, {low:.4f} to {high:.4f} um, has channels without data")
    begin, end = (half_width * factor for factor in CONTINUUM_RANGE)
    off = scene.alive & (np.abs(velocity) > begin) & (np.abs(velocity) < end)
    off = _without_other_lines(scene, velocity, off)
    each = [int((off & side).sum()) for side in (velocity < 0, velocity > 0)]
    if min(each) < LEAST_CHANNELS:
        raise ParameterError(
            f"its continuum has {each[0]} channels below and {each[1]} above the window, at least "
            f"{LEAST_CHANNELS} of each needed; choose another window"
        )
    # flux of a channel: its brightness times c dlambda / lambda^2
    weight = BRIGHTNESS * LIGHT_FREQUENCY * inside / scene.wavelength**2
    moments = weight * velocity ** np.arange(3)[:, np.newaxis]
    design = np.stack([np.ones(off.sum()), velocity[off]], axis=1)
    fit = np.linalg.pinv(design)  # level and slope
    functionals = np.zeros((4, scene.wavelength.size))
    functionals[:3] = moments
    functionals[:3, off] -= moments.sum(axis=1)[:, np.newaxis] * fit[0]
    functionals[:3, off] -= (moments @ velocity)[:, np.newaxis] * fit[1]
    functionals[3, off] = fit[0]
    width = scene.line_spread(wavelength) if instrument_width is None else instrument_width
    return Window(wavelength, functionals, off, LIGHT_SPEED * width / wavelength)


def _without_other_lines(scene, velocity, off):
    """Leave out channels that deviate from a straight line in the mean spectrum or in a component."""
    if off.sum() <= 2 * LEAST_CHANNELS:
        return off
    spread = np.nanstd(scene.coefficients, axis=(1, 2))
    spectra = np.column_stack([scene.mean_spectrum, scene.basis * spread])[off]
    design = np.stack([np.ones(off.sum()), velocity[off]], axis=1)
    weight = np.ones((len(design), 1))
    for _ in range(FITS):  # robust: channels off the line lose their weight
        root = np.sqrt(weight)
        residual = spectra - design @ np.linalg.lstsq(root * design, root * spectra, rcond=None)[0]
        square = (residual**2).sum(axis=1, keepdims=True)
        typical = max(float(np.median(square)), np.finfo(float).tiny)
        weight = 1 / (1 + square / typical)
    kept = off.copy()
    kept[off] = square[:, 0] <= OTHER_LINE * typical
    return kept


def measure_line(cells: Sum, window: Window) -> LineMeasurement:
    """
    Measure a line.

    Flux, and flux times velocity and its square, are linear in the coefficients. The errors of the quantities
    derived from them are propagated to first order.

    Parameters
    ----------
    cells : Sum
        Cells one by one (`Scene.cells`) or added up (`Scene.region`).
    window : Window
        The line's channels.

    Returns
    -------
    LineMeasurement
        The line; NaN outside the field. The flux of a region is in W m-2.
    """
    scene, functionals = cells.scene, window.functionals
    moments = cells.apply(functionals)
    per_width = BRIGHTNESS * LIGHT_FREQUENCY / window.wavelength**2
    one, none = np.ones_like(moments[0]), np.zeros_like(moments[0])
    with np.errstate(invalid="ignore", divide="ignore"):
        velocity, square = moments[1] / moments[0], moments[2] / moments[0]
        along = np.stack([-velocity, one, none, none]) / moments[0]
        beyond = np.stack([-square, none, one, none]) / moments[0] - 2 * velocity * along
        width = moments[0] / moments[3] / per_width
        broad = np.stack([one / per_width, none, none, -width]) / moments[3]
    variance = square - velocity**2 - window.instrument**2
    error = partial(cells.error, functionals)
    lost = np.sqrt(cells.lost(functionals[0]))
    area, unit = (1.0, "W m-2 arcsec-2") if one.ndim else (scene.cell_area, "W m-2")
    flux_error = np.hypot(error(np.stack([one, none, none, none])), scene.scale_error * moments[0])
    flux_error = np.hypot(flux_error, lost)
    level_error = np.hypot(error(np.stack([none, none, none, one])), scene.scale_error * moments[3])
    return LineMeasurement(
        flux=Quantity(moments[0] * area, flux_error * area, unit),
        continuum=Quantity(moments[3] / cells.amount, level_error / cells.amount, "MJy sr-1"),
        velocity=Quantity(velocity, error(along), "km s-1"),
        dispersion=_dispersion(variance, error(beyond)),
        equivalent_width=Quantity(width, np.hypot(error(broad), lost * broad[0]), "um"),
        significance=moments[0] / np.where(flux_error > 0, flux_error, np.nan),
    )


def _dispersion(square, error):
    """
    Width whose square was measured, which may be negative within its error.

    Mean and standard deviation of the posterior, with a flat prior for the width.
    """
    ratio, mean, spread = _likely_widths()
    measured = np.maximum(square / np.where(error > 0, error, np.nan), ratio[0])
    known = np.where(
        measured > ratio[-1], np.sqrt(np.maximum(measured, 1.0)), np.interp(measured, ratio, mean)
    )
    doubt = np.where(measured > ratio[-1], 0.5 / known, np.interp(measured, ratio, spread))
    return Quantity(known * np.sqrt(error), doubt * np.sqrt(error), "km s-1")


@cache
def _likely_widths():
    """Square of a width over its error; mean and deviation of the width over the root of that error."""
    ratio, width = np.linspace(-MOST_ERRORS, MOST_ERRORS, 1201), np.linspace(0.0, 10.0, 2001)
    misfit = (width**2 - ratio[:, np.newaxis]) ** 2 / 2
    likely = np.exp(misfit.min(axis=1, keepdims=True) - misfit)
    likely /= likely.sum(axis=1, keepdims=True)
    mean = likely @ width
    return ratio, mean, np.sqrt(likely @ width**2 - mean**2)
