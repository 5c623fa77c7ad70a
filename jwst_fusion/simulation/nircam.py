"""Dithered exposures of a scene by NIRCam's detector, in one band."""

from dataclasses import dataclass
from importlib.resources import files

import asdf
import numpy as np
from scipy import fft
from scipy.ndimage import spline_filter

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.simulation.telescope import node_coefficients, wavelength_nodes

__all__ = [
    "FLAT_ERROR",
    "READ_SHARE",
    "Band",
    "Exposure",
    "Pointing",
    "band_image",
    "read_band",
    "take_exposure",
]

READ_SHARE = 0.4
"""Share of a pixel's variance, at the scene's typical level, that is not the light's own."""

FLAT_ERROR = 0.001
"""Relative error of the flat field."""

_PIXEL = {"SHORT": 0.0311, "LONG": 0.0630}  # arcsec
_DIFFUSION = {"SHORT": 0.0062, "LONG": 0.018}  # arcsec
_JITTER = 0.0008  # arcsec
_MODULE = "B"
_SPACING = 0.0002  # um, of the wavelengths of a band


@dataclass(frozen=True, eq=False)
class Band:
    """A NIRCam band."""

    filter: str  # effective one
    channel: str  # SHORT or LONG
    wavelength: np.ndarray  # (n,) [um], evenly spaced
    throughput: np.ndarray  # (n,) of module B

    @property
    def pixel(self):
        """Side of a detector pixel [arcsec]."""
        return _PIXEL[self.channel]

    @property
    def weights(self):
        """Photon weights T / wavelength, of sum one: shape (n,)."""
        weight = self.throughput / self.wavelength
        return weight / weight.sum()


@dataclass(frozen=True)
class Pointing:
    """Pointing of a detector."""

    east: float  # true sky offset of its centre from the scene's centre [arcsec]
    north: float
    roll: float  # position angle of V3 and of its y axis [deg E of N]; x points away from V2
    size: int  # pixels along an axis

    def pixel_offsets(self, pixel):
        """Compute the true sky offsets (east, north) of all pixel centres, pixels of this side [arcsec]."""
        step = (np.arange(self.size) - (self.size - 1) / 2) * pixel
        x, y = np.meshgrid(step, step)
        sine, cosine = np.sin(np.radians(self.roll)), np.cos(np.radians(self.roll))
        return self.east - x * cosine + y * sine, self.north + x * sine + y * cosine


@dataclass(frozen=True, eq=False)
class Exposure:
    """Calibrated arrays of an exposure: surface brightness [MJy/sr] and variances [MJy^2/sr^2]."""

    pointing: Pointing
    data: np.ndarray
    var_rnoise: np.ndarray
    var_poisson: np.ndarray
    var_flat: np.ndarray
    bad: np.ndarray  # pixels not to be used


def read_band(name):
    """Read a filter's throughput from the packaged table; raise ParameterError if it is not there."""
    path = files("jwst_fusion") / "data" / "nircam_throughput.asdf"
    with asdf.open(path, memmap=False) as table:
        rows = table["filters"]
        if name not in rows:
            raise ParameterError(f"filter {name!r} is not one of NIRCam's: {', '.join(rows)}")
        tabulated = np.array(rows[name]["wavelength"], dtype=float)
        values = np.array(rows[name][_MODULE], dtype=float)
    used = values > 1e-4 * values.max()
    wavelength = np.arange(tabulated[used].min(), tabulated[used].max(), _SPACING)
    channel = "SHORT" if wavelength.mean() < 2.4 else "LONG"
    return Band(name, channel, wavelength, np.interp(wavelength, tabulated, values))


def _detector_transfer(band, east, north, roll):
    """Jitter, charge diffusion and pixel at sky frequencies [cycles/arcsec]."""
    sine, cosine = np.sin(np.radians(roll)), np.cos(np.radians(roll))
    variance = _JITTER**2 + _DIFFUSION[band.channel] ** 2
    blur = np.exp(-2 * np.pi**2 * variance * (east**2 + north**2))
    box = np.sinc(band.pixel * (east * cosine - north * sine))
    return blur * box * np.sinc(band.pixel * (east * sine + north * cosine))


def band_image(scene_transform, scene, telescope, band, roll):
    """
    Compute the noise-free band image [MJy/sr] that the detector's pixels sample, ready to be interpolated.

    The transform is the real FFT (k, n, n // 2 + 1) of the scene's maps, roll the position angle of V3 [deg E
    of N]. The image (n, n) is the coefficients of the periodic quintic spline through the surface brightness
    on the scene's grid.
    """
    spectra = scene.evaluate_spectra(band.wavelength)
    nodes = wavelength_nodes(band.wavelength[0], band.wavelength[-1], ratio=1.03)
    coefficients = node_coefficients(nodes, band.wavelength)
    shares = (spectra * band.weights) @ coefficients
    freq_x, freq_y = scene.grid.frequencies()
    east, north = -freq_x[None, :], freq_y[:, None]
    total = np.zeros(scene_transform.shape[1:], dtype=complex)
    for node, share in zip(nodes, shares.T, strict=True):
        total += telescope.transfer(node, east, north, roll) * np.tensordot(share, scene_transform, 1)
    total *= _detector_transfer(band, east, north, roll)
    image = fft.irfft2(total, s=(scene.grid.size,) * 2, workers=2)
    return spline_filter(image, order=5, mode="grid-wrap")


def _bad_pixels(rng, pointing, pixel, dead_spot):
    """Scattered bad pixels, and a small spot of the sky that no exposure sees."""
    bad = rng.random((pointing.size, pointing.size)) < 0.002
    east, north = pointing.pixel_offsets(pixel)
    return bad | (np.hypot(east - dead_spot[0], north - dead_spot[1]) < 1.2 * pixel)


def take_exposure(sky, band, pointing, *, rng, snr, level, scale, dead_spot):
    """
    Sample the sky at the pixels of one exposure, with noise, and with bad pixels about the dead spot.

    The sky is a function of sky offsets (east, north) [arcsec] in MJy/sr. The signal-to-noise ratio is that
    of a pixel at the scene's typical level [MJy/sr]; scale is NIRCam's flux scale.
    """
    east, north = pointing.pixel_offsets(band.pixel)
    truth = scale * sky(east, north)
    variance = (scale * level / snr) ** 2
    var_rnoise = np.full(truth.shape, READ_SHARE * variance)
    var_poisson = (1 - READ_SHARE) * variance * np.clip(truth, 0, None) / (scale * level)
    var_flat = (FLAT_ERROR * truth) ** 2
    data = truth + rng.standard_normal(truth.shape) * np.sqrt(var_rnoise + var_poisson + var_flat)
    bad = _bad_pixels(rng, pointing, band.pixel, dead_spot)
    data[bad] = np.nan
    return Exposure(pointing, data, var_rnoise, var_poisson, var_flat, bad)
