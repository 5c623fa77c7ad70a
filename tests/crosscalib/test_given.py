"""Factors that the user gives, as words or as a table."""

import pytest
from astropy.table import Table

from jwst_fusion.adapters import read_factors
from jwst_fusion.crosscalib.scale import BandScale
from jwst_fusion.exceptions import ParameterError


def test_words():
    assert read_factors(["f182m:1.14", " F187N : 1.07"]) == {
        "F182M": BandScale(1.14, 0.0),
        "F187N": BandScale(1.07, 0.0),
    }
    assert read_factors(None) == read_factors([]) == read_factors(["None"]) == {}


@pytest.mark.parametrize(("name", "form"), [("x.ecsv", "ascii.ecsv"), ("x.csv", "ascii.csv")])
def test_tables(name, form, tmp_path):
    table = Table({"filter": ["F182M", "f210m"], "scale": [1.14, 1.13], "scale_err": [0.01, 0.02]})
    table.write(tmp_path / name, format=form)
    found = read_factors([name], lambda file: str(tmp_path / file))
    assert found == {"F182M": BandScale(1.14, 0.01), "F210M": BandScale(1.13, 0.02)}
    table["pedestal"] = [-2.0, 0.0]
    table.write(tmp_path / name, format=form, overwrite=True)
    assert read_factors([str(tmp_path / name)])["F182M"].pedestal == -2.0


def test_what_can_not_be_read(tmp_path):
    for text in ("band,factor\nF182M,1\n", "filter,scale\nF182M,much\n"):
        (tmp_path / "x.csv").write_text(text)
        with pytest.raises(ParameterError, match="x.csv: cannot be read as a table of factors"):
            read_factors([str(tmp_path / "x.csv")])
    for entry in ("F182M", "F182M:much", "none.csv"):
        with pytest.raises(ParameterError, match="give FILTER:SCALE"):
            read_factors([entry])
