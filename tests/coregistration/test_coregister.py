"""Products in, one observation on one grid out."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.wcs import WCS

from jwst_fusion.coregistration.coregister import CoregistrationSettings, choose_grid, coregister
from jwst_fusion.coregistration.grid import grid_wcs
from jwst_fusion.exceptions import InputError, NoOverlapError, ParameterError

from ..sky import PA_APERTURE, PA_V3, Sky, rich_sky

SKY = rich_sky(seed=11)
WAVELENGTH = np.linspace(1.66, 2.31, 50)
OFFSET = (0.21, -0.35)
KEEP = CoregistrationSettings(alignment="wcs")


@pytest.fixture(scope="module")
def cube():
    return SKY.cube(WAVELENGTH, shape=(22, 20), angle=20.0, noise=0.01)


@pytest.fixture(scope="module")
def images():
    return {name: SKY.image(name, offset=OFFSET, noise=0.01, field=7.0) for name in ("F210M", "F182M")}


@pytest.fixture(scope="module")
def observation(cube, images):
    return observed(cube, images.values())


def observed(cube, images, settings=None):
    """The observation that comes of the co-registration."""
    return coregister(cube, images, settings).observation


def renamed(image, name):
    """The image as if another filter had taken it."""
    return replace(image, filter=name, name=f"{name.lower()}_i2d.fits")


def test_bands_ascend_and_are_on_the_cells(observation, images):
    assert [band.filter for band in observation.bands] == ["F182M", "F210M"]
    grid = observation.grid
    assert grid.decimation_factor == 3
    for band in observation.bands:
        image = images[band.filter]
        assert band.data.shape == band.error.shape == grid.shape
        assert (band.module, band.detector_pixel, band.pixfrac) == ("B", image.detector_pixel, 1.0)
        assert band.position_angle_v3 == PA_V3
        assert band.covered_fraction > 0.98
        assert band.bandpass is None
        assert (band.error > 0).all()


def test_pointing_is_one_for_all_bands_and_taken_out(observation, images):
    first, second = observation.bands
    assert (first.offset_east, first.offset_north) == pytest.approx(OFFSET, abs=0.005)
    assert (first.offset_east, first.offset_north) == (second.offset_east, second.offset_north)
    assert 0 < first.offset_err < 0.005
    assert observation.alignment == "refined"
    grid = observation.grid
    x, y = np.array([20.0, 41.0]), np.array([33.0, 50.0])
    where = images["F182M"].wcs.wcs_world2pix(*grid_wcs(grid, OFFSET).wcs_pix2world(x, y, 0), 0)
    near = images["F182M"].data[np.rint(where[1]).astype(int), np.rint(where[0]).astype(int)]
    np.testing.assert_allclose(first.data[y.astype(int), x.astype(int)], near, rtol=0.15)


def test_the_cube_is_not_resampled(observation, cube):
    grid, seen = observation.grid, observation.cube
    first = -grid.origin[0], -grid.origin[1]
    inside = np.s_[:, first[0] : first[0] + 22, first[1] : first[1] + 20]
    used = np.isin(cube.wavelength, seen.wavelength)
    np.testing.assert_array_equal(seen.data[inside], cube.data[used])
    np.testing.assert_array_equal(seen.error[inside], cube.error[used])
    assert seen.footprint.sum() == 22 * 20
    assert np.isnan(seen.data[:, ~seen.footprint]).all()
    assert (seen.position_angle_v3, seen.position_angle_aperture) == (PA_V3, PA_APERTURE)
    assert observation.cube.wavelength[-1] <= 2.30 < cube.wavelength[-1]


def test_noise_is_measured(cube, images):
    optimistic = replace(cube, error=cube.error / 1.4)
    result = coregister(optimistic, images.values(), KEEP)
    np.testing.assert_allclose(result.observation.cube.noise, 0.01, rtol=0.1)
    assert result.noise_ratio == pytest.approx(1.4, rel=0.05)


@pytest.mark.parametrize(("spaxel", "factor"), [(0.1, 3), (0.05, 2), (0.02, 1)])
def test_cells_are_about_as_large_as_nircams_pixels(images, spaxel, factor):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt = ("RA---TAN", "DEC--TAN"), (-spaxel / 3600, spaxel / 3600)
    grid = choose_grid(np.ones((22, 20), bool), wcs, images.values(), CoregistrationSettings())[1]
    assert grid.decimation_factor == factor
    assert grid.cell_size == pytest.approx(spaxel / factor)


@pytest.mark.parametrize(("factor", "margin"), [(1, 0.0), (2, 0.31)])
def test_factor_and_margin_are_as_asked(cube, images, factor, margin):
    settings = replace(KEEP, decimation_factor=factor, margin=margin)
    grid = observed(cube, images.values(), settings).grid
    assert grid.decimation_factor == factor
    assert grid.spaxel_shape == tuple(n + 2 * np.ceil(margin / 0.1 - 1e-6) for n in (22, 20))


@pytest.mark.parametrize(("alignment", "offset"), [("wcs", (0.0, 0.0)), ("none", OFFSET)])
def test_coordinates_are_kept_or_centres_brought_together(cube, images, alignment, offset):
    before = cube.data.copy(), images["F182M"].data.copy()
    settings = CoregistrationSettings(alignment=alignment, wavelength_range=(1.70, 2.29))
    observation = observed(cube, images.values(), settings)
    assert observation.alignment == alignment
    assert observation.cube.wavelength[0] >= 1.70
    for band in observation.bands:
        assert (band.offset_east, band.offset_north) == pytest.approx(offset, abs=1e-6)
        assert np.isnan(band.offset_err)
    np.testing.assert_array_equal(cube.data, before[0])
    np.testing.assert_array_equal(images["F182M"].data, before[1])


def test_a_moving_target_is_found_in_each_image_on_its_own():
    blobs = ((0.0, 0.0, 0.25, 5.0), (0.4, 0.3, 0.12, 3.0), (-0.4, 0.5, 0.05, 4.0))
    cube = Sky(blobs).cube(WAVELENGTH[:30], shape=(22, 20), noise=0.01, moving=True)
    places = {"F182M": (1.8, -1.1), "F187N": (-1.5, 0.4)}
    images = []
    for name, (east, north) in places.items():
        sky = Sky(tuple((x + east, y + north, *rest) for x, y, *rest in blobs))
        # The coordinates are those of another hour: 40 arcsec from the cube's.
        images.append(sky.image(name, offset=(40.0, 9.0), noise=0.01, field=8.0))
    observation = observed(cube, images)
    assert observation.alignment == "cross_correlation"
    for band in observation.bands:
        east, north = places[band.filter]
        assert (band.offset_east, band.offset_north) == pytest.approx((40 + east, 9 + north), abs=0.01)


def test_a_moving_target_that_is_not_found(cube):
    other = Sky(()).image("F182M", noise=0.3)
    with pytest.raises(InputError, match=r"f182m_i2d\.fits: the target of the cube was found in none"):
        coregister(replace(cube, moving=True), [other])


def test_low_contrast_keeps_the_coordinates(caplog):
    flat = Sky((), background=5.0)
    cube = flat.cube(WAVELENGTH, shape=(14, 14), noise=0.1)
    observation = observed(cube, [flat.image("F200W", noise=0.1)])
    assert observation.alignment == "wcs"
    assert observation.bands[0].offset_east == 0.0
    assert "No offset can be measured" in caplog.text


def test_no_band_in_the_cube(cube, images):
    with pytest.raises(InputError, match=r"no filter has 80 % of its bandpass .* \(F182M 0 %\)"):
        coregister(cube, [images["F182M"]], replace(KEEP, wavelength_range=(2.1, 2.3)))
    with pytest.raises(InputError, match=r"cube_s3d\.fits: no data between .* F335M"):
        coregister(cube, [renamed(images["F182M"], "F335M")], KEEP)


def test_images_that_cannot_be_used_are_left_out_with_a_warning(cube, images, caplog):
    """Out of the field or of the cube's wavelengths, in another channel, or where the cube is dead."""
    away = renamed(Sky((), centre=(83.81, -35.0)).image("F187N"), "F187N")
    others = [renamed(images["F182M"], name) for name in ("F162M", "F335M")]
    data = cube.data.copy()
    data[(WAVELENGTH > 2.05) & (WAVELENGTH < 2.15)] = np.nan
    observation = observed(replace(cube, data=data), [*images.values(), away, *others], KEEP)
    assert [band.filter for band in observation.bands] == ["F182M"]
    assert "f187n_i2d.fits left out: it covers 0 %" in caplog.text
    assert "f335m_i2d.fits left out: 0 % of the bandpass of F335M" in caplog.text
    for words in ("f210m_i2d.fits left out", "f162m_i2d.fits left out"):
        assert words in caplog.text


