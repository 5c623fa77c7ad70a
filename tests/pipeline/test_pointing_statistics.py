"""Offsets, their errors and the outliers of simulated fields, over several seeds."""

import json

import numpy as np
import pytest
from astropy.io import fits

from jwst_fusion import CoregisterStep
from jwst_fusion.simulation import simulate

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]

SEEDS = range(6)
SCENES = ("disk", "titan", "nebula")


def displace(path, east, north):
    """Change where an image's coordinates put the sky [arcsec]."""
    with fits.open(path, mode="update") as hdus:
        header = hdus["SCI"].header
        header["CRVAL2"] += north / 3600
        header["CRVAL1"] += east / 3600 / np.cos(np.radians(header["CRVAL2"]))


def add_outliers(path, rng, share=3e-4):
    """Add 20 sigma to voxels, half of them negative; their places."""
    with fits.open(path, mode="update") as hdus:
        data = hdus["SCI"].data
        known = np.flatnonzero(np.isfinite(data))
        places = np.unravel_index(rng.choice(known, int(share * known.size), replace=False), data.shape)
        data[places] += 20 * 1.4 * hdus["ERR"].data[places] * rng.choice([-1, 1], places[0].size)
    return places


def measure(folder, scene, seed):
    """Errors of the offsets and stated ones [arcsec], and shares of outliers found and good voxels lost."""
    files = simulate(scene, folder, seed=seed, wavelength_range=(1.66, 2.3),
                     n_wave=400)  # fmt: skip
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi)
    injected = 1.5 * np.sin(angle), 1.5 * np.cos(angle)
    for path in files.images:
        displace(path, *injected)
    places = add_outliers(files.cube, rng)
    truth = json.loads(files.parameters.read_text())
    result = CoregisterStep.call(str(files.association), configure_log=False)
    table = np.asarray(result.filters)
    names = [name.decode().strip() if isinstance(name, bytes) else str(name) for name in table["filter"]]
    true = {row["filter"]: (row["offset_east"], row["offset_north"]) for row in truth["filters"]}
    found = np.stack([table["offset_east"], table["offset_north"]], axis=1)
    errors = found - injected - np.array([true[name] for name in names])
    pulls = errors / np.array(table["offset_err"])[:, np.newaxis]
    return errors, pulls, *outliers(result, places, truth["outliers"])


def outliers(result, places, others):
    """Share of injected outliers that are marked, and share of good voxels that are marked too."""
    origin = (0, result.meta.fusion.crop_y, result.meta.fusion.crop_x)
    marked = (np.asarray(result.dq) & 16) > 0
    known = marked | np.isfinite(np.asarray(result.data))
    injected, hit = np.zeros_like(marked), np.zeros_like(marked)
    for target, voxels in ((injected, np.transpose(places)), (hit, np.array(others))):
        at = voxels - origin
        at = at[np.all((at >= 0) & (at < marked.shape), axis=1)]
        target[tuple(at.T)] = True
    injected &= known
    good = known & ~injected & ~hit
    return (marked & injected).sum() / injected.sum(), (marked & good).sum() / good.sum()


@pytest.mark.parametrize("scene", SCENES)
def test_offsets_and_outliers_over_several_seeds(tmp_path, scene):
    errors, pulls, found, lost = zip(*(measure(tmp_path / str(s), scene, s) for s in SEEDS), strict=True)
    errors, pulls = np.concatenate(errors), np.concatenate(pulls)
    assert (np.sqrt((errors**2).mean(axis=0)) < 0.005).all()
    assert 0.7 < np.sqrt((pulls**2).mean()) < 1.4
    assert np.mean(found) > 0.95
    assert max(lost) < 0.001
