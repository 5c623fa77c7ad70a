"""The offset between an image and the cube."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_fusion.coregistration.alignment import _binned, find_target, measure_offset
from jwst_fusion.coregistration.field import field_window
from jwst_fusion.coregistration.grid import cube_footprint, grid_wcs, make_grid
from jwst_fusion.observation import CubeData
from jwst_fusion.optics.photometry import synthetic_photometry
from jwst_fusion.optics.throughput import bandpass

from ..sky import Sky, rich_sky

SHORT, LONG = ("F210M", (1.95, 2.25), 3), ("F335M", (3.10, 3.63), 2)
SKY = rich_sky()


def prepare(sky=SKY, setup=SHORT, *, angle=0.0, noise=0.01):
    """What measure_offset needs of a cube, as keyword arguments."""
    name, limits, d = setup
    product = sky.cube(np.linspace(*limits, 24), shape=(26, 24), angle=angle, noise=noise)
    footprint = cube_footprint(product.data)
    cube = CubeData(
        product.data,
        product.error,
        product.wavelength,
        np.full(24, noise),
        footprint,
        product.position_angle_v3,
        product.position_angle_aperture,
    )
    weights, _ = bandpass(name, "B", product.wavelength)
    grid = make_grid(field_window(footprint, product.wcs), product.wcs, d, margin=0.0)
    synthetic = synthetic_photometry(product.data, weights)
    return {"synthetic": synthetic, "bandpass": weights, "cube": cube, "grid": grid}


@pytest.fixture(scope="module")
def upright():
    return prepare()


@pytest.mark.parametrize(
    ("setup", "angle", "true"), [(SHORT, 33.0, (0.613, -1.487)), (LONG, -118.0, (-1.5, 0.258))]
)
def test_a_known_offset_is_recovered(setup, angle, true):
    image = SKY.image(setup[0], offset=true, noise=0.01, angle=40.0)
    offset = measure_offset(image=image, **prepare(setup=setup, angle=angle))
    assert (offset.east, offset.north) == pytest.approx(true, abs=0.005)
    assert 0 < offset.error < 0.005
    assert offset.correlation > 0.9


def test_the_offset_is_where_the_image_puts_a_source_less_where_the_cube_does():
    # A star that the cube's coordinates put at the centre, and the image's 0.3 arcsec east of it.
    sky = Sky(((0.0, 0.0, 0.02, 10.0), (0.8, 0.5, 0.3, 0.5)))
    image = sky.image("F210M", offset=(0.3, 0.0))
    brightest = np.unravel_index(np.argmax(image.data), image.data.shape)[::-1]
    ra, _ = image.wcs.wcs_pix2world(*brightest, 0)
    assert (ra - sky.centre[0]) * 3600 * np.cos(np.radians(sky.centre[1])) == pytest.approx(0.3, abs=0.04)
    offset = measure_offset(image=image, **prepare(sky))
    assert (offset.east, offset.north) == pytest.approx((0.3, 0.0), abs=0.005)


def test_what_is_missing_or_wrong_does_not_pull(upright):
    """Flux scale and background, bad pixels, a hole and outliers of the cube; from a first guess."""
    image, rng = SKY.image("F210M", offset=(1.9, -1.2), noise=0.01), np.random.default_rng(6)
    data = np.where(rng.random(image.data.shape) < 0.002, np.nan, 1.14 * image.data + 3.0)
    synthetic = upright["synthetic"].copy()
    synthetic[rng.random(synthetic.shape) < 0.02] += 0.5 * np.ptp(synthetic)
    synthetic[3:7, 10:15] = np.nan
    given = upright | {"synthetic": synthetic, "first_guess": (1.7, -1.0), "capture": 0.4}
    offset = measure_offset(image=replace(image, data=data), **given)
    assert (offset.east, offset.north) == pytest.approx((1.9, -1.2), abs=0.01)


@pytest.mark.parametrize("side", [-1, 1])
def test_an_image_of_little_more_than_half_of_the_field(upright, side):
    """An offset that brings more of the image onto the field is not taken for that."""
    image = SKY.image("F210M", offset=(0.2, -0.1), noise=0.01, angle=0.0)
    from_middle = np.arange(image.data.shape[1]) - image.data.shape[1] // 2
    data = np.where(side * from_middle > 6, np.nan, image.data)
    offset = measure_offset(image=replace(image, data=data), **upright)
    assert (offset.east, offset.north) == pytest.approx((0.2, -0.1), abs=0.01)


def test_the_stated_error_is_the_scatter():
    prepared = prepare(noise=0.0)
    image = SKY.image("F210M")
    rng = np.random.default_rng(8)
    found = []
    for _ in range(15):
        synthetic = prepared["synthetic"] + 0.02 * rng.normal(size=prepared["synthetic"].shape)
        found.append(measure_offset(image=image, capture=0.3, **prepared | {"synthetic": synthetic}))
    places = np.array([(offset.east, offset.north) for offset in found])
    stated = np.mean([offset.error for offset in found])
    assert places.std(axis=0).mean() == pytest.approx(stated, rel=0.35)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_images_without_contrast_give_the_first_guess_and_no_error(noise):
    flat = Sky((), background=5.0)
    prepared = prepare(flat, noise=noise)
    offset = measure_offset(image=flat.image("F210M", noise=noise), first_guess=(0.1, -0.2), **prepared)
    assert (offset.east, offset.north) == (0.1, -0.2)
    assert np.isnan(offset.error)
    assert offset.correlation < 0.5


def test_a_plane_gives_no_offset():
    # Both see the same slope: wherever the image is put, another pedestal makes them agree.
    flat = Sky((), background=50.0)
    prepared = prepare(flat, noise=0.05)
    image = flat.image("F210M", noise=0.05, angle=0.0)
    rows, columns = np.indices(prepared["synthetic"].shape)
    synthetic = prepared["synthetic"] + 0.05 * rows - 0.08 * columns
    rows, columns = np.indices(image.data.shape) * image.image_pixel / 0.1
    tilted = replace(image, data=image.data + 0.05 * rows - 0.08 * columns)
    offset = measure_offset(image=tilted, **prepared | {"synthetic": synthetic})
    assert np.isnan(offset.error)
    assert offset.correlation < 0.5


def test_an_image_elsewhere_gives_no_offset(upright):
    far = Sky(SKY.blobs, centre=(83.9, -35.0)).image("F210M")
    offset = measure_offset(image=far, first_guess=(0.1, -0.2), **upright)
    assert (offset.east, offset.north, offset.correlation) == (0.1, -0.2, 0.0)
    assert np.isnan(offset.error)


@pytest.mark.parametrize(("setup", "steps"), [(SHORT, 60), (LONG, 2048)])
def test_a_target_is_found_anywhere_in_the_image(setup, steps, monkeypatch):
    monkeypatch.setattr("jwst_fusion.coregistration.alignment.MAX_STEPS", steps)
    # Three blobs that the cube sees at its centre, 2.9 arcsec off the centre of the image.
    blobs = ((0.0, 0.0, 0.25, 5.0), (0.5, 0.3, 0.12, 3.0), (-0.4, 0.6, 0.05, 4.0))
    sky = Sky(blobs)
    moved = Sky(tuple((x + 2.1, y - 2.0, *rest) for x, y, *rest in blobs))
    image = moved.image(setup[0], noise=0.01, angle=40.0)
    prepared = prepare(sky, setup, angle=20.0)
    start = find_target(prepared["synthetic"], image, prepared["grid"], (0.0, 0.0))
    assert np.isfinite(start.error)
    assert (start.east, start.north) == pytest.approx((2.1, -2.0), abs=start.error)
    assert start.error == pytest.approx(0.1 if steps == 2048 else 0.3, rel=1e-3)


@pytest.mark.parametrize("bins", [3, 5])
def test_spaxels_put_together_keep_their_place(upright, bins):
    """The last ones too, where the bins reach beyond the grid."""
    synthetic, grid = upright["synthetic"], upright["grid"]
    means, coarse = _binned(synthetic, grid, bins)
    assert means[1, 2] == pytest.approx(synthetic[bins : 2 * bins, 2 * bins : 3 * bins].mean())
    middle = (bins * grid.decimation_factor - 1) / 2
    at = (middle, middle + bins * grid.decimation_factor)
    expected = grid_wcs(grid).wcs_pix2world(*at, 0)
    np.testing.assert_allclose(grid_wcs(coarse).wcs_pix2world(0, 1, 0), expected, rtol=0, atol=1e-3 / 3600)
