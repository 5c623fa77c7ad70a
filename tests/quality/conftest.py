"""A made-up fused cube and all that a report shows of it."""

from dataclasses import astuple, replace

import numpy as np
import pytest

from jwst_fusion.coregistration.comparison import Comparison
from jwst_fusion.quality.content import BandRow, ReportContent, SkyFrame
from jwst_fusion.quality.diagnosis import Diagnosis, quantise_spectra

N_WAVE, N_CELLS, D = 60, 24, 3


def made_up_diagnosis(wavelength, basis, coefficients):
    """Arrays that a fusion of two bands leaves."""
    rng = np.random.default_rng(5)
    images = 5 + rng.normal(size=(2, N_CELLS, N_CELLS))
    spaxels = coefficients.reshape(2, N_CELLS // D, D, N_CELLS // D, D).mean(axis=(2, 4))
    noise = np.full(N_WAVE, 0.1)
    departure = np.tensordot(basis, spaxels, axes=1) + 0.1 * rng.normal(size=(N_WAVE, *spaxels.shape[1:]))
    departure[:, 0, 0] = np.nan
    spectra, step, own, averaged = quantise_spectra(departure, basis, noise)
    return Diagnosis(
        images=images, predicted=images + 0.01, image_residuals=rng.normal(size=images.shape),
        matched=images, bandpasses=np.full((2, N_WAVE), 1 / N_WAVE),
        comparisons=np.array([astuple(Comparison(0.001, 0.002, 0.001, 0.99, *[0.001] * 6, 0.0)),
                              astuple(Comparison(0.0, 0.001, 0.001, 0.98, *[0.001] * 6, 0.01))]),
        known=np.array([1.0, 0.9]),
        misfit=np.array([0.7, 0.5]), patch=np.array([1.0, 2.5]), outside=np.array([0.4, 0.5]),
        spectra=spectra, spectra_step=step, spectra_coefficients=own, channels_averaged=averaged,
        cube_rms=np.ones(spaxels.shape[1:]), cube_mean=np.zeros(spaxels.shape[1:]),
        cube_misfit=np.ones(spaxels.shape[1:]),
        residual_mean=np.zeros(N_WAVE), residual_rms=np.ones(N_WAVE), channel_misfit=np.ones(N_WAVE),
        wiggle=0.01,
        eigenvalues=np.array([100.0, 10.0, 1.1, 1.0]),
        tuning_weight=np.array([0.1, 1.0, 10.0]), tuning_merit=np.array([2.0, 1.0, 3.0]), tuning_chosen=1.0,
        psf_wavelength=wavelength[::20], psf_nircam=np.full(3, 0.07), psf_nirspec=np.full(3, 0.13),
        psf_radius=np.linspace(0.1, 1, 5), energy_nircam=np.linspace(0.5, 1, 5),
        energy_nirspec=np.linspace(0.4, 1, 5),
    )  # fmt: skip


@pytest.fixture
def content():
    """All that a report shows, of two components and two bands, one of them held out."""
    rng = np.random.default_rng(4)
    wavelength = np.linspace(2.0, 2.2, N_WAVE)
    basis = np.stack([np.ones(N_WAVE), np.exp(-(((wavelength - 2.1218) / 0.002) ** 2))], axis=1)
    coefficients = rng.normal(size=(2, N_CELLS, N_CELLS))
    coefficients[:, :, :D] = np.nan
    alive = np.ones(N_WAVE, dtype=bool)
    alive[7] = False
    return ReportContent(
        name="made_up_fused.fits",
        target="nothing",
        wavelength=wavelength,
        mean_spectrum=np.full(N_WAVE, 10.0),
        basis=basis,
        coefficients=coefficients,
        coefficient_errors=np.where(np.isfinite(coefficients), 0.1, np.nan),
        alive=alive,
        error_spectra=np.full((N_WAVE, 1), 0.1),
        error_maps=np.where(np.isfinite(coefficients[:1]), 1.0, np.nan),
        frame=SkyFrame(83.8, -5.4, 11.5, 11.5, (-1e-5, 0.0, 0.0, 1e-5)),
        pixel_area=2.6e-14,
        bands=(
            BandRow("F210M", 2.1, 1.1, 0.01, 0.1, -0.05, 0.003, 50.0, 0.99, 0.5),
            BandRow("F212N", 2.12, 1.05, 0.01, 0.1, -0.05, 0.003, 35.0, 0.93, 2.0, held_out=True),
        ),
        spectral={
            "cube_mean": np.full(N_WAVE, 10.0), "fused_mean": np.full(N_WAVE, 10.01),
            "relative_error": np.full(N_WAVE, 0.001), "psf_fwhm": np.full(N_WAVE, 0.09),
        },
        settings={"alignment": "refined", "converged": True, "mu": 0.5, "info_kept": 0.99},
        provenance=(("Made", "today"),),
        inputs=({"file": "a_i2d.fits", "sha256": "0123abcd"}, {"file": "b_s3d.fits"}),
        parameters=(("fusion.mu", "None"),),
        flags=(("DO_NOT_USE", 0.1),),
        preflight=({"cure": "", "file": "a_i2d.fits", "verdict": "good", "what": "NIRCam"},),  # as ASDF sorts
        log=("a line of the log",),
        diagnosis=made_up_diagnosis(wavelength, basis, coefficients),
    )  # fmt: skip


@pytest.fixture
def bare(content):
    """The same from a product that holds no more than the contract's tables and images."""
    return replace(
        content,
        diagnosis=Diagnosis(),
        spectral={},
        settings={},
        provenance=(),
        inputs=(),
        parameters=(),
        flags=(),
        preflight=(),
        log=(),
    )
