"""Tests of files of PSFs and of the choice of a source."""

import asdf
import numpy as np
import pytest
from astropy.io import fits

from jwst_fusion.cli import main
from jwst_fusion.exceptions import InputError, ParameterError
from jwst_fusion.optics.library import LibraryEntry, file_key, find_entry, read_library, write_library
from jwst_fusion.optics.sources import choose_source
from jwst_fusion.ownership import MARK

from .test_sampled import sampled, spots

WAVES = np.linspace(1.6, 2.4, 6)


def entry(instrument="NIRCAM", **options):
    psf = sampled([spots()] * 6, WAVES, angle=12.0, frame="aperture", name="lib.asdf")
    return LibraryEntry(instrument, psf, **options)


@pytest.fixture
def library(tmp_path):
    path = tmp_path / "lib.asdf"
    write_library(path, [entry(channel="short"), entry("NIRSPEC", grating="G235H", filter="F170LP")])
    return path


def write_fits(path, images, **header):
    fits.writeto(path, np.asarray(images, dtype=np.float32), fits.Header(header), overwrite=True)
    return path


def test_a_library_comes_back(library):
    first, second = read_library(library)
    assert (first.instrument, first.channel, second.grating) == ("NIRCAM", "short", "G235H")
    np.testing.assert_allclose(first.psf.images, np.stack([spots()] * 6), rtol=1e-6, atol=1e-30)
    np.testing.assert_array_equal(first.psf.wavelength, WAVES)
    assert (first.psf.pixel_scale, first.psf.frame, first.psf.angle) == (0.02, "aperture", 12.0)
    assert file_key(library).startswith("lib.asdf ")
    assert not list(library.parent.glob(".*"))


def test_fits_cube_as_stpsf_writes_it(tmp_path):
    header = {f"WAVELN{i:02d}": 1e-6 * w for i, w in enumerate(WAVES)}
    header |= {
        "INSTRUME": "NIRSpec",
        "GRATING": "G235H",
        "FILTER": "F170LP",
        "PIXELSCL": 0.02,
        "WAVE0": 1.6e-6,
    }
    image = fits.PrimaryHDU(np.stack([spots()] * 6), fits.Header(header))
    image.header["EXTNAME"] = "OVERSAMP"
    image.header["HISTORY"] = "Rotated by 90.00 degrees, CCW"
    path = tmp_path / "cube.fits"
    fits.HDUList([image, fits.ImageHDU(np.ones((6, 9, 9)), name="DET_SAMP")]).writeto(path)
    (found,) = read_library(path)
    assert (found.instrument, found.grating, found.filter) == ("NIRSPEC", "G235H", "F170LP")
    assert (found.psf.frame, found.psf.angle, found.psf.includes) == ("aperture", -90.0, "telescope")
    np.testing.assert_allclose(found.psf.wavelength, WAVES)


def test_only_detector_pixels_are_refused(tmp_path):
    path = tmp_path / "det.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(spots(), name="DET_SAMP")]).writeto(path)
    with pytest.raises(InputError, match=r"det\.fits: PSFs on the detector's pixels only"):
        read_library(path)


def test_an_observed_star(tmp_path):
    angle = np.radians(20.0)
    cd = 0.02 / 3600 * np.array([[-np.cos(angle), np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    header = {"INSTRUME": "NIRCAM", "FILTER": "F150W2", "PUPIL": "F162M"}
    header |= {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"}
    header |= {
        "CRVAL1": 80.0,
        "CRVAL2": 5.0,
        "CRPIX1": 21.0,
        "CRPIX2": 21.0,
        "CUNIT1": "deg",
        "CUNIT2": "deg",
    }
    header |= {f"CD{i + 1}_{j + 1}": cd[i, j] for i in (0, 1) for j in (0, 1)}
    (star,) = read_library(write_fits(tmp_path / "star.fits", spots(), **header))
    assert (star.filter, star.channel, star.psf.frame, star.psf.includes) == ("F162M", "short", "sky", "all")
    assert star.psf.angle == pytest.approx(20.0)
    assert star.psf.pixel_scale == pytest.approx(0.02)
    (turned,) = read_library(write_fits(tmp_path / "star.fits", spots(), **header, PA_V3=50.0))
    assert (turned.psf.frame, turned.psf.angle) == ("v3", pytest.approx(-30.0))


def test_an_observed_cube(tmp_path):
    header = {"INSTRUME": "NIRSPEC", "PIXELSCL": 0.02, "CTYPE3": "WAVE", "CUNIT3": "um", "CRVAL3": 1.6}
    (found,) = read_library(write_fits(tmp_path / "c.fits", [spots()] * 6, **header, CRPIX3=1.0, CDELT3=0.16))
    np.testing.assert_allclose(found.psf.wavelength, WAVES)
    with pytest.raises(InputError, match="0 wavelengths for 6 PSFs"):
        read_library(write_fits(tmp_path / "c.fits", [spots()] * 6, INSTRUME="NIRSPEC", PIXELSCL=0.02))


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"PIXELSCL": 0.02}, "INSTRUME is None, NIRCAM or NIRSPEC needed"),
        ({"INSTRUME": "MIRI", "PIXELSCL": 0.02}, "INSTRUME is MIRI"),
        ({"INSTRUME": "NIRCAM"}, "neither PIXELSCL"),
    ],
)
def test_headers_that_do_not_tell(tmp_path, header, words):
    with pytest.raises(InputError, match=rf"s\.fits: {words}"):
        read_library(write_fits(tmp_path / "s.fits", spots(), **header))


