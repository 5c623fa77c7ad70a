"""What is wrong with an input, a parameter or a folder is told in one line, and nothing is left behind."""

import json
import logging
import os
import shutil
from types import SimpleNamespace

import asdf
import numpy as np
import pytest
from astropy.io import fits
from stpipe.exceptions import StpipeExitException

from jwst_fusion import CoregisterStep, CrossCalibStep, Fusion4Pipeline, FusionStep
from jwst_fusion.exceptions import InputError, NoOverlapError, ParameterError

from .commands import names, run_command

ASN = "p_asn.json"
CUBE, FIRST, SECOND = "c_s3d.fits", "a_i2d.fits", "b_i2d.fits"
FAR = {"CRVAL1": 100.0, "CRVAL2": 20.0}


@pytest.fixture
def work(tmp_path, data, monkeypatch):
    """A folder with an association, links to its members, and means to spoil them."""
    sources = dict(zip((CUBE, FIRST, SECOND), (data.cube, *data.images), strict=True))
    for name, path in sources.items():
        (tmp_path / name).symlink_to(path)
    work = SimpleNamespace(folder=tmp_path, sources=sources)
    write_association(work)
    monkeypatch.chdir(tmp_path)
    return work


def write_association(work, members=(CUBE, FIRST, SECOND), product="p", copies=1):
    """Write an association of some members."""
    listed = [{"expname": name, "exptype": "science"} for name in members]
    content = {
        "asn_type": "x",
        "asn_id": "a3001",
        "products": [{"name": product, "members": listed}] * copies,
    }
    (work.folder / ASN).write_text(json.dumps(content))


def own(work, name):
    """Put a copy of a member in the place of its link."""
    path = work.folder / name
    path.unlink()
    shutil.copy(work.sources[name], path)
    return path


def members(*listed):
    return lambda work: write_association(work, listed)


def product(name):
    return lambda work: write_association(work, product=name)


def text(content):
    return lambda work: (work.folder / ASN).write_bytes(content)


def linked(name, source):
    """Add a member that is another name of one of the sources."""

    def spoil(work):
        (work.folder / name).symlink_to(work.sources[source])
        write_association(work, (CUBE, FIRST, name))

    return spoil


def keywords(*names_, **values):
    """Change keywords of members."""

    def spoil(work):
        for name in names_:
            with fits.open(own(work, name), mode="update") as hdus:
                for keyword, value in values.items():
                    hdus[0 if keyword in hdus[0].header else "SCI"].header[keyword] = value

    return spoil


def filled(*names_, value):
    """Fill the data of members with one value."""

    def spoil(work):
        for name in names_:
            with fits.open(own(work, name), mode="update") as hdus:
                hdus["SCI"].data[:] = value

    return spoil


def truncated(name, share):
    """Keep only the first part of a member's file."""

    def spoil(work):
        path = own(work, name)
        os.truncate(path, int(share * path.stat().st_size))

    return spoil


def table(work):
    """Add a member that is a table."""
    hdu = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=np.arange(3.0))])
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(work.folder / "t_x1d.fits")
    write_association(work, (CUBE, FIRST, "t_x1d.fits"))


def prose(work):
    """Add a member that is no data file."""
    (work.folder / "t_i2d.fits").write_text("no FITS file")
    write_association(work, (CUBE, FIRST, "t_i2d.fits"))


def fail(step, given, caplog, **parameters):
    """Run a step that must fail; its error."""
    before = names_in(os.curdir)
    parameters = {"save_results": True, "configure_log": False, "output_dir": "."} | parameters
    with caplog.at_level(logging.ERROR), pytest.raises(StpipeExitException) as caught:
        step.call(given, **parameters)
    message = str(caught.value)
    assert "\n" not in message
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR] == [message]
    assert names_in(os.curdir) == before
    return caught.value


def names_in(folder):
    """Names of all files below a folder."""
    return sorted(os.path.join(root, file) for root, _, files in os.walk(folder) for file in files)


