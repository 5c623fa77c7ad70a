"""The paper's boundary and weights."""

import numpy as np
import pytest

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.inversion.boundary import mirrored, unmirrored, unweighted
from jwst_fusion.inversion.fuse import FusionSettings, fuse

from .field import fused_scene, make_field

PAPER = FusionSettings(
    n_components=3, tuning="manual", mu=1e-4, gamma=1e-3, regularization="sobolev", boundary="symmetric",
    weighting="uniform", samples=0,
)  # fmt: skip


@pytest.fixture(scope="module", params=[3, 2])
def field(request):
    return make_field(request.param, spaxels=(8, 9), margin=2)


def with_field(observation):
    """The observation, its footprint's bounding box declared the field."""
    from dataclasses import replace

    inside = observation.cube.footprint
    box = tuple(slice(*np.flatnonzero(inside.any(axis=a))[[0, -1]] + [0, 1]) for a in (1, 0))
    return replace(observation, grid=replace(observation.grid, field=box))


def test_the_field_is_surrounded_by_its_mirror_images(field):
    observation = with_field(field.observation)
    tripled = mirrored(observation)
    my, mx = (at.stop - at.start for at in observation.grid.field)
    assert tripled.grid.spaxel_shape == (3 * my, 3 * mx)
    seen = observation.cube.data[(slice(None), *observation.grid.field)]
    np.testing.assert_array_equal(tripled.cube.data[:, my : 2 * my, mx : 2 * mx], seen)
    np.testing.assert_array_equal(tripled.cube.data[:, my - 1], tripled.cube.data[:, my])
    np.testing.assert_array_equal(tripled.cube.data[..., 2 * mx], tripled.cube.data[..., 2 * mx - 1])
    assert np.isfinite(tripled.bands[0].data).all()


def test_cutting_undoes_mirroring(field):
    observation = with_field(field.observation)
    d = observation.grid.decimation_factor
    cells = tuple(slice(at.start * d, at.stop * d) for at in observation.grid.field)
    cut = unmirrored(mirrored(observation).bands[0].data, observation.grid)
    assert cut.shape == observation.grid.shape
    np.testing.assert_array_equal(cut[cells], observation.bands[0].data[cells])


def test_all_data_count_alike(field):
    same = unweighted(field.observation)
    assert (same.cube.noise == 1).all()
    assert all((band.error == band.scale).all() for band in same.bands)


def test_the_papers_fusion_is_exact_without_iterations(field):
    observation = with_field(field.observation)
    result = fuse(observation, PAPER)
    assert result.iterations == 0
    assert result.converged
    assert result.gamma == pytest.approx(1e-3)
    np.testing.assert_array_equal(result.regularization, 1e-4 * np.eye(3))
    assert result.coefficients.shape == (3, *observation.grid.shape)
    d = observation.grid.decimation_factor
    cells = tuple(slice(at.start * d, at.stop * d) for at in observation.grid.field)
    error = (fused_scene(result) - field.scene)[(slice(None), *cells)]
    assert error.std() < 0.5 * field.scene.std()


def test_a_free_boundary_is_better_at_the_edge(field):
    observation = with_field(field.observation)
    rows, columns = observation.grid.field
    d = observation.grid.decimation_factor
    edge = np.zeros(observation.grid.shape, dtype=bool)
    edge[rows.start * d : rows.stop * d, columns.start * d : columns.stop * d] = True
    edge[rows.start * d + 3 : rows.stop * d - 3, columns.start * d + 3 : columns.stop * d - 3] = False
    free, mirror = (
        (fused_scene(fuse(observation, settings)) - field.scene)[:, edge].std()
        for settings in (FusionSettings(samples=0), PAPER)
    )
    assert free < 0.8 * mirror


def test_settings_that_do_not_go_together():
    with pytest.raises(ParameterError, match="tuning = manual needs both mu and gamma"):
        FusionSettings(tuning="manual", mu=1.0)
    with pytest.raises(ParameterError, match="weighting = uniform goes with tuning = manual only"):
        FusionSettings(weighting="uniform")


@pytest.mark.parametrize("name", ["tuning", "regularization", "boundary", "weighting"])
def test_choices_that_are_none(name):
    with pytest.raises(ParameterError, match=f"{name} = 'luck' cannot be used"):
        FusionSettings(**{name: "luck"})
