"""Images of a point source through a wavefront, with their derivatives by its modes and by the blur."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

from jwst_fusion.optics.analytic import moment_exponents

from .modes import pupil_points, zernikes

if TYPE_CHECKING:
    from collections.abc import Callable

    from .modes import WavefrontModes

__all__ = ["BandOptics", "PointImage", "shifted_samples"]

DIAMETER = 6.61
"""Largest baseline of the pupil [m]."""

#: Side of a cell of the pupil [m].
PUPIL_SPACING = 0.08

#: Cells of an image of a point source over its highest frequency; two would be critical.
SAMPLING = 2.6

#: Sky about the stamps that an image of a point source reaches [arcsec per um].
MARGIN = 0.07

#: Modes whose images are transformed at once.
BLOCK = 16

_RADIAN = 180 * 3600 / np.pi


@dataclass(frozen=True, eq=False)
class BandOptics:
    """
    Optics of a band besides the wavefront.

    Attributes
    ----------
    wavelength, weight : ndarray, shape (n_node,)
        Wavelengths that represent the band [um], and their shares of its photons.
    frame : ndarray, shape (2, 2)
        Directions of the image's x and y axis in (V2, V3): its columns.
    pixel : float
        Side of a pixel of the image [arcsec].
    blur : callable
        ``blur(frequency_v2, frequency_v3)``: OTF of detector, drizzle and jitter [cycles/arcsec].
    """

    wavelength: np.ndarray
    weight: np.ndarray
    frame: np.ndarray
    pixel: float
    blur: Callable


class PointImage:
    """
    Image of a point source in a band as a function of wavefront and blur.

    Parameters
    ----------
    band : BandOptics
        The band.
    modes : WavefrontModes
        Modes of the wavefront.
    reach : float
        Half side of the image [arcsec].
    precision : dtype, optional
        Of the numbers.
    """

    def __init__(
        self, band: BandOptics, modes: WavefrontModes, reach: float, *, precision: type = np.float32
    ):
        self.band, self.modes = band, modes
        self._real, self._complex = precision, np.result_type(precision, np.complex64)
        amplitude, (v2, v3) = pupil_points(PUPIL_SPACING, band.frame)
        cut = _open_part(amplitude)
        self._amplitude = amplitude[cut].astype(precision)
        polynomials = zernikes(v2[cut], v3[cut])
        self._shapes: np.ndarray = np.tensordot(modes.matrix.T, polynomials, axes=1).astype(precision)
        shortest = band.wavelength.min()
        self.step = shortest * 1e-6 * _RADIAN / (SAMPLING * DIAMETER)
        half = int(np.ceil((reach + MARGIN * band.wavelength.max()) / self.step))
        number = fft.next_fast_len(2 * half + 1, real=True)
        self.position = (np.arange(number) - number // 2) * self.step
        self._set_frequencies()
        axis = (np.arange(amplitude.shape[0]) - (amplitude.shape[0] - 1) / 2) * PUPIL_SPACING
        norm = PUPIL_SPACING * self.step / np.sqrt(np.sum(self._amplitude, dtype=float)) / _RADIAN
        self._waves = []
        for length in band.wavelength:
            angle = -2j * np.pi / (length * 1e-6 * _RADIAN)
            y, x = (np.exp(angle * np.outer(self.position, axis[part])) for part in cut)
            correction = 1 / np.sinc(PUPIL_SPACING * self.position / (length * 1e-6 * _RADIAN))
            scale = norm / (length * 1e-6)
            self._waves.append(
                (
                    (y * correction[:, None] * scale).astype(self._complex),
                    (x.T * correction).astype(self._complex),
                )
            )

    def _set_frequencies(self):
        """Frequencies of the image's transform, and the factors applied there."""
        n = self.position.size
        x, y = np.meshgrid(np.fft.rfftfreq(n, self.step), np.fft.fftfreq(n, self.step))
        v2, v3 = np.einsum("ij,jyx->iyx", self.band.frame, np.stack([x, y]))
        self._along = np.stack([x, y]).astype(self._real)
        self._blur = np.asarray(self.band.blur(v2, v3), dtype=self._real)
        self._moments = moment_exponents(v2, v3).astype(self._complex)
        self._rest = []
        for length in self.band.wavelength:
            baseline = length * 1e-6 * _RADIAN * np.hypot(x, y)
            self._rest.append(((2e-3 * np.pi / length) ** 2 * self.modes.rest(baseline)).astype(self._real))

    def __call__(
        self, amplitudes: np.ndarray, rest: float, excess: np.ndarray, *, derivatives: bool = False
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """
        Compute the image.

        Parameters
        ----------
        amplitudes : ndarray, shape (n_mode,)
            Amplitudes of the first modes; the others are zero.
        rest : float
            Variance of the remainder that the modes do not represent, in units of that of the statistics.
        excess : ndarray, shape (7,)
            Moments of the blur beyond those of the band's, as `moment_exponents` has them.
        derivatives : bool, optional
            Whether the derivatives are wanted.

        Returns
        -------
        image : ndarray, shape (3, n, n)
            Image of a point source of flux one [arcsec^-2 times the area of its cells] on cells of
            side ``step`` about ``position``, and its derivatives by the source's x and y [per arcsec].
        derivatives : ndarray, shape (n_mode + 7, n, n), or None
            Derivatives of the image by amplitudes and excess.
        """
        number = amplitudes.size
        wavefront = np.tensordot(amplitudes.astype(self._real), self._shapes[:number], axes=1)
        n = self.position.size
        transform = np.zeros((n, n // 2 + 1), dtype=self._complex)
        changes = np.zeros((number if derivatives else 0, n, n // 2 + 1), dtype=self._complex)
        parts = zip(self.band.wavelength, self.band.weight, self._waves, self._rest, strict=True)
        for length, weight, (to_y, to_x), structure in parts:
            phase = self._real(2e-3 * np.pi / length)
            pupil = self._amplitude * np.exp(1j * phase * wavefront)
            field = to_y @ pupil @ to_x
            scatter = self._real(weight) * np.exp(-self._real(rest) * structure)
            transform += fft.rfft2(np.abs(field) ** 2) * scatter
            for start in range(0, len(changes), BLOCK):
                block = slice(start, min(start + BLOCK, number))
                fields = to_y @ ((1j * phase * pupil * self._shapes[block]) @ to_x)
                light = 2 * (field.real * fields.real + field.imag * fields.imag)
                changes[block] += fft.rfft2(light) * scatter
        otf = self._blur * np.exp(np.tensordot(np.asarray(excess, self._real), self._moments, axes=1))
        transform *= otf
        moved = -2j * self._real(np.pi) * self._along * transform
        image = fft.irfft2(np.concatenate([transform[None], moved]), s=(n, n))
        if not derivatives:
            return image, None
        changes *= otf
        return image, fft.irfft2(np.concatenate([changes, self._moments * transform]), s=(n, n))


def _open_part(amplitude):
    """Rows and columns of the pupil that hold all of the mirror."""
    open_ = amplitude > 1e-4
    return tuple(
        slice(int(at[0]), int(at[-1]) + 1) for at in (np.flatnonzero(open_.any(axis=axis)) for axis in (1, 0))
    )


def shifted_samples(position: np.ndarray, step: float, at: np.ndarray) -> np.ndarray:
    """
    Interpolation from the cells of an image of a point source to other places, along one axis.

    Parameters
    ----------
    position : ndarray, shape (n,)
        Positions of the cells [arcsec], ``step`` apart.
    step : float
        Side of a cell [arcsec].
    at : ndarray, shape (..., m)
        Places [arcsec].

    Returns
    -------
    ndarray, shape (..., m, n)
        Weights: a sinc with a raised cosine, which is exact below the image's highest frequency.
    """
    roll = 1 - 2 / SAMPLING
    u = (at[..., None] - position) / step
    square = (2 * roll * u) ** 2
    singular = np.abs(square - 1) < 1e-6
    return np.sinc(u) * np.where(
        singular, np.pi / 4, np.cos(np.pi * roll * u) / np.where(singular, 1.0, 1 - square)
    )
