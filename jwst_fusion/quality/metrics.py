"""Measures of similarity of two images or two sets of spectra."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import label, uniform_filter
from skimage.metrics import structural_similarity

__all__ = ["BandScore", "band_scores", "largest_patch", "psnr", "spectral_angle", "ssim"]

#: Side of the patches of the structural similarity [cells] (paper, Appendix E.1).
PATCH = 7


@dataclass(frozen=True)
class BandScore:
    """
    Agreement of the fused cube with one NIRCam image.

    Attributes
    ----------
    psnr : float
        Peak signal-to-noise ratio [dB].
    ssim : float
        Structural similarity.
    chi2 : float
        Mean squared difference over the image's typical variance.
    """

    psnr: float
    ssim: float
    chi2: float


def psnr(reference, image):
    """
    Peak signal-to-noise ratio (paper, Eq. E.1).

    Parameters
    ----------
    reference, image : ndarray
        Expected and actual values. Values that are NaN in either are ignored.

    Returns
    -------
    float
        ``10 log10(max(reference)^2 / mean((reference - image)^2))`` [dB]; infinite for equal arrays, NaN
        for arrays without a common value.
    """
    known = np.isfinite(reference) & np.isfinite(image)
    if not known.any():
        return float("nan")
    error = np.mean((reference[known].astype(np.float64) - image[known]) ** 2)
    if error == 0:
        return float("inf")
    return float(10 * np.log10(float(reference[known].max()) ** 2 / error))


def largest_patch(departure, block, threshold):
    """
    Measure the largest connected patch of residuals that do not average out.

    Parameters
    ----------
    departure : ndarray, shape (ny, nx)
        Residuals over their errors; NaN where unknown.
    block : int
        Side of the square over which they are averaged [pixels].
    threshold : float
        Size of an average over its error from which it belongs to a patch.

    Returns
    -------
    float
        Area, in squares.
    """
    known = np.isfinite(departure)
    average = block * uniform_filter(np.where(known, departure, 0.0), block, mode="constant")
    patches, _ = label(known & (np.abs(average) > threshold))
    return float(np.bincount(patches.ravel())[1:].max(initial=0)) / block**2


def ssim(reference, image):
    """
    Mean structural similarity over patches of 7 x 7 (paper, Eq. E.2; Wang et al. 2004).

    Parameters
    ----------
    reference, image : ndarray, shape (ny, nx)
        Expected and actual image. Patches with a NaN in either are ignored.

    Returns
    -------
    float
        At most 1; NaN where no patch is complete or the reference is constant.
    """
    known = np.isfinite(reference) & np.isfinite(image)
    if min(reference.shape) < PATCH or not known.any():
        return float("nan")
    span = float(np.ptp(reference[known]))
    if span == 0:
        return float("nan")
    level = float(reference[known].mean())
    filled = [np.where(known, values, level).astype(np.float64) for values in (reference, image)]
    _, local = structural_similarity(*filled, win_size=PATCH, data_range=span, full=True)
    half = PATCH // 2
    padded = np.pad(known, half, constant_values=False)
    complete = np.lib.stride_tricks.sliding_window_view(padded, (PATCH, PATCH)).all(axis=(2, 3))
    return float(local[complete].mean()) if complete.any() else float("nan")


def spectral_angle(reference, cube):
    """
    Mean angle between spectra.

    Parameters
    ----------
    reference, cube : ndarray, shape (n_wave, ...)
        Expected and actual spectra. Wavelengths where either is NaN are ignored.

    Returns
    -------
    float
        Mean over the pixels known in both of the angle between the two spectra [rad]; NaN if there are
        none.
    """
    known = np.isfinite(reference) & np.isfinite(cube)
    a, b = (np.where(known, values, 0.0).astype(np.float64) for values in (reference, cube))
    norms = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    usable = norms > 0
    if not usable.any():
        return float("nan")
    cosine = (a * b).sum(axis=0)[usable] / norms[usable]
    return float(np.arccos(np.clip(cosine, -1.0, 1.0)).mean())


def band_scores(observation, predicted_images):
    """
    Compare the fused cube seen through each band with the NIRCam image (paper, Appendix E.2).

    Parameters
    ----------
    observation : Observation
        Images and footprint.
    predicted_images : ndarray, shape (n_band, ny, nx)
        The fused cube through each band [MJy/sr], on the cube's flux scale.

    Returns
    -------
    tuple of BandScore
        One for each band, inside the cube's footprint.
    """
    d = observation.grid.decimation_factor
    inside = np.kron(observation.cube.footprint, np.ones((d, d), dtype=bool))
    scores = []
    for band, predicted in zip(observation.bands, predicted_images, strict=True):
        image = np.where(inside, band.data / band.scale, np.nan)
        known = np.isfinite(image) & (band.error > 0)
        sigma = np.median(band.error[known]) / abs(band.scale) if known.any() else np.nan
        chi2 = float(np.mean(((image - predicted)[known] / sigma) ** 2)) if known.any() else np.nan
        scores.append(BandScore(psnr(image, predicted), ssim(image, predicted), chi2))
    return tuple(scores)
