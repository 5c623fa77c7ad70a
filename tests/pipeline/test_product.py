"""The fused cube that a run leaves on disk: what others' tools read, and whether it is right."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import asdf
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from jwst import datamodels as jwst_datamodels
from scipy.ndimage import gaussian_filter
from scipy.optimize import least_squares
from specutils import Spectrum

from jwst_fusion import FusionStep, datamodels, extract, lines
from jwst_fusion.datamodels import FusedCubeModel
from jwst_fusion.quality.metrics import psnr, spectral_angle, ssim

from .conftest import NAME, STAR

HDUS = [
    "PRIMARY", "SCI", "ERR", "DQ", "WMAP", "WCS-TABLE", "COMPONENTS", "COEFFS", "COEFFERR", "FILTERS",
    "SPECTRAL", "DRAWS", "ASDF",
]  # fmt: skip
BAND_COLUMNS = [
    "filter", "pivot", "scale", "scale_err", "offset_east", "offset_north", "offset_err", "psnr", "ssim",
    "chi2", "held_out", "excess_blur", "correlation", "change", "residual_east", "residual_north",
    "residual_err", "roll", "roll_err", "magnification", "magnification_err", "blur", "blur_err",
    "mismatch",
]  # fmt: skip
WAVE_COLUMNS = ["wavelength", "cube_mean", "fused_mean", "relative_error", "psf_fwhm"]
MAS = 1e-3


@pytest.fixture(scope="module")
def hdulist(product):
    with fits.open(product, memmap=False) as hdus:
        yield hdus


@pytest.fixture(scope="module")
def cube(data):
    with fits.open(data.cube, memmap=False) as hdus:
        yield hdus


@pytest.fixture(scope="module")
def compared(product):
    """Fused cube, truth and bicubically upsampled cube on the same cells, by the project's example."""
    path = Path(__file__).parents[2] / "examples" / "compare_with_truth.py"
    specification = importlib.util.spec_from_file_location("compare_with_truth", path)
    example = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(example)
    folder = product.parent
    for link in (p for p in folder.parent.iterdir() if p.is_symlink() and not (folder / p.name).exists()):
        (folder / link.name).symlink_to(link.resolve())
    return example.load(str(folder / NAME))[:3]


def sky_offset(ra, dec, place):
    """Offset (east, north) [arcsec] from a place (ra, dec) [deg]."""
    east, north = SkyCoord(*place, unit="deg").spherical_offsets_to(SkyCoord(ra, dec, unit="deg"))
    return east.arcsec, north.arcsec


def mean_image(cube):
    """Mean over the planes with data; zero where there is none."""
    return np.nan_to_num(cube[np.isfinite(cube).any(axis=(1, 2))]).mean(axis=0)


def find_star(image, wcs, place):
    """Place (ra, dec) [deg] of a star in an image, near a place: a Gaussian on a sloping background."""
    column, row = (int(round(float(value))) for value in wcs.world_to_pixel_values(*place))
    rows, columns = np.mgrid[-3:4, -3:4]
    window = image[row - 3 : row + 4, column - 3 : column + 4]

    def residual(p):
        square = ((columns - p[0]) ** 2 + (rows - p[1]) ** 2) / p[2] ** 2
        return (p[3] * np.exp(-square / 2) + p[4] + p[5] * columns + p[6] * rows - window).ravel()

    fit = least_squares(residual, [0, 0, 1, np.ptp(window), np.median(window), 0, 0])
    return wcs.pixel_to_world_values(column + fit.x[0], row + fit.x[1])


def test_hdus_are_in_the_order_of_the_contract(hdulist):
    assert [hdu.name for hdu in hdulist] == HDUS


