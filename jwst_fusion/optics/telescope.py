"""
The telescope's optical transfer function, from the pupil's geometry and wavefront statistics.

It is computed at the frequencies where it is wanted, so that no PSF array cuts the wings:
``otf(f) = R(D) exp(-sigma^2 (1 - C(abs(D))))`` at the baseline D = wavelength * f, with R the autocorrelation
of the pupil, sigma = 2 pi rms / wavelength, and C(abs(D)) = exp(-abs(D) / L). It is real: the mean over the
statistics is symmetric, and it is one at zero frequency.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import itj0y0, j0, j1

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.optics.pupil import evaluate, pupil_autocorrelation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .pupil import Autocorrelation

__all__ = [
    "FIELD",
    "LONG_WAVEFRONT",
    "PERFECT_WAVEFRONT",
    "REACH",
    "SHORT_WAVEFRONT",
    "Wavefront",
    "checked_wavelengths",
    "confined_otf",
    "light_beyond",
    "rotate",
    "telescope_otf",
    "wavefront_change",
]

DIAMETER = 6.6
"""Diameter of the pupil [m]."""

FIELD = 4.2
"""Side of PSFs as images [arcsec]."""

REACH = FIELD / np.sqrt(np.pi)
"""Radius within which PSFs hold all their light [arcsec]: as many square arcseconds as such an image."""

_BASELINE = 1e-6 * 180 * 3600 / np.pi
"""Metres of baseline per um of wavelength and cycle/arcsec."""


@dataclass(frozen=True)
class Wavefront:
    """
    Statistics of the wavefront error.

    Attributes
    ----------
    rms : float
        Root mean square [nm].
    correlation_length : float
        Length L of the correlation exp(-abs(D) / L) between points a baseline D apart [m].
    """

    rms: float
    correlation_length: float

    def halo(self, wavelength: float) -> tuple[float, float]:
        """
        Find how much light is scattered out of the core of the PSF, and how far.

        Parameters
        ----------
        wavelength : float
            Wavelength [um].

        Returns
        -------
        light : float
            Variance of the wavefront [rad^2]: for small errors the share of the light that is scattered.
        size : float
            Length s of the OTF of the halo, ``exp(-s * frequency)`` [arcsec].
        """
        return (2e-3 * np.pi * self.rms / wavelength) ** 2, _BASELINE * wavelength / self.correlation_length


SHORT_WAVEFRONT = Wavefront(69.6, 0.33)
"""NIRCam's short channel: encircled energies of WebbPSF with an in-flight OPD to 0.21 %."""

LONG_WAVEFRONT = Wavefront(95.7, 1.0)
"""NIRCam's long channel: encircled energies of WebbPSF with an in-flight OPD to 0.36 %."""

PERFECT_WAVEFRONT = Wavefront(0.0, 1.0)
"""No wavefront error."""


def telescope_otf(
    wavelength: float | np.ndarray,
    frequency_east: np.ndarray,
    frequency_north: np.ndarray,
    *,
    position_angle_v3: float,
    wavefront: Wavefront | Sequence[Wavefront] = SHORT_WAVEFRONT,
    pupil: Autocorrelation | None = None,
) -> np.ndarray:
    """
    Compute the OTF of the telescope alone.

    Parameters
    ----------
    wavelength : float or ndarray, shape (n_wave,)
        Wavelengths [um].
    frequency_east, frequency_north : ndarray
        Frequencies [cycles/arcsec], of shapes that broadcast.
    position_angle_v3 : float
        Position angle of the telescope's V3 axis [deg E of N]; V2 lies 90 deg east of it.
    wavefront : Wavefront or sequence of n_wave Wavefront, optional
        Wavefront error, one for all wavelengths or one for each.
    pupil : Autocorrelation, optional
        Autocorrelation of another pupil than JWST's.

    Returns
    -------
    ndarray, shape (n_wave, *shape)
        OTFs, one at zero frequency.

    Raises
    ------
    ParameterError
        If a wavelength is not positive or the position angle not finite.
    """
    lengths = checked_wavelengths(wavelength)
    wavefronts = [wavefront] * lengths.size if isinstance(wavefront, Wavefront) else list(wavefront)
    pupil = pupil_autocorrelation() if pupil is None else pupil
    along_v2, along_v3 = rotate(frequency_east, frequency_north, position_angle_v3)
    frequency = np.hypot(along_v2, along_v3)
    result = np.empty((lengths.size, *frequency.shape))
    for index, (length, error) in enumerate(zip(lengths, wavefronts, strict=True)):
        metres = _BASELINE * length
        plane = evaluate(pupil, metres * along_v2, metres * along_v3)
        if error.rms > 0:
            variance = (2e-3 * np.pi * error.rms / length) ** 2
            # exp(-sigma^2 (1 - exp(-abs(D) / L)))
            plane = plane * np.exp(variance * np.expm1(-metres / error.correlation_length * frequency))
        result[index] = plane
    return result


