"""What is wrong with the inputs is found in one look at their headers, before any work."""

import json

import numpy as np
import pytest
from astropy.io import fits

from jwst_fusion import Fusion4Pipeline, adapters, cli
from jwst_fusion.adapters import Finding, estimates, preflight
from jwst_fusion.coregistration.coregister import CoregistrationSettings
from jwst_fusion.exceptions import InputError, LimitError
from jwst_fusion.observation import FusionGrid
from tests.console import run_command

from .test_bad_input import (  # noqa: F401
    ASN,
    CUBE,
    FAR,
    FIRST,
    SECOND,
    fail,
    keywords,
    members,
    own,
    truncated,
    work,
)

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


def test_good_files(capsys):
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


def test_json_for_machines(work, capsys):  # noqa: F811
    keywords(FIRST, BUNIT="DN/s")(work)
    status, text = check(capsys, "--json")
    content = json.loads(text)
    assert (status, content["verdict"]) == (1, "error")
    (bad,) = [line for line in content["findings"] if line["verdict"] == "error"]
    assert bad["file"] == FIRST
    assert "BUNIT is DN/s, MJy/sr needed" in bad["what"]
    assert bad["cure"].startswith("use the pipeline's stage-3 product")


def test_all_problems_are_told_at_once(work):  # noqa: F811
    keywords(FIRST, BUNIT="DN/s")(work)
    keywords(SECOND, PUPIL="WLP8")(work)
    keywords(CUBE, CTYPE3="FREQ")(work)
    found = examine()
    assert sorted(file for file, _ in lines(found, "error")) == sorted((FIRST, SECOND, CUBE))
    assert isinstance(found.error, InputError)


def test_all_missing_and_broken_files_are_told_at_once(work):  # noqa: F811
    truncated(FIRST, 0.5)(work)
    members(CUBE, FIRST, "gone.fits", "lost.fits")(work)
    found = examine()
    assert [line.verdict for line in found.findings] == ["error"] * 3
    assert "gone.fits" in found.table()
    assert "lost.fits" in found.table()
    assert "truncated" in found.table()


def test_another_field_has_its_own_exit_status(work, capsys):  # noqa: F811
    keywords(FIRST, SECOND, **FAR)(work)
    status, text = check(capsys)
    assert status == 64
    assert "no image covers the field about RA 83.834" in text
    assert "use images of the same target" in text
    assert examine(alignment="cross_correlation").error is None


def test_an_image_that_will_be_left_out_is_a_warning(work):  # noqa: F811
    keywords(FIRST, **FAR)(work)
    found = examine()
    assert (found.verdict, found.error) == ("warning", None)
    assert lines(found, "warning") == [(FIRST, "its corners enclose 0 % of the field")]
    keywords(FIRST, FILTER="F150W", **FAR)(work)
    found = examine(wavelength_range=(1.66, 2.3))
    assert any("of the bandpass of F150W lie in the cube" in what for _, what in lines(found, "warning"))


def test_angles_that_are_missing_are_warnings(work):  # noqa: F811
    for name in (CUBE, FIRST):
        with fits.open(own(work, name), mode="update") as hdus:
            for hdu in hdus:
                for keyword in ("PA_V3", "PA_APER"):
                    hdu.header.remove(keyword, ignore_missing=True)
    found = examine()
    assert [file for file, _ in lines(found, "warning")] == [CUBE, FIRST]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"wavelength_range": (3.0, 4.0)}, "no data between 3.000 and 4.000 um"),
        ({"center": "12 80", "height": 1.0, "width": 1.0}, "correct center"),
    ],
)
def test_parameters_that_the_inputs_do_not_serve(settings, words):
    assert words in str(examine(**settings).error)


def test_moving_targets_are_not_looked_for_by_coordinates(titan):
    assert examine(titan.association).verdict == "ok"


