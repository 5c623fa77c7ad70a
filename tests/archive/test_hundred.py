"""A hundred small targets through the real pipeline, ten of them poisoned."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from astropy.io import fits
from astropy.table import Table

from jwst_fusion.archive.manifest import Target, write_manifest
from jwst_fusion.simulation import simulate

BIN = Path(sys.executable).parent
HOOKS = Path(__file__).parent
SMALL = {"fov": 0.9, "n_wave": 40, "wavelength_range": (1.9, 2.2), "filters": ("F210M",), "image_field": 2.4}
QUICK = ("steps.fusion.n_components=2", "steps.fusion.reweightings=0")
POISONS = ("crash", "crash", "hang", "memory", "memory", "truncated", "truncated", "unit", "blank", "blank")


def poisoned(folder, cube, name, poison):
    """Copy of a cube with bad data, and parameters of the run."""
    path = folder / f"{name}_s3d.fits"
    if poison in ("crash", "hang", "memory"):
        shutil.copy(cube, path)
        return path, (f"steps.coregister.pre_hooks=poison.{poison},",)
    if poison == "truncated":
        path.write_bytes(cube.read_bytes()[:40000])
        return path, ()
    with fits.open(cube) as hdus:
        if poison == "unit":
            hdus["SCI"].header["BUNIT"] = "Jy"
        else:
            hdus["SCI"].data[:] = float("nan")
        hdus.writeto(path)
    return path, ()


def make_targets(folder, number):
    """Targets from a few simulated fields, the poisoned ones among them."""
    fields = [
        simulate("disk", folder / f"field{seed}", seed=seed, name=f"field{seed}", **SMALL)
        for seed in range(4)
    ]
    targets = []
    for index in range(number):
        field = fields[index % len(fields)]
        name, cube, parameters = f"target{index:03d}", field.cube, ()
        if index % 10 == 5:
            cube, parameters = poisoned(folder, field.cube, name, POISONS[index // 10])
        members = [{"expname": str(path), "exptype": "science"} for path in (*field.images, cube)]
        path = folder / f"{name}_asn.json"
        path.write_text(json.dumps({"products": [{"name": name, "members": members}]}))
        targets.append(Target(name, path, (*QUICK, *parameters)))
    write_manifest(targets, folder / "manifest.json")
    return targets


@pytest.mark.long
def test_ninety_finish_and_ten_are_told_apart(tmp_path):
    targets = make_targets(tmp_path, 100)
    out = tmp_path / "out"
    command = [BIN / "jwst-fusion", "batch", tmp_path / "manifest.json", "--output-dir", out, "--workers=2",
               "--timeout", "150", "--memory", "2"]  # fmt: skip
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(HOOKS), os.environ.get("PYTHONPATH", "")]),
    }
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    (tmp_path / "batch.log").write_text(result.stdout + result.stderr)
    assert result.returncode == 1, result.stderr[-2000:]
    table = Table.read(out / "summary.ecsv")
    rows = {row["name"]: row for row in table}
    reasons = {
        "crash": "crashed: segmentation fault",
        "hang": "still running after 150 s",
        "memory": "out of memory",
        "truncated": "_s3d.fits",
        "unit": "BUNIT is Jy",
        "blank": "_s3d.fits",
    }
    for index, target in enumerate(targets):
        row = rows[target.name]
        if index % 10 == 5:
            poison = POISONS[index // 10]
            assert row["state"] == "FAILED", target.name
            assert reasons[poison] in row["reason"]
            assert row["kind"] == (poison if poison in ("crash", "hang", "memory") else "error")
            assert not (out / target.name).exists()
        else:
            assert row["state"] == "DONE", row["reason"]
            with fits.open(out / row["product"]) as hdus:
                assert "SCI" in hdus
    again = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert again.returncode == 64
