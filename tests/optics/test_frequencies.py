"""Tests of the frequencies of a grid."""

import numpy as np
import pytest

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.optics.frequencies import grid_frequencies, symmetrise_nyquist


def rotated(angle, cell=0.03):
    """Jacobian of a grid with y at a position angle [deg E of N] and x to the west of it."""
    sine, cosine = np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))
    return cell * np.array([[-cosine, sine], [sine, cosine]])


@pytest.mark.parametrize("shape", [(48, 60), (49, 61)])
@pytest.mark.parametrize("angle", [0.0, 35.0, -110.0])
def test_a_kernel_lies_as_its_otf_says(shape, angle):
    jacobian = rotated(angle)
    east, north = grid_frequencies(shape, jacobian)
    assert east.shape == (shape[0], shape[1] // 2 + 1)
    sigma_east, sigma_north, covariance = 0.12, 0.06, 0.004
    form = sigma_east**2 * east**2 + sigma_north**2 * north**2 + 2 * covariance * east * north
    kernel = np.fft.irfft2(np.exp(-2 * np.pi**2 * form), s=shape)
    y, x = (np.fft.fftfreq(n, 1 / n) for n in shape)
    offset = np.einsum("ij,jyx->iyx", jacobian, np.array(np.broadcast_arrays(x, y[:, np.newaxis])))
    measured = np.einsum("iyx,jyx,yx->ij", offset, offset, kernel)
    np.testing.assert_allclose(
        measured, [[sigma_east**2, covariance], [covariance, sigma_north**2]], atol=2e-6
    )


def test_symmetrised_otf_is_the_diagonal_of_the_operator():
    shape = (12, 10)
    rng = np.random.default_rng(3)
    east, north = grid_frequencies(shape, rotated(20.0))
    otf = np.exp(-((0.05 * east + 0.08 * north) ** 2))
    even = symmetrise_nyquist(otf, shape)
    scene = rng.normal(size=shape)
    filtered = np.fft.irfft2(otf * np.fft.rfft2(scene), s=shape)
    np.testing.assert_allclose(np.fft.rfft2(filtered), even * np.fft.rfft2(scene), atol=1e-12)
    assert abs(even - otf).max() > 1e-3


def test_a_flat_jacobian_is_rejected():
    with pytest.raises(ParameterError, match="invertible"):
        grid_frequencies((4, 4), np.ones((2, 2)))
