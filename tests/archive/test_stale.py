"""What is to be reprocessed when the archive or the software has changed."""

from astropy.io import fits
from astropy.table import Table

from jwst_fusion.archive import manifest, plan
from jwst_fusion.archive.batch import run_batch
from jwst_fusion.cli import main

from .batches import settings_for

NAME = "a_f182m"


def archive(version, context, extra=()):
    """The archive's table with products of a version of the pipeline."""
    rows = [("a", "NIRSPEC/IFU", "F170LP;G235H"), ("b", "NIRCAM/IMAGE", "F182M"), *extra]
    rows = [(*row, "CIRCLE 10 20 0.01", version, context) for row in rows]
    return Table(rows=rows, names=("obs_id", "instrument_name", "filters", "s_region", "cal_ver", "crds_ctx"))


def test_only_what_is_out_of_date_is_offered(tmp_path, capsys, monkeypatch):
    def offered(table):
        table.write(tmp_path / "table.csv", overwrite=True)
        status = main(["match", str(tmp_path / "table.csv"), "--output-dir", str(tmp_path), "--stale",
                       str(tmp_path / "out")])  # fmt: skip
        targets = manifest.read_manifest(tmp_path / "manifest.json")
        return status, [target.name for target in targets], capsys.readouterr().out

    status, names, shown = offered(archive("1.0", "jwst_1000.pmap"))
    assert (status, names) == (0, [NAME])
    assert f"{NAME}: not fused yet" in shown

    header = fits.Header({"CAL_VER": "1.0", "CRDS_CTX": "jwst_1000.pmap"})
    for name in ("a_s3d.fits", "b_i2d.fits"):
        fits.PrimaryHDU(header=header).writeto(tmp_path / name)
    assert run_batch(tmp_path / "manifest.json", settings_for(tmp_path)).exit_status == 0

    assert offered(archive("1.0", "jwst_1000.pmap"))[:2] == (64, [])
    status, names, shown = offered(archive("1.1", "jwst_1000.pmap"))
    assert (status, names) == (0, [NAME])
    assert "a_s3d.fits: calibrated by 1.0, now 1.1" in shown
    assert "references of jwst_1000.pmap, now jwst_1001.pmap" in offered(archive("1.0", "jwst_1001.pmap"))[2]

    more = archive("1.0", "jwst_1000.pmap", extra=[("c", "NIRCAM/IMAGE", "F210M")])
    status, names, shown = offered(more)
    assert names == ["a_f182m-f210m"]
    monkeypatch.setattr(plan, "_versions", lambda: {"jwst_fusion": "9"})
    assert "jwst_fusion 0.1.0 -> 9" in offered(archive("1.0", "jwst_1000.pmap"))[2]
