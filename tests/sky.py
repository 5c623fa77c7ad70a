"""A synthetic sky of Gaussian blobs, and products of both instruments that look at it."""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from scipy.fft import irfft2
from scipy.ndimage import map_coordinates

from jwst_fusion.observation import CubeProduct, ImageProduct
from jwst_fusion.optics.analytic import nircam_otf, nirspec_otf
from jwst_fusion.optics.frequencies import grid_frequencies
from jwst_fusion.optics.nodes import interpolation_matrix, nodes
from jwst_fusion.optics.throughput import channel, transmission

SPAXEL = 0.1
PIXEL = {"short": 0.0311, "long": 0.0630}
PA_V3 = 25.0
PA_APERTURE = PA_V3 + 138.97


def make_wcs(centre, shape, pixel, angle=0.0):
    """Coordinates of an image about a centre, its y axis at a position angle, east left of north."""
    sine, cosine = np.sin(np.radians(angle)), np.cos(np.radians(angle))
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = centre
    wcs.wcs.crpix = (shape[1] + 1) / 2, (shape[0] + 1) / 2
    wcs.wcs.cd = np.array([[-cosine, sine], [sine, cosine]]) * pixel / 3600
    wcs.wcs.set()
    return wcs


def displace(centre, east, north):
    """Coordinates (RA, Dec) [deg] of the point some arcsec east and north of another."""
    moved = SkyCoord(*centre, unit="deg").spherical_offsets_by(east * u.arcsec, north * u.arcsec)
    return moved.ra.deg, moved.dec.deg


def sky_offsets(wcs, shape, centre):
    """Offsets (east, north) [arcsec] of all pixels from a centre."""
    rows, columns = np.indices(shape)
    ra, dec = wcs.wcs_pix2world(columns.ravel(), rows.ravel(), 0)
    local = make_wcs(centre, (1, 1), 1.0)
    west, north = local.wcs_world2pix(ra, dec, 0)
    return -west.reshape(shape), north.reshape(shape)


@cache
def image_otf(name, size, cell):
    """OTF of an image in a band, for a flat spectrum, on a raster of the sky."""
    wavelength, throughput = transmission(name, "B")
    edges = np.interp([0.002, 0.998], np.cumsum(throughput) / throughput.sum(), wavelength)
    at = np.linspace(*edges, 7)
    weights = np.interp(at, wavelength, throughput / wavelength)
    pixel = PIXEL[channel(name)]
    otf = nircam_otf(
        at,
        *grid_frequencies((size, size), np.eye(2) * cell),
        position_angle_v3=PA_V3,
        detector_pixel=pixel,
        image_pixel=pixel,
        pixfrac=1.0,
        channel=channel(name),
    )
    return np.tensordot(weights / weights.sum(), otf, axes=1)


@cache
def cube_otfs(wavelength, angle, size, cell):
    """OTFs of a cube at wavelengths [um], its y axis at a position angle, on a raster of the sky."""
    return nirspec_otf(
        np.array(wavelength),
        *grid_frequencies((size, size), np.eye(2) * cell),
        position_angle_v3=PA_V3,
        position_angle_aperture=PA_APERTURE,
        spaxel=SPAXEL,
        spaxel_position_angle=angle,
    )


@dataclass(eq=False)
class Sky:
    """
    Blobs of (east, north, sigma [arcsec], peak [MJy/sr]) on a flat background, all of flat spectrum.

    The sky repeats itself after 12.8 arcsec.
    """

    blobs: tuple
    background: float = 1.0
    centre: tuple = (83.8, -35.0)
    size: int = 512
    cell: float = 0.025

    @cached_property
    def transform(self):
        """Fourier transform of the surface brightness."""
        along_x, along_y = np.fft.rfftfreq(self.size, self.cell), np.fft.fftfreq(self.size, self.cell)
        total = np.zeros((self.size, self.size // 2 + 1), dtype=complex)
        total[0, 0] = self.background * self.size**2
        for x, y, sigma, peak in self.blobs:
            row, column = (
                np.exp(-2 * (np.pi * sigma * f) ** 2 - 2j * np.pi * f * place)
                for f, place in ((along_x, x), (along_y, y))
            )
            total += peak * 2 * np.pi * (sigma / self.cell) ** 2 * np.outer(column, row)
        return total

    def seen(self, otf, offsets):
        """The sky through an OTF at points of the sky (east, north) [arcsec]."""
        plane = irfft2(self.transform * otf, s=(self.size, self.size))
        where = offsets[1] / self.cell, offsets[0] / self.cell
        return map_coordinates(plane, where, order=5, mode="grid-wrap")

    def image(self, name="F200W", *, offset=(0.0, 0.0), field=9.0, angle=PA_V3, scale=1.0, noise=0.0, seed=0):
        """
        Image without distortion of a field [arcsec] about the sky's centre.

        Its coordinates are wrong by the offset: they put each source so far east and north of its place.
        """
        pixel = PIXEL[channel(name)]
        shape = (round(field / pixel), round(field / pixel) + 7)
        truth = make_wcs(self.centre, shape, pixel, angle)
        otf = image_otf(name, self.size, self.cell)
        data = scale * self.seen(otf, sky_offsets(truth, shape, self.centre))
        data += noise * np.random.default_rng(seed).normal(size=shape)
        return ImageProduct(
            name=f"{name.lower()}_i2d.fits",
            data=data.astype(np.float32),
            error=np.full(shape, max(noise, 1e-3), dtype=np.float32),
            wcs=make_wcs(displace(self.centre, *offset), shape, pixel, angle),
            filter=name,
            module="B",
            position_angle_v3=PA_V3,
            detector_pixel=pixel,
            image_pixel=pixel,
        )

    def cube(self, wavelength, *, shape=(30, 28), angle=0.0, noise=0.0, seed=1, moving=False):
        """Cube about the sky's centre, its y axis at a position angle."""
        wcs = make_wcs(self.centre, shape, SPAXEL, angle)
        offsets = sky_offsets(wcs, shape, self.centre)
        at = nodes(wavelength[0], wavelength[-1], 5)
        otfs = cube_otfs(tuple(at), angle, self.size, self.cell)
        planes = np.stack([self.seen(otf, offsets) for otf in otfs])
        data = np.tensordot(interpolation_matrix(wavelength, at), planes, axes=1)
        data += noise * np.random.default_rng(seed).normal(size=data.shape)
        return CubeProduct(
            name="cube_s3d.fits",
            data=data.astype(np.float32),
            error=np.full(data.shape, max(noise, 1e-3), dtype=np.float32),
            wavelength=wavelength,
            wcs=wcs,
            position_angle_v3=PA_V3,
            position_angle_aperture=PA_APERTURE,
            moving=moving,
        )


def rich_sky(seed=7, n=40, half=5.5, **options):
    """A sky of many blobs, from points to patches."""
    rng = np.random.default_rng(seed)
    place = rng.uniform(-half, half, (n, 2))
    sigma = rng.choice([0.02, 0.05, 0.12, 0.3], n)
    peak = 0.02 / sigma**1.5 * rng.uniform(0.5, 2.0, n)
    return Sky(tuple(zip(*place.T, sigma, peak, strict=True)), **options)
