"""What is wrong with an input, a parameter or a folder is told in one line, and nothing is left behind."""

import errno
import os
import shutil
from types import SimpleNamespace

import asdf
import pytest

from jwst_fusion import CoregisterStep, CrossCalibStep, Fusion4Pipeline, FusionStep, atomic
from jwst_fusion.exceptions import InputError, NoOverlapError, ParameterError
from tests.console import run_command

from .commands import fail, names, names_in
from .spoils import ADVICE, ASN, BAD, CUBE, FAR, FIRST, SECOND, keywords, own


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_told_in_one_line(work, caplog, name):
    spoil, file, finding, cure, *status = BAD[name]
    spoil(work)
    error = fail(Fusion4Pipeline, ASN, caplog)
    assert isinstance(error, NoOverlapError if status else InputError)
    assert error.exit_status == (status or [1])[0]
    message = str(error)
    assert file in message
    assert finding in message
    assert cure in message[message.index(finding) :]


@pytest.mark.parametrize("harm", ["shrinks", "vanishes"])
def test_a_file_that_shrinks_or_vanishes_after_the_check(work, monkeypatch, harm):
    original = CoregisterStep._coregister

    def harmed(*arguments):
        os.truncate(path, path.stat().st_size // 2) if harm == "shrinks" else path.unlink()
        return original(*arguments)

    path = own(work, FIRST)
    monkeypatch.setattr(CoregisterStep, "_coregister", harmed)
    words = f"{FIRST}: can no longer be read to its end .*; fetch the file again"
    with pytest.raises(InputError, match=words):
        Fusion4Pipeline.call(ASN, configure_log=False, save_results=True)
    left = {ASN, CUBE, FIRST, SECOND} - ({FIRST} if harm == "vanishes" else set())
    assert names_in(".") == sorted(f"./{name}" for name in left)


@pytest.fixture
def crossed(full, data):
    """Paths of the intermediate products."""
    folder = full.folder / "products"
    return SimpleNamespace(coreg=folder / f"{data.name}_coreg.fits", xcal=folder / f"{data.name}_xcal.fits")


def test_inputs_of_the_wrong_kind(work, crossed, caplog):
    shutil.copy(crossed.coreg, "half_coreg.fits")
    os.truncate("half_coreg.fits", crossed.coreg.stat().st_size // 2)
    first, second = (f"not a product of the {each} step" for each in ("coregister", "cross_calib"))
    for step, given, words in (
        (Fusion4Pipeline, "none_asn.json", "none_asn.json: no such file; give calwebb_fusion4 the path"),
        (Fusion4Pipeline, CUBE, f"{CUBE}: one file is not enough"),
        (CoregisterStep, CUBE, ADVICE),
        (CrossCalibStep, CUBE, f"{CUBE}: {first}"),
        (CrossCalibStep, ASN, "run coregister first"),
        (CrossCalibStep, "half_coreg.fits", "half_coreg.fits: cannot be read"),
        (FusionStep, ASN, f"{ASN}: {second}"),
        (FusionStep, str(crossed.coreg), "run cross_calib first"),
        (FusionStep, [CUBE, FIRST], second),
    ):
        caplog.clear()
        error = fail(step, given, caplog)
        assert isinstance(error, InputError)
        assert words in str(error)


@pytest.mark.parametrize(
    ("step", "parameters", "words"),
    [
        (FusionStep, {"mu": -1}, ("mu", "-1", "too small")),
        (FusionStep, {"mu": 0}, ("mu = 0", "positive number")),
        (FusionStep, {"mu": float("nan")}, ("mu = nan", "positive number")),
        (FusionStep, {"mu": "much"}, ("mu", "much", "wrong type")),
        (FusionStep, {"gamma": float("inf")}, ("gamma = inf", "positive number")),
        (FusionStep, {"mu": 1e-300}, ("mu = 1e-300", "no solution", "give numbers nearer to one")),
        (FusionStep, {"gamma": 1e300}, ("gamma = 1e+300", "no solution", "give numbers nearer to one")),
        (FusionStep, {"rtol": 0}, ("rtol = 0", "positive number")),
        (FusionStep, {"n_components": 0}, ("n_components", "0", "too small")),
        (FusionStep, {"max_iterations": 0}, ("max_iterations", "0", "too small")),
        (CoregisterStep, {"alignment": "luck"}, ("alignment", "luck", "unacceptable")),
        (CoregisterStep, {"margin": float("nan")}, ("margin = nan", "between 0 and 60 arcsec")),
        (CoregisterStep, {"decimation_factor": 0}, ("decimation_factor", "0", "too small")),
        (CoregisterStep, {"wavelength_range": [2.3, 1.7]}, ("wavelength_range = (2.3, 1.7)", "ascending")),
        (CoregisterStep, {"output_ext": ".txt"}, ("output_ext", ".txt", "use .fits or .asdf")),
    ],
)
def test_bad_parameter(work, crossed, caplog, step, parameters, words):
    given = str(crossed.xcal) if step is FusionStep else ASN
    error = fail(step, given, caplog, **parameters)
    assert isinstance(error, ParameterError)
    assert error.exit_status == 1
    for word in words:
        assert word in str(error)


def test_null_in_a_parameter_file_is_the_default(work, crossed):
    FusionStep(n_components=2, reweightings=0, mu=5.0).export_config("parameters.asdf")
    with asdf.open("parameters.asdf", memmap=False, lazy_load=False) as file:
        tree = file.tree.copy()
    nothing = dict.fromkeys(("mu", "gamma", "rtol", "max_components", "max_iterations"))
    tree["parameters"] = dict(tree["parameters"]) | nothing
    asdf.AsdfFile(tree).write_to("null.asdf")
    result = FusionStep.call(str(crossed.xcal), config_file="null.asdf", configure_log=False)
    assert result.meta.fusion.mu > 0
    assert result.meta.fusion.n_components == 2
    assert result.meta.fusion.converged


def test_output_folder_that_can_not_be(work, crossed, caplog):
    (work.folder / "taken").write_text("a file")
    for folder in ("taken", "taken/below"):
        caplog.clear()
        error = fail(CrossCalibStep, str(crossed.coreg), caplog, output_dir=folder)
        assert isinstance(error, InputError)
        assert folder in str(error)
        assert "check the path and its permissions" in str(error)


@pytest.mark.parametrize("moment", ["_create", "_name"])
def test_output_folder_that_turns_read_only(work, crossed, caplog, monkeypatch, moment):
    """Before a file is written, and when it takes its name."""

    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system", ".hidden")

    monkeypatch.setattr(atomic, moment, refuse)
    error = fail(CrossCalibStep, str(crossed.coreg), caplog)
    assert "_xcal.fits: Read-only file system; check the path and its permissions" in str(error)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_output_folder_without_permission(work, crossed, caplog):
    (work.folder / "closed").mkdir(mode=0o500)
    error = fail(CrossCalibStep, str(crossed.coreg), caplog, output_dir="closed")
    assert "_xcal.fits: Permission denied; check the path and its permissions" in str(error)


def test_strun_tells_it_in_one_line(work):
    keywords(FIRST, SECOND, **FAR)(work)
    before = names(work.folder)
    finished = run_command(
        work.folder, "strun", "calwebb_fusion4", ASN, "--steps.coregister.save_results=true"
    )
    assert finished.status == 64
    (line,) = [line for line in finished.stderr.splitlines() if " ERROR " in line]
    assert "no image covers the field" in line
    assert "Traceback" not in finished.text
    assert "CRDS" not in finished.text
    assert names(work.folder) == before
