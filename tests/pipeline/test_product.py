"""The fused cube that a run leaves on disk: what others' tools read, and whether it is right."""

import re
import shutil
import subprocess

import asdf
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import StdDevUncertainty
from astropy.wcs import WCS
from jwst import datamodels as jwst_datamodels
from jwst.extract_1d import Extract1dStep
from photutils.aperture import CircularAperture, SkyCircularAperture, aperture_photometry
from scipy.ndimage import gaussian_filter
from scipy.optimize import least_squares
from specutils import Spectrum
from stdatamodels.jwst.datamodels import Extract1dIFUModel

from jwst_fusion import FusionStep, datamodels, extract, lines
from jwst_fusion.datamodels import FusedCubeModel
from jwst_fusion.optics.analytic import nircam_otf
from jwst_fusion.optics.matching import fill_nearest
from jwst_fusion.optics.throughput import bandpass
from jwst_fusion.quality.metrics import psnr, spectral_angle, ssim

from .commands import compare_with_truth, spaxels
from .conftest import NAME, STAR

BAND_COLUMNS = [
    "filter", "pivot", "scale", "scale_err", "offset_east", "offset_north", "offset_err", "psnr", "ssim",
    "chi2", "held_out", "excess_blur", "correlation", "change", "residual_east", "residual_north",
    "residual_err", "roll", "roll_err", "magnification", "magnification_err", "blur", "blur_err",
    "mismatch",
]  # fmt: skip
WAVE_COLUMNS = ["wavelength", "cube_mean", "fused_mean", "relative_error", "psf_fwhm"]
MAS = 1e-3
ARCSEC = np.pi / 180 / 3600


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
    """Fused cube, truth and bicubically upsampled cube on the same cells."""
    folder = product.parent
    for link in (p for p in folder.parent.iterdir() if p.is_symlink() and not (folder / p.name).exists()):
        (folder / link.name).symlink_to(link.resolve())
    return compare_with_truth(folder / NAME)


def test_hdus_columns_and_types_are_those_of_the_contract(hdulist, product):
    n_wave, ny, nx = shape = hdulist["SCI"].shape
    k = hdulist["COEFFS"].shape[0]
    assert [hdu.name for hdu in hdulist] == [
        "PRIMARY", "SCI", "ERR", "DQ", "WMAP", "WCS-TABLE", "COMPONENTS", "COEFFS", "COEFFERR", "FILTERS",
        "SPECTRAL", "DRAWS", "ASDF",
    ]  # fmt: skip
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
    assert hdulist["COMPONENTS"].columns.units == ["um", *["MJy/sr"] * (k + 2)]
    assert hdulist["ASDF"].data.nbytes < 1e5  # arrays are stored once
    assert hdulist["FILTERS"].columns.names == BAND_COLUMNS
    assert [hdulist["FILTERS"].columns[name].unit for name in ("psnr", "offset_east")] == ["dB", "arcsec"]
    assert hdulist["SPECTRAL"].columns.names == WAVE_COLUMNS
    assert len(hdulist["COMPONENTS"].data) == len(hdulist["SPECTRAL"].data) == n_wave
    assert 4 <= len(hdulist["DRAWS"].data)
    assert hdulist["DRAWS"].data.nbytes < 0.1 * product.stat().st_size


