"""The components that several gratings have in common."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from jwst_fusion.exceptions import InputError
from jwst_fusion.inversion.joint import find_gratings, join
from jwst_fusion.inversion.settings import FusionSettings
from jwst_fusion.observation import CubeData, FusionGrid, Observation

SHAPE = (16, 18)
D = 3


def make_maps(number, seed=0):
    """Smooth maps of unit variance."""
    noise = np.random.default_rng(seed).standard_normal((number, *SHAPE))
    maps = np.stack([gaussian_filter(plane, 2.0, mode="wrap") for plane in noise])
    return maps / maps.std(axis=(1, 2), keepdims=True)


def observed(maps, low, high, *, n_wave=60, seed=0, noise_seed=0, seen=slice(None), mean=50.0):
    """A cube whose spectra are random mixtures of maps, with unit noise, in some columns of the field."""
    rng = np.random.default_rng(seed)
    spectra = 4.0 * rng.standard_normal((n_wave, len(maps)))
    noise = np.random.default_rng([seed, noise_seed]).standard_normal((n_wave, *SHAPE))
    data = mean + np.tensordot(spectra, maps, axes=1) + noise
    footprint = np.zeros(SHAPE, dtype=bool)
    footprint[:, seen] = True
    data = np.where(footprint, data, np.nan)
    cube = CubeData(
        data, np.ones_like(data), np.linspace(low, high, n_wave), np.ones(n_wave), footprint, 20.0, 158.97
    )
    grid = FusionGrid(tuple(D * n for n in SHAPE), D, np.diag([-0.1 / D, 0.1 / D]))
    return Observation(grid, cube, ())


def joined(observations, **settings):
    gratings = find_gratings(observations, FusionSettings(**settings))
    return join(gratings, 0.1, "cubes")


def test_gratings_share_their_components():
    """Two gratings see mixtures of the same two maps: there are two components, not four."""
    maps = make_maps(2)
    observations = [observed(maps, 1.0, 1.8, seed=1), observed(maps, 1.7, 3.1, seed=2)]
    gratings, joint = joined(observations)
    assert [g.subspace.n_components for g in gratings] == [2, 2]
    assert joint.n_components == 2
    for grating, observation in zip(gratings, observations, strict=True):
        model = grating.subspace.mean_spectrum[:, None, None] + np.tensordot(
            grating.basis, joint.coefficients, axes=1
        )
        residual = observation.cube.data - model
        assert residual.std() == pytest.approx(1.0, abs=0.1)


def test_a_component_of_one_grating_is_kept():
    maps = make_maps(3)
    observations = [observed(maps[:2], 1.0, 1.8, seed=1), observed(maps, 1.7, 3.1, seed=2)]
    assert joined(observations)[1].n_components == 3


def test_what_a_grating_has_not_seen_is_predicted_from_the_other():
    maps = make_maps(2)
    observations = [
        observed(maps, 1.0, 1.8, seed=1),
        observed(maps, 1.7, 3.1, seed=2, seen=slice(0, 12)),
    ]
    gratings, joint = joined(observations)
    whole = observed(maps, 1.7, 3.1, seed=2).cube.data[:, :, 14:]
    model = gratings[1].subspace.mean_spectrum[:, None, None] + np.tensordot(
        gratings[1].basis, joint.coefficients, axes=1
    )
    signal = (whole - whole.mean(axis=(1, 2), keepdims=True)).std()
    assert (whole - model[:, :, 14:]).std() < 0.35 * signal


def test_pointings_of_one_grating_have_one_subspace():
    maps = make_maps(2)
    left = observed(maps, 1.7, 3.1, seed=2, noise_seed=1, seen=slice(0, 11))
    right = observed(maps, 1.7, 3.1, seed=2, noise_seed=2, seen=slice(7, 18))
    (grating,) = find_gratings([left, right], FusionSettings())
    assert grating.members == (0, 1)
    assert grating.subspace.n_components == 2
    assert np.isfinite(grating.maps).all()
    # where both see the noise is that of two
    both = grating.noise[:, :, 7:11].std() / grating.noise[:, :, :7].std()
    assert both == pytest.approx(np.sqrt(0.5), abs=0.1)


def test_a_shifted_cube_has_its_maps_where_the_grid_has_them():
    """A cube whose spaxels lie half a spaxel to the right: its maps come back to the spaxels of the grid."""
    maps = make_maps(1)
    observation = observed(maps, 1.7, 3.1, seed=2)
    moved = replace(observation, cube=replace(observation.cube, shift=(0.0, D / 2)))
    (still,), (grating,) = (find_gratings([o], FusionSettings()) for o in (observation, moved))
    a, b = still.maps[0] * still.level, grating.maps[0] * grating.level
    # what the cube has at index i is at i + 1/2 of the grid: interpolated there it is the mean of two
    expected = (a[:, :-1] + a[:, 1:]) / 2
    known = np.isfinite(b[:, 1:]) & np.isfinite(expected)
    np.testing.assert_allclose(b[:, 1:][known], expected[known], atol=0.15 * np.nanstd(a))


def test_gratings_without_common_sky_are_refused():
    maps = make_maps(2)
    observations = [
        observed(maps, 1.0, 1.8, seed=1, seen=slice(0, 9)),
        observed(maps, 1.7, 3.1, seed=2, seen=slice(9, 18)),
    ]
    with pytest.raises(InputError, match="0 spaxels are seen with all 2 gratings"):
        joined(observations)
