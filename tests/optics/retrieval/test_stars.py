"""Tests of the search for stars."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from jwst_fusion.optics.retrieval.stars import find_stars

from .field import pixel_psf, smooth_wavefront, star_image, telescope_psf

PSF = pixel_psf(telescope_psf(2.12, *smooth_wavefront(1, 60.0)))


def find(image, **changes):
    data = changes.get("data", image.data)
    return find_stars(data, image.error, image.weight, most=changes.get("most", 40))


def test_stars_are_found_where_they_are():
    image, stars = star_image(PSF, 12, snr=(60, 400))
    found = find(image)
    at = found.pixel + found.place
    assert len(at) == 12
    for x, y, _ in stars:
        assert np.hypot(*(at - (x, y)).T).min() < 0.25
    assert found.data.shape == found.error.shape == (12, 33, 33)
    assert found.data.dtype == np.float32


def test_the_best_are_chosen():
    image, stars = star_image(PSF, 12, snr=(60, 400))
    found = find(image, most=4)
    at = found.pixel + found.place
    for x, y, _ in stars[np.argsort(-stars[:, 2])[:4]]:
        assert np.hypot(*(at - (x, y)).T).min() < 0.25


def test_stripes_hide_no_star_and_count_none_twice():
    image, stars = star_image(
        PSF, stars=np.array([[60.0, y, 3000.0] for y in (511.4, 511.6, 460.0)]), side=600
    )
    image, _ = star_image(PSF, stars=np.array([[60.0, 511.6, 3000.0], [200.0, 512.4, 3000.0]]), side=600)
    assert len(find(image).data) == 2


def test_stars_to_be_avoided_are_counted_and_not_used():
    image, stars = star_image(PSF, 12, snr=(60, 400))
    found = find_stars(image.data, image.error, image.weight, avoid=lambda x, y: x < 200)
    assert found.rejected["in the field of the cube"] == np.sum(stars[:, 0] < 200)
    assert len(found.data) == np.sum(stars[:, 0] > 200) > 0


@pytest.mark.parametrize("what", ["neighbour", "gap or saturation", "edge"])
def test_unusable_stars_are_left_out_and_the_reason_is_kept(what):
    stars = np.array([[100.0, 100.0, 4000.0], [200.0, 200.0, 4000.0]])
    if what == "neighbour":
        stars = np.vstack([stars, [108.0, 106.0, 1500.0]])
    if what == "edge":
        stars[0, 0] = 33.0
    image, _ = star_image(PSF, stars=stars, side=300)
    data = image.data.copy()
    if what == "gap or saturation":
        data[99:101, 100] = np.nan
    if what == "edge":
        data = data[:, 25:]
        image = image.__class__(
            **{**image.__dict__, "error": image.error[:, 25:], "weight": image.weight[:, 25:]}
        )
    found = find(image, data=data)
    assert len(found.data) == 1
    assert what in found.rejected


def test_galaxies_and_cosmic_rays_are_no_stars():
    image, _ = star_image(PSF, stars=np.array([[200.0, 200.0, 4000.0]]), side=400)
    data = image.data.copy()
    galaxy = np.zeros_like(data)
    galaxy[100, 100] = 4e4
    data += gaussian_filter(galaxy, 2.2)
    data[300, 300] += 3000
    found = find(image, data=data)
    assert len(found.data) == 1
    assert found.rejected.get("shape", 0) >= 1


def test_a_clump_on_a_steep_slope_is_no_star():
    image, _ = star_image(PSF, stars=np.array([[200.0, 200.0, 4000.0]]), side=300)
    y, x = np.indices(image.data.shape)
    clump = 100 * np.exp(-0.5 * ((x - 100) ** 2 + (y - 100) ** 2) / 3**2)
    slope = 30 * gaussian_filter(np.clip(x - 50.0, 0, 100), 10)
    found = find(image, data=image.data + clump + slope)
    assert len(found.data) == 1
    assert found.rejected["shape"] == 1


def test_noise_is_taken_from_the_sky_where_the_stated_one_is_wrong():
    image, _ = star_image(PSF, 6)
    wrong = find_stars(image.data, image.error * 10, image.weight)
    none = find_stars(image.data, None, None)
    lost = find_stars(image.data, np.full_like(image.data, np.nan), image.weight)
    for found in (wrong, none, lost):
        assert np.median(found.error) == pytest.approx(1.0, rel=0.7)


def test_structure_of_the_sky_is_measured():
    image, _ = star_image(PSF, 6, snr=(300, 400))
    rough = gaussian_filter(np.random.default_rng(0).standard_normal(image.data.shape), 2.0)
    rough *= 3 / rough.std()
    assert np.median(find(image).structure) < 0.4
    found = find(image, data=image.data + rough.astype("f4"))
    total = np.hypot(np.median(found.structure), np.median(found.error))
    assert total == pytest.approx(np.hypot(3, 1), rel=0.3)
