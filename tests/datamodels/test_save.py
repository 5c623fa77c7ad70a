"""Files are written whole or not at all."""

import tracemalloc

import numpy as np
import pytest
from astropy.io import fits

from jwst_fusion import datamodels
from jwst_fusion.datamodels import FusedCubeModel


@pytest.fixture
def model():
    return FusedCubeModel(data=np.ones((2, 3, 4), dtype=np.float32))


@pytest.mark.parametrize("extension", ["fits", "asdf"])
def test_save_replaces_a_file_or_spares_it(model, tmp_path, extension):
    path = tmp_path / f"x.{extension}"
    other = tmp_path / "other"
    other.touch()
    model.save(path)
    assert path.stat().st_mode == other.stat().st_mode  # permissions are those of any new file
    other.unlink()
    for value, options in ((2, {}), (3, {"overwrite": True})):
        model.data[...] = value
        assert model.save(str(path), **options) == str(path)
        assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
        with datamodels.open(path) as found:
            assert found.data[0, 0, 0] == value
            assert found.meta.filename == path.name
    path.write_text("precious")
    with pytest.raises(OSError, match="is not replaced"):
        model.save(path, overwrite=False)
    assert path.read_text() == "precious"


def test_dir_path_callable_and_wrong_names(model, tmp_path):
    model.meta.filename = "y_s3d.fits"
    assert model.save("elsewhere/x.fits", dir_path=str(tmp_path)) == str(tmp_path / "x.fits")
    path = model.save(lambda name: name.replace("x", "z"), dir_path=tmp_path)
    assert path == str(tmp_path / "z.fits")
    assert fits.getval(path, "FILENAME") == "z.fits"
    with pytest.raises(ValueError, match=r"unknown file type '\.txt'"):
        model.save(tmp_path / "x.txt")
    with pytest.raises(NotADirectoryError, match="not a folder"):
        model.save(tmp_path / "missing" / "x.fits")


def test_flags_are_written_and_left_as_they_are(model, tmp_path, monkeypatch):
    flags = np.array([0, 1, 513, 2**31, 2**32 - 1], dtype=np.uint32)
    model.dq = np.resize(flags, model.data.shape)
    path = model.save(tmp_path / "x.fits")
    np.testing.assert_array_equal(model.dq, np.resize(flags, model.data.shape))
    header = fits.getheader(path, "DQ")
    assert (header["BITPIX"], header["BSCALE"], header["BZERO"]) == (32, 1, 2**31)
    with datamodels.open(path) as found:
        assert found.dq.dtype.kind == "u"
        np.testing.assert_array_equal(found.dq, np.resize(flags, model.data.shape))

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(fits.HDUList, "writeto", fail)
    with pytest.raises(OSError, match="x.fits"):
        model.save(tmp_path / "x.fits")
    np.testing.assert_array_equal(model.dq, np.resize(flags, model.data.shape))
    assert model.dq.dtype == np.uint32


def test_saving_makes_no_copies_of_the_arrays(tmp_path):
    kinds = {"data": np.float32, "err": np.float32, "dq": np.uint32, "weightmap": np.float32}
    model = FusedCubeModel(**{name: np.ones((64, 200, 200), dtype=kind) for name, kind in kinds.items()})
    tracemalloc.start()
    try:
        model.save(tmp_path / "x.fits")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.5 * model.data.nbytes
