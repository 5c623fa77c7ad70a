"""What is wrong with an input, a parameter or a folder is told in one line, and nothing is left behind."""

import errno
import logging
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import asdf
import numpy as np
import pytest
from stpipe.exceptions import StpipeExitException

from jwst_fusion import CoregisterStep, CrossCalibStep, Fusion4Pipeline, FusionStep, atomic
from jwst_fusion.exceptions import InputError, NoOverlapError, ParameterError
from tests.console import run_command
from tests.files import contents

from .commands import names
from .spoils import (
    ASN,
    CUBE,
    FAR,
    FIRST,
    SECOND,
    added,
    brighter_body,
    calibrated_only,
    compressed,
    everywhere,
    filled,
    first_part,
    flipped,
    in_a_table,
    in_double,
    keywords,
    linked,
    members,
    no_coordinates,
    one_spaxel,
    own,
    product,
    prose,
    several,
    table,
    text,
    truncated,
    window,
    without,
    write_association,
)

ADVICE = "give one NIRSpec IFU cube"


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


def fail(step, given, caplog, **parameters):
    """Run a step that must fail: its error, told in one line, and every file as it was."""
    before = contents(Path(os.curdir))
    parameters = {"save_results": True, "configure_log": False, "output_dir": "."} | parameters
    with caplog.at_level(logging.ERROR), pytest.raises(StpipeExitException) as caught:
        step.call(given, **parameters)
    message = str(caught.value)
    assert "\n" not in message
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR] == [message]
    assert contents(Path(os.curdir)) == before
    return caught.value


def names_in(folder):
    """Names of all files below a folder."""
    return sorted(os.path.join(root, file) for root, _, files in os.walk(folder) for file in files)


