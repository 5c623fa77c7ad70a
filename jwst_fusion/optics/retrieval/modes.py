"""Modes of the telescope's wavefront, with the variances of their amplitudes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import factorial
from typing import TYPE_CHECKING

import numpy as np

from jwst_fusion.optics.pupil import pupil_amplitude

if TYPE_CHECKING:
    from jwst_fusion.optics.telescope import Wavefront

__all__ = ["RADIUS", "WavefrontModes", "pupil_points", "wavefront_modes", "zernikes"]

RADIUS = 3.3015
"""Radius of the circle about the pupil, on which the Zernike polynomials are defined [m]."""

#: Highest radial order: its fringes scatter light to wavelength / (2 RADIUS) * ORDER / 2, 0.44" at 2 um.
ORDER = 14

#: Side of the cells on which the statistics are taken [m].
STATISTICS_SPACING = 0.13

#: Step of the table of the remaining wavefront's correlation [m].
TABLE_STEP = 0.1


@dataclass(frozen=True, eq=False)
class WavefrontModes:
    """
    Modes of the wavefront in the order of their variance, and the rest that they leave.

    A wavefront is ``sum_j z_j mode_j`` with ``mode_j = sum_i matrix[i, j] zernike_i``; over the statistics
    the amplitudes z_j are independent and normal with variance one (Karhunen-Loeve modes).

    Attributes
    ----------
    matrix : ndarray, shape (n_zernike, n)
        Coefficients of the modes in Zernike polynomials [nm].
    variance : ndarray, shape (n,)
        Variance of each mode over the circle [nm^2].
    baseline : ndarray, shape (n_table,)
        Baselines of the table below [m], from zero.
    structure : ndarray, shape (n_table,)
        Half of the structure function of the rest of the wavefront [nm^2]: its variance less its covariance
        at a baseline, mean over the circle.
    whole : ndarray, shape (n_table,)
        The same of the modes and the rest together: of the statistics without piston, tip and tilt.
    """

    matrix: np.ndarray
    variance: np.ndarray
    baseline: np.ndarray
    structure: np.ndarray
    whole: np.ndarray

    @property
    def number(self) -> int:
        """Number of modes."""
        return self.matrix.shape[1]

    def rest(self, baseline: np.ndarray) -> np.ndarray:
        """
        Half of the structure function of the remainder that the modes do not represent.

        Parameters
        ----------
        baseline : ndarray
            Baselines [m].

        Returns
        -------
        ndarray
            Of that shape [nm^2].
        """
        return np.interp(baseline, self.baseline, self.structure)


def pupil_points(spacing: float, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Cells of a pupil raster along the axes of an image.

    Parameters
    ----------
    spacing : float
        Side of a cell [m].
    frame : ndarray, shape (2, 2)
        Directions of the image's x and y axis in V2, V3: its columns, of length one.

    Returns
    -------
    amplitude : ndarray, shape (n, n)
        Open share of each cell.
    points : ndarray, shape (2, n, n)
        V2 and V3 of the cells' centres [m].
    """
    amplitude = pupil_amplitude(spacing=spacing, frame=frame)
    axis = (np.arange(amplitude.shape[0]) - (amplitude.shape[0] - 1) / 2) * spacing
    along_y, along_x = np.meshgrid(axis, axis, indexing="ij")
    return amplitude, np.einsum("ij,jyx->iyx", frame, np.stack([along_x, along_y]))


def zernikes(v2: np.ndarray, v3: np.ndarray, order: int = ORDER) -> np.ndarray:
    """
    Zernike polynomials from the second radial order on: without piston, tip and tilt.

    Parameters
    ----------
    v2, v3 : ndarray
        Points of the pupil [m], of one shape; those beyond the circle get the values at its edge.
    order : int, optional
        Highest radial order.

    Returns
    -------
    ndarray, shape (n_zernike, *shape)
        Polynomials of variance one over the circle (Noll 1976, eq. 1 to 3); ``n_zernike = (order + 1)
        (order + 2) / 2 - 3``.
    """
    radius, angle = np.minimum(np.hypot(v2, v3) / RADIUS, 1.0), np.arctan2(v3, v2)
    result = []
    for n in range(2, order + 1):
        for m in range(n % 2, n + 1, 2):
            radial = np.sqrt(n + 1.0) * _radial(n, m, radius)
            if m == 0:
                result.append(radial)
            else:
                result += [
                    np.sqrt(2.0) * radial * np.cos(m * angle),
                    np.sqrt(2.0) * radial * np.sin(m * angle),
                ]
    return np.stack(result)


def _radial(n, m, radius):
    """Radial polynomial of a Zernike polynomial, one at the circle's edge."""
    half = (n - m) // 2
    return sum(
        (-1) ** s
        * factorial(n - s)
        / (factorial(s) * factorial(half + m - s) * factorial(half - s))
        * radius ** (n - 2 * s)
        for s in range(half + 1)
    )


@cache
def wavefront_modes(wavefront: Wavefront, order: int = ORDER) -> WavefrontModes:
    """
    Choose the modes of a wavefront by its statistics.

    Parameters
    ----------
    wavefront : Wavefront
        Rms and correlation length: the covariance is ``rms^2 exp(-abs(D) / L)``.
    order : int, optional
        Highest radial order of the Zernike polynomials that make up the modes.

    Returns
    -------
    WavefrontModes
        The modes.

    Notes
    -----
    The wavefront on the circle about the pupil is projected on the polynomials by least squares; piston, tip
    and tilt, which only move the image, go with them. The covariance of the coefficients gives the modes,
    what the projection leaves the rest.
    """
    half = int(RADIUS / STATISTICS_SPACING)
    v3, v2 = STATISTICS_SPACING * np.indices((2 * half + 1,) * 2).reshape(2, -1) - half * STATISTICS_SPACING
    inside = np.hypot(v2, v3) <= RADIUS
    v2, v3 = v2[inside], v3[inside]
    distance = np.hypot(v2[:, None] - v2, v3[:, None] - v3)
    covariance = wavefront.rms**2 * np.exp(-distance / wavefront.correlation_length)
    polynomials = np.vstack([np.ones_like(v2), v2, v3, zernikes(v2, v3, order)])
    basis, triangle = np.linalg.qr(polynomials.T)
    variance, vectors = np.linalg.eigh(basis[:, 3:].T @ covariance @ basis[:, 3:])
    left = covariance - basis @ (basis.T @ covariance)
    rest = left - (left @ basis) @ basis.T
    amplitudes = vectors[:, ::-1] * np.sqrt(np.maximum(variance[::-1], 0.0))
    matrix = np.linalg.solve(triangle[3:, 3:], amplitudes)
    seen = basis[:, 3:] @ amplitudes
    baseline, structure = _half_structure(distance, rest)
    _, whole = _half_structure(distance, rest + seen @ seen.T)
    return WavefrontModes(matrix, np.sum(amplitudes**2, axis=0) / v2.size, baseline, structure, whole)


def _half_structure(distance, covariance):
    """Baselines, and half of the mean squared difference between points that far apart, (n_table,) each."""
    bins = np.rint(distance / TABLE_STEP).astype(int).ravel()
    number, variance = np.bincount(bins), np.diag(covariance)
    half = 0.5 * (variance[:, None] + variance) - covariance
    met = number > 0
    return TABLE_STEP * np.flatnonzero(met), np.bincount(bins, half.ravel())[met] / number[met]
