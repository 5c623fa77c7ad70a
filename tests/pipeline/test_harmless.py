"""Whatever lies in a folder, no command changes or removes a file that it did not make itself."""

import os
import shutil
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from jwst_fusion import CoregisterStep, Fusion4Pipeline
from jwst_fusion.cli import main
from jwst_fusion.exceptions import FusionError, InputError
from tests.files import contents

from .conftest import NAME

#: What commands would write, and files that they might take for their own.
TAKEN = [
    "a_asn.json", "p_asn.json", "calwebb_fusion4.asdf", "fusion.asdf", "lib.asdf", "lib.png", "x_asn.json",
    "x_truth.json", "x_truth.fits", "p_coreg.fits", f"{NAME}_fused.html", f"{NAME}_fused_image.png",
    "match.ecsv", "manifest.json", "out/match.ecsv", "out/manifest.json", "out/notes.txt",
]  # fmt: skip


@settings(
    max_examples=15, deadline=None, derandomize=True, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    taken=st.sets(st.sampled_from(TAKEN), min_size=1, max_size=8),
    output=st.sampled_from([*TAKEN, "new.json", "new.asdf"]),
    link=st.booleans(),
    command=st.sampled_from(["associate", "parameters", "report", "psf", "simulate", "match", "coregister"]),
)
def test_no_command_changes_what_was_there(
    tmp_path_factory, monkeypatch, data, product, taken, output, link, command
):
    folder = tmp_path_factory.mktemp("taken")
    monkeypatch.chdir(folder)
    for path in (*data.images, data.cube):
        os.symlink(path, folder / path.name)
    for name in sorted(taken):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if link:  # to a file of the user's that lies elsewhere
            target = tmp_path_factory.mktemp("elsewhere") / path.name
            target.write_text(f"mine: {name}")
            path.symlink_to(target)
        else:
            path.write_text(f"mine: {name}")
    # what would take its time where nothing is in the way is only run where something is
    assume(command not in ("psf", "coregister") or output in taken)
    assume(command != "simulate" or not taken.isdisjoint({"x_asn.json", "x_truth.json"}))
    shutil.copy(product, folder / f"{NAME}_fused.fits")
    (folder / "t.csv").write_text("obs_id,instrument_name,filters,productFilename,dataURI,size,s_region\n")
    before = contents(folder), {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    members = [path.name for path in (*data.images, data.cube)]
    arguments = {
        "associate": ["associate", *members, "-n", "a", "-o", output],
        "parameters": ["parameters", "-o", output],
        "report": ["report", f"{NAME}_fused.fits", "--figures"],
        "psf": ["psf", output, "--plot"],
        "simulate": ["simulate", "disk", ".", "--name", "x"],
        "match": ["match", "t.csv", "--output-dir", "out"],
    }
    if command == "coregister":
        options = {"save_results": True, "output_file": output, "configure_log": False}
        with suppress(FusionError):
            CoregisterStep.call(str(data.association), **options)
    else:
        main(arguments[command])
    after = contents(folder)
    assert {name: after.get(name, "gone") for name in before[0]} == before[0]
    assert {path: path.read_bytes() for path in before[1]} == before[1]
    assert not any(name.startswith(".") for name in after)


def test_a_pipeline_run_again_replaces_the_products_of_its_steps(tmp_path):
    """Each step's own product is looked at, not that of the pipeline under the step's name."""
    pipeline = Fusion4Pipeline()
    pipeline.suffix, pipeline.output_file, pipeline.output_dir = "fused", "x.fits", str(tmp_path)
    for step, suffix, model in (
        (pipeline.coregister, "coreg", "CoregisteredModel"),
        (pipeline.cross_calib, "xcal", "CrossCalibratedModel"),
        (pipeline.fusion, "fused", "FusedCubeModel"),
    ):
        step.save_results = suffix != "fused"
        (tmp_path / f"x_{suffix}.fits").write_text(f"FUSMODL = '{model} '")
    pipeline.cross_calib.check_outputs()
    (tmp_path / "x_xcal.fits").write_text("mine")
    with pytest.raises(InputError, match=r"x_xcal\.fits: not made by jwst-fusion"):
        pipeline.cross_calib.check_outputs()
