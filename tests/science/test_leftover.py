"""Signal that the components do not carry: found in the residuals of the cube, and part of the errors."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_fusion.science.leftover import Leftover
from jwst_fusion.science.lines import line_window, measure_line

from .scenes import LINE, SHAPE, WAVELENGTH, line_cube, low_rank, make_scene

UNKNOWN = -32768
STEP = 0.02  # MJy/sr
NOISE = 1.0  # MJy/sr
SPAXELS = (SHAPE[0] // 2, SHAPE[1] // 2)


def leftover(rng, signal, *, spaxels=SPAXELS):
    """Noise, and a line of some brightness [MJy/sr] in each spaxel; a few voxels are unknown."""
    profile = np.exp(-(((WAVELENGTH - LINE) / 5e-4) ** 2) / 2)
    rest = NOISE * rng.standard_normal((WAVELENGTH.size, *spaxels)) + profile[:, None, None] * signal
    steps = np.rint(rest / STEP).astype(np.int16)
    steps[rng.uniform(size=steps.shape) < 0.002] = UNKNOWN
    return Leftover(steps, UNKNOWN, np.full(WAVELENGTH.size, STEP)), profile


@pytest.fixture(scope="module")
def scene():
    return make_scene(*low_rank(line_cube().cube), level=1e-6)


@pytest.fixture(scope="module")
def window(scene):
    return line_window(scene, LINE, 700.0)


def test_noise_alone_is_mostly_no_signal(window):
    rng = np.random.default_rng(1)
    found = [leftover(rng, 0.0)[0].variance(window.functionals[0]) for _ in range(20)]
    assert np.count_nonzero(found) <= 4


@pytest.mark.parametrize("size", [1, 2])
def test_variance_of_the_signal_is_found(window, size):
    """Of a spaxel, and of a square of them."""
    rng, found = np.random.default_rng(2), []
    for _ in range(10):
        left, profile = leftover(rng, 3 * rng.standard_normal((30, 30)), spaxels=(30, 30))
        weight = None if size == 1 else np.ones((size, size))
        found.append(left.variance(window.functionals[0], weight))
    true = 9 * (window.functionals[0] @ profile) ** 2 * size**2
    assert np.mean(found) == pytest.approx(true, rel=0.2)


def test_what_is_lost_is_in_the_errors_of_cells_and_regions(scene, window):
    rng = np.random.default_rng(3)
    signal = 4 * rng.standard_normal(SPAXELS)
    left, profile = leftover(rng, signal)
    lossy = replace(scene, leftover=left)
    expected = np.abs(window.functionals[0] @ profile) * 4
    cells = measure_line(lossy.cells(), window)
    assert np.median(cells.flux.error) == pytest.approx(expected, rel=0.3)
    relative = cells.equivalent_width.error / np.abs(cells.equivalent_width.value)
    np.testing.assert_allclose(relative, cells.flux.error / cells.flux.value, rtol=0.05)
    weight = np.zeros(SHAPE)
    weight[4:8, 4:10] = 1  # 2 x 3 spaxels
    region = measure_line(lossy.region(weight), window)
    sigma = expected * 4 * np.sqrt(6) * scene.cell_area  # four cells a spaxel
    assert region.flux.error == pytest.approx(sigma, rel=0.4)


def test_a_field_without_data_has_no_signal(window):
    steps = np.full((WAVELENGTH.size, *SPAXELS), UNKNOWN, dtype=np.int16)
    assert not Leftover(steps, UNKNOWN, np.ones(WAVELENGTH.size)).variance(window.functionals[0])
