"""Stars of a band, and the fit of an image of a point source to each of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter

from .model import BandOptics, PointImage, shifted_samples

__all__ = ["ALIKE", "BandStars", "StarFit", "at_star", "fit_stars", "star_residuals"]

#: Steps to the best place of a star, from a place to a fraction of a pixel.
PLACE_STEPS = 4

#: Pixels over which the structure of the sky is alike: the area of a PSF's core.
ALIKE = 5.0

#: Terms of the background of a star: a plane and its curvature.
SKY = 6

#: Scale of the structure that an error of the PSF is compared with [arcsec], see `psf_error`.
STRUCTURE = 0.1


@dataclass(frozen=True, eq=False)
class BandStars:
    """
    Stars of an image.

    Attributes
    ----------
    name : str
        Band.
    optics : BandOptics
        Optics of the band.
    data, error : ndarray, shape (n_star, m, m)
        Cut-outs and their noise; NaN where unusable. m is odd.
    structure : ndarray, shape (n_star,)
        Rms of the sky about each star, the noise apart.
    place : ndarray, shape (n_star, 2)
        Place (x, y) of the star, from the middle of the cut-out's middle pixel [pixels].
    share : float
        Number of images that share the structure of the sky, which is not independent information.
    """

    name: str
    optics: BandOptics
    data: np.ndarray
    error: np.ndarray
    structure: np.ndarray
    place: np.ndarray
    share: float = 1.0

    def subset(self, chosen: np.ndarray) -> BandStars:
        """
        Choose some of the stars.

        Parameters
        ----------
        chosen : ndarray
            Their indices, or a mask.

        Returns
        -------
        BandStars
            These.
        """
        names = ("data", "error", "structure", "place")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})


@dataclass(frozen=True, eq=False)
class StarFit:
    """
    Stars of one band as fitted by an image of a point source.

    Attributes
    ----------
    residual : ndarray, shape (n_star, n_pixel)
        Residuals over their errors; 0 where a pixel is not used.
    model : ndarray, shape (n_star, n_pixel)
        The star without its background.
    weight : ndarray, shape (n_star, n_pixel)
        Inverse errors; 0 where a pixel is not used.
    place : ndarray, shape (n_star, 2)
        Places [pixels].
    flux : ndarray, shape (n_star,)
        Fluxes, in units of the data times a pixel.
    """

    residual: np.ndarray
    model: np.ndarray
    weight: np.ndarray
    place: np.ndarray
    flux: np.ndarray


def _kernels(image, band, place):
    """Interpolation of an image of a point source to the pixels of cut-outs, along x and y."""
    half = band.data.shape[-1] // 2
    pixel = np.arange(-half, half + 1)
    x, y = (
        shifted_samples(image.position, image.step, (pixel - p[..., None]) * band.optics.pixel)
        for p in place.T
    )
    return x, y


def at_star(image: PointImage, planes: np.ndarray, band: BandStars, place: np.ndarray) -> np.ndarray:
    """
    Sample images of a point source at the pixels of a star's cut-out.

    Parameters
    ----------
    image : PointImage
        Model that computed the images.
    planes : ndarray, shape (n, ny, nx)
        Images about the source.
    band : BandStars
        The stars.
    place : ndarray, shape (2,)
        Place (x, y) of the star [pixels].

    Returns
    -------
    ndarray, shape (n, n_pixel)
        Light in each pixel.
    """
    x, y = (kernel.astype(planes.dtype) for kernel in _kernels(image, band, place))
    n, rows, columns = planes.shape
    turned = y @ planes.transpose(1, 0, 2).reshape(rows, n * columns)
    values = turned.reshape(-1, columns) @ x.T
    area = (band.optics.pixel / image.step) ** 2
    return values.reshape(y.shape[0], n, -1).transpose(1, 0, 2).reshape(n, -1).astype(float) * area


def fit_stars(
    band: BandStars, image: PointImage, planes: np.ndarray, floor: float = 0.0
) -> tuple[StarFit, np.ndarray]:
    """
    Fit flux, place and background to each star.

    Parameters
    ----------
    band : BandStars
        The stars.
    image : PointImage
        The band's image of a point source.
    planes : ndarray, shape (3, n, n)
        Image and its derivatives by the source's x and y, as computed by ``image``.
    floor : float, optional
        Error of the image, over itself, that is added to the errors of the pixels.

    Returns
    -------
    fit : StarFit
        The fit.
    columns : ndarray, shape (n_star, 9, n_pixel)
        Weighted derivatives of the model: by flux, the background's six terms, and place.
    """
    number, size = len(band.data), band.data.shape[-1]
    data, weight = _weighted(band, floor)
    y, x = (axis.ravel() / size for axis in np.indices((size, size)) - size // 2)
    columns = np.empty((number, 3 + SKY, size * size))
    columns[:, 1 : 1 + SKY] = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y]) * weight[:, None]
    place, flux = band.place.copy(), np.zeros(number)
    area, pixel = (band.optics.pixel / image.step) ** 2, band.optics.pixel
    for _ in range(PLACE_STEPS):
        to_x, to_y = _kernels(image, band, place)
        seen = area * (to_y[:, None] @ planes.astype(float) @ to_x[:, None].swapaxes(-1, -2))
        seen = seen.reshape(number, 3, size * size) * weight[:, None]
        columns[:, 0], columns[:, 1 + SKY :] = seen[:, 0], seen[:, 1:] * pixel
        normal = columns @ columns.swapaxes(1, 2)
        scale = np.sqrt(np.einsum("kii->ki", normal)) + 1e-30
        matrix = normal / (scale[:, None] * scale[:, :, None]) + 1e-12 * np.eye(3 + SKY)
        right = np.einsum("kip,kp->ki", columns, data) / scale
        solved = np.linalg.solve(matrix, right[..., None])[..., 0] / scale
        flux = solved[:, 0]
        moved = solved[:, 1 + SKY :] / np.where(flux == 0, 1.0, flux)[:, None]
        place = place + np.clip(moved, -0.5, 0.5)
    residual = data - np.einsum("kip,ki->kp", columns[:, : 1 + SKY], solved[:, : 1 + SKY])
    with np.errstate(divide="ignore", invalid="ignore"):
        model = np.where(weight > 0, flux[:, None] * columns[:, 0] / weight, 0.0)
    return StarFit(residual, model, weight, place, flux), columns


def _weighted(band, floor):
    """Divide data by their errors, and invert these, (n_star, n_pixel) each; 0 where unusable."""
    data, error = (a.reshape(len(a), a.shape[1] ** 2).astype(float) for a in (band.data, band.error))
    size = band.data.shape[-1]
    y, x = np.indices((size, size)) - size // 2
    radius = np.hypot(x, y).ravel()
    usable = np.isfinite(data) & np.isfinite(error) & (error > 0) & (radius <= size // 2)
    ring = np.where(usable & (radius > 0.8 * (size // 2)), data, np.nan)
    above = np.maximum(data - np.nanmedian(ring, axis=1)[:, None], 0.0)
    structure = ALIKE * band.share * band.structure[:, None] ** 2
    variance = error**2 + structure + (floor * above) ** 2
    weight = np.where(usable, 1 / np.sqrt(np.where(usable, variance, 1.0)), 0.0)
    return np.where(usable, data, 0.0) * weight, weight


def star_residuals(band: BandStars, fit: StarFit) -> tuple[np.ndarray, np.ndarray]:
    """
    Squared residuals of stars beyond the noise, and the squares of their structure.

    Parameters
    ----------
    band : BandStars
        The stars.
    fit : StarFit
        Their fit.

    Returns
    -------
    squares : ndarray, shape (n_star,)
        Sum of squared residuals less that of the noise.
    structure : ndarray, shape (n_star,)
        Sum of squares of the star minus its convolution with a Gaussian of 0.1".
    """
    number, size = len(band.data), band.data.shape[-1]
    used = fit.weight > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        residual = np.where(used, fit.residual / fit.weight, 0.0)
    noise = np.where(used, band.error.reshape(number, size * size).astype(float) ** 2, 0.0)
    noise += np.where(used, band.structure[:, None] ** 2, 0.0)
    noise *= (1 - (3 + SKY) / np.maximum(used.sum(axis=1), 4 + SKY))[:, None]
    star = fit.model.reshape(number, size, size)
    sharp = star - gaussian_filter(star, (0, *(STRUCTURE / band.optics.pixel,) * 2))
    return np.sum(residual**2 - noise, axis=1), np.sum(
        sharp.reshape(number, size * size)[:, :] ** 2 * used, axis=1
    )