#: How each input is spoilt; the file that is named, what is found, the cure; the exit status if it is not 1.
BAD = {
    # members
    "no cube": (members(FIRST, SECOND), ASN, "no NIRSpec IFU cube among 2", ADVICE),
    "a cube twice": (linked("d_s3d.fits", CUBE), "d_s3d.fits", f"wavelengths of {CUBE}", "leave one"),
    "no image": (members(CUBE), ASN, "no NIRCam image", ADVICE),
    "no member": (members(), ASN, "no NIRSpec IFU cube among 0", ADVICE),
    "missing": (members(CUBE, "gone.fits"), ASN, "gone.fits is not there", "fetch"),
    "another machine": (members(CUBE, "/nowhere/a_i2d.fits"), ASN, "not there", "fetch"),
    "table": (table, "t_x1d.fits", "neither", ADVICE),
    "prose": (prose, "t_i2d.fits", "cannot be read", "fetch"),
    "filter twice": (linked("d_i2d.fits", FIRST), "d_i2d.fits", "F182M", "keep one"),
    "two modules": (
        several(keywords(FIRST, MODULE="A"), keywords(SECOND, MODULE="B", FILTER="F182M")),
        SECOND, "a second image in F182M", "keep one image for each filter",
    ),
    # text of the association
    "half a JSON": (text(b'{"products": ['), ASN, "not a readable", "asn_from_list"),
    "empty JSON": (text(b""), ASN, "not a readable", "asn_from_list"),
    "binary JSON": (text(bytes(range(256))), ASN, "not a readable", "asn_from_list"),
    "another JSON": (text(b"[1, 2]"), ASN, "names no product", "asn_from_list"),
    "without end": (text(b"[" * 200_000), ASN, "not a readable association", "asn_from_list"),
    "another member": (
        text(b'{"products": [{"name": "p", "members": [{"a": 1}]}]}'), ASN, "no expname", "asn_from_list",
    ),
    "two products": (lambda work: write_association(work, copies=2), ASN, "2 products", "make an asso"),
    **{
        f"product {name!r}": (product(name), ASN, f"{name!r} cannot name a file", "asn_from_list")
        for name in ("a/b", "..", "", " ", "a\nb", None, 3, "../p", "/tmp/p")
    },
    # other instruments and modes
    "MIRI image": (
        keywords(FIRST, INSTRUME="MIRI", EXP_TYPE="MIR_IMAGE", FILTER="F770W"),
        FIRST, "MIRI, EXP_TYPE MIR_IMAGE", ADVICE,
    ),
    "MIRI cube": (keywords(CUBE, INSTRUME="MIRI", EXP_TYPE="MIR_MRS"), CUBE, "MIRI, EXP_TYPE MIR", ADVICE),
    "NIRISS image": (keywords(FIRST, INSTRUME="NIRISS", EXP_TYPE="NIS_IMAGE"), FIRST, "NIRISS", ADVICE),
    "no INSTRUME": (keywords(FIRST, INSTRUME=None), FIRST, "data of None, EXP_TYPE NRC_IMAGE", ADVICE),
    "internal lamp": (keywords(CUBE, EXP_TYPE="NRS_LAMP"), CUBE, "NRS_LAMP", ADVICE),
    "fixed slit": (keywords(CUBE, EXP_TYPE="NRS_FIXEDSLIT"), CUBE, "NRS_FIXEDSLIT", ADVICE),
    "target acquisition": (keywords(FIRST, EXP_TYPE="NRC_TACQ"), FIRST, "NRC_TACQ", ADVICE),
    "fused cube": (keywords(CUBE, FUSMODL="FusedCubeModel"), CUBE, "is a product of this package", ADVICE),
    "not resampled": (everywhere(FIRST, calibrated_only), FIRST, "not resampled", "use the pipeline's"),
    "no SCI in the cube": (without(CUBE, "SCI"), CUBE, "neither a NIRSpec", ADVICE),
    "no SCI in an image": (without(FIRST, "SCI"), FIRST, "neither", ADVICE),
    # filters
    **{
        f"{wide} and {element}": (
            keywords(FIRST, FILTER=wide, PUPIL=element), FIRST, f"found {found}", "correct the header",
        )
        for wide, element, found in (
            ("CLEAR", "F182M", "FILTER=CLEAR with PUPIL=F182M (are they exchanged?)"),
            ("CLEAR", "CLEAR", "FILTER=CLEAR with PUPIL=CLEAR, expected a filter of direct imaging"),
            ("WLP4", "CLEAR", "FILTER=WLP4 with PUPIL=CLEAR, expected a filter of direct imaging"),
            ("WLP4", "F212N", "FILTER=WLP4 with PUPIL=F212N"),
            (None, "CLEAR", "FILTER=None"),
            ("F999W", "CLEAR", "FILTER=F999W"),
            ("F182M", None, "PUPIL=None"),
            ("F182M", "WLP8", "PUPIL=WLP8 with FILTER=F182M, expected CLEAR"),
            ("F182M", "MASKRND", "PUPIL=MASKRND"),
            ("F182M", "GRISMR", "PUPIL=GRISMR"),
            ("F070W", "F162M", "FILTER=F070W with PUPIL=F162M, expected FILTER=F150W2"),
        )
    },
    "unknown module": (keywords(FIRST, MODULE="C"), FIRST, "MODULE=C, expected A, B", "correct the header"),
    "filter outside the cube": (
        keywords(FIRST, SECOND, FILTER="F115W"), CUBE, "F115W look: the cube has 1.660 to 2", "use filters",
    ),
    **{
        f"PIXFRAC {value}": (
            keywords(FIRST, PIXFRAC=value), FIRST, f"PIXFRAC is {value}, 0 to 1", "correct the header",
        )
        for value in (-3.0, 1.5, 400.0, "square")
    },
    # units
    **{
        f"unit {unit} of {name}": (
            keywords(name, BUNIT=unit), name, f"BUNIT is {unit}, MJy/sr needed", "use the pipeline's stage-3",
        )
        for name, unit in ((FIRST, "DN/s"), (FIRST, "MJy"), (FIRST, None), (CUBE, "Jy"), (CUBE, "Jy/sr"))
    },
    # wavelengths
    "frequencies": (keywords(CUBE, CTYPE3="FREQ"), CUBE, "CTYPE3 is FREQ, WAVE", "rebuild"),
    "unit of time": (keywords(CUBE, CUNIT3="Hz"), CUBE, "CUNIT3 is Hz, um needed", "rebuild"),
    "one channel": (everywhere(CUBE, window(planes=slice(0, 1))), CUBE, "1 planes, at least 3", "use a cube"),
    "two channels": (everywhere(CUBE, window(planes=slice(40, 42))), CUBE, "2 planes", "use a cube"),
    "three channels": (everywhere(CUBE, window(planes=slice(40, 43))), ASN, "80 % of its band", "use "),
    "Angstrom not stated": (
        keywords(CUBE, CRVAL3=16600.0, CDELT3=64.6, CUNIT3=None),
        CUBE, "wavelengths from 16600 to 22995.4 um", "state the unit",
    ),
    "metres not stated": (
        keywords(CUBE, CRVAL3=1.66e-6, CDELT3=6.46e-9, CUNIT3=None), CUBE, "from 1.66e-06", "state the unit",
    ),
    "table in metres": (everywhere(CUBE, in_a_table(0, 1e-6)), CUBE, "from 1.66e-06 to 2.3e-06", "rebuild"),
    "table in Angstrom": (everywhere(CUBE, in_a_table(0, 1e4)), CUBE, "from 16600 to 23000 um", "rebuild"),
    "descending": (keywords(CUBE, CDELT3=-0.006), CUBE, "not ascending", "rebuild"),
    "all the same": (keywords(CUBE, CDELT3=0.0), CUBE, "not ascending", "rebuild"),
    "trimmed planes": (everywhere(CUBE, in_a_table(5)), CUBE, "100 wavelengths for 95 planes", "rebuild"),
    "table lost": (
        several(everywhere(CUBE, in_a_table(0)), without(CUBE, "WCS-TABLE")),
        CUBE, "there is no WCS-TABLE", "rebuild",
    ),
    # values
    "NaN cube": (filled(CUBE, value=np.nan), CUBE, "all of its voxels are NaN", "rebuild"),
    "cube of 1e300": (everywhere(CUBE, in_double(1, 1e300)), CUBE, "all of its voxels are NaN", "rebuild"),
    "images of 1e300": (
        several(*(everywhere(name, in_double(1, 1e300)) for name in (FIRST, SECOND))),
        SECOND, "no image covers the field", "use images of the same target", 64,
    ),
    "NaN images": (
        filled(FIRST, SECOND, value=np.nan), SECOND, "no image covers the field", "use images of the", 64,
    ),
    "dark images": (filled(FIRST, SECOND, value=0.0), "F182M", "MJy/sr", "use "),
    "negative flux": (
        several(*(everywhere(name, added(-1e4)) for name in (CUBE, FIRST, SECOND))), "F182M", "MJy", "use ",
    ),
    "one valid spaxel": (everywhere(CUBE, one_spaxel), CUBE, "1 spaxel with data", "rebuild"),
    "one spaxel": (everywhere(CUBE, window(slice(7, 8), slice(7, 8))), CUBE, "1 spaxel with data", "rebuild"),
    "a brighter body": (
        several(
            keywords(CUBE, FIRST, SECOND, TARGTYPE="MOVING"),
            *(everywhere(name, brighter_body) for name in (FIRST, SECOND)),
        ),
        "F182M", "no band can be used",
        "check that the brightest source in the images is the one in the cube",
    ),
    # place
    "another field": (keywords(FIRST, SECOND, **FAR), SECOND, "about RA 83.83", "use images of the same", 64),
    "the other side of the sky": (
        keywords(FIRST, SECOND, CRVAL1=263.0, CRVAL2=5.4), SECOND, "0 %", "use images of the same", 64,
    ),
    # coordinates
    **{
        f"{what} of {name}": (spoil(name), name, f"no usable celestial WCS ({found}", "use the pipeline's")
        for name in (CUBE, FIRST)
        for what, spoil, found in (
            ("no WCS", lambda name: everywhere(name, no_coordinates), "there is no CTYPE1"),
            *(
                (f"{values}", lambda name, values=values: keywords(name, **values), found)
                for values, found in (
                    ({"CTYPE1": None}, "there is no CTYPE1"),
                    ({"CTYPE1": "LINEAR"}, "axes LINEAR and DEC--TAN"),
                    ({"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP"}, "axes RA---TAN-SIP and DEC"),
                    ({"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN"}, "axes GLON-TAN and GLAT-TAN, RA"),
                    ({"CTYPE1": "DEC--TAN", "CTYPE2": "RA---TAN"}, "axes DEC--TAN and RA---TAN"),
                    ({"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN"}, "axes RA---SIN and DEC--SIN"),
                    ({"A_ORDER": 2, "A_2_0": 1e-5}, "A_ORDER indicates distortion"),
                    ({"PV2_1": 0.1}, "PV2_1 indicates distortion"),
                    ({"LONPOLE": 90.0}, "LONPOLE is 90.0, 180 needed"),
                    ({"RADESYS": "FK4", "EQUINOX": 1950.0}, "RADESYS is FK4 of equinox 1950.0, ICRS needed"),
                    ({"RADESYS": "FK5", "EQUINOX": 1975.0}, "RADESYS is FK5 of equinox 1975.0, ICRS needed"),
                    ({"PC1_1": 0.0, "PC1_2": 0.0}, ""),
                    ({"CDELT1": 0.0}, ""),
                    ({"CDELT1": 1e300}, "pixels of"),
                    ({"CRPIX1": 1e300}, "pixels of"),
                    ({"CRVAL1": 1e300}, "pixels of"),
                    ({"CRVAL2": 95.0}, ""),
                )
            ),
        )
    },
    # files that are not whole
    **{
        f"{share} of {name}": (truncated(name, share), name, "cannot be read", "fetch")
        for name in (CUBE, FIRST)
        for share in (0, 0.5, 0.9, 0.99 if name == CUBE else 0.95)
    },
    **{
        f"{what} of {name}{suffix}": (
            compressed(name, suffix, change),
            f"{name}{suffix}", f"cannot be read as a JWST product ({found}", "fetch",
        )
        for name in (CUBE, FIRST)
        for suffix, wrong in ((".gz", "CRC check failed"), (".bz2", "Invalid data stream"))
        for what, change, found in (
            ("half", first_part(0.5), "Compressed file ended"),
            ("most", first_part(0.999), "Compressed file ended"),
            ("checksum", flipped(-6), wrong),
        )
    },
    "compressed without saying so": (
        compressed(FIRST, ".gz", first_part(0.999), keep_name=True), FIRST, "Compressed file ended", "fetch",
    ),
}  # fmt: skip


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


def test_a_file_that_shrinks_while_it_is_read(work, caplog, monkeypatch):
    original = CoregisterStep._coregister

    def shrinking(*arguments):
        os.truncate(path, path.stat().st_size // 2)
        return original(*arguments)

    path = own(work, FIRST)
    monkeypatch.setattr(CoregisterStep, "_coregister", shrinking)
    with pytest.raises(
        InputError, match=f"{FIRST}: can no longer be read to its end .*; fetch the file again"
    ):
        Fusion4Pipeline.call(ASN, configure_log=False, save_results=True)
    assert names_in(".") == sorted(f"./{name}" for name in (ASN, CUBE, FIRST, SECOND))


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
    assert "half_coreg.fits: cannot be read" in str(error)


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


@pytest.mark.parametrize("folder", ["taken", "taken/below"])
def test_output_folder_that_can_not_be(work, crossed, caplog, folder):
    (work.folder / "taken").write_text("a file")
    error = fail(CrossCalibStep, str(crossed.coreg), caplog, output_dir=folder)
    assert isinstance(error, InputError)
    for word in (folder, "check the path and its permissions"):
        assert word in str(error)


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