def test_shapes_and_types_are_those_of_the_contract(hdulist):
    n_wave, ny, nx = shape = hdulist["SCI"].shape
    k = hdulist["COEFFS"].shape[0]
    assert n_wave > 80
    for name in ("SCI", "ERR", "WMAP"):
        assert hdulist[name].shape == shape
        assert hdulist[name].header["BITPIX"] == -32
    assert hdulist["DQ"].shape == shape
    assert hdulist["DQ"].data.dtype.kind == "u"
    assert hdulist["COEFFS"].shape == hdulist["COEFFERR"].shape == (k, ny, nx)
    assert hdulist["COMPONENTS"].columns.names == [
        "wavelength", "mean_spectrum", *(f"basis_{i + 1}" for i in range(k)), "mean_noise"
    ]  # fmt: skip
    assert hdulist["FILTERS"].columns.names == BAND_COLUMNS
    assert hdulist["SPECTRAL"].columns.names == WAVE_COLUMNS
    assert len(hdulist["COMPONENTS"].data) == len(hdulist["SPECTRAL"].data) == n_wave
    bands = hdulist["FILTERS"].data
    assert bands["filter"].tolist() == ["F182M", "F210M"]
    assert (bands["correlation"] > 0.9).all()
    assert (bands["mismatch"] < 1.25).all()
    for name in ("roll", "magnification", "blur"):
        assert (np.abs(bands[name]) < 5 * bands[f"{name}_err"]).all()


def test_units_and_identity_are_kept(hdulist, cube):
    for name in ("SCI", "ERR"):
        assert hdulist[name].header["BUNIT"] == "MJy/sr"
    primary, source = hdulist["PRIMARY"].header, cube["PRIMARY"].header
    assert (primary["TELESCOP"], primary["INSTRUME"], primary["EXP_TYPE"]) == ("JWST", "NIRSPEC", "NRS_IFU")
    assert (primary["DATAMODL"], primary["FUSMODL"]) == ("IFUCubeModel", "FusedCubeModel")
    assert primary["FILENAME"] == f"{NAME}_fused.fits"
    for keyword in ("TARGNAME", "GRATING", "FILTER", "TARGTYPE"):
        assert primary[keyword] == source[keyword]
    header = hdulist["SCI"].header
    for keyword in ("PA_V3", "RADESYS", "SPECSYS"):
        assert header.get(keyword) == cube["SCI"].header.get(keyword)
    assert header["DISPAXIS"] == 3
    cells = 1 / header["PIXAR_A2"]
    assert cells == pytest.approx(900, rel=1e-3)
    assert header["PIXAR_SR"] == pytest.approx(header["PIXAR_A2"] * (np.pi / 180 / 3600) ** 2)


def test_settings_are_in_the_header(hdulist, product):
    with datamodels.open(product) as model:
        fusion = model.meta.fusion
        assert fusion.n_components == hdulist["COEFFS"].shape[0]
        assert fusion.mu > 0
        assert fusion.gamma > 0
        assert 0 < fusion.info_kept <= 1
        assert fusion.version
        assert fusion.asn_name == f"{NAME}_asn.json"
        assert "_s3d.fits" in fusion.cube_file
        values = {str(card.value) for card in hdulist["PRIMARY"].header.cards}
        for value in (fusion.mu, fusion.gamma, fusion.n_components, fusion.version, fusion.tuning):
            assert str(value) in values


def test_dq_and_err_agree_with_sci(hdulist):
    sci, err, dq = (hdulist[name].data for name in ("SCI", "ERR", "DQ"))
    known = np.isfinite(sci)
    assert 0.3 < known.mean() < 1
    assert ((dq & 1) != 0)[~known].all()
    # LOW_QE, UNRELIABLE_SLOPE, FLUX_ESTIMATED and OTHER_BAD_PIXEL tell something of values that can be used.
    assert (dq[known] & ~np.uint32(8192 | 16777216 | 268435456 | 1073741824) == 0).all()
    assert ((dq[known] & 8192) == 0).any()
    assert (err[known] > 0).all()
    assert np.isfinite(err[known]).all()
    assert np.isnan(err[~known]).all()
    assert (hdulist["WMAP"].data[known] >= 1).all()


def test_components_and_coefficients_make_the_cube(hdulist, product):
    sci = hdulist["SCI"].data
    with FusedCubeModel(str(product)) as model:
        mean = np.asarray(model.components["mean_spectrum"])
        scene = mean[:, np.newaxis, np.newaxis] + np.tensordot(model.basis, model.coefficients, axes=1)
    known = np.isfinite(sci)
    np.testing.assert_allclose(sci[known], scene[known], rtol=1e-5, atol=1e-5 * np.nanmax(sci))