ADVICE = "give one NIRSpec IFU cube"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(members(FIRST, SECOND), (ASN, "no NIRSpec IFU cube among 2", ADVICE), id="no cube"),
        pytest.param(linked("d_s3d.fits", CUBE), (ASN, "2 NIRSpec", CUBE, "d_s3d", ADVICE), id="two cubes"),
        pytest.param(members(CUBE), (ASN, "no NIRCam image", ADVICE), id="no image"),
        pytest.param(members(), (ASN, "no NIRSpec IFU cube among 0", ADVICE), id="no member"),
        pytest.param(members(CUBE, "gone.fits"), (ASN, "gone.fits is not there", "fetch"), id="missing"),
        pytest.param(
            keywords(FIRST, INSTRUME="MIRI", EXP_TYPE="MIR_IMAGE", FILTER="F770W"),
            (FIRST, "MIRI", "MIR_IMAGE", "neither", ADVICE),
            id="MIRI image",
        ),
        pytest.param(table, ("t_x1d.fits", "neither", ADVICE), id="table"),
        pytest.param(prose, ("t_i2d.fits", "can not be read", "fetch"), id="prose"),
        pytest.param(keywords(FIRST, BUNIT="DN/s"), (FIRST, "BUNIT is DN/s", "MJy/sr", "use"), id="unit"),
        pytest.param(keywords(CUBE, BUNIT="Jy"), (CUBE, "BUNIT is Jy", "MJy/sr", "use"), id="cube's unit"),
        pytest.param(
            keywords(CUBE, CTYPE3="FREQ"), (CUBE, "CTYPE3 is FREQ", "WAVE", "rebuild"), id="frequencies"
        ),
        pytest.param(
            keywords(FIRST, PUPIL="WLP8"), (FIRST, "PUPIL=WLP8", "CLEAR", "leave out"), id="weak lens"
        ),
        pytest.param(truncated(CUBE, 0.5), (CUBE, "can not be read", "truncated", "fetch"), id="half a cube"),
        pytest.param(truncated(CUBE, 0.99), (CUBE, "can not be read", "fetch"), id="99 % of a cube"),
        pytest.param(truncated(FIRST, 0.5), (FIRST, "can not be read", "fetch"), id="half an image"),
        pytest.param(truncated(FIRST, 0.9), (FIRST, "can not be read", "fetch"), id="90 % of an image"),
        pytest.param(truncated(CUBE, 0), (CUBE, "can not be read", "Empty", "fetch"), id="empty cube"),
        pytest.param(truncated(FIRST, 0), (FIRST, "can not be read", "Empty", "fetch"), id="empty image"),
        pytest.param(text(b'{"products": ['), (ASN, "not a readable", "asn_from_list"), id="half a JSON"),
        pytest.param(text(b""), (ASN, "not a readable", "asn_from_list"), id="empty JSON"),
        pytest.param(text(bytes(range(256))), (ASN, "not a readable", "asn_from_list"), id="binary JSON"),
        pytest.param(text(b"[1, 2]"), (ASN, "names no product", "asn_from_list"), id="another JSON"),
        pytest.param(
            text(b'{"products": [{"name": "p", "members": [{"a": 1}]}]}'),
            (ASN, "no expname", "asn_from_list"),
            id="another member",
        ),
        pytest.param(
            lambda work: write_association(work, copies=2),
            (ASN, "2 products", "exactly 1", "make an association for each"),
            id="two products",
        ),
        *(
            pytest.param(product(name), (ASN, repr(name), "asn_from_list"), id=f"product {name!r}")
            for name in ("a/b", "..", "", " ", "a\nb", None, 3)
        ),
        pytest.param(
            keywords(FIRST, SECOND, FILTER="F115W"),
            (CUBE, "F115W", "1.660 to 2.300 um", "0.970"),
            id="filter outside the cube",
        ),
        pytest.param(linked("d_i2d.fits", FIRST), ("d_i2d.fits", "F182M", "keep one"), id="filter twice"),
        pytest.param(
            filled(CUBE, value=np.nan), (CUBE, "all of its voxels", "NaN", "rebuild"), id="NaN cube"
        ),
    ],
)
def test_bad_association_or_member(work, caplog, spoil, words):
    spoil(work)
    error = fail(Fusion4Pipeline, ASN, caplog)
    assert isinstance(error, InputError)
    assert error.exit_status == 1
    for word in words:
        assert word in str(error)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_brightness_of_nothing(work, caplog, value):
    filled(FIRST, SECOND, value=value)(work)
    error = fail(Fusion4Pipeline, ASN, caplog)
    assert error.exit_status == (1 if value == 0 else 64)
    assert "use " in str(error)


@pytest.mark.parametrize("alignment", ["auto", "wcs"])
def test_images_of_another_field(work, caplog, alignment):
    keywords(FIRST, SECOND, **FAR)(work)
    error = fail(CoregisterStep, ASN, caplog, alignment=alignment)
    assert isinstance(error, NoOverlapError)
    assert error.exit_status == 64
    for word in ("_i2d.fits", "RA 83.834", "0 %", "50 % needed", "use images of the same target"):
        assert word in str(error)


