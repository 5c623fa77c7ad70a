"""Synthetic photometry of a cube."""

import numpy as np
import pytest

from jwst_fusion.optics.photometry import synthetic_photometry
from jwst_fusion.optics.throughput import bandpass, pivot_wavelength, transmission

WAVELENGTH = np.linspace(1.66, 2.3, 400)
WEIGHTS = bandpass("F182M", "B", WAVELENGTH)[0]


@pytest.mark.parametrize("name", ["F200W", "F212N"])
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
    holed[WEIGHTS == 0] = np.nan
    middle = int(np.argmax(WEIGHTS))
    holed[middle : middle + 4, 1, 2] = np.nan
    holed[middle + 20, 2] = np.nan
    before = holed.copy()
    np.testing.assert_allclose(synthetic_photometry(holed, WEIGHTS), whole, rtol=1e-12)
    np.testing.assert_array_equal(holed, before)


def test_wide_holes_stay_unknown():
    spectra = np.ones((400, 2, 2))
    middle = int(np.argmax(WEIGHTS))
    spectra[middle : middle + 30, 0, 0] = np.nan
    spectra[:, 1, 1] = np.nan
    found = synthetic_photometry(spectra, WEIGHTS)
    np.testing.assert_array_equal(np.isnan(found), [[True, False], [False, True]])
