"""PSFs that are given as images, and their transform at any frequency of the sky."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import map_coordinates, spline_filter

from jwst_fusion.exceptions import InputError
from jwst_fusion.optics.nodes import interpolation_matrix
from jwst_fusion.optics.telescope import DIAMETER, FIELD

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FRAMES", "INCLUDES", "PsfImages", "SampledPsf", "check_psf", "too_short", "transform"]

FRAMES = ("v3", "aperture", "sky")
"""Frames in which the position angle of a PSF's image can be given."""

INCLUDES = ("telescope", "jitter", "all")
"""Contents of a PSF's image, each including those before it. The optical model adds the rest."""

#: Transform of an image on a regular grid of frequencies: points per inverse of the image's side. With the
#: spline below it is off by less than 1e-5.
PADDING = 2

SPLINE_ORDER = 5

#: Points beyond the requested frequencies, over which the effect of the edges on the spline decays.
EDGE = 16

#: Share of the energy that has to lie within the image.
LEAST_ENERGY, MOST_ENERGY = 0.9, 1.005

#: Distance of the core from the middle of the image that is accepted [arcsec], and in pixels.
OFF_CENTRE, OFF_CENTRE_PIXELS = 0.01, 0.2

#: Largest pixel of an image without the detector's pixels, in units of wavelength / diameter.
COARSEST = 0.9

#: Half side of what is looked at about the peak [pixels].
CORE = 40

#: Side of an image over `FIELD` from which it is taken for whole: 4 arcsec are, and pixels need not fit.
WHOLE = 0.95

#: Wavelengths [um] beyond those of the PSFs that are still taken from the last of them, as a fraction.
SLACK = 2e-3

#: Weight of a node below which it is left out.
NEGLIGIBLE = 1e-6


class PsfImages:
    """
    PSFs as images; what a source of them adds is where they come from.

    Attributes
    ----------
    pixel_scale : float
        Side of a pixel [arcsec].
    frame : {'v3', 'aperture', 'sky'}
        Whether images are turned with the telescope (V3), with the aperture's y axis, or are as seen on the
        sky (north).
    angle : float
        Direction of the images' y axis from that of the frame [deg], from north over east; x lies 90 deg
        clockwise of it, as in images of the sky.
    includes : {'telescope', 'jitter', 'all'}
        What the images contain.
    name : str
        What to call them in messages.
    """

    pixel_scale: float
    name: str

    @property
    def limits(self) -> tuple[float, float]:
        """Shortest and longest wavelength of the PSFs [um], tuple of float."""
        raise NotImplementedError

    def samples(
        self, wavelength_min: float, wavelength_max: float
    ) -> tuple[np.ndarray, Sequence[np.ndarray] | np.ndarray]:
        """
        Return the PSFs that a range of wavelengths needs.

        Parameters
        ----------
        wavelength_min, wavelength_max : float
            Range [um].

        Returns
        -------
        wavelength : ndarray, shape (n,)
            Their wavelengths [um].
        images : sequence of ndarray, shape (m, m)
            PSFs, the light in each pixel; the centre is the middle of the image.

        Raises
        ------
        FusionError
            The range is not covered.
        """
        raise NotImplementedError

    def otf(self, wavelength: np.ndarray, frequency_x: np.ndarray, frequency_y: np.ndarray) -> np.ndarray:
        """
        Transform the PSFs.

        Parameters
        ----------
        wavelength : ndarray, shape (n_wave,)
            Wavelengths [um].
        frequency_x, frequency_y : ndarray
            Frequencies along the images' axes [cycles/arcsec], of one shape.

        Returns
        -------
        ndarray of complex, shape (n_wave, *shape)
            OTFs, one at zero frequency: light outside the images is spread as a Gaussian as wide as they are.

        Raises
        ------
        InputError
            The wavelengths are not covered.
        """
        at, images = self.samples(wavelength.min(), wavelength.max())
        weights = _weights(wavelength, at)
        result = np.empty((wavelength.size, *np.shape(frequency_x)), dtype=complex)
        for index, shares in enumerate(weights):
            used = np.flatnonzero(np.abs(shares) > NEGLIGIBLE)
            image = sum(np.float32(shares[node]) * images[node] for node in used)
            result[index] = transform(image, self.pixel_scale, frequency_x, frequency_y)
        return result


