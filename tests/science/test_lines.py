"""Lines of a scene whose fluxes, velocities and widths are known."""

from dataclasses import replace

import numpy as np
import pytest
from astropy import constants
from astropy import units as u

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.science.lines import _dispersion, line_window, measure_line

from .scenes import INSTRUMENT, LINE, WAVELENGTH, likely_errors, line_cube, low_rank, make_scene

HALF_WIDTH = 700.0


@pytest.fixture(scope="module")
def truth():
    return line_cube()


@pytest.fixture(scope="module")
def scene(truth):
    return make_scene(*low_rank(truth.cube))


@pytest.fixture(scope="module")
def window(scene):
    return line_window(scene, LINE, HALF_WIDTH)


@pytest.fixture(scope="module")
def measured(scene, window):
    return measure_line(scene.cells(), window)


def true_flux(truth):
    """Integral of a Gaussian over frequency, by astropy's units alone [W m-2 arcsec-2]."""
    at = LINE * (1 + truth.velocity / constants.c.to_value("km/s")) * u.um
    area = np.sqrt(2 * np.pi) * truth.peak * (u.MJy / u.sr) * truth.sigma * u.um
    return (area * constants.c / at**2).to_value("W m-2 arcsec-2")


def test_flux_is_the_integral_of_the_line(measured, truth):
    np.testing.assert_allclose(measured.flux.value, true_flux(truth), rtol=2e-3)
    assert (1 * u.Unit(measured.flux.unit)).to("erg s-1 cm-2 arcsec-2").value == pytest.approx(1e3)


def test_velocity_and_dispersion_are_those_of_the_gas(measured, truth):
    np.testing.assert_allclose(measured.velocity.value, truth.velocity, atol=0.6)
    np.testing.assert_allclose(measured.dispersion.value, truth.dispersion, rtol=0.02)


def test_continuum_and_equivalent_width(measured, truth):
    continuum = truth.cube[[0, -1]]
    at = (LINE - WAVELENGTH[0]) / np.ptp(WAVELENGTH)
    np.testing.assert_allclose(
        measured.continuum.value, (1 - at) * continuum[0] + at * continuum[1], rtol=2e-3
    )
    width = np.sqrt(2 * np.pi) * truth.sigma * truth.peak / measured.continuum.value
    np.testing.assert_allclose(measured.equivalent_width.value, width, rtol=3e-3)


def test_absorption_has_negative_width(truth):
    mean, basis, coefficients = low_rank(50 - truth.cube * 0.2)
    scene = make_scene(mean, basis, coefficients)
    measured = measure_line(scene.cells(), line_window(scene, LINE, HALF_WIDTH))
    assert (measured.equivalent_width.value < 0).all()
    np.testing.assert_allclose(measured.velocity.value, truth.velocity, atol=0.6)


def test_dispersion_of_an_unresolved_line_is_as_large_as_its_error(scene):
    wide = replace(scene, instrument_width=4 * INSTRUMENT)
    dispersion = measure_line(wide.cells(), line_window(wide, LINE, HALF_WIDTH)).dispersion
    assert (dispersion.value > 0).all()
    assert (dispersion.value < 2 * dispersion.error).all()


@pytest.mark.parametrize("widest", [2.0, 10.0])
def test_dispersions_near_the_limit_have_right_errors(widest):
    rng = np.random.default_rng(6)
    width = rng.uniform(0, widest, 20000)
    found = _dispersion(width**2 + rng.standard_normal(width.size), np.ones(width.size))
    assert 0.85 < np.sqrt(np.mean(((found.value - width) / found.error) ** 2)) < 1.1


@pytest.mark.parametrize("strength", [0.05, 0.5, 20.0])
def test_other_lines_are_no_continuum(truth, strength):
    other = strength * np.roll(truth.cube - truth.cube[:1], 30, axis=0)
    scene = make_scene(*low_rank(truth.cube + other, k=20))
    window = line_window(scene, LINE, 500.0)
    near = np.abs(WAVELENGTH - LINE - 30 * 4e-4) < 4e-4
    assert not window.continuum[near].any()
    assert window.continuum[WAVELENGTH < LINE].sum() > 15
    flux = measure_line(scene.cells(), window).flux.value
    np.testing.assert_allclose(flux, true_flux(truth), rtol=0.01)


