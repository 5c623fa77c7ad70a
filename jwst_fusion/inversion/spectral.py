"""Denoising of the spectra of a cube: lines are kept, noise between them is removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter1d, median_filter

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["denoise_spectra", "shared_noise", "starlet", "starlet_noise"]

#: Scales of the wavelet transform, in channels a power of two each. Judged.
SCALES = 6

#: Smallest number of channels, in units of the width of the widest scale. Derived.
NEEDED = 8

#: Significance, in standard deviations, from which a wavelet coefficient of any probe is kept. Judged.
SIGNIFICANT = 5.0

#: Channels over which the noise is smoothed, so that its scatter adds no structure to the spectra. Judged.
NOISE_WINDOW = 101

#: Stride of the channels on which the correlation of the noise between spaxels is measured. Judged.
CORRELATION_STEP = 4


def starlet(spectra: np.ndarray, n_scales: int) -> Iterator[np.ndarray]:
    """
    Isotropic undecimated wavelet transform along the first axis (B3 spline; Starck and Murtagh 2006).

    Parameters
    ----------
    spectra : ndarray, shape (n_channels, n)
        Spectra, a column each.
    n_scales : int
        Number of scales.

    Yields
    ------
    ndarray, shape (n_channels, n)
        The planes from the finest scale on, the smooth rest last: they sum to the spectra.
    """
    smooth = spectra
    channel = np.arange(len(spectra))
    period = max(2 * (len(spectra) - 1), 1)
    for scale in range(n_scales):
        blurred = 0.375 * smooth
        for taps, weight in ((1, 0.25), (2, 0.0625)):
            for sign in (-1, 1):
                at = np.abs(channel + sign * taps * 2**scale) % period
                blurred += np.asarray(weight, spectra.dtype) * smooth[np.minimum(at, period - at)]
        yield smooth - blurred
        smooth = blurred
    yield smooth


def starlet_noise(n_scales: int) -> np.ndarray:
    """
    Measure the standard deviation that white noise of unit variance has in each plane but the last.

    Parameters
    ----------
    n_scales : int
        Number of scales.

    Returns
    -------
    ndarray, shape (n_scales,)
        Standard deviations.
    """
    impulse = np.zeros((8 * 2**n_scales + 1, 1))
    impulse[len(impulse) // 2] = 1.0
    return np.array([np.sqrt((plane**2).sum()) for plane in starlet(impulse, n_scales)])[:n_scales]


def denoise_spectra(
    whitened: np.ndarray, noise: np.ndarray, axes: np.ndarray, spaxels: np.ndarray
) -> tuple[np.ndarray, float]:
    """
    Keep the part of the spectra that is significant in any of their principal axes.

    Most channels of a cube hold a smooth continuum. At each scale, wavelet coefficients stay where a
    probe, the mean of all spectra weighted by their score on an axis, stands out of the noise, and are
    dropped elsewhere: for all spaxels alike, so that the operation is linear. A principal component
    analysis of the result has less noise to mistake for signal: it finds fainter components, and draws
    them more exactly.

    Parameters
    ----------
    whitened : ndarray, shape (n_channels, n_spaxels)
        Spectra less their mean, over the noise.
    noise : ndarray, shape (n_channels,)
        Noise [MJy/sr].
    axes : ndarray, shape (n_channels, n)
        Leading principal axes of ``whitened``.
    spaxels : ndarray of bool, shape (my, mx)
        Positions of the spectra, to measure the correlation of the noise.

    Returns
    -------
    denoised : ndarray, shape (n_channels, n_spaxels)
        Spectra.
    freedom : float
        Number of channels of noise, white and of each spaxel's own, whose principal axes would have as
        much variance as the noise that is left.
    """
    n_scales = min(SCALES, int(np.log2(max(len(whitened) / NEEDED, 1))))
    if n_scales < 1:
        return whitened, float(len(whitened))
    jitter = (noise / _smooth(noise)).astype(whitened.dtype)[:, np.newaxis]
    scores = axes.T @ whitened
    norms = np.linalg.norm(scores, axis=1)
    scores = scores[norms > 0] / norms[norms > 0, np.newaxis]
    residual = whitened[::CORRELATION_STEP] - axes[::CORRELATION_STEP] @ (axes.T @ whitened)
    variance, spread = shared_noise(residual, spaxels)
    probes = (whitened @ scores.T) * jitter
    levels = starlet_noise(n_scales)
    marks, shares = [], []
    for scale, (plane, level) in enumerate(zip(starlet(probes, n_scales), levels, strict=False)):
        mark = (np.abs(plane) > SIGNIFICANT * np.sqrt(variance) * level).any(axis=1)
        marks.append(binary_dilation(mark, iterations=2**scale))
        shares.append(marks[-1].mean())
    denoised = np.zeros_like(whitened)
    for mark, plane in zip([*marks, True], starlet(whitened * jitter, n_scales), strict=True):
        np.add(denoised, plane, out=denoised, where=np.reshape(mark, (-1, 1)))
    share = np.average(shares, weights=levels**2)
    return denoised / jitter, float(share * spread * len(whitened))


def _smooth(noise):
    """Noise of the channels without what changes from one to the next."""
    window = min(NOISE_WINDOW, len(noise))
    return gaussian_filter1d(median_filter(noise, window, mode="nearest"), window / 3, mode="nearest")


def shared_noise(residual: np.ndarray, spaxels: np.ndarray) -> tuple[float, float]:
    """
    Measure the correlation of the noise between neighbouring spaxels.

    Parameters
    ----------
    residual : ndarray, shape (n_channels, n_spaxels)
        Noise of the spectra.
    spaxels : ndarray of bool, shape (my, mx)
        Where they are.

    Returns
    -------
    variance : float
        That of the noise in a sum over spaxels, divided by their number.
    spread : float
        Sum of the squared correlations of a spaxel with all.
    """
    full = np.zeros((len(residual), *spaxels.shape), dtype=residual.dtype)
    full[:, spaxels] = residual
    ny, nx = spaxels.shape
    total = variance = float((residual**2).mean())
    if variance == 0:
        return 0.0, 1.0
    spread = 1.0
    for dy, dx in ((0, 1), (1, -1), (1, 0), (1, 1)):
        rows, columns = slice(0, ny - dy), slice(max(-dx, 0), nx - max(dx, 0))
        moved = slice(dy, ny), slice(max(dx, 0), nx - max(-dx, 0))
        both = spaxels[rows, columns] & spaxels[moved]
        if both.any():
            product = float((full[:, rows, columns][:, both] * full[:, *moved][:, both]).mean())
            total += 2 * product
            spread += 2 * (product / variance) ** 2
    return max(total, variance), spread