@pytest.mark.parametrize(
    ("opener", "kind"),
    [
        (jwst_datamodels.open, jwst_datamodels.IFUCubeModel),
        (jwst_datamodels.IFUCubeModel, jwst_datamodels.IFUCubeModel),
        (datamodels.open, FusedCubeModel),
        (FusedCubeModel, FusedCubeModel),
    ],
)
def test_data_models_read_the_product(opener, kind, product, hdulist):
    with opener(str(product)) as model:
        assert type(model) is kind
        np.testing.assert_array_equal(model.data, hdulist["SCI"].data)
        assert model.meta.bunit_data == "MJy/sr"


@pytest.mark.parametrize("form", [None, "JWST s3d"])
def test_specutils_reads_the_product(form, product, hdulist):
    spectrum = Spectrum.read(product, format=form)
    assert str(spectrum.flux.unit) == "MJy / sr"
    assert spectrum.spectral_axis.size == hdulist["SCI"].shape[0]
    np.testing.assert_allclose(
        spectrum.spectral_axis.to_value("um"), hdulist["COMPONENTS"].data["wavelength"], rtol=1e-6
    )
    flux = np.moveaxis(spectrum.flux.value, spectrum.spectral_axis_index, 0)
    total = np.nansum(hdulist["SCI"].data, axis=(1, 2))
    np.testing.assert_allclose(np.nansum(flux, axis=(1, 2)), total, rtol=1e-4)


def test_asdf_reads_the_product(repeated, hdulist):
    with asdf.open(repeated.folder / "again" / f"{NAME}_fused.asdf", memmap=False) as tree:
        assert tree["data"].shape == hdulist["SCI"].shape
        assert np.isfinite(tree["data"]).any()
        assert tree["meta"]["fusion"]["model_type"] == "FusedCubeModel"
        columns, rows = np.meshgrid(np.arange(4.0), np.arange(3.0))
        ra, _, wavelength = tree["meta"]["wcs"](columns, rows, 0.0)
        assert np.isfinite(ra).all()
        np.testing.assert_allclose(wavelength, hdulist["COMPONENTS"].data["wavelength"][0])


@pytest.mark.skipif(shutil.which("fitsverify") is None, reason="fitsverify is not on the PATH")
@pytest.mark.parametrize("suffix", ["coreg", "xcal", "fused"])
def test_fitsverify_finds_no_error(suffix, product):
    path = product.with_name(f"{NAME}_{suffix}.fits")
    report = subprocess.run(["fitsverify", "-e", path], capture_output=True, text=True, check=False)
    assert report.returncode == 0, report.stdout
    assert " 0 error(s)" in report.stdout


def test_fits_wcs_and_gwcs_agree(product, hdulist):
    n_wave, ny, nx = hdulist["SCI"].shape
    rng = np.random.default_rng(0)
    pixel = [rng.uniform(0, n - 1, 50) for n in (nx, ny, n_wave)]
    wcs = WCS(hdulist["SCI"].header, fobj=hdulist)
    with datamodels.open(product) as model:
        ra, dec, wavelength = model.meta.wcs(*pixel)
        assert model.meta.wcs.bounding_box is not None
    back = wcs.wcs_world2pix(np.stack([ra, dec, np.asarray(wavelength) * 1e-6], axis=1), 0)
    np.testing.assert_allclose(back, np.stack(pixel, axis=1), atol=1e-6)
    np.testing.assert_allclose(
        np.interp(pixel[2], np.arange(n_wave), hdulist["COMPONENTS"].data["wavelength"]),
        wavelength,
        atol=1e-9,
    )


def test_cells_divide_the_spaxels_of_the_cube(hdulist, cube):
    ours, theirs = (WCS(hdus["SCI"].header).celestial for hdus in (hdulist, cube))
    ra, dec = ours.wcs_pix2world(1, 1, 0)  # middle of the first spaxel's 3 x 3 cells
    place = np.array(theirs.wcs_world2pix(ra, dec, 0), dtype=float)
    np.testing.assert_allclose(place, np.round(place), atol=1e-6)