def test_headers_say_what_an_analysis_needs(hdulist, cube, product):
    primary, header = hdulist["PRIMARY"].header, hdulist["SCI"].header
    assert (primary["DATAMODL"], primary["FUSMODL"]) == ("IFUCubeModel", "FusedCubeModel")
    assert (primary["TELESCOP"], primary["INSTRUME"], primary["EXP_TYPE"]) == ("JWST", "NIRSPEC", "NRS_IFU")
    assert (primary["FILENAME"], primary["FLUXEXT"], primary["ERREXT"]) == (product.name, "SCI", "ERR")
    for keyword in ("GRATING", "FILTER", "TARGNAME", "TARGTYPE", "PROGRAM"):
        assert primary[keyword] == cube["PRIMARY"].header[keyword], keyword
    for keyword in ("VELOSYS", "SPECSYS", "RADESYS", "PA_V3", "PA_APER"):
        assert header[keyword] == cube["SCI"].header[keyword], keyword
    assert header["BUNIT"] == hdulist["ERR"].header["BUNIT"] == "MJy/sr"
    assert header["DISPAXIS"] == 3  # whatever the source has
    assert 1 / header["PIXAR_A2"] == pytest.approx(900, rel=1e-3)
    cell = abs(np.linalg.det(WCS(header).celestial.pixel_scale_matrix)) * 3600**2
    assert header["PIXAR_A2"] == pytest.approx(cell, rel=1e-6)
    assert header["PIXAR_SR"] == pytest.approx(cell * ARCSEC**2, rel=1e-6)
    with datamodels.open(product) as model:
        fusion = model.meta.fusion
        assert fusion.n_components == hdulist["COEFFS"].shape[0]
        assert 0 < fusion.info_kept <= 1
        assert (fusion.asn_name, fusion.cube_file[-9:]) == (f"{NAME}_asn.json", "_s3d.fits")
        values = {str(card.value) for card in primary.cards}
        for value in (fusion.mu, fusion.gamma, fusion.n_components, fusion.version, fusion.tuning):
            assert str(value) in values


def test_hdus_by_number_and_a_linear_spectral_axis(hdulist):
    """What q3dfit takes: data, error, flags and weight by number, wavelengths from three keywords."""
    header = hdulist[1].header
    assert (header["CTYPE3"], header["CUNIT3"]) == ("WAVE", "um")
    plane = np.arange(header["NAXIS3"]) + 1
    linear = header["CRVAL3"] + (plane - header["CRPIX3"]) * header["CDELT3"]
    np.testing.assert_allclose(linear, hdulist["SPECTRAL"].data["wavelength"], rtol=1e-9)
    sci, err, dq, weight = (hdulist[number].data for number in (1, 2, 3, 4))
    known = np.isfinite(sci)
    assert 0.3 < known.mean() < 1
    np.testing.assert_array_equal(known, dq & 1 == 0)
    # LOW_QE, UNRELIABLE_SLOPE, FLUX_ESTIMATED and OTHER_BAD_PIXEL tell something of values that can be used.
    assert (dq[known] & ~np.uint32(8192 | 16777216 | 268435456 | 1073741824) == 0).all()
    assert ((dq[known] & 8192) == 0).any()
    assert (err[known] > 0).all()
    np.testing.assert_array_equal(known, np.isfinite(err))
    assert (weight[known] >= 1).all()


def test_data_models_read_the_product_and_its_components_make_the_cube(product, hdulist):
    sci = hdulist["SCI"].data
    for opener in (jwst_datamodels.open, jwst_datamodels.IFUCubeModel, datamodels.open, FusedCubeModel):
        with opener(str(product)) as model:
            ours = opener in (datamodels.open, FusedCubeModel)
            assert type(model) is (FusedCubeModel if ours else jwst_datamodels.IFUCubeModel)
            np.testing.assert_array_equal(model.data, sci)
            assert model.meta.bunit_data == "MJy/sr"
    with FusedCubeModel(str(product)) as model:
        mean = np.asarray(model.components["mean_spectrum"])
        scene = mean[:, np.newaxis, np.newaxis] + np.tensordot(model.basis, model.coefficients, axes=1)
    known = np.isfinite(sci)
    np.testing.assert_allclose(sci[known], scene[known], rtol=1e-5, atol=1e-5 * np.nanmax(sci))


