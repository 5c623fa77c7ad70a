"""The products between the steps, and how files find their class."""

import numpy as np
import pytest
from astropy.io import fits
from jwst import datamodels as jwst_models
from numpy.testing import assert_array_equal

from jwst_fusion import datamodels
from jwst_fusion.datamodels import CoregisteredModel, CrossCalibratedModel

HDUS = ["PRIMARY", "SCI", "ERR", "DQ", "WMAP", "WCS-TABLE", "IMAGES", "IMAGERR", "FILTERS", "CHANNELS",
        "BANDPASS", "ASDF"]  # fmt: skip


def test_hdus_and_units(cross_calibrated_model, tmp_path):
    with fits.open(cross_calibrated_model.save(tmp_path / "x_xcal.fits")) as hdulist:
        assert [hdu.name for hdu in hdulist] == HDUS
        assert hdulist["IMAGES"].header["BUNIT"] == hdulist["IMAGERR"].header["BUNIT"] == "MJy/sr"
        assert hdulist["FILTERS"].columns["pa_v3"].unit == "deg"
        assert hdulist["CHANNELS"].columns["noise"].unit == "MJy/sr"
        assert hdulist["BANDPASS"].data.dtype == np.dtype(">f8")


@pytest.mark.parametrize("extension", ["fits", "asdf"])
def test_round_trip(cross_calibrated_model, tmp_path, extension):
    cross_calibrated_model.set_fusion(pa_v3_cube=12.5, crop_x=3)
    path = cross_calibrated_model.save(tmp_path / f"x_xcal.{extension}")
    with jwst_models.open(path) as model:  # as the official pipeline reads it
        assert type(model) is jwst_models.IFUCubeModel
    with datamodels.open(path) as model:
        assert type(model) is CrossCalibratedModel
        for name in ("data", "images", "image_errors", "bandpasses"):
            assert_array_equal(getattr(model, name), getattr(cross_calibrated_model, name))
        modules = [str(np.char.decode(np.asarray(name, dtype="S"))) for name in model.filters["module"]]
        assert modules == ["A", "MULTIPLE"]
        assert np.all(np.isnan(model.channels["noise"]))
        assert (model.meta.fusion.pa_v3_cube, model.meta.fusion.crop_x) == (12.5, 3)


def test_a_model_becomes_the_next(cross_calibrated_model):
    coregistered = CoregisteredModel(cross_calibrated_model)
    assert coregistered.meta.fusion.model_type == "CoregisteredModel"
    following = CrossCalibratedModel(coregistered)
    assert following.meta.fusion.model_type == "CrossCalibratedModel"
    assert_array_equal(following.images, cross_calibrated_model.images)


def test_open_passes_on_what_is_not_ours(cross_calibrated_model, tmp_path):
    model = jwst_models.IFUCubeModel(data=np.ones((2, 3, 4), dtype=np.float32))
    model.save(tmp_path / "x_s3d.fits")
    with datamodels.open(tmp_path / "x_s3d.fits") as found:
        assert type(found) is jwst_models.IFUCubeModel
    assert type(datamodels.open(model)) is jwst_models.IFUCubeModel
    assert type(datamodels.open(cross_calibrated_model)) is CrossCalibratedModel
    assert repr(cross_calibrated_model).startswith("<CrossCalibratedModel(20, 9, 12)")
