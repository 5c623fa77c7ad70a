"""Ratios of lines and extinction."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.science.lines import Quantity, line_window, measure_line
from jwst_fusion.science.ratios import extinction, line_ratio

from .scenes import LINE, likely_errors, line_cube, low_rank, make_scene

OTHER = 2.08 + 80 * 4e-4


@pytest.fixture(scope="module")
def scene():
    cube = line_cube().cube
    return make_scene(*low_rank(cube + 0.5 * np.roll(cube - cube[:1], 80, axis=0), k=16))


@pytest.fixture(scope="module")
def windows(scene):
    return line_window(scene, LINE, 600.0), line_window(scene, OTHER, 600.0)


def test_ratio_has_an_error_of_its_own(scene, windows):
    cells = scene.cells()
    one, other = (measure_line(cells, window).flux for window in windows)
    ratio = line_ratio(cells, *windows)
    np.testing.assert_allclose(ratio.value, one.value / other.value)
    rng, pulls = np.random.default_rng(3), []
    for _ in range(40):
        errors = likely_errors(rng, scene.coefficients.shape)
        drawn = line_ratio(replace(scene, coefficients=scene.coefficients + errors).cells(), *windows)
        pulls.append((drawn.value - ratio.value) / ratio.error)
    assert 0.9 < np.sqrt(np.mean(np.square(pulls))) < 1.1


def test_a_line_over_itself_is_one_without_error(scene, windows):
    ratio = line_ratio(scene.cells(), windows[0], windows[0])
    np.testing.assert_allclose(ratio.value, 1.0)
    np.testing.assert_allclose(ratio.error, 0.0, atol=1e-9)


def test_extinction_reddens_the_ratio():
    """A_V = 10 makes the bluer line fainter by 0.4 (A_1 - A_2) dex."""
    law = [0.404 * wavelength**-1.61 for wavelength in (1.2822, 2.1661)]
    seen = 5.9 * 10 ** (-0.4 * 10 * (law[0] - law[1]))
    found = extinction(
        Quantity(np.array([seen, -1.0]), np.array([0.01 * seen, 1.0]), ""), 5.9, (1.2822, 2.1661)
    )
    assert found.value[0] == pytest.approx(10.0, rel=1e-6)
    assert found.error[0] == pytest.approx(1.0857 * 0.01 / (law[0] - law[1]), rel=1e-3)
    assert np.isnan(found.value[1])
    assert found.unit == "mag"


@pytest.mark.parametrize(
    ("intrinsic", "wavelengths", "words"),
    [(-1, (1.28, 2.17), "positive"), (3, (2.17, 4.05), "holds from"), (3, (2.17, 2.17), "farther apart")],
)
def test_extinction_that_cannot_be_told_says_why(intrinsic, wavelengths, words):
    with pytest.raises(ParameterError, match=words):
        extinction(Quantity(np.ones(2), np.ones(2), ""), intrinsic, wavelengths)
