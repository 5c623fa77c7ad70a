"""Noise that neighbouring pixels share: its power spectrum in drizzled images and cubes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft2, rfft2

if TYPE_CHECKING:
    from jwst_fusion.observation import BandImage

    from .subspace import Subspace

__all__ = ["correlated_noise", "cube_noise_transfer", "image_noise_transfer", "relative_noise"]

#: Largest distance along an axis at which the noise of two spaxels is taken to be correlated [spaxels]: twice
#: the reach of a drizzle whose drops and spaxels are of the same size. Judged.
REACH = 4

#: Smallest side of a drop [detector pixels] that rounding errors allow. Derived.
LEAST_DROP = 0.01

#: Channels whose transforms are computed together. Judged.
CHUNK = 128


def correlated_noise(
    rng: np.random.Generator, shape: tuple[int, ...], transfer: np.ndarray | None
) -> np.ndarray:
    """
    Draw noise of unit variance on a periodic grid.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    shape : tuple of int
        Shape of the noise, (..., ny, nx).
    transfer : ndarray, shape (..., ny, nx // 2 + 1), or None
        Square root of its power spectrum, which has a mean of one; None: white noise.

    Returns
    -------
    ndarray
        The noise.
    """
    white = rng.standard_normal(shape)
    return white if transfer is None else irfft2(transfer * rfft2(white), s=shape[-2:])


def cube_noise_transfer(subspace: Subspace, shape: tuple[int, int]) -> np.ndarray:
    """
    Measure how the spaxels of a cube share noise, on its spectra outside the subspace.

    The autocorrelation of the residuals of all channels, each product counted where both spaxels have data.
    It is tapered to zero beyond `REACH`, which keeps the spectrum positive but for the noise of the estimate.

    Parameters
    ----------
    subspace : Subspace
        Basis and whitened data.
    shape : tuple of int
        Spaxels (my, mx) of the periodic grid that holds the cube's.

    Returns
    -------
    ndarray, shape (my, mx // 2 + 1)
        Square root of the noise's power spectrum, which has a mean of one.
    """
    padded = tuple(n + REACH for n in subspace.spaxels.shape)
    power = np.zeros((padded[0], padded[1] // 2 + 1))
    basis = subspace.whitened_basis.astype(subspace.whitened.dtype)
    for first in range(0, len(basis), CHUNK):
        rows = slice(first, first + CHUNK)
        outside = subspace.whitened[rows] - np.tensordot(basis[rows], subspace.coefficients, axes=1)
        power += (np.abs(rfft2(outside * subspace.spaxels, s=padded)) ** 2).sum(axis=0)
    pairs = irfft2(np.abs(rfft2(subspace.spaxels.astype(float), s=padded)) ** 2, s=padded)
    correlation = irfft2(power, s=padded) / np.maximum(pairs, 0.5)
    if not correlation[0, 0] > 0:
        return np.ones((shape[0], shape[1] // 2 + 1))
    kernel = np.zeros(shape)
    for dy in range(-REACH, REACH + 1):
        for dx in range(-REACH, REACH + 1):
            taper = (1 - abs(dy) / (REACH + 1)) * (1 - abs(dx) / (REACH + 1))
            kernel[dy % shape[0], dx % shape[1]] += taper * correlation[dy, dx] / correlation[0, 0]
    return _transfer(np.fft.fft2(kernel).real)


def image_noise_transfer(band: BandImage, cell_size: float, shape: tuple[int, int]) -> np.ndarray:
    """
    Compute how the cells of a drizzled image share noise.

    A drizzled pixel is the mean of drops, weighted by their overlap (Fruchter and Hook 2002). For detector
    pixels at random phases, the autocorrelation of the noise along an axis is that of a drop convolved with
    that of a pixel of the image. Drops and pixels are taken to be parallel to the cells.

    Parameters
    ----------
    band : BandImage
        The image.
    cell_size : float
        Side of a cell [arcsec].
    shape : tuple of int
        Cells (ny, nx) of the periodic grid.

    Returns
    -------
    ndarray, shape (ny, nx // 2 + 1)
        Square root of the noise's power spectrum, which has a mean of one.
    """
    along_y, along_x = (
        np.fft.fft(_drizzled(np.fft.fftfreq(n, 1 / (n * cell_size)), band)).real.clip(0) for n in shape
    )
    return _transfer(along_y[:, np.newaxis] * along_x)


def _drizzled(lag, band):
    """Autocorrelation of a drizzled image's noise along an axis, not normalised."""
    drop, pixel = max(band.pixfrac, LEAST_DROP) * band.detector_pixel, band.image_pixel
    steps = (-1, 1), (0, -2), (1, 1)
    shifted = (c * e * np.abs(lag + a * drop + b * pixel) ** 3 for a, c in steps for b, e in steps)
    return sum(shifted)  # second differences of |lag|^3: triangles as wide as a drop and a pixel, convolved


def relative_noise(subspace: Subspace, shape: tuple[int, int]) -> np.ndarray:
    """
    Measure the noise of each spaxel, on its spectrum outside the subspace.

    Parameters
    ----------
    subspace : Subspace
        Basis and whitened data.
    shape : tuple of int
        Spaxels (my, mx) of the periodic grid that holds the cube's.

    Returns
    -------
    ndarray, shape (my, mx)
        Root mean square over the typical one; one where there are no data.
    """
    outside = np.zeros(subspace.spaxels.shape)
    for first in range(0, len(subspace.whitened), CHUNK):
        outside += (subspace.whitened[first : first + CHUNK].astype(np.float64) ** 2).sum(axis=0)
    outside = np.sqrt(np.maximum(outside - (subspace.coefficients**2).sum(axis=0), 0.0))
    typical = np.median(outside[subspace.spaxels])
    relative = np.ones(shape)
    if typical > 0:
        my, mx = outside.shape
        relative[:my, :mx] = np.where(subspace.spaxels, outside / typical, 1.0)
    return relative


def _transfer(power):
    """Square root of a power spectrum on the full plane, for the half plane and with a mean of one."""
    power = np.maximum(power, 0.0)
    return np.sqrt(power / power.mean())[:, : power.shape[1] // 2 + 1]
