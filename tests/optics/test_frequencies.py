"""Tests of the frequencies of a grid."""

import numpy as np
import pytest
from scipy.fft import irfft2, rfft2

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.optics.frequencies import grid_frequencies, make_hermitian


def rotated(angle, cell=0.03):
    """Jacobian of a grid with y at a position angle [deg E of N] and x to the west of it."""
    sine, cosine = np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))
    return cell * np.array([[-cosine, sine], [sine, cosine]])


@pytest.mark.parametrize(("shape", "angle"), [((48, 60), 35.0), ((49, 61), -110.0)])
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


@pytest.mark.parametrize("shape", [(4, 6), (5, 6), (4, 5), (5, 7)])
def test_a_hermitian_half_plane_is_that_of_its_image(shape):
    rng = np.random.default_rng(2)
    size = (3, shape[0], shape[1] // 2 + 1)
    half_plane = rng.normal(size=size) + 1j * rng.normal(size=size)
    before = half_plane.copy()
    result = make_hermitian(half_plane, shape[1])
    np.testing.assert_array_equal(half_plane, before)
    np.testing.assert_allclose(rfft2(irfft2(result, s=shape)), result, atol=1e-14)
    real = rfft2(rng.normal(size=shape))
    np.testing.assert_allclose(make_hermitian(real, shape[1]), real, atol=1e-14)
    otf = np.exp(-((0.05 * np.fft.fftfreq(shape[0])[:, None] + 3 * np.fft.rfftfreq(shape[1])) ** 2))
    scene = rng.normal(size=shape)
    filtered = irfft2(otf * rfft2(scene), s=shape)
    even = make_hermitian(otf, shape[1])
    np.testing.assert_allclose(rfft2(filtered), even * rfft2(scene), atol=1e-12)


def test_a_flat_jacobian_is_rejected():
    with pytest.raises(ParameterError, match="invertible"):
        grid_frequencies((4, 4), np.ones((2, 2)))
