"""The flux scale of the images against the cube."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_fusion.coregistration.coregister import CoregistrationSettings, coregister
from jwst_fusion.crosscalib.factors import cross_calibrate
from jwst_fusion.exceptions import InputError
from jwst_fusion.optics.throughput import bandpass

from ..sky import rich_sky

SKY = rich_sky(seed=5)
SETUPS = {
    "short": (np.linspace(1.66, 2.3, 60), {"F182M": 1.14, "F210M": 0.93}),
    "long": (np.linspace(2.87, 3.98, 60), {"F335M": 1.05}),
}


@pytest.fixture(scope="module", params=SETUPS)
def matched(request):
    """An observation without noise, and the true scale of each band."""
    wavelength, scales = SETUPS[request.param]
    cube = SKY.cube(wavelength, shape=(16, 18), angle=33.0)
    images = [SKY.image(name, field=5.0, scale=scale) for name, scale in scales.items()]
    observation = coregister(cube, images, CoregistrationSettings(alignment="wcs")).observation
    return observation, list(scales.values())


def scales(observation):
    return [band.scale for band in cross_calibrate(observation).bands]


def with_noise(observation, level, seed):
    """The observation with a cube of another noise."""
    data = observation.cube.data + level * np.random.default_rng(seed).normal(
        size=observation.cube.data.shape
    )
    return replace(observation, cube=replace(observation.cube, data=data))


def with_bands(observation, change):
    """The observation with the data of its images changed."""
    bands = tuple(replace(band, data=change(band.data)) for band in observation.bands)
    return replace(observation, bands=bands)


def test_the_scale_is_recovered(matched):
    observation, true = matched
    assert scales(observation) == pytest.approx(true, rel=1e-3)


def test_holes_do_not_matter(matched):
    observation, true = matched
    rng = np.random.default_rng(2)
    data = observation.cube.data.copy()
    data[rng.random(data.shape) < 0.01] = np.nan
    data[:, 5:9, 8:11] = np.nan
    holed = replace(observation, cube=replace(observation.cube, data=data))

    def spoil(image):
        bad = rng.random(image.shape) < 2e-4
        bad[: image.shape[0] // 3] = True
        return np.where(bad, np.nan, image)

    assert scales(with_bands(holed, spoil)) == pytest.approx(true, rel=1e-3)


def test_bandpasses_are_those_of_the_module(matched):
    observation, _ = matched
    noise = observation.cube.noise.copy()
    noise[10] = np.nan
    observation = replace(observation, cube=replace(observation.cube, noise=noise))
    for band in cross_calibrate(observation).bands:
        weights, covered = bandpass(
            band.filter, "B", observation.cube.wavelength, usable=np.isfinite(noise)
        )  # fmt: skip
        np.testing.assert_array_equal(band.bandpass, weights)
        assert band.bandpass[10] == 0
        assert band.bandpass.sum() == pytest.approx(1)
        assert band.covered_fraction == covered


def test_all_else_is_kept(matched):
    observation, _ = matched
    result = cross_calibrate(observation)
    assert result.cube is observation.cube
    assert result.grid is observation.grid
    for before, after in zip(observation.bands, result.bands, strict=True):
        assert after.data is before.data
        assert before.bandpass is None
        assert before.scale == 1.0


def test_the_stated_error_is_the_scatter(matched):
    observation, true = matched
    deviations, errors = [], []
    for seed in range(30):
        # Well above the residuals of the resampling.
        result = cross_calibrate(with_noise(observation, 0.3, seed))
        deviations.append([band.scale - scale for band, scale in zip(result.bands, true, strict=True)])
        errors.append([band.scale_err for band in result.bands])
    normalised = np.array(deviations) / np.array(errors)
    assert np.sqrt((normalised**2).mean()) == pytest.approx(1, rel=0.25)
    assert np.mean(errors) > 3e-4


def test_scale_follows_the_image_and_the_cube(matched):
    observation, true = matched
    assert scales(with_bands(observation, lambda image: 3 * image)) == pytest.approx(
        np.multiply(3, true), rel=1e-3
    )
    cube = replace(observation.cube, data=2 * observation.cube.data)
    assert scales(replace(observation, cube=cube)) == pytest.approx(np.divide(true, 2), rel=1e-3)


@pytest.mark.parametrize("which", ["image", "cube"])
@pytest.mark.parametrize("level", [0.0, -1.0])
def test_a_mean_that_is_not_positive(matched, which, level):
    observation, _ = matched
    if which == "image":
        spoiled = with_bands(observation, lambda image: level * np.ones_like(image))
    else:
        cube = observation.cube
        spoiled = replace(
            observation, cube=replace(cube, data=np.where(np.isfinite(cube.data), level, np.nan))
        )
    with pytest.raises(InputError, match=r"F\d+M: mean brightness .* background has not been subtracted"):
        cross_calibrate(spoiled)


def test_no_common_spaxel(matched):
    observation, _ = matched
    with pytest.raises(InputError, match=r"F\d+M: no spaxel of the field is known"):
        cross_calibrate(
            replace(observation, cube=replace(observation.cube, data=observation.cube.data * np.nan))
        )


def test_an_image_of_nothing(matched):
    observation, _ = matched
    with pytest.raises(InputError, match=r"F\d+M: no spaxel of the field is known"):
        cross_calibrate(with_bands(observation, lambda image: image * np.nan))
