"""
Optical transfer functions of drizzled NIRCam images and of NIRSpec IFU cubes.

That of the telescope (`jwst_fusion.optics.telescope`, or a sampled PSF) times those of all that blurs beyond
it, at the frequencies where they are wanted. All analytic ones are real, and one at zero frequency.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.optics.throughput import CHANNEL_SPLIT

from .telescope import (
    LONG_WAVEFRONT,
    SHORT_WAVEFRONT,
    Wavefront,
    checked_wavelengths,
    confined_otf,
    rotate,
)

__all__ = ["IFUOptics", "NIRCamOptics", "moment_exponents", "nircam_blur", "nircam_otf", "nirspec_otf"]

MOST_SHARPENING = 1.0
"""Largest logarithm of the factor by which a measured blur narrower than the model's raises an OTF."""


@dataclass(frozen=True)
class NIRCamOptics:
    """
    Blur of a NIRCam image besides its pixels.

    Attributes
    ----------
    short_wavefront, long_wavefront : Wavefront
        Wavefront error in each channel.
    jitter : float
        Standard deviation of the pointing on an axis [arcsec].
    short_diffusion, long_diffusion : float
        Standard deviation of the charge diffusion on an axis, in each channel [arcsec].
    excess : tuple of float
        Central moments of the blur along V2 and V3 beyond (or, negative, below) those of the above and of the
        pixels, as measured on stars: xx, xy, yy [arcsec^2] and xxx, xxy, xyy, yyy [arcsec^3].
    psf : jwst_fusion.optics.sampled.SampledPsf or None
        PSFs in place of pupil and wavefront.
    psf_error : float or None
        Error of the PSF as measured: rms over that of its structure on the scale of 0.1"; None if it is not
        known.
    """

    short_wavefront: Wavefront = SHORT_WAVEFRONT
    long_wavefront: Wavefront = LONG_WAVEFRONT
    jitter: float = 0.0008
    short_diffusion: float = 0.0062
    long_diffusion: float = 0.018
    excess: tuple = (0.0,) * 7
    psf: Any = None
    psf_error: float | None = None

    def __post_init__(self):
        """Check the sizes; raises ParameterError."""
        _check_sizes(
            jitter=self.jitter, short_diffusion=self.short_diffusion, long_diffusion=self.long_diffusion
        )


@dataclass(frozen=True)
class IFUOptics:
    """
    Blur of a NIRSpec cube besides its spaxels.

    Attributes
    ----------
    wavefront : Wavefront
        Wavefront error. No statistics are published for the IFU: those of NIRCam's short channel.
    jitter : float
        Standard deviation of the pointing on an axis [arcsec].
    element : float
        Width of a slice and of a detector pixel on the sky [arcsec].
    blur : {'boxes', 'gaussian'}
        Slice, pixel and spaxel as boxes, or all as one Gaussian.
    sigma : float
        Standard deviation of that Gaussian on an axis [arcsec], STPSF's estimate.
    excess : tuple of float
        Variance of the blur, along the aperture's x and y axis, beyond (or, negative, below) that of
        the element [arcsec^2], as measured from data: a further Gaussian, or a narrower element.
    psf : jwst_fusion.optics.sampled.SampledPsf or None
        PSFs in place of pupil and wavefront.
    """

    wavefront: Wavefront = SHORT_WAVEFRONT
    jitter: float = 0.0008
    element: float = 0.104
    blur: str = "boxes"
    sigma: float = 0.05
    excess: tuple = (0.0, 0.0)
    psf: Any = None

    def __post_init__(self):
        """Check the sizes; raises ParameterError."""
        _check_sizes(jitter=self.jitter, element=self.element, sigma=self.sigma)
        if len(self.excess) != 2 or not np.isfinite(self.excess).all():
            raise ParameterError(f"found excess {self.excess}, expected two finite variances")


