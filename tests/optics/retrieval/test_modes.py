"""Tests of the modes of the wavefront."""

import numpy as np
import pytest

from jwst_fusion.optics.retrieval.modes import RADIUS, pupil_points, wavefront_modes, zernikes
from jwst_fusion.optics.telescope import LONG_WAVEFRONT, SHORT_WAVEFRONT


def circle(step=0.05):
    axis = np.arange(-RADIUS, RADIUS + step, step)
    x, y = np.meshgrid(axis, axis)
    inside = np.hypot(x, y) <= RADIUS
    return x[inside], y[inside]


def test_zernike_polynomials_are_orthonormal_over_the_circle():
    z = zernikes(*circle(0.02), order=6)
    assert len(z) == 7 * 8 // 2 - 3
    np.testing.assert_allclose(z @ z.T / z.shape[1], np.eye(len(z)), atol=0.02)
    assert np.abs(z.mean(axis=1)).max() < 0.01


@pytest.mark.parametrize("wavefront", [SHORT_WAVEFRONT, LONG_WAVEFRONT])
def test_modes_and_rest_have_the_variance_of_the_statistics(wavefront):
    modes = wavefront_modes(wavefront)
    shapes = np.tensordot(modes.matrix.T, zernikes(*circle()), axes=1)
    np.testing.assert_allclose((shapes**2).mean(axis=1)[:40], modes.variance[:40], rtol=0.05)
    assert (np.diff(modes.variance) < 1e-9).all()
    # of the statistics' variance, piston, tip and tilt are in neither
    total = modes.variance.sum() + modes.structure.max()
    assert 0.75 * wavefront.rms**2 < total < 1.05 * wavefront.rms**2
    assert modes.rest(np.array([0.0]))[0] == 0


def test_drawn_wavefronts_are_as_the_statistics_say():
    modes = wavefront_modes(SHORT_WAVEFRONT)
    x, y = circle(0.25)
    rng = np.random.default_rng(5)
    z = rng.standard_normal((400, modes.number)) @ np.tensordot(modes.matrix.T, zernikes(x, y), axes=1)
    assert np.mean(z**2) == pytest.approx(modes.variance.sum(), rel=0.1)


def test_a_turned_pupil_has_the_same_area_and_its_points_turn_with_it():
    angle = np.radians(30.0)
    frame = np.array([[-np.cos(angle), np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    plain, points = pupil_points(0.06, np.eye(2))
    turned, (v2, v3) = pupil_points(0.06, frame)
    assert turned.sum() == pytest.approx(plain.sum(), rel=2e-3)
    np.testing.assert_allclose(
        [(turned * v2).sum(), (turned * v3).sum()], [(plain * p).sum() for p in points], atol=2
    )
