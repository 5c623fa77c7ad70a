"""Building blocks of scenes: textures, soft edges, continua and emission lines."""

import numpy as np
from scipy.ndimage import map_coordinates, spline_filter

__all__ = ["LINES", "Texture", "emission", "power_law", "rotate", "soft_step"]

#: Wavelengths in vacuum of nebular lines [um], by family.
LINES = {
    "hydrogen": {
        1.0052: 0.10, 1.0941: 0.35, 1.2821: 0.80, 1.6811: 0.06, 1.6412: 0.05, 1.7367: 0.08, 1.8179: 0.10,
        1.8756: 1.60, 1.9451: 0.10, 2.1661: 0.22, 2.6259: 0.35, 3.0392: 0.08, 3.2970: 0.07, 3.7406: 0.10,
        4.0523: 0.60, 4.6538: 0.15, 5.1287: 0.08,
    },
    "helium": {1.0833: 1.2, 1.7007: 0.06, 1.8691: 0.08, 2.0587: 0.35, 2.1126: 0.03, 4.2960: 0.05},
    "molecular": {
        1.1622: 0.2, 1.2330: 0.25, 1.6881: 0.15, 1.7147: 0.2, 1.7481: 0.45, 1.7880: 0.25, 1.8358: 0.5,
        1.8919: 0.2, 1.9576: 0.95, 2.0338: 0.40, 2.0735: 0.10, 2.1218: 1.00, 2.2014: 0.05, 2.2235: 0.27,
        2.2477: 0.12, 2.4066: 1.0, 2.4134: 0.35, 3.0039: 0.3, 3.2350: 0.4, 3.5008: 0.3, 3.8075: 0.2,
        3.8461: 0.35, 4.4098: 0.2, 4.6946: 0.7, 5.0531: 0.4,
    },
    "iron": {1.2570: 1.3, 1.2946: 0.15, 1.5339: 0.2, 1.6440: 1.0, 1.6773: 0.15, 1.7976: 0.35, 1.8099: 0.3,
             2.0466: 0.08, 4.1149: 0.1, 4.8891: 0.3},
}  # fmt: skip


def emission(family, strength):
    """
    Return the lines of a family of `LINES`, wavelengths [um] and peaks.

    The strength is the peak of a line of relative strength one.
    """
    return tuple((wavelength, strength * relative) for wavelength, relative in LINES[family].items())


def power_law(level, index, *, bumps=()):
    """
    Build a continuum ``level * (wavelength / 2 um) ** index`` with bumps, a function of wavelength [um].

    Bumps are Gaussians: centre [um], sigma [um] and relative height, negative for an absorption.
    """

    def continuum(wavelength):
        result = level * (wavelength / 2.0) ** index
        for centre, sigma, height in bumps:
            result = result * (1 + height * np.exp(-0.5 * ((wavelength - centre) / sigma) ** 2))
        return result

    return continuum


def soft_step(value, width):
    """Rise smoothly from 0 (value << 0) to 1 (value >> 0) over a width."""
    return 0.5 * (1 + np.tanh(value / width))


def rotate(east, north, position_angle):
    """Turn sky offsets into those across (towards angle + 90 deg) and along an axis at an angle [deg]."""
    sine, cosine = np.sin(np.radians(position_angle)), np.cos(np.radians(position_angle))
    return east * cosine - north * sine, east * sine + north * cosine


class Texture:
    """
    A random Gaussian field of mean 0 and rms 1 with a power-law spectrum, periodic over 15".

    The slope is the exponent of the power spectrum (-11/3: Kolmogorov's turbulence), the scales are the
    largest and the smallest [arcsec], the stretch is an elongation and the position angle [deg E of N] along
    which it is.
    """

    _SIZE = 960
    _PERIOD = 15.0

    def __init__(self, seed, *, slope=-3.0, scales=(3.0, 0.05), stretch=(1.0, 0.0)):
        rng = np.random.default_rng(seed)
        step = self._PERIOD / self._SIZE
        freq_x = np.fft.rfftfreq(self._SIZE, step)[None, :]
        freq_y = np.fft.fftfreq(self._SIZE, step)[:, None]
        across, along = rotate(freq_x, freq_y, stretch[1])
        freq = np.hypot(across / np.sqrt(stretch[0]), along * np.sqrt(stretch[0]))
        power = (freq**2 + 1 / scales[0] ** 2) ** (slope / 2) * np.exp(-((freq * scales[1] / 2) ** 2) * 2)
        white = np.fft.rfft2(rng.standard_normal((self._SIZE, self._SIZE)))
        white[0, 0] = 0.0
        field = np.fft.irfft2(white * np.sqrt(power), s=(self._SIZE, self._SIZE))
        self._field = spline_filter(field / field.std(), order=3, mode="grid-wrap")
        self._step = step

    def __call__(self, east, north):
        """Evaluate the field at sky offsets [arcsec]."""
        where = np.stack([np.asarray(north), np.asarray(east)]) / self._step
        return map_coordinates(self._field, where, order=3, mode="grid-wrap", prefilter=False)
