"""What all steps share, tried on steps that do little."""

import logging
import pickle
import re
import signal
from pathlib import Path

import pytest
from astropy.io import fits
from dummy_steps import DummyPipeline, DummyStep
from stpipe.exceptions import StpipeExitException

import jwst_fusion
from jwst_fusion import datamodels
from jwst_fusion.exceptions import FusionError, InputError, NoOverlapError, ParameterError
from jwst_fusion.steps.errors import as_exit_error
from tests.console import run_command


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with an input file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x_asn.json").write_text("{}")
    return tmp_path


def strun(folder, *arguments):
    """Run a step as a user does, in an environment with nothing set."""
    return run_command(folder, "strun", *arguments, PYTHONPATH=str(Path(__file__).parent))


def names(folder):
    """Names of the files in the folder, hidden ones included, except the input and the home."""
    return sorted(entry.name for entry in folder.iterdir() if entry.name not in ("home", "x_asn.json"))


def test_strun_is_quiet_and_keeps_the_log(folder):
    result = strun(folder, "dummy_steps.DummyPipeline", "x_asn.json", "--steps.dummy.value=3")
    assert result.status == 0, result.stderr
    assert "CRDS" not in result.stdout + result.stderr
    assert "Warning" not in result.stdout + result.stderr
    assert "jwst_fusion.dummy - INFO - The dummy is at work" in result.stderr
    assert names(folder) == ["x_fused.fits"]
    with datamodels.open(folder / "x_fused.fits") as model:
        assert model.data[0, 0, 0] == 3
        assert model.meta.fusion.version == jwst_fusion.__version__
        assert model.meta.calibration_software_version
        assert model.meta.ref_file.fusion_psf.name == "N/A"
        assert "The dummy is at work" in "".join(model.cal_logs.instance["dummy_pipeline"])


@pytest.mark.parametrize(
    ("fail", "status", "message"),
    [
        ("input", 1, "x_asn.json: found nothing, expected something"),
        ("overlap", 64, "x_asn.json: the cube and the images do not overlap"),
        ("interrupted", 130, "dummy_pipeline: interrupted; nothing was written"),
    ],
)
def test_strun_shows_an_error_in_one_line_and_leaves_nothing(folder, fail, status, message):
    options = (f"--steps.dummy.fail={fail}", "--steps.dummy.save_results=true")
    result = strun(folder, "dummy_steps.DummyPipeline", "x_asn.json", *options)
    assert result.status == status
    assert f"ERROR - {message}\n" in result.stderr
    assert fail == "interrupted" or message in " ".join(result.stdout.split())
    assert "Traceback" not in result.stdout + result.stderr
    assert names(folder) == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("fail", ["interrupted", "interrupted in a finalizer"])
def test_interrupt_is_one_for_programs_too(folder, fail):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it in the background
    try:
        with pytest.raises(KeyboardInterrupt):
            DummyStep.call("x_asn.json", fail=fail, save_results=True, configure_log=False)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert names(folder) == []


def test_wrong_parameters_are_told_in_one_line_before_any_work(folder):
    for option, words in (
        (b"--output_dir=o\xff", r"ERROR - output_dir = 'o\\udcff' is not UTF-8"),
        ("--steps.dummy.value=much", r"ERROR - dummy_pipeline: .*'steps/dummy/value'.*\"much\""),
    ):
        result = strun(folder, "dummy_steps.DummyPipeline", "x_asn.json", option)
        assert result.status == 1
        assert re.search(words, result.stderr)
        assert "The dummy is at work" not in result.stderr
        assert "Traceback" not in result.stderr


def test_strun_shows_the_traceback_of_a_bug(folder):
    result = strun(folder, "dummy_steps.DummyStep", "x_asn.json", "--fail=bug")
    assert result.status == 1
    assert "RuntimeError: a bug" in result.stderr


