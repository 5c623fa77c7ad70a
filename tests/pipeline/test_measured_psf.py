"""PSFs measured on the stars of image files: the command, and what the steps keep of it."""

import numpy as np
import pytest
from astropy.io import fits
from photutils.psf import ImagePSF
from stdatamodels.jwst.datamodels import ImageModel

from jwst_fusion import adapters, cli, datamodels
from jwst_fusion.optics.library import read_library
from jwst_fusion.optics.psf import fwhm
from jwst_fusion.optics.retrieval.measure import MeasuredPsf
from jwst_fusion.optics.sources import choose_source, with_measured
from jwst_fusion.optics.telescope import Wavefront
from tests.optics.retrieval.field import FINE, PIXEL, pixel_psf, smooth_wavefront, star_image, telescope_psf

BANDS = {"F187N": 1.874, "F212N": 2.1211}


def write_i2d(path, product):
    """Write an image product as the pipeline does, as far as it is read here."""
    model = ImageModel(data=product.data, err=product.error)
    model.wht = product.weight
    meta = model.meta
    meta.filename = path.name
    meta.instrument.name, meta.instrument.module, meta.instrument.channel = "NIRCAM", "B", "SHORT"
    meta.instrument.filter, meta.instrument.pupil, meta.instrument.detector = product.filter, "CLEAR", "NRCB1"
    meta.exposure.type, meta.bunit_data, meta.target.type = "NRC_IMAGE", "MJy/sr", "FIXED"
    meta.pointing.pa_v3, meta.resample.pixfrac = 0.0, 1.0
    info = meta.wcsinfo
    info.ctype1, info.ctype2, info.cunit1, info.cunit2 = "RA---TAN", "DEC--TAN", "deg", "deg"
    info.crpix1 = info.crpix2 = product.data.shape[0] / 2
    info.crval1, info.crval2, info.cdelt1, info.cdelt2 = 80.0, 0.0, PIXEL / 3600, PIXEL / 3600
    info.pc1_1, info.pc1_2, info.pc2_1, info.pc2_2 = -1.0, 0.0, 0.0, 1.0
    model.save(str(path))


@pytest.fixture(scope="module")
def truth():
    return smooth_wavefront(3, 75.0)


@pytest.fixture(scope="module")
def folder(truth, tmp_path_factory):
    """Two images of stars, and what the command makes of them."""
    folder = tmp_path_factory.mktemp("measured")
    for band, wavelength in BANDS.items():
        product, _ = star_image(pixel_psf(telescope_psf(wavelength, *truth)), 10, filter=band, seed=9)
        write_i2d(folder / f"{band.lower()}_i2d.fits", product)
    images = [str(path) for path in sorted(folder.glob("*_i2d.fits"))]
    assert cli.main(["psf", str(folder / "lib.asdf"), "--from-images", *images]) in (0, None)
    return folder


def test_files_are_written_for_each_tool_and_none_is_replaced(folder, capsys):
    made = {path.name for path in folder.iterdir() if not path.name.endswith("_i2d.fits")}
    per_band = {f"lib_{band}_{form}.fits" for band in ("f187n", "f212n") for form in ("psf", "epsf")}
    assert made == {"lib.asdf", "lib_short.png"} | per_band
    with open(folder / "lib_short.png", "rb") as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"
    image = str(folder / "f212n_i2d.fits")
    assert cli.main(["psf", str(folder / "lib.asdf"), "--from-images", image]) == 1
    assert "lib.asdf: exists already; give the library another name" in capsys.readouterr().err


def test_the_library_has_each_band_and_the_ifu(folder):
    entries = read_library(folder / "lib.asdf")
    assert [(e.instrument, e.filter, e.psf.includes) for e in entries] == [
        ("NIRCAM", "F187N", "all"), ("NIRCAM", "F212N", "all"), ("NIRSPEC", "", "telescope"),
    ]  # fmt: skip
    source = choose_source("auto", folder / "lib.asdf")
    assert source.nircam(filter="F187N").psf_error == entries[0].error
    assert 0.001 < entries[0].error < 0.05
    assert entries[2].error is None