def test_no_image_covers_the_field(cube):
    away = Sky((), centre=(83.81, -35.0)).image("F182M")
    with pytest.raises(NoOverlapError, match=r"f182m_i2d\.fits: no image covers the field"):
        coregister(cube, [away])


def test_two_images_with_one_label(cube, images):
    with pytest.raises(InputError, match=r"f182m_i2d\.fits: a second image with the label F182M"):
        coregister(cube, [images["F182M"], images["F182M"]], KEEP)


def test_an_image_that_is_there_twice_counts_once(cube, images, caplog):
    again = replace(images["F182M"], label="F182M-2", name="again_i2d.fits")
    result = coregister(cube, [images["F182M"], again], KEEP)
    assert [band.label for band in result.observation.bands] == ["F182M"]
    assert "again_i2d.fits left out: it has the pixels of f182m_i2d.fits\n" in caplog.text


def test_a_copy_in_another_filter_counts_once(cube, images, caplog):
    """Even if it was scaled and its coordinates differ; an image with noise of its own stays."""
    original = images["F182M"]
    moved = original.wcs.deepcopy()
    moved.wcs.crval += 3e-6
    copy = replace(
        original, data=np.float32(1.3) * original.data, wcs=moved, filter="F200W", label="F200W",
        name="copy_i2d.fits",
    )  # fmt: skip
    result = coregister(cube, [original, copy], KEEP)
    assert [band.label for band in result.observation.bands] == ["F182M"]
    assert "copy_i2d.fits left out: it has the pixels of f182m_i2d.fits, so that one of" in caplog.text
    noise = 0.01 * original.error * np.random.default_rng(0).normal(size=original.data.shape)
    other = replace(copy, data=copy.data + noise)
    assert len(coregister(cube, [original, other], KEEP).observation.bands) == 2


