"""Images of which only windows are read."""

import numpy as np
import pytest
from astropy.io import fits

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
    image.close()


def test_what_is_not_in_the_file_is_not_there(written):
    image = LazyModel(written[0])
    assert image.err is None
    assert image.hasattr("wht")
    assert not image.hasattr("err")
    image.close()
