"""The fusion of an observation made through the package's own optics."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.fft import rfft2

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.inversion.cells import upsample
from jwst_fusion.inversion.fuse import FusionSettings, build_problem, fuse, seen_by_ifu
from jwst_fusion.inversion.subspace import find_subspace
from jwst_fusion.quality.metrics import psnr

from .field import N_WAVE, fused_scene, make_field, rms, stated_error, turn

EXACT = FusionSettings(
    rtol=1e-8, max_iterations=1600, reweightings=0, regularization="sobolev", samples=0, mu=1.0
)
PLAIN = FusionSettings(samples=0)
DRAWN = FusionSettings(samples=3)
NOISE = {"noise": 0.1, "image_noise": 0.03}


@pytest.fixture(scope="module")
def field():
    return make_field(3, spaxels=(11, 10))


@pytest.fixture(scope="module")
def result(field):
    return fuse(field.observation)


@pytest.fixture(scope="module", params=[3, 2])
def small(request):
    return make_field(request.param, spaxels=(7, 6), margin=2, **NOISE)


@pytest.fixture(scope="module")
def exact(small):
    return fuse(small.observation, EXACT)


def change(observation, of_cube=lambda x: x, of_image=lambda x: x, noise=1.0):
    """The observation with other data and noises."""
    cube = observation.cube
    cube = replace(cube, data=of_cube(cube.data), error=noise * cube.error, noise=noise * cube.noise)
    bands = [replace(band, data=of_image(band.data), error=noise * band.error) for band in observation.bands]
    return replace(observation, cube=cube, bands=tuple(bands))


def test_better_than_bicubic_interpolation(field, result):
    """By 4 dB, in the continuum, which the bands see, and by 2 in the line, which they hardly see."""
    observation = field.observation
    box = observation.cube.data[(slice(None), *observation.grid.field)]
    bicubic = upsample(box, observation.grid.decimation_factor).reshape(N_WAVE, -1)
    truth, fused = field.scene[:, field.inside], fused_scene(result)[:, field.inside]
    assert rms(fused - truth) < 0.6 * rms(bicubic - truth)
    line = int(0.31 * N_WAVE)
    assert rms((fused - truth)[line]) < 0.8 * rms((bicubic - truth)[line])
    np.testing.assert_allclose(fused.mean(axis=1), truth.mean(axis=1), rtol=0.01)


def test_both_data_sets_are_fitted_to_their_noise(field, result):
    observation = field.observation
    assert result.converged
    # the noise that neighbouring cells of a drizzled image share is hardly told from the scene
    assert (result.image_chi2 > 0.3).all()
    assert (result.image_chi2 < 1.4).all()
    for band, predicted in zip(observation.bands, result.predicted_images, strict=True):
        assert rms((predicted - band.data)[field.inside]) < 1.2 * 0.01
    # over-smoothing of what the bands do not see stays in the residuals of the cube
    assert 0.5 < result.cube_chi2 < 2.5
    residual = (seen_by_ifu(observation, result) - observation.cube.data)[:, observation.cube.footprint]
    assert rms(residual) == pytest.approx(0.05, rel=0.2)


def test_the_cube_is_predicted_as_the_data_term_predicts_it(small):
    """Channel by channel through the same operator as compressed (Eq. B.2)."""
    observation, subspace = small.observation, find_subspace(small.observation.cube)
    term = build_problem(observation, subspace, EXACT).cube_term
    result = fuse(observation, EXACT)
    margins = [(0, n - m) for n, m in zip(term.groups.shape, observation.grid.shape, strict=True)]
    full = np.pad(result.coefficients, [(0, 0), *margins], mode="symmetric")
    expected = term.project(term.predict(rfft2(full)))[(slice(None), *observation.grid.field)]
    departure = seen_by_ifu(observation, result) - result.mean_spectrum[:, None, None]
    to_coefficients = (subspace.whitened_basis * subspace.weights[:, None]).T
    seen = np.tensordot(to_coefficients, departure, axes=1)[(slice(None), *observation.grid.field)]
    np.testing.assert_allclose(seen, expected, atol=2e-3 * np.abs(expected).max())


def test_errors_of_a_natural_scene_are_not_understated(field, result):
    """They are larger: its power falls more steeply towards small scales than the prior's."""
    error = rms((fused_scene(result) - field.scene)[:, field.inside])
    assert 1.0 < rms(stated_error(result)[:, field.inside]) / error < 1.7
    assert (result.resolution > 0.03).all()
    assert (result.resolution < 0.15).all()
    covariance = result.covariance.transpose(2, 3, 0, 1)
    np.testing.assert_allclose(covariance, covariance.swapaxes(2, 3))
    assert (np.linalg.eigvalsh(covariance) > 0).all()


