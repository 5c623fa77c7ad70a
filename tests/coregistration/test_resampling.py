"""Interpolation of an image at the cells: flux, position, and what is not known."""

import numpy as np
import pytest

from jwst_fusion.coregistration.grid import grid_wcs, make_grid
from jwst_fusion.coregistration.resampling import cutout, reduce_image, resample_image
from jwst_fusion.observation import ImageProduct

from ..sky import SPAXEL, displace, make_wcs, sky_offsets

PIXEL = 0.0311
CENTRE = (0.0001, -35.0)
SOURCE = (0.137, -0.211)
SIGMA = 0.05


def product(data, wcs, error=None):
    error = np.full(data.shape, 0.1) if error is None else error
    return ImageProduct("i_i2d.fits", data, error, wcs, "F200W", "B", 0.0, PIXEL, PIXEL)


def gaussian(wcs, shape):
    """A round Gaussian source of unit flux [MJy/sr arcsec^2] at a place of the sky."""
    east, north = sky_offsets(wcs, shape, CENTRE)
    distance2 = (east - SOURCE[0]) ** 2 + (north - SOURCE[1]) ** 2
    return np.exp(-0.5 * distance2 / SIGMA**2) / (2 * np.pi * SIGMA**2)


def image(angle=0.0, offset=(0.0, 0.0), shape=(150, 140)):
    """The source, in an image whose coordinates put it at an offset from its place."""
    data = gaussian(make_wcs(CENTRE, shape, PIXEL, angle), shape)
    return product(data, make_wcs(displace(CENTRE, *offset), shape, PIXEL, angle))


def grid_of(d, angle=20.0, shape=(20, 18)):
    window = tuple(slice(0, n) for n in shape)
    return make_grid(window, make_wcs(CENTRE, shape, SPAXEL, angle), d, margin=0.0)


@pytest.mark.parametrize(("d", "angle", "offset"), [(3, 33.0, (0.0, 0.0)), (2, -118.0, (0.4, -0.7))])
def test_flux_position_and_values_are_kept(d, angle, offset):
    grid = grid_of(d)
    data, _ = resample_image(image(angle, offset), grid, offset)
    east, north = sky_offsets(grid_wcs(grid), grid.shape, CENTRE)
    flux = data.sum() * grid.cell_area
    assert flux == pytest.approx(1, abs=1e-3)
    centroid = [(data * x).sum() * grid.cell_area / flux for x in (east, north)]
    assert centroid == pytest.approx(SOURCE, abs=1e-3)
    expected = gaussian(grid_wcs(grid), grid.shape)
    np.testing.assert_allclose(data, expected, atol=6e-3 * expected.max())


def test_without_the_offset_the_source_is_where_its_coordinates_put_it():
    grid, offset = grid_of(3), (0.3, -0.2)
    data, _ = resample_image(image(0.0, offset), grid)
    east, north = sky_offsets(grid_wcs(grid), grid.shape, CENTRE)
    centroid = [(data * x).sum() / data.sum() for x in (east, north)]
    assert centroid == pytest.approx(np.add(SOURCE, offset), abs=1e-3)


@pytest.mark.parametrize(("angle", "offset"), [(33.0, (0.0, 0.0)), (90.0, (-1.5, 1.2))])
def test_bad_pixels_are_carried_and_no_others(angle, offset):
    whole = image(angle, offset)
    bad = np.random.default_rng(4).random(whole.data.shape) < 0.01
    holed = product(np.where(bad, np.nan, whole.data), whole.wcs)
    grid = grid_of(3)
    data, error = resample_image(holed, grid, offset)
    clean, _ = resample_image(whole, grid, offset)
    ra, dec = grid_wcs(grid, offset).wcs_pix2world(*np.indices(grid.shape)[::-1].reshape(2, -1), 0)
    x, y = (a.reshape(grid.shape) for a in whole.wcs.wcs_world2pix(ra, dec, 0))
    around = np.zeros(grid.shape, dtype=bool)
    for row in (np.floor(y), np.ceil(y)):
        for column in (np.floor(x), np.ceil(x)):
            around |= bad[row.astype(int), column.astype(int)]
    np.testing.assert_array_equal(np.isnan(data), around)
    np.testing.assert_array_equal(np.isnan(error), around)
    # Beyond its neighbours, a hole's value enters but through the tails of the spline.
    assert np.abs(data - clean)[~around].max() < 0.05 * clean.max()


