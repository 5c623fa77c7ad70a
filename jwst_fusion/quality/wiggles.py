"""Slow modulations in the spectra of single spaxels."""

import numpy as np
from scipy.ndimage import uniform_filter1d

__all__ = ["wiggle_amplitude"]

#: Channels over which noise is averaged away; the modulations are slower.
WINDOW = 15

#: Share of the spaxels, the brightest, that are looked at.
BRIGHT = 0.2


def wiggle_amplitude(residual, noise, data):
    """
    Measure the modulations that undersampling leaves in the IFU's single-spaxel spectra.

    The IFU's PSF is sampled too coarsely, so that the light of a compact source moves between spaxels
    with a period of tens of channels. In a spaxel's residuals, averaged over 15 channels, the
    variance beyond that of the noise is due to these modulations.

    Parameters
    ----------
    residual : ndarray, shape (n_wave, my, mx)
        The cube minus the prediction of the fused cube [MJy/sr]; NaN where unknown.
    noise : ndarray, shape (n_wave,)
        Noise of a voxel [MJy/sr]; NaN for channels without data.
    data : ndarray, shape (n_wave, my, mx)
        The cube [MJy/sr].

    Returns
    -------
    float
        Root mean square modulation over the mean brightness, the median over the brightest fifth of
        the spaxels; NaN where no spaxel is bright enough or complete.
    """
    used = np.isfinite(noise)
    if used.sum() < 2 * WINDOW:
        return float("nan")
    known = np.isfinite(residual[used]).mean(axis=0) > 0.9
    if not known.any():
        return float("nan")
    spectra = residual[used][:, known]
    level = np.nanmean(data[used][:, known], axis=0)
    bright = (level >= np.quantile(level, 1 - BRIGHT)) & (level > 0)
    if not bright.any():
        return float("nan")
    spectra = np.nan_to_num(spectra[:, bright])
    spectra -= spectra.mean(axis=0)
    slow = uniform_filter1d(spectra, WINDOW, axis=0)[WINDOW // 2 : -(WINDOW // 2)]
    expected = np.mean(noise[used] ** 2) / WINDOW
    excess = np.maximum((slow**2).mean(axis=0) - expected, 0.0)
    return float(np.median(np.sqrt(excess) / level[bright]))
