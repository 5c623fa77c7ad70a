"""Tests of the image of a point source and of its derivatives."""

from functools import partial

import numpy as np
import pytest

from jwst_fusion.optics.psf import psf_image
from jwst_fusion.optics.retrieval.model import BandOptics, PointImage, shifted_samples
from jwst_fusion.optics.retrieval.modes import wavefront_modes
from jwst_fusion.optics.telescope import PERFECT_WAVEFRONT, SHORT_WAVEFRONT, telescope_otf

MODES = wavefront_modes(SHORT_WAVEFRONT)
UPRIGHT = np.diag([-1.0, 1.0])


def box(x, y):
    return np.sinc(0.031 * x) * np.sinc(0.031 * y)


def band(wavelength=(1.95, 2.05), angle=30.0, blur=box):
    turn = np.radians(angle)
    frame = np.array([[-np.cos(turn), np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    share = np.full(len(wavelength), 1 / len(wavelength))
    return BandOptics(np.array(wavelength), share, frame, 0.031, blur)


def test_derivatives_are_those_of_finite_differences():
    image = PointImage(band(), MODES, 0.4, precision=np.float64)
    rng = np.random.default_rng(1)
    z, moments = rng.standard_normal(MODES.number), np.array([1e-5, 2e-5, -1e-5, 1e-6, 0, 2e-6, -1e-6])
    changes = image(z, 0.5, moments, derivatives=True)[1]
    for j in (0, 3, 40, MODES.number - 1):
        step = 1e-5 * (np.arange(z.size) == j)
        found = (image(z + step, 0.5, moments)[0][0] - image(z - step, 0.5, moments)[0][0]) / 2e-5
        np.testing.assert_allclose(changes[j], found, atol=1e-5 * np.abs(changes[j]).max())
    for j in range(7):
        size = 1e-7 if j < 3 else 1e-8
        step = size * (np.arange(7) == j)
        found = (image(z, 0.5, moments + step)[0][0] - image(z, 0.5, moments - step)[0][0]) / (2 * size)
        np.testing.assert_allclose(changes[z.size + j], found, atol=1e-5 * np.abs(found).max())


def test_single_precision_is_enough():
    z = np.random.default_rng(1).standard_normal(MODES.number)
    double, single = (
        PointImage(band(), MODES, 0.4, precision=p)(z, 1.0, np.zeros(7), derivatives=True)
        for p in (np.float64, np.float32)
    )
    for a, b in zip(double, single, strict=True):
        assert b.dtype == np.float32
        np.testing.assert_allclose(b, a, atol=1e-5 * np.abs(a).max())


def test_without_wavefront_it_is_the_image_of_the_analytic_model():
    """Its shape and its flux: what is cut off by the image's side is missing from both."""
    plain = BandOptics(np.array([2.0]), np.array([1.0]), UPRIGHT, 0.031, lambda x, y: np.ones_like(x))
    image = PointImage(plain, MODES, 0.5)
    n = image.position.size
    otf = partial(telescope_otf, position_angle_v3=0.0, wavefront=PERFECT_WAVEFRONT)
    wide = psf_image(otf, 2.0, (6 * n + 1, 6 * n + 1), image.step)
    first = (6 * n + 1) // 2 - n // 2
    expected = wide[first : first + n, first : first + n]
    seen = image(np.zeros(3), 0.0, np.zeros(7))[0][0]
    np.testing.assert_allclose(seen, expected, atol=1e-4 * expected.max())


def test_the_statistics_mean_image_is_that_of_many_wavefronts():
    """Modes drawn by chance, and the rest of the statistics, make the analytic model's image on the mean."""
    plain = BandOptics(np.array([2.0]), np.array([1.0]), UPRIGHT, 0.031, box)
    image = PointImage(plain, MODES, 0.3)
    rng = np.random.default_rng(2)
    mean = np.mean(
        [image(rng.standard_normal(MODES.number), 1.0, np.zeros(7))[0][0] for _ in range(60)], axis=0
    )

    def otf(wavelength, x, y):
        return telescope_otf(wavelength, x, y, position_angle_v3=0.0) * box(x, y)

    n = image.position.size
    wide = psf_image(otf, 2.0, (6 * n + 1, 6 * n + 1), image.step)
    first = (6 * n + 1) // 2 - n // 2
    expected = wide[first : first + n, first : first + n]
    inner = np.hypot(*np.meshgrid(image.position, image.position)) < 0.3
    np.testing.assert_allclose(mean[inner], expected[inner], atol=0.02 * expected.max())


def test_a_source_is_moved_by_its_derivative_and_by_interpolation_alike():
    image = PointImage(band(), MODES, 0.4, precision=np.float64)
    planes = image(np.random.default_rng(3).standard_normal(MODES.number), 1.0, np.zeros(7))[0]
    at = np.arange(-8, 9) * 0.031
    still = shifted_samples(image.position, image.step, at)
    moved = shifted_samples(image.position, image.step, at - 1e-4)
    by_place = (still @ planes[0] @ moved.T - still @ planes[0] @ still.T) / 1e-4
    np.testing.assert_allclose(by_place, still @ planes[1] @ still.T, atol=2e-2 * np.abs(by_place).max())


def test_interpolation_reproduces_the_cells():
    position = np.arange(-20, 21) * 0.02
    weights = shifted_samples(position, 0.02, position[5:-5])
    np.testing.assert_allclose(weights, np.eye(41)[5:-5], atol=1e-12)
    wave = np.cos(2 * np.pi * 9.0 * position)
    at = np.array([-0.013, 0.0071])
    assert shifted_samples(position, 0.02, at) @ wave == pytest.approx(np.cos(2 * np.pi * 9.0 * at), abs=0.01)