def test_models_in_memory(work):  # noqa: F811
    from jwst_fusion import datamodels

    models = [datamodels.open(name) for name in (CUBE, FIRST, SECOND)]
    found = examine(models)
    assert found.verdict == "ok"
    assert [line.what for line in found.findings] == [line.what for line in examine().findings]
    for model in models:
        model.close()


def test_no_data_are_read(monkeypatch):
    def read(*_):
        pytest.fail("data are read")

    monkeypatch.setattr(fits.ImageHDU, "_get_raw_data", read)
    assert examine().verdict == "ok"


def test_a_table_that_names_the_inputs_and_no_cube(work):  # noqa: F811
    members(FIRST, SECOND)(work)
    (line,) = examine().findings
    assert (line.file, line.verdict) == (ASN, "error")
    assert line.what.startswith("no NIRSpec IFU cube among 2 members")
    assert line.cure.startswith("give one NIRSpec IFU cube")


def test_an_error_without_a_file_or_a_cure():
    line = Finding.of(InputError("something is wrong"), "x.fits")
    assert (line.file, line.what, line.cure) == ("x.fits", "something is wrong", "")


def test_the_pipeline_looks_first(work, monkeypatch, caplog):  # noqa: F811
    monkeypatch.setattr(adapters, "read_cube", lambda *_: pytest.fail("data are read"))
    keywords(FIRST, BUNIT="DN/s")(work)
    assert FIRST in str(fail(Fusion4Pipeline, ASN, caplog))
    with caplog.at_level("INFO"), pytest.raises(InputError):
        Fusion4Pipeline.call(ASN, configure_log=False)
    (table,) = [r.getMessage() for r in caplog.records if r.getMessage().startswith("Pre-flight: error")]
    assert all(name in table for name in (CUBE, FIRST, SECOND))


def test_too_little_memory_is_told_before_any_work(work, monkeypatch, caplog, capsys):  # noqa: F811
    monkeypatch.setattr(adapters, "read_cube", lambda *_: pytest.fail("data are read"))
    error = fail(Fusion4Pipeline, ASN, caplog, max_memory=0.1)
    assert isinstance(error, LimitError)
    assert "0.1 GiB of max_memory; set height and width or wavelength_range" in str(error)
    status, text = check(capsys, "--max-memory=0.1")
    assert status == 1
    assert "raise max_memory" in text


def test_too_little_disk_is_told_before_any_work(monkeypatch):
    monkeypatch.setattr(preflight, "free_disk", lambda folder: 1000)
    error = examine().error
    assert isinstance(error, LimitError)
    assert "free some space or choose another output folder" in str(error)
    assert examine(max_components=None).error is None


def test_the_command_as_a_user_types_it(work):  # noqa: F811
    keywords(FIRST, SECOND, **FAR)(work)
    finished = run_command(work.folder, "jwst-fusion", "check", ASN)
    assert finished.status == 64
    assert "Traceback" not in finished.text
    assert "no image covers the field" in finished.stdout


def test_traceback_shows_where_an_error_comes_from(capsys):
    assert cli.main(["simulate", "nothing", "there"]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert cli.main(["simulate", "nothing", "there", "--traceback"]) == 1
    text = capsys.readouterr().err
    assert "Traceback" in text
    assert text.splitlines()[-1].startswith("jwst-fusion: error: ")


def test_estimates_grow_with_what_is_asked_for():
    def grid(n):
        field = (slice(6, 6 + n), slice(6, 6 + n))
        return FusionGrid(
            shape=((n + 12) * 3,) * 2, decimation_factor=3, jacobian=np.eye(2) / 30, field=field
        )

    small, large = grid(30), grid(120)
    assert estimates.product_size(large, 1616) == 16 * 1616 * 360**2
    assert estimates.fusion_memory(large, 1616, 2, 8) > 4 * estimates.fusion_memory(small, 1616, 2, 8)
    assert estimates.coregistration_memory((3000, 120, 120)) > estimates.coregistration_memory((300, 30, 30))
