"""A roll and a magnification of the images against the cube: taken out if small, left if not."""

import re

import numpy as np
import pytest

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