def test_the_cube_is_read_as_one_of_stpsf(folder, truth):
    (entry,) = read_library(folder / "lib_f212n_psf.fits")
    assert (entry.instrument, entry.channel, entry.psf.includes) == ("NIRCAM", "short", "telescope")
    assert entry.psf.frame == "v3"
    nearest = np.argmin(abs(entry.psf.wavelength - 2.1211))
    true = telescope_psf(entry.psf.wavelength[nearest], *truth)
    found = fwhm(entry.psf.images[nearest], entry.psf.pixel_scale)
    assert found == pytest.approx(fwhm(true, FINE), rel=0.01)


def test_photutils_takes_the_effective_psf(folder):
    """Its value at a star's pixels is the star's light there: flux and residuals of a star come out."""
    epsf, header = fits.getdata(folder / "lib_f212n_epsf.fits", header=True)
    model = ImagePSF(epsf, oversampling=header["OVERSAMP"])
    image = fits.getdata(folder / "f212n_i2d.fits", "SCI")
    y, x = np.unravel_index(np.argmax(image), image.shape)
    rows, columns = np.mgrid[y - 8 : y + 9, x - 8 : x + 9]
    star = image[y - 8 : y + 9, x - 8 : x + 9] - 10.0

    def residual(x_0, y_0):
        unit = model.evaluate(columns, rows, 1.0, x_0, y_0)
        flux = np.sum(unit * star) / np.sum(unit**2)
        return np.sum((star - flux * unit) ** 2)

    steps = np.linspace(-0.6, 0.6, 25)
    best = min(residual(x + a, y + b) for a in steps for b in steps)
    noise = star.size
    assert best - noise < 0.02**2 * np.sum(star**2)
    assert epsf.sum() == pytest.approx(header["OVERSAMP"] ** 2, rel=1e-3)


def test_an_image_without_stars_is_refused_in_one_line(tmp_path, capsys):
    product, _ = star_image(np.zeros((257, 257)), 0)
    write_i2d(tmp_path / "empty_i2d.fits", product)
    assert cli.main(["psf", str(tmp_path / "x.asdf"), "--from-images", str(tmp_path / "empty_i2d.fits")]) == 1
    text = capsys.readouterr().err
    assert "empty_i2d.fits: no PSF can be measured on their stars" in text
    assert [path.name for path in tmp_path.iterdir()] == ["empty_i2d.fits"]


def test_two_images_of_a_band_are_refused_in_one_line(folder, capsys):
    """Each would give another blur, and the files are named by band."""
    image = str(next(folder.glob("*_i2d.fits")))
    assert cli.main(["psf", str(folder / "twice.asdf"), "--from-images", image, image]) == 1
    assert "one of 2 images of" in capsys.readouterr().err
    assert not (folder / "twice.asdf").exists()


def test_a_product_keeps_what_was_measured(tmp_path, capsys):
    rng = np.random.default_rng(0)
    blur = {"F212N": tuple(rng.standard_normal(7) * 1e-5)}
    amplitudes, errors = rng.standard_normal(117), ({"F212N": 0.008}, {"F212N": 0.05})
    measured = MeasuredPsf("short", Wavefront(69.6, 0.33), amplitudes, 0.4, blur, *errors, {"F212N": 9})
    model = datamodels.CoregisteredModel((4, 3, 3))
    adapters.store_measured_psfs(model, [measured])
    model.save(str(tmp_path / "x_coreg.fits"))
    with datamodels.open(str(tmp_path / "x_coreg.fits")) as again:
        (found,) = adapters.measured_psfs(again)
    assert found.key == measured.key
    source = with_measured(choose_source("analytic"), [found])
    assert source.name == "measured"
    optics = source.nircam(filter="F212N")
    assert optics.psf_error == 0.008
    assert optics.psf is source.nirspec(grating="G235H", filter="F170LP").psf
    assert source.nircam(filter="F356W").psf is None
    assert cli.main(["info", str(tmp_path / "x_coreg.fits")]) == 0
    assert "F212N  9 stars, error 0.0080, of the assumed PSF 0.0500" in capsys.readouterr().out