def test_missing_association(work, caplog):
    error = fail(Fusion4Pipeline, "none_asn.json", caplog)
    assert isinstance(error, InputError)
    assert "none_asn.json: no such file; give calwebb_fusion4 the path" in str(error)


@pytest.mark.parametrize(
    ("step", "given", "words"),
    [
        (Fusion4Pipeline, CUBE, (CUBE, "one file is not enough", ADVICE)),
        (CoregisterStep, CUBE, (CUBE, "one file is not enough", ADVICE)),
        (CrossCalibStep, CUBE, (CUBE, "not a product of the coregister step", "run coregister first")),
        (CrossCalibStep, ASN, (ASN, "not a product of the coregister step", "run coregister first")),
        (FusionStep, ASN, (ASN, "not a product of the cross_calib step", "run cross_calib first")),
        (FusionStep, FIRST, (FIRST, "not a product of the cross_calib step", "run cross_calib first")),
        (FusionStep, [CUBE, FIRST], ("list", "not a product of the cross_calib step")),
    ],
)
def test_step_before_its_turn(work, caplog, step, given, words):
    error = fail(step, given, caplog)
    assert isinstance(error, InputError)
    for word in words:
        assert word in str(error)


@pytest.fixture
def crossed(full, data):
    """Paths of the intermediate products."""
    folder = full.folder / "products"
    return SimpleNamespace(coreg=folder / f"{data.name}_coreg.fits", xcal=folder / f"{data.name}_xcal.fits")


def test_fusion_of_what_is_not_cross_calibrated(work, crossed, caplog):
    error = fail(FusionStep, str(crossed.coreg), caplog)
    assert f"{crossed.coreg.name}: not a product of the cross_calib step" in str(error)


def test_truncated_intermediate_product(work, crossed, caplog):
    shutil.copy(crossed.coreg, "half_coreg.fits")
    os.truncate("half_coreg.fits", crossed.coreg.stat().st_size // 2)
    error = fail(CrossCalibStep, "half_coreg.fits", caplog)
    assert "half_coreg.fits: can not be read" in str(error)


@pytest.mark.parametrize(
    ("step", "parameters", "words"),
    [
        (FusionStep, {"mu": -1}, ("mu", "-1", "too small")),
        (FusionStep, {"mu": 0}, ("mu = 0", "positive number")),
        (FusionStep, {"mu": float("nan")}, ("mu = nan", "positive number")),
        (FusionStep, {"mu": "much"}, ("mu", "much", "wrong type")),
        (FusionStep, {"gamma": float("inf")}, ("gamma = inf", "positive number")),
        (FusionStep, {"rtol": 0}, ("rtol = 0", "positive number")),
        (FusionStep, {"n_components": 0}, ("n_components", "0", "too small")),
        (FusionStep, {"max_iterations": 0}, ("max_iterations", "0", "too small")),
        (CoregisterStep, {"alignment": "luck"}, ("alignment", "luck", "unacceptable")),
        (CoregisterStep, {"margin": float("nan")}, ("margin = nan", "0 to 60 arcsec")),
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


@pytest.mark.parametrize("folder", ["taken", "taken/below"])
def test_output_folder_that_can_not_be(work, crossed, caplog, folder):
    (work.folder / "taken").write_text("a file")
    error = fail(CrossCalibStep, str(crossed.coreg), caplog, output_dir=folder)
    assert isinstance(error, InputError)
    for word in (folder, "check the path and its permissions"):
        assert word in str(error)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_output_folder_without_permission(work, crossed, caplog):
    (work.folder / "closed").mkdir(mode=0o500)
    error = fail(CrossCalibStep, str(crossed.coreg), caplog, output_dir="closed")
    assert "_xcal.fits: Permission denied; check the path and its permissions" in str(error)


@pytest.mark.parametrize(
    ("spoil", "status", "words"),
    [
        (members(FIRST, SECOND), 1, f"{ASN}: no NIRSpec IFU cube among 2 members"),
        (keywords(FIRST, SECOND, **FAR), 64, "no image covers the field"),
    ],
)
def test_strun_tells_it_in_one_line(work, spoil, status, words):
    spoil(work)
    before = names(work.folder)
    finished = run_command(
        work.folder, "strun", "calwebb_fusion4", ASN, "--steps.coregister.save_results=true"
    )
    assert finished.status == status
    (line,) = [line for line in finished.stderr.splitlines() if " ERROR " in line]
    assert words in line
    assert "Traceback" not in finished.text
    assert "CRDS" not in finished.text
    assert names(work.folder) == before
