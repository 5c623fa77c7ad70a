"""The fusion grid: cells that divide the cube's own spaxels."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from jwst_fusion.coregistration.field import field_window
from jwst_fusion.coregistration.grid import (
    crop_cube,
    cube_footprint,
    enlarge,
    grid_wcs,
    make_grid,
)
from jwst_fusion.exceptions import NoOverlapError

from ..sky import SPAXEL, make_wcs

CENTRES = [(83.8, -35.0), (0.0001, 12.0), (359.9999, -60.0), (120.0, 89.999), (40.0, -89.9995), (10.0, 0.0)]
ANGLES = [0.0, 33.0, -118.0, 20.0, 90.0, 180.0]
SHAPE = (14, 11)


def grid_over(mask, wcs, *args, **options):
    """Grid over all of a footprint."""
    return make_grid(field_window(mask, wcs), wcs, *args, **options)


def footprint(low=(2, 3), high=(12, 9)):
    seen = np.zeros(SHAPE, dtype=bool)
    seen[low[0] : high[0], low[1] : high[1]] = True
    return seen


def mirrored(wcs):
    """The same coordinates with x running the other way, as no cube_build orientation but a user's may."""
    wcs = wcs.deepcopy()
    wcs.wcs.cd = wcs.wcs.cd * [[-1, 1], [-1, 1]]
    wcs.wcs.set()
    return wcs


def separation(wcs, other, points, others):
    """Distance [arcsec] on the sky between points (x, y) of two images."""
    a, b = (
        SkyCoord(*w.wcs_pix2world(*p, 0), unit="deg") for w, p in ((wcs, points), (other, others))
    )  # fmt: skip
    return a.separation(b).arcsec


@pytest.mark.parametrize(
    ("centre", "angle", "d"), list(zip(CENTRES, ANGLES, (1, 2, 3, 4, 3, 2), strict=True))
)
def test_cells_divide_the_spaxels(centre, angle, d):
    wcs = make_wcs(centre, SHAPE, SPAXEL, angle)
    grid = grid_over(footprint(), wcs, d, margin=0.25)
    assert grid.spaxel_shape == (10 + 6, 6 + 6)
    assert grid.shape == (16 * d, 12 * d)
    assert grid.origin == (2 - 3, 3 - 3)
    rows, columns = (a.ravel() for a in np.indices(grid.spaxel_shape))
    cells = [d * i + (d - 1) / 2 for i in (columns, rows)]
    spaxels = columns + grid.origin[1], rows + grid.origin[0]
    assert separation(grid_wcs(grid), wcs, cells, spaxels).max() < 1e-6 * SPAXEL


@pytest.mark.parametrize(("centre", "angle"), list(zip(CENTRES, ANGLES, strict=True)))
def test_jacobian_holds_the_directions_of_the_axes(centre, angle):
    wcs = make_wcs(centre, SHAPE, SPAXEL, angle)
    sine, cosine = np.sin(np.radians(angle)), np.cos(np.radians(angle))
    expected = SPAXEL / 3 * np.array([[-cosine, sine], [sine, cosine]])
    grid = grid_over(np.ones(SHAPE, dtype=bool), wcs, 3, margin=0.0)
    np.testing.assert_allclose(grid.jacobian, expected, atol=1e-8)
    assert grid.cell_size == pytest.approx(SPAXEL / 3, rel=1e-7)
    assert grid.cell_area == pytest.approx(SPAXEL**2 / 9, rel=1e-7)
    assert SkyCoord(*grid.centre, unit="deg").separation(SkyCoord(*centre, unit="deg")).arcsec < 1e-6


def test_a_mirrored_cube_keeps_its_handedness():
    wcs = mirrored(make_wcs(CENTRES[0], SHAPE, SPAXEL, 20.0))
    grid = grid_over(footprint(), wcs, 2, margin=0.0)
    assert np.linalg.det(grid.jacobian) > 0
    points = np.array([0.5, 11.5]), np.array([0.5, 19.5])
    assert separation(grid_wcs(grid), wcs, points, ([3, 8.5], [2, 11.5])).max() < 1e-6 * SPAXEL


@pytest.mark.parametrize(("declination", "offset"), [(0.0, (1.5, 0.0)), (-80.0, (-0.7, 1.1))])
def test_an_offset_moves_the_coordinates_by_arcseconds_on_the_sky(declination, offset):
    grid = grid_over(footprint(), make_wcs((0.0002, declination), SHAPE, SPAXEL, 33.0), 3, margin=0.5)
    corners = np.array([0, grid.shape[1] - 1, 5]), np.array([0, grid.shape[0] - 1, 40])
    before, after = (
        SkyCoord(*grid_wcs(grid, o).wcs_pix2world(*corners, 0), unit="deg") for o in ((0, 0), offset)
    )
    east, north = before.spherical_offsets_to(after)
    np.testing.assert_allclose(east.to_value(u.arcsec), offset[0], atol=3e-4)
    np.testing.assert_allclose(north.to_value(u.arcsec), offset[1], atol=3e-4)


def test_an_enlarged_grid_has_the_same_cells():
    grid = grid_over(footprint(), make_wcs(CENTRES[0], SHAPE, SPAXEL, 33.0), 3, margin=0.1)
    large = enlarge(grid, 4)
    assert large.shape == tuple(n + 24 for n in grid.shape)
    assert large.origin == tuple(n - 4 for n in grid.origin)
    x, y = np.array([0.0, 7.0]), np.array([0.0, 11.0])
    assert separation(grid_wcs(grid), grid_wcs(large), (x, y), (x + 12, y + 12)).max() < 1e-9


def test_crop_puts_each_spaxel_where_the_grid_has_it():
    wcs = make_wcs(CENTRES[0], SHAPE, SPAXEL)
    cube = np.arange(2 * 14 * 11, dtype=np.float32).reshape(2, *SHAPE)
    grid = grid_over(footprint(), wcs, 3, margin=0.4)
    cut = crop_cube(cube, grid, np.nan)
    assert cut.shape == (2, *grid.spaxel_shape)
    assert cut.dtype == cube.dtype
    rows, columns = np.indices(grid.spaxel_shape)
    rows, columns = rows + grid.origin[0], columns + grid.origin[1]
    inside = (rows >= 0) & (rows < SHAPE[0]) & (columns >= 0) & (columns < SHAPE[1])
    assert not inside.all()
    np.testing.assert_array_equal(cut[:, inside], cube[:, rows[inside], columns[inside]])
    assert np.isnan(cut[:, ~inside]).all()


def test_footprint_ignores_dead_channels_and_drops_poor_spaxels():
    data = np.ones((10, 4, 4))
    data[:5] = np.nan
    data[5:8, 0, 0] = np.nan
    data[5:7, 1, 1] = np.nan
    data[:, 3] = np.nan
    expected = np.ones((4, 4), dtype=bool)
    expected[0, 0] = False
    expected[3] = False
    np.testing.assert_array_equal(cube_footprint(data), expected)
    assert not cube_footprint(np.full((3, 2, 2), np.nan)).any()
    with pytest.raises(NoOverlapError, match="no spaxel with data"):
        grid_over(np.zeros(SHAPE, dtype=bool), make_wcs(CENTRES[0], SHAPE, SPAXEL), 3, 0.6)
