"""The spectral subspace of a cube."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import convolve1d, gaussian_filter

from jwst_fusion.exceptions import InputError, ParameterError
from jwst_fusion.inversion.subspace import find_subspace, noise_edge
from jwst_fusion.observation import CubeData

N_WAVE, SHAPE = 300, (18, 16)
WAVELENGTH = np.linspace(1.7, 2.3, N_WAVE)
SIGMA = 0.2 * (1 + 0.5 * np.sin(WAVELENGTH * 9) ** 2)
DRIZZLE = [0.35, 1.0, 0.35]


def cube_of(data, noise=SIGMA, footprint=None):
    footprint = np.ones(data.shape[1:], dtype=bool) if footprint is None else footprint
    error = np.broadcast_to(noise[:, None, None], data.shape)
    return CubeData(data, error, WAVELENGTH[: len(data)], noise, footprint, 0.0, 0.0)


def smooth_spectra(k, rng):
    """Random smooth spectra of unit mean square, (k, n_wave)."""
    spectra = gaussian_filter(rng.normal(size=(k, N_WAVE)), (0, 15))
    return spectra / np.sqrt((spectra**2).mean(axis=1, keepdims=True))


def signal(k, amplitude=8.0, seed=0):
    """A mean spectrum and k smooth spectra times maps, in units of the noise about the amplitude."""
    rng = np.random.default_rng(seed)
    spectra = smooth_spectra(k, rng)
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
    return subspace.mean_spectrum[:, None, None] + np.tensordot(subspace.basis, subspace.coefficients, axes=1)


def overlap(first, second):
    """Least cosine between two subspaces."""
    return np.linalg.svd(first.whitened_basis.T @ second.whitened_basis)[1].min()


@pytest.mark.parametrize("k", [1, 4])
def test_low_rank_data_are_recovered_exactly(k):
    data = signal(k)
    before = data.copy()
    subspace = find_subspace(cube_of(data))
    assert subspace.n_components == k
    np.testing.assert_array_equal(data, before)
    np.testing.assert_allclose(rebuild(subspace), data, rtol=1e-10)
    np.testing.assert_allclose(subspace.mean_spectrum, data.mean(axis=(1, 2)), rtol=1e-12)
    assert subspace.info_kept == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(subspace.whitened_basis.T @ subspace.whitened_basis, np.eye(k), atol=1e-12)


@pytest.mark.parametrize("kernel", [None, DRIZZLE])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_components_are_counted(k, kernel):
    data = signal(k, amplitude=12.0, seed=k) + noise(k, kernel)
    assert find_subspace(cube_of(data)).n_components == k


def test_noise_makes_no_components_even_if_it_is_misjudged():
    for kernel in (None, DRIZZLE):
        assert find_subspace(cube_of(10 + noise(3, kernel))).n_components == 1
    cube = cube_of(signal(2) + noise())
    for factor in (0.9, 1.1):
        assert find_subspace(replace(cube, noise=factor * SIGMA)).n_components == 2


def test_a_component_counts_from_a_quarter_above_what_noise_reaches():
    """The Marchenko-Pastur edge; or the trend of the axes beyond, which shared noise raises."""
    shape, white = (300, 288), (1 + np.sqrt(300 / 288)) ** 2
    flat = np.linspace(0.5, 0.4, 8) * white
    for factor, counted in ((1.15, False), (1.35, True)):
        values = np.array([factor * white, *flat])
        assert (values[0] > noise_edge(values, shape, 5)) == counted
        raised = np.array([2 * factor * 1.05 * white, *(2 * white * np.array([1.0, 0.95, 0.9, 0.85, 0.8]))])
        assert (raised[0] > noise_edge(raised, shape, 1)) == counted


def test_the_subspace_is_near_the_true_one_and_keeps_information():
    cube = cube_of(signal(4) + noise())
    assert find_subspace(cube, max_components=3).n_components == 3
    assert find_subspace(cube, n_components=7, max_components=3).n_components == 7
    few = find_subspace(cube_of(signal(3)[:, :5, :6]), n_components=3)  # fewer spaxels than channels
    np.testing.assert_allclose(rebuild(few), signal(3)[:, :5, :6], rtol=1e-9)
    assert overlap(find_subspace(cube), find_subspace(cube_of(signal(4)))) > 0.98
    kept = [find_subspace(cube, n_components=k).info_kept for k in (1, 2, 3, 4)]
    assert 0 < kept[0] < kept[1] < kept[2] < kept[3] <= 1
    assert kept[3] > 0.98


@pytest.mark.parametrize(("spaxels", "brightness"), [(SHAPE, 40.0), ((6, 5), 9.0)])
def test_a_star_does_not_take_the_first_component(spaxels, brightness):
    """What all spaxels vary by is the first, although the star alone has several times their power."""
    rng = np.random.default_rng(7)
    cloud, star = smooth_spectra(2, rng)
    cloud -= star * (cloud @ star) / N_WAVE
    cloud /= np.sqrt((cloud**2).mean())
    maps = rng.normal(size=spaxels)
    data = 10 + SIGMA[:, None, None] * 8 * np.multiply.outer(cloud, maps)
    total = (maps**2).sum()
    data[:, 3, 2] += SIGMA * 8 * np.sqrt(brightness * total / maps.size * maps.size / 2) * star
    data += SIGMA[:, None, None] * rng.normal(size=data.shape)
    (axis,) = find_subspace(cube_of(data), n_components=1).whitened_basis.T
    assert abs(axis @ cloud) / np.sqrt(N_WAVE) > 0.9


@pytest.mark.parametrize("seed", [4, 5])
def test_outliers_make_no_components_and_are_replaced(seed):
    data = signal(2) + noise()
    clean = find_subspace(cube_of(data))
    rng = np.random.default_rng(seed)
    hit = np.zeros(data.shape, dtype=bool)
    hit.ravel()[rng.choice(data.size, 20, replace=False)] = True
    # A single voxel stands out of the noise's axes from (300 * 288)^(1/4) = 17 sigma on.
    data[hit] += (rng.uniform(12, 16, data.shape) * SIGMA[:, None, None])[hit]
    data[200, 9, 9] += 200 * SIGMA[200]
    subspace = find_subspace(cube_of(data))
    assert subspace.n_components == 2
    assert overlap(clean, subspace) > 0.998
    assert np.abs(subspace.whitened - clean.whitened)[hit].mean() < 6


def test_noise_and_stars_are_no_outliers():
    data = signal(2, amplitude=2.0) + noise()
    data[:, 8, 8] *= 40.0
    data[40, 3, 3] += 6 * SIGMA[40] - noise()[40, 3, 3]  # rare, but noise
    subspace = find_subspace(cube_of(data))
    np.testing.assert_allclose(rebuild(subspace)[:, 8, 8], data[:, 8, 8], rtol=0.02)
    channel = (data - subspace.mean_spectrum[:, None, None]) / SIGMA[:, None, None]
    np.testing.assert_allclose(subspace.whitened[40], channel[40], rtol=1e-3, atol=1e-3)


def test_holes_are_bridged():
    data = signal(2)
    holed = data.copy()
    holed[np.random.default_rng(5).random(data.shape) < 0.03] = np.nan
    holed[100:106, 4, 5] = np.nan
    subspace = find_subspace(cube_of(holed))
    assert subspace.n_components == 2
    assert subspace.spaxels.all()
    np.testing.assert_allclose(rebuild(subspace), data, rtol=2e-3)
    np.testing.assert_allclose(subspace.mean_spectrum, data.mean(axis=(1, 2)), rtol=2e-3)


def test_a_missing_voxel_on_the_peak_of_a_line_leaves_no_hole():
    rng = np.random.default_rng(8)
    data = signal(2)
    strength = rng.lognormal(3.0, 1.0, SHAPE)
    data[119:122] += np.array([0.5, 1.0, 0.5])[:, None, None] * strength
    peak = np.unravel_index(np.argmax(data[120]), SHAPE)
    holed = data + noise()
    holed[rng.random(data.shape) < 0.01] = np.nan
    holed[(120, *peak)] = np.nan
    found = rebuild(find_subspace(cube_of(holed)))[(120, *peak)]
    assert found == pytest.approx(data[(120, *peak)], rel=0.01, abs=6 * SIGMA[120])


def test_a_spaxel_is_used_from_seven_tenths_of_its_channels():
    data = signal(2)
    data[:80, 3, 4], data[:100, 5, 4], data[:, 0] = np.nan, np.nan, np.nan
    footprint = np.ones(SHAPE, dtype=bool)
    footprint[:, 0] = False
    subspace = find_subspace(cube_of(data, footprint=footprint))
    expected = footprint.copy()
    expected[5, 4] = False
    expected[0] = False
    np.testing.assert_array_equal(subspace.spaxels, expected)
    assert (subspace.whitened[:, ~expected] == 0).all()
    np.testing.assert_allclose(rebuild(subspace)[80:, expected], data[80:, expected], rtol=1e-3)


def test_dead_channels_are_bridged_and_have_no_weight():
    data, sigma = signal(2), SIGMA.copy()
    dead = [0, 100, 101, 299]
    data[dead], sigma[dead] = np.nan, np.nan
    subspace = find_subspace(cube_of(data, sigma))
    assert (subspace.weights[dead] == 0).all()
    assert (subspace.whitened[dead] == 0).all()
    np.testing.assert_allclose(rebuild(subspace)[dead], signal(2)[dead], rtol=0.02)


def test_a_constant_cube_has_one_component():
    subspace = find_subspace(cube_of(np.full((N_WAVE, *SHAPE), 3.0)))
    assert subspace.n_components == 1
    np.testing.assert_allclose(subspace.mean_spectrum, 3.0)
    assert (subspace.whitened == 0).all()
    assert np.isfinite(subspace.basis).all()
    assert subspace.info_kept == 1.0


def test_more_components_than_the_data_define():
    data = signal(3)[:, :5, :6]
    for k in (0, 30):
        with pytest.raises(ParameterError, match=f"n_components = {k} .* 1 to 29"):
            find_subspace(cube_of(data), n_components=k)
    assert find_subspace(cube_of(data), n_components=29).n_components == 29
    assert find_subspace(cube_of(data[:, :1, :3])).n_components <= 2
    with pytest.raises(InputError, match="1 usable spaxels"):
        find_subspace(cube_of(data[:, :1, :1]))
    with pytest.raises(InputError, match="no channel with data"):
        find_subspace(cube_of(data, np.full(N_WAVE, np.nan)))
