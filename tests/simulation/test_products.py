import json

import jwst
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from jwst.associations import load_asn
from stdatamodels.jwst import datamodels

from jwst_fusion.simulation.nirspec import SPAXEL
from jwst_fusion.simulation.sky import offset_between, shift_position

BACKGROUND, FLUX = 0.2, 5.0
EAST, NORTH = 0.13, -0.21


def sky_of(wcs, x, y):
    return tuple(float(v) for v in wcs.pixel_to_world_values(x, y))


def centroid(image, sigma):
    """Centre (x, y) of the brightest source under a Gaussian window that follows it."""
    image = np.nan_to_num(image - BACKGROUND)
    y0, x0 = np.unravel_index(np.argmax(image), image.shape)
    y, x = np.indices(image.shape)
    for _ in range(30):
        weight = image * np.exp(-0.5 * ((x - x0) ** 2 + (y - y0) ** 2) / sigma**2)
        x0, y0 = (x * weight).sum() / weight.sum(), (y * weight).sum() / weight.sum()
    return x0, y0


def clean_cube(star):
    """Mean of the channels without dead planes."""
    with fits.open(star.files.cube) as hdus:
        data, header = hdus["SCI"].data.astype(float), hdus["SCI"].header
    keep = np.ones(len(data), dtype=bool)
    keep[star.truth["dead_planes"]] = False
    return np.median(data[keep], axis=0), WCS(header).celestial, header


def test_files_have_the_pipelines_hdus(star):
    for path in star.files.images:
        with fits.open(path) as hdus:
            names = [hdu.name for hdu in hdus]
            assert names[1:8] == ["SCI", "ERR", "CON", "WHT", "VAR_POISSON", "VAR_RNOISE", "VAR_FLAT"]
            assert names[8:] == ["HDRTAB", "ASDF"]
            header = hdus["SCI"].header
            assert header["BUNIT"] == "MJy/sr"
            assert header["PA_V3"] == 248.3
            assert hdus[0].header["S_RESAMP"] == "COMPLETE"
            assert hdus[0].header["CAL_VER"] == jwst.__version__
            assert hdus[0].header["MODULE"] == "B"
    with fits.open(star.files.cube) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "SCI", "ERR", "DQ", "WMAP", "WCS-TABLE", "ASDF"]
        header = hdus["SCI"].header
        assert header["CTYPE3"] == "WAVE"
        assert header["PC1_1"] == -1
        assert header["PA_APER"] == pytest.approx(header["PA_V3"] + 138.97)
        assert hdus[0].header["DATAMODL"] == "IFUCubeModel"
        table = hdus["WCS-TABLE"].data["wavelength"].ravel()
        np.testing.assert_allclose(table, np.linspace(1.7, 2.3, 60), rtol=1e-6)


def test_files_open_gwcs_agrees_with_fits_and_members_are_listed(star):
    with datamodels.open(star.files.cube) as model:
        assert isinstance(model, datamodels.IFUCubeModel)
        gwcs = np.array(model.meta.wcs(3.0, 5.0, 7.0))
    with fits.open(star.files.cube) as hdus:
        standard = np.array(WCS(hdus["SCI"].header).pixel_to_world_values(3.0, 5.0, 7.0))
    np.testing.assert_allclose(gwcs[:2], standard[:2], atol=1e-10)
    assert gwcs[2] == pytest.approx(standard[2] * 1e6, abs=1e-8)
    for path in star.files.images:
        with datamodels.open(path) as model, fits.open(path) as hdus:
            assert isinstance(model, datamodels.ImageModel)
            expected = WCS(hdus["SCI"].header).pixel_to_world_values(20.0, 31.0)
            np.testing.assert_allclose(model.meta.wcs(20.0, 31.0), expected, atol=1e-10)
    product = load_asn(star.files.association.read_text())["products"][0]
    assert product["name"] == json.loads(star.files.parameters.read_text())["name"] == "star"
    names = [path.name for path in (*star.files.images, star.files.cube)]
    assert [member["expname"] for member in product["members"]] == names
    assert {member["exptype"] for member in product["members"]} == {"science"}
    assert len(star.truth["noise"]) == 60


def test_star_is_where_each_wcs_should_put_it(star):
    image, wcs, _ = clean_cube(star)
    found = sky_of(wcs, *centroid(image, 1.2))
    expected = shift_position(star.truth["sky_centre_cube"], EAST, NORTH)
    np.testing.assert_allclose(offset_between(expected, found), 0, atol=0.006)
    for path, row in zip(star.files.images, star.truth["filters"], strict=True):
        with fits.open(path) as hdus:
            wcs = WCS(hdus["SCI"].header)
            position = sky_of(wcs, *centroid(hdus["SCI"].data, 1.5))
        expected = shift_position(row["sky_centre"], EAST, NORTH)
        np.testing.assert_allclose(offset_between(expected, position), 0, atol=0.003)
        between = offset_between(star.truth["sky_centre_cube"], row["sky_centre"])
        np.testing.assert_allclose(between, [row["offset_east"], row["offset_north"]], atol=1e-9)
        np.testing.assert_allclose(offset_between(found, position), between, atol=0.008)


