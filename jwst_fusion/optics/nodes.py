"""Wavelength nodes: PSFs and OTFs vary smoothly, so that a few stand for every channel."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.optics.throughput import CHANNEL_SPLIT

__all__ = ["fixed_nodes", "interpolation_matrix", "nodes"]

LIMITS = (0.6, 5.3)
"""Shortest and longest wavelength of the instruments [um]."""

_STEP = 0.0125
_FEWEST = 4
_TOLERANCE = 1e-9


def _node_count(wavelength_min, wavelength_max):
    """Count one node for each 1.25 % in wavelength, at least four; one for a single wavelength."""
    _check_range(wavelength_min, wavelength_max)
    span = np.log(wavelength_max / wavelength_min)
    return 1 if span == 0 else max(int(np.ceil(span / _STEP)) + 1, _FEWEST)


def nodes(wavelength_min: float, wavelength_max: float, n: int | None = None) -> np.ndarray:
    """
    Place nodes evenly in log wavelength.

    Parameters
    ----------
    wavelength_min, wavelength_max : float
        Range [um]; its ends are nodes.
    n : int, optional
        Number of nodes; by default one for each 1.25 %, and then a range across 2.35 um, where NIRCam's
        channels meet, is split there: that wavelength stands twice.

    Returns
    -------
    ndarray, shape (n,)
        Wavelengths of the nodes [um], ascending.

    Raises
    ------
    ParameterError
        If the range is not ascending and positive, or a single node is requested for a range.
    """
    _check_range(wavelength_min, wavelength_max)
    if n is None and wavelength_min < CHANNEL_SPLIT < wavelength_max:
        return np.concatenate([nodes(wavelength_min, CHANNEL_SPLIT), nodes(CHANNEL_SPLIT, wavelength_max)])
    n = _node_count(wavelength_min, wavelength_max) if n is None else n
    if wavelength_min == wavelength_max:
        return np.array([float(wavelength_min)])
    if n < 2:
        raise ParameterError(f"found {n} wavelength nodes, expected at least 2")
    return np.geomspace(wavelength_min, wavelength_max, n)


def interpolation_matrix(wavelength: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """
    Compute the matrix from nodes to channels: ``otf[l] = sum_r matrix[l, r] * otf_r``.

    Parameters
    ----------
    wavelength : ndarray, shape (n_wave,)
        Wavelengths of the channels [um].
    nodes : ndarray, shape (n,)
        Wavelengths of the nodes [um], ascending; no interpolation reaches across one that stands twice.

    Returns
    -------
    ndarray, shape (n_wave, n)
        Cubic spline in log wavelength (not-a-knot) of each node's unit vector; rows sum to one.

    Raises
    ------
    ParameterError
        If a channel lies outside the nodes.

    Notes
    -----
    Largest error of the telescope's PSF in units of its peak, over 1.66 to 2.30 um: 1.7e-4 with 13 nodes,
    1.2e-4 with 19, 7.1e-5 with 28 and 5.7e-5 with 40; with NIRCam's pixels 1.5e-4, 8.7e-5, 5.2e-5 and
    5.1e-5. The pupil's straight edges leave kinks in the OTF, where it is off by up to 2e-3 in few places.
    NIRCam's wavefront and diffusion jump at 2.35 um: state the channel to
    `jwst_fusion.optics.analytic.nircam_otf` for one band.
    """
    wavelength = np.atleast_1d(np.asarray(wavelength, dtype=np.float64))
    nodes = np.asarray(nodes, dtype=np.float64)
    low, high = nodes[0] * (1 - _TOLERANCE), nodes[-1] * (1 + _TOLERANCE)
    if not np.all((wavelength >= low) & (wavelength <= high)):
        raise ParameterError(
            f"found wavelengths from {wavelength.min():.6g} to {wavelength.max():.6g} um, expected them "
            f"within the nodes, {nodes[0]:.6g} to {nodes[-1]:.6g} um"
        )
    if nodes.size == 1:
        return np.ones((wavelength.size, 1))
    result = np.zeros((wavelength.size, nodes.size))
    breaks = [0, *(np.flatnonzero(np.diff(nodes) == 0) + 1), nodes.size]
    for first, last in zip(breaks[:-1], breaks[1:], strict=True):
        part = nodes[first:last]
        inside = wavelength >= part[0] if first else np.ones(wavelength.size, dtype=bool)
        inside &= wavelength < part[-1] if last < nodes.size else True
        spline = CubicSpline(np.log(part), np.eye(part.size))
        result[inside, first:last] = spline(np.log(wavelength[inside]))
    return result


def fixed_nodes(wavelength_min: float, wavelength_max: float) -> np.ndarray:
    """
    Choose nodes from a grid that is the same for all ranges, so that PSFs at them serve for many.

    Parameters
    ----------
    wavelength_min, wavelength_max : float
        Range [um], within 0.6 to 5.3 um.

    Returns
    -------
    ndarray, shape (n,)
        Wavelengths [um] 1.25 % apart, one of them 2.35 um, that enclose the range; at least four.
    """
    _check_range(wavelength_min, wavelength_max)
    low, high = (np.log(w / CHANNEL_SPLIT) / _STEP for w in (wavelength_min, wavelength_max))
    first, last = int(np.floor(low + _TOLERANCE)), int(np.ceil(high - _TOLERANCE))
    top = int(np.log(LIMITS[1] / CHANNEL_SPLIT) / _STEP)
    while last - first < 3:
        # a short range grows away from the split, and not beyond the longest wavelength
        first, last = (first, last + 1) if first >= 0 and last <= top else (first - 1, last)
    return np.unique(np.clip(CHANNEL_SPLIT * np.exp(_STEP * np.arange(first, last + 1)), *LIMITS))


def _check_range(wavelength_min, wavelength_max):
    """Raise a ParameterError for a range that is not one."""
    if not (0 < wavelength_min <= wavelength_max < np.inf):
        raise ParameterError(
            f"found wavelengths from {wavelength_min} to {wavelength_max} um, expected an ascending range"
        )
