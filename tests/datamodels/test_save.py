"""Files are written whole or not at all."""

import os
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
@pytest.mark.parametrize("options", [{}, {"overwrite": True}])
def test_save_replaces_a_file(model, tmp_path, extension, options):
    path = tmp_path / f"x.{extension}"
    model.save(path)
    model.data[...] = 2
    assert model.save(str(path), **options) == str(path)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    with datamodels.open(path) as found:
        assert found.data[0, 0, 0] == 2
        assert found.meta.filename == path.name


@pytest.mark.parametrize("extension", ["fits", "asdf"])
def test_save_can_spare_a_file(model, tmp_path, extension):
    path = tmp_path / f"x.{extension}"
    path.write_text("precious")
    with pytest.raises(OSError, match="is not replaced"):
        model.save(path, overwrite=False)
    assert path.read_text() == "precious"


@pytest.mark.parametrize("extension", ["fits", "asdf"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_failed_save_leaves_the_folder_as_it_was(model, tmp_path, monkeypatch, extension, error):
    def fail(file):
        assert os.fstat(file.fileno()).st_size > 0
        raise error

    path = tmp_path / f"x.{extension}"
    monkeypatch.setattr("jwst_fusion.atomic._flush_to_disk", fail)
    with pytest.raises(type(error)):
        model.save(path)
    assert list(tmp_path.iterdir()) == []
    path.write_text("FUSMODL = 'FusedCubeModel', precious, model_type: FusedCubeModel")
    with pytest.raises(type(error)):
        model.save(path)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert "precious" in path.read_text()


def test_dir_path_and_callable(model, tmp_path):
    model.meta.filename = "y_s3d.fits"
    assert model.save("elsewhere/x.fits", dir_path=str(tmp_path)) == str(tmp_path / "x.fits")
    path = model.save(lambda name: name.replace("x", "z"), dir_path=tmp_path)
    assert path == str(tmp_path / "z.fits")
    assert fits.getval(path, "FILENAME") == "z.fits"


def test_permissions_are_those_of_any_new_file(model, tmp_path):
    other = tmp_path / "other"
    other.touch()
    model.save(tmp_path / "x.fits")
    assert (tmp_path / "x.fits").stat().st_mode == other.stat().st_mode


def test_wrong_names_are_told(model, tmp_path):
    with pytest.raises(ValueError, match=r"unknown file type '\.txt'"):
        model.save(tmp_path / "x.txt")
    with pytest.raises(NotADirectoryError, match="not a folder"):
        model.save(tmp_path / "missing" / "x.fits")


def test_flags_are_written_and_left_as_they_are(model, tmp_path):
    flags = np.array([0, 1, 513, 2**31, 2**32 - 1], dtype=np.uint32)
    model.dq = np.resize(flags, model.data.shape)
    path = model.save(tmp_path / "x.fits")
    np.testing.assert_array_equal(model.dq, np.resize(flags, model.data.shape))
    header = fits.getheader(path, "DQ")
    assert (header["BITPIX"], header["BSCALE"], header["BZERO"]) == (32, 1, 2**31)
    with datamodels.open(path) as found:
        assert found.dq.dtype.kind == "u"
        np.testing.assert_array_equal(found.dq, np.resize(flags, model.data.shape))


def test_flags_are_left_as_they_are_when_the_disk_is_full(model, tmp_path, monkeypatch):
    model.dq = np.full(model.data.shape, 513, dtype=np.uint32)

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(fits.HDUList, "writeto", fail)
    with pytest.raises(OSError, match="x.fits"):
        model.save(tmp_path / "x.fits")
    assert (model.dq == 513).all()
    assert model.dq.dtype == np.uint32


def test_saving_makes_no_copies_of_the_arrays(tmp_path):
    shape = (64, 200, 200)
    model = FusedCubeModel(
        data=np.ones(shape, dtype=np.float32),
        err=np.ones(shape, dtype=np.float32),
        dq=np.ones(shape, dtype=np.uint32),
        weightmap=np.ones(shape, dtype=np.float32),
    )
    tracemalloc.start()
    try:
        model.save(tmp_path / "x.fits")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.5 * model.data.nbytes