def test_what_the_components_cannot_hold_is_in_the_errors(field):
    """In its channel and its spaxel; nothing of it but noise where there is none."""
    box = tuple(at.start for at in field.observation.grid.field)
    data = field.observation.cube.data.copy()
    channels = slice(60, 66)
    data[channels, box[0] + 4, box[1] + 5] += 0.3
    observation = replace(field.observation, cube=replace(field.observation.cube, data=data))
    result = fuse(observation, replace(PLAIN, n_components=3))
    assert result.dropped_variance[channels].mean() > 5 * np.median(result.dropped_variance)
    assert np.median(result.dropped_variance) < 0.1 * 0.05**2
    share = result.dropped_share[1::3, 1::3]
    assert share[box[0] + 4, box[1] + 5] > 10 * np.median(share[field.observation.cube.footprint])
    spaxels = observation.cube.footprint.sum()
    np.testing.assert_allclose(result.mean_noise, 0.05 / np.sqrt(spaxels), rtol=0.3)


def test_order_units_and_flux_scales_do_not_matter(small, exact):
    observation = small.observation
    scene = fused_scene(exact)
    turned = fuse(replace(observation, bands=observation.bands[::-1]), EXACT)
    np.testing.assert_allclose(fused_scene(turned), scene, atol=1e-6)
    np.testing.assert_allclose(turned.image_chi2[::-1], exact.image_chi2, rtol=1e-6)
    bands = tuple(
        replace(band, data=s * band.data, error=s * band.error, scale=s)
        for band, s in zip(observation.bands, (1.14, 0.9, 1.3), strict=False)
    )
    scaled = fuse(replace(observation, bands=bands), EXACT)
    np.testing.assert_allclose(fused_scene(scaled), scene, atol=1e-6)
    np.testing.assert_allclose(scaled.predicted_images, exact.predicted_images, atol=1e-6)
    spectrum = np.linspace(-1.0, 2.0, N_WAVE)
    cube = replace(observation.cube, data=observation.cube.data + spectrum[:, None, None])
    bands = tuple(replace(band, data=band.data + band.bandpass @ spectrum) for band in observation.bands)
    shifted = fuse(replace(observation, cube=cube, bands=bands), EXACT)
    np.testing.assert_allclose(fused_scene(shifted), scene + spectrum[:, None, None], atol=1e-6)
    # a power of two, so that rounding is the same; with draws and the tuning of the weights
    here = fuse(observation, DRAWN)
    there = fuse(change(observation, lambda x: 1024 * x, lambda x: 1024 * x, noise=1024), DRAWN)
    np.testing.assert_allclose(fused_scene(there), 1024 * fused_scene(here), atol=1e-3)
    np.testing.assert_allclose(stated_error(there), 1024 * stated_error(here), rtol=1e-5)
    assert there.gamma == pytest.approx(here.gamma, rel=1e-5)


TURNS = {
    "quarter": (lambda a: np.rot90(a, axes=(-2, -1)), [[0, -1], [1, 0]]),
    "mirrored": (lambda a: a[..., ::-1], [[-1, 0], [0, 1]]),
}


@pytest.mark.parametrize("name", TURNS)
def test_the_direction_of_the_axes_does_not_matter(small, exact, name):
    axes, jacobian = TURNS[name]
    turned = fuse(turn(small, axes, np.array(jacobian)), EXACT)
    # Across, the highest frequency of the grid is a diagonal one, and with it a trace of the diagonal ones.
    atol = 0.02 * rms(stated_error(exact))
    np.testing.assert_allclose(fused_scene(turned), axes(fused_scene(exact)), atol=atol)
    np.testing.assert_allclose(stated_error(turned), axes(stated_error(exact)), rtol=1e-3)


