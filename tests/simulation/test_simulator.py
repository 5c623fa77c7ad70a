import json

import numpy as np
import pytest
from astropy.io import fits

from jwst_fusion.cli import main
from jwst_fusion.simulation import simulate
from jwst_fusion.simulation.nircam import read_band
from jwst_fusion.simulation.scene import Component, Scene, Spectrum

SMALL = ["--fov", "0.6", "--image-field", "1.2", "--n-wave", "40"]


def test_command_writes_the_files(tmp_path, capsys):
    args = ["simulate", "disk", str(tmp_path), "--seed", "5", "--name", "demo", "--setup", "G140H/F100LP-red"]
    assert main([*args, *SMALL, "--filters", "f164n"]) == 0
    printed = capsys.readouterr().out.split()
    expected = ["demo_asn.json", "demo_f150w2-f164n_i2d.fits", "demo_g140h-f100lp_s3d.fits",
                "demo_truth.fits", "demo_truth.json"]  # fmt: skip
    assert printed == [str(tmp_path / name) for name in expected]
    with fits.open(printed[1]) as hdus:
        assert hdus[0].header["FILTER"] == "F150W2"
        assert hdus[0].header["PUPIL"] == "F164N"


def test_command_refuses_what_it_can_not_use(tmp_path, capsys):
    for scene, options, message in (
        ("comet", "", "comet"), ("disk", "--fov 50", "fov"), ("disk", "--snr -1", "signal-to-noise"),
        ("disk", "--wavelength-range 3 2", "wavelength range"), ("disk", "--n-wave 2", "channels"),
        ("disk", "--seed -4", "seed"), ("disk", "--field-stars -1", "field_stars is -1"),
        ("titan", "--field-stars 3", "moving target"),
        ("disk", "--field-stars 3 --image-field 6", "image_field is 6 arcsec"),
    ):  # fmt: skip
        assert main(["simulate", scene, str(tmp_path), *options.split()]) == 1
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
        assert not list(tmp_path.iterdir())


def test_image_is_photometry_of_the_cube_in_a_flat_field(tmp_path):
    slope = Spectrum(lambda wavelength: (wavelength / 2.0) ** 3)
    sky = Component("sky", lambda east, north: np.full(np.shape(east), 100.0), slope)
    scene = Scene("flat", "FLAT", (sky,))
    files = simulate(
        scene, tmp_path, fov=0.6, image_field=1.2, n_wave=400, wavelength_range=(1.66, 2.36),
        filters=("F210M",), snr=1e5, image_snr=1e5,
    )  # fmt: skip
    truth = json.loads(files.parameters.read_text())
    band, wavelength = read_band("F210M"), np.array(truth["wavelength"])
    cube = fits.getdata(files.cube, "SCI").astype(float)
    cube = np.delete(cube, truth["dead_planes"], axis=0)
    spectrum = np.nanmedian(cube, axis=(1, 2))
    wavelength = np.delete(wavelength, truth["dead_planes"])
    weight = np.interp(wavelength, band.wavelength, band.throughput, left=0, right=0) / wavelength
    expected = (weight * spectrum).sum() / weight.sum()
    image = np.nanmedian(fits.getdata(files.images[0], "SCI"))
    assert image / expected == pytest.approx(truth["filters"][0]["scale"], rel=1e-3)