def test_outliers_are_taken_out(cube, images):
    """Of the data and of their errors, and marked."""
    data = cube.data.copy()
    data[20, 10, 10] = 1e3
    result = coregister(replace(cube, data=data), images.values(), KEEP)
    y, x = 10 - result.observation.grid.origin[0], 10 - result.observation.grid.origin[1]
    channel = np.searchsorted(result.observation.cube.wavelength, cube.wavelength[20])
    assert result.outliers[channel, y, x]
    assert np.isnan(result.observation.cube.data[channel, y, x])
    assert np.isnan(result.observation.cube.error[channel, y, x])


@pytest.mark.parametrize(
    ("name", "value"),
    [("alignment", "refined"), ("decimation_factor", 9), ("decimation_factor", 2.5), ("margin", -0.1),
     ("margin", None), ("capture", float("inf")), ("wavelength_range", (2.0, 2.0)),
     ("wavelength_range", (float("nan"), 2.0)), ("wavelength_range", (1.8,)), ("height", 0.0),
     ("width", float("nan")), ("min_overlap", 2.0)],
)  # fmt: skip
def test_settings_that_cannot_be_used(name, value):
    with pytest.raises(ParameterError, match=f"{name} = "):
        CoregistrationSettings(**{name: value})
    with pytest.raises(ParameterError, match="give one of them"):
        CoregistrationSettings(center="1 2", center_spaxel=(1, 2))
