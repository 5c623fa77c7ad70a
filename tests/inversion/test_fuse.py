"""The fusion of an observation made through the package's own optics."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.fft import irfft2, rfft2

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.inversion.cells import upsample
from jwst_fusion.inversion.fuse import FusionSettings, build_problem, fuse
from jwst_fusion.inversion.prior import Prior
from jwst_fusion.inversion.solver import solve
from jwst_fusion.inversion.subspace import find_subspace
from jwst_fusion.inversion.tuning import residual_variances
from jwst_fusion.observation import BandImage

from .field import N_WAVE, fused_scene, make_field, turn

EXACT = FusionSettings(rtol=1e-8, max_iterations=1600, reweightings=0, regularization="sobolev", samples=0)
PLAIN = FusionSettings(samples=0)
DRAWN = FusionSettings(samples=3)
SMALL = {"spaxels": (7, 6), "margin": 2, "noise": 0.1, "image_noise": 0.03}


@pytest.fixture(scope="module")
def field():
    return make_field(3)


@pytest.fixture(scope="module")
def result(field):
    return fuse(field.observation)


@pytest.fixture(scope="module", params=[3, 2])
def small(request):
    return make_field(request.param, **SMALL)


@pytest.fixture(scope="module")
def exact(small):
    return fuse(small.observation, EXACT)


@pytest.fixture(scope="module")
def drawn(small):
    return fuse(small.observation, DRAWN)


def change(observation, of_cube=lambda x: x, of_image=lambda x: x, noise=1.0):
    """The observation with other data and noises."""
    cube = observation.cube
    cube = replace(cube, data=of_cube(cube.data), error=noise * cube.error, noise=noise * cube.noise)
    bands = [replace(band, data=of_image(band.data), error=noise * band.error) for band in observation.bands]
    return replace(observation, cube=cube, bands=tuple(bands))


def stated_error(result):
    """Error of the fused cube (n_wave, ny, nx), as the product has it."""
    posterior = np.einsum("li,ijyx,lj->lyx", result.basis, result.covariance, result.basis, optimize=True)
    return np.sqrt(posterior + result.dropped_variance[:, None, None] * result.dropped_share)


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


def test_better_than_bicubic_interpolation(field, result):
    observation = field.observation
    rows, columns = (np.flatnonzero(observation.cube.footprint.any(axis=axis)) for axis in (1, 0))
    box = observation.cube.data[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    bicubic = upsample(box, observation.grid.decimation_factor).reshape(N_WAVE, -1)
    truth = field.scene[:, field.inside]
    fused = fused_scene(result)[:, field.inside]
    # More than 4 dB, in the continuum, which the bands see, and in the line, which they hardly see.
    assert rms(fused - truth) < 0.6 * rms(bicubic - truth)
    line = int(0.31 * N_WAVE)
    assert rms((fused - truth)[line]) < 0.8 * rms((bicubic - truth)[line])


def test_the_fused_cube_has_the_spectrum_of_the_cube(field, result):
    fused = fused_scene(result)[:, field.inside].mean(axis=1)
    np.testing.assert_allclose(fused, field.scene[:, field.inside].mean(axis=1), rtol=0.02)


def test_shapes_and_diagnostics(field, result):
    k = result.basis.shape[1]
    observation = field.observation
    n_band = len(observation.bands)
    assert k >= 2
    assert result.coefficients.shape == (k, *observation.grid.shape)
    assert result.covariance.shape == (k, k, *observation.grid.shape)
    assert result.predicted_images.shape == (n_band, *observation.grid.shape)
    assert result.image_chi2.shape == (n_band,)
    assert result.converged
    assert 0.9 < result.info_kept <= 1
    assert (np.linalg.eigvalsh(result.regularization) > 0).all()
    covariance = result.covariance.transpose(2, 3, 0, 1)
    np.testing.assert_allclose(covariance, covariance.swapaxes(2, 3))
    assert (np.linalg.eigvalsh(covariance) > 0).all()


def test_images_are_fitted_to_their_noise(field, result):
    assert (result.image_chi2 > 0.4).all()
    assert (result.image_chi2 < 1.4).all()
    for band, predicted in zip(field.observation.bands, result.predicted_images, strict=True):
        assert rms((predicted - band.data)[field.inside]) < 1.3 * 0.01


def test_cube_is_fitted_to_its_noise(result):
    # Over-smoothing of what the bands do not see stays in the residuals.
    assert 0.3 < result.cube_chi2 < 2.5
    assert 0.4 < result.gamma < 2.0


def test_errors_are_those_of_a_natural_scene(field, result):
    error = rms((fused_scene(result) - field.scene)[:, field.inside])
    assert error == pytest.approx(rms(stated_error(result)), rel=0.4)


def prior_scene(noise, alpha):
    """Draw scenes of three components whose gradients are white, of mean square alpha^2 in the noise."""

    def draw(shape, rng):
        axes = np.linalg.qr(rng.normal(size=(N_WAVE, 3)))[0]
        power = sum(
            4 * np.sin(np.pi * f) ** 2 for f in (np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1]))
        )
        power[0, 0] = np.inf
        maps = irfft2(alpha / np.sqrt(power) * rfft2(rng.normal(size=(3, *shape))), s=shape)
        return 4 + np.tensordot(noise * axes, maps, axes=1)

    return draw


@pytest.mark.parametrize("d", [3, 2])
def test_errors_and_residuals_are_exact_for_a_scene_drawn_from_the_prior(d):
    noise, alpha = 0.05, 10.0
    field = make_field(d, noise=noise, image_noise=0.01, draw=prior_scene(noise, alpha))
    subspace = find_subspace(field.observation.cube, n_components=3)
    problem = build_problem(field.observation, subspace, FusionSettings())
    plain = Prior(np.eye(3) * alpha**-2, problem.prior.shape)
    cube_term = replace(problem.cube_term, weight_loss=None)
    problem = replace(problem, prior=plain, cube_term=cube_term)
    solution = solve(problem, rtol=1e-4, max_iterations=400)
    ny, nx = field.observation.grid.shape
    scene = np.tensordot(subspace.basis, solution.coefficients[:, :ny, :nx], axes=1)
    error = rms((subspace.mean_spectrum[:, None, None] + scene - field.scene)[:, field.inside])
    variance = np.einsum("li,ij,lj->l", subspace.basis, solution.blocks.covariance, subspace.basis)
    assert error == pytest.approx(np.sqrt(variance.mean()), rel=0.12)
    # The variance components: residuals over stated noise, for their degrees of freedom.
    assert residual_variances(problem, solution) == pytest.approx((1.0, 1.0), abs=0.2)


def test_understated_noise_is_found_out():
    field = make_field(3, (9, 8), draw=prior_scene(0.05, 10.0))
    bands = tuple(replace(band, error=band.error / 5) for band in field.observation.bands)
    honest = fuse(field.observation, PLAIN)
    optimistic = fuse(replace(field.observation, bands=bands), PLAIN)
    # The images' weight is taken back: their errors do not make NIRSpec's any lighter.
    assert optimistic.gamma / honest.gamma > 8
    assert rms(stated_error(optimistic)) > 0.6 * rms(stated_error(honest))


def test_order_of_the_bands_does_not_matter(small, exact):
    observation = small.observation
    reversed_ = fuse(replace(observation, bands=observation.bands[::-1]), EXACT)
    np.testing.assert_allclose(fused_scene(reversed_), fused_scene(exact), atol=1e-6)
    np.testing.assert_allclose(reversed_.image_chi2[::-1], exact.image_chi2, rtol=1e-6)
    np.testing.assert_allclose(reversed_.predicted_images[::-1], exact.predicted_images, atol=1e-6)


def test_units_do_not_matter(small, drawn):
    here = drawn
    # A power of two, so that rounding is the same.
    there = fuse(change(small.observation, lambda x: 1024 * x, lambda x: 1024 * x, noise=1024), DRAWN)
    np.testing.assert_allclose(fused_scene(there), 1024 * fused_scene(here), atol=1e-3)
    np.testing.assert_allclose(stated_error(there), 1024 * stated_error(here), rtol=1e-5)
    assert there.gamma == pytest.approx(here.gamma, rel=1e-5)
    np.testing.assert_allclose(there.image_chi2, here.image_chi2, rtol=1e-4)
    assert there.cube_chi2 == pytest.approx(here.cube_chi2, rel=1e-4)


def test_a_plane_of_constant_spectrum_shifts_the_mean(small, exact):
    spectrum = np.linspace(-1.0, 2.0, N_WAVE)
    observation = small.observation
    cube = replace(observation.cube, data=observation.cube.data + spectrum[:, None, None])
    bands = tuple(replace(band, data=band.data + band.bandpass @ spectrum) for band in observation.bands)
    shifted = fuse(replace(observation, cube=cube, bands=bands), EXACT)
    np.testing.assert_allclose(shifted.mean_spectrum, exact.mean_spectrum + spectrum, atol=1e-9)
    expected = fused_scene(exact) + spectrum[:, None, None]
    np.testing.assert_allclose(fused_scene(shifted), expected, atol=1e-6)
    np.testing.assert_allclose(shifted.covariance, exact.covariance, rtol=1e-6, atol=1e-9)


def test_flux_scales_of_the_images_are_taken_out(small, exact):
    bands = tuple(
        replace(band, data=s * band.data, error=s * band.error, scale=s)
        for band, s in zip(small.observation.bands, (1.14, 0.9, 1.3), strict=False)
    )
    result = fuse(replace(small.observation, bands=bands), EXACT)
    np.testing.assert_allclose(fused_scene(result), fused_scene(exact), atol=1e-6)
    np.testing.assert_allclose(result.predicted_images, exact.predicted_images, atol=1e-6)


TURNS = {
    "quarter": (lambda a: np.rot90(a, axes=(-2, -1)), [[0, -1], [1, 0]]),
    "mirror": (lambda a: a[..., ::-1], [[-1, 0], [0, 1]]),
}


@pytest.mark.parametrize("name", TURNS)
def test_the_same_sky_on_other_axes_gives_the_same_sky(small, exact, name):
    axes, jacobian = TURNS[name]
    turned = fuse(turn(small, axes, np.array(jacobian)), EXACT)
    # At the highest frequency of an even grid the sign is lost, and with it a trace of the diagonal ones.
    np.testing.assert_allclose(
        fused_scene(turned), axes(fused_scene(exact)), atol=0.02 * rms(stated_error(exact))
    )
    np.testing.assert_allclose(turned.regularization, exact.regularization, rtol=1e-9)
    np.testing.assert_allclose(stated_error(turned), axes(stated_error(exact)), rtol=1e-3)


def test_predicted_images_are_those_of_the_fused_cube(small, exact):
    observation = small.observation
    subspace = find_subspace(observation.cube)
    problem = build_problem(observation, subspace, EXACT)
    ny, nx = observation.grid.shape
    solution = solve(problem, rtol=1e-8, max_iterations=1600)
    images = problem.image_term.predict(rfft2(solution.coefficients))[:, :ny, :nx]
    means = [band.bandpass @ subspace.mean_spectrum for band in observation.bands]
    expected = images + np.array(means)[:, None, None]
    np.testing.assert_allclose(exact.predicted_images, expected, atol=1e-6)


def test_holes_are_filled_from_the_other_instrument(field, result):
    observation = field.observation
    d = observation.grid.decimation_factor
    ny, nx = observation.grid.shape
    hole = np.zeros((ny, nx), dtype=bool)
    hole[ny // 2 : ny // 2 + 4, nx // 2 : nx // 2 + 4] = True
    spaxel = np.zeros(observation.grid.spaxel_shape, dtype=bool)
    spaxel[ny // d // 2 - 3, nx // d // 2] = True
    cube = replace(observation.cube, data=np.where(spaxel, np.nan, observation.cube.data))
    bands = tuple(replace(band, data=np.where(hole, np.nan, band.data)) for band in observation.bands)
    holed = fused_scene(fuse(replace(observation, cube=cube, bands=bands), PLAIN))
    assert np.isfinite(holed).all()
    cells = np.kron(spaxel, np.ones((d, d), dtype=bool))
    error = rms(stated_error(result))
    assert rms((holed - field.scene)[:, cells]) < 4 * error
    assert rms((holed - field.scene)[:, hole]) < 8 * error
    elsewhere = field.inside & ~hole & ~cells
    assert rms((holed - fused_scene(result))[:, elsewhere]) < error


def test_a_dead_channel_is_bridged(field, result):
    observation = field.observation
    data, noise = observation.cube.data.copy(), observation.cube.noise.copy()
    data[[30, 60]], noise[[30, 60]] = np.nan, np.nan
    dead = fuse(replace(observation, cube=replace(observation.cube, data=data, noise=noise)), PLAIN)
    difference = (fused_scene(dead) - fused_scene(result))[:, field.inside]
    assert np.isfinite(difference).all()
    assert rms(difference) < 0.5 * rms(stated_error(result))


def test_scattered_bad_voxels_are_bridged(field, result):
    observation = field.observation
    bad = np.random.default_rng(3).random(observation.cube.data.shape) < 0.01
    holed = replace(observation.cube, data=np.where(bad, np.nan, observation.cube.data))
    difference = fused_scene(fuse(replace(observation, cube=holed), PLAIN)) - fused_scene(result)
    assert rms(difference[:, field.inside]) < rms(stated_error(result))


def test_more_smoothing_is_smoother(small):
    settings = [FusionSettings(mu=mu, reweightings=0, samples=0) for mu in (0.2, 1.0, 100.0)]
    fields = [fused_scene(fuse(small.observation, setting)) for setting in settings]
    steps = [rms(np.diff(x, axis=2)) for x in fields]
    assert steps[0] > steps[1] > 1.1 * steps[2]


def test_a_given_weight_is_kept(small):
    result = fuse(small.observation, replace(PLAIN, gamma=0.1, mu=1e-3))
    assert result.gamma == pytest.approx(0.1)
    heavy = fuse(small.observation, replace(PLAIN, gamma=10.0, mu=1e-3))
    assert heavy.cube_chi2 < result.cube_chi2
    assert (heavy.image_chi2 > result.image_chi2).all()


def test_a_given_number_of_components_is_kept(small):
    assert fuse(small.observation, replace(PLAIN, n_components=1)).basis.shape == (N_WAVE, 1)
    with pytest.raises(ParameterError, match="n_components = 500"):
        fuse(small.observation, FusionSettings(n_components=500))


def test_too_few_iterations_are_told(small, caplog):
    result = fuse(small.observation, replace(PLAIN, max_iterations=2))
    assert not result.converged
    assert result.iterations == 2
    assert "No convergence in 2 iterations" in caplog.text
    assert "raise max_iterations" in caplog.text


def test_a_constant_field():
    field = make_field(3, **SMALL, draw=lambda shape, rng: np.full((N_WAVE, *shape), 7.0))
    result = fuse(field.observation, PLAIN)
    assert result.basis.shape[1] == 1
    assert rms(fused_scene(result)[:, field.inside] - 7.0) < 0.3 * 0.1


def test_repeatable_and_without_side_effects(small, drawn):
    observation = small.observation
    before = observation.cube.data.copy(), [band.data.copy() for band in observation.bands]
    again = fuse(observation, DRAWN)
    np.testing.assert_array_equal(drawn.coefficients, again.coefficients)
    np.testing.assert_array_equal(drawn.covariance, again.covariance)
    np.testing.assert_array_equal(observation.cube.data, before[0])
    for band, data in zip(observation.bands, before[1], strict=True):
        assert isinstance(band, BandImage)
        np.testing.assert_array_equal(band.data, data)


@pytest.mark.parametrize("name", ["mu", "gamma", "rtol"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_weights_that_can_not_be_used(name, value):
    with pytest.raises(ParameterError, match=f"{name} = "):
        FusionSettings(**{name: value})


@pytest.mark.parametrize("name", ["n_components", "max_components", "max_iterations"])
@pytest.mark.parametrize("value", [0, -3])
def test_counts_that_can_not_be_used(name, value):
    with pytest.raises(ParameterError, match=f"{name} = "):
        FusionSettings(**{name: value})


def test_negative_reweightings():
    assert FusionSettings(reweightings=0).reweightings == 0
    with pytest.raises(ParameterError, match="reweightings = -1"):
        FusionSettings(reweightings=-1)
