"""The spectral subspace of a cube."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import convolve1d, gaussian_filter

from jwst_fusion.exceptions import InputError, ParameterError
from jwst_fusion.inversion.subspace import find_subspace
from jwst_fusion.observation import CubeData

N_WAVE, SHAPE = 300, (18, 16)
WAVELENGTH = np.linspace(1.7, 2.3, N_WAVE)
SIGMA = 0.2 * (1 + 0.5 * np.sin(WAVELENGTH * 9) ** 2)


def cube_of(data, noise=SIGMA, footprint=None):
    footprint = np.ones(data.shape[1:], dtype=bool) if footprint is None else footprint
    error = np.broadcast_to(noise[:, None, None], data.shape)
    return CubeData(data, error, WAVELENGTH[: len(data)], noise, footprint, 0.0, 0.0)


def signal(k, amplitude=8.0, seed=0):
    """A mean spectrum and k smooth spectra times maps, in units of the noise about the amplitude."""
    rng = np.random.default_rng(seed)
    spectra = gaussian_filter(rng.normal(size=(k, N_WAVE)), (0, 15))
    spectra /= np.sqrt((spectra**2).mean(axis=1, keepdims=True))
    maps = rng.normal(size=(k, *SHAPE)) * (amplitude / np.arange(1, k + 1))[:, None, None]
    return 10 + 3 * WAVELENGTH[:, None, None] + 0.2 * np.tensordot(spectra.T, maps, axes=1)


def noise(seed=1, kernel=None):
    """Noise of the stated size, white or shared between neighbouring spaxels."""
    white = np.random.default_rng(seed).normal(size=(N_WAVE, *SHAPE))
    if kernel is not None:
        kernel = np.array(kernel) / np.sqrt(np.sum(np.square(kernel)))
        for axis in (1, 2):
            white = convolve1d(white, kernel, axis=axis, mode="wrap")
    return SIGMA[:, None, None] * white


def rebuild(subspace):
    """The cube that mean spectrum and components make."""
    coefficients = np.tensordot(subspace.whitened_basis.T, subspace.whitened, axes=1)
    return subspace.mean_spectrum[:, None, None] + np.tensordot(subspace.basis, coefficients, axes=1)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_low_rank_data_are_recovered_exactly(k):
    data = signal(k)
    subspace = find_subspace(cube_of(data))
    assert subspace.n_components == k
    np.testing.assert_allclose(rebuild(subspace), data, rtol=1e-10)
    np.testing.assert_allclose(subspace.mean_spectrum, data.mean(axis=(1, 2)), rtol=1e-12)
    assert subspace.info_kept == pytest.approx(1, abs=1e-3)


def test_more_channels_than_spaxels_and_fewer():
    data = signal(3)
    for part in (data[:, :5, :6], data[:50]):
        subspace = find_subspace(cube_of(part, SIGMA[: len(part)]), n_components=3)
        np.testing.assert_allclose(rebuild(subspace), part, rtol=1e-9)


def test_the_basis_is_orthonormal_in_units_of_the_noise():
    subspace = find_subspace(cube_of(signal(3) + noise()))
    gram = subspace.whitened_basis.T @ subspace.whitened_basis
    np.testing.assert_allclose(gram, np.eye(3), atol=1e-12)
    np.testing.assert_array_equal(subspace.weights, 1 / SIGMA)
    assert (np.diff(subspace.eigenvalues) <= 0).all()
    assert subspace.eigenvalues.size > subspace.n_components


@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("kernel", [None, [0.25, 1.0, 0.25], [0.35, 1.0, 0.35]])
def test_components_are_counted(k, kernel):
    for seed in (1, 2):
        data = signal(k, amplitude=12.0, seed=seed) + noise(seed, kernel)
        assert find_subspace(cube_of(data)).n_components == k


@pytest.mark.parametrize("kernel", [None, [0.25, 1.0, 0.25]])
def test_components_whose_variances_fall_evenly_into_the_noise_are_counted(kernel):
    """Those of a line that shifts: no gap separates them from the noise."""
    rng = np.random.default_rng(7)
    spectra = np.linalg.qr(gaussian_filter(rng.normal(size=(N_WAVE, 12)), (15, 0)))[0]
    maps = np.linalg.qr(rng.normal(size=(np.prod(SHAPE), 12)))[0].T.reshape(12, *SHAPE)
    variances = 12.0 * 0.75 ** np.arange(12)
    scores = np.sqrt(np.prod(SHAPE) * variances)[:, None, None] * maps
    data = 10 + SIGMA[:, None, None] * np.tensordot(spectra, scores, axes=1) + noise(2, kernel)
    found = find_subspace(cube_of(data)).n_components
    assert (variances > 3).sum() <= found <= (variances > 0.7).sum()


@pytest.mark.parametrize("kernel", [None, [0.25, 1.0, 0.25]])
def test_noise_alone_gives_one_component(kernel):
    data = 10 + noise(3, kernel)
    assert find_subspace(cube_of(data)).n_components == 1


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_misjudged_noise_does_not_make_components(factor):
    cube = cube_of(signal(2) + noise())
    assert find_subspace(replace(cube, noise=factor * SIGMA)).n_components == 2


def test_the_largest_number_is_kept():
    cube = cube_of(signal(5, amplitude=50.0) + noise())
    assert find_subspace(cube, max_components=3).n_components == 3
    assert find_subspace(cube, n_components=7, max_components=3).n_components == 7


def test_subspace_is_near_the_true_one():
    data = signal(2) + noise()
    subspace = find_subspace(cube_of(data))
    true = find_subspace(cube_of(signal(2))).whitened_basis
    overlap = np.linalg.svd(true.T @ subspace.whitened_basis)[1]
    assert (overlap > 0.99).all()


@pytest.mark.parametrize("seed", [4, 5, 6])
def test_outliers_make_no_components_and_are_replaced(seed):
    data = signal(2) + noise()
    clean = find_subspace(cube_of(data))
    rng = np.random.default_rng(seed)
    hit = np.zeros(data.shape, dtype=bool)
    hit.ravel()[rng.choice(data.size, 20, replace=False)] = True
    # A single voxel stands out of the noise's axes from (300 * 288)^(1/4) = 17 sigma on.
    data[hit] += (rng.uniform(12, 16, data.shape) * SIGMA[:, None, None])[hit]
    subspace = find_subspace(cube_of(data))
    assert subspace.n_components == 2
    overlap = np.linalg.svd(clean.whitened_basis.T @ subspace.whitened_basis)[1]
    assert (overlap > 0.998).all()
    assert np.abs(subspace.whitened - clean.whitened)[hit].mean() < 6


def test_a_bright_star_is_no_outlier():
    data = signal(2, amplitude=2.0) + noise()
    data[:, 8, 8] *= 40.0
    subspace = find_subspace(cube_of(data))
    np.testing.assert_allclose(rebuild(subspace)[:, 8, 8], data[:, 8, 8], rtol=0.02)


def test_holes_are_bridged():
    data = signal(2)
    holed = data.copy()
    rng = np.random.default_rng(5)
    holed[rng.random(data.shape) < 0.03] = np.nan
    holed[100:106, 4, 5] = np.nan
    subspace = find_subspace(cube_of(holed))
    assert subspace.n_components == 2
    assert subspace.spaxels.all()
    np.testing.assert_allclose(rebuild(subspace), data, rtol=2e-3)


def test_a_missing_voxel_on_the_peak_of_a_line_leaves_no_hole():
    rng = np.random.default_rng(8)
    data = signal(2)
    strength = rng.lognormal(3.0, 1.0, SHAPE)
    data[119:122] += np.array([0.5, 1.0, 0.5])[:, None, None] * strength
    peak = np.unravel_index(np.argmax(data[120]), SHAPE)
    known = data + noise()
    holed = known.copy()
    holed[rng.random(data.shape) < 0.01] = np.nan
    holed[(120, *peak)] = np.nan
    whole, subspace = (find_subspace(cube_of(cube)) for cube in (known, holed))
    assert subspace.n_components == whole.n_components
    spaxels = [peak, *((peak[0] + dy, peak[1]) for dy in (-1, 1) if 0 <= peak[0] + dy < SHAPE[0])]
    for spaxel in spaxels:
        expected = data[(120, *spaxel)]
        assert rebuild(subspace)[(120, *spaxel)] == pytest.approx(expected, rel=0.01, abs=6 * SIGMA[120])


def test_poor_spaxels_are_not_used():
    data = signal(2)
    data[:100, 3, 4] = np.nan
    data[:, 0] = np.nan
    footprint = np.ones(SHAPE, dtype=bool)
    footprint[:, 0] = False
    subspace = find_subspace(cube_of(data, footprint=footprint))
    expected = footprint.copy()
    expected[3, 4] = False
    expected[0] = False
    np.testing.assert_array_equal(subspace.spaxels, expected)
    assert (subspace.whitened[:, ~expected] == 0).all()
    np.testing.assert_allclose(rebuild(subspace)[:, expected], data[:, expected], rtol=1e-9)


def test_dead_channels_are_bridged_and_have_no_weight():
    data, sigma = signal(2), SIGMA.copy()
    dead = [0, 100, 101, 299]
    data[dead], sigma[dead] = np.nan, np.nan
    subspace = find_subspace(cube_of(data, sigma))
    assert (subspace.weights[dead] == 0).all()
    assert (subspace.whitened[dead] == 0).all()
    assert np.isfinite(subspace.basis).all()
    np.testing.assert_allclose(rebuild(subspace)[dead], signal(2)[dead], rtol=0.02)


def test_units_do_not_matter():
    data = signal(3) + noise()
    here, there = find_subspace(cube_of(data)), find_subspace(cube_of(1e6 * data, 1e6 * SIGMA))
    np.testing.assert_allclose(there.whitened, here.whitened, atol=1e-9)
    np.testing.assert_allclose(there.eigenvalues, here.eigenvalues, rtol=1e-9)
    np.testing.assert_allclose(np.abs(there.basis), 1e6 * np.abs(here.basis), rtol=1e-6)
    assert there.info_kept == pytest.approx(here.info_kept)


def test_information_kept_grows_with_the_components():
    cube = cube_of(signal(4) + noise())
    kept = [find_subspace(cube, n_components=k).info_kept for k in (1, 2, 3, 4)]
    assert 0 < kept[0] < kept[1] < kept[2] < kept[3] <= 1
    assert kept[3] > 0.98


@pytest.mark.parametrize("level", [0.0, 3.0])
def test_a_constant_cube_has_one_component(level):
    subspace = find_subspace(cube_of(np.full((N_WAVE, *SHAPE), level)))
    assert subspace.n_components == 1
    np.testing.assert_allclose(subspace.mean_spectrum, level)
    assert (subspace.whitened == 0).all()
    assert np.isfinite(subspace.basis).all()
    assert subspace.info_kept == 1.0


@pytest.mark.parametrize("k", [0, -1, 30, 10_000])
def test_more_components_than_the_data_define(k):
    data = signal(3)[:, :5, :6]
    with pytest.raises(ParameterError, match=f"n_components = {k} .* 1 to 29"):
        find_subspace(cube_of(data), n_components=k)
    assert find_subspace(cube_of(data), n_components=29).n_components == 29


def test_few_spaxels():
    data = signal(3)
    assert find_subspace(cube_of(data[:, :1, :3])).n_components <= 2
    with pytest.raises(InputError, match="1 usable spaxels"):
        find_subspace(cube_of(data[:, :1, :1]))
    with pytest.raises(InputError, match="no channel with data"):
        find_subspace(cube_of(data, np.full(N_WAVE, np.nan)))


def test_the_cube_is_not_modified():
    data = signal(2) + noise()
    data[3, 4, 5], data[7, 7, 7] = np.nan, 1e4
    before = data.copy()
    find_subspace(cube_of(data))
    np.testing.assert_array_equal(data, before)