def test_call_raises_errors_that_python_callers_know(folder, monkeypatch):
    with pytest.raises(NoOverlapError, match="do not overlap") as caught:
        DummyPipeline.call("x_asn.json", steps={"dummy": {"fail": "overlap"}}, configure_log=False)
    assert isinstance(caught.value, StpipeExitException)
    assert caught.value.exit_status == 64
    with pytest.raises(InputError, match=r"missing\.json: no such file"):
        DummyStep.call("missing.json", configure_log=False)
    with pytest.raises(InputError, match="no input was given"):
        DummyStep().run()
    with pytest.raises(ParameterError, match="wrong type"):
        DummyStep.call("x_asn.json", value="much", configure_log=False)
    (folder / "gone").mkdir()
    monkeypatch.chdir(folder / "gone")
    (folder / "gone").rmdir()
    with pytest.raises(InputError, match="the working folder was removed; change to another folder"):
        DummyStep.call(str(folder / "x_asn.json"), configure_log=False)


def test_plain_errors_in_a_pipeline_and_tracebacks_for_debugging(folder, caplog):
    pipeline = DummyPipeline(steps={"dummy": {"fail": "input"}})
    with pytest.raises(InputError) as caught:
        pipeline.dummy.run("x_asn.json")
    assert type(caught.value) is InputError
    step = DummyStep(fail="input")
    with caplog.at_level(logging.DEBUG, "jwst_fusion"), pytest.raises(InputError):
        step.run("x_asn.json")
    assert [record.levelname for record in caplog.records if record.exc_info] == ["DEBUG"]


def test_failed_run_leaves_no_output(folder):
    with pytest.raises(InputError, match="failed at the end"):
        DummyStep.call("x_asn.json", fail="late", save_results=True, configure_log=False)
    assert names(folder) == []


def test_override_of_a_reference_file(folder):
    (folder / "my_psf.fits").touch()
    result = DummyStep.call("x_asn.json", override_fusion_psf="my_psf.fits", configure_log=False)
    assert result.meta.ref_file.fusion_psf.name == "my_psf.fits"
    with pytest.raises(ParameterError, match=r"override_fusion_psf: .*nothing\.fits is not a file"):
        DummyStep.call("x_asn.json", override_fusion_psf="nothing.fits", configure_log=False)


def test_endings_do_not_pile_up():
    for name in ("disk_fused", "disk_coreg", "disk_xcal", "disk_asn", "disk_s3d", "disk"):
        assert DummyStep().remove_suffix(name) == ("disk", "_")
    for name in ("unfused", "d203-506"):
        assert DummyStep().remove_suffix(name) == (name, "_")


def test_prepare_output_opens_our_models_and_broken_files_are_told_in_one_line(folder):
    path = DummyStep.call("x_asn.json", configure_log=False).save("x_fused.fits")
    assert fits.getval(path, "R_FUSPSF") == "N/A"
    step = DummyStep()
    with step.prepare_output(path) as model:
        assert type(model) is datamodels.FusedCubeModel
        copy = step.prepare_output(model)
        assert type(copy) is datamodels.FusedCubeModel
        assert copy.data is not model.data
    (folder / "x_xcal.fits").write_text("no FITS file")
    with pytest.raises(InputError, match=r"x_xcal\.fits: cannot be read as a JWST product \("):
        step.prepare_output("x_xcal.fits")


def test_parameters_can_be_saved_and_used_and_output_ext_be_asdf(folder):
    DummyStep.call("x_asn.json", save_results=True, output_ext=".asdf", configure_log=False)
    assert names(folder) == ["x_fused.asdf"]
    DummyPipeline(steps={"dummy": {"value": 5.0}}).export_config("parameters.asdf")
    result = DummyPipeline.call("x_asn.json", config_file="parameters.asdf", configure_log=False)
    assert result.data[0, 0, 0] == 5


def test_exit_error_survives_a_pickle():
    error = pickle.loads(pickle.dumps(as_exit_error(NoOverlapError("no\noverlap"))))
    assert isinstance(error, NoOverlapError)
    assert isinstance(error, FusionError)
    assert (str(error), error.exit_status) == ("no overlap", 64)
    assert as_exit_error(error) is error


@pytest.mark.parametrize(("fail", "expected"), [("", ["x_fused.fits", "y_fused.fits"]), ("named", None)])
def test_second_run_of_a_step_does_not_overwrite_the_first(folder, fail, expected):
    (folder / "y_asn.json").write_text("{}")
    step = DummyStep(save_results=True, fail=fail)
    step.run("x_asn.json")
    step.run("y_asn.json")
    (folder / "y_asn.json").unlink()
    assert names(folder) == (expected or ["x_asn.1_fused.fits", "y_asn.1_fused.fits"])
