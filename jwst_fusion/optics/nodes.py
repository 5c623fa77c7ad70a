"""Wavelength nodes: PSFs and OTFs vary smoothly, so that a few stand for every channel."""

import numpy as np
from scipy.interpolate import CubicSpline

from jwst_fusion.exceptions import ParameterError

__all__ = ["interpolation_matrix", "node_count", "nodes"]

_STEP = 0.02
_FEWEST = 12
_TOLERANCE = 1e-9


def node_count(wavelength_min, wavelength_max):
    """
    Choose the number of nodes for a range of wavelengths.

    Parameters
    ----------
    wavelength_min, wavelength_max : float
        Range [um].

    Returns
    -------
    int
        One node for each 2 % in wavelength, at least twelve; one for a single wavelength.

    Raises
    ------
    ParameterError
        If the range is not ascending and positive.
    """
    _check_range(wavelength_min, wavelength_max)
    span = np.log(wavelength_max / wavelength_min)
    return 1 if span == 0 else max(int(np.ceil(span / _STEP)) + 1, _FEWEST)


def nodes(wavelength_min, wavelength_max, n=None):
    """
    Place nodes evenly in log wavelength.

    Parameters
    ----------
    wavelength_min, wavelength_max : float
        Range [um]; its ends are nodes.
    n : int, optional
        Number of nodes; that of `node_count` by default.

    Returns
    -------
    ndarray, shape (n,)
        Wavelengths of the nodes [um], ascending.

    Raises
    ------
    ParameterError
        If the range is not ascending and positive, or one node is asked to stand for a range.
    """
    _check_range(wavelength_min, wavelength_max)
    n = node_count(wavelength_min, wavelength_max) if n is None else n
    if wavelength_min == wavelength_max:
        return np.array([float(wavelength_min)])
    if n < 2:
        raise ParameterError(f"found {n} wavelength nodes, expected at least 2")
    return np.geomspace(wavelength_min, wavelength_max, n)


def interpolation_matrix(wavelength, nodes):
    """
    Compute the matrix from nodes to channels: ``otf[l] = sum_r matrix[l, r] * otf_r``.

    Parameters
    ----------
    wavelength : ndarray, shape (n_wave,)
        Wavelengths of the channels [um].
    nodes : ndarray, shape (n,)
        Wavelengths of the nodes [um], ascending.

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
    Largest error of the telescope's PSF in units of its peak, over 1.66 to 2.36 um: 4.3e-4 with 8 nodes,
    2.1e-4 with 12, 1.2e-4 with 16, 5.5e-5 with 24 and 4.6e-5 with 32. The pupil's straight edges leave
    kinks in the OTF, where it is off by up to 2e-3 in few places. NIRCam's wavefront and diffusion jump
    at 2.35 um: state the channel to `jwst_fusion.optics.analytic.nircam_otf` if the nodes reach across.
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
    return CubicSpline(np.log(nodes), np.eye(nodes.size))(np.log(wavelength))


def _check_range(wavelength_min, wavelength_max):
    """Raise a ParameterError for a range that is not one."""
    if not (0 < wavelength_min <= wavelength_max < np.inf):
        raise ParameterError(
            f"found wavelengths from {wavelength_min} to {wavelength_max} um, expected an ascending range"
        )
