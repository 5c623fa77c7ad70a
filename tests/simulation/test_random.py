import json
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from jwst_fusion.simulation import simulate
from jwst_fusion.simulation.mosaic import peak_brightness
from jwst_fusion.simulation.scene import Scene, SceneGrid, raster_scene
from jwst_fusion.simulation.scene_random import draw_conditions
from jwst_fusion.simulation.scenes import make_scene
from jwst_fusion.simulation.setups import SETUPS, get_setup
from jwst_fusion.simulation.sky import shift_position

from .conftest import BACKGROUND, star_scene

LIGHT = 299792.458
SEEDS = range(12)


def test_scenes_and_conditions_are_drawn_by_the_seed():
    setup = get_setup("G235H/F170LP")
    drawn = [draw_conditions(seed, setup) for seed in SEEDS]
    assert drawn == [draw_conditions(seed, setup) for seed in SEEDS]
    for name in ("snr", "image_snr", "rolls", "wavefront", "ifu_blur"):
        assert len({getattr(conditions, name) for conditions in drawn}) == len(SEEDS)
    assert len({conditions.filters for conditions in drawn}) > 5
    assert all(draw_conditions(3, setup).filters for setup in SETUPS.values())
    scenes = [make_scene("random", seed=seed) for seed in SEEDS]
    names = [{component.name for component in scene.components} for scene in scenes]
    for kind in ("disk", "outflow", "host", "hydrogen", "molecular"):
        assert 2 <= sum(kind in found for found in names) < len(SEEDS)
    numbers = [len(scene.stars) for scene in scenes]
    assert min(numbers) < 5
    assert max(numbers) >= 80


@pytest.mark.parametrize("name", ["disk", "outflow"])
def test_a_lines_centroid_follows_the_drawn_velocity(name):
    scenes = (make_scene("random", seed=seed) for seed in SEEDS)
    component = next(c for scene in scenes for c in scene.components if c.name == name)
    rastered = raster_scene(Scene(name, "X", (component,)), SceneGrid(60, 0.02, 0.6, -0.6))
    mesh = np.meshgrid(*rastered.grid.offsets())
    np.testing.assert_allclose(rastered.maps.sum(axis=0), component.brightness(*mesh), rtol=1e-9)
    rest = component.spectrum.lines[3][0]
    wavelength = np.linspace(rest - 0.008, rest + 0.008, 801)
    dark = [s.continuum(wavelength) for s in rastered.spectra]
    single = [replace(spectrum, lines=spectrum.lines[3:4])(wavelength) for spectrum in rastered.spectra]
    alone = np.array(single) - dark
    flux, first = (np.tensordot(alone @ w, rastered.maps, 1) for w in (wavelength**0, wavelength))
    bright = flux > 1e-3 * flux.max()
    expected = component.velocity(*mesh)[bright]
    assert np.ptp(expected) > 100
    np.testing.assert_allclose((first[bright] / flux[bright] / rest - 1) * LIGHT, expected, atol=0.5)


def test_brightness_gives_its_signal_to_noise_ratio():
    for snr in (30, 500):
        peak = peak_brightness(snr, 20.0, 70.0)
        noise = (20 / 70) ** 2 * (0.4 + 0.6 * (20 + peak) / 20) + (0.001 * (20 + peak)) ** 2
        assert peak / np.sqrt(noise) == pytest.approx(snr)


@pytest.fixture(scope="module")
def mosaics(tmp_path_factory):
    """Two observations of one field with stars around it, by telescopes of two wavefronts."""
    folder, scene = tmp_path_factory.mktemp("mosaics"), replace(star_scene(), image_field=2.6)
    return [
        simulate(
            scene, folder / str(seed), fov=0.6, image_field=12.0, n_wave=8, filters=("F212N",),
            wavelength_range=(2.0, 2.2), field_stars=6, seed=4, wavefront_seed=seed,
        )
        for seed in (1, 2)
    ]  # fmt: skip


def test_stars_around_the_field_have_their_number_place_and_flux(mosaics):
    truth = json.loads(mosaics[0].parameters.read_text())
    stars, band = truth["field_stars"], truth["filters"][0]
    assert len(stars) == 6
    with fits.open(mosaics[0].images[0]) as hdus:
        data, error, header = (hdus["SCI"].data.astype(float), hdus["ERR"].data, hdus["SCI"].header)
    y, x = np.indices(data.shape)
    measured = 0
    for star in stars:
        assert np.hypot(star["east"], star["north"]) > 2.5
        assert 30 <= star["snr"] <= 500
        place = shift_position(band["sky_centre"], star["east"], star["north"])
        column, row = WCS(header).wcs_world2pix(*place, 0)
        near = np.hypot(x - column, y - row) < 1.0 / 0.0311
        distance = [np.hypot(s["east"] - star["east"], s["north"] - star["north"]) for s in stars]
        if sorted(distance)[1] < 2 or star["snr"] < 150:
            continue
        light = np.where(near, data / band["scale"] - BACKGROUND, 0.0)
        flux = np.nansum(light) * header["PIXAR_A2"]
        expected = star["flux"] * (2.121 / 2) ** (-2.2, -0.8)[star["kind"]]
        assert flux / expected == pytest.approx(0.95, abs=0.02)  # the rest is in the wings
        assert np.nansum(light * (x - column)) / np.nansum(light) == pytest.approx(0, abs=0.3)
        best = np.nanmax(np.where(near, data / error, 0))
        assert 0.7 * star["snr"] < best < 2.5 * star["snr"]  # two exposures
        measured += 1
    assert measured >= 3


def test_the_wavefront_has_a_seed_of_its_own(mosaics):
    truths = [json.loads(files.parameters.read_text()) for files in mosaics]
    first, second = (np.array([star["snr"] for star in truth["field_stars"]]) for truth in truths)
    assert np.array_equal(first, second)
    assert np.array_equal(*(fits.getdata(files.truth) for files in mosaics))
    images = [fits.getdata(files.images[0], "SCI").astype(float) for files in mosaics]
    error = fits.getdata(mosaics[0].images[0], "ERR")
    difference = np.abs(images[0] - images[1]) / error
    assert np.nanmax(difference) > 10
    assert np.nanmedian(difference) < 0.1