@dataclass(frozen=True, eq=False)
class SampledPsf(PsfImages):
    """
    PSFs as images in memory.

    Attributes
    ----------
    wavelength : ndarray, shape (n,)
        Wavelengths [um], ascending.
    images : ndarray, shape (n, m, m)
        PSFs, the light in each pixel; the centre is the middle of the image.
    pixel_scale, frame, angle, includes, name
        As in `PsfImages`.
    """

    wavelength: np.ndarray
    images: np.ndarray
    pixel_scale: float
    frame: str = "v3"
    angle: float = 0.0
    includes: str = "telescope"
    name: str = "PSF"

    @property
    def limits(self) -> tuple[float, float]:
        """Shortest and longest wavelength of the PSFs [um]; any for a single PSF."""
        return (0.0, np.inf) if self.wavelength.size == 1 else tuple(self.wavelength[[0, -1]])

    def samples(self, wavelength_min: float, wavelength_max: float) -> tuple[np.ndarray, np.ndarray]:
        """
        Return all PSFs if they cover a range of wavelengths; a single one stands for any.

        Parameters
        ----------
        wavelength_min, wavelength_max : float
            Range [um].

        Returns
        -------
        wavelength : ndarray, shape (n,)
            Their wavelengths [um].
        images : ndarray, shape (n, m, m)
            PSFs.

        Raises
        ------
        InputError
            The range is not covered.
        """
        low, high = self.limits
        if wavelength_min < low * (1 - SLACK) or wavelength_max > high * (1 + SLACK):
            raise too_short(self, wavelength_min, wavelength_max)
        return self.wavelength, self.images


def too_short(psf: PsfImages, wavelength_min: float, wavelength_max: float) -> InputError:
    """
    Make the error of PSFs that do not cover a range.

    Parameters
    ----------
    psf : PsfImages
        PSFs.
    wavelength_min, wavelength_max : float
        Range [um].

    Returns
    -------
    InputError
        The error, to be raised.
    """
    low, high = psf.limits
    return InputError(
        f"{psf.name}: PSFs from {low:.3f} to {high:.3f} um, {wavelength_min:.3f} to {wavelength_max:.3f} um "
        "needed; build a library for that range with jwst-fusion psf"
    )


def _weights(wavelength, nodes):
    """Weight of each PSF at each wavelength, (n_wave, n)."""
    if nodes.size == 1:
        return np.ones((wavelength.size, 1))
    return interpolation_matrix(np.clip(wavelength, nodes[0], nodes[-1]), nodes)


def transform(
    image: np.ndarray, pixel_scale: float, frequency_x: np.ndarray, frequency_y: np.ndarray
) -> np.ndarray:
    """
    Fourier transform of a PSF's image about its middle, at any frequencies.

    Parameters
    ----------
    image : ndarray, shape (m, m)
        Light in each pixel.
    pixel_scale : float
        Side of a pixel [arcsec].
    frequency_x, frequency_y : ndarray
        Frequencies [cycles/arcsec], of one shape.

    Returns
    -------
    ndarray of complex
        ``sum image exp(-2 pi i (f_x x + f_y y))``; zero beyond the highest frequency of the pixels. What
        lacks from one at zero frequency is spread as a Gaussian, unless the image is as wide as PSFs are
        taken to be (`FIELD`): then it is scaled to one.

    Notes
    -----
    The image is transformed to a regular grid of frequencies, a few times finer than the inverse of its
    side, by matrix products; a spline leads from there to the frequencies. The slow phase of the image's
    pixels has been taken out, so that what is interpolated varies smoothly.
    """
    side = image.shape[0]
    limit = 0.5 / pixel_scale
    step = 1 / (PADDING * side * pixel_scale)
    reach = min(np.hypot(frequency_x, frequency_y).max(), np.sqrt(2) * limit)
    number = int(np.ceil(reach / step)) + EDGE
    position = (np.arange(side) - (side - 1) / 2) * pixel_scale
    axis = np.arange(-number, number + 1) * step
    half = np.arange(-EDGE, number + 1) * step
    rows, columns = (np.exp(-2j * np.pi * np.outer(f, position)).astype(np.complex64) for f in (axis, half))
    image = np.ascontiguousarray(image, dtype=np.float32)
    # a real matrix times a complex one costs half as two real products
    grid = rows @ (image @ columns.real.T + 1j * (image @ columns.imag.T))
    mirrored = frequency_x < 0
    sign = np.where(mirrored, -1.0, 1.0)
    where = [sign * frequency_y / step + number, sign * frequency_x / step + EDGE]
    parts = [
        map_coordinates(spline_filter(part, SPLINE_ORDER), where, order=SPLINE_ORDER, prefilter=False)
        for part in (grid.real, grid.imag)
    ]
    result = parts[0] + 1j * np.where(mirrored, -parts[1], parts[1])
    beyond = np.maximum(np.abs(frequency_x), np.abs(frequency_y)) > limit
    result[beyond] = 0.0
    total = float(np.sum(image, dtype=np.float64))
    if side * pixel_scale >= WHOLE * FIELD:
        return result / total
    squared = np.square(frequency_x) + np.square(frequency_y)
    return result + (1.0 - total) * np.exp(-2 * (np.pi * 0.5 * side * pixel_scale) ** 2 * squared)


