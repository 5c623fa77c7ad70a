"""A batch of the pipeline itself, as a user types it."""

import json

from astropy.io import fits
from astropy.table import Table

from tests.console import run_command

from .commands import link
from .conftest import NAME, QUICK


def test_good_target_has_cube_report_and_log_and_bad_ones_a_reason(tmp_path, data):
    """A batch of one good target, one with bad data, and one whose cube is not there, run twice."""
    folder = tmp_path
    link(folder, data.inputs)
    with fits.open(data.cube) as hdus:
        hdus["SCI"].header["BUNIT"] = "Jy"
        hdus.writeto(folder / "jansky_s3d.fits")
    members = {"jansky": folder / "jansky_s3d.fits", "absent": folder / "absent_s3d.fits"}
    for name, cube in members.items():
        entries = [{"expname": path.name, "exptype": "science"} for path in (data.images[0], cube)]
        content = {"products": [{"name": name, "members": entries}]}
        (folder / f"{name}_asn.json").write_text(json.dumps(content))
    lines = [f"{name}_asn.json" for name in (NAME, *members)]
    (folder / "manifest.csv").write_text("\n".join(["association", *lines, ""]))
    options = [f"--parameter=steps.fusion.{name}={value}" for name, value in QUICK.items()]
    command = ["batch", "manifest.csv", "--output-dir", "out", *options]
    finished = run_command(folder, "jwst-fusion", *command)
    out = folder / "out"
    assert finished.status == 1
    assert "Traceback" not in finished.text
    rows = {row["name"]: row for row in Table.read(out / "summary.ecsv").filled("")}
    assert {name: row["state"] for name, row in rows.items()} == {
        NAME: "DONE", "jansky": "FAILED", "absent": "BLOCKED"
    }  # fmt: skip
    assert rows[NAME]["verdict"] in ("green", "amber", "red")
    assert rows[NAME]["peak_bytes"] > 1e8
    header = fits.getheader(out / rows[NAME]["product"])
    assert header["FUSVERD"] == rows[NAME]["verdict"]
    assert (out / rows[NAME]["report"]).name == f"{NAME}_fused.html"
    assert "calwebb_fusion4 is done" in (out / rows[NAME]["log"]).read_text()
    assert "jansky_s3d.fits" in rows["jansky"]["reason"]
    assert "BUNIT" in rows["jansky"]["reason"]
    assert sorted(path.name for path in out.iterdir()) == [
        ".work", "batch.jsonl", "logs", NAME, "summary.ecsv", "summary.html", "summary.json"
    ]  # fmt: skip
    assert list((out / ".work").iterdir()) == []
    again = run_command(folder, "jwst-fusion", *command)
    assert (again.status, "nothing to do" in again.stdout) == (64, True)