@pytest.fixture(scope="module")
def star_place(data):
    """Where the WCS of the cube puts the star of the scene: (ra, dec) [deg]."""
    centre = SkyCoord(*data.truth["sky_centre_cube"], unit="deg")
    place = centre.spherical_offsets_by(STAR.east * u.arcsec, STAR.north * u.arcsec)
    return place.ra.deg, place.dec.deg


def test_star_is_where_the_wcs_of_the_cube_puts_it(hdulist, star_place):
    wcs = WCS(hdulist["SCI"].header).celestial
    found = find_star(mean_image(hdulist["SCI"].data), wcs, star_place)
    assert np.hypot(*sky_offset(*found, star_place)) < 10 * MAS


def test_star_is_where_the_truth_has_it(hdulist, data, star_place):
    with fits.open(data.truth_files[0]) as truth:
        true = find_star(mean_image(truth["SCI"].data), WCS(truth["SCI"].header).celestial, star_place)
    wcs = WCS(hdulist["SCI"].header).celestial
    found = find_star(mean_image(hdulist["SCI"].data), wcs, star_place)
    assert np.hypot(*sky_offset(*found, true)) < 10 * MAS


def test_scales_and_offsets_are_those_of_the_simulation(hdulist, data):
    true = {row["filter"]: row for row in data.truth["filters"]}
    for row in hdulist["FILTERS"].data:
        expected = true[row["filter"]]
        assert row["scale"] == pytest.approx(expected["scale"], rel=0.01)
        assert row["offset_east"] == pytest.approx(expected["offset_east"], abs=10 * MAS)
        assert row["offset_north"] == pytest.approx(expected["offset_north"], abs=10 * MAS)
        assert 0 < row["scale_err"] < 0.02
        assert 0 < row["offset_err"] < 10 * MAS
        assert row["psnr"] > 35
        assert 0.95 < row["ssim"] <= 1
        assert row["held_out"] == 0


def test_fused_cube_is_nearer_to_the_truth_than_bicubic(compared):
    fused, truth, bicubic = compared
    assert psnr(truth, fused) > psnr(truth, bicubic) + 4
    assert spectral_angle(truth, fused) < spectral_angle(truth, bicubic)
    planes = np.flatnonzero(np.isfinite(fused).any(axis=(1, 2)))[::10]
    scores = [np.mean([ssim(truth[i], image[i]) for i in planes]) for image in (fused, bicubic)]
    assert scores[0] > scores[1] + 0.05


def test_spectrum_is_that_of_the_truth(compared):
    fused, truth, _ = compared
    known = np.isfinite(fused)
    alive = known.any(axis=(1, 2))
    spectra = [np.where(known, values, 0).sum(axis=(1, 2))[alive] for values in (fused, truth)]
    ratio = spectra[0] / spectra[1]
    assert np.median(ratio) == pytest.approx(1, abs=0.01)
    assert ratio.std() < 0.02


def test_flux_is_that_of_the_truth(compared):
    fused, truth, _ = compared
    known = np.isfinite(fused)
    total = [values[known].sum(dtype=np.float64) for values in (fused, truth)]
    assert total[0] == pytest.approx(total[1], rel=0.01)


def test_flux_is_that_of_the_cube(hdulist, cube):
    fused, spaxels = hdulist["SCI"], cube["SCI"].data
    header, source = fused.header, cube["SCI"].header
    first = round((header["CRVAL3"] - source["CRVAL3"]) / source["CDELT3"])
    spaxels = spaxels[first : first + fused.shape[0]]
    x, y = WCS(source).celestial.wcs_world2pix(*WCS(header).celestial.wcs_pix2world(1, 1, 0), 0)
    row, column = round(float(y)), round(float(x))
    ny, nx = fused.shape[1] // 3, fused.shape[2] // 3
    spaxels = spaxels[:, row : row + ny, column : column + nx]
    binned = fused.data.reshape(-1, ny, 3, nx, 3).mean(axis=(2, 4))
    known = np.isfinite(spaxels) & np.isfinite(binned)
    total = [values[known].sum(dtype=np.float64) for values in (binned, spaxels)]
    # the IFU's own blur carries 1.2 % of the light of a bright core out of a field as small as this
    assert total[0] == pytest.approx(total[1], rel=0.02)
    table = hdulist["SPECTRAL"].data
    alive = np.isfinite(table["cube_mean"])
    assert np.sqrt(np.mean(table["relative_error"][alive] ** 2)) < 0.02
    own = (table["fused_mean"] - table["cube_mean"]) / table["cube_mean"]
    np.testing.assert_allclose(table["relative_error"], own, rtol=1e-5, atol=1e-9)