def test_flux_is_conserved(star):
    image, _, _ = clean_cube(star)
    inside = np.isfinite(image)
    flux = (image[inside] - BACKGROUND).sum() * SPAXEL**2
    assert 0.88 * FLUX < flux < 1.0 * FLUX  # the rest is in the wings out of the field
    for path, row in zip(star.files.images, star.truth["filters"], strict=True):
        with fits.open(path) as hdus:
            data, area = hdus["SCI"].data.astype(float), hdus["SCI"].header["PIXAR_A2"]
        flux = np.nansum(data - BACKGROUND * row["scale"]) * area
        assert flux / row["scale"] == pytest.approx(FLUX, rel=0.03)
        assert 1.0 < row["scale"] <= 1.15
        level = np.nanmedian(data) / row["scale"]
        assert level == pytest.approx(BACKGROUND, rel=0.15)


def test_truth_holds_the_scene_on_the_cubes_frame(star):
    with fits.open(star.files.truth) as hdus:
        truth, header = hdus["SCI"].data.astype(float), hdus["SCI"].header
    cube_image, cube_wcs, cube_header = clean_cube(star)
    wcs = WCS(header).celestial
    assert truth.shape == (60, 3 * cube_image.shape[0], 3 * cube_image.shape[1])
    np.testing.assert_allclose(sky_of(wcs, 1.0, 1.0), sky_of(cube_wcs, 0.0, 0.0), atol=1e-9)
    assert header["CRVAL3"] == pytest.approx(cube_header["CRVAL3"])
    found = sky_of(wcs, *centroid(truth[0], 1.0))
    expected = shift_position(star.truth["sky_centre_cube"], EAST, NORTH)
    np.testing.assert_allclose(offset_between(expected, found), 0, atol=0.001)
    assert ((truth - BACKGROUND).sum(axis=(1, 2)) * (SPAXEL / 3) ** 2) == pytest.approx(FLUX, rel=1e-3)


def test_footprint_turns_with_the_aperture(star):
    image, _, header = clean_cube(star)
    angle = np.radians(star.truth["pa_aper_nirspec"])
    y, x = np.nonzero(np.isfinite(image))
    east, north = -(x - x.mean()) * SPAXEL, (y - y.mean()) * SPAXEL
    for axis in ((np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))):
        extent = np.ptp(east * axis[0] + north * axis[1])
        assert extent == pytest.approx(1.2, abs=0.11)
    corners = np.array(header["S_REGION"].split()[2:], dtype=float).reshape(4, 2)
    side = offset_between(corners[0], corners[1])
    assert np.hypot(*side) == pytest.approx(1.2, abs=1e-4)
    assert np.degrees(np.arctan2(*side)) % 180 == pytest.approx(np.degrees(angle) % 180, abs=0.01)


def test_bad_voxels_are_flagged(star):
    with fits.open(star.files.cube) as hdus:
        data, error, dq = hdus["SCI"].data, hdus["ERR"].data, hdus["DQ"].data
    bad = np.isnan(data)
    assert np.array_equal(bad, dq == 513)
    assert np.array_equal(bad, np.isnan(error))
    planes = np.flatnonzero(bad.all(axis=(1, 2)))
    assert planes.tolist() == star.truth["dead_planes"]
    for plane, y, x in star.truth["outliers"]:
        assert not bad[plane, y, x]


def test_moving_target_has_unrelated_coordinates(moving):
    row = moving.truth["filters"][0]
    assert np.hypot(row["offset_east"], row["offset_north"]) > 120
    image, wcs, _ = clean_cube(moving)
    cube_position = sky_of(wcs, *centroid(image, 1.2))
    with datamodels.open(moving.files.images[0]) as model:
        assert model.meta.target.type == "MOVING"
        assert model.meta.wcs.output_frame.name == "moving_target"
        assert model.meta.wcsinfo.mt_ra == pytest.approx(row["sky_centre"][0])
        position = model.meta.wcs(*centroid(model.data, 1.5))
    between = offset_between(cube_position, [float(v) for v in position])
    np.testing.assert_allclose(between, [row["offset_east"], row["offset_north"]], atol=0.01)


def test_same_seed_gives_the_same_files(moving, simulate_moving, tmp_path):
    again, other = (simulate_moving(tmp_path / str(seed), seed) for seed in (3, 4))
    for one, two in zip(*([f.cube, f.truth, f.images[0]] for f in (moving.files, again)), strict=True):
        assert np.array_equal(fits.getdata(one, "SCI"), fits.getdata(two, "SCI"), equal_nan=True)
    assert moving.files.parameters.read_text() == again.parameters.read_text()
    assert not np.array_equal(fits.getdata(again.cube), fits.getdata(other.cube), equal_nan=True)
