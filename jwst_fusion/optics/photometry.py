"""Synthetic photometry of a cube."""

from __future__ import annotations

import numpy as np

__all__ = ["synthetic_photometry"]

#: Share of the bandpass on unknown voxels up to which they are bridged.
MAX_MISSING = 0.05


def synthetic_photometry(data: np.ndarray, bandpass: np.ndarray) -> np.ndarray:
    """
    Integrate a cube over a band (paper, Eq. B.3).

    Parameters
    ----------
    data : ndarray, shape (n_wave, my, mx)
        Cube [MJy/sr]; NaN where unknown.
    bandpass : ndarray, shape (n_wave,)
        Weights of the channels, summing to one.

    Returns
    -------
    ndarray, shape (my, mx)
        Surface brightness in the band [MJy/sr]. Unknown voxels are bridged linearly along wavelength;
        NaN where more than 5 % of the bandpass falls on them.
    """
    inside = bandpass > 0
    weights = bandpass[inside]
    spectra = data[inside].reshape(weights.size, -1).astype(np.float64)
    unknown = ~np.isfinite(spectra)
    missing = weights @ unknown
    channel = np.arange(weights.size)
    for i in np.flatnonzero((missing > 0) & (missing <= MAX_MISSING)):
        hole = unknown[:, i]
        spectra[hole, i] = np.interp(channel[hole], channel[~hole], spectra[~hole, i])
    usable = missing <= MAX_MISSING
    result = np.full(spectra.shape[1], np.nan)
    result[usable] = weights @ spectra[:, usable]
    return result.reshape(data.shape[1:])
