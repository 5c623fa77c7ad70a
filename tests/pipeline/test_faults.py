"""A run that is killed leaves no part of a product, and what is there does not disturb the next run."""

import os
import random
import signal
import subprocess
import time

import numpy as np
import pytest
from astropy.io import fits

from jwst_fusion import Fusion4Pipeline, datamodels
from tests.console import BIN

from .commands import names_in
from .conftest import QUICK
from .spoils import ASN

pytestmark = pytest.mark.usefixtures("work")
SAVING = {"save_results": True}
STEPS = {"coregister": SAVING, "cross_calib": SAVING, "fusion": QUICK}
PRODUCTS = ("p_coreg.fits", "p_fused.fits", "p_fused.html", "p_xcal.fits")


def run():
    """Run the pipeline with all products saved."""
    Fusion4Pipeline.call(ASN, steps=STEPS, configure_log=False, save_results=True, output_dir="out")


def assert_whole(folder):
    """Read all of what is in a folder: products that are complete."""
    found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    assert set(found) <= set(PRODUCTS)
    for name in found:
        if name.endswith(".html"):
            assert (folder / name).read_text(encoding="utf-8").rstrip().endswith("</html>")
            continue
        with datamodels.open(folder / name) as model:
            assert np.isfinite(model.data).any()
        with fits.open(folder / name) as hdus:
            assert hdus[-1].name == "ASDF"
            assert all(hdu.data is not None for hdu in hdus[1:])
    return found


def test_a_run_that_is_interrupted_leaves_nothing(work, monkeypatch):
    """Ctrl-C while the last product is written: what the run had saved goes too."""

    def interrupt(file):
        if "fused" in str(saved[-1]):
            raise KeyboardInterrupt
        os.fsync(file.fileno())

    saved = []
    original = datamodels.FusionModel.save

    def save(self, path, *args, **kwargs):
        saved.append(path)
        return original(self, path, *args, **kwargs)

    monkeypatch.setattr("jwst_fusion.atomic._flush_to_disk", interrupt)
    monkeypatch.setattr(datamodels.FusionModel, "save", save)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert len(saved) == 3
    assert names_in("out") == []


@pytest.mark.long
def test_strun_killed_at_random_points(work):
    command = [
        BIN / "strun", "calwebb_fusion4", ASN, "--output_dir=out", "--steps.coregister.save_results=true",
        "--steps.cross_calib.save_results=true",
    ]  # fmt: skip

    def strun():
        return subprocess.Popen(
            command, cwd=work.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    inputs = names_in(work.folder)
    start = time.monotonic()
    assert strun().wait() == 0
    duration = time.monotonic() - start
    rng = random.Random(5)
    killed = 0
    for _ in range(20):
        for name in PRODUCTS:
            (work.folder / "out" / name).unlink(missing_ok=True)
        process = strun()
        time.sleep(rng.uniform(0.3, 1.0) * duration)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        assert_whole(work.folder / "out")
    assert killed >= 15
    assert strun().wait() == 0
    assert assert_whole(work.folder / "out") == list(PRODUCTS)
    assert [name for name in names_in(work.folder) if f"{os.sep}out{os.sep}" not in name] == inputs