def test_what_stands_in_a_bad_pixel_does_not_matter():
    whole = image(30.0)
    bad = np.random.default_rng(5).random(whole.data.shape) < 0.02
    results = []
    for error in (1e30, np.nan):
        holed = product(np.where(bad, np.nan, whole.data), whole.wcs, np.where(bad, error, 0.1))
        results.append(resample_image(holed, grid_of(3)))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    known = np.isfinite(results[0][0])
    for _, errors in results:
        np.testing.assert_allclose(errors[known], 0.1)


def test_errors_follow_the_image():
    shape = (150, 140)
    slope = 0.1 + 0.001 * np.arange(shape[1]) * np.ones(shape)
    wcs = make_wcs(CENTRE, shape, PIXEL, 20.0)
    _, error = resample_image(product(np.zeros(shape), wcs, slope), grid_of(3))
    ra, dec = grid_wcs(grid_of(3)).wcs_pix2world(*np.indices(error.shape)[::-1].reshape(2, -1), 0)
    x, _ = wcs.wcs_world2pix(ra, dec, 0)
    np.testing.assert_allclose(error.ravel(), 0.1 + 0.001 * x, rtol=1e-3)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_pixels_without_a_stated_error_take_that_of_the_others(value):
    whole = image()
    errors = np.full(whole.data.shape, 0.1)
    errors[60:80] = value
    _, error = resample_image(product(whole.data, whole.wcs, errors), grid_of(3))
    assert np.isfinite(error).all()
    np.testing.assert_allclose(error, 0.1, rtol=1e-6)


def test_an_image_that_ends_within_the_field():
    shape = (150, 40)
    whole = product(np.full(shape, 3.0), make_wcs(CENTRE, shape, PIXEL, 0.0))
    grid = grid_of(3, angle=0.0)
    data, _ = resample_image(whole, grid)
    east, _ = sky_offsets(grid_wcs(grid), grid.shape, CENTRE)
    np.testing.assert_array_equal(np.isfinite(data), np.abs(east) < 19.5 * PIXEL)
    np.testing.assert_allclose(data[np.isfinite(data)], 3.0)


@pytest.mark.parametrize(("east", "value"), [(10.0, 1.0), (180 * 3600.0, 1.0), (0.0, np.nan)])
def test_an_image_elsewhere_or_of_bad_pixels_knows_nothing(east, value):
    whole = product(np.full((60, 60), value), make_wcs(displace(CENTRE, east, 0.0), (60, 60), PIXEL))
    for values in resample_image(whole, grid_of(3)):
        assert values.shape == grid_of(3).shape
        assert np.isnan(values).all()


def test_blocks_of_pixels_keep_their_place_and_are_known_by_half():
    """A ramp read at the blocks' coordinates; three of nine pixels are too few."""
    shape = (61, 62)
    wcs = make_wcs(CENTRE, shape, PIXEL, 20.0)
    rows, columns = np.indices(shape)
    data = 1.0 * columns + 100 * rows
    data[0:3, 1:3] = np.nan
    reduced = reduce_image(product(data, wcs), 3)
    assert reduced.data.shape == (20, 20)
    assert np.isnan(reduced.data[0, 0])
    x, y = wcs.wcs_world2pix(*reduced.wcs.wcs_pix2world([7.0, 4.0], [5.0, 11.0], 0), 0)
    np.testing.assert_allclose(reduced.data[[5, 11], [7, 4]], x + 100 * y, rtol=1e-6)


def test_without_any_stated_error_the_noise_is_that_of_neighbouring_differences():
    data = np.random.default_rng(7).normal(scale=0.3, size=(150, 140))
    _, error = cutout(product(data, make_wcs(CENTRE, data.shape, PIXEL), 0 * data), np.s_[:, :])
    np.testing.assert_allclose(error, 0.3, rtol=0.05)
