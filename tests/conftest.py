"""What the tests share."""

import gc

import numpy as np
import pytest

from jwst_fusion.datamodels import (
    CrossCalibratedModel,
    FusedCubeModel,
    assign_wcs,
    set_wavelengths,
)

N_WAVE, N_Y, N_X = 20, 9, 12


def pytest_collection_finish():
    """Take what was imported out of the garbage collections that stpipe asks for after each step."""
    gc.collect()
    gc.freeze()


def fill_cube(model, wavelength, cell_size=0.0333):
    """Give a model a cube of noise, with errors, weights and coordinates."""
    rng = np.random.default_rng(20)
    shape = (len(wavelength), N_Y, N_X)
    model.data = rng.normal(size=shape).astype(np.float32)
    model.data[:, 0, 0] = np.nan
    model.err = np.full(shape, 0.1, dtype=np.float32)
    model.dq = np.isnan(model.data).astype(np.uint32)
    model.weightmap = np.ones(shape, dtype=np.float32)
    info = model.meta.wcsinfo
    info.ctype1, info.ctype2, info.cunit1, info.cunit2 = "RA---TAN", "DEC--TAN", "deg", "deg"
    info.crval1, info.crval2, info.crpix1, info.crpix2 = 83.83, -5.4, 6.5, 5.0
    info.cdelt1 = info.cdelt2 = cell_size / 3600
    cosine, sine = np.cos(np.radians(33.0)), np.sin(np.radians(33.0))
    info.pc1_1, info.pc1_2, info.pc1_3 = -cosine, sine, 0.0
    info.pc2_1, info.pc2_2, info.pc2_3 = sine, cosine, 0.0
    info.pc3_1, info.pc3_2, info.pc3_3 = 0.0, 0.0, 1.0
    set_wavelengths(model, wavelength)
    assign_wcs(model)
    model.meta.telescope = "JWST"
    model.meta.instrument.name = "NIRSPEC"
    model.meta.exposure.type = "NRS_IFU"
    model.meta.wcsinfo.dispersion_direction = 3
    return model


@pytest.fixture(params=["linear", "tabular"])
def wavelength(request):
    """Wavelengths [um] in equal steps, and in others."""
    steps = np.linspace(1.66, 2.36, N_WAVE)
    return steps if request.param == "linear" else steps**1.1


@pytest.fixture
def fused_model(wavelength):
    """A complete fused cube of three components and two bands."""
    model = fill_cube(FusedCubeModel(), wavelength)
    n_wave = len(wavelength)
    basis = np.stack([wavelength, wavelength**2, wavelength**3], axis=1)
    model.set_components(wavelength, np.linspace(1.0, 2.0, n_wave), basis, np.full(n_wave, 0.02))
    model.coefficients = np.full((3, N_Y, N_X), 0.5, dtype=np.float32)
    model.coefficient_errors = np.full((3, N_Y, N_X), 0.01, dtype=np.float32)
    model.set_draws(np.random.default_rng(21).normal(scale=0.01, size=(4, 3, N_Y, N_X)))
    model.set_table(
        "filters", filter=["F182M", "F200W"], pivot=[1.84, 1.99], psnr=[40.0, np.nan], held_out=[0, 1]
    )
    model.set_table("spectral", wavelength=wavelength, cube_mean=np.ones(n_wave))
    model.set_fusion(mu=np.float32(0.25), n_components=np.int64(3), converged=np.bool_(True), solver="exact")
    model.meta.cal_step.fusion = "COMPLETE"
    return model


@pytest.fixture
def cross_calibrated_model(wavelength):
    """A complete cross-calibrated product of two bands."""
    model = fill_cube(CrossCalibratedModel(), wavelength, cell_size=0.1)
    n_wave = len(wavelength)
    model.images = np.ones((2, 3 * N_Y, 3 * N_X), dtype=np.float32)
    model.image_errors = np.ones((2, 3 * N_Y, 3 * N_X), dtype=np.float32)
    model.set_table("filters", filter=["F182M", "F200W"], module=["A", "MULTIPLE"], pivot=[1.84, 1.99])
    model.set_table("channels", wavelength=wavelength, noise=np.full(n_wave, np.nan))
    model.bandpasses = np.full((2, n_wave), 1 / n_wave)
    return model