def test_shifted_windows_see_the_line_shifted(scene, measured, truth):
    moved = line_window(scene, LINE * (1 + 50 / constants.c.to_value("km/s")), HALF_WIDTH)
    shifted = measure_line(scene.cells(), moved).velocity.value
    np.testing.assert_allclose(shifted - measured.velocity.value, -50, atol=0.6)


@pytest.mark.parametrize("quantity", ["flux", "velocity", "dispersion", "equivalent_width", "continuum"])
def test_errors_are_those_of_repeated_draws(scene, window, measured, quantity):
    """Cells and regions: the scatter over new errors of the same kind is what was stated."""
    weight = np.zeros(scene.inside.shape)
    weight[6:14, 5:15] = 1
    stated = [getattr(measure_line(part, window), quantity) for part in (scene.cells(), scene.region(weight))]
    rng, pulls = np.random.default_rng(8), ([], [])
    for _ in range(60):
        errors = likely_errors(rng, scene.coefficients.shape)
        drawn = replace(scene, coefficients=scene.coefficients + errors)
        for part, own, kept in zip((drawn.cells(), drawn.region(weight)), stated, pulls, strict=True):
            found = getattr(measure_line(part, window), quantity)
            kept.append((found.value - own.value) / own.error)
    cells, region = (np.sqrt(np.mean(np.square(kept))) for kept in pulls)
    assert 0.9 < cells < 1.1
    assert 0.75 < region < 1.3  # of 13 draws and 60


def test_noise_of_the_components_is_in_the_errors(truth):
    """Components of a noisy cube, the coefficients exact: all cells share noise, and say how much."""
    mean, basis, coefficients = low_rank(truth.cube)
    rng, noise, pulls, fluxes = np.random.default_rng(4), 2.0, [], []
    known = np.concatenate([np.ones((1, coefficients[0].size)), coefficients.reshape(12, -1)])
    exact = make_scene(mean, basis, coefficients, level=1e-6)
    window = line_window(exact, LINE, HALF_WIDTH)
    true = measure_line(exact.cells(), window)
    for _ in range(30):
        noisy = truth.cube + noise * rng.standard_normal(truth.cube.shape)
        fitted = np.linalg.lstsq(known.T, noisy.reshape(len(noisy), -1).T, rcond=None)[0]
        scene = make_scene(
            fitted[0], fitted[1:].T, coefficients, level=1e-6, noise=noise / np.sqrt(known.shape[1])
        )
        found = measure_line(scene.cells(), window)
        pulls.append((found.velocity.value - true.velocity.value) / found.velocity.error)
        fluxes.append((found.flux.value - true.flux.value) / found.flux.error)
    assert 0.9 < np.sqrt(np.mean(np.square(pulls))) < 1.1
    assert 0.9 < np.sqrt(np.mean(np.square(fluxes))) < 1.1


def test_a_channel_without_data_in_a_line_is_interpolated_with_an_error(truth):
    """Wherever in the line it lies: true fluxes and velocities are within the errors, which grow there."""
    whole = make_scene(*low_rank(truth.cube), level=1e-6)
    window = line_window(whole, LINE, HALF_WIDTH)
    middle, pulls = int(np.argmin(np.abs(WAVELENGTH - LINE))), []
    exact = measure_line(whole.cells(), window)
    for dead in range(middle - 5, middle + 6):
        alive = np.arange(WAVELENGTH.size) != dead
        mean, basis, coefficients = low_rank(truth.cube)
        mean, basis = mean.copy(), basis.copy()
        mean[dead], basis[dead] = 0.0, 0.0
        scene = make_scene(mean, basis, coefficients, level=1e-6, alive=alive).without_gaps()
        found = measure_line(scene.cells(), line_window(scene, LINE, HALF_WIDTH))
        for name in ("flux", "velocity"):
            quantity, own = getattr(found, name), getattr(exact, name)
            pulls.append((quantity.value - own.value) / quantity.error)
            assert np.median(quantity.error) > 5 * np.median(own.error)
        np.testing.assert_allclose(found.flux.value, exact.flux.value, rtol=0.06)
    assert 0.5 < np.sqrt(np.mean(np.square(pulls))) < 1.5


