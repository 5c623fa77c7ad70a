"""A field of stars seen through a drawn wavefront, by none of the functions that measure it."""

import numpy as np

from jwst_fusion.observation import ImageProduct
from jwst_fusion.optics.pupil import pupil_amplitude

RADIAN = 180 * 3600 / np.pi
PIXEL = 0.031
FINE = PIXEL / 4


def smooth_wavefront(seed, rms, spacing=0.03):
    """A random wavefront [nm] with a correlation length of 0.4 m, on the pupil's raster."""
    amplitude = pupil_amplitude(spacing=spacing)
    n = amplitude.shape[0]
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(n, spacing), np.fft.fftfreq(n, spacing)))
    noise = np.random.default_rng(seed).standard_normal((n, n))
    wavefront = np.fft.ifft2(np.fft.fft2(noise) * np.exp(-2 * (np.pi * 0.3 * f) ** 2)).real
    open_ = amplitude > 0.5
    axis = (np.arange(n) - (n - 1) / 2) * spacing
    plane = np.stack([np.ones((n, n)), *np.meshgrid(axis, axis)])
    wavefront -= np.tensordot(
        np.linalg.lstsq(plane[:, open_].T, wavefront[open_], rcond=None)[0], plane, axes=1
    )
    return amplitude, wavefront * rms / wavefront[open_].std()


def telescope_psf(wavelength, amplitude, wavefront, side=257, spacing=0.03):
    """PSF on cells of `FINE` with V3 up and V2 to the left, by a plain Fourier transform."""
    n = amplitude.shape[0]
    axis = (np.arange(n) - (n - 1) / 2) * spacing
    at = (np.arange(side) - side // 2) * FINE
    wave = np.exp(-2j * np.pi / (wavelength * 1e-6 * RADIAN) * np.outer(at, axis))
    pupil = amplitude * np.exp(2e-3j * np.pi / wavelength * wavefront)
    light = np.abs(wave @ pupil[:, ::-1] @ wave.T) ** 2  # columns from +V2 to -V2
    return light / light.sum()


def pixel_psf(psf, blur=0.006):
    """The same as NIRCam's pixels see it, drop and output pixel of the drizzle included."""
    side = psf.shape[0]
    f = np.fft.fftfreq(side, FINE)
    box = np.sinc(PIXEL * f) ** 3 * np.exp(-2 * (np.pi * blur * f) ** 2)
    return np.fft.ifft2(np.fft.fft2(psf) * np.outer(box, box)).real


class FlatSky:
    """A WCS that turns nothing: north up, east to the left."""

    pixel_scale_matrix = np.diag([-PIXEL, PIXEL]) / 3600


def star_image(psf, number=12, *, filter="F212N", seed=0, snr=(50, 500), side=420, stars=None):
    """
    An image of stars on a flat sky with noise of one, V3 up: ImageProduct, and places (x, y) of the stars.

    `psf` is on cells of `FINE`; the flux of a star is its signal-to-noise ratio times the noise of its core.
    """
    rng = np.random.default_rng(seed)
    if stars is None:
        grid = np.stack(np.meshgrid(*[np.arange(45, side - 40, 55)] * 2), -1).reshape(-1, 2)
        place = rng.permutation(grid)[:number] + rng.uniform(-0.5, 0.5, (number, 2))
        stars = np.column_stack([place, np.exp(rng.uniform(*np.log(snr), number)) * 7])
    image = 10 + rng.standard_normal((side, side))
    middle, reach = psf.shape[0] // 2, 30
    f = np.fft.fftfreq(psf.shape[0])
    spectrum = np.fft.fft2(psf)
    for x, y, flux in stars:
        column, row = int(round(x)), int(round(y))
        shift = np.exp(-2j * np.pi * 4 * (np.add.outer(f * (y - row), f * (x - column))))
        seen = np.fft.ifft2(spectrum * shift).real[middle % 4 :: 4, middle % 4 :: 4] * 16
        half = seen.shape[0] // 2
        stamp = seen[half - reach : half + reach + 1, half - reach : half + reach + 1]
        image[row - reach : row + reach + 1, column - reach : column + reach + 1] += flux * stamp
    product = ImageProduct(
        name=f"{filter.lower()}_i2d.fits", data=image.astype(np.float32), error=np.ones((side, side), "f4"),
        wcs=FlatSky(), filter=filter, module="B", position_angle_v3=0.0, detector_pixel=PIXEL,
        image_pixel=PIXEL, weight=np.ones((side, side), "f4"),
    )  # fmt: skip
    return product, stars
