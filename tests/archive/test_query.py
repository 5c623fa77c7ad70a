"""Questions to MAST, through astroquery itself, to a server on this machine that answers like MAST."""

import sys

import pytest
from astropy.io import fits

from jwst_fusion.archive import manifest
from jwst_fusion.cli import main

from .mast import mast_server


@pytest.fixture
def mast(monkeypatch, tmp_path):
    """The server, which astroquery takes for MAST."""
    from astroquery.mast import Observations

    fits.PrimaryHDU().writeto(tmp_path / "content.fits")
    with mast_server() as server:
        names = ("jw1_nircam_i2d.fits", "jw1_nirspec_s3d.fits")
        server.files = dict.fromkeys(names, (tmp_path / "content.fits").read_bytes())
        portal = Observations._portal_api_connection
        monkeypatch.setattr(portal, "MAST_REQUEST_URL", f"{server.url}/api/v0/invoke")
        monkeypatch.setattr(portal, "COLUMNS_CONFIG_URL", f"{server.url}/columnsconfig")
        monkeypatch.setattr(portal, "_column_configs", {})
        yield server


def test_query_becomes_associations_and_files(mast, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["match", "--query", "proposal_id=1288", "--output-dir", str(out), "--download",
               "--base-url", mast.url]  # fmt: skip
    assert main(command) == 0
    assert "2 files fetched" in capsys.readouterr().out
    (target,) = manifest.read_manifest(out / "manifest.json")
    assert target.name == "jw1_nirspec_f182m"
    assert [(file.filename, file.uri) for file in target.files] == [
        (name, f"mast:JWST/product/{name}") for name in mast.files
    ]
    assert {name: (out / name).read_bytes() for name in mast.files} == mast.files
    filters = {each["paramName"]: each["values"] for each in mast.asked[0]["params"]["filters"]}
    assert filters["instrument_name"] == ["NIRSPEC/IFU", "NIRCAM/IMAGE"]
    assert filters["obs_collection"] == ["JWST"]


def test_what_finds_nothing_is_told(mast, tmp_path, capsys):
    for criterion, status, message in (
        ("proposal_id=9", 64, "MAST has no level-3 products for proposal_id=9"),
        ("proposal=1288", 1, "MAST does not understand the query"),
        ("1288", 1, "not of the form proposal_id=1288"),
    ):
        assert main(["match", "--query", criterion, "--output-dir", str(tmp_path / "out")]) == status
        assert message in capsys.readouterr().err


def test_mast_that_does_not_answer_and_absent_astroquery_are_told(mast, tmp_path, capsys, monkeypatch):
    from astroquery.mast import Observations

    command = ["match", "--query", "proposal_id=1288", "--output-dir", str(tmp_path / "out")]
    monkeypatch.setattr(Observations._portal_api_connection, "COLUMNS_CONFIG_URL", "http://127.0.0.1:9/")
    assert main(command) == 1
    assert "MAST does not answer" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "astroquery.mast", None)
    assert main(command) == 1
    assert "pip install 'jwst_fusion[mast]'" in capsys.readouterr().err
