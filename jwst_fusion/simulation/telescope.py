"""The telescope's optical transfer function: the package's pupil and a random phase screen."""

import numpy as np
from scipy import fft
from scipy.interpolate import CubicSpline
from scipy.ndimage import map_coordinates

from jwst_fusion.optics.pupil import pupil_amplitude

__all__ = ["Telescope", "make_telescopes", "node_coefficients", "wavelength_nodes"]

_SIDE = 6.615  # metres, holds the pupil
_SIZE = 450  # pixels over that side
_ARCSEC = np.pi / 180 / 3600
_CORRELATION = 0.33  # metres
_COMMON_RMS = 0.050  # um


def _screen(rng, pupil):
    """Draw a random wavefront of rms 1 over the pupil, without piston and tilt, correlated over 0.33 m."""
    size = 2 * _SIZE
    freq = np.fft.fftfreq(size, _SIDE / _SIZE)
    squared = freq[:, None] ** 2 + freq[None, : size // 2 + 1] ** 2
    power = (squared + (2 * np.pi * _CORRELATION) ** -2) ** -1.5
    white = fft.rfft2(rng.standard_normal((size, size)))
    surface = fft.irfft2(white * np.sqrt(power), s=(size, size))[:_SIZE, :_SIZE]
    axis = np.linspace(-1, 1, _SIZE)
    modes = np.stack([np.ones_like(pupil), *np.meshgrid(axis, axis)]).reshape(3, -1)
    weight = pupil.ravel()
    solution = np.linalg.solve((modes * weight) @ modes.T, (modes * weight) @ surface.ravel())
    flat = surface - (solution @ modes).reshape(surface.shape)
    return flat / np.sqrt((pupil * flat**2).sum() / pupil.sum())


class Telescope:
    """
    The telescope as one instrument sees through it.

    The pupil (n, n) has rows along V3 and columns along V2; the wavefront error is in um; PSFs are wider than
    the pupil makes them by the factor stretch.
    """

    def __init__(self, pupil, wavefront, stretch=1.0):
        self.pupil = pupil
        self.wavefront = wavefront
        self.stretch = stretch

    def _autocorrelation(self, wavelength):
        """Autocorrelation of the complex pupil, normalised, zero lag at [n, n]."""
        field = (self.pupil * np.exp(2j * np.pi / wavelength * self.wavefront)).astype(np.complex64)
        spectrum = fft.fft2(field, s=(2 * _SIZE, 2 * _SIZE), workers=2)
        lags = fft.ifft2(np.abs(spectrum) ** 2, workers=2)
        return fft.fftshift(lags / lags[0, 0].real)

    def transfer(self, wavelength, frequency_east, frequency_north, position_angle):
        """
        Compute the optical transfer function at a wavelength [um] and sky frequencies [cycles/arcsec].

        It is the autocorrelation of the complex pupil at baselines wavelength * frequency, the pupil being
        turned with V3, whose position angle is given [deg E of N]. It is one at frequency zero.
        """
        angle = np.radians(position_angle)
        to_lag = self.stretch * wavelength * 1e-6 / _ARCSEC / (_SIDE / _SIZE)
        lag_v2 = (frequency_east * np.cos(angle) - frequency_north * np.sin(angle)) * to_lag
        lag_v3 = (frequency_east * np.sin(angle) + frequency_north * np.cos(angle)) * to_lag
        inside = np.hypot(lag_v2, lag_v3) < _SIZE
        where = np.stack([lag_v3[inside], lag_v2[inside]]) + _SIZE
        lags = self._autocorrelation(wavelength)
        result = np.zeros(inside.shape, dtype=complex)
        real = map_coordinates(lags.real, where, order=1)
        result[inside] = real + 1j * map_coordinates(lags.imag, where, order=1)
        return result


def _centred(telescope):
    """Take out the tilt that displaces the PSF: the slope of its transfer function's phase."""
    wavelength = 2.0  # um
    lags = telescope._autocorrelation(wavelength)
    axis = (np.arange(2 * _SIZE) - _SIZE) * (_SIDE / _SIZE)
    lag_v2, lag_v3 = np.meshgrid(axis, axis)
    used = np.hypot(lag_v2, lag_v3) < 0.6 * _SIDE
    lag = np.stack([lag_v2[used], lag_v3[used]])
    weight = np.abs(lags[used]) ** 2
    phase = np.angle(lags[used]) * wavelength / (2 * np.pi)
    tilt = np.linalg.solve((lag * weight) @ lag.T, (lag * weight) @ phase)
    x, y = np.meshgrid(*[(np.arange(_SIZE) + 0.5) * (_SIDE / _SIZE) - _SIDE / 2] * 2)
    return Telescope(telescope.pupil, telescope.wavefront - tilt[0] * x - tilt[1] * y, telescope.stretch)


def make_telescopes(rng, rms, stretch=1.0):
    """Draw the wavefronts of instruments, rms errors [um] by name: a common part and one of each."""
    pupil = pupil_amplitude(spacing=_SIDE / _SIZE)
    common = _COMMON_RMS * _screen(rng, pupil)
    result = {}
    for name, total in rms.items():
        own = np.sqrt(max(total**2 - _COMMON_RMS**2, 0.0)) * _screen(rng, pupil)
        wavefront = common + own
        scale = total / np.sqrt((pupil * wavefront**2).sum() / pupil.sum())
        result[name] = _centred(Telescope(pupil, wavefront * scale, stretch))
    return result


def wavelength_nodes(low, high, *, ratio=1.015):
    """Space nodes evenly in log wavelength [um], at most a factor ``ratio`` apart."""
    number = max(4, int(np.ceil(np.log(high / low) / np.log(ratio))) + 1)
    return np.geomspace(low, high, number)


def node_coefficients(nodes, wavelength):
    """Compute the share of each node in each wavelength (n_wave, n_nodes): a cubic spline through them."""
    return CubicSpline(np.log(nodes), np.eye(nodes.size))(np.log(wavelength))