@pytest.mark.parametrize("form", [None, "JWST s3d"])
def test_specutils_has_flux_uncertainty_mask_and_coordinates(form, product, hdulist):
    spectrum = Spectrum.read(product, format=form)
    assert str(spectrum.flux.unit) == "MJy / sr"
    np.testing.assert_array_equal(spectrum.flux.value, hdulist["SCI"].data)
    assert isinstance(spectrum.uncertainty, StdDevUncertainty)
    np.testing.assert_array_equal(spectrum.uncertainty.array, hdulist["ERR"].data)
    np.testing.assert_array_equal(spectrum.mask, hdulist["DQ"].data)
    wavelengths = hdulist["COMPONENTS"].data["wavelength"]
    np.testing.assert_allclose(spectrum.spectral_axis.to_value("um"), wavelengths, rtol=1e-6)
    _, ny, nx = spectrum.shape
    ra, dec, wavelength = spectrum.wcs(nx // 2, ny // 3, 5)
    expected = WCS(hdulist["SCI"].header).celestial.wcs_pix2world(nx // 2, ny // 3, 0)
    np.testing.assert_allclose([ra, dec], np.ravel(expected), rtol=0, atol=1e-9)
    assert wavelength == pytest.approx(wavelengths[5])


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
def test_fitsverify_finds_no_error(product):
    for suffix in ("coreg", "xcal", "fused"):
        path = product.with_name(f"{NAME}_{suffix}.fits")
        report = subprocess.run(["fitsverify", "-e", path], capture_output=True, text=True, check=False)
        assert report.returncode == 0, report.stdout
        assert " 0 error(s)" in report.stdout


def test_coordinates_agree_are_kept_in_slices_and_divide_the_spaxels(product, hdulist, cube):
    sci = hdulist["SCI"]
    rng = np.random.default_rng(0)
    pixel = np.stack([rng.uniform(0, n - 1, 50) for n in sci.shape[::-1]], axis=1)
    wcs = WCS(sci.header, fobj=hdulist)
    with datamodels.open(product) as model:
        ra, dec, wavelength = model.meta.wcs(*pixel.T)
        assert model.meta.wcs.bounding_box is not None
    back = wcs.wcs_world2pix(np.stack([ra, dec, np.asarray(wavelength) * 1e-6], axis=1), 0)
    np.testing.assert_allclose(back, pixel, atol=1e-6)
    stated = hdulist["COMPONENTS"].data["wavelength"]
    np.testing.assert_allclose(np.interp(pixel[:, 2], np.arange(len(stated)), stated), wavelength, atol=1e-9)
    whole = wcs.wcs_pix2world([[9, 7, 13]], 0)
    np.testing.assert_allclose(wcs[10:20, 5:15, 8:20].wcs_pix2world([[1, 2, 3]], 0), whole, rtol=1e-12)
    image = WCS(fits.PrimaryHDU(sci.data[4, 5:15, 8:20], wcs.celestial[5:15, 8:20].to_header()).header)
    place = np.ravel(wcs.celestial.wcs_pix2world(8, 5, 0))
    np.testing.assert_allclose(np.ravel(image.wcs_pix2world(0, 0, 0)), place, rtol=1e-10)
    first = wcs.celestial.wcs_pix2world(1, 1, 0)  # middle of the first spaxel's 3 x 3 cells
    spaxel = np.array(WCS(cube["SCI"].header).celestial.wcs_world2pix(*first, 0), dtype=float)
    np.testing.assert_allclose(spaxel, np.round(spaxel), atol=1e-6)


def sky_offset(ra, dec, place):
    """Offset (east, north) [arcsec] from a place (ra, dec) [deg]."""
    east, north = SkyCoord(*place, unit="deg").spherical_offsets_to(SkyCoord(ra, dec, unit="deg"))
    return east.arcsec, north.arcsec


def find_star(hdus, place):
    """Place (ra, dec) [deg] of a star in a cube, near a place: a Gaussian on a sloping background."""
    values, wcs = hdus["SCI"].data, WCS(hdus["SCI"].header).celestial
    image = np.nan_to_num(values[np.isfinite(values).any(axis=(1, 2))]).mean(axis=0)
    column, row = (int(round(float(value))) for value in wcs.world_to_pixel_values(*place))
    rows, columns = np.mgrid[-3:4, -3:4]
    window = image[row - 3 : row + 4, column - 3 : column + 4]

    def residual(p):
        square = ((columns - p[0]) ** 2 + (rows - p[1]) ** 2) / p[2] ** 2
        return (p[3] * np.exp(-square / 2) + p[4] + p[5] * columns + p[6] * rows - window).ravel()

    fit = least_squares(residual, [0, 0, 1, np.ptp(window), np.median(window), 0, 0])
    return wcs.pixel_to_world_values(column + fit.x[0], row + fit.x[1])


def test_star_is_where_the_cube_and_the_truth_put_it(hdulist, data):
    centre = SkyCoord(*data.truth["sky_centre_cube"], unit="deg")
    place = centre.spherical_offsets_by(STAR.east * u.arcsec, STAR.north * u.arcsec)
    place = place.ra.deg, place.dec.deg
    found = find_star(hdulist, place)
    assert np.hypot(*sky_offset(*found, place)) < 10 * MAS
    with fits.open(data.truth_files[0]) as truth:
        assert np.hypot(*sky_offset(*found, find_star(truth, place))) < 10 * MAS


def test_bands_are_those_of_the_simulation(hdulist, data):
    true = {row["filter"]: row for row in data.truth["filters"]}
    bands = hdulist["FILTERS"].data
    assert bands["filter"].tolist() == ["F182M", "F210M"]
    assert (bands["correlation"] > 0.9).all()
    assert (bands["mismatch"] < 1.25).all()
    for name in ("roll", "magnification", "blur"):
        assert (np.abs(bands[name]) < 5 * bands[f"{name}_err"]).all()
    for row in bands:
        expected = true[row["filter"]]
        assert row["scale"] == pytest.approx(expected["scale"], rel=0.01)
        assert row["offset_east"] == pytest.approx(expected["offset_east"], abs=10 * MAS)
        assert row["offset_north"] == pytest.approx(expected["offset_north"], abs=10 * MAS)
        assert 0 < row["scale_err"] < 0.02
        assert 0 < row["offset_err"] < 10 * MAS
        assert row["psnr"] > 35
        assert 0.95 < row["ssim"] <= 1
        assert row["held_out"] == 0


def test_fused_cube_is_near_the_truth(compared, hdulist):
    fused, truth, bicubic = compared
    assert psnr(truth, fused) > psnr(truth, bicubic) + 4
    assert spectral_angle(truth, fused) < spectral_angle(truth, bicubic)
    known = np.isfinite(fused)
    alive = known.any(axis=(1, 2))
    planes = np.flatnonzero(alive)[::10]
    scores = [np.mean([ssim(truth[i], image[i]) for i in planes]) for image in (fused, bicubic)]
    assert scores[0] > scores[1] + 0.05
    spectra = [np.where(known, v, 0).sum(axis=(1, 2), dtype=np.float64)[alive] for v in (fused, truth)]
    ratio = spectra[0] / spectra[1]
    assert np.median(ratio) == pytest.approx(1, abs=0.01)
    assert ratio.std() < 0.02
    assert spectra[0].sum() == pytest.approx(spectra[1].sum(), rel=0.01)
    widths = hdulist["SPECTRAL"].data["psf_fwhm"]
    assert ((widths > 0.03) & (widths < 0.13)).all()


def test_flux_is_that_of_the_cube(hdulist, data):
    fused = hdulist["SCI"]
    own, _ = spaxels(data.cube, fused.header, fused.shape)
    binned = fused.data.reshape(-1, own.shape[1], 3, own.shape[2], 3).mean(axis=(2, 4))
    known = np.isfinite(own) & np.isfinite(binned)
    total = [values[known].sum(dtype=np.float64) for values in (binned, own)]
    # the IFU's own blur carries 1.2 % of the light of a bright core out of a field as small as this
    assert total[0] == pytest.approx(total[1], rel=0.02)
    table = hdulist["SPECTRAL"].data
    alive = np.isfinite(table["cube_mean"])
    assert np.sqrt(np.mean(table["relative_error"][alive] ** 2)) < 0.02
    own = (table["fused_mean"] - table["cube_mean"]) / table["cube_mean"]
    np.testing.assert_allclose(table["relative_error"], own, rtol=1e-5, atol=1e-9)


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


def test_the_pipeline_extracts_a_spectrum(product, tmp_path, monkeypatch):
    """With a reference file for a circle of 0.25 arcsec at all wavelengths."""
    wavelength = np.linspace(0.5, 5.5, 6).astype(np.float32)
    reference = Extract1dIFUModel()
    reference.meta.region_type, reference.meta.method = "target", "subpixel"
    reference.meta.subpixels, reference.meta.subtract_background = 10, False
    reference.meta.radius_units = "arcsec"
    values = {"radius": 0.25, "inner_bkg": 0.4, "outer_bkg": 0.5, "axis_ratio": 1.0, "axis_pa": 0.0}
    columns = {name: np.full_like(wavelength, value) for name, value in values.items()}
    reference.data = {"wavelength": wavelength, **columns}
    asdf.AsdfFile(reference.instance).write_to(tmp_path / "extract1d.asdf", all_array_storage="inline")
    given = {"extract1d": str(tmp_path / "extract1d.asdf")}
    monkeypatch.setattr(Extract1dStep, "get_reference_file", lambda _, __, kind: given.get(kind, "N/A"))
    with jwst_datamodels.open(product) as model:
        model.meta.target.source_type = "POINT"
        result = Extract1dStep().process(model)
        spectrum = result.spec[0]
        sci, area = np.nan_to_num(model.data), model.meta.photometry.pixelarea_steradians
        radius = 0.25 / model.meta.photometry.pixelarea_arcsecsq**0.5
    assert result.meta.cal_step.extract_1d == "COMPLETE"
    circle = CircularAperture((spectrum.extraction_x, spectrum.extraction_y), radius)
    expected = [aperture_photometry(plane, circle)["aperture_sum"][0] * area * 1e6 for plane in sci]
    np.testing.assert_allclose(spectrum.spec_table["FLUX"], expected, rtol=2e-3)


def at_resolution_of_nircam(image, wavelength, wcs, position_angle):
    """Blur a band image of the fused cube, north up, as NIRCam does: light in the PSF's wings is lost."""
    reach = 30
    filled = np.pad(fill_nearest(image), reach, mode="reflect")
    cell = abs(wcs.wcs.cdelt[0]) * 3600
    frequency = np.fft.fftfreq(filled.shape[0])[:, np.newaxis], np.fft.rfftfreq(filled.shape[1])
    otf = nircam_otf(
        wavelength, -frequency[1] / cell, frequency[0] / cell, position_angle_v3=position_angle,
        detector_pixel=0.0311, image_pixel=0.0311, pixfrac=1.0,
    )[0]  # fmt: skip
    blurred = np.fft.irfft2(np.fft.rfft2(filled) * otf, s=filled.shape)[reach:-reach, reach:-reach]
    return np.where(np.isfinite(image), blurred, np.nan)


@pytest.mark.parametrize("number", [0, 1])
def test_aperture_photometry_is_that_of_nircam(number, hdulist, data):
    row = hdulist["FILTERS"].data[number]
    sci = hdulist["SCI"].data
    alive = np.isfinite(sci).any(axis=(1, 2))
    weights, _ = bandpass(row["filter"], "B", hdulist["SPECTRAL"].data["wavelength"], usable=alive)
    band = row["scale"] * np.tensordot(weights[alive], sci[alive].astype(float), axes=1)
    wcs = WCS(hdulist["SCI"].header).celestial
    band = at_resolution_of_nircam(band, row["pivot"], wcs, data.truth["pa_v3_nircam"])
    place = wcs.pixel_to_world((sci.shape[2] - 1) / 2, (sci.shape[1] - 1) / 2)
    with fits.open(data.images[number]) as image:
        nircam, there = image["SCI"].data.astype(float), WCS(image["SCI"].header).celestial
    moved = place.spherical_offsets_by(row["offset_east"] * u.arcsec, row["offset_north"] * u.arcsec)
    fluxes = []
    for sky, values, coordinates in ((place, band, wcs), (moved, nircam, there)):
        aperture = SkyCircularAperture(sky, 0.3 * u.arcsec).to_pixel(coordinates)
        cell = abs(np.linalg.det(coordinates.pixel_scale_matrix))
        known = np.isfinite(values)
        total = aperture_photometry(np.where(known, values, 0), aperture)["aperture_sum"][0]
        share = aperture_photometry(known.astype(float), aperture)["aperture_sum"][0]
        assert share > 0.95 * aperture.area
        fluxes.append(total / share * aperture.area * cell)
    assert fluxes[0] == pytest.approx(fluxes[1], rel=0.01)
