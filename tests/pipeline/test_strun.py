"""The commands of the contract, as a user types them."""

import numpy as np
import pytest
from astropy.io import fits

from jwst_fusion import FusionStep, datamodels

from .commands import names, run_once
from .conftest import NAME, QUICK

OWN_LOGS = ("Offset of NIRCam", "Flux scale of NIRCam", "calwebb_fusion4 is done: coregister ")


@pytest.fixture(scope="session")
def steps(shared, data):
    """Runs of each step alone, from an association made by the official tool; by their suffixes."""
    members = sorted(path.name for path in (*data.images, data.cube))
    name = f"{NAME}_asn.json"
    runs = {"asn": run_once(shared / "asn", "asn_from_list", "-o", name, "--product-name", NAME, *members)}
    inputs = [*data.images, data.cube, runs["asn"].folder / name]
    for step, suffix in (("coregister", "coreg"), ("cross_calib", "xcal"), ("fusion", "fused")):
        runs[suffix] = run_once(shared / step, "strun", step, name, inputs=inputs)
        name = f"{NAME}_{suffix}.fits"
        inputs = [runs[suffix].folder / name]
    return runs


def assert_equal_metadata(first, second):
    """Compare metadata to the fifteen digits of a FITS keyword."""
    assert first.keys() == second.keys()
    for name, value in first.items():
        expected = pytest.approx(value, rel=1e-14) if isinstance(value, float) else value
        assert second[name] == expected, name


def test_pipeline_writes_the_product_that_the_association_names(full):
    expected = [f"{NAME}_coreg.fits", f"{NAME}_fused.fits", f"{NAME}_fused.html", f"{NAME}_xcal.fits"]
    assert names(full.folder / "products") == expected
    assert names(full.folder) == ["products"]


def test_commands_are_quiet_and_leave_nothing_in_the_home(full, repeated, smoothed, steps):
    for finished in (full, repeated, smoothed, *steps.values()):
        for word in ("CRDS", "crds", "Warning", "WARNING", "Traceback", "deprecat"):
            assert word not in finished.text
    assert list((full.folder / "home").rglob("*fusion*")) == []
    assert not (full.folder / "home" / "crds_cache").exists()


def test_log_is_on_the_screen_and_in_the_product(full, product):
    with datamodels.open(product) as model:
        kept = "\n".join(model.cal_logs.instance["calwebb_fusion4"])
    for line in OWN_LOGS:
        assert line in full.stderr
        assert line in kept
    assert len(full.stderr.splitlines()) <= 30
    assert "parameters are:" in kept and "parameters are:" not in full.stderr


def test_steps_alone_equal_the_pipeline(product, steps):
    """Bit for bit, from an association of asn_from_list."""
    for suffix in ("coreg", "xcal", "fused"):
        report = [f"{NAME}_fused.html"] if suffix == "fused" else []
        assert names(steps[suffix].folder) == [f"{NAME}_{suffix}.fits", *report]
        name = f"{NAME}_{suffix}.fits"
        with fits.open(product.with_name(name)) as one, fits.open(steps[suffix].folder / name) as two:
            for first, second in zip(one[1:-1], two[1:-1], strict=True):
                assert first.data.tobytes() == second.data.tobytes(), first.name
        for path in (product, steps["fused"].folder / product.name):
            header = fits.getheader(path)
            assert [header[f"S_{step}"] for step in ("COREG", "XCALIB", "FUSION")] == ["COMPLETE"] * 3


def test_stpipe_lists_pipeline_and_steps(shared):
    listing = run_once(shared / "listing", "stpipe", "list")
    lines = [line for line in listing.stdout.splitlines() if line.startswith("jwst_fusion")]
    assert lines == [
        "jwst_fusion.CoregisterStep (coregister)",
        "jwst_fusion.CrossCalibStep (cross_calib)",
        "jwst_fusion.Fusion4Pipeline (calwebb_fusion4)",
        "jwst_fusion.FusionStep (fusion)",
    ]


def test_saved_parameters_and_asdf_give_the_same_content(smoothed, repeated):
    assert names(smoothed.folder) == [f"{NAME}_fused.fits", f"{NAME}_fused.html", "parameters.asdf"]
    path = repeated.folder / "again" / f"{NAME}_fused.asdf"
    assert names(path.parent) == [path.name, f"{NAME}_fused.html"]
    with datamodels.open(smoothed.folder / f"{NAME}_fused.fits") as one, datamodels.open(path) as two:
        assert type(two) is datamodels.FusedCubeModel
        for array in ("data", "err", "dq", "weightmap", "coefficients", "coefficient_errors"):
            np.testing.assert_array_equal(getattr(one, array), getattr(two, array))
        for table in ("components", "filters", "spectral"):
            first, second = getattr(one, table), getattr(two, table)
            assert first.dtype.names == second.dtype.names
            for column in first.dtype.names:
                values = [np.asarray(each[column]) for each in (first, second)]
                if values[0].dtype.kind in "SU":
                    values = [each.astype(str) for each in values]
                np.testing.assert_array_equal(*values)
        np.testing.assert_allclose(
            np.ravel(one.wavetable["wavelength"]), np.ravel(two.wavetable["wavelength"]), rtol=1e-7
        )
        fusion = [
            # checks name the folder of the output, and the space on its disk
            {name: value for name, value in model.meta.fusion.instance.items() if name != "preflight"}
            for model in (one, two)
        ]
        assert_equal_metadata(*fusion)
        assert_equal_metadata(one.meta.wcsinfo.instance, two.meta.wcsinfo.instance)
        assert two.meta.filename == path.name


def test_parameter_of_a_step_has_effect(full, smoothed):
    reference = FusionStep.call(
        str(full.folder / "products" / f"{NAME}_xcal.fits"), mu=2.0, configure_log=False, **QUICK
    )
    with datamodels.open(smoothed.folder / f"{NAME}_fused.fits") as model:
        assert model.meta.fusion.mu == pytest.approx(10 * reference.meta.fusion.mu)
        assert model.meta.fusion.n_components == 2
        roughness = [np.nansum(np.diff(cube.coefficients[0], axis=0) ** 2) for cube in (model, reference)]
    assert roughness[0] < 0.9 * roughness[1]
