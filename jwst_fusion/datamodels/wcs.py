"""The coordinates of a cube: FITS keywords and the gwcs object that agrees with them."""

import numpy as np

__all__ = ["assign_wcs", "set_wavelengths"]

UNIFORM_TOLERANCE = 1e-6
"""Largest departure from equal steps, in steps, of an axis that is written as linear."""


def set_wavelengths(model, wavelength):
    """
    Set the spectral axis [um] of a cube: the table of wavelengths, the keywords of axis 3, and DISPAXIS.

    Equal steps give a linear axis (CTYPE3 ``WAVE``), any others a tabular one (``WAVE-TAB``), as the
    pipeline's cube_build writes them. The table is there in both cases.
    """
    wavelength = np.asarray(wavelength, dtype=np.float64)
    n_wave = len(wavelength)
    dtype = [("wavelength", np.float32, (n_wave, 1))]
    model.wavetable = np.array([(wavelength[:, None],)], dtype=dtype)
    info = model.meta.wcsinfo
    info.wcsaxes = info.dispersion_direction = 3
    info.cunit3 = "um"
    info.crpix3 = 1.0
    step = (wavelength[-1] - wavelength[0]) / (n_wave - 1) if n_wave > 1 else (info.cdelt3 or 1.0)
    departure = np.abs(wavelength - wavelength[0] - step * np.arange(n_wave)).max()
    if departure <= UNIFORM_TOLERANCE * abs(step):
        info.ctype3, info.crval3, info.cdelt3 = "WAVE", float(wavelength[0]), float(step)
        info.ps3_0 = info.ps3_1 = None
    else:
        info.ctype3, info.crval3, info.cdelt3 = "WAVE-TAB", 1.0, None
        info.ps3_0, info.ps3_1 = "WCS-TABLE", "wavelength"


def assign_wcs(model):
    """
    Set ``meta.wcs`` of a cube, a gwcs object, from ``meta.wcsinfo`` and the table of wavelengths.

    It holds to the edges of the outer spaxels, and from the first to the last wavelength.
    """
    from jwst.assign_wcs.pointing import create_fitswcs

    n_wave, ny, nx = model.data.shape
    wcs = create_fitswcs(model)
    wcs.bounding_box = ((-0.5, nx - 0.5), (-0.5, ny - 0.5), (0, n_wave - 1))
    model.meta.wcs = wcs
