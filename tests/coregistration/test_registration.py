"""What is taken out of the images: a small roll and magnification of all, a blur of one."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from jwst_fusion.coregistration.comparison import straighten
from jwst_fusion.coregistration.coregister import CoregistrationSettings, coregister

from ..sky import rich_sky

SKY = rich_sky(seed=5)


@pytest.fixture(scope="module")
def cube():
    return SKY.cube(np.linspace(1.95, 2.25, 24), shape=(24, 22), noise=0.002)


@pytest.fixture(scope="module")
def image():
    return SKY.image("F210M", field=7.0)


def spoiled(image, roll, magnification):
    """The image with position angles larger by the roll [deg], and distances by the magnification."""
    ny, nx = image.data.shape
    middle = image.wcs.wcs_pix2world((nx - 1) / 2, (ny - 1) / 2, 0)
    return straighten(image, middle, -roll, 1 / (1 + magnification) - 1)


def on_grid(cube, image, **settings):
    """The image on the cells."""
    return coregister(cube, [image], CoregistrationSettings(**settings)).observation.bands[0].data


@pytest.mark.parametrize(("roll", "magnification"), [(0.6, 0.0), (0.0, 0.012), (-0.8, -0.008)])
def test_a_small_roll_and_magnification_are_taken_out(cube, image, caplog, roll, magnification):
    good = on_grid(cube, image)
    assert "turned" not in caplog.text
    mended = on_grid(cube, spoiled(image, roll, magnification))
    found = re.search(
        r"turned by (\S+) \+- \S+ deg and magnified by (\S+) \+- .* coordinates are", caplog.text
    )
    assert [float(number) for number in found.groups()] == pytest.approx([roll, 100 * magnification], abs=0.1)
    difference = (mended - good)[np.isfinite(mended - good)]
    assert np.sqrt((difference**2).mean()) < 0.005 * np.nanstd(good)


def test_a_large_roll_is_left_and_coordinates_that_are_believed_are_too(cube, image, caplog):
    on_grid(cube, spoiled(image, 3.0, 0.0))
    on_grid(cube, spoiled(image, 0.5, 0.0), alignment="wcs")
    assert "turned" not in caplog.text


def test_a_blur_of_one_image_enters_its_psf(caplog):
    images = [SKY.image(name, field=7.0) for name in ("F182M", "F200W", "F210M")]
    cube = SKY.cube(np.linspace(1.7, 2.25, 60), shape=(24, 22), noise=0.002)
    bands = coregister(cube, images, CoregistrationSettings()).observation.bands
    assert [band.excess_blur for band in bands] == [0, 0, 0]
    assert "blurred" not in caplog.text
    sigma = 0.05
    blunt = gaussian_filter(images[-1].data, sigma / images[-1].image_pixel)
    spoiled = [*images[:-1], replace(images[-1], data=blunt)]
    coregistration = coregister(cube, spoiled, CoregistrationSettings())
    *others, last = coregistration.observation.bands
    assert last.excess_blur == pytest.approx(sigma**2, rel=0.15)
    assert [band.excess_blur for band in others] == [0, 0]
    assert "F210M is blurred by" in caplog.text