def nircam_otf(
    wavelength: float | np.ndarray,
    frequency_east: np.ndarray,
    frequency_north: np.ndarray,
    *,
    position_angle_v3: float,
    detector_pixel: float,
    image_pixel: float,
    pixfrac: float,
    channel: str | None = None,
    parameters: NIRCamOptics | None = None,
) -> np.ndarray:
    """
    Compute the OTF of a drizzled NIRCam image, detector and image pixels included.

    Telescope, jitter, charge diffusion, detector pixel, drizzle's drop and output pixel, the boxes with
    their sides along V2 and V3.

    Parameters
    ----------
    wavelength : float or ndarray, shape (n_wave,)
        Wavelengths [um].
    frequency_east, frequency_north : ndarray
        Frequencies [cycles/arcsec], of shapes that broadcast.
    position_angle_v3 : float
        Position angle of the telescope's V3 axis [deg E of N].
    detector_pixel, image_pixel : float
        Sides of a detector pixel and of a pixel of the image [arcsec].
    pixfrac : float
        Drop size, as a fraction of the detector pixel.
    channel : {'short', 'long'}, optional
        NIRCam's channel, `jwst_fusion.optics.throughput.channel` of the band. By default short below
        2.35 um and long above: the OTF jumps there, so that wavelength nodes must not reach across.
    parameters : NIRCamOptics, optional
        Wavefront, jitter and diffusion.

    Returns
    -------
    ndarray, shape (n_wave, *shape)
        OTFs, one at zero frequency.

    Raises
    ------
    ParameterError
        If a wavelength is not positive, a size is negative, a number not finite, or the channel is unknown.
    """
    parameters = NIRCamOptics() if parameters is None else parameters
    _check_sizes(detector_pixel=detector_pixel, image_pixel=image_pixel, pixfrac=pixfrac)
    frequencies = frequency_east, frequency_north
    short = _is_short(wavelength, channel)
    if parameters.psf is not None:
        angles = {"v3": position_angle_v3, "aperture": position_angle_v3}
        result = _sampled(parameters.psf, wavelength, frequencies, angles)
    else:
        result = _nircam_telescope(wavelength, frequencies, position_angle_v3, short, parameters)
    if parameters.psf is not None and parameters.psf.includes == "all":
        return result
    for select, part in ((short, "short"), (~short, "long")):
        if select.any():
            blur = nircam_blur(
                *rotate(*frequencies, position_angle_v3),
                detector_pixel=detector_pixel,
                image_pixel=image_pixel,
                pixfrac=pixfrac,
                channel=part,
                parameters=parameters,
            )
            result = result.astype(np.result_type(result, blur), copy=False)
            result[select] *= blur
    return result


def nircam_blur(
    frequency_v2: np.ndarray,
    frequency_v3: np.ndarray,
    *,
    detector_pixel: float,
    image_pixel: float,
    pixfrac: float,
    channel: str,
    parameters: NIRCamOptics,
) -> np.ndarray:
    """
    Compute the OTF of all that blurs a drizzled NIRCam image beyond telescope and wavefront.

    Parameters
    ----------
    frequency_v2, frequency_v3 : ndarray
        Frequencies along V2 and V3 [cycles/arcsec], of one shape.
    detector_pixel, image_pixel, pixfrac, channel, parameters
        As in `nircam_otf`.

    Returns
    -------
    ndarray
        OTF of jitter, charge diffusion, detector pixel, drop and output pixel, and of the measured excess;
        complex if that is skew.
    """
    axes = frequency_v2, frequency_v3
    diffusion = parameters.short_diffusion if channel == "short" else parameters.long_diffusion
    result = _box(axes, detector_pixel) * _box(axes, pixfrac * detector_pixel) * _box(axes, image_pixel)
    result *= _gaussian(axes, np.hypot(_left_jitter(parameters), diffusion))
    if any(parameters.excess):
        beyond = np.tensordot(parameters.excess, moment_exponents(*axes), axes=1)
        # a blur narrower than the model's raises the OTF, within this limit at all frequencies
        result = result * np.exp(np.minimum(beyond.real, MOST_SHARPENING) + 1j * beyond.imag)
    return result


def moment_exponents(frequency_x: np.ndarray, frequency_y: np.ndarray) -> np.ndarray:
    """
    Exponents of an OTF for each of the central moments of a blur, to the third order.

    Parameters
    ----------
    frequency_x, frequency_y : ndarray
        Frequencies [cycles/arcsec], of one shape.

    Returns
    -------
    ndarray of complex, shape (7, *shape)
        Logarithms of the OTF over the moments xx, xy, yy [arcsec^-2] and xxx, xxy, xyy, yyy [arcsec^-3].

    Notes
    -----
    ``ln otf = sum_n (-2 pi i f)^n kappa_n / n!`` with the cumulants kappa_n, here the central moments.
    """
    x, y = -2j * np.pi * frequency_x, -2j * np.pi * frequency_y
    squares = np.stack([x * x, 2 * x * y, y * y]) / 2
    cubes = np.stack([x**3, 3 * x * x * y, 3 * x * y * y, y**3]) / 6
    return np.concatenate([squares, cubes])


def _nircam_telescope(wavelength, frequencies, position_angle_v3, short, parameters):
    """OTF of the telescope in NIRCam's channels, from pupil and wavefront statistics."""
    wavefronts = [parameters.short_wavefront if s else parameters.long_wavefront for s in short]
    return confined_otf(wavelength, frequencies, position_angle_v3, wavefronts)