@lru_cache(maxsize=1024)
def light_beyond(wavelength: float, wavefront: Wavefront, radius: float = REACH) -> float:
    """
    Share of a point source's light that the telescope scatters beyond a radius.

    Parameters
    ----------
    wavelength : float
        Wavelength [um].
    wavefront : Wavefront
        Wavefront error.
    radius : float, optional
        The radius [arcsec].

    Returns
    -------
    float
        One less the encircled energy, ``2 pi r`` times the integral of ``otf(f) J1(2 pi r f)`` over
        the frequency.
    """
    step = 0.04 / radius
    frequency = np.arange(step / 2, DIAMETER / (_BASELINE * wavelength), step)
    angle = np.arange(0, np.pi, np.pi / 24)
    otf = telescope_otf(
        wavelength,
        frequency * np.cos(angle)[:, np.newaxis],
        frequency * np.sin(angle)[:, np.newaxis],
        position_angle_v3=0.0,
        wavefront=wavefront,
    )[0].mean(axis=0)
    return float(1 - 2 * np.pi * radius * step * (otf @ j1(2 * np.pi * radius * frequency)))


def confined_otf(
    wavelength: float | np.ndarray,
    frequencies: tuple[np.ndarray, np.ndarray],
    position_angle_v3: float,
    wavefronts: Sequence[Wavefront],
) -> np.ndarray:
    """
    Compute the OTFs of PSFs that hold all their light within `REACH`.

    Light scattered farther leaves the IFU's field and cannot be distinguished from light from outside it.
    Fluxes are those within that radius, as with PSFs measured on stars or cut from images that sum to one.

    Parameters
    ----------
    wavelength : float or ndarray, shape (n_wave,)
        Wavelengths [um].
    frequencies : tuple of ndarray
        Frequencies (east, north) [cycles/arcsec].
    position_angle_v3 : float
        Position angle of the telescope's V3 axis [deg E of N].
    wavefronts : sequence of n_wave Wavefront
        Wavefront error at each wavelength.

    Returns
    -------
    ndarray, shape (n_wave, *shape)
        OTFs, one at zero frequency.

    Notes
    -----
    The light beyond falls as the inverse cube of the distance r. Its transform is the integral of
    ``J0(x u) / u^2`` over ``u > 1`` at ``x = 2 pi r f``, which counts at the lowest frequencies alone.
    """
    result = telescope_otf(
        wavelength, *frequencies, position_angle_v3=position_angle_v3, wavefront=wavefronts
    )
    x = 2 * np.pi * REACH * np.hypot(*frequencies)
    far = j0(x) - x * (1 - itj0y0(x)[0] + j1(x))
    lengths = checked_wavelengths(wavelength)
    for index, (length, wavefront) in enumerate(zip(lengths, wavefronts, strict=True)):
        beyond = light_beyond(float(length), wavefront)
        plane = result[index]
        result[index] = (plane - beyond * far * (plane != 0)) / (1 - beyond)
    return result


def wavefront_change(
    wavelength: float, frequencies: tuple[np.ndarray, np.ndarray], wavefront: Wavefront = SHORT_WAVEFRONT
) -> np.ndarray:
    """
    Relative change of an OTF with the variance of the wavefront.

    Parameters
    ----------
    wavelength : float
        Wavelength [um].
    frequencies : tuple of ndarray
        Frequencies (east, north) [cycles/arcsec].
    wavefront : Wavefront, optional
        Of which the correlation length is taken.

    Returns
    -------
    ndarray
        ``exp(-abs(D) / L) - 1`` [rad^-2] for baselines D and correlation length L: none of the flux is lost.
    """
    baseline = _BASELINE * wavelength * np.hypot(*frequencies)
    return np.expm1(-baseline / wavefront.correlation_length)


def checked_wavelengths(wavelength: float | np.ndarray) -> np.ndarray:
    """
    Check wavelengths.

    Parameters
    ----------
    wavelength : float or ndarray, shape (n_wave,)
        Wavelengths [um].

    Returns
    -------
    ndarray, shape (n_wave,)
        The wavelengths.

    Raises
    ------
    ParameterError
        One is not a positive number.
    """
    values = np.atleast_1d(np.asarray(wavelength, dtype=np.float64))
    if values.ndim != 1 or not np.all((values > 0) & np.isfinite(values)):
        raise ParameterError(f"found wavelength {wavelength}, expected positive numbers [um]")
    return values


def rotate(
    frequency_east: np.ndarray, frequency_north: np.ndarray, position_angle: float
) -> tuple[np.ndarray, np.ndarray]:
    """
    Turn frequencies into the frame of an instrument.

    Parameters
    ----------
    frequency_east, frequency_north : ndarray
        Frequencies [cycles/arcsec], of shapes that broadcast.
    position_angle : float
        Position angle of the frame's y axis [deg E of N].

    Returns
    -------
    along_x, along_y : ndarray
        Frequencies along its axes [cycles/arcsec].

    Raises
    ------
    ParameterError
        The angle is not finite.
    """
    if not np.isfinite(position_angle):
        raise ParameterError(f"found position angle {position_angle}, expected a finite number [deg E of N]")
    sine, cosine = np.sin(np.deg2rad(position_angle)), np.cos(np.deg2rad(position_angle))
    along_x = np.multiply(frequency_east, cosine) - np.multiply(frequency_north, sine)
    along_y = np.multiply(frequency_east, sine) + np.multiply(frequency_north, cosine)
    return along_x, along_y
