import numpy as np
import pytest
from scipy import fft

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.simulation.nircam import Pointing, read_band
from jwst_fusion.simulation.nirspec import CubeGrid, add_defects, add_noise, observe_cube
from jwst_fusion.simulation.scene import Component, Scene, SceneGrid, Spectrum, Star, raster_scene
from jwst_fusion.simulation.scenes import SCENES, make_scene
from jwst_fusion.simulation.setups import SETUPS, get_setup
from jwst_fusion.simulation.telescope import make_telescopes, node_coefficients, wavelength_nodes


@pytest.fixture(scope="module")
def telescopes():
    return make_telescopes(np.random.default_rng(0), {"SHORT": 0.070, "LONG": 0.095, "NIRSPEC": 0.100})


def width(psf, step):
    """Diameter [arcsec] of the circle with the area above half the peak."""
    return 2 * np.sqrt((psf > psf.max() / 2).sum() / np.pi) * step


@pytest.mark.parametrize(("name", "fwhm"), [("F115W", 0.039), ("F200W", 0.068), ("F444W", 0.150)])
def test_optical_width(telescopes, name, fwhm):
    band = read_band(name)
    step, size = fwhm / 30, 240
    freq = np.fft.fftfreq(size, step)
    total = np.zeros((size, size), dtype=complex)
    for wavelength in np.linspace(band.wavelength[0], band.wavelength[-1], 7):
        weight = np.interp(wavelength, band.wavelength, band.weights)
        transfer = telescopes[band.channel].transfer(wavelength, -freq[None, :], freq[:, None], 20.0)
        total += weight * transfer
    psf = np.fft.ifft2(total).real
    assert width(psf, step) == pytest.approx(fwhm, rel=0.04)


def test_transfer_is_hermitian_and_turns_with_the_telescope(telescopes):
    telescope = telescopes["SHORT"]
    east, north = np.array([3.0, -3.0, 0.0]), np.array([1.0, -1.0, 0.0])
    value = telescope.transfer(2.0, east, north, 30.0)
    assert value[2] == pytest.approx(1.0)
    assert value[0] == pytest.approx(np.conj(value[1]), abs=1e-6)
    v3 = telescope.transfer(2.0, np.array([0.0]), np.array([5.0]), 0.0)
    turned = telescope.transfer(2.0, np.array([5.0]), np.array([0.0]), 90.0)
    assert turned == pytest.approx(v3, abs=1e-6)


def test_nodes_reproduce_a_smooth_function_and_band_weights_count_photons():
    nodes = wavelength_nodes(1.66, 2.36)
    wavelength = np.linspace(1.66, 2.36, 101)
    coefficients = node_coefficients(nodes, wavelength)
    np.testing.assert_allclose(coefficients @ np.sin(5 * nodes), np.sin(5 * wavelength), atol=1e-4)
    band = read_band("F210M")
    assert band.weights.sum() == pytest.approx(1)
    pivot = np.sqrt(band.throughput.sum() / (band.throughput / band.wavelength**2).sum())
    assert pivot == pytest.approx(2.096, abs=0.01)


def test_detector_axes():
    east, north = Pointing(0.0, 0.0, 0.0, 3).pixel_offsets(0.03)
    assert north[2, 1] == pytest.approx(0.03)
    assert east[1, 2] == pytest.approx(-0.03)
    east, _ = Pointing(0.0, 0.0, 90.0, 3).pixel_offsets(0.03)
    assert east[2, 1] == pytest.approx(0.03)


def test_total_width_of_the_ifu(telescopes):
    flat = Spectrum(np.ones_like)
    grid = SceneGrid(360, 0.1 / 9, 2.0, -2.0)
    scene = raster_scene(Scene("s", "S", (), (Star(0.0, 0.0, 1.0, flat),)), grid)
    transform = fft.rfft2(scene.maps)
    wavelength = np.linspace(1.99, 2.01, 9)
    rows = []
    for shift in (0.0, 0.025, 0.05, 0.075):  # dithered rows of spaxels sample the profile at 0.025"
        cube_grid = CubeGrid((1, 7), 0.3 + shift, 0.0, 0.0, 0.0, 3.0, 111.7, 250.67)
        rows.append(observe_cube(transform, scene, telescopes["NIRSPEC"], cube_grid, wavelength)[4, 0])
    profile = np.array(rows)[::-1].T.ravel()
    fine = np.interp(np.arange(0, 27, 0.1), np.arange(28), profile)
    fwhm = (fine > fine.max() / 2).sum() * 0.0025
    assert fwhm == pytest.approx(0.14, abs=0.015)


