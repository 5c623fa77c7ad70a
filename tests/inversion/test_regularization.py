"""The prior's weights, measured on the cube and on the images."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_fusion.inversion.cells import average_known, interior, upsample
from jwst_fusion.inversion.fuse import FusionSettings
from jwst_fusion.inversion.regularization import (
    _local_gradients,
    _noise_gradient,
    _sharpening,
    _steepness,
    find_prior,
    smoothness_matrix,
)
from jwst_fusion.inversion.subspace import Subspace
from jwst_fusion.observation import BandImage, CubeData, FusionGrid, Observation

D, SPAXELS = 3, (30, 28)
SHAPE = tuple(D * n for n in SPAXELS)
NOISE = 0.01


def wave(period, shape=SPAXELS, axis=1):
    """A plane wave of unit amplitude."""
    return np.sin(2 * np.pi * np.indices(shape)[axis] / period + 0.3)


def rise(period):
    """Mean squared difference between neighbouring cells of a wave of unit amplitude."""
    return 2 * np.sin(np.pi / period) ** 2


def subspace_of(coefficients):
    """The subspace of a cube of two channels of unit noise whose coefficients are known."""
    k = len(coefficients)
    return Subspace(
        mean_spectrum=np.ones(k),
        basis=np.eye(k),
        whitened=np.asarray(coefficients),
        spaxels=np.ones(SPAXELS, dtype=bool),
        weights=np.ones(k),
        eigenvalues=np.ones(k),
        info_kept=1.0,
    )


def observation_of(*images, noise=NOISE, bandpass=(1.0, 0.0)):
    """An observation with images on the cells, as far as the prior needs it."""
    grid = FusionGrid(SHAPE, D, np.diag([-0.03, 0.03]))
    empty = np.zeros((2, *SPAXELS))
    cube = CubeData(empty, empty, np.array([2.0, 2.1]), np.ones(2), np.ones(SPAXELS, bool), 0.0, 0.0)
    bands = [
        BandImage("F210M", "B", np.asarray(image), np.full(SHAPE, noise), 2.0, 0.0, 0.03, 0.03,
                  bandpass=np.array(bandpass))
        for image in images
    ]  # fmt: skip
    return Observation(grid, cube, tuple(bands))


def changed(observation, change):
    return replace(observation, bands=tuple(map(change, observation.bands)))


@pytest.mark.parametrize("d", [1, 2, 3])
def test_upsampling_keeps_values_at_the_centres_and_slopes(d):
    images = np.random.default_rng(1).normal(size=(2, 6, 7))
    if d % 2:
        middle = slice((d - 1) // 2, None, d)
        np.testing.assert_allclose(upsample(images, d)[:, middle, middle], images, atol=1e-12)
    ramp = upsample(np.arange(12.0) * np.ones((1, 9, 12)), d)[0, 0, 4 * d : -4 * d]
    np.testing.assert_allclose(ramp, (np.arange(12 * d) - (d - 1) / 2)[4 * d : -4 * d] / d, atol=0.01)


def test_the_interior_is_a_spaxel_within():
    spaxels = np.zeros((7, 6), dtype=bool)
    spaxels[1:6, 1:5] = True
    expected = np.zeros_like(spaxels)
    expected[2:5, 2:4] = True
    inner = interior(spaxels, 3)
    np.testing.assert_array_equal(inner[1::3, 1::3], expected)
    assert not inner[:6].any()
    assert interior(np.zeros((3, 3), dtype=bool), 2).all()


def test_averages_know_nothing_of_holes():
    values = np.full((9, 9), 3.0)
    values[4, 4] = np.nan
    values[:, 6:] = np.nan
    found = average_known(values, 1.0)
    np.testing.assert_allclose(found[:, :6], 3.0)
    assert np.isnan(found[:, 8]).all()


@pytest.mark.parametrize("d", [2, 3])
def test_the_gradient_of_noise_is_measured(d):
    noise = upsample(np.random.default_rng(2).normal(size=(1, 200, 200)), d)[0]
    measured = sum((np.diff(noise, axis=axis) ** 2).mean() for axis in (0, 1))
    assert _noise_gradient(d) == pytest.approx(measured, rel=0.03)


def test_the_matrix_is_the_inverse_covariance_of_the_gradients():
    """Less what noise adds; and where that is all, a tenth of it is left."""
    noise = np.random.default_rng(3).normal(size=(2, *SPAXELS))
    clean = np.stack([9 * wave(11), 4 * wave(11) + 4 * wave(7, axis=0)])
    expected = np.linalg.inv([[81 * rise(33), 36 * rise(33)], [36 * rise(33), 16 * rise(33) + 16 * rise(21)]])
    found = smoothness_matrix(observation_of(), subspace_of(clean + noise))
    np.testing.assert_allclose(found, expected, rtol=0.2, atol=0.1 * np.abs(expected).max())
    bright, image = subspace_of(100 * clean), 2700 * wave(33, SHAPE)
    even, sharper = (smoothness_matrix(seen, bright) for seen in (observation_of(), observation_of(image)))
    np.testing.assert_allclose(sharper, even / 9, rtol=0.05)
    found = np.linalg.inv(smoothness_matrix(observation_of(), subspace_of(noise)))
    np.testing.assert_allclose(found, 0.1 * _noise_gradient(D) * np.eye(2), atol=0.03 * _noise_gradient(D))


def test_uniform_scenes_are_smooth_but_not_infinitely():
    found = smoothness_matrix(observation_of(), subspace_of(np.zeros((1, *SPAXELS))))
    np.testing.assert_allclose(found, 1e9, rtol=0.2)


def test_sharpening_is_the_ratio_of_squared_gradients():
    rng = np.random.default_rng(4)
    cube = subspace_of([1000 * wave(10), 0 * wave(10)])
    image = 3000 * wave(30, SHAPE)
    assert _sharpening(observation_of(image), cube) == pytest.approx(9, rel=0.05)
    assert _sharpening(observation_of(image / 10), cube) == 1.0
    assert _sharpening(observation_of(10 * image), cube) == 100.0
    two = replace(observation_of(image, image), bands=observation_of(image, image / 2).bands)
    assert _sharpening(two, cube) == pytest.approx(4.5, rel=0.05)
    scaled = changed(observation_of(2 * image), lambda band: replace(band, scale=2.0))
    assert _sharpening(scaled, cube) == pytest.approx(9, rel=0.05)
    noisy = observation_of(image + 400 * rng.normal(size=SHAPE), noise=400.0)
    assert _sharpening(noisy, cube) == pytest.approx(9, rel=0.2)
    noisy_cube = subspace_of(np.stack([2 * wave(10), 0 * wave(10)]) + rng.normal(size=(2, *SPAXELS)))
    assert _sharpening(observation_of(6 * wave(30, SHAPE)), noisy_cube) == pytest.approx(9, rel=0.35)
    held_out = changed(observation_of(image), lambda b: replace(b, held_out=True))
    assert _sharpening(held_out, cube) == 1.0
    holes = rng.random(SHAPE) < 0.01
    bright = np.where(holes, np.nan, image + 1e5)
    assert _sharpening(observation_of(bright), cube) == pytest.approx(9, rel=0.1)


def edge(noise=0.0, seed=5):
    """A step in the middle, and noise."""
    step = np.where(np.arange(SHAPE[1]) > SHAPE[1] // 2, 1.0, 0.0) * np.ones(SHAPE)
    return step + noise * np.random.default_rng(seed).normal(size=SHAPE)


def test_steepness_is_one_on_the_average_and_knows_no_units():
    found = _steepness(observation_of(edge(), edge()), subspace_of(np.zeros((2, *SPAXELS))))
    inside = interior(np.ones(SPAXELS, dtype=bool), D)
    assert found[inside].mean() == pytest.approx(1)
    bright = _steepness(
        observation_of(1e3 * edge(), 1e3 * edge(), noise=1e3 * NOISE), subspace_of(np.zeros((2, *SPAXELS)))
    )
    np.testing.assert_allclose(bright, found)
    far = np.abs(np.arange(SHAPE[1]) - SHAPE[1] // 2) > 6
    assert found[inside & far].max() < 0.02  # smoothed over about a cell
    nothing = _steepness(observation_of(np.full(SHAPE, np.nan)), subspace_of(np.zeros((2, *SPAXELS))))
    assert np.isnan(nothing).all()


@pytest.mark.parametrize(("n_images", "left"), [(1, 0.36), (2, 0.1)])
@pytest.mark.parametrize("stated", [0.05, 5.0])
def test_noise_of_the_images_is_not_steep(n_images, left, stated):
    """Two images do not share it; of one the least squared gradients are taken for noise, however large."""
    images = [edge(0.05, seed) for seed in range(n_images)]
    far = np.abs(np.arange(SHAPE[1]) - SHAPE[1] // 2) > 8
    inside = interior(np.ones(SPAXELS, dtype=bool), D) & far
    found = _steepness(observation_of(*images, noise=stated), subspace_of(np.zeros((2, *SPAXELS))))
    assert 0 < found[inside].mean() < left


def test_an_overstated_error_hides_no_structure():
    """Squared gradients are lowest where noise is all there is."""
    image = wave(30, SHAPE)
    cube = subspace_of(np.zeros((2, *SPAXELS)))
    stated, overstated = (_steepness(observation_of(image, noise=n), cube) for n in (1e-6, 10.0))
    np.testing.assert_allclose(overstated, stated, atol=0.2)


def test_allowed_gradients_are_the_root_of_the_steepness():
    squared = np.ones((6, 6))
    squared[:, 3:] = 4.0
    squared[0] = np.nan
    found = _local_gradients(squared, np.ones((6, 6), dtype=bool))
    np.testing.assert_allclose(found[1:, 3:] / found[1:, :3], 2.0)
    assert found[1:].mean() == pytest.approx(1)
    assert (found[0] == 1).all()


def test_each_setting_has_its_prior():
    cube = subspace_of([10 * wave(10), 5 * wave(6, axis=0)])
    observation = observation_of(40 * wave(30, SHAPE))
    periodic = tuple(n + 6 for n in SHAPE)

    def prior(**settings):
        return find_prior(observation, cube, FusionSettings(**settings), periodic)

    paper = prior(weighting="uniform", tuning="manual", mu=3.0, gamma=1.0)
    np.testing.assert_array_equal(paper.matrix, 3 * np.eye(2))
    rule = prior(tuning="empirical_bayes", mu=2.0)
    np.testing.assert_allclose(rule.matrix, np.diag([2 / (100 * rise(30)), 2 / (25 * rise(18))]), rtol=0.05)
    sobolev, strong = prior(regularization="sobolev"), prior(regularization="sobolev", mu=5.0)
    np.testing.assert_allclose(sobolev.matrix, smoothness_matrix(observation, cube))
    np.testing.assert_allclose(strong.matrix, 5 * sobolev.matrix)
    assert sobolev.edges is None
    assert sobolev.alignment is None
    nuclear = prior()
    assert nuclear.edges.shape == (2, *periodic)
    assert nuclear.alignment.shape == (2, 2, 2, *periodic)
    assert {p.shape for p in (paper, rule, sobolev, nuclear)} == {periodic}
