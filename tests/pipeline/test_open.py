"""The command ``open``: a fused cube in Cubeviz, which is a stand-in here."""

import sys

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
    return commands


@pytest.mark.parametrize(("version", "option"), [(4, []), (5, ["--filepath"])])
def test_product_is_given_to_cubeviz(product, started, monkeypatch, version, option):
    monkeypatch.setattr(cubeviz, "_jdaviz_version", lambda: version)
    monkeypatch.chdir(product.parent)
    assert main(["open", product.name]) == 3
    assert started == [[sys.executable, "-m", "jdaviz.cli", "--layout=cubeviz", *option, str(product)]]


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
