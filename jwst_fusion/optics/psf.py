"""Point spread functions as images, and what describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.optics.frequencies import grid_frequencies, make_hermitian

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["encircled_energy", "fwhm", "psf_image"]

_ANGLES = 90
_FINE = 8
_WINDOW = 64


def psf_image(otf_function: Callable, wavelength: float, shape: tuple[int, int], cell: float) -> np.ndarray:
    """
    Transform an OTF into an image of the PSF.

    Parameters
    ----------
    otf_function : callable
        ``otf_function(wavelength, frequency_east, frequency_north)`` gives the OTF of one wavelength,
        (1, ...) or without the first axis.
    wavelength : float
        Wavelength [um].
    shape : tuple of int
        Number of cells (ny, nx).
    cell : float
        Side of a cell [arcsec]; north is up (along y), east to the left (against x).

    Returns
    -------
    ndarray, shape (ny, nx)
        The PSF sampled at the cells' centres, times their area: it sums to one. The peak is at cell
        (ny // 2, nx // 2). What falls outside comes in again at the opposite edge.
    """
    frequencies = grid_frequencies(shape, np.diag([-cell, cell]))
    otf = np.reshape(otf_function(wavelength, *frequencies), frequencies[0].shape)
    return np.fft.fftshift(np.fft.irfft2(make_hermitian(otf, shape[1]), s=shape))


def fwhm(psf: np.ndarray, cell: float) -> float:
    """
    Measure the full width at half maximum.

    The PSF is interpolated by its Fourier series to 1/8 cell around the brightest cell. The width is
    twice the radius at which the mean over position angles falls to half of the peak.

    Parameters
    ----------
    psf : ndarray, shape (ny, nx)
        Image of a PSF, peak at a cell's centre.
    cell : float
        Side of a cell [arcsec].

    Returns
    -------
    float
        FWHM [arcsec].

    Raises
    ------
    ParameterError
        If the image does not fall to half of its peak, or is not finite.
    """
    psf = np.asarray(psf, dtype=np.float64)
    if psf.ndim != 2 or not np.isfinite(psf).all():
        raise ParameterError(f"found a PSF of shape {psf.shape}, expected a finite image")
    peak = np.unravel_index(np.argmax(psf), psf.shape)
    fine, centre = _interpolate(psf, peak)
    radius = np.arange(0.0, min(*centre, *(np.array(fine.shape) - 1 - centre)) + 1e-9)
    angle = np.arange(_ANGLES) * (2 * np.pi / _ANGLES)
    coordinates = [
        centre[0] + radius[:, np.newaxis] * np.sin(angle),
        centre[1] + radius[:, np.newaxis] * np.cos(angle),
    ]
    profile = ndimage.map_coordinates(fine, coordinates, order=3, mode="nearest").mean(axis=1)
    below = np.flatnonzero(profile < 0.5 * profile[0])
    if below.size == 0:
        raise ParameterError("found a PSF wider than its image, expected its half maximum within it")
    last = below[0]
    step = (profile[last - 1] - 0.5 * profile[0]) / (profile[last - 1] - profile[last])
    return float(2 * cell * (last - 1 + step) / _FINE)


def _interpolate(psf, peak):
    """Fourier-interpolate a window around a cell by a factor of 8: fine image, and the cell in it."""
    ranges = [
        (max(p - _WINDOW // 2, 0), min(p + _WINDOW // 2, n - 1)) for p, n in zip(peak, psf.shape, strict=True)
    ]
    kernels = []
    for (low, high), n in zip(ranges, psf.shape, strict=True):
        at = low + np.arange((high - low) * _FINE + 1) / _FINE
        frequency = np.fft.fftfreq(n)
        wave = np.exp(2j * np.pi * np.outer(at, frequency))
        if n % 2 == 0:
            wave[:, n // 2] = np.cos(np.pi * at)
        kernels.append(np.fft.fft(wave, axis=1).real / n)
    fine = kernels[0] @ psf @ kernels[1].T
    return fine, np.array([(p - low) * _FINE for p, (low, _) in zip(peak, ranges, strict=True)])


def encircled_energy(psf: np.ndarray, cell: float, radius: float | np.ndarray) -> float | np.ndarray:
    """
    Measure the share of the energy within circles around the peak.

    Parameters
    ----------
    psf : ndarray, shape (ny, nx)
        Image of a PSF.
    cell : float
        Side of a cell [arcsec].
    radius : float or ndarray, shape (n,)
        Radii [arcsec].

    Returns
    -------
    float or ndarray, shape (n,)
        Shares of the image's sum; a cell on a circle counts by the share of it that lies within.
    """
    from photutils.aperture import CircularAperture

    psf = np.asarray(psf, dtype=np.float64)
    y, x = np.unravel_index(np.argmax(psf), psf.shape)
    radii = np.atleast_1d(np.asarray(radius, dtype=np.float64)) / cell
    sums = [CircularAperture((x, y), r).do_photometry(psf, method="exact")[0][0] for r in radii]
    energy = np.array(sums) / psf.sum()
    return float(energy[0]) if np.ndim(radius) == 0 else energy
