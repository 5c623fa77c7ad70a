"""A field with a line of known flux, velocity and width, in its low-rank form."""

from types import SimpleNamespace

import numpy as np
from scipy.ndimage import gaussian_filter

from jwst_fusion.science.lines import LIGHT_SPEED
from jwst_fusion.science.scene import Scene

WAVELENGTH = 2.0 + 4e-4 * np.arange(400)
LINE = 2.08
INSTRUMENT = 3.7e-4
CELL_AREA = 0.0333**2
SHAPE = (24, 26)


def line_cube(wavelength=WAVELENGTH, shape=SHAPE, continuum=20.0):
    """A rotating disk on a sloping continuum: cube [MJy/sr], peak [MJy/sr], velocity, dispersion [km/s]."""
    y, x = np.mgrid[: shape[0], : shape[1]] / 10.0
    peak = 60 + 20 * np.sin(x) * np.cos(y)
    velocity, dispersion = 80 * (x - 1.3), 60 + 15 * np.cos(x)
    at = LINE * (1 + velocity / LIGHT_SPEED)
    sigma = np.hypot(INSTRUMENT, at * dispersion / LIGHT_SPEED)
    profile = np.exp(-(((wavelength[:, None, None] - at) / sigma) ** 2) / 2)
    slope = 1 + 0.5 * (wavelength[:, None, None] - 2.0)
    cube = peak * profile + continuum * (1 + 0.1 * y) * slope
    return SimpleNamespace(cube=cube, peak=peak, sigma=sigma, velocity=velocity, dispersion=dispersion)


def low_rank(cube, k=12):
    """Mean spectrum, basis (n_wave, k) and coefficients (k, ny, nx), of unit variance, of a cube."""
    spectra = cube.reshape(len(cube), -1)
    mean = spectra.mean(axis=1)
    axes, values, scores = np.linalg.svd(spectra - mean[:, None], full_matrices=False)
    root = np.sqrt(spectra.shape[1])
    return mean, axes[:, :k] * values[:k] / root, (scores[:k] * root).reshape(k, *cube.shape[1:])


def likely_errors(rng, shape, level=0.02, sigma=1.5):
    """Errors of coefficients (..., ny, nx) that neighbouring cells share."""
    smooth = (0,) * (len(shape) - 2) + (sigma, sigma)
    noise = gaussian_filter(rng.standard_normal(shape), smooth, mode="wrap")
    return level * noise * 2 * sigma * np.sqrt(np.pi)


def make_scene(mean, basis, coefficients, *, level=0.02, n_draws=13, seed=1, noise=0.0, **options):
    """A scene with draws of its errors."""
    draws = likely_errors(np.random.default_rng(seed), (n_draws, *coefficients.shape), level)
    settings = {
        "wavelength": WAVELENGTH, "mean_spectrum": mean, "basis": basis, "coefficients": coefficients,
        "errors": np.full(coefficients.shape, level), "draws": draws, "alive": np.ones(len(mean), dtype=bool),
        "cell_area": CELL_AREA, "instrument_width": INSTRUMENT, "spectral_noise": np.full(len(mean), noise),
    }  # fmt: skip
    return Scene(**(settings | options))
