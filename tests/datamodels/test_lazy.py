"""Files of which only headers and windows are read."""

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst.datamodels import IFUCubeModel

from jwst_fusion.datamodels.lazy import LazyModel

WINDOW = np.s_[20:31, 5:47]


@pytest.fixture(params=["float32", "int16"])
def written(tmp_path, request):
    """Path of an image without errors, and what is in it."""
    data = np.random.default_rng(0).normal(0.0, 100.0, (60, 50)).astype(request.param)
    hdus = fits.HDUList(
        [fits.PrimaryHDU(), fits.ImageHDU(data.copy(), name="SCI"), fits.ImageHDU(data, name="WHT")]
    )
    hdus[0].header["INSTRUME"] = "NIRCAM"
    if data.dtype.kind == "i":
        hdus["SCI"].scale("int16", bscale=0.5, bzero=100)
    hdus.writeto(tmp_path / "x_i2d.fits")
    return str(tmp_path / "x_i2d.fits"), data


def test_a_window_is_that_of_the_image(written):
    path, data = written
    image = LazyModel(path)
    assert (image.data.shape, image.data.ndim) == (data.shape, 2)
    np.testing.assert_array_equal(image.data[WINDOW], data[WINDOW])
    np.testing.assert_array_equal(np.asarray(image.wht), data)
    assert image.meta.instrument.name == "NIRCAM"
    assert image.err is None
    assert image.hasattr("wht")
    assert not image.hasattr("err")
    image.close()


def test_a_cube_brings_its_flags_headers_and_logs(tmp_path):
    ones = np.ones((3, 4, 5), dtype=np.float32)
    cube = IFUCubeModel(data=ones, err=ones + 1, dq=np.full((3, 4, 5), 2**31 + 513, dtype=np.uint32))
    cube.meta.instrument.grating = "G235H"
    cube.meta.ifu.error_type = "ERR"  # in the header of the errors
    cube.cal_logs = {"calwebb_spec3": ["one line", "another"]}
    cube.save(tmp_path / "x_s3d.fits")
    model = LazyModel(str(tmp_path / "x_s3d.fits"))
    assert (np.asarray(model.dq) == 2**31 + 513).all()
    assert np.asarray(model.dq).dtype == np.uint32
    assert (model.data.ndim, model.meta.instrument.grating) == (3, "G235H")
    copied = IFUCubeModel()
    copied.update(model.metadata)
    assert copied.cal_logs.instance == {"calwebb_spec3": ["one line", "another"]}
    assert (copied.meta.instrument.grating, copied.meta.ifu.error_type) == ("G235H", "ERR")
    model.close()
