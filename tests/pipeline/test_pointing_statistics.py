"""Offsets of simulated fields, and their errors, over several seeds; outliers: tests/coregistration."""

import json

import numpy as np
import pytest
from astropy.io import fits

from jwst_fusion import CoregisterStep
from jwst_fusion.simulation import simulate


def measure(folder, scene, seed):
    """Errors of the offsets [arcsec], and these over the stated ones, of images displaced by 1.5 arcsec."""
    files = simulate(scene, folder, seed=seed, wavelength_range=(1.66, 2.3), n_wave=400)
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    injected = 1.5 * np.sin(angle), 1.5 * np.cos(angle)
    for path in files.images:
        with fits.open(path, mode="update") as hdus:
            header = hdus["SCI"].header
            header["CRVAL2"] += injected[1] / 3600
            header["CRVAL1"] += injected[0] / 3600 / np.cos(np.radians(header["CRVAL2"]))
    true = {row["filter"]: row for row in json.loads(files.parameters.read_text())["filters"]}
    rows = CoregisterStep.call(str(files.association), configure_log=False).filters
    axes = ("offset_east", "offset_north")
    errors = [[row[axis] - true[row["filter"].strip()][axis] for axis in axes] for row in rows]
    errors = np.array(errors) - injected
    return errors, errors / np.array([row["offset_err"] for row in rows])[:, np.newaxis]


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("scene", ["disk", "titan", "nebula"])
def test_offsets_over_several_seeds(tmp_path, scene):
    found = [measure(tmp_path / str(seed), scene, seed) for seed in range(6)]
    errors, pulls = (np.concatenate(part) for part in zip(*found, strict=True))
    assert (np.sqrt((errors**2).mean(axis=0)) < 0.005).all()
    assert 0.7 < np.sqrt((pulls**2).mean()) < 1.4
