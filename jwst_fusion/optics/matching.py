"""NIRCam images as the IFU would see them: like compared with like."""

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import distance_transform_edt

from .transfer import band_transfers

__all__ = ["fill_nearest", "match_to_ifu"]

#: Sky mirrored around an image before it is blurred [arcsec].
REACH = 1.0

#: Wiener constant: transfer of the NIRCam image below which it is not divided by.
FLOOR = 0.02

#: Least share of the kernel that has to lie on known pixels.
MIN_KNOWN = 0.98


def match_to_ifu(image, band, bandpass, cube, grid):
    """
    Blur a NIRCam image to the resolution of the IFU.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        Image on cells; NaN where unknown. It may cover more than the grid.
    band : BandImage or ImageProduct
        What the image is.
    bandpass : ndarray, shape (n_wave,)
        Weights of the cube's channels in the band.
    cube : CubeData
        Wavelengths and position angles.
    grid : FusionGrid
        Size and direction of the cells.

    Returns
    -------
    ndarray, shape (ny, nx)
        The image integrated over a spaxel about each cell's centre; NaN where more than 2 % of it comes
        from unknown cells.
    """
    reach = int(np.ceil(REACH / grid.cell_size))
    size = [next_fast_len(n + 2 * reach, real=True) for n in image.shape]
    pads = [(reach, total - n - reach) for total, n in zip(size, image.shape, strict=True)]
    nircam, nirspec = band_transfers(band, bandpass, cube, grid, tuple(size))
    kernel = nirspec * nircam / (nircam**2 + FLOOR**2) * (1 + FLOOR**2)
    known = np.isfinite(image)
    inside = tuple(slice(before, before + n) for (before, _), n in zip(pads, image.shape, strict=True))

    def blur(values, mode):
        return irfft2(rfft2(np.pad(values, pads, mode=mode)) * kernel, s=size)[inside]

    blurred = blur(fill_nearest(image), "symmetric")
    share = blur(known.astype(float), "constant")
    return np.where(share >= MIN_KNOWN, blurred, np.nan)


def fill_nearest(image):
    """
    Replace NaNs by their nearest neighbour.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        Image with at least one finite value.

    Returns
    -------
    ndarray, shape (ny, nx)
        A new, finite image.
    """
    missing = ~np.isfinite(image)
    if not missing.any():
        return image.copy()
    nearest = distance_transform_edt(missing, return_distances=False, return_indices=True)
    return image[tuple(nearest)]
