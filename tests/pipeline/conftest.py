"""A small simulated data set and what the commands make of it, shared by the tests of this folder."""

import json
import os
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from jwst_fusion.simulation import simulate
from jwst_fusion.simulation.scene import Spectrum, Star
from jwst_fusion.simulation.scene_disk import disk_scene
from tests.console import start_command

from .commands import make_once, run_once
from .spoils import CUBE, FIRST, SECOND, write_association

NAME = "obj_1.5um"
STAR = Star(0.16, -0.2, 2.0, Spectrum(np.ones_like))
QUICK = {"n_components": 2, "reweightings": 0, "samples": 2}
OPTIONS = {"image_field": 2.4, "seed": 3}


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """Folder that all processes of this session see, and no other session does."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / "pipeline"
    folder.mkdir(exist_ok=True)
    return folder


def simulated(folder, scene, name, **options):
    """Simulate a scene once; its files and true parameters."""
    make_once(folder, lambda empty: simulate(scene, empty, name=name, **OPTIONS, **options))
    (cube,) = folder.glob("*_s3d.fits")
    images = sorted(folder.glob("*_i2d.fits"))
    association = folder / f"{name}_asn.json"
    return SimpleNamespace(
        name=name,
        cube=cube,
        images=images,
        association=association,
        inputs=[*images, cube, association],
        truth_files=[folder / f"{name}_truth.fits", folder / f"{name}_truth.json"],
        truth=json.loads((folder / f"{name}_truth.json").read_text()),
    )


@pytest.fixture(scope="session")
def data(shared):
    """Files of a disk and a star, named with a dot as an archive operator may."""
    return simulated(
        shared / "data", replace(disk_scene(3), stars=(STAR,)), NAME,
        fov=0.9, n_wave=100, wavelength_range=(1.66, 2.3), filters=("F182M", "F210M"),
    )  # fmt: skip


@pytest.fixture(scope="session")
def titan(shared):
    """Files of a moving target: the coordinates of the two instruments have nothing in common."""
    return simulated(
        shared / "titan", "titan", "titan",
        fov=1.1, n_wave=60, wavelength_range=(1.95, 2.25), filters=("F210M",),
    )  # fmt: skip


@pytest.fixture(scope="session")
def full(shared, data):
    """The pipeline run from its association, the intermediate products saved too."""
    return run_once(
        shared / "full", "strun", "calwebb_fusion4", f"{NAME}_asn.json", "--output_dir=products",
        "--steps.coregister.save_results=true", "--steps.cross_calib.save_results=true",
        inputs=[*data.inputs, *data.truth_files], run=start_command,
    )  # fmt: skip


@pytest.fixture(scope="session")
def smoothed(shared, data):
    """The pipeline run with parameters of a step given, all parameters saved."""
    return run_once(
        shared / "smoothed", "strun", "calwebb_fusion4", f"{NAME}_asn.json", "--steps.fusion.mu=20",
        *(f"--steps.fusion.{name}={value}" for name, value in QUICK.items()),
        "--save-parameters=parameters.asdf", inputs=data.inputs,
    )  # fmt: skip


@pytest.fixture(scope="session")
def repeated(shared, data, smoothed):
    """The pipeline run again from the saved parameters, into ASDF."""
    return run_once(
        shared / "repeated", "strun", "parameters.asdf", f"{NAME}_asn.json", "--output_ext=.asdf",
        "--output_dir=again", inputs=[*data.inputs, smoothed.folder / "parameters.asdf"],
    )  # fmt: skip


@pytest.fixture(scope="session")
def product(full):
    """Path of the fused cube of the full run."""
    return full.folder / "products" / f"{NAME}_fused.fits"


@pytest.fixture
def work(tmp_path, data, monkeypatch):
    """A folder with an association, links to its members, and means to spoil them."""
    sources = dict(zip((CUBE, FIRST, SECOND), (data.cube, *data.images), strict=True))
    for name, path in sources.items():
        (tmp_path / name).symlink_to(path)
    work = SimpleNamespace(folder=tmp_path, sources=sources)
    write_association(work)
    monkeypatch.chdir(tmp_path)
    return work
