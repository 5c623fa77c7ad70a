"""The pipeline called from Python."""

import logging

import numpy as np
import pytest
from jwst import datamodels as jwst_datamodels

from jwst_fusion import CoregisterStep, CrossCalibStep, Fusion4Pipeline, FusionStep, datamodels

from .conftest import NAME, QUICK

ARRAYS = ("data", "err", "dq", "weightmap", "coefficients", "coefficient_errors")
MAS = 1e-3


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def models(data):
    opened = [jwst_datamodels.open(path) for path in (*data.images, data.cube)]
    yield opened
    for model in opened:
        model.close()


def snapshot(model):
    """Metadata, and arrays with their names, of a model."""
    flat = model.to_flat_dict()
    arrays = {name: getattr(model, name) for name in ("data", "err", "dq", "wht") if model.hasattr(name)}
    return flat, {name: (array.dtype, array.tobytes()) for name, array in arrays.items()}


def test_models_in_memory_give_the_product_of_the_files(models, smoothed, folder):
    assert all(np.asarray(model.data).dtype.byteorder == ">" for model in models)
    before = [snapshot(model) for model in models]
    result = Fusion4Pipeline.call(models, steps={"fusion": QUICK | {"mu": 20}}, configure_log=False)
    with datamodels.open(smoothed.folder / f"{NAME}_fused.fits") as saved:
        for name in ARRAYS:
            # Conjugate gradients let the last bit of a sum grow, but far less than to the error of any voxel.
            np.testing.assert_allclose(getattr(result, name), getattr(saved, name), rtol=1e-5, atol=1e-6)
        assert result.meta.fusion.mu == pytest.approx(saved.meta.fusion.mu)
    assert type(result) is datamodels.FusedCubeModel
    assert [snapshot(model) for model in models] == before
    assert list(folder.iterdir()) == []


def test_list_of_paths_names_the_product_by_its_cube(data, folder):
    paths = [str(path) for path in (data.cube, *data.images)]
    result = CoregisterStep.call(paths, save_results=True, configure_log=False)
    name = data.cube.name.replace("_s3d", "_coreg")
    assert [path.name for path in folder.iterdir()] == [name]
    assert result.meta.filename == name


def test_steps_one_by_one_do_not_modify_their_inputs(data, folder):
    coregistered = CoregisterStep.call(str(data.association), configure_log=False)
    before = snapshot(coregistered)
    cross_calibrated = CrossCalibStep.call(coregistered, configure_log=False)
    assert snapshot(coregistered) == before
    before = snapshot(cross_calibrated)
    fused = FusionStep.call(cross_calibrated, configure_log=False, **QUICK)
    assert snapshot(cross_calibrated) == before
    assert np.isfinite(fused.data).any()
    assert list(folder.iterdir()) == []


def test_association_as_a_dict_into_asdf_without_the_last_step(data, folder):
    (folder / "out").mkdir()
    for path in (*data.images, data.cube):
        (folder / path.name).symlink_to(path)
    members = [{"expname": path.name, "exptype": "science"} for path in (*data.images, data.cube)]
    result = Fusion4Pipeline.call(
        {"products": [{"name": "v1.5", "members": members}]}, steps={"fusion": {"skip": True}},
        save_results=True, output_dir="out", output_ext="asdf", configure_log=False,
    )  # fmt: skip
    assert type(result) is datamodels.CrossCalibratedModel
    assert result.meta.cal_step.fusion == "SKIPPED"
    assert [path.name for path in (folder / "out").iterdir()] == ["v1.5_xcal.asdf"]


def test_band_outside_the_cube_is_left_out_with_a_warning(data, models, caplog):
    models[0].meta.instrument.filter = "F115W"
    with caplog.at_level(logging.WARNING, "jwst_fusion"):
        result = CoregisterStep.call(models, configure_log=False)
    assert [row["filter"] for row in result.filters] == ["F210M"]
    assert f"{data.images[0].name} left out: 0 %" in caplog.text


def test_data_without_errors_are_weighed_by_their_scatter(models, smoothed):
    for model in models:
        model.err = np.zeros_like(model.data)
    result = Fusion4Pipeline.call(models, steps={"fusion": QUICK | {"mu": 20}}, configure_log=False)
    with datamodels.open(smoothed.folder / f"{NAME}_fused.fits") as saved:
        known = np.isfinite(saved.data)
        np.testing.assert_array_equal(np.isfinite(result.data), known)
        difference = (result.data - saved.data)[known]
        assert difference.std() < 0.25 * saved.data[known].std()
    assert (result.err[known] > 0).all()


def test_moving_target_is_found_without_coordinates(titan):
    result = Fusion4Pipeline.call(str(titan.association), steps={"fusion": QUICK}, configure_log=False)
    assert result.meta.fusion.alignment == "cross_correlation"
    assert result.meta.target.type == "MOVING"
    (row,), (true,) = result.filters, titan.truth["filters"]
    assert abs(true["offset_east"]) > 100
    assert row["offset_east"] == pytest.approx(true["offset_east"], abs=10 * MAS)
    assert row["offset_north"] == pytest.approx(true["offset_north"], abs=10 * MAS)
    assert row["scale"] == pytest.approx(true["scale"], rel=0.01)
    known = np.isfinite(result.data)
    assert 0.2 < known.mean() < 1
    assert (result.err[known] > 0).all()
    assert row["psnr"] > 45