def test_cube_conserves_flux_and_position(telescopes):
    grid = SceneGrid(360, 0.1 / 9, 2.0, -2.0)
    flat = Spectrum(np.ones_like)
    scene = raster_scene(Scene("s", "S", (), (Star(0.2, -0.3, 3.0, flat),)), grid)
    cube_grid = CubeGrid((40, 40), 1.95, -1.95, 0.0, 0.0, 3.0, 111.7, 250.67)
    wavelength = np.linspace(1.99, 2.01, 9)
    cube = observe_cube(fft.rfft2(scene.maps), scene, telescopes["NIRSPEC"], cube_grid, wavelength)
    np.testing.assert_allclose(cube.sum(axis=(1, 2)) * 0.01, 3.0, rtol=1e-4)
    core = cube[4, 12:22, 12:23]
    y, x = np.indices(core.shape)
    assert 1.95 - 0.1 * ((x * core).sum() / core.sum() + 12) == pytest.approx(0.2, abs=0.01)
    assert -1.95 + 0.1 * ((y * core).sum() / core.sum() + 12) == pytest.approx(-0.3, abs=0.01)


def test_noise_and_errors():
    rng = np.random.default_rng(1)
    grid = CubeGrid((30, 30), 1.45, -1.45, 0.0, 0.0, 2.0, 0.0, 10.0)
    wavelength = np.linspace(2.0, 2.1, 300)
    clean = np.full((300, 30, 30), 100.0)
    footprint = grid.footprint()
    data, sigma, noise = add_noise(clean, footprint, rng=rng, snr=20, level=100.0)
    assert (data - clean).std() == pytest.approx(sigma.mean(), rel=0.02)
    neighbours = np.corrcoef((data - clean)[:, :, 1:].ravel(), (data - clean)[:, :, :-1].ravel())[0, 1]
    assert 0.3 < neighbours < 0.6
    arrays = add_defects(data, sigma, noise, grid, wavelength, rng=rng, gap=(2.05, 2.06))
    assert np.nanmedian(sigma / arrays.error) == pytest.approx(1.4, rel=1e-4)
    lost = np.isnan(arrays.data[:, footprint])
    ragged = lost.any(axis=1) & ~lost.all(axis=1)
    assert ragged.any()
    assert np.abs(wavelength[ragged] - 2.055).max() < 0.008
    residual = np.array([(arrays.data[tuple(v)] - 100) / sigma[tuple(v)] for v in arrays.outliers])
    assert len(residual) > 5
    assert residual.min() > 4


@pytest.mark.parametrize("name", SCENES)
def test_scenes_are_separable_positive_and_seeded(name):
    scene, again = make_scene(name, seed=1), make_scene(name, seed=1)
    grid = SceneGrid(120, 0.02, 1.2, -1.2)
    maps = raster_scene(scene, grid).maps
    assert 2 <= len(scene.components) <= 8
    assert maps.min() >= 0
    assert np.array_equal(maps, raster_scene(again, grid).maps)
    assert not np.array_equal(maps, raster_scene(make_scene(name, seed=2), grid).maps)
    spectra = raster_scene(scene, grid).evaluate_spectra(np.linspace(0.97, 5.2, 500))
    assert np.isfinite(spectra).all()
    assert spectra.min() >= 0


def test_wide_channels_and_broad_lines_conserve_a_lines_flux():
    wavelength, lines = np.linspace(1.9, 2.1, 4001), ((2.0, 3.0),)
    natural = Spectrum(np.zeros_like, lines)
    wide = natural(wavelength, channel_width=0.004)
    broad = Spectrum(np.zeros_like, lines, width=1500.0).shifted(600.0)(wavelength)
    for changed in (wide, broad):
        assert changed.sum() == pytest.approx(natural(wavelength).sum(), rel=1e-6)
        assert changed.max() < 0.5 * natural(wavelength).max()
    assert (broad * wavelength).sum() / broad.sum() == pytest.approx(2.0 * (1 + 600 / 299792.458), abs=1e-6)


def test_star_is_centred():
    grid = SceneGrid(200, 0.01, 1.0, -1.0)
    flat = Spectrum(np.ones_like)
    dark = Component("dark", lambda east, north: 0.0 * east, flat)
    maps = raster_scene(Scene("s", "S", (dark,), (Star(0.30, -0.20, 2.0, flat),)), grid).maps
    assert np.unravel_index(maps[1].argmax(), maps[1].shape) == (80, 70)
    assert maps[1].sum() * 0.01**2 == pytest.approx(2.0)


def test_setups_cover_their_filters_and_unknown_names_are_refused():
    with pytest.raises(ParameterError, match="expected one of disk"):
        make_scene("quasar")
    with pytest.raises(ParameterError, match="G235H/F170LP"):
        get_setup("G999")
    with pytest.raises(ParameterError, match="F999W"):
        read_band("F999W")
    for setup in SETUPS.values():
        low, high = setup.cube_range
        assert low <= setup.fusion_range[0] < setup.fusion_range[1] <= high
        for name in setup.filters:
            assert read_band(name).channel == setup.channel
