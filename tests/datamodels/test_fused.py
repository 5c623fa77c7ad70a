"""The fused cube as a file: order of the HDUs, content, and how other tools read it."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.registry import identify_format
from astropy.wcs import WCS
from jwst import datamodels as jwst_models
from numpy.testing import assert_allclose, assert_array_equal

from jwst_fusion import datamodels
from jwst_fusion.datamodels import FusedCubeModel
from tests.files import edit

HDUS = ["PRIMARY", "SCI", "ERR", "DQ", "WMAP", "WCS-TABLE", "COMPONENTS", "COEFFS", "COEFFERR", "FILTERS",
        "SPECTRAL", "DRAWS", "ASDF"]  # fmt: skip
ARRAYS = ("data", "err", "dq", "weightmap", "coefficients", "coefficient_errors", "draws")


@pytest.fixture
def product(fused_model, tmp_path):
    return fused_model.save(str(tmp_path / "disk_fused.fits"))


def test_order_does_not_depend_on_the_order_of_assignment(tmp_path):
    model = FusedCubeModel()
    model.set_table("filters", filter=["F200W"])
    model.weightmap = np.ones((2, 3, 4), dtype=np.float32)
    model.data = np.ones((2, 3, 4), dtype=np.float32)
    model.dq = np.zeros((2, 3, 4), dtype=np.uint32)
    model.err = np.ones((2, 3, 4), dtype=np.float32)
    with fits.open(model.save(tmp_path / "x.fits")) as hdulist:
        assert [hdu.name for hdu in hdulist] == ["PRIMARY", "SCI", "ERR", "DQ", "WMAP", "FILTERS", "ASDF"]


def test_unknown_table_comes_after_ours_and_before_asdf(fused_model, tmp_path):
    cards = [["TELESCOP", "JWST", ""]]
    table = np.array([(1.0,)], dtype=[("EXPTIME", ">f8")]).view(fits.FITS_rec)
    fused_model._instance["extra_fits"] = {"HDRTAB": {"header": cards, "data": table}}
    with fits.open(fused_model.save(tmp_path / "x.fits")) as hdulist:
        assert [hdu.name for hdu in hdulist] == [*HDUS[:-1], "HDRTAB", "ASDF"]


def test_headers(product):
    with fits.open(product) as hdulist:
        assert [hdu.name for hdu in hdulist] == HDUS
        assert hdulist["ASDF"].data.nbytes < 20_000  # arrays are stored once
        header = hdulist[0].header
        assert header["DATAMODL"] == "IFUCubeModel"
        assert header["FUSMODL"] == "FusedCubeModel"
        assert header["FILENAME"] == "disk_fused.fits"
        assert (header["FUSMU"], header["FUSNCOMP"], header["FUSCONV"]) == (0.25, 3, True)
        assert header["S_FUSION"] == "COMPLETE"
        assert hdulist["SCI"].header["BUNIT"] == hdulist["ERR"].header["BUNIT"] == "MJy/sr"
        assert hdulist["COMPONENTS"].columns.units == ["um", *["MJy/sr"] * 5]
        assert hdulist["FILTERS"].columns["psnr"].unit == "dB"
        assert hdulist["FILTERS"].columns["offset_east"].unit == "arcsec"


@pytest.mark.parametrize("extension", ["fits", "asdf"])
def test_round_trip(fused_model, tmp_path, extension):
    path = fused_model.save(tmp_path / f"disk_fused.{extension}")
    with datamodels.open(path) as model:
        assert type(model) is FusedCubeModel
        assert model.meta.filename == f"disk_fused.{extension}"
        for name in ARRAYS:
            assert_array_equal(getattr(model, name), getattr(fused_model, name))
            assert getattr(model, name).dtype.kind == getattr(fused_model, name).dtype.kind
        for name in ("components", "filters", "spectral"):
            table, expected = getattr(model, name), getattr(fused_model, name)
            assert table.dtype.names == expected.dtype.names
            for column in expected.dtype.names:
                assert_array_equal(np.asarray(table[column]).astype(expected[column].dtype), expected[column])
        assert_array_equal(model.basis, fused_model.basis)
        assert model.meta.fusion.instance == fused_model.meta.fusion.instance
        assert_allclose(model.meta.wcs(2, 3, 4), fused_model.meta.wcs(2, 3, 4), rtol=1e-13)
    with jwst_models.open(path) as model:  # as the official pipeline reads it
        assert type(model) is jwst_models.IFUCubeModel
        assert_array_equal(model.data, fused_model.data)
        assert_allclose(model.meta.wcs(2, 3, 4), fused_model.meta.wcs(2, 3, 4), rtol=1e-13)


def test_second_round_trip_keeps_all(fused_model, tmp_path):
    first = fused_model.save(tmp_path / "first.fits")
    with datamodels.open(first) as model:
        second = model.save(tmp_path / "second.fits")
    with fits.open(first) as expected, fits.open(second) as found:
        diff = fits.FITSDiff(expected, found, ignore_keywords=["DATE", "FILENAME"], ignore_hdus=["ASDF"])
        assert diff.identical, diff.report()


def test_coordinates_of_fits_and_gwcs_agree(product, fused_model, wavelength):
    index = np.arange(len(wavelength))
    assert_allclose(fused_model.meta.wcs(5 + 0 * index, 4 + 0 * index, index)[2], wavelength, rtol=1e-7)
    assert_allclose(fused_model.wavetable["wavelength"].ravel(), wavelength, rtol=1e-7)
    assert np.isfinite(fused_model.meta.wcs(-0.5, 8.5, 0)).all()  # to the edges of the outer spaxels
    z, y, x = np.meshgrid([0, 7.5, 19], [0, 4, 8], [0, 5.5, 11], indexing="ij")
    ra, dec, wavelength = fused_model.meta.wcs(x, y, z)
    with fits.open(product) as hdulist:
        fits_wcs = WCS(hdulist["SCI"].header, hdulist)
        expected = fits_wcs.pixel_to_world_values(x, y, z)
    spaxel = 0.0333 / 3600
    assert_allclose(ra, expected[0], rtol=0, atol=1e-6 * spaxel)
    assert_allclose(dec, expected[1], rtol=0, atol=1e-6 * spaxel)
    scale = 1e6 if fits_wcs.wcs.cunit[2] == "m" else 1.0
    step = 0.7 / 19
    assert_allclose(wavelength, expected[2] * scale, rtol=0, atol=1e-6 * step)


def test_specutils_reads_it(product, fused_model, wavelength):
    specutils = pytest.importorskip("specutils", exc_type=ImportError)
    spectrum = specutils.Spectrum.read(product)
    formats = identify_format("read", specutils.Spectrum, product, None, (product,), {})
    assert formats == ["JWST s3d"]
    assert spectrum.flux.unit.to_string() == "MJy / sr"
    assert_allclose(spectrum.spectral_axis.to_value("um"), wavelength, rtol=1e-7)
    assert_array_equal(np.sort(np.asarray(spectrum.flux.value).ravel()), np.sort(fused_model.data.ravel()))


def test_shapes_and_names_that_do_not_agree_are_rejected(fused_model, wavelength):
    with pytest.raises(ValueError, match=r"basis \(3, 20\); expected .*\(n_wave, k\)"):
        fused_model.set_components(wavelength, wavelength, np.ones((3, 20)))
    with pytest.raises(ValueError, match="no column"):
        fused_model.set_table("filters", filtre=["F200W"])
    with pytest.raises(ValueError, match="different lengths"):
        fused_model.set_table("filters", filter=["F200W"], pivot=[1.0, 2.0])
    with pytest.raises(ValueError, match="no entry"):
        fused_model.set_fusion(mew=1.0)


@pytest.mark.parametrize("extension", ["fits", "asdf"])
def test_numbers_that_are_not_finite_are_dropped(fused_model, tmp_path, extension):
    fused_model.set_fusion(gamma=np.nan, noise_ratio=None)
    fused_model.meta.fusion.info_kept = np.inf
    fused_model.meta.photometry.pixelarea_arcsecsq = np.nan
    with datamodels.open(fused_model.save(tmp_path / f"x.{extension}")) as model:
        assert model.meta.fusion.gamma is None
        assert model.meta.fusion.info_kept is None
        assert model.meta.photometry.pixelarea_arcsecsq is None


def test_long_text_survives_and_what_fits_can_not_hold_does_not_stop_a_run(fused_model, tmp_path):
    names = " ".join(f"jw01288-o001_t001_nircam_f{i}m_i2d.fits" for i in range(9))
    fused_model.set_fusion(image_files=names)
    fused_model.set_fusion(asn_name="étoile_asn.json", parameters={"fusion": {"psf_file": "é.asdf"}})
    fused_model.meta.target.catalog_name = "a\x0eb"  # of a damaged card
    fused_model.add_history("cal_ver \x0e")
    with datamodels.open(fused_model.save(tmp_path / "x.fits")) as model:
        assert model.meta.fusion.image_files == names
        assert model.meta.fusion.asn_name == "?toile_asn.json"
        assert model.meta.fusion.instance["parameters"] == {"fusion": {"psf_file": "é.asdf"}}
        assert model.meta.target.catalog_name == "a?b"
        assert model.history_lines[-1] == "cal_ver ?"


def test_draws_come_back_within_half_a_step_or_are_none(fused_model, tmp_path):
    draws = np.random.default_rng(3).normal(scale=0.01, size=(4, 3, 9, 12))
    fused_model.set_draws(draws)
    with datamodels.open(fused_model.save(tmp_path / "x.fits")) as model:
        assert model.draws.dtype.kind == "i"
        assert_allclose(model.draw_errors, draws, atol=0.51 * model.meta.fusion.draw_step * 0.01)
    del fused_model.draws
    with datamodels.open(fused_model.save(tmp_path / "x.fits")) as model:
        assert (model.unfit(), model.draw_errors) == (None, None)


@pytest.mark.parametrize(
    ("spoil", "finding"),
    [
        (lambda hdus: hdus["SCI"].header.update(BUNIT="Jy"), "BUNIT is Jy, MJy/sr expected"),
        (
            lambda hdus: setattr(hdus["FILTERS"], "data", hdus["FILTERS"].data[:0]),
            "filters is missing or empty",
        ),
        (
            lambda hdus: setattr(hdus["SPECTRAL"], "data", hdus["SPECTRAL"].data[:5]),
            r"spectral is (5,), (20,)",
        ),
    ],
)
def test_what_was_changed_does_not_fit(product, spoil, finding):
    edit(product, spoil)
    with datamodels.open(product) as model:
        assert model.unfit().startswith(finding)


def test_draws_take_a_small_part_of_the_product(fused_model):
    """As many are kept as fit; fewer than four are none."""
    fused_model.set_draws(np.zeros((50, 3, 9, 12)))
    assert 4 <= len(fused_model.draws) < 50
    assert fused_model.draws.nbytes <= 0.1 * 4 * fused_model.data.nbytes
    few = FusedCubeModel(data=np.ones((9, 9, 12), dtype=np.float32))
    few.coefficient_errors = fused_model.coefficient_errors
    few.set_draws(np.zeros((50, 3, 9, 12)))
    assert few.draw_errors is None


def test_a_notebook_shows_size_instrument_and_bands(fused_model):
    html = fused_model._repr_html_()
    ny, nx = fused_model.data.shape[1:]
    assert f"{len(fused_model.data)} x {ny} x {nx}" in html
    assert html.count("<tr>") >= 4 + len(fused_model.filters)
    assert "<script" not in html


def test_what_a_notebook_shows_is_escaped():
    model = FusedCubeModel()
    model.meta.target.catalog_name = "<b>HH 1 & 2"
    model.set_table("filters", filter=["F182M"], scale=[1.0])
    assert "&lt;b&gt;HH 1 &amp; 2" in model._repr_html_()
