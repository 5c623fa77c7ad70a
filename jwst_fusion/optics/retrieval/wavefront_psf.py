"""PSFs of the telescope with a wavefront that was measured, at any wavelength."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from jwst_fusion.optics.nodes import LIMITS, fixed_nodes
from jwst_fusion.optics.psf import psf_image
from jwst_fusion.optics.sampled import PsfImages
from jwst_fusion.optics.stpsf_source import SAMPLING
from jwst_fusion.optics.telescope import FIELD

from .modes import pupil_points, zernikes

if TYPE_CHECKING:
    from .modes import WavefrontModes

__all__ = ["WavefrontPsf"]

#: Side of a cell of the pupil [m]: at 0.6 um, PSFs repeat after 4.1".
SPACING = 0.03

_RADIAN = 180 * 3600 / np.pi
"""Arcseconds of a radian."""


@dataclass(frozen=True, eq=False)
class WavefrontPsf(PsfImages):
    """
    PSFs of a wavefront, computed when they are asked for.

    They sum to one within their image (`jwst_fusion.optics.telescope.FIELD`).

    Attributes
    ----------
    modes : WavefrontModes
        Modes of the wavefront.
    amplitudes : ndarray, shape (n_mode,)
        Their amplitudes.
    rest : float
        Variance of the remainder that the modes do not represent, in units of that of the statistics.
    name : str
        Their name in messages.
    """

    modes: WavefrontModes
    amplitudes: np.ndarray
    rest: float
    name: str = "PSF measured on stars"
    known: dict = field(default_factory=dict, repr=False)

    pixel_scale = SAMPLING["short"][0] / SAMPLING["short"][1]
    frame = "v3"
    angle = 0.0
    includes = "telescope"

    @property
    def limits(self) -> tuple[float, float]:
        """Shortest and longest wavelength [um], tuple of float: that of the instruments."""
        return LIMITS

    def samples(self, wavelength_min: float, wavelength_max: float) -> tuple[np.ndarray, list[np.ndarray]]:
        """
        Compute the PSFs that a range of wavelengths needs; each once.

        Parameters
        ----------
        wavelength_min, wavelength_max : float
            Range [um].

        Returns
        -------
        wavelength : ndarray, shape (n,)
            Their wavelengths [um].
        images : list of ndarray, shape (m, m)
            PSFs of the telescope, V3 up.
        """
        at = fixed_nodes(max(wavelength_min, LIMITS[0]), min(wavelength_max, LIMITS[1]))
        for length in at:
            if length not in self.known:
                self.known[length] = self._image(length)
        return at, [self.known[length] for length in at]

    def wavefront(self) -> tuple[np.ndarray, np.ndarray]:
        """
        Compute the wavefront on a raster of the pupil, without what the modes leave.

        Returns
        -------
        amplitude : ndarray, shape (n, n)
            Open share of each cell; V3 ascends along y, V2 descends along x.
        wavefront : ndarray, shape (n, n)
            Wavefront [nm], without piston, tip and tilt.
        """
        amplitude, points = pupil_points(SPACING, np.diag([-1.0, 1.0]))
        coefficients = self.modes.matrix @ self.amplitudes
        return amplitude, np.tensordot(coefficients, zernikes(*points), axes=1)

    def _image(self, wavelength):
        """PSF of the telescope at a wavelength, float32."""
        if "pupil" not in self.known:
            self.known["pupil"] = self.wavefront()
        amplitude, wavefront = self.known["pupil"]
        side = 2 * round(FIELD / self.pixel_scale / 2) + 1
        length = wavelength * 1e-6 * _RADIAN
        position = (np.arange(side) - side // 2) * self.pixel_scale
        axis = (np.arange(amplitude.shape[0]) - (amplitude.shape[0] - 1) / 2) * SPACING
        wave = (
            np.exp(-2j * np.pi / length * np.outer(position, axis))
            / np.sinc(SPACING * position / length)[:, None]
        )
        wave = wave.astype(np.complex64)
        pupil = (amplitude * np.exp(2e-3j * np.pi / wavelength * wavefront)).astype(np.complex64)
        light = self._scattered(np.abs(wave @ pupil @ wave.T) ** 2, wavelength)
        return (light / light.sum()).astype(np.float32)

    def _scattered(self, light, wavelength):
        """Image with the light that the rest of the wavefront scatters."""
        side = light.shape[0]
        spectrum = np.fft.rfft2(np.fft.ifftshift(light))

        def otf(_, frequency_east, frequency_north):
            baseline = wavelength * 1e-6 * _RADIAN * np.hypot(frequency_east, frequency_north)
            variance = self.rest * (2e-3 * np.pi / wavelength) ** 2
            return spectrum * np.exp(-variance * self.modes.rest(baseline))

        return psf_image(otf, wavelength, (side, side), self.pixel_scale)
