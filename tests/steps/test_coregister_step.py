"""Parameters of the coregister step."""

import pytest

from jwst_fusion import CoregisterStep
from jwst_fusion.exceptions import ParameterError


@pytest.mark.parametrize(
    ("words", "limits"),
    [
        (None, None),
        (["symmetric"], None),
        (["cube"], (0.1, 100.0)),
        (["1.7", "2.2"], (1.7, 2.2)),
        ([1.7, 2.2], (1.7, 2.2)),
    ],
)
def test_wavelength_range(words, limits):
    step = CoregisterStep()
    step.wavelength_range = words
    assert step._settings().wavelength_range == limits


@pytest.mark.parametrize("words", [["luck"], ["1.7"], ["1.7", "2.0", "2.2"], ["cube", "2.0"]])
def test_wavelength_ranges_that_are_none(words):
    step = CoregisterStep()
    step.wavelength_range = words
    with pytest.raises(ParameterError, match="symmetric, cube or two limits"):
        step._settings()