def check_psf(psf: SampledPsf) -> None:
    """
    Refuse images that are no PSFs.

    Parameters
    ----------
    psf : SampledPsf
        PSFs.

    Raises
    ------
    InputError
        Images that are not square, not finite, do not sum to one, lie off their middle or are too coarse.
    """
    shape, name = np.shape(psf.images), psf.name
    if len(shape) != 3 or shape[1] != shape[2] or shape[1] < 8:
        raise InputError(f"{name}: PSFs of shape {shape}, square images of at least 8 x 8 pixels needed")
    if shape[0] != psf.wavelength.size or not (np.diff(psf.wavelength) > 0).all():
        raise InputError(f"{name}: {psf.wavelength.size} wavelengths for {shape[0]} PSFs, or not ascending")
    if not (np.isfinite(psf.pixel_scale) and psf.pixel_scale > 0):
        raise InputError(f"{name}: a pixel of {psf.pixel_scale} arcsec, a positive number needed (PIXELSCL)")
    for length, image in zip(psf.wavelength, psf.images, strict=True):
        where = f"{name}: the PSF at {length:.3f} um"
        if not np.isfinite(image).all():
            raise InputError(f"{where} has {np.sum(~np.isfinite(image))} pixels that are NaN; repair it")
        total = float(np.sum(image, dtype=np.float64))
        if not LEAST_ENERGY <= total <= MOST_ENERGY:
            raise InputError(
                f"{where} sums to {total:.4g}, {LEAST_ENERGY} to 1 needed; divide it by the star's flux, or "
                "compute it on a larger field"
            )
        east, north = _core_position(image) * psf.pixel_scale
        if np.hypot(east, north) > max(OFF_CENTRE, OFF_CENTRE_PIXELS * psf.pixel_scale):
            raise InputError(
                f"{where} is not centred: its core lies {east:+.3f}, {north:+.3f} arcsec (x, y) from the "
                "middle of the image; shift or crop it"
            )
    finest = COARSEST * psf.wavelength[0] * 1e-6 / DIAMETER * np.degrees(1) * 3600
    if psf.includes != "all" and psf.pixel_scale > finest:
        raise InputError(
            f"{name}: pixels of {psf.pixel_scale:.4f} arcsec, at most {finest:.4f} needed at "
            f"{psf.wavelength[0]:.3f} um; compute it with a larger oversampling"
        )


def _core_position(image):
    """Centroid (x, y) of the pixels around the peak above its half, from the middle of the image [pixels]."""
    middle = (image.shape[0] - 1) / 2
    peak = np.unravel_index(np.argmax(image), image.shape)
    low = [max(p - CORE, 0) for p in peak]
    window = np.asarray(image[low[0] : peak[0] + CORE + 1, low[1] : peak[1] + CORE + 1], dtype=np.float64)
    weight = np.maximum(window - 0.5 * image[peak], 0.0)
    total = weight.sum()
    if total <= 0:
        return np.array([peak[1], peak[0]]) - middle
    x = weight.sum(axis=0) @ np.arange(window.shape[1]) / total + low[1]
    y = weight.sum(axis=1) @ np.arange(window.shape[0]) / total + low[0]
    return np.array([x, y]) - middle
