"""A fused cube of the field with a line, as a file."""

import numpy as np
import pytest

from jwst_fusion import datamodels

from .scenes import LINE, SHAPE, WAVELENGTH, likely_errors, line_cube, low_rank

LEVEL = 0.02


def set_frame(model):
    """Coordinates, area of the cells and names of the instrument."""
    info = model.meta.wcsinfo
    info.ctype1, info.ctype2, info.cunit1, info.cunit2 = "RA---TAN", "DEC--TAN", "deg", "deg"
    info.crval1, info.crval2, info.crpix1, info.crpix2 = 83.83, -5.42, 13.5, 12.5
    info.cdelt1 = info.cdelt2 = 0.0333 / 3600
    info.pc1_1, info.pc1_2, info.pc1_3, info.pc2_1, info.pc2_2, info.pc2_3 = -1.0, 0.0, 0.0, 0.0, 1.0, 0.0
    info.pc3_1, info.pc3_2, info.pc3_3 = 0.0, 0.0, 1.0
    info.specsys = "BARYCENT"
    datamodels.set_wavelengths(model, WAVELENGTH)
    datamodels.assign_wcs(model)
    model.meta.photometry.pixelarea_arcsecsq = 0.0333**2
    model.meta.telescope, model.meta.instrument.name = "JWST", "NIRSPEC"
    model.meta.instrument.grating, model.meta.instrument.filter = "G235H", "F170LP"
    model.meta.exposure.type = "NRS_IFU"


@pytest.fixture(scope="session")
def truth():
    return line_cube()


@pytest.fixture(scope="session")
def line_product(truth, tmp_path_factory):
    """Path of a fused cube of twelve components whose two first rows of cells are outside the field."""
    mean, basis, coefficients = low_rank(truth.cube)
    cube = mean[:, None, None] + np.tensordot(basis, coefficients, axes=1)
    for array in (cube, coefficients):
        array[:, :2] = np.nan
    model = datamodels.FusedCubeModel(
        data=cube.astype(np.float32),
        err=np.full(cube.shape, 0.5, dtype=np.float32),
        dq=np.isnan(cube).astype(np.uint32),
        weightmap=np.ones(cube.shape, dtype=np.float32),
    )
    model.coefficients = coefficients.astype(np.float32)
    model.coefficient_errors = np.where(np.isfinite(coefficients), LEVEL, np.nan).astype(np.float32)
    model.set_draws(likely_errors(np.random.default_rng(1), (13, *coefficients.shape), LEVEL))
    model.set_components(WAVELENGTH, mean, basis, np.full(len(mean), 0.05))
    model.set_table("filters", filter=["F210M"], pivot=[2.09], scale=[1.02], scale_err=[0.01], held_out=[0])
    model.set_table("spectral", wavelength=WAVELENGTH)
    set_frame(model)
    bandpass = np.exp(-(((WAVELENGTH - LINE) / 0.03) ** 2))
    bandpass /= bandpass.sum()
    image = np.nan_to_num(np.tensordot(bandpass, cube, axes=1))
    spaxels = np.nan_to_num(coefficients).reshape(12, SHAPE[0] // 2, 2, SHAPE[1] // 2, 2).mean(axis=(2, 4))
    model.report = {
        "images": image[np.newaxis],
        "predicted": image[np.newaxis],
        "bandpasses": bandpass[np.newaxis],
        "spectra": np.zeros((len(mean), *spaxels.shape[1:]), dtype=np.int16),
        "spectra_step": np.ones(len(mean)),
        "spectra_coefficients": spaxels,
        "channels_averaged": np.array(1),
    }
    return model.save(str(tmp_path_factory.mktemp("science") / "gas_fused.fits"))
