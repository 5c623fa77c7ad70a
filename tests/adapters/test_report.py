"""A report's content out of products, complete and not."""

import numpy as np
import pytest
from astropy.wcs import WCS

from jwst_fusion import adapters, datamodels
from jwst_fusion.exceptions import InputError
from jwst_fusion.quality.diagnosis import Diagnosis
from jwst_fusion.quality.explorer import explorer_data
from jwst_fusion.quality.report import report_page
from jwst_fusion.quality.sections import quality_sections
from jwst_fusion.quality.verdict import measure


def test_product_without_what_the_report_adds(fused_model, tmp_path):
    path = fused_model.save(tmp_path / "older_fused.fits")
    with datamodels.open(path) as model:
        content = adapters.report_content(model)
    assert content.name == "older_fused.fits"
    assert all(value is None for value in vars(content.diagnosis).values())
    assert [band.filter for band in content.bands] == ["F182M", "F200W"]
    assert [band.held_out for band in content.bands] == [False, True]
    assert content.settings["mu"] == 0.25
    keys = [section.key for section in quality_sections(content)]
    assert "errors" in keys
    assert "optics" not in keys
    assert "</html>" in report_page(content)


def test_diagnosis_is_kept_in_the_product(fused_model, tmp_path):
    diagnosis = Diagnosis(
        images=np.ones((2, 9, 12), dtype=np.float32), wiggle=0.02, eigenvalues=np.array([3.0, 1.0])
    )
    adapters.store_diagnosis(fused_model, diagnosis)
    for suffix in ("fits", "asdf"):
        with datamodels.open(fused_model.save(tmp_path / f"x_fused.{suffix}")) as model:
            kept = adapters.report_content(model).diagnosis
        np.testing.assert_array_equal(kept.images, diagnosis.images)
        assert kept.wiggle == 0.02
        np.testing.assert_array_equal(kept.eigenvalues, [3.0, 1.0])
        assert kept.spectra is None


def test_what_does_not_fit_the_product_is_left_out(fused_model):
    fused_model.report = {
        "images": np.ones((2, 5, 5)), "bandpasses": np.ones((2, 7)), "of_a_later_version": np.ones(3),
        "spectra": np.zeros((20, 4, 4), dtype=np.int16), "spectra_step": np.ones(20),
        "spectra_coefficients": np.ones((3, 4, 4)), "channels_averaged": np.array(1),
    }  # fmt: skip
    content = adapters.report_content(fused_model, name="odd_fused.fits")
    for name in ("images", "bandpasses", "spectra"):
        assert getattr(content.diagnosis, name) is None
    assert explorer_data(content)["spectra"] is None
    assert explorer_data(content)["lineErrors"] is None  # there are no draws
    assert "</html>" in report_page(content)


def test_coordinates_are_those_of_the_product(fused_model):
    frame = adapters.report_content(fused_model, name="x").frame
    info = fused_model.meta.wcsinfo
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [info.crval1, info.crval2]
    wcs.wcs.crpix, wcs.wcs.cdelt = [info.crpix1, info.crpix2], [info.cdelt1, info.cdelt2]
    wcs.wcs.pc = [[info.pc1_1, info.pc1_2], [info.pc2_1, info.pc2_2]]
    assert (frame.ra, frame.dec) == (info.crval1, info.crval2)
    np.testing.assert_allclose(wcs.wcs_world2pix(frame.ra, frame.dec, 0), (frame.x, frame.y), atol=1e-9)
    np.testing.assert_allclose(np.reshape(frame.matrix, (2, 2)), wcs.pixel_scale_matrix, atol=1e-15)
    assert frame.cell == pytest.approx(0.0333)


def test_share_of_voxels_that_one_instrument_sees_and_a_product_without_data(fused_model):
    assert measure(adapters.report_content(fused_model, name="x")).prior_driven == 1.0
    fused_model.weightmap[:10] = 2
    assert measure(adapters.report_content(fused_model, name="x")).prior_driven == 0.5
    fused_model.coefficients = np.full_like(fused_model.coefficients, np.nan)
    with pytest.raises(InputError, match="x_fused.fits: no cell has data"):
        adapters.report_content(fused_model, name="x_fused.fits")
