"""What is wrong with the inputs is found in one look at their headers, before any work."""

import json

import numpy as np
import pytest
from astropy.io import fits

from jwst_fusion import Fusion4Pipeline, adapters, cli, datamodels
from jwst_fusion.adapters import Finding, estimates, preflight
from jwst_fusion.coregistration.coregister import CoregistrationSettings
from jwst_fusion.exceptions import InputError, LimitError
from jwst_fusion.observation import FusionGrid
from tests.console import run_command

from .commands import fail
from .spoils import ASN, CUBE, FAR, FIRST, SECOND, keywords, members, own, truncated

pytestmark = pytest.mark.usefixtures("work")


def examine(source=ASN, *, max_components=8, **settings):
    """Look at what is in the folder."""
    return adapters.examine(source, CoregistrationSettings(**settings), max_components=max_components)


def check(capsys, *arguments):
    """Run the command in this process: its exit status and what it printed."""
    status = cli.main(["check", ASN, *arguments])
    return status, capsys.readouterr().out


def lines(found, verdict):
    """Files and findings of a verdict."""
    return [(line.file, line.what) for line in found.findings if line.verdict == verdict]


def test_good_files_and_models_whose_data_are_not_read(monkeypatch, capsys, titan):
    models = [datamodels.open(name) for name in (CUBE, FIRST, SECOND)]
    monkeypatch.setattr(fits.ImageHDU, "_get_raw_data", lambda *_: pytest.fail("data are read"))
    status, text = check(capsys)
    assert status == 0
    head, *rows = text.splitlines()
    assert head.split() == ["file", "what", "verdict", "cure"]
    assert all(" ok" in row for row in rows)
    for words in (
        (CUBE, "NIRSpec IFU cube G235H/F170LP, ", "100 planes from 1.660 to 2.300 um"),
        (FIRST, "NIRCam image F182M, module B"),
        (SECOND, "100 % of F210M within 1.660 to 2.300 um"),
        (SECOND, "enclose 100 % of the field"),
        ("fused cube takes", "free on the disk"),
        (CUBE, "GiB of memory"),
    ):
        assert any(all(word in row for word in words) for row in rows), words
    assert [line.what for line in examine(models).findings] == [line.what for line in examine().findings]
    for model in models:
        model.close()
    assert examine(titan.association).verdict == "ok"  # moving targets are not looked for by coordinates


def test_all_problems_are_told_at_once(work, capsys, monkeypatch, caplog):
    keywords(FIRST, BUNIT="DN/s")(work)
    status, text = check(capsys, "--json")
    content = json.loads(text)
    assert (status, content["verdict"]) == (1, "error")
    (bad,) = [line for line in content["findings"] if line["verdict"] == "error"]
    assert bad["file"] == FIRST
    assert "BUNIT is DN/s, MJy/sr needed" in bad["what"]
    assert bad["cure"].startswith("use the pipeline's stage-3 product")
    keywords(SECOND, PUPIL="WLP8")(work)
    keywords(CUBE, CTYPE3="FREQ")(work)
    found = examine()
    assert sorted(file for file, _ in lines(found, "error")) == sorted((FIRST, SECOND, CUBE))
    assert isinstance(found.error, InputError)
    monkeypatch.setattr(adapters, "read_cube", lambda *_: pytest.fail("data are read"))
    with caplog.at_level("INFO"), pytest.raises(InputError):
        Fusion4Pipeline.call(ASN, configure_log=False)
    (table,) = [r.getMessage() for r in caplog.records if r.getMessage().startswith("Pre-flight: error")]
    assert all(name in table for name in (CUBE, FIRST, SECOND))


def test_all_missing_and_broken_files_are_told_at_once(work):
    truncated(FIRST, 0.5)(work)
    members(CUBE, FIRST, "gone.fits", "lost.fits")(work)
    found = examine()
    assert [line.verdict for line in found.findings] == ["error"] * 3
    assert all(word in found.table() for word in ("gone.fits", "lost.fits", "truncated"))


def test_another_field_has_its_own_exit_status(work):
    keywords(FIRST, SECOND, **FAR)(work)
    finished = run_command(work.folder, "jwst-fusion", "check", ASN)
    assert finished.status == 64
    assert "Traceback" not in finished.text
    assert "no image covers the field about RA 83.834" in finished.stdout
    assert "use images of the same target" in finished.stdout
    assert examine(alignment="cross_correlation").error is None


def test_what_will_be_left_out_or_guessed_is_a_warning(work):
    keywords(FIRST, **FAR)(work)
    found = examine()
    assert (found.verdict, found.error) == ("warning", None)
    assert lines(found, "warning") == [(FIRST, "its corners enclose 0 % of the field")]
    keywords(FIRST, FILTER="F150W", **FAR)(work)
    found = examine(wavelength_range=(1.66, 2.3))
    assert any("of the bandpass of F150W lie in the cube" in what for _, what in lines(found, "warning"))
    for name in (CUBE, SECOND):
        with fits.open(own(work, name), mode="update") as hdus:
            for hdu in hdus:
                for keyword in ("PA_V3", "PA_APER"):
                    hdu.header.remove(keyword, ignore_missing=True)
    assert {CUBE, SECOND} <= {file for file, what in lines(examine(), "warning") if "angle" in what}


def test_findings_without_a_file_are_of_the_association(work):
    assert "no data between 3.000 and 4.000 um" in str(examine(wavelength_range=(3.0, 4.0)).error)
    assert "correct center" in str(examine(center="12 80", height=1.0, width=1.0).error)
    members(FIRST, SECOND)(work)
    (line,) = examine().findings
    assert (line.file, line.verdict) == (ASN, "error")
    assert line.what.startswith("no NIRSpec IFU cube among 2 members")
    assert line.cure.startswith("give one NIRSpec IFU cube")
    line = Finding.of(InputError("something is wrong"), "x.fits")
    assert (line.file, line.what, line.cure) == ("x.fits", "something is wrong", "")


def test_too_little_memory_or_disk_is_told_before_any_work(work, monkeypatch, caplog, capsys):
    monkeypatch.setattr(adapters, "read_cube", lambda *_: pytest.fail("data are read"))
    error = fail(Fusion4Pipeline, ASN, caplog, max_memory=0.1)
    assert isinstance(error, LimitError)
    assert "0.1 GiB of max_memory; set height and width or wavelength_range" in str(error)
    status, text = check(capsys, "--max-memory=0.1")
    assert (status, "raise max_memory" in text) == (1, True)
    monkeypatch.setattr(preflight, "free_disk", lambda folder: 1000)
    error = examine().error
    assert isinstance(error, LimitError)
    assert "free some space or choose another output folder" in str(error)
    assert examine(max_components=None).error is None


def test_estimates_grow_with_what_is_asked_for():
    def grid(n):
        field = (slice(6, 6 + n), slice(6, 6 + n))
        shape = ((n + 12) * 3,) * 2
        return FusionGrid(shape=shape, decimation_factor=3, jacobian=np.eye(2) / 30, field=field)

    small, large = grid(30), grid(120)
    assert estimates.product_size(large, 1616) == 16 * 1616 * 360**2
    assert estimates.fusion_memory(large, 1616, 2, 8) > 4 * estimates.fusion_memory(small, 1616, 2, 8)
    assert estimates.coregistration_memory((3000, 120, 120)) > estimates.coregistration_memory((300, 30, 30))
