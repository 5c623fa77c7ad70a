"""Where a product comes from, and how good it says it is: in the file, and told by ``jwst-fusion info``."""

import hashlib

import numpy as np
import pytest
from astropy.io import fits

import jwst_fusion
from jwst_fusion import Fusion4Pipeline, FusionStep, datamodels
from jwst_fusion.cli import main

from .conftest import NAME, QUICK


@pytest.fixture(scope="module")
def fused(product):
    with datamodels.open(product) as model:
        yield model


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_inputs_are_named_with_checksums_and_versions(fused, product, data):
    inputs = {entry["file"]: entry for entry in fused.meta.fusion.instance["inputs"]}
    assert set(inputs) == {path.name for path in (*data.images, data.cube)}
    for path in (*data.images, data.cube):
        entry = inputs[path.name]
        assert entry["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert entry["cal_ver"] == fits.getheader(path)["CAL_VER"]
    assert inputs[data.images[0].name]["filter"] == "F182M"
    assert fused.meta.fusion.asn_name == fused.meta.asn.table_name == f"{NAME}_asn.json"
    history = " ".join(str(line) for line in fits.getheader(product)["HISTORY"])
    assert all(name in history and entry["sha256"] in history for name, entry in inputs.items())
    steps = ("coregister", "cross_calib", "fusion")
    places = [history.index(f"{jwst_fusion.__version__} {step}: ") for step in steps]
    assert places == sorted(places)


def test_context_of_the_reference_files_is_kept(data, folder):
    (folder / "x").mkdir()
    paths = []
    for path in (*data.images, data.cube):
        paths.append(str(folder / "x" / path.name))
        with fits.open(path) as hdus:
            hdus[0].header["CRDS_CTX"] = "jwst_1300.pmap"
            hdus.writeto(paths[-1])
    result = Fusion4Pipeline.call(
        paths, steps={"fusion": {"skip": True}, "cross_calib": {"skip": True}}, configure_log=False
    )
    assert result.meta.ref_file.crds.context_used == "jwst_1300.pmap"
    assert {entry["crds_ctx"] for entry in result.meta.fusion.instance["inputs"]} == {"jwst_1300.pmap"}


def test_parameters_of_all_steps_are_kept(fused, smoothed):
    parameters = fused.meta.fusion.instance["parameters"]
    assert list(parameters) == ["coregister", "cross_calib", "fusion"]
    assert parameters["coregister"]["margin"] == 0.6
    assert parameters["cross_calib"]["method"] == "fit"
    assert parameters["fusion"]["n_components"] == "None"
    with datamodels.open(smoothed.folder / f"{NAME}_fused.fits") as model:
        given = model.meta.fusion.instance["parameters"]["fusion"]
        assert (given["mu"], given["n_components"]) == (20.0, QUICK["n_components"])
        assert {"fusion.mu=20.0", f"fusion.n_components={QUICK['n_components']}"} <= set(
            model.meta.fusion.set_by_hand.split(", ")
        )


def test_figures_of_merit_are_keywords(product):
    with fits.open(product) as hdus:
        header, bands, spectral = hdus[0].header, hdus["FILTERS"].data, hdus["SPECTRAL"].data
    assert header["FUSPSNR"] == pytest.approx(bands["psnr"].min())
    assert header["FUSSSIM"] == pytest.approx(bands["ssim"].min())
    assert header["FUSCHI2M"] == pytest.approx(bands["chi2"].mean())
    assert header["FUSSPERR"] == pytest.approx(np.nanmedian(np.abs(spectral["relative_error"])))
    assert header["FUSHELD"] == "none"
    assert "FUSPSNRU" not in header
    assert (header["FUSSCALE"], header["FUSFLUX"]) == ("fit", "nirspec")


def test_the_table_is_at_the_end_of_the_log(full):
    lines = full.stderr.splitlines()
    first = next(i for i, line in enumerate(lines) if "Fused cube against its input" in line)
    assert lines[first + 1].split()[:3] == ["band", "scale", "error"]
    assert [line.split()[0] for line in lines[first + 2 : first + 4]] == ["F182M", "F210M"]
    assert "mean spectrum: median error" in lines[first + 4]
    assert not [line for line in lines[first + 5 :] if "jwst_fusion.inversion" in line]


@pytest.fixture(scope="module")
def crossed(full):
    return full.folder / "products" / f"{NAME}_xcal.fits"


def test_a_band_is_held_out(crossed):
    result = FusionStep.call(str(crossed), held_out_filters=["F210M"], configure_log=False, **QUICK)
    bands = np.asarray(result.filters)
    assert bands["held_out"].tolist() == [0, 1]
    fusion = result.meta.fusion
    assert fusion.held_out == "F210M"
    assert fusion.psnr_unseen == pytest.approx(bands["psnr"][1])
    assert 25 < bands["psnr"][1] < bands["psnr"][0]
    assert np.nanmax(result.weightmap) == 2


def test_each_band_in_turn(crossed, folder):
    result = FusionStep.call(str(crossed), held_out_filters="each", configure_log=False, **QUICK)
    bands = np.asarray(result.filters)
    assert bands["held_out"].tolist() == [0, 0]
    assert (bands["psnr_unseen"] < bands["psnr"]).all()
    assert (bands["psnr_unseen"] > 25).all()
    assert result.meta.fusion.held_out == "each"
    path = result.save(str(folder / "each_fused.fits"))
    with datamodels.open(path) as saved:
        assert saved.filters.dtype.names[-2:] == ("psnr_unseen", "ssim_unseen")
        np.testing.assert_array_equal(saved.filters["psnr_unseen"], bands["psnr_unseen"])


def test_the_flux_scale_of_nircam_in_a_resumed_run(full, caplog):
    """That steps alone give the bits of a whole run is checked with strun."""
    coregistered = str(full.folder / "products" / f"{NAME}_coreg.fits")
    with caplog.at_level("INFO"):
        own, other = (
            Fusion4Pipeline.call(
                coregistered, steps={"cross_calib": {"reference": name}, "fusion": QUICK}, configure_log=False
            )
            for name in ("nirspec", "nircam")
        )
    assert caplog.text.count("Resuming after coregister") == 2
    assert len([line for line in own.history_lines if " coregister: " in line]) == 1
    known = np.isfinite(own.data)
    ratio = np.array(
        [np.median((o / n)[k]) for o, n, k in zip(other.data, own.data, known, strict=True) if k.any()]
    )
    scales = np.asarray(own.filters)["scale"]
    assert (ratio > scales.min() - 1e-5).all() and (ratio < scales.max() + 1e-5).all()
    assert np.ptp(ratio) == pytest.approx(np.ptp(scales), rel=1e-3)
    np.testing.assert_allclose(other.err[known] / own.err[known], (other.data / own.data)[known], rtol=1e-4)
    np.testing.assert_allclose(other.spectral["relative_error"], own.spectral["relative_error"])
    mean = np.asarray(other.components["mean_spectrum"])
    scene = mean[:, None, None] + np.tensordot(other.basis, other.coefficients, axes=1)
    np.testing.assert_allclose(other.data[known], scene[known], rtol=1e-4)
    assert other.meta.fusion.flux_reference == "nircam"


def test_info_tells_it_all(product, crossed, data, tmp_path, capsys):
    assert main(["info", str(product)]) == 0
    text = capsys.readouterr().out
    for words in (
        "FusedCubeModel", f"{NAME}_fused.fits", "d203-506", "G235H/F170LP", "fusion       COMPLETE",
        f"association {NAME}_asn.json", data.cube.name, hashlib.sha256(data.cube.read_bytes()).hexdigest(),
        "cross_calib.method = fit", "fusion.rtol = 0.0003", f"jwst_fusion {jwst_fusion.__version__}",
        "[dB] Lowest PSNR of the fused bands", "F182M", "offset_east",
    ):  # fmt: skip
        assert words in text, words
    assert "Log of" not in text

    assert main(["info", str(crossed), "--log"]) == 0
    text = capsys.readouterr().out
    for words in (
        "fusion       not run", "cross_calib  COMPLETE", "Log of calwebb_fusion4",
        "Flux scale of NIRCam over NIRSpec: F182M ",
    ):  # fmt: skip
        assert words in text
    broken = tmp_path / "broken.fits"
    broken.write_bytes(b"SIMPLE")
    for path, words in (
        (data.cube, "is not a product of jwst_fusion"),
        (tmp_path / "none.fits", "no such file"),
        (broken, "cannot be read"),
    ):
        assert main(["info", str(path)]) == 1
        error = capsys.readouterr().err
        assert path.name in error and words in error
        assert len(error.splitlines()) == 1
