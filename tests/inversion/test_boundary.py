"""The paper's boundary and weights, and the surroundings of a field."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_fusion.inversion.boundary import mirrored, periodic_shape, unmirrored, unweighted
from jwst_fusion.inversion.fuse import FusionSettings, fuse

from .field import fused_scene, make_field

PAPER = FusionSettings(
    n_components=3, tuning="manual", mu=1e-4, gamma=1e-3, regularization="sobolev", boundary="symmetric",
    weighting="uniform", samples=0,
)  # fmt: skip


@pytest.fixture(scope="module", params=[3, 2])
def field(request):
    return make_field(request.param, spaxels=(8, 9), margin=2)


def cells(grid):
    return tuple(
        slice(at.start * grid.decimation_factor, at.stop * grid.decimation_factor) for at in grid.field
    )


def test_opposite_edges_of_the_field_are_far_apart(field):
    """1.2 arcsec, twice the usual margin, whatever margin there is; and no more than needed."""
    grid, d = field.observation.grid, field.observation.grid.decimation_factor
    assert periodic_shape(grid) == (d * (8 + 12), d * (9 + 12))
    assert periodic_shape(replace(grid, shape=(d * 40, d * 50))) == (d * 40, d * 50)


def test_the_field_is_surrounded_by_its_mirror_images(field):
    observation = field.observation
    holed = observation.cube.data.copy()
    holed[:, 4, 5] = np.nan
    observation = replace(observation, cube=replace(observation.cube, data=holed))
    grid, tripled = observation.grid, mirrored(observation)
    my, mx = (at.stop - at.start for at in grid.field)
    assert tripled.grid.spaxel_shape == (3 * my, 3 * mx)
    np.testing.assert_array_equal(tripled.cube.data[:, my - 2], tripled.cube.data[:, my + 1])
    np.testing.assert_array_equal(tripled.cube.data[..., 2 * mx + 1], tripled.cube.data[..., 2 * mx - 2])
    assert np.isfinite(tripled.cube.data).all()
    cut = unmirrored(tripled.bands[0].data, grid)
    assert cut.shape == grid.shape
    np.testing.assert_array_equal(cut[cells(grid)], observation.bands[0].data[cells(grid)])
    y, x = (at.start for at in cells(grid))
    np.testing.assert_array_equal(cut[y - 3 : y], cut[y : y + 3][::-1])
    np.testing.assert_array_equal(cut[:, x - 2], cut[:, x + 1])


def test_all_data_count_alike(field):
    scaled = replace(field.observation, bands=tuple(replace(b, scale=1.3) for b in field.observation.bands))
    same = unweighted(scaled)
    assert (same.cube.noise == 1).all()
    assert all((band.error == 1.3).all() for band in same.bands)


def test_the_papers_fusion_is_exact_without_iterations(field):
    observation, result = field.observation, fuse(field.observation, PAPER)
    assert result.iterations == 0
    assert result.gamma == pytest.approx(1e-3)
    np.testing.assert_array_equal(result.regularization, 1e-4 * np.eye(3))
    assert result.coefficients.shape == (3, *observation.grid.shape)
    inner = (slice(None), *cells(observation.grid))
    assert (fused_scene(result) - field.scene)[inner].std() < 0.5 * field.scene.std()
    # the mean of the mirrored spectra is no better known than that of the field's own
    free = fuse(observation, replace(PAPER, boundary="free"))
    assert np.nanmedian(result.mean_noise / free.mean_noise) == pytest.approx(1, rel=0.6)


def test_a_free_boundary_is_better_at_the_edge(field):
    observation = field.observation
    inner = cells(observation.grid)
    edge = np.zeros(observation.grid.shape, dtype=bool)
    edge[inner] = True
    edge[tuple(slice(at.start + 3, at.stop - 3) for at in inner)] = False
    free, mirror = (
        (fused_scene(fuse(observation, settings)) - field.scene)[:, edge].std()
        for settings in (FusionSettings(samples=0), PAPER)
    )
    assert free < 0.8 * mirror
