"""One solution for the places of several cubes and of their images."""

from types import SimpleNamespace

import numpy as np
import pytest

from jwst_fusion.coregistration.places import solve_places
from jwst_fusion.observation import CubeData, FusionGrid

from .test_overlaps import SHAPE, sky

D = 3
SPAXEL = 0.1


def member(name, filters, low, high, images, offset, seed):
    """A cube whose spaxels begin at (0, 0) in its coordinates, and what its images tell of it [arcsec]."""
    wavelength = np.arange(low, high, 0.01)
    begin = np.array([offset[1], -offset[0]]) / SPAXEL  # the columns go west
    noise = np.random.default_rng(seed).standard_normal((wavelength.size, *SHAPE))
    data = sky(begin, width=0.95) + 0.03 * noise  # the PSF at 3 um
    cube = CubeData(
        data, np.ones_like(data), wavelength, np.full(wavelength.size, 0.03), np.ones(SHAPE, bool), 0.0, 139.0
    )
    grid = FusionGrid(tuple(D * n for n in SHAPE), D, np.diag([-SPAXEL / D, SPAXEL / D]), (10.0, -3.0))
    measured = [
        SimpleNamespace(east=offset[0] + images[f][0], north=offset[1] + images[f][1], error=2e-4)
        for f in filters
    ]
    return SimpleNamespace(
        product=SimpleNamespace(name=name),
        images=tuple(SimpleNamespace(name=f"{f}.fits", filter=f) for f in filters),
        cube=cube, grid=grid, pointing=SimpleNamespace(method="refined", measured=tuple(measured)),
    )  # fmt: skip


#: Offsets of the images from the sky [arcsec]: those of the long channel are misaligned by 4 mas.
IMAGES = {
    "F200W": (0.0, 0.0),
    "F212N": (0.0, 0.0),
    "F335M": (0.004, -0.004),
    "F356W": (0.0035, -0.0045),
}
TRUE = [np.array([0.031, -0.014]), np.array([-0.047, 0.022])]


def solved(low):
    """Two cubes, of which the second begins at a wavelength [um]."""
    return solve_places(
        [
            member("mid", ["F200W", "F212N"], 1.7, 3.17, IMAGES, TRUE[0], 1),
            member("red", ["F335M", "F356W"], low, 5.1, IMAGES, TRUE[1], 2),
        ]
    )


def test_cubes_that_overlap_do_not_take_over_the_misalignment_of_the_images():
    offsets, errors, places = solved(2.87)
    np.testing.assert_allclose(offsets, TRUE, atol=0.001)
    np.testing.assert_allclose(places["F335M.fits"], IMAGES["F335M"], atol=0.001)
    np.testing.assert_allclose(places["F356W.fits"], IMAGES["F356W"], atol=0.001)
    assert (errors < 0.004).all()


def test_without_common_wavelengths_the_images_say_where_a_cube_is():
    offsets, errors, _ = solved(3.3)
    np.testing.assert_allclose(offsets[0], TRUE[0], atol=0.001)
    assert np.abs(offsets[1] - TRUE[1]).max() == pytest.approx(0.004, abs=0.001)
    assert errors[1] > 0.002