def test_resolution_is_better_than_that_of_the_cube(hdulist):
    widths = hdulist["SPECTRAL"].data["psf_fwhm"]
    assert ((widths > 0.03) & (widths < 0.13)).all()


def test_s_region_covers_the_field(hdulist):
    header = hdulist["SCI"].header
    numbers = re.fullmatch(r"POLYGON ICRS\s+(.*)", header["S_REGION"])[1].split()
    wcs = WCS(header).celestial
    corners = np.stack(wcs.wcs_world2pix(*np.reshape(np.array(numbers, float), (-1, 2)).T, 0), axis=1)
    edges = np.roll(corners, -1, axis=0) - corners
    rows, columns = np.nonzero(np.isfinite(hdulist["SCI"].data).any(axis=0))
    cells = np.stack([columns, rows], axis=1)
    away = cells[:, np.newaxis] - corners
    sides = edges[:, 0] * away[..., 1] - edges[:, 1] * away[..., 0]
    assert (sides > 0).all() or (sides < 0).all()  # inside of each edge of a convex polygon
    x, y = corners.T
    area = abs(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2
    assert len(cells) <= area < 1.3 * len(cells)


def test_a_stated_beam_is_in_data_errors_and_header(product, hdulist, tmp_path):
    crossed = str(product.with_name(f"{NAME}_xcal.fits"))
    model = FusionStep.call(crossed, beam=0.1, save_report=False, configure_log=False)
    model.save(str(tmp_path / "blunt_fused.fits"))
    with fits.open(tmp_path / "blunt_fused.fits") as blunt:
        header = blunt["SCI"].header
        beam = [header["BMAJ"] * 3600, header["BMIN"] * 3600, header["BPA"]]
        np.testing.assert_allclose(beam, [0.1, 0.1, 0.0])
        sigma = 0.1 / 2.3548 / (header["CDELT2"] * 3600)
        middle = np.s_[:, 10:-10, 10:-10]
        sharp = np.nan_to_num(hdulist["SCI"].data)
        departure = blunt["SCI"].data[middle] - gaussian_filter(sharp, (0, sigma, sigma))[middle]
        assert np.nanmax(abs(departure)) < 1e-3 * sharp.max()
        assert np.nanmedian(blunt["ERR"].data / hdulist["ERR"].data) < 0.8
    assert "BMAJ" not in hdulist["SCI"].header


def test_lines_and_regions_are_measured_in_it(product, hdulist):
    """Channels of this cube are wide: so is the window."""
    (maps,) = lines(product, 1.8756, window=3500.0)
    inside = np.isfinite(hdulist["COEFFS"].data[0])
    flux = maps.cells.flux
    np.testing.assert_array_equal(np.isfinite(flux.value), inside)
    assert (flux.error[inside] > 0).all()
    area = float(hdulist["SCI"].header["PIXAR_A2"])
    assert maps.total.flux.value == pytest.approx(flux.value[inside].sum() * area, rel=1e-5)
    independent, shared = (area * np.sqrt((flux.error[inside] ** 2).sum()), area * flux.error[inside].sum())
    assert 0.5 * independent < maps.total.flux.error < shared
    (spectrum,) = extract(product, "image; circle(14, 14, 6)")
    alive = np.isfinite(spectrum.flux)
    assert alive.mean() > 0.9
    assert (spectrum.error[alive] > 0).all()
    np.testing.assert_allclose(np.nanmedian(spectrum.cube_flux / spectrum.flux), 1.0, atol=0.3)
    assert [band["filter"] for band in spectrum.bands] == ["F182M", "F210M"]
    for band in spectrum.bands:
        assert band["nircam"] == pytest.approx(band["seen"], rel=0.05)


def test_draws_take_a_small_part_of_it(product, hdulist):
    assert 4 <= len(hdulist["DRAWS"].data)
    assert hdulist["DRAWS"].data.nbytes < 0.1 * product.stat().st_size
