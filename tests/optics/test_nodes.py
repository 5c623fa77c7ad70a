"""Tests of the wavelength nodes."""

import numpy as np
import pytest

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.optics.frequencies import grid_frequencies
from jwst_fusion.optics.nodes import _node_count, fixed_nodes, interpolation_matrix, nodes
from jwst_fusion.optics.telescope import telescope_otf


def psf_error(low, high, n, cell):
    """Largest error between nodes of PSFs, in units of the peak."""
    shape = (96, 96)
    frequencies = grid_frequencies(shape, np.diag([-cell, cell]))
    at = nodes(low, high, n)
    wavelength = np.sqrt(at[:-1] * at[1:])[[0, 1, at.size // 2, -1]]
    true = telescope_otf(wavelength, *frequencies, position_angle_v3=15.0)
    matrix = interpolation_matrix(wavelength, at)
    found = np.tensordot(matrix, telescope_otf(at, *frequencies, position_angle_v3=15.0), axes=1)
    peak = np.fft.irfft2(true, s=shape).max(axis=(1, 2), keepdims=True)
    return (abs(np.fft.irfft2(found - true, s=shape)) / peak).max()


@pytest.mark.parametrize(
    ("low", "high", "cell"),
    [(0.97, 1.355, 0.033), (4.35, 5.1, 0.05)],
)
def test_default_nodes_hold_the_psf(low, high, cell):
    assert psf_error(low, high, None, cell) < 1e-4


def test_matrix_reproduces_cubics_in_log_wavelength():
    at = nodes(1.66, 2.35)
    assert at.size == _node_count(1.66, 2.35) == 29
    np.testing.assert_allclose(np.diff(np.log(at)), np.log(at[1] / at[0]))
    wavelength = np.linspace(1.66, 2.35, 200)
    matrix = interpolation_matrix(wavelength, at)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    np.testing.assert_allclose(matrix @ np.log(at) ** 3, np.log(wavelength) ** 3, atol=1e-12)
    np.testing.assert_allclose(interpolation_matrix(at, at), np.eye(at.size), atol=1e-12)


def test_single_wavelength_and_few_nodes():
    np.testing.assert_array_equal(nodes(2.0, 2.0), [2.0])
    np.testing.assert_array_equal(interpolation_matrix([2.0], [2.0]), [[1.0]])
    assert _node_count(2.0, 2.01) == 4
    for n in (2, 3):
        assert interpolation_matrix(1.9, nodes(1.8, 2.0, n)).sum() == pytest.approx(1)


def test_bad_ranges_are_rejected():
    with pytest.raises(ParameterError, match="range"):
        nodes(2.0, 1.0)
    with pytest.raises(ParameterError, match="nodes"):
        nodes(1.0, 2.0, 1)
    with pytest.raises(ParameterError, match="within the nodes"):
        interpolation_matrix([2.5], nodes(1.66, 2.36))


def test_nodes_are_split_where_the_channels_meet():
    at = nodes(2.0, 2.8)
    assert (at == 2.35).sum() == 2
    wavelength = np.linspace(2.0, 2.8, 101)
    step = np.where(wavelength < 2.35, 1.0, 5.0)
    values = np.where(np.arange(at.size) <= np.flatnonzero(at == 2.35)[0], 1.0, 5.0)
    np.testing.assert_allclose(interpolation_matrix(wavelength, at) @ values, step, atol=1e-12)


@pytest.mark.parametrize("limits", [(1.66, 2.3), (2.34, 2.35), (2.35, 2.36), (5.2, 5.3)])
def test_fixed_nodes_enclose_the_range_and_are_the_same_for_all(limits):
    at = fixed_nodes(*limits)
    assert at.size >= 4
    assert at[0] <= limits[0] * (1 + 1e-9)
    assert at[-1] >= limits[1] * (1 - 1e-9)
    assert set(at) <= {0.6, 5.3} | set(fixed_nodes(0.6, 5.3))
    if limits[1] <= 2.35:
        assert at[-1] <= 2.35  # NIRCam's short channel goes no further
    elif limits[0] >= 2.35:
        assert at[0] >= 2.35
