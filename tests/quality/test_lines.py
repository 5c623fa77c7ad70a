"""The spectral lines of the explorer."""

import pytest

from jwst_fusion.quality.lines import LINES, lines_between


@pytest.mark.parametrize(
    ("name", "wavelength"),
    [
        ("Pa alpha", 1.8756), ("Br gamma", 2.1661), ("Pa beta", 1.2822), ("Br alpha", 4.0523),
        ("H2 1-0 S(1)", 2.1218), ("[Fe II] 1.644", 1.6440), ("He I 1.083", 1.0833),
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