def test_what_is_missing_is_filled_from_the_rest(field, result):
    """A hole in the images, a spaxel, two channels and scattered voxels of the cube."""
    observation, d = field.observation, field.observation.grid.decimation_factor
    ny, nx = observation.grid.shape
    hole = np.zeros((ny, nx), dtype=bool)
    hole[ny // 2 : ny // 2 + 4, nx // 2 : nx // 2 + 4] = True
    spaxel = np.zeros(observation.grid.spaxel_shape, dtype=bool)
    spaxel[ny // d // 2 - 3, nx // d // 2] = True
    data, noise = np.where(spaxel, np.nan, observation.cube.data), observation.cube.noise.copy()
    data[np.random.default_rng(3).random(data.shape) < 0.01] = np.nan
    data[[30, 60]], noise[[30, 60]] = np.nan, np.nan
    bands = tuple(replace(band, data=np.where(hole, np.nan, band.data)) for band in observation.bands)
    cube = replace(observation.cube, data=data, noise=noise)
    holed = fused_scene(fuse(replace(observation, cube=cube, bands=bands), PLAIN))
    cells, error = np.kron(spaxel, np.ones((d, d), dtype=bool)), rms(stated_error(result))
    assert rms((holed - field.scene)[:, cells & field.inside]) < 4 * error
    assert rms((holed - field.scene)[:, hole]) < 8 * error
    elsewhere = field.inside & ~hole & ~cells
    assert rms((holed - fused_scene(result))[:, elsewhere]) < error


def test_settings_are_kept():
    small = make_field(2, spaxels=(7, 6), margin=2, **NOISE)
    fields = [
        fused_scene(fuse(small.observation, FusionSettings(mu=mu, reweightings=0, samples=0)))
        for mu in (0.2, 1.0, 100.0)
    ]
    steps = [rms(np.diff(x, axis=2)) for x in fields]
    assert steps[0] > steps[1] > 1.1 * steps[2]
    light, heavy = (fuse(small.observation, replace(PLAIN, gamma=gamma, mu=1e-3)) for gamma in (0.1, 10.0))
    assert light.gamma == pytest.approx(0.1)
    assert heavy.cube_chi2 < light.cube_chi2
    assert (heavy.image_chi2 > light.image_chi2).all()
    assert fuse(small.observation, replace(PLAIN, n_components=1)).basis.shape == (N_WAVE, 1)
    rule = fuse(small.observation, FusionSettings(tuning="empirical_bayes", samples=0))
    assert rule.gamma == 1.0
    assert not (rule.regularization - np.diag(np.diag(rule.regularization))).any()


def test_repeatable_and_without_side_effects(small):
    observation = small.observation
    before = observation.cube.data.copy(), [band.data.copy() for band in observation.bands]
    first, again = (fuse(observation, DRAWN) for _ in range(2))
    np.testing.assert_array_equal(first.coefficients, again.coefficients)
    np.testing.assert_array_equal(first.covariance, again.covariance)
    np.testing.assert_array_equal(observation.cube.data, before[0])
    np.testing.assert_array_equal([band.data for band in observation.bands], before[1])


def hold_out(observation, **changes):
    """The observation with its first image held out, and changed."""
    first, *others = observation.bands
    return replace(observation, bands=(replace(first, held_out=True, **changes), *others))


def test_an_image_held_out_has_no_part_in_the_fit_and_is_predicted(field):
    settings = replace(EXACT, n_components=3, gamma=1.0, rtol=1e-4)
    image = field.observation.bands[0].data
    held = fuse(hold_out(field.observation), settings)
    spoiled = fuse(hold_out(field.observation, data=image * 0 + 50.0), settings)
    np.testing.assert_array_equal(spoiled.coefficients, held.coefficients)
    assert np.isnan(held.image_chi2[0])
    assert np.isfinite(held.image_chi2[1])
    used = fuse(field.observation, replace(settings, leave_each_out=True))
    inside = np.where(field.inside, 1.0, np.nan)
    scores = [
        psnr(image * inside, predicted[0]) for predicted in (held.predicted_images, used.predicted_images)
    ]
    assert 25 < scores[0] < scores[1] - 1
    # The prior is that of all images in the one and of one image in the other.
    left, expected = used.unseen_images[0], held.predicted_images[0]
    assert (left - expected).std() < 0.05 * expected.std()
    assert (left - used.predicted_images[0]).std() > 0.02 * expected.std()
    assert held.unseen_images is None


def test_a_noisy_spaxel_counts_less_by_its_error():
    field = make_field(3, spaxels=(7, 6), margin=2, **NOISE)
    observation, rng = field.observation, np.random.default_rng(3)
    data, error = observation.cube.data.copy(), observation.cube.error.copy()
    for y, x in rng.permutation(np.argwhere(observation.cube.footprint))[:8]:
        data[:, y, x] += 0.8 * rng.normal(size=N_WAVE) + 0.8 * rng.normal()
        error[:, y, x] *= 8
    noisy = replace(observation, cube=replace(observation.cube, data=data, error=error))
    manual = FusionSettings(tuning="manual", mu=1.0, gamma=1.0, samples=0, rtol=1e-2)
    channel, voxel = (
        rms((fused_scene(fuse(noisy, replace(manual, weighting=w))) - field.scene)[:, field.inside])
        for w in ("channel", "voxel")
    )
    assert voxel < 0.9 * channel


@pytest.mark.parametrize(
    "wrong",
    [{"mu": 0.0}, {"gamma": float("nan")}, {"rtol": float("inf")}, {"rtol": None}, {"beam": -1.0},
     {"n_components": 0}, {"max_components": 0}, {"max_iterations": -3}, {"reweightings": -1},
     {"samples": 1001}, {"tuning": "luck"}, {"regularization": "luck"}, {"boundary": "luck"},
     {"weighting": "luck"}],
)  # fmt: skip
def test_settings_that_cannot_be_used(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ParameterError, match=f"{name} = {value!r} cannot be used"):
        FusionSettings(**wrong)


def test_settings_that_do_not_go_together(small):
    with pytest.raises(ParameterError, match="tuning = manual needs both mu and gamma"):
        FusionSettings(tuning="manual", mu=1.0)
    with pytest.raises(ParameterError, match="weighting = uniform goes with tuning = manual only"):
        FusionSettings(weighting="uniform")
    with pytest.raises(ParameterError, match="beam needs draws"):
        FusionSettings(beam=0.1, samples=0)
    with pytest.raises(ParameterError, match="n_components = 500"):
        fuse(small.observation, FusionSettings(n_components=500))
