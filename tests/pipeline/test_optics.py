"""PSFs and throughputs of a user's files, from the command line."""

import numpy as np
import pytest
from astropy.io import fits
from stpipe.exceptions import StpipeExitException

from jwst_fusion import CoregisterStep, CrossCalibStep, Fusion4Pipeline, FusionStep, adapters, datamodels
from jwst_fusion.optics.sources import choose_source
from jwst_fusion.optics.throughput import transmission
from jwst_fusion.steps.optics import shared_optics
from tests.console import run_command

from .commands import names, run_once
from .conftest import NAME


@pytest.fixture(scope="module")
def library(shared):
    """A library built by the command, and drawn."""
    return run_once(
        shared / "library", "jwst-fusion", "psf", "lib.asdf", "--filters", "F182M", "F210M", "--plot"
    ).folder / "lib.asdf"  # fmt: skip


@pytest.fixture(scope="module")
def overridden(shared, data, library):
    """The pipeline run with the library given to its last step, and a throughput."""
    folder = shared / "throughput"
    folder.mkdir(exist_ok=True)
    curve = np.column_stack(transmission("F182M", "B"))
    np.savetxt(folder / "F182M_throughput.txt", curve, header="Microns Throughput", comments="")
    return run_once(
        shared / "overridden", "strun", "calwebb_fusion4", f"{NAME}_asn.json",
        "--steps.fusion.override_fusion_psf=lib.asdf", "--steps.fusion.save_report=false",
        "--steps.cross_calib.override_fusion_throughput=F182M_throughput.txt",
        inputs=[*data.inputs, library, folder / "F182M_throughput.txt"],
    )  # fmt: skip


def test_the_library_is_built_once_and_drawn(library):
    assert names(library.parent) == ["lib.asdf", "lib.png"]
    with open(library.with_suffix(".png"), "rb") as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"
    before = library.stat().st_mtime_ns
    again = run_command(library.parent, "jwst-fusion", "psf", "lib.asdf", "--filters", "F182M", "F210M")
    assert again.status == 0, again.text
    assert "lib.asdf is complete" in again.stdout
    assert library.stat().st_mtime_ns == before


def test_all_steps_use_the_library_that_one_is_given(overridden, product):
    assert overridden.text.count("PSFs: library (lib.asdf") == 1
    assert "blurs measured then are not used" not in overridden.text
    assert overridden.text.count("Throughputs of F182M from F182M_throughput.txt") == 1
    with fits.open(overridden.folder / f"{NAME}_fused.fits") as found, fits.open(product) as usual:
        header = found[0].header
        assert header["FUSPSF"] == "library"
        assert header["FUSPSFKY"].startswith("lib.asdf ")
        assert header["R_FUSPSF"] == "lib.asdf"
        assert usual[0].header["FUSPSF"] == "analytic"
        assert "FUSSTPSF" not in usual[0].header
        # the library is one of the analytic model
        difference = found["SCI"].data - usual["SCI"].data
        assert np.nanmax(np.abs(difference)) < 5e-3 * np.nanmax(usual["SCI"].data)
        for name in ("offset_east", "scale"):
            np.testing.assert_allclose(*(hdus["FILTERS"].data[name] for hdus in (found, usual)), atol=1e-3)


def test_blurs_against_other_psfs_are_not_used(full, caplog):
    optics = adapters.Optics(choose_source("analytic"))
    with datamodels.open(full.folder / "products" / f"{NAME}_xcal.fits") as model:
        model.set_fusion(ifu_excess_x=1e-3, ifu_excess_y=2e-3, ifu_excess_wavefront=0.1)
        model.filters["excess_blur"] = 3e-3
        found = adapters.observation(model, optics)
        assert found.cube.excess == (1e-3, 2e-3, 0.1)
        assert [band.excess_blur for band in found.bands] == pytest.approx([3e-3] * 2)
        assert not caplog.records
        model.set_fusion(psf_key="of another kind")
        found = adapters.observation(model, optics)
    assert found.cube.excess == (0.0, 0.0, 0.0)
    assert [band.excess_blur for band in found.bands] == [0.0, 0.0]
    assert "blurs measured then are not used" in caplog.text


def test_what_can_not_be_used_is_told_in_one_line(data):
    for steps, words in (
        ({"fusion": {"psf_source": "library"}}, "psf_source = library needs a file"),
        ({"fusion": {"override_fusion_psf": "none.asdf"}}, "none.asdf is not a file"),
        ({"fusion": {"ifu_blur": 0.1}, "coregister": {"ifu_blur": 0.2}}, "must use the same"),
    ):
        with pytest.raises(StpipeExitException, match=words) as caught:
            Fusion4Pipeline.call(str(data.association), steps=steps, configure_log=False)
        assert "\n" not in str(caught.value)


def test_steps_of_a_pipeline_share_what_one_is_given():
    steps = CoregisterStep(), CrossCalibStep(), FusionStep()
    steps[2].override_fusion_psf = "a.asdf"
    steps[1].override_fusion_throughput = "t.txt"
    with shared_optics(steps):
        assert [step.override_fusion_psf for step in steps] == ["a.asdf"] * 3
        assert steps[0].override_fusion_throughput == "t.txt"
    assert [step.override_fusion_psf for step in steps] == [None, None, "a.asdf"]
    assert Fusion4Pipeline().fusion.psf_source == "auto"
