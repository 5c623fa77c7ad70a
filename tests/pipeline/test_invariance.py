"""The fused result does not depend on how the input grids lie, but for the interpolation's error."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_fusion.coregistration.coregister import coregister
from jwst_fusion.crosscalib.factors import cross_calibrate
from jwst_fusion.inversion.fuse import FusionSettings, fuse

from ..sky import rich_sky

SKY = rich_sky(seed=5)
EDGE = 12  # cells that are not compared: margin and rim of the field


def mirrored(product):
    """The same product with its x axis reversed."""
    wcs = product.wcs.deepcopy()
    wcs.wcs.crpix = product.data.shape[-1] + 1 - wcs.wcs.crpix[0], wcs.wcs.crpix[1]
    wcs.wcs.cd = wcs.wcs.cd @ np.diag([-1.0, 1.0])
    wcs.wcs.set()
    return replace(product, data=product.data[..., ::-1], error=product.error[..., ::-1], wcs=wcs)


def fused(cube, image):
    """Fused cube without its rim, (n_wave, ny, nx); mu is given, since the strength follows from a draw."""
    observation = cross_calibrate(coregister(cube, [image]).observation)
    exact = {"reweightings": 0, "rtol": 1e-8, "max_iterations": 5000, "samples": 0}
    result = fuse(observation, FusionSettings(n_components=2, mu=1.0, **exact))
    maps = result.coefficients[:, EDGE:-EDGE, EDGE:-EDGE]
    return result.mean_spectrum[:, np.newaxis, np.newaxis] + np.tensordot(result.basis, maps, axes=1)


@pytest.fixture(scope="module")
def cube():
    return SKY.cube(np.linspace(1.95, 2.25, 24), shape=(16, 14), noise=0.002)


@pytest.fixture(scope="module")
def reference(cube):
    return fused(cube, SKY.image("F210M", field=7.0))


def test_mirroring_changes_nothing(cube, reference):
    image = SKY.image("F210M", field=7.0)
    peak = np.ptp(reference)
    np.testing.assert_allclose(fused(cube, mirrored(image)), reference, rtol=0, atol=1e-6 * peak)
    # At the highest frequency of an even grid the sign is lost: of the sharp scene a trace is left there.
    np.testing.assert_allclose(fused(mirrored(cube), image)[..., ::-1], reference, rtol=0, atol=1e-5 * peak)


@pytest.mark.parametrize("other", [{"angle": 70.0}, {"angle": -100.0}, {"field": 7.031}])
def test_rotating_or_shifting_the_image_changes_it_by_the_interpolation_error(cube, reference, other):
    change = fused(cube, SKY.image("F210M", **{"field": 7.0} | other)) - reference
    assert np.sqrt((change**2).mean()) < 2e-3 * np.ptp(reference)
    assert np.abs(change).max() < 0.04 * np.ptp(reference)
