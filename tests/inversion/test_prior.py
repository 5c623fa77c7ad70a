"""The prior: its operators, the update of its weights, and the matrices of the nuclear norm."""

from functools import partial

import numpy as np
import pytest
from scipy.fft import irfft2, rfft2
from scipy.ndimage import binary_dilation

from jwst_fusion.inversion import regularization
from jwst_fusion.inversion.cells import interior
from jwst_fusion.inversion.fuse import FusionSettings, fuse
from jwst_fusion.inversion.prior import Prior, gradient, gradient_adjoint
from jwst_fusion.inversion.regularization import _local_mixture

from .field import N_WAVE, fused_scene, make_field, maps, rms, spectra

SHAPE = (12, 9)
MATRIX = np.array([[4.0, 1.0], [1.0, 2.0]])
EVERYWHERE = np.ones(SHAPE, dtype=bool)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def weighted(rng):
    """A prior with weights and matrices of their own in each cell."""
    factors = rng.normal(size=(2, *SHAPE, 2, 2))
    matrices = np.moveaxis(factors @ np.swapaxes(factors, -1, -2), (-2, -1), (1, 2))
    return Prior(MATRIX, SHAPE, rng.uniform(0.5, 2.0, (2, *SHAPE)), matrices)


def test_the_gradient_has_its_adjoint(rng):
    images, steps = rng.normal(size=(3, *SHAPE)), rng.normal(size=(2, 3, *SHAPE))
    assert np.vdot(gradient(images), steps) == pytest.approx(np.vdot(images, gradient_adjoint(steps)))
    np.testing.assert_allclose(gradient(images)[0][:, 0], images[:, 1] - images[:, 0])
    np.testing.assert_allclose(gradient(images)[1][..., -1], images[..., 0] - images[..., -1])


def test_the_penalty_is_symmetric_and_the_energy_its_quadratic_form(rng):
    prior = weighted(rng)
    x, y = rng.normal(size=(2, 2, *SHAPE))
    assert np.vdot(x, prior.apply(y)) == pytest.approx(np.vdot(prior.apply(x), y))
    steps = gradient(x)
    expected = np.einsum("ayx,aiyx,aijyx,ajyx->", prior.edges, steps, prior.alignment, steps)
    assert prior.energy(x) == pytest.approx(expected)
    assert np.vdot(x, prior.apply(x)) == pytest.approx(expected)


@pytest.mark.parametrize("edges", [None, np.full((2, *SHAPE), 3.0)])
@pytest.mark.parametrize("alignment", [None, np.tile(MATRIX[:, :, None, None] / 2, (2, 1, 1, *SHAPE))])
def test_with_the_same_weights_everywhere_the_penalty_is_its_transfer_function(rng, edges, alignment):
    prior, x = Prior(MATRIX, SHAPE, edges, alignment), rng.normal(size=(2, *SHAPE))
    spectrum = np.einsum("ijyx,jyx->iyx", prior.typical, rfft2(x))
    np.testing.assert_allclose(prior.apply(x), irfft2(spectrum, s=SHAPE), atol=1e-12)


def test_draws_have_gradients_as_the_prior_expects(rng):
    """Then the covariance of what the penalty makes of them is the penalty itself."""
    prior, x = Prior(MATRIX, SHAPE, rng.uniform(0.5, 2.0, (2, *SHAPE))), rng.normal(size=(2, *SHAPE))
    squares = [np.vdot(x, prior.draw(rng)) ** 2 for _ in range(600)]
    assert np.mean(squares) == pytest.approx(prior.energy(x), rel=0.2)


def test_updated_weights_are_inverse_lengths():
    """In the metric of the matrix: steps of 1 in the one component are as long as steps of 2 in the other."""
    rise = np.array([0, 1, 2, 3, 2, 1, 0, 4, 8, 12, 8, 4], dtype=float)[:, None] * np.ones(SHAPE)
    prior = Prior(np.diag([4.0, 1.0]), SHAPE)
    weights = prior.updated(np.stack([rise, 0 * rise]), EVERYWHERE).edges[0, :, 0]
    assert weights[1] / weights[8] == pytest.approx(4.0)
    again = prior.updated(np.stack([0 * rise, 14 * rise]), EVERYWHERE).edges[0, :, 0]
    np.testing.assert_allclose(again, weights)
    first = np.arange(12)[:, None] < 6
    mixed = np.stack([np.where(first, rise, 0), np.where(first, 0, rise)])
    weights = prior.updated(mixed, EVERYWHERE).edges[0, :, 0]
    assert weights[1] / weights[8] == pytest.approx(2.0)


def test_flat_cells_are_not_penalised_without_bounds():
    scene = np.zeros((1, *SHAPE))
    scene[0, :6] = np.array([0, 1, 2, 3, 2, 1.0])[:, None]
    weights = Prior(np.eye(1), SHAPE).updated(scene, EVERYWHERE).edges[0, :, 0]
    assert 4 < weights[8] / weights[1] < 10
    np.testing.assert_allclose(Prior(np.eye(1), SHAPE).updated(0 * scene, EVERYWHERE).edges, 1.0)