def test_files_that_are_no_libraries(tmp_path):
    asdf.AsdfFile({"a": 1}).write_to(tmp_path / "other.asdf")
    with pytest.raises(InputError, match="not a library of PSFs"):
        read_library(tmp_path / "other.asdf")
    asdf.AsdfFile({"jwst_fusion_psf_library": 99}).write_to(tmp_path / "new.asdf")
    with pytest.raises(InputError, match="format 99"):
        read_library(tmp_path / "new.asdf")
    write_library(tmp_path / "wrong.asdf", [entry(error=-1.0)])
    with pytest.raises(InputError, match="error of a PSF is -1.0"):
        read_library(tmp_path / "wrong.asdf")
    (tmp_path / "x.fits").write_text("nothing")
    with pytest.raises(InputError, match=r"x\.fits: cannot be read as PSFs"):
        read_library(tmp_path / "x.fits")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--plot", "lib.asdf"], "--plot lib.asdf: a picture is a .png file; give the library before --plot"),
        (["new.txt"], "new.txt: a library is an .asdf file; give it another name"),
        (["lib.txt"], "lib.txt: a library is an .asdf file; give it another name"),
    ],
)
def test_a_picture_does_not_replace_a_library(tmp_path, monkeypatch, capsys, arguments, words):
    """An own file may be replaced, but only by one of its kind."""
    monkeypatch.chdir(tmp_path)
    for name in ("lib.asdf", "lib.txt"):
        (tmp_path / name).write_text(f"the work of hours, {MARK}")
    assert main(["psf", *arguments]) == 1
    assert capsys.readouterr().err == f"jwst-fusion: error: {words}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lib.asdf", "lib.txt"]
    assert (tmp_path / "lib.asdf").read_text().startswith("the work of hours")


def test_the_entry_of_a_product():
    entries = [
        entry(channel="short"),
        entry(channel="short", filter="F182M"),
        entry("NIRSPEC", grating="G235H"),
    ]
    choose = {"name": "lib.asdf"}
    assert find_entry(entries, instrument="NIRCAM", filter="F182M", **choose) is entries[1]
    assert find_entry(entries, instrument="NIRCAM", filter="F210M", **choose) is entries[0]
    assert find_entry(entries, instrument="NIRSPEC", grating="G235H", **choose) is entries[2]
    assert find_entry(entries[:2], instrument="NIRSPEC", grating="G235H", **choose) is None
    with pytest.raises(InputError, match=r"lib\.asdf: PSFs of NIRSPEC for G235H, G395H needed"):
        find_entry(entries, instrument="NIRSPEC", grating="G395H", **choose)
    with pytest.raises(InputError, match="short channel, F356W needed"):
        find_entry(entries, instrument="NIRCAM", filter="F356W", **choose)


def test_choice_of_the_source(monkeypatch, library, tmp_path, caplog):
    monkeypatch.delenv("STPSF_PATH", raising=False)
    analytic = choose_source()
    assert analytic.name == "analytic"
    assert analytic.nircam(filter="F182M").psf is None
    given = choose_source(library=library)
    assert given.name == "library"
    assert given.nircam(filter="F182M").psf.name == "lib.asdf"
    assert given.nirspec(grating="G235H", filter="F170LP").psf.wavelength.size == 6
    assert given.key != analytic.key
    write_library(tmp_path / "half.asdf", [entry(channel="short")])
    half = choose_source(library=tmp_path / "half.asdf")
    assert half.nirspec(grating="G235H", filter="F170LP").psf is None
    assert "NIRSpec by analytic" in half.key
    assert "half.asdf: no PSFs of NIRSPEC: those of the source analytic are used" in caplog.text
    for foreign in ([entry("MIRI")], []):
        write_library(tmp_path / "other.asdf", foreign)
        with pytest.raises(InputError, match=r"other.asdf: .*PSFs.*; .*jwst-fusion psf"):
            choose_source(library=tmp_path / "other.asdf")
    assert choose_source("analytic", wavefront_rms=50.0).nircam(filter="F182M").short_wavefront.rms == 50.0
    blurred = choose_source("analytic", ifu_blur=0.06)
    assert (blurred.ifu_optics.blur, blurred.ifu_optics.sigma) == ("gaussian", 0.06)
    assert len({s.key for s in (analytic, blurred, choose_source("analytic", wavefront_rms=50.0))}) == 3


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"psf_source": "webbpsf"}, "psf_source = 'webbpsf' is unknown"),
        ({"psf_source": "library"}, "needs a file"),
        ({"psf_source": "analytic", "library": "a.asdf"}, "contradict each other"),
        ({"wavefront_rms": -1.0}, "wavefront_rms = -1.0"),
        ({"ifu_blur": 0.0}, "ifu_blur = 0.0"),
    ],
)
def test_parameters_that_can_not_be_used(given, words):
    with pytest.raises(ParameterError, match=words):
        choose_source(**given)
