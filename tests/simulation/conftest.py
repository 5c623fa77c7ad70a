"""A small simulation that the tests of this folder share."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from jwst_fusion.simulation import simulate
from jwst_fusion.simulation.scene import Component, Scene, Spectrum, Star

FLUX = 5.0
BACKGROUND = 0.2
OPTIONS = {"fov": 1.2, "image_field": 2.6, "n_wave": 60, "wavelength_range": (1.7, 2.3), "seed": 3}


def star_scene(moving=False):
    """A single star of flat spectrum on a faint flat background."""
    flat = Spectrum(np.ones_like)
    sky = Component("sky", lambda east, north: np.full(np.shape(east), BACKGROUND), flat)
    return Scene("star", "STAR", (sky,), (Star(0.13, -0.21, FLUX, flat),), moving=moving, ra=83.8, dec=-35.0)


def run(directory, moving=False, **options):
    """Simulate the star almost without noise."""
    settings = OPTIONS | {"filters": ("F182M", "F212N"), "snr": 3e4, "image_snr": 3e4} | options
    files = simulate(star_scene(moving), directory, **settings)
    truth = json.loads(files.parameters.read_text())
    return SimpleNamespace(files=files, truth=truth, directory=directory)


@pytest.fixture(scope="session")
def star(tmp_path_factory):
    return run(tmp_path_factory.mktemp("star"))


@pytest.fixture(scope="session")
def simulate_moving():
    return lambda directory, seed: run(directory, moving=True, filters=("F212N",), seed=seed).files


@pytest.fixture(scope="session")
def moving(tmp_path_factory):
    return run(tmp_path_factory.mktemp("moving"), moving=True, filters=("F212N",))