def bumps(amplitudes, width=0.8):
    """Two components on 24 x 24 spaxels, each with a source of its own, and the noise of one channel."""
    y, x = np.indices((24, 24))
    places = ((6, 6), (6, 15))
    sources = [np.exp(-((y - r) ** 2 + (x - c) ** 2) / 2 / width**2) for r, c in places]
    noise = np.random.default_rng(1).normal(size=(2, 24, 24))
    return noise + np.array(amplitudes)[:, None, None] * np.stack(sources)


def mixture(coefficients, matrix):
    inside = interior(np.ones(coefficients.shape[1:], dtype=bool), 2)
    return _local_mixture(coefficients, inside, 2, Prior(matrix, inside.shape))


def test_gradients_along_what_changes_are_cheap():
    """By the root of the least share, and only within the resolution of the IFU about each source."""
    matrices = mixture(bumps((400, 400)), np.eye(2))[0]
    for own, column in enumerate((12, 30)):
        at = matrices[:, :, 12, column + 1]
        assert 0.07 < at[own, own] / at[1 - own, 1 - own] < 0.2
    assert (np.linalg.eigvalsh(np.moveaxis(matrices, (0, 1), (-2, -1))) > 0).all()


def test_noise_is_not_aligned_with():
    matrix = np.diag([1.0, 9.0])
    ratio = np.einsum("iiyx->iyx", mixture(bumps((0, 0)), matrix)[0]) / np.diag(matrix)[:, None, None]
    assert np.isclose(ratio, np.median(ratio), rtol=1e-6).all(axis=0).mean() > 0.7


def test_alignment_only_redistributes():
    """The determinant is that of M on the average over the cells whose mixture is known."""
    logarithms = np.linalg.slogdet(np.moveaxis(mixture(bumps((400, 80)), MATRIX)[0], (0, 1), (-2, -1)))[1]
    logarithms -= np.linalg.slogdet(MATRIX)[1]
    known = ~np.isclose(logarithms, np.median(logarithms), atol=1e-6)
    assert 0.02 < known.mean() < 0.5
    assert abs(logarithms[known].mean()) < 0.3


def starry(shape, rng, brightness):
    """Stars without a line on a line-emitting cloud, (n_wave, ny, nx)."""
    lines = spectra(np.linspace(1.70, 2.26, N_WAVE))
    y, x = np.indices(shape)
    cloud = 1 + np.exp(-0.5 * ((x - shape[1] / 2 - 0.3 * (y - shape[0] / 2)) / 4) ** 2)
    continuum, broad = maps(shape, rng, n=2)
    for row, column in ((30, 34), (44, 40), (38, 52)):
        continuum[row, column] += 2 * brightness
    layers = np.stack([4 + 0.5 * continuum, 3 * cloud, 1 + 0.3 * broad])
    return np.tensordot(lines.T, layers, axes=1)


def line_error(field, observation, **settings):
    """Rms error of the line less its continuum, about the stars."""
    peak = np.argmax(spectra(observation.cube.wavelength)[1])
    near = binary_dilation(field.scene[peak - 6] > 15, iterations=3) & field.inside
    assert 50 < near.sum() < 200
    errors = fused_scene(fuse(observation, FusionSettings(samples=0, **settings))) - field.scene
    return rms((errors[peak] - (errors[peak - 6] + errors[peak + 6]) / 2)[near])


def test_stars_leave_less_in_a_line_map(monkeypatch):
    """Than if the components changed together everywhere as they do on the average."""
    field = make_field(3, noise=0.3, image_noise=0.1, draw=partial(starry, brightness=60))
    aligned = line_error(field, field.observation)

    def average(coefficients, inside, d, prior):
        return np.broadcast_to(prior.matrix[:, :, None, None], (2, *prior.matrix.shape, *prior.shape))

    monkeypatch.setattr(regularization, "_local_mixture", average)
    assert aligned < 0.8 * line_error(field, field.observation)


def test_edges_are_better_kept_than_by_squares():
    """Of flat plateaus with sharp borders, of two spectra."""

    def blocky(shape, rng):
        y, x = np.indices(shape)
        levels = 4 + 3.0 * (np.hypot(y - shape[0] / 2, x - shape[1] / 2) < 8) + 2.0 * (x > shape[1] / 2)
        lines = spectra(np.linspace(1.70, 2.26, N_WAVE))
        return np.multiply.outer(lines[0], levels) + np.multiply.outer(lines[2], 1.0 * (y > shape[0] / 2 + 3))

    field = make_field(3, (9, 8), noise=0.05, image_noise=0.03, draw=blocky)
    errors = [
        rms((fused_scene(fuse(field.observation, FusionSettings(regularization=name, samples=0)))
             - field.scene)[:, field.inside])
        for name in ("nuclear", "sobolev")
    ]  # fmt: skip
    assert errors[0] < 0.95 * errors[1]
