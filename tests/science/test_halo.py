"""Light that the halo of a PSF takes from its core, and its part in the errors of lines."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_fusion.optics.telescope import SHORT_WAVEFRONT, wavefront_change
from jwst_fusion.science.halo import halo_change
from jwst_fusion.science.lines import line_window, measure_line

from .scenes import LINE, low_rank, make_scene

SIZE = 30.0  # cells
CORE = SIZE / (2 * np.pi)


def test_a_point_becomes_the_halo_that_the_otf_stands_for():
    """The transform of exp(-s f) in the plane is a / (2 pi (r^2 + a^2)^1.5), a = s / 2 pi."""
    point = np.zeros((1, 301, 301))
    point[0, 150, 150] = 1.0
    change = halo_change(point, SIZE)[0]
    r = np.hypot(*(np.indices(change.shape) - 150))
    halo = CORE / (2 * np.pi * (r**2 + CORE**2) ** 1.5)
    assert change[150, 150] == pytest.approx(halo[150, 150] - 1, abs=1e-4)
    ring = (r > 0) & (r < 35)
    np.testing.assert_allclose(change[ring], halo[ring], rtol=0.02)


def test_nothing_changes_where_the_sky_is_flat_or_the_halo_a_point():
    maps = np.random.default_rng(0).normal(size=(2, 20, 30))
    np.testing.assert_allclose(halo_change(maps, 0.0), 0.0, atol=1e-14)
    flat = np.full((1, 20, 30), 3.0)
    flat[:, :4] = np.nan
    change = halo_change(flat, SIZE)
    assert np.isnan(change[:, :4]).all()
    np.testing.assert_allclose(change[:, 4:], 0.0, atol=1e-12)


def test_size_and_light_are_those_of_the_otf():
    light, size = SHORT_WAVEFRONT.halo(2.0)
    frequencies = np.array([0.3]), np.array([0.4])
    assert np.expm1(-size * 0.5) == pytest.approx(wavefront_change(2.0, frequencies)[0], rel=1e-12)
    assert light == pytest.approx((2 * np.pi * 0.0696 / 2.0) ** 2, rel=1e-12)


def test_error_of_the_halo_is_what_it_changes_in_a_region(truth):
    """The scattered flux of the region adds to the error of its flux in quadrature."""
    scene = make_scene(*low_rank(truth.cube))
    window = line_window(scene, LINE, 700.0)
    weight = np.zeros(scene.inside.shape)
    weight[5:15, 4:12] = 1
    scattered = replace(scene, halo_error=0.5, halo_size=SIZE * np.sqrt(scene.cell_area))
    sharp = measure_line(scene.region(weight), window).flux
    flux = measure_line(scene.cells(), window).flux.value
    moved = 0.5 * (halo_change(flux[np.newaxis], SIZE)[0] * weight).sum() * scene.cell_area
    found = measure_line(scattered.region(weight), window).flux
    assert found.error == pytest.approx(np.hypot(sharp.error, moved), rel=1e-6)
    assert found.error > 1.1 * sharp.error
    assert found.value == sharp.value
