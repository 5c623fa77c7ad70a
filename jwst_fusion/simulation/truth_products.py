"""Files of the true scene and the true parameters, and the association."""

import json

import numpy as np
from astropy.io import fits

from jwst_fusion.association import make_association
from jwst_fusion.ownership import MARK

__all__ = ["true_cells", "write_association", "write_parameters", "write_truth"]


def true_cells(scene, cube_grid, spectra, cells_per_spaxel, spaxel):
    """
    Average the scene over the cells of the fused cube, float32 (n_wave, d * ny, d * nx) [MJy/sr].

    Each cell, d per spaxel [arcsec] along an axis, holds a whole number of the scene's cells.
    """
    grid = scene.grid
    fine = round(spaxel / grid.cell / cells_per_spaxel)
    ny, nx = (n * cells_per_spaxel for n in cube_grid.shape)
    edge = (spaxel - grid.cell) / 2
    left = round((grid.east - cube_grid.east - edge) / grid.cell)
    bottom = round((cube_grid.north - grid.north - edge) / grid.cell)
    window = scene.maps[:, bottom : bottom + ny * fine, left : left + nx * fine]
    cells = window.reshape(-1, ny, fine, nx, fine).mean(axis=(2, 4)).reshape(len(window), -1)
    truth = spectra.T.astype(np.float32) @ cells.astype(np.float32)
    return truth.reshape(-1, ny, nx)


def write_truth(path, truth, wavelength, cube_wcsinfo, cells_per_spaxel):
    """Write the true scene [MJy/sr], in the frame of the cube's WCS, with cells_per_spaxel along an axis."""
    header = fits.Header()
    header["EXTNAME"] = "SCI"
    header["BUNIT"] = "MJy/sr"
    header["WCSAXES"] = 3
    for axis in (1, 2):
        reference = getattr(cube_wcsinfo, f"crpix{axis}")
        header[f"CTYPE{axis}"] = getattr(cube_wcsinfo, f"ctype{axis}")
        header[f"CUNIT{axis}"] = "deg"
        header[f"CRVAL{axis}"] = getattr(cube_wcsinfo, f"crval{axis}")
        header[f"CRPIX{axis}"] = (reference - 0.5) * cells_per_spaxel + 0.5
        header[f"CDELT{axis}"] = getattr(cube_wcsinfo, f"cdelt{axis}") / cells_per_spaxel
    header["CTYPE3"], header["CUNIT3"], header["CRPIX3"] = "WAVE", "um", 1.0
    header["CRVAL3"], header["CDELT3"] = wavelength[0], cube_wcsinfo.cdelt3
    header["PC1_1"], header["PC2_2"], header["PC3_3"] = -1.0, 1.0, 1.0
    header["RADESYS"] = "ICRS"
    primary = fits.PrimaryHDU()
    primary.header["TITLE"] = MARK
    hdus = fits.HDUList([primary, fits.ImageHDU(truth, header)])
    hdus.writeto(path, overwrite=True)


def write_parameters(path, parameters):
    """Write the true parameters as JSON."""
    path.write_text(json.dumps({"made_by": MARK, **parameters}, indent=1, default=float) + "\n")


def write_association(path, name, members):
    """Write a level-3 association of files."""
    path.write_text(make_association(members, name))
