"""The operators of both instruments, their adjoints and their weights."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.fft import irfft2, rfft2

from jwst_fusion.exceptions import InputError
from jwst_fusion.inversion.forward import COMPRESSION_TOLERANCE, image_term
from jwst_fusion.inversion.subspace import Subspace
from jwst_fusion.observation import BandImage

from .scenario import N_WAVE, Scenario

GRIDS = [(3, (6, 5)), (2, (5, 6)), (4, (3, 4))]


@pytest.fixture(params=GRIDS, ids=str)
def scenario(request):
    return Scenario(*request.param)


@pytest.mark.parametrize("name", ["cube_term", "image_term"])
def test_a_scene_is_seen_as_channel_by_channel(scenario, name):
    """And the operators have their adjoints."""
    term = getattr(scenario.problem(), name)
    np.testing.assert_allclose(
        term.predict(rfft2(scenario.coefficients)), term.data, atol=1e-11 * np.abs(term.data).max()
    )
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=scenario.coefficients.shape), rng.normal(size=term.data.shape)
    backward = np.vdot(x, irfft2(term.adjoint(y), s=scenario.shape))
    assert np.vdot(term.predict(rfft2(x)), y) == pytest.approx(backward, rel=1e-12)


def test_compression_loses_less_than_a_thousandth():
    scenario = Scenario()
    exact, compressed = (
        scenario.problem(tolerance=tolerance).cube_term for tolerance in (1e-14, COMPRESSION_TOLERANCE)
    )
    assert compressed.data.shape[0] < exact.data.shape[0]
    spectrum = rfft2(scenario.coefficients)
    # in the coefficients of the subspace, which do not depend on the compressed channels
    seen, expected = (term.project(term.predict(spectrum)) for term in (compressed, exact))
    assert np.abs(seen - expected).max() < 1e-3 * np.abs(expected).max()


def losses(scenario, rng):
    """Symmetric matrices between zero and one, in each spaxel."""
    factors = rng.normal(size=(*scenario.groups.spaxel_shape, scenario.k, scenario.k))
    error = factors @ np.swapaxes(factors, -1, -2)
    return np.moveaxis(np.eye(scenario.k) - np.linalg.inv(np.eye(scenario.k) + error), (-2, -1), (0, 1))


def test_weights_are_symmetric_and_lowered_by_the_loss_of_the_coefficients(scenario):
    rng = np.random.default_rng(4)
    loss = losses(scenario, rng)
    term = scenario.problem(weight_loss=loss).cube_term
    x, y = rng.normal(size=(2, *term.data.shape))
    assert np.vdot(x, term.weigh(y)) == pytest.approx(np.vdot(term.weigh(x), y))
    expected = term.project(x) - np.einsum("ijyx,jyx->iyx", loss, term.project(x))
    np.testing.assert_allclose(term.project(term.weigh(x)), expected, atol=1e-12)
    assert term.energy(rfft2(0 * scenario.coefficients)) < scenario.problem().cube_term.energy(
        rfft2(0 * scenario.coefficients)
    )


def test_chi2_counts_the_error_of_the_psf():
    """A residual of unit noise, in directions that have lost half of their weight, is half as significant."""
    scenario = Scenario()
    half = 0.5 * np.tile(np.eye(scenario.k)[:, :, None, None], scenario.groups.spaxel_shape)
    plain, lossy = (
        scenario.problem(noise=1.0, **given).cube_term for given in ({}, {"weight_loss": half})
    )  # fmt: skip
    spectrum = rfft2(scenario.coefficients)
    assert plain.chi2(spectrum) == pytest.approx(1.0, abs=0.4)
    assert lossy.chi2(spectrum) == pytest.approx(plain.chi2(spectrum) / 2)


@pytest.mark.parametrize("with_loss", [False, True])
def test_the_blocks_factor_is_the_normal_matrix_with_the_mean_weight(with_loss):
    scenario = Scenario(2, (4, 3))
    loss = losses(scenario, np.random.default_rng(5)) if with_loss else None
    term = scenario.problem(weight_loss=loss).cube_term
    factor = term.factor()
    if with_loss:
        even = np.broadcast_to(loss.mean(axis=(2, 3), keepdims=True), loss.shape)
        term = replace(term, weight_loss=even)
    spectrum = rfft2(np.random.default_rng(6).normal(size=scenario.coefficients.shape))
    members = scenario.groups.gather(spectrum).transpose(1, 0, 2).reshape(scenario.groups.n_groups, -1, 1)
    blocks = (factor.conj().transpose(0, 2, 1) @ (factor @ members)).reshape(len(members), scenario.k, -1)
    expected = scenario.groups.gather(term.normal(spectrum)).transpose(1, 0, 2)
    np.testing.assert_allclose(blocks, expected, atol=1e-10 * np.abs(expected).max())


def test_weights_of_each_voxel_see_all_channels():
    scenario = Scenario()
    rng = np.random.default_rng(7)
    alike = scenario.problem(voxel_weight=np.ones((N_WAVE, *scenario.groups.spaxel_shape))).cube_term
    plain = scenario.problem().cube_term
    values = rng.normal(size=plain.data.shape)
    np.testing.assert_allclose(alike.weigh(values), plain.weigh(values), atol=1e-12)
    np.testing.assert_allclose(alike.weighted_data(), plain.weighted_data(), atol=1e-10)
    weight = rng.uniform(0.2, 2.0, (N_WAVE, *scenario.groups.spaxel_shape))
    term = scenario.problem(voxel_weight=weight).cube_term
    x, y = rng.normal(size=(2, *term.data.shape))
    assert np.vdot(x, term.weigh(y)) == pytest.approx(np.vdot(term.weigh(x), y))
    # without noise the weighted residual of the true scene vanishes, whatever the weights are
    right = term.adjoint(term.weighted_data())
    spectrum = rfft2(scenario.coefficients)
    np.testing.assert_allclose(term.normal(spectrum), right, atol=1e-9 * np.abs(right).max())


@pytest.mark.parametrize("voxels", [False, True])
def test_noise_is_drawn_as_each_spaxel_has_it(voxels):
    """A spaxel whose spectrum scatters three times as much outside the subspace has three times the noise."""
    scenario = Scenario()
    given = {"voxel_weight": np.ones((N_WAVE, *scenario.groups.spaxel_shape))} if voxels else {}
    term = scenario.problem(noise=1.0, **given).cube_term
    assert np.median(term.noise) == pytest.approx(1.0)
    noise = np.ones_like(term.noise)
    noise[2, 3] = 3.0
    rng = np.random.default_rng(8)
    drawn = np.array([replace(term, noise=noise).weighted_noise(rng) for _ in range(300)])
    assert drawn.std(axis=(0, 1))[2, 3] / np.median(drawn.std(axis=(0, 1))) == pytest.approx(3.0, rel=0.1)


def test_the_noise_of_a_spaxel_is_what_the_subspace_does_not_hold():
    scenario = Scenario()
    whitened_basis = scenario.basis / scenario.sigma[:, None]
    inside, outside = np.linalg.qr(np.c_[whitened_basis, np.eye(N_WAVE)])[0].T[[0, scenario.k]]
    rng = np.random.default_rng(9)
    level = np.where(rng.random(scenario.groups.spaxel_shape) < 0.2, 4.0, 1.0)
    spectra = np.multiply.outer(inside, 9 * rng.random(level.shape)) + np.multiply.outer(outside, level)
    scenario.cube = scenario.mean[:, None, None] + scenario.sigma[:, None, None] * spectra
    np.testing.assert_allclose(scenario.problem().cube_term.noise, level, rtol=1e-6)


def image_of(scenario, **given):
    image = {"data": scenario.images[0], "error": np.full(scenario.shape, 0.5)} | given
    return BandImage("F210M", "A", pivot_wavelength=2.0, position_angle_v3=0.0, detector_pixel=0.03,
                     image_pixel=0.03, bandpass=scenario.bandpass[0], **image)  # fmt: skip


def term_of(scenario, band, **given):
    empty = np.zeros((N_WAVE, *scenario.groups.spaxel_shape))
    subspace = Subspace(
        scenario.mean, scenario.basis, empty, empty[0] == 0, 1 / scenario.sigma, np.ones(2), 1.0
    )
    return image_term(scenario.groups, subspace, scenario.interpolation, [band], scenario.nircam[:1], **given)


def test_images_are_on_the_cubes_flux_scale():
    scenario = Scenario()
    plain = term_of(scenario, image_of(scenario))
    scaled = image_of(scenario, data=2 * scenario.images[0], error=np.full(scenario.shape, 1.0), scale=2.0)
    for name in ("data", "weight", "noise"):
        np.testing.assert_allclose(getattr(term_of(scenario, scaled), name), getattr(plain, name))
    np.testing.assert_allclose(plain.weight, 4.0)
    np.testing.assert_allclose(plain.noise, 0.5)


def test_weights_of_the_pixels():
    """From the typical error or their own, and the model's; none where unknown or held out."""
    scenario = Scenario()
    data, error = scenario.images[0].copy(), np.full(scenario.shape, 0.5)
    data[3, 4], error[5, 6], error[7, 7] = np.nan, 2.0, 0.0
    band = image_of(scenario, data=data, error=error)
    even = np.where(np.isnan(data), 0.0, 4.0)
    np.testing.assert_allclose(term_of(scenario, band).weight[0], even)
    own = even.copy()
    own[5, 6] = 0.25
    np.testing.assert_allclose(term_of(scenario, band, each_pixel=True).weight[0], own)
    model = np.full(scenario.shape, 1.2)
    np.testing.assert_allclose(term_of(scenario, band, model_errors=[model]).weight[0], even / 4 / 1.69)
    assert term_of(scenario, band).noise[0, 5, 6] == 2.0
    assert not term_of(scenario, replace(band, held_out=True)).weight.any()
    with pytest.raises(InputError, match="no pixel with a positive error"):
        term_of(scenario, replace(band, error=0 * error))
