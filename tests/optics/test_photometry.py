"""Synthetic photometry of a cube."""

import numpy as np
import pytest

from jwst_fusion.optics.photometry import synthetic_photometry
from jwst_fusion.optics.throughput import bandpass, pivot_wavelength, transmission

WAVELENGTH = np.linspace(1.66, 2.3, 400)
WEIGHTS = bandpass("F182M", "B", WAVELENGTH)[0]


def test_a_flat_cube_stays_flat():
    field = np.random.default_rng(0).uniform(1, 2, (5, 6))
    cube = np.broadcast_to(field, (400, 5, 6))
    np.testing.assert_allclose(synthetic_photometry(cube, WEIGHTS), field, rtol=1e-12)


@pytest.mark.parametrize("name", ["F182M", "F200W", "F210M", "F212N"])
def test_photons_are_counted(name):
    wavelength = np.linspace(1.6, 2.4, 4000)
    weights = bandpass(name, "B", wavelength)[0]
    at, throughput = transmission(name, "B")
    slope = 1 + 3 * (wavelength - 2.0)
    expected = np.trapezoid(throughput / at * (1 + 3 * (at - 2.0)), at) / np.trapezoid(throughput / at, at)
    found = synthetic_photometry(slope[:, None, None], weights)
    assert found[0, 0] == pytest.approx(expected, rel=1e-4)
    # A spectrum of constant f_lambda has the pivot wavelength's brightness per frequency.
    found = synthetic_photometry((wavelength**2)[:, None, None], weights)
    assert np.sqrt(found[0, 0]) == pytest.approx(pivot_wavelength(name, "B"), rel=1e-4)


def test_linear_spectra_are_bridged_exactly():
    spectra = (1 + 3 * (WAVELENGTH - 2))[:, None, None] * np.ones((400, 3, 4))
    whole = synthetic_photometry(spectra, WEIGHTS)
    holed = spectra.copy()
    middle = int(np.argmax(WEIGHTS))
    holed[middle : middle + 4, 1, 2] = np.nan
    holed[middle + 20, 2] = np.nan
    np.testing.assert_allclose(synthetic_photometry(holed, WEIGHTS), whole, rtol=1e-12)


def test_wide_holes_stay_unknown():
    spectra = np.ones((400, 2, 2))
    middle = int(np.argmax(WEIGHTS))
    spectra[middle : middle + 30, 0, 0] = np.nan
    spectra[:, 1, 1] = np.nan
    found = synthetic_photometry(spectra, WEIGHTS)
    np.testing.assert_array_equal(np.isnan(found), [[True, False], [False, True]])


def test_channels_without_weight_do_not_matter():
    spectra = np.ones((400, 1, 2))
    spectra[WEIGHTS == 0] = np.nan
    spectra[np.flatnonzero(WEIGHTS == 0)[:3], 0, 1] = 1e30
    np.testing.assert_allclose(synthetic_photometry(spectra, WEIGHTS), 1.0)


def test_the_cube_is_not_modified():
    spectra = np.ones((400, 1, 1), dtype=np.float32)
    spectra[int(np.argmax(WEIGHTS))] = np.nan
    before = spectra.copy()
    result = synthetic_photometry(spectra, WEIGHTS)
    np.testing.assert_array_equal(spectra, before)
    assert result.dtype == np.float64
