"""The noise of a cube's channels, from the data themselves."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import median_filter

from .fit import GAUSSIAN_MAD

__all__ = ["channel_noise"]

#: Channels over which the ratio of true to stated noise is taken as constant. Judged.
WINDOW = 101


def channel_noise(data: np.ndarray, error: np.ndarray, footprint: np.ndarray) -> tuple[np.ndarray, float]:
    """
    Estimate the noise (n_wave,) [MJy/sr] of each channel, NaN without data, and its ratio to what is stated.

    Second differences along wavelength remove smooth spectra; the running median of their scatter over the
    footprint is not moved by lines. The stated errors (n_wave, my, mx), where there are any, give the change
    from channel to channel; the differences give the level. The ratio is a median, NaN without stated errors.
    """
    spectra = data[:, footprint]
    known = np.isfinite(spectra).mean(axis=1) >= 0.5
    scatter = np.full(known.size, np.nan)
    difference = spectra[:-2] - 2 * spectra[1:-1] + spectra[2:]
    usable = np.flatnonzero(np.isfinite(difference).mean(axis=1) >= 0.5)
    if usable.size:
        magnitude = np.abs(difference[usable])
        scatter[usable + 1] = GAUSSIAN_MAD * np.nanmedian(magnitude, axis=1) / np.sqrt(6.0)
    stated = np.full(known.size, np.nan)
    errors = error[known][:, footprint]
    positive = np.where(errors > 0, errors, np.nan)
    filled = np.isfinite(positive).any(axis=1)
    stated[np.flatnonzero(known)[filled]] = np.nanmedian(positive[filled], axis=1)
    told = np.isfinite(stated)
    channel = np.arange(known.size)
    shape = np.interp(channel, channel[told], stated[told]) if told.any() else np.ones(known.size)

    around = np.pad(shape**2, 1, mode="edge")
    level = scatter / np.sqrt((around[:-2] + 4 * around[1:-1] + around[2:]) / 6)
    measured = np.isfinite(level) & (level > 0)
    if not measured.any():
        return np.where(known, stated, np.nan), float("nan")
    smooth = median_filter(level[measured], size=min(WINDOW, measured.sum()), mode="reflect")
    noise = np.interp(channel, channel[measured], smooth) * shape
    return np.where(known, noise, np.nan), float(np.median(smooth)) if told.any() else float("nan")
