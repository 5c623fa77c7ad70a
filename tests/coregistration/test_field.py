"""The field of view that a user asks for."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from jwst_fusion.coregistration.coregister import CoregistrationSettings, coregister
from jwst_fusion.coregistration.field import field_angle, field_window, parse_centre, rotate_cube
from jwst_fusion.coregistration.grid import cube_footprint, grid_wcs, local_frame
from jwst_fusion.exceptions import NoOverlapError, ParameterError

from ..sky import PA_APERTURE, rich_sky

SKY = rich_sky(seed=5)
WAVELENGTH = np.linspace(1.95, 2.25, 12)


@pytest.fixture(scope="module")
def cube():
    return SKY.cube(WAVELENGTH, shape=(24, 26), angle=25.0, noise=0.01)


@pytest.mark.parametrize("text", ["83.8, -35.0", "05:35:12 -35:00:00", "5h35m12s -35d00m00s"])
def test_positions_in_degrees_and_sexagesimal(text):
    assert parse_centre(text) == pytest.approx((83.8, -35.0), abs=1e-9)


@pytest.mark.parametrize("text", ["", "83.8", "here", "99:99:99 -5:00:00", "10 95"])
def test_what_is_no_position(text):
    with pytest.raises(ParameterError, match="not a position"):
        parse_centre(text)


def test_angles(cube):
    assert field_angle("cube", cube) is None
    assert field_angle("aperture", cube) == PA_APERTURE
    assert field_angle("-12.5", cube) == -12.5
    for wrong in ("north", "nan", None):
        with pytest.raises(ParameterError, match="position_angle"):
            field_angle(wrong, cube)


def test_without_wishes_the_window_is_the_footprint(cube):
    footprint = np.zeros((24, 26), dtype=bool)
    footprint[3:20, 5:11] = True
    assert field_window(footprint, cube.wcs) == (slice(3, 20), slice(5, 11))


def test_a_rectangle_about_a_position_or_a_spaxel(cube):
    footprint = np.ones((24, 26), dtype=bool)
    place = tuple(float(v) for v in cube.wcs.wcs_pix2world(10.0, 14.0, 0))
    by_sky = field_window(footprint, cube.wcs, centre=place, height=0.5, width=0.9)
    by_spaxel = field_window(footprint, cube.wcs, centre_spaxel=(10.0, 14.0), height=0.5, width=0.9)
    assert by_sky == by_spaxel == (slice(12, 17), slice(6, 15))


def test_a_rectangle_beside_the_footprint(cube):
    with pytest.raises(NoOverlapError, match="no spaxel of the cube lies in the field of 1.0 x 1.0 arcsec"):
        field_window(
            np.ones((24, 26), dtype=bool), cube.wcs, centre_spaxel=(80.0, 5.0), height=1.0, width=1.0
        )


@pytest.mark.parametrize("angle", [-61.0, PA_APERTURE])
def test_a_rotated_cube_shows_the_same_sky(cube, angle):
    clean = SKY.cube(WAVELENGTH, shape=(24, 26), angle=25.0)
    rotated = rotate_cube(clean, angle)
    _, jacobian = local_frame(rotated.wcs, 5.0, 5.0)
    turned = np.degrees(np.arctan2(*jacobian[:, 1])) - angle
    assert (turned + 180) % 360 - 180 == pytest.approx(0.0, abs=1e-3)
    ny, nx = rotated.data.shape[1:]
    y, x = np.nonzero(cube_footprint(rotated.data))
    # What a cube shows whose spaxels lie so from the start.
    other = SKY.cube(WAVELENGTH[:1], shape=(ny, nx), angle=angle)
    place = other.wcs.wcs_world2pix(*rotated.wcs.wcs_pix2world(x, y, 0), 0)
    truth = map_coordinates(other.data[0], place[::-1], order=3, mode="nearest")
    inside = (np.minimum(*place) > 1) & (place[0] < nx - 2) & (place[1] < ny - 2)
    assert inside.sum() > 100
    difference = (rotated.data[0][y, x] - truth)[inside]
    assert np.sqrt((difference**2).mean()) < 0.03 * np.ptp(truth)
    assert np.isnan(rotated.data).any()


def test_a_rotation_keeps_flux_and_centroid():
    sky = rich_sky(seed=5)
    cube = sky.cube(WAVELENGTH[:3], shape=(41, 41))
    y, x = np.indices((41, 41))
    source = 50 * np.exp(-((x - 19.3) ** 2 + (y - 21.6) ** 2) / (2 * 1.6**2))
    cube.data[:] = source
    rotated = rotate_cube(cube, 33.0)
    known = np.nan_to_num(rotated.data[0])
    assert known.sum() == pytest.approx(source.sum(), rel=1e-3)
    yy, xx = np.indices(known.shape)
    at = (xx * known).sum() / known.sum(), (yy * known).sum() / known.sum()
    back = cube.wcs.wcs_world2pix(*rotated.wcs.wcs_pix2world(*at, 0), 0)
    np.testing.assert_allclose(back, (19.3, 21.6), atol=0.01)


def test_the_fused_field_is_the_rectangle_and_the_margin_keeps_the_cube(cube):
    image = SKY.image("F210M", field=7.0, noise=0.01)
    settings = CoregistrationSettings(
        alignment="wcs", center_spaxel=(12, 11), height=0.7, width=1.1, margin=0.3
    )
    observation = coregister(cube, [image], settings).observation
    rows, columns = observation.grid.field
    assert (rows, columns) == (slice(3, 10), slice(3, 14))
    assert observation.grid.spaxel_shape == (13, 17)
    assert np.isfinite(observation.cube.data).all()
    x, y = grid_wcs(observation.grid).wcs_world2pix(*cube.wcs.wcs_pix2world(12, 11, 0), 0)
    assert (x, y) == pytest.approx((8 * 3 + 1, 6 * 3 + 1), abs=1e-3)
