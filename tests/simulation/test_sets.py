"""Several cubes of one scene: gratings, pointings, and one truth."""

import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.simulation import simulate_set

from .conftest import star_scene

SETTINGS = {"fov": 1.0, "image_field": 2.4, "n_wave": 40, "filters": ("F162M", "F200W"), "snr": 1e4,
            "image_snr": 1e4, "seed": 2}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    setups = ("G140H/F100LP", "G235H/F170LP-whole")
    return simulate_set(star_scene(), folder, setups=setups, pointings=2, **SETTINGS)


def test_there_is_a_cube_for_each_grating_and_pointing(made):
    assert [path.name for path in made.cubes] == [
        f"star_{grating}-p{n}_s3d.fits" for grating in ("g140h-f100lp", "g235h-f170lp") for n in (1, 2)
    ]
    members = json.loads(made.association.read_text())["products"][0]["members"]
    assert {m["expname"] for m in members} == {path.name for path in (*made.images, *made.cubes)}
    assert all(path.exists() for path in made.paths)


def centroid(path):
    """Where a cube's coordinates put the star (RA, Dec), from the light of all channels."""
    with fits.open(path) as hdus:
        index = "SCI" if "SCI" in hdus else 1
        light, wcs = np.nansum(hdus[index].data, axis=0), WCS(hdus[index].header).celestial
    row, column = np.unravel_index(np.argmax(light), light.shape)
    rows, columns = np.indices(light.shape)
    near = np.hypot(rows - row, columns - column) <= 2.5
    weight = np.where(near, light, 0.0) / light[near].sum()
    return wcs.wcs_pix2world((weight * columns).sum(), (weight * rows).sum(), 0)


def test_each_cube_has_its_own_coordinates_and_the_truth_has_those_of_the_images(made):
    parameters = json.loads(made.parameters.read_text())
    ra, dec = centroid(made.truths[0])
    for path, cube in zip(made.cubes[::2], parameters["cubes"][::2], strict=True):  # the star is in these
        own = centroid(path)
        east = (ra - own[0]) * 3600 * np.cos(np.radians(dec))
        north = (dec - own[1]) * 3600
        assert east == pytest.approx(cube["offset_east"], abs=0.02)
        assert north == pytest.approx(cube["offset_north"], abs=0.02)


def test_the_truths_of_all_gratings_are_on_one_grid(made):
    headers = [fits.getheader(path, 1) for path in made.truths]
    for keyword in ("NAXIS1", "NAXIS2", "CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CDELT1"):
        assert headers[0][keyword] == headers[1][keyword]
    assert headers[0]["CRVAL3"] < headers[1]["CRVAL3"]


def test_each_grating_has_a_flux_scale_of_its_own(made):
    """The same for its pointings; that cubes carry it is what the fusion of sets is tested by."""
    cubes = json.loads(made.parameters.read_text())["cubes"]
    assert cubes[0]["factor"] == cubes[1]["factor"] != cubes[2]["factor"]


@pytest.mark.parametrize("wrong", [{"pointings": 0}, {"pointings": 9}, {"seed": -1}])
def test_wrong_numbers_are_refused(tmp_path, wrong):
    with pytest.raises(ParameterError, match="pointings"):
        simulate_set("disk", tmp_path, **wrong)


def test_a_moving_scene_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="use disk or nebula"):
        simulate_set("titan", tmp_path)