def test_gaps_of_many_channels_and_at_the_edges_are_left(scene):
    alive = np.ones(WAVELENGTH.size, dtype=bool)
    alive[[0, 1, -1, 50, 51, 52, 53, 80, 90, 91]] = False
    filled = replace(scene, alive=alive).without_gaps()
    assert filled.gaps.tolist() == [80, 90, 91]
    left = np.setdiff1d(np.arange(WAVELENGTH.size), [80, 90, 91])
    np.testing.assert_array_equal(filled.mean_spectrum[left], scene.mean_spectrum[left])
    np.testing.assert_allclose(filled.mean_spectrum[80], scene.mean_spectrum[80], rtol=1e-3)


def test_error_of_the_flux_scale_is_in_flux_and_not_in_velocity(scene, window, measured):
    scaled = replace(scene, scale_error=0.1)
    found = measure_line(scaled.cells(), window)
    np.testing.assert_allclose(found.flux.error, np.hypot(measured.flux.error, 0.1 * measured.flux.value))
    np.testing.assert_allclose(found.velocity.error, measured.velocity.error)


def test_error_of_the_offset_is_what_a_displacement_changes(scene, window, measured):
    """Of a cell, and of a region as a whole."""
    weight = np.zeros(scene.inside.shape)
    weight[5:15, 4:12] = 1
    displaced = replace(scene, offset_error=0.01)
    step = 0.01 / np.sqrt(scene.cell_area)
    gradient = np.hypot(*np.gradient(measured.flux.value)) * step
    error = measure_line(displaced.cells(), window).flux.error
    np.testing.assert_allclose(error, np.hypot(measured.flux.error, gradient), rtol=1e-9)
    whole, moved = (measure_line(each.region(weight), window).flux for each in (scene, displaced))
    changes = [(each * weight).sum() * step for each in np.gradient(measured.flux.value)]
    expected = np.hypot(whole.error, np.hypot(*changes) * scene.cell_area)
    assert moved.error == pytest.approx(expected, rel=1e-9)


def test_flux_of_a_region_is_the_sum_of_its_cells(scene, window, measured):
    weight = np.random.default_rng(2).uniform(size=scene.inside.shape)
    region = measure_line(scene.region(weight), window)
    expected = (measured.flux.value * weight).sum() * scene.cell_area
    assert region.flux.value == pytest.approx(expected, rel=1e-12)
    assert region.flux.unit == "W m-2"


def test_errors_of_regions_at_the_edge_are_those_within(truth, window):
    mean, basis, coefficients = low_rank(truth.cube)
    whole = make_scene(mean, basis, coefficients, n_draws=60)
    outside = np.indices(coefficients.shape[1:]).sum(axis=0) > 24
    cut = make_scene(
        mean, basis, np.where(outside, np.nan, coefficients),
        n_draws=60, draws=np.where(outside, 0.0, whole.draws),
    )  # fmt: skip
    weight = np.zeros(outside.shape)
    weight[10:12, 11:13] = 1  # its corner is the last cell of the field
    errors = [measure_line(scene.region(weight), window).flux.error for scene in (whole, cut)]
    assert errors[1] == pytest.approx(errors[0], rel=0.1)


def test_cells_outside_the_field_are_unknown(scene, window):
    coefficients = scene.coefficients.copy()
    coefficients[:, :4] = np.nan
    holed = replace(scene, coefficients=coefficients)
    found = measure_line(holed.cells(), window)
    for name, quantity in found.quantities.items():
        assert np.isnan(quantity.value[:4]).all(), name
        assert np.isnan(quantity.error[:4]).all(), name
        assert np.isfinite(quantity.value[4:]).all(), name
        assert (quantity.error[4:] > 0).all(), name


@pytest.mark.parametrize(
    ("wavelength", "half_width", "words"),
    [
        (1.5, 500.0, "is not within the cube"),
        (2.0005, 500.0, "is not within the cube"),
        (2.0055, 700.0, "channels below"),
        (2.13, 500.0, "channels without data"),
        (2.08, 20.0, "each way is narrower"),
        (2.08, -1.0, "positive"),
    ],
)
def test_lines_that_cannot_be_measured_say_why(scene, wavelength, half_width, words):
    alive = np.abs(WAVELENGTH - 2.13) > 0.002
    with pytest.raises(ParameterError, match=words):
        line_window(replace(scene, alive=alive), wavelength, half_width)
