"""PSFs measured on the stars of NIRCam images: input of the fit, and acceptance of its result."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from jwst_fusion.optics.analytic import NIRCamOptics, nircam_blur
from jwst_fusion.optics.frequencies import grid_frequencies
from jwst_fusion.optics.telescope import Wavefront
from jwst_fusion.optics.throughput import channel, transmission
from jwst_fusion.optics.transfer import image_otf

from .fit import Retrieval, retrieve
from .model import BandOptics
from .modes import wavefront_modes
from .star_fit import BandStars
from .stars import find_stars
from .wavefront_psf import WavefrontPsf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jwst_fusion.observation import CubeProduct, ImageProduct

    from .stars import StarCutouts

__all__ = ["MeasuredPsf", "band_nodes", "band_psf", "measure_psf"]

log = logging.getLogger(__name__)

#: Cells per pixel, and width [arcsec], of a band's PSF as an image.
OVERSAMPLING, FIELD = 4, 4.0

#: Fewest stars in the band that has most of them.
MIN_STARS = 3

#: Error of a measured PSF from which it is rejected.
WORST = 0.1

#: Variance of the blur, beyond what pixels and drizzle explain, of a trail of 0.8 pixels [pixels^2].
TRAIL = 0.05

#: Relative width (standard deviation) of a bandpass up to which it is represented by one or two wavelengths.
NARROW, MEDIUM = 0.008, 0.035


@dataclass(frozen=True, eq=False)
class MeasuredPsf:
    """
    PSFs of one channel as measured.

    Attributes
    ----------
    channel : {'short', 'long'}
        NIRCam's channel.
    statistics : Wavefront
        Statistics of the wavefront that the modes are made of.
    amplitudes : ndarray, shape (n_mode,)
        Amplitudes of the modes of `wavefront_modes`.
    rest : float
        Variance of the remainder that the modes do not represent, in units of that of the statistics.
    excess : dict of tuple
        Moments of the blur beyond the optical model's, by band.
    error, assumed_error : dict of float
        Error of the PSF by band, measured and as it was assumed, on stars left out of the fit.
    stars : dict of int
        Stars that were used, by band.
    pictures : dict of ndarray, shape (n, 2, m, m)
        Some of them with the residuals of the fit, by band, for the report.
    """

    channel: str
    statistics: Wavefront
    amplitudes: np.ndarray
    rest: float
    excess: dict
    error: dict
    assumed_error: dict
    stars: dict
    pictures: dict = field(default_factory=dict)

    @cached_property
    def psf(self) -> WavefrontPsf:
        """PSFs of the telescope at any wavelength, WavefrontPsf."""
        return WavefrontPsf(wavefront_modes(self.statistics), self.amplitudes, self.rest)

    @property
    def key(self) -> str:
        """Identifier of the measurement, str."""
        numbers = [
            self.rest,
            *self.amplitudes,
            *(v for band in sorted(self.excess) for v in self.excess[band]),
        ]
        return hashlib.sha256(np.array(numbers, dtype=float).tobytes()).hexdigest()[:12]

    def nircam(self, band: str, optics: NIRCamOptics) -> NIRCamOptics:
        """
        Put the measurement into the optics of a band.

        Parameters
        ----------
        band : str
            Effective band, of this channel.
        optics : NIRCamOptics
            Its optics as assumed.

        Returns
        -------
        NIRCamOptics
            As measured; a band without stars has the mean blur of the others.
        """
        mean = tuple(np.mean(list(self.excess.values()), axis=0))
        error = self.error.get(band, max(self.error.values()))
        return replace(optics, psf=self.psf, excess=tuple(self.excess.get(band, mean)), psf_error=error)


def band_nodes(band: str, module: str) -> tuple[np.ndarray, np.ndarray]:
    """
    Wavelengths that stand for a band, by Gaussian quadrature over its photons.

    Parameters
    ----------
    band : str
        Effective band.
    module : str
        NIRCam module.

    Returns
    -------
    wavelength, weight : ndarray, shape (n,)
        One wavelength [um] for a narrow, two for a medium, three for a wide band, and their shares, for a
        spectrum that is flat in frequency.
    """
    wavelength, curve = transmission(band, module)
    share = curve / wavelength * np.gradient(wavelength)
    share = share / share.sum()
    mean = share @ wavelength
    offset = wavelength - mean
    spread = np.sqrt(share @ offset**2) / mean
    number = 1 if spread < NARROW else 2 if spread < MEDIUM else 3
    # polynomials orthogonal over the photons (Lanczos), whose recursion has the nodes (Golub and Welsch 1969)
    last, now, step = np.zeros_like(share), np.sqrt(share), 0.0
    diagonal, beside = [], []
    for _ in range(number):
        following = offset * now
        diagonal.append(following @ now)
        following = following - diagonal[-1] * now - step * last
        step = float(np.linalg.norm(following))
        beside.append(step)
        last, now = now, following / step
    value, vector = np.linalg.eigh(np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1))
    return mean + value, vector[0] ** 2


def measure_psf(
    images: Sequence[ImageProduct],
    optics: NIRCamOptics | None = None,
    *,
    moving: bool = False,
    cube: CubeProduct | None = None,
) -> MeasuredPsf | None:
    """
    Measure the PSFs of the images of one channel on their stars.

    Sources in the field of the cube are left out, because the fusion is to resolve them: with a PSF measured
    on a compact source, that source would become a point.

    Parameters
    ----------
    images : sequence of ImageProduct
        Whole images, all of one channel, as wide as they are; they are read in stripes.
    optics : NIRCamOptics, optional
        Optics as assumed.
    moving : bool, optional
        Whether the images follow a moving target, so that stars may be trailed.
    cube : CubeProduct, optional
        The cube that the PSFs are measured for.

    Returns
    -------
    MeasuredPsf or None
        The measurement; None, and a line in the log, if the images have too few stars that can be used, if
        these are trailed, or if the assumed PSFs fit the excluded stars better.
    """
    optics = replace(optics or NIRCamOptics(), psf=None)
    (split,) = {channel(image.filter) for image in images}
    with threadpool_limits(limits=1, user_api="blas"):
        found = [
            find_stars(image.data, image.error, image.weight, avoid=_inside(cube, image)) for image in images
        ]
        most = max(len(stars.data) for stars in found)
        if most < MIN_STARS:
            log.info(
                "PSFs are not measured: %d usable stars in the images of the %s channel, %d needed (%s)",
                most, split, MIN_STARS, _rejections(found),
            )  # fmt: skip
            return None
        bands = [
            _band(image, stars, split, optics)
            for image, stars in zip(images, found, strict=True)
            if len(stars.data)
        ]
        statistics = optics.short_wavefront if split == "short" else optics.long_wavefront
        result = retrieve(bands, wavefront_modes(statistics))
    if moving and _trail(result, bands) > TRAIL:
        log.info(
            "PSFs are not measured: the target of the %s channel's images moves, and stars are trailed", split
        )
        return None
    return _judge(result, split, statistics)


def _inside(cube, image):
    """Make a function that tests whether the cube has data at a pixel (x, y); None without a cube."""
    if cube is None:
        return None
    known = np.isfinite(cube.data).any(axis=0)

    def inside(x, y):
        column, row = np.round(cube.wcs.wcs_world2pix(*image.wcs.wcs_pix2world(x, y, 0), 0))
        ny, nx = known.shape
        return bool(0 <= row < ny and 0 <= column < nx and known[int(row), int(column)])

    return inside


def _trail(result, bands):
    """Largest variance of a band's blur beyond the optical model's, in any direction [pixels^2]."""
    largest = 0.0
    for band in bands:
        xx, xy, yy = result.excess[band.name][:3] / band.optics.pixel**2
        largest = max(largest, float(np.linalg.eigvalsh([[xx, xy], [xy, yy]])[-1]))
    return largest


def _judge(result: Retrieval, split, statistics):
    """Return the measurement if stars left out of it show that it is better than the assumed PSF."""
    stars = {band: int(used.sum()) for band, used in result.used.items()}
    text = ", ".join(
        f"{band} {100 * result.error[band]:.1f} % ({number} stars; "
        f"assumed {100 * result.assumed_error[band]:.1f} %)"
        for band, number in stars.items()
    )
    if max(stars.values()) < MIN_STARS or min(result.error.values()) > WORST:
        log.info("PSFs are not measured: the stars of the %s channel do not agree on a PSF (%s)", split, text)
        return None
    if result.improvement <= 0:
        log.info("PSFs are not measured: the assumed PSFs fit the excluded stars as well (%s)", text)
        return None
    log.info("PSFs of the %s channel measured on stars; error over structure: %s", split, text)
    return MeasuredPsf(
        channel=split,
        statistics=statistics,
        amplitudes=result.amplitudes,
        rest=result.rest,
        excess={band: tuple(float(v) for v in moments) for band, moments in result.excess.items()},
        error=result.error,
        assumed_error=result.assumed_error,
        stars=stars,
        pictures=result.pictures,
    )


def _rejections(found):
    """Reasons against candidates, with their numbers."""
    reasons: dict[str, int] = {}
    for stars in found:
        for reason, number in stars.rejected.items():
            reasons[reason] = max(reasons.get(reason, 0), number)
    return ", ".join(f"{number} {reason}" for reason, number in reasons.items()) or "no candidates"


def _band(image: ImageProduct, stars: StarCutouts, split, optics):
    """Stars of an image with their optics."""
    angle = np.radians(image.position_angle_v3)
    to_telescope = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    left, _, right = np.linalg.svd(to_telescope @ image.wcs.pixel_scale_matrix)
    wavelength, weight = band_nodes(image.filter, image.module)
    blur = partial(
        nircam_blur,
        detector_pixel=image.detector_pixel,
        image_pixel=image.image_pixel,
        pixfrac=image.pixfrac,
        channel=split,
        parameters=optics,
    )
    seen = BandOptics(wavelength, weight, left @ right, image.image_pixel, blur)
    return BandStars(image.filter, seen, stars.data, stars.error, stars.structure, stars.place)


def band_psf(
    image: ImageProduct, optics: NIRCamOptics, *, oversampling: int = OVERSAMPLING, width: float = FIELD
) -> np.ndarray:
    """
    Compute the PSF of an image, averaged over its band, as its pixels see it.

    Parameters
    ----------
    image : ImageProduct
        The image; its data are not used.
    optics : NIRCamOptics
        Its optics.
    oversampling : int, optional
        Cells per pixel of the image, along an axis.
    width : float, optional
        Width of the result [arcsec].

    Returns
    -------
    ndarray, shape (n, n)
        Light in a pixel about each cell's centre, along the image's axes: it sums to ``oversampling^2``. n is
        odd, the source in the middle.
    """
    side = 2 * round(width / image.image_pixel * oversampling / 2) + 1
    frequencies = grid_frequencies((side, side), 3600 * image.wcs.pixel_scale_matrix / oversampling)
    wavelength, weight = band_nodes(image.filter, image.module)
    otf = np.tensordot(weight, image_otf(wavelength, frequencies, image, optics), axes=1)
    return oversampling**2 * np.fft.fftshift(np.fft.irfft2(otf, s=(side, side)))