def nirspec_otf(
    wavelength: float | np.ndarray,
    frequency_east: np.ndarray,
    frequency_north: np.ndarray,
    *,
    position_angle_v3: float,
    position_angle_aperture: float,
    spaxel: float,
    spaxel_position_angle: float,
    parameters: IFUOptics | None = None,
) -> np.ndarray:
    """
    Compute the OTF of a NIRSpec IFU cube, spaxel included.

    Telescope, jitter, a box of slice and detector pixel along the IFU's axes, and one of the spaxel along
    the cube's; or one Gaussian instead of the boxes.

    Parameters
    ----------
    wavelength : float or ndarray, shape (n_wave,)
        Wavelengths [um].
    frequency_east, frequency_north : ndarray
        Frequencies [cycles/arcsec], of shapes that broadcast.
    position_angle_v3, position_angle_aperture : float
        Position angles of the telescope's V3 axis and of the IFU's y axis [deg E of N].
    spaxel : float
        Side of a spaxel [arcsec].
    spaxel_position_angle : float
        Position angle of the cube's y axis [deg E of N].
    parameters : IFUOptics, optional
        Wavefront and blurs.

    Returns
    -------
    ndarray, shape (n_wave, *shape)
        OTFs, one at zero frequency.

    Raises
    ------
    ParameterError
        If a wavelength is not positive, a size is negative, a number not finite, or the blur is unknown.
    """
    parameters = IFUOptics() if parameters is None else parameters
    _check_sizes(spaxel=spaxel)
    frequencies = frequency_east, frequency_north
    aperture = rotate(*frequencies, position_angle_aperture)
    cube = rotate(*frequencies, spaxel_position_angle)
    blur = _ifu_blur(aperture, cube, spaxel, parameters)
    if parameters.psf is not None:
        angles = {"v3": position_angle_v3, "aperture": position_angle_aperture}
        result = _sampled(parameters.psf, wavelength, frequencies, angles)
    else:
        wavefronts = [parameters.wavefront] * np.size(wavelength)
        result = confined_otf(wavelength, frequencies, position_angle_v3, wavefronts)
    result *= blur
    return result


def _ifu_blur(aperture, cube, spaxel, parameters):
    """Transform of all blur beyond the telescope, at frequencies along the axes of aperture and cube."""
    if parameters.psf is not None and parameters.psf.includes == "all":
        blur, narrowest = 1.0, 0.0
    elif parameters.blur == "boxes":
        blur = _box(cube, spaxel) * _gaussian(aperture, _left_jitter(parameters))
        for axis, excess in zip(aperture, parameters.excess, strict=True):
            blur = blur * np.sinc(np.sqrt(max(parameters.element**2 + 12 * min(excess, 0.0), 0.0)) * axis)
        narrowest = 0.0
    elif parameters.blur == "gaussian":
        blur = _gaussian(aperture, np.hypot(_left_jitter(parameters), parameters.sigma))
        narrowest = -(parameters.sigma**2)
    else:
        raise ParameterError(f"found blur {parameters.blur!r}, expected 'boxes' or 'gaussian'")
    for axis, excess in zip(aperture, parameters.excess, strict=True):
        blur = blur * np.exp(-2 * np.pi**2 * max(excess, narrowest) * axis**2)
    return blur


def _left_jitter(parameters):
    """Jitter that the PSFs do not contain [arcsec]."""
    return parameters.jitter if parameters.psf is None or parameters.psf.includes == "telescope" else 0.0


def _sampled(psf, wavelength, frequencies, angles):
    """Transform of sampled PSFs at sky frequencies; their x axis points against that of `rotate`."""
    along_x, along_y = rotate(*frequencies, angles.get(psf.frame, 0.0) + psf.angle)
    return psf.otf(checked_wavelengths(wavelength), -along_x, along_y)


def _is_short(wavelength, channel):
    """Select the wavelengths of the short channel's optics, (n_wave,)."""
    wavelength = checked_wavelengths(wavelength)
    if channel not in (None, "short", "long"):
        raise ParameterError(f"found channel {channel!r}, expected 'short' or 'long'")
    return wavelength < CHANNEL_SPLIT if channel is None else np.full(wavelength.size, channel == "short")


def _check_sizes(**sizes):
    """Raise a ParameterError for a size that is negative or not finite."""
    for name, size in sizes.items():
        if not (np.isfinite(size) and size >= 0):
            raise ParameterError(f"found {name} {size}, expected a number of at least 0")


def _box(axes, side):
    """Transform of a square box with its sides along the axes."""
    return np.sinc(side * axes[0]) * np.sinc(side * axes[1])


def _gaussian(axes, sigma):
    """Transform of a round Gaussian."""
    return np.exp(-2 * (np.pi * sigma) ** 2 * (axes[0] ** 2 + axes[1] ** 2))
