"""The fused cube in the hands of others' tools, as their users call them."""

import asdf
import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import StdDevUncertainty
from astropy.wcs import WCS
from jwst import datamodels as jwst_datamodels
from jwst.extract_1d import Extract1dStep
from photutils.aperture import CircularAperture, SkyCircularAperture, aperture_photometry
from specutils import Spectrum
from stdatamodels.jwst.datamodels import Extract1dIFUModel

from jwst_fusion.optics.analytic import nircam_otf
from jwst_fusion.optics.matching import fill_nearest
from jwst_fusion.optics.throughput import bandpass

ARCSEC = np.pi / 180 / 3600


@pytest.fixture(scope="module")
def hdulist(product):
    with fits.open(product, memmap=False) as hdus:
        yield hdus


@pytest.fixture(scope="module")
def source(data):
    """Headers of the cube that was fused."""
    with fits.open(data.cube, memmap=False) as hdus:
        return hdus["PRIMARY"].header, hdus["SCI"].header


def test_specutils_has_flux_uncertainty_mask_and_coordinates(product, hdulist):
    spectrum = Spectrum.read(product, format="JWST s3d")
    np.testing.assert_array_equal(spectrum.flux.value, hdulist["SCI"].data)
    assert isinstance(spectrum.uncertainty, StdDevUncertainty)
    np.testing.assert_array_equal(spectrum.uncertainty.array, hdulist["ERR"].data)
    np.testing.assert_array_equal(spectrum.mask, hdulist["DQ"].data)
    n_wave, ny, nx = spectrum.shape
    ra, dec, wavelength = spectrum.wcs(nx // 2, ny // 3, 5)
    expected = WCS(hdulist["SCI"].header).celestial.wcs_pix2world(nx // 2, ny // 3, 0)
    np.testing.assert_allclose([ra, dec], np.ravel(expected), rtol=0, atol=1e-9)
    assert wavelength == pytest.approx(hdulist["SPECTRAL"].data["wavelength"][5])


def test_hdus_by_number_and_a_linear_spectral_axis(product):
    """What q3dfit takes: data, error, flags and weight by number, wavelengths from three keywords."""
    with fits.open(product, ignore_missing_end=True) as hdus:
        assert [hdus[i].name for i in (1, 2, 3, 4)] == ["SCI", "ERR", "DQ", "WMAP"]
        header = hdus[1].header
        wavelength = hdus["SPECTRAL"].data["wavelength"]
        assert (header["CTYPE3"], header["CUNIT3"]) == ("WAVE", "um")
        plane = np.arange(header["NAXIS3"]) + 1
        linear = header["CRVAL3"] + (plane - header["CRPIX3"]) * header["CDELT3"]
        np.testing.assert_allclose(linear, wavelength, rtol=1e-9)
        assert np.issubdtype(hdus[3].data.dtype, np.integer)
        known = np.isfinite(hdus[1].data)
        assert (hdus[2].data[known] > 0).all()
        assert (hdus[4].data[known] > 0).all()
        np.testing.assert_array_equal(known, hdus[3].data & 1 == 0)


def test_the_header_says_what_an_analysis_needs(hdulist, source):
    primary, header = hdulist["PRIMARY"].header, hdulist["SCI"].header
    assert header["BUNIT"] == "MJy/sr"
    assert header["DISPAXIS"] == 3  # whatever the source has
    for keyword in ("VELOSYS", "SPECSYS", "RADESYS", "PA_V3", "PA_APER"):
        assert header[keyword] == source[1][keyword], keyword
    for keyword in ("EXP_TYPE", "INSTRUME", "GRATING", "FILTER", "TELESCOP", "TARGNAME", "PROGRAM"):
        assert primary[keyword] == source[0][keyword], keyword
    cell = abs(np.linalg.det(WCS(header).celestial.pixel_scale_matrix)) * 3600**2
    assert header["PIXAR_A2"] == pytest.approx(cell, rel=1e-6)
    assert header["PIXAR_SR"] == pytest.approx(cell * ARCSEC**2, rel=1e-6)
    assert header["S_REGION"].startswith("POLYGON ICRS")
    assert hdulist["ERR"].header["BUNIT"] == "MJy/sr"
    assert (primary["FLUXEXT"], primary["ERREXT"]) == ("SCI", "ERR")


def test_slices_keep_their_coordinates(hdulist):
    sci = hdulist["SCI"]
    wcs = WCS(sci.header, fobj=hdulist)
    part = wcs[10:20, 5:15, 8:20]
    np.testing.assert_allclose(
        part.wcs_pix2world([[1, 2, 3]], 0), wcs.wcs_pix2world([[9, 7, 13]], 0), rtol=1e-12
    )
    image = fits.PrimaryHDU(sci.data[4, 5:15, 8:20], wcs.celestial[5:15, 8:20].to_header())
    ra, dec = WCS(image.header).wcs_pix2world(0, 0, 0)
    np.testing.assert_allclose([ra, dec], np.ravel(wcs.celestial.wcs_pix2world(8, 5, 0)), rtol=1e-10)


@pytest.fixture
def extract_reference(tmp_path):
    """A reference file for the extraction from cubes: a circle of 0.25 arcsec at all wavelengths."""
    wavelength = np.linspace(0.5, 5.5, 6).astype(np.float32)
    model = Extract1dIFUModel()
    model.meta.region_type, model.meta.method = "target", "subpixel"
    model.meta.subpixels, model.meta.subtract_background = 10, False
    model.meta.radius_units = "arcsec"
    values = {"radius": 0.25, "inner_bkg": 0.4, "outer_bkg": 0.5, "axis_ratio": 1.0, "axis_pa": 0.0}
    model.data = {"wavelength": wavelength, **{k: np.full_like(wavelength, v) for k, v in values.items()}}
    path = tmp_path / "extract1d.asdf"
    asdf.AsdfFile(model.instance).write_to(path, all_array_storage="inline")
    return str(path)


def test_the_pipeline_extracts_a_spectrum(product, extract_reference, monkeypatch):
    references = {"extract1d": extract_reference}
    monkeypatch.setattr(Extract1dStep, "get_reference_file", lambda _, __, kind: references.get(kind, "N/A"))
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
    wavelength = hdulist["SPECTRAL"].data["wavelength"]
    sci = hdulist["SCI"].data
    alive = np.isfinite(sci).any(axis=(1, 2))
    weights, _ = bandpass(row["filter"], "B", wavelength, usable=alive)
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
