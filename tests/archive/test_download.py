"""Downloads from a server on this machine: whole, of the right size and checksum, or not at all."""

import hashlib

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from jwst_fusion.archive.download import CHECKSUMS, download, fault_of
from jwst_fusion.archive.table import ArchiveFile
from jwst_fusion.cli import main

from .mast import mast_server


@pytest.fixture
def server():
    """A server that looks like MAST's download service."""
    with mast_server() as server:
        yield server


@pytest.fixture
def content(tmp_path):
    path = tmp_path / "whole.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.arange(6000.0))]).writeto(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("scheme", "stated", "before"),
    [("mast", "nothing", "nothing"), ("http", "size", "partial"), ("mast", "md5", "corrupt"),
     ("http", "sha256", "corrupt"), ("http", "nothing", "corrupt"), ("mast", "size", "corrupt")],
)  # fmt: skip
def test_file_comes_whole_whatever_was_there(tmp_path, server, content, scheme, stated, before):
    server.files["a_i2d.fits"], server.faults["a_i2d.fits"] = content, 1
    uri = "mast:JWST/product/a_i2d.fits" if scheme == "mast" else f"{server.url}/a_i2d.fits"
    file = ArchiveFile(
        "a_i2d.fits", uri,
        size=len(content) if stated == "size" else None,
        checksum=hashlib.new(stated, content).hexdigest() if stated in ("md5", "sha256") else "",
    )  # fmt: skip
    path = tmp_path / "data" / "a_i2d.fits"
    path.parent.mkdir()
    if before == "partial":
        path.write_bytes(content[:3000])
    if before == "corrupt":
        path.write_bytes(content.replace(b"SIMPLE", b"SAMPLE"))
        if stated == "size":
            path.write_bytes(content + b" ")
    assert download([file], path.parent, base_url=server.url) == (["a_i2d.fits"], {})
    assert path.read_bytes() == content
    assert sorted(each.name for each in path.parent.iterdir()) == ["a_i2d.fits", CHECKSUMS]
    asked = len(server.asked)
    assert download([file], path.parent, base_url=server.url) == ([], {})
    assert len(server.asked) == asked


def test_checksum_of_the_first_download_guards_the_file(tmp_path, server, content):
    server.files["a_i2d.fits"] = content
    file = ArchiveFile("a_i2d.fits", f"{server.url}/a_i2d.fits")
    download([file], tmp_path)
    path = tmp_path / "a_i2d.fits"
    path.write_bytes(content[:-8] + b"changed.")
    assert fault_of(path) == ""
    assert download([file], tmp_path) == (["a_i2d.fits"], {})
    assert path.read_bytes() == content


def test_what_cannot_be_fetched_is_told_and_leaves_what_was_there(tmp_path, server, content):
    server.files.update({"a_i2d.fits": content, "page_i2d.fits": b"<html>busy</html>"})
    server.faults["a_i2d.fits"] = 99
    files = [
        ArchiveFile("a_i2d.fits", "mast:JWST/product/a_i2d.fits", size=len(content)),
        ArchiveFile("page_i2d.fits", f"{server.url}/page_i2d.fits"),
        ArchiveFile("absent_i2d.fits", "mast:absent_i2d.fits"),
        ArchiveFile("lost_i2d.fits", f"{server.url}/lost_i2d.fits"),
        ArchiveFile("odd_i2d.fits", "ftp://x/odd_i2d.fits"),
    ]
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a_i2d.fits").write_bytes(content[:100])
    fetched, problems = download(files, folder, base_url=server.url)
    assert fetched == []
    assert list(problems) == [file.filename for file in files]
    assert f"{len(content)} expected" in problems["a_i2d.fits"]
    assert "no FITS file" in problems["page_i2d.fits"]
    assert "404" in problems["lost_i2d.fits"]
    assert "not an address" in problems["odd_i2d.fits"]
    assert "the file that is there stays" in problems["a_i2d.fits"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a_i2d.fits": content[:100]}


def test_names_that_lead_out_of_the_folder_are_refused(tmp_path, server, content):
    server.files["a_i2d.fits"] = content
    (tmp_path / "a_i2d.fits").write_text("mine")
    names = ["../a_i2d.fits", str(tmp_path / "a_i2d.fits"), "..", "", "a\ud800_i2d.fits", "a\0_i2d.fits"]
    files = [ArchiveFile(name, f"{server.url}/a_i2d.fits") for name in names]
    fetched, problems = download(files, tmp_path / "data")
    assert (fetched, list(problems), server.asked) == ([], names, [])
    assert all("cannot name a file" in problem for problem in problems.values())
    assert (tmp_path / "a_i2d.fits").read_text() == "mine"
    assert list((tmp_path / "data").iterdir()) == []


def test_command_downloads_what_the_fusions_need(tmp_path, server, content, capsys):
    rows = [
        ("a", "NIRSPEC/IFU", "F170LP;G235H", "a_s3d.fits"),
        ("b", "NIRCAM/IMAGE", "F182M", "b_i2d.fits"),
        ("c", "NIRCAM/IMAGE", "F356W", "c_i2d.fits"),
    ]
    rows = [(*row[:3], f"mast:JWST/product/{row[3]}", len(content), "CIRCLE 0 0 0.01") for row in rows]
    names = ("obs_id", "instrument_name", "filters", "dataURI", "size", "s_region")
    Table(rows=rows, names=names).write(tmp_path / "table.csv")
    server.files["a_s3d.fits"] = content
    command = ["match", str(tmp_path / "table.csv"), "--output-dir", str(tmp_path / "out"), "--download",
               "--base-url", server.url]  # fmt: skip
    assert main(command) == 1
    assert "b_i2d.fits: not fetched" in capsys.readouterr().out
    server.files["b_i2d.fits"] = content
    assert main(command) == 0
    assert "1 files fetched, 1 were there" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").glob("*.fits")) == ["a_s3d.fits", "b_i2d.fits"]
