"""Light that the halo of a PSF takes from its core."""

from __future__ import annotations

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import distance_transform_edt

__all__ = ["halo_change"]


def halo_change(maps: np.ndarray, size: float) -> np.ndarray:
    """
    Compute how maps change if all of their light is moved from the core of the PSF into its halo.

    The wavefront of the telescope scatters light into a halo whose OTF is ``exp(-s f)``, where f is the
    frequency; its variance is the share of the light (Ruze 1966). A map that was corrected for too little or
    too much scattered light differs from the true one by a multiple of this change.

    Parameters
    ----------
    maps : ndarray, shape (k, ny, nx)
        Maps; NaN where unknown. Beyond the known cells they continue with the nearest known value.
    size : float
        Length s [cell].

    Returns
    -------
    ndarray, shape (k, ny, nx)
        Convolution with the halo, less the map; NaN where unknown.
    """
    known = np.isfinite(maps).all(axis=0)
    if not known.any():
        return np.full(maps.shape, np.nan)
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    shape = [next_fast_len(n + 2 * int(np.ceil(size)), real=True) for n in known.shape]
    before = [(whole - n) // 2 for whole, n in zip(shape, known.shape, strict=True)]
    margins = [(b, whole - n - b) for b, whole, n in zip(before, shape, known.shape, strict=True)]
    whole = np.pad(maps[:, nearest[0], nearest[1]], ((0, 0), *margins), mode="edge")
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, np.newaxis], np.fft.rfftfreq(shape[1]))
    change = irfft2(rfft2(whole) * np.expm1(-size * frequency), s=shape)
    inside = tuple(slice(b, b + n) for b, n in zip(before, known.shape, strict=True))
    return np.where(known, change[(slice(None), *inside)], np.nan)
