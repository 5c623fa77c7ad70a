"""NIRCam images convolved to the resolution of the IFU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import distance_transform_edt

from .frequencies import grid_frequencies
from .telescope import wavefront_change
from .transfer import aperture_frequencies, band_transfers

if TYPE_CHECKING:
    from jwst_fusion.observation import BandImage, CubeData, FusionGrid, ImageProduct

__all__ = ["fill_nearest", "match_to_ifu"]

#: Sky mirrored around an image before it is blurred [arcsec].
REACH = 1.0

#: Wiener constant: transfer of the NIRCam image below which it is not divided by.
FLOOR = 0.02

#: Least share of the kernel that has to lie on known pixels.
MIN_KNOWN = 0.98


def match_to_ifu(
    image: np.ndarray,
    band: BandImage | ImageProduct,
    bandpass: np.ndarray,
    cube: CubeData,
    grid: FusionGrid,
    *,
    widths: bool = False,
    scatter: bool = False,
) -> np.ndarray:
    """
    Blur a NIRCam image to the resolution of the IFU.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        Image on cells; NaN where unknown. It may cover more than the grid.
    band : BandImage or ImageProduct
        Band and pixels of the image.
    bandpass : ndarray, shape (n_wave,)
        Weights of the cube's channels in the band.
    cube : CubeData
        Wavelengths, position angles and blur.
    grid : FusionGrid
        Size and direction of the cells.
    widths : bool, optional
        Give also the derivatives with respect to the variance of the blur [arcsec^-2] along the
        aperture's x and y axis.
    scatter : bool, optional
        Give also the derivative with respect to the variance of the IFU's wavefront [rad^2], which moves
        light from the core of its PSF into the halo.

    Returns
    -------
    ndarray, shape (ny, nx), or (n, ny, nx) with derivatives, in the order of the parameters
        The image integrated over a spaxel about each cell's centre; NaN where more than 2 % of it comes
        from unknown cells, beyond what each cell lacks because the PSF is larger than the image.
    """
    reach = int(np.ceil(REACH / grid.cell_size))
    size = [next_fast_len(n + 2 * reach, real=True) for n in image.shape]
    pads = [(reach, total - n - reach) for total, n in zip(size, image.shape, strict=True)]
    nircam, nirspec = band_transfers(band, bandpass, cube, grid, tuple(size))
    kernel = nirspec * nircam.conj() / (np.abs(nircam) ** 2 + FLOOR**2) * (1 + FLOOR**2)
    inside = tuple(slice(before, before + n) for (before, _), n in zip(pads, image.shape, strict=True))
    spectrum = rfft2(np.pad(fill_nearest(image), pads, mode="symmetric")) * kernel
    known = rfft2(np.pad(np.isfinite(image).astype(float), pads)) * kernel
    share = irfft2(known, s=size)[inside]
    trusted = share >= MIN_KNOWN * min(share.max(), 1.0)  # no cell sees all if the halo exceeds the image
    blurred = np.where(trusted, irfft2(spectrum, s=size)[inside], np.nan)
    changes = []
    if widths:
        changes += [-2 * np.pi**2 * axis**2 for axis in aperture_frequencies(cube, grid, tuple(size))]
    if scatter:
        changes.append(
            wavefront_change(bandpass @ cube.wavelength, grid_frequencies(tuple(size), grid.jacobian))
        )
    if not changes:
        return blurred
    return np.stack([blurred, *(irfft2(change * spectrum, s=size)[inside] for change in changes)])


def fill_nearest(image: np.ndarray) -> np.ndarray:
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
