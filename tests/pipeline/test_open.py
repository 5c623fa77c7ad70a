"""The command ``open``: a fused cube in Cubeviz, which is a stand-in here."""

import sys
import webbrowser

import pytest

from jwst_fusion.cli import main
from jwst_fusion.commands import cubeviz

from .conftest import NAME


@pytest.fixture
def started(monkeypatch):
    """What is started in place of Cubeviz, which ends with status 3."""
    commands = []

    class Ended:
        returncode = 3

    def start(command):
        commands.append(command)
        return Ended

    monkeypatch.setattr("subprocess.run", start)
    monkeypatch.setattr(webbrowser, "get", lambda: None)
    return commands


@pytest.mark.parametrize("version", [4, 5])
def test_product_is_given_to_cubeviz(product, started, monkeypatch, version):
    """Since its version 5 jdaviz shows an empty window if the format of the file is not given."""
    monkeypatch.setattr(cubeviz, "_jdaviz_version", lambda: version)
    monkeypatch.chdir(product.parent)
    assert main(["open", product.name]) == 3
    file = [str(product)] if version == 4 else ["--filepath", str(product), "--file_format", "3D Spectrum"]
    assert started == [[sys.executable, "-m", "jdaviz.cli", "--layout=cubeviz", *file]]


def test_a_machine_without_a_browser_is_told_in_one_line(product, started, monkeypatch, capsys):
    def nothing():
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(cubeviz, "_jdaviz_version", lambda: 5)
    monkeypatch.setattr(webbrowser, "get", nothing)
    assert main(["open", str(product)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "no browser was found" in line
    assert not started


def test_only_fused_cubes_are_opened_and_only_with_jdaviz(product, started, monkeypatch, tmp_path, capsys):
    def nothing(name):
        raise cubeviz.PackageNotFoundError(name)

    monkeypatch.setattr(cubeviz, "version", nothing)
    assert main(["open", str(product)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install jdaviz" in line
    monkeypatch.setattr(cubeviz, "_jdaviz_version", lambda: 5)
    for path, words in (
        (tmp_path / "none.fits", "no such file"),
        (product.with_name(f"{NAME}_xcal.fits"), "not a fused cube"),
    ):
        assert main(["open", str(path)]) == 1
        assert words in capsys.readouterr().err
    assert not started
