"""How smooth the coefficients are expected to be."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from jwst_fusion.inversion.cells import upsample
from jwst_fusion.inversion.regularization import sharpening, smoothness_matrix
from jwst_fusion.inversion.subspace import find_subspace

from .field import make_field


@pytest.fixture(scope="module", params=[3, 2])
def observation(request):
    return make_field(request.param, noise=0.02, image_noise=0.005).observation


def scaled(observation, factor, image_factor=1.0):
    """The observation with brighter signals about the same noise."""
    cube = replace(observation.cube, data=factor * observation.cube.data)
    bands = tuple(replace(band, data=factor * image_factor * band.data) for band in observation.bands)
    return replace(observation, cube=cube, bands=bands)


def weights_of(observation, k=2):
    return np.diag(smoothness_matrix(observation, find_subspace(observation.cube, n_components=k)))


@pytest.mark.parametrize("d", [1, 3, 5])
def test_spaxels_keep_their_value_at_their_centre(d):
    images = np.random.default_rng(1).normal(size=(2, 6, 7))
    fine = upsample(images, d)
    assert fine.shape == (2, 6 * d, 7 * d)
    middle = slice((d - 1) // 2, None, d)
    np.testing.assert_allclose(fine[:, middle, middle], images, atol=1e-12)


@pytest.mark.parametrize("d", [2, 3, 4])
def test_upsampling_keeps_constants_gradients_and_means(d):
    np.testing.assert_allclose(upsample(np.full((1, 5, 6), 3.0), d), 3.0)
    ramp = upsample(np.arange(12.0) * np.ones((1, 9, 12)), d)
    expected = (np.arange(12 * d) - (d - 1) / 2) / d
    inner = slice(4 * d, -4 * d)
    np.testing.assert_allclose(ramp[0, 0, inner], expected[inner], atol=0.01)
    smooth = gaussian_filter(np.random.default_rng(2).normal(size=(20, 20)), 2)
    blocks = upsample(smooth[None], d)[0].reshape(20, d, 20, d).mean(axis=(1, 3))
    np.testing.assert_allclose(blocks[4:-4, 4:-4], smooth[4:-4, 4:-4], atol=0.03 * np.ptp(smooth))


def test_images_are_sharper_than_the_cube(observation):
    subspace = find_subspace(observation.cube, n_components=2)
    here = sharpening(observation, subspace)
    # In the long channel NIRCam is hardly sharper than the IFU.
    assert 1.0 <= here < 10
    assert here > 1.1 or observation.grid.decimation_factor == 2

    def blurred(sigma):
        bands = (replace(band, data=gaussian_filter(band.data, sigma)) for band in observation.bands)
        return sharpening(replace(observation, bands=tuple(bands)), subspace)

    assert here >= blurred(1.0) >= blurred(2.0) >= 1.0
    assert here > blurred(2.0) or here == 1.0
    assert blurred(10.0) == 1.0


def test_sharpening_knows_scale_noise_and_holes(observation):
    subspace = find_subspace(observation.cube, n_components=2)
    here = sharpening(observation, subspace)
    rng = np.random.default_rng(3)
    bands = [
        replace(band, data=1.3 * band.data, error=1.3 * band.error, scale=1.3) for band in observation.bands
    ]
    assert sharpening(replace(observation, bands=tuple(bands)), subspace) == pytest.approx(here)
    noisy = tuple(
        replace(
            band,
            data=band.data + 0.02 * rng.normal(size=band.data.shape),
            error=np.full(band.data.shape, 0.02),
        )
        for band in observation.bands
    )
    assert sharpening(replace(observation, bands=noisy), subspace) == pytest.approx(here, rel=0.1)
    holed = tuple(
        replace(band, data=np.where(rng.random(band.data.shape) < 0.001, np.nan, band.data))
        for band in observation.bands
    )
    assert sharpening(replace(observation, bands=holed), subspace) == pytest.approx(here, rel=0.2)


def test_weights_do_not_depend_on_the_direction_of_the_axes(observation):
    def flip(band):
        return replace(band, data=band.data[::-1, ::-1], error=band.error[::-1, ::-1])

    cube = replace(observation.cube, data=observation.cube.data[:, ::-1, ::-1])
    flipped = replace(observation, cube=cube, bands=tuple(map(flip, observation.bands)))
    np.testing.assert_allclose(weights_of(flipped), weights_of(observation), rtol=1e-9)


def test_bad_pixels_of_bright_images_are_no_gradients(observation):
    subspace = find_subspace(observation.cube, n_components=2)
    rng = np.random.default_rng(4)

    def brighten(band, bad):
        data = band.data + 1e3
        data[:3] = 1.0
        return replace(band, data=np.where(bad, np.nan, data))

    bad = rng.random(observation.grid.shape) < 0.01
    values = [
        sharpening(
            replace(observation, bands=tuple(brighten(band, b) for band in observation.bands)), subspace
        )
        for b in (bad, np.zeros_like(bad))
    ]
    assert values[0] == pytest.approx(values[1], rel=0.2)


def test_a_constant_scene_is_smooth():
    observation = make_field(
        noise=1e-9, image_noise=1e-9, draw=lambda shape, rng: np.ones((80, *shape))
    ).observation
    cube = replace(observation.cube, data=np.where(observation.cube.footprint, 1.0, np.nan))
    weights = weights_of(replace(observation, cube=replace(cube, data=cube.data * np.ones((80, 1, 1)))), k=1)
    assert np.isfinite(weights).all()
    assert (weights > 1e6).all()


def test_weights_fall_with_the_square_of_the_signal(observation):
    here = weights_of(observation)
    assert here.shape == (2,)
    assert (here > 0).all()
    # Noise over signal falls along, of which little is left in the gradients.
    np.testing.assert_allclose(weights_of(scaled(observation, 10.0)), here / 100, rtol=0.15)


def test_units_do_not_matter(observation):
    cube = observation.cube
    other = replace(
        observation,
        cube=replace(cube, data=1e3 * cube.data, noise=1e3 * cube.noise),
        bands=tuple(replace(b, data=1e3 * b.data, error=1e3 * b.error) for b in observation.bands),
    )
    np.testing.assert_allclose(weights_of(other), weights_of(observation), rtol=1e-6)


def test_smoother_scenes_have_larger_weights(observation):
    inside = observation.cube.footprint
    rows, columns = (slice(*np.flatnonzero(inside.any(axis=a))[[0, -1]] + [0, 1]) for a in (1, 0))
    data = observation.cube.data.copy()
    data[:, rows, columns] = gaussian_filter(data[:, rows, columns], (0, 2, 2))
    sigma = 2 * observation.grid.decimation_factor
    smoother = replace(
        observation,
        cube=replace(observation.cube, data=data),
        bands=tuple(replace(band, data=gaussian_filter(band.data, sigma)) for band in observation.bands),
    )
    assert weights_of(smoother, k=1)[0] > 2 * weights_of(observation, k=1)[0]


def test_noise_is_not_taken_for_structure(observation):
    noisy = make_field(observation.grid.decimation_factor, noise=0.3, image_noise=0.005).observation
    # In units of the noise the same gradients are 15 times smaller.
    here, there = weights_of(observation, k=1), weights_of(noisy, k=1)
    assert there[0] / here[0] == pytest.approx(15**2, rel=0.5)
