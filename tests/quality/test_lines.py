"""The spectral lines of the explorer."""

import pytest

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.quality.lines import LINES, find_line, lines_between


@pytest.mark.parametrize(
    ("name", "wavelength"),
    [
        ("Pa alpha", 1.8756), ("Br gamma", 2.1661), ("Pa beta", 1.2822), ("Br alpha", 4.0523),
        ("H2 1-0 S(1)", 2.1218), ("[Fe II] 1.644", 1.6440), ("He I 1.083", 1.0833),
        ("CO 1-0 P(8)", 4.7359),
    ],
)  # fmt: skip
def test_wavelengths_are_those_in_vacuum(name, wavelength):
    (line,) = [line for line in LINES if line.name == name]
    assert line.wavelength == pytest.approx(wavelength, abs=1e-4)
    assert line.source


def test_lines_in_range_ascend():
    found = lines_between(1.66, 2.3)
    assert len(found) > 8
    assert all(1.66 <= line.wavelength <= 2.3 for line in found)
    assert [line.wavelength for line in found] == sorted(line.wavelength for line in found)
    assert lines_between(7.0, 8.0) == ()


@pytest.mark.parametrize("text", ["H2 1-0 S(1)", "H2_1-0S1", "h2 1-0s(1)"])
def test_names_are_found_however_they_are_typed(text):
    assert find_line(text).wavelength == 2.12183


def test_every_name_finds_its_own_line():
    assert all(find_line(line.name) is line for line in LINES)


def test_a_wavelength_is_a_line():
    assert find_line("1.8756").wavelength == 1.8756
    assert find_line(2.1).name == "2.1"


@pytest.mark.parametrize("text", ["-2", "nan", "0", "inf"])
def test_what_is_no_wavelength_is_refused(text):
    with pytest.raises(ParameterError, match="positive number"):
        find_line(text)


def test_an_unknown_name_is_told_its_neighbours():
    with pytest.raises(ParameterError, match=r"line 'Pa alfa' is not in the list; nearest .*Pa alpha"):
        find_line("Pa alfa")
