"""The flux scale of each NIRCam image against the cube."""

import logging
from dataclasses import replace

import numpy as np

from jwst_fusion.exceptions import InputError
from jwst_fusion.optics import throughput
from jwst_fusion.optics.matching import match_to_ifu
from jwst_fusion.optics.photometry import synthetic_photometry

__all__ = ["cross_calibrate"]

log = logging.getLogger(__name__)


def cross_calibrate(observation):
    """
    Give each band its bandpass and its scale (paper, Eqs. B.3 and B.4).

    Parameters
    ----------
    observation : Observation
        Cube and images on one grid.

    Returns
    -------
    Observation
        The same, its bands with bandpass, scale and its error.

    Raises
    ------
    InputError
        A band has no common spaxel with the cube, or a mean that is not positive.
    """
    usable = np.isfinite(observation.cube.noise)
    bands = []
    for band in observation.bands:
        bandpass, covered = throughput.bandpass(
            band.filter, band.module, observation.cube.wavelength, usable=usable, curve=band.throughput
        )
        scale, error = _ratio_of_means(observation, band, bandpass)
        log.info(
            "%s: scale %.4f +- %.4f, %.1f %% of the bandpass covered",
            band.filter,
            scale,
            error,
            100 * covered,
        )
        bands.append(replace(band, bandpass=bandpass, covered_fraction=covered, scale=scale, scale_err=error))
    return replace(observation, bands=tuple(bands))


def _ratio_of_means(observation, band, bandpass):
    """
    Mean of the image over mean of the synthetic photometry, at the IFU's resolution, and its error.

    Comparing at one resolution leaves no difference at the edge of the common footprint.
    """
    cube, grid = observation.cube, observation.grid
    synthetic = synthetic_photometry(cube.data, bandpass)
    blurred = match_to_ifu(band.data, band, bandpass, cube, grid)
    d = grid.decimation_factor
    middle = [slice((d - 1) // 2, None, d), slice(d // 2, None, d)]
    image = np.mean([blurred[rows, columns] for rows in middle for columns in middle], axis=0)
    common = np.isfinite(synthetic) & np.isfinite(image) & cube.footprint
    if not common.any():
        raise InputError(f"{band.filter}: no spaxel of the field is known to the image and to the cube")
    x, y = synthetic[common], image[common]
    if x.mean() <= 0 or y.mean() <= 0:
        raise InputError(
            f"{band.filter}: mean brightness of the field is {y.mean():.3g} MJy/sr in the image and "
            f"{x.mean():.3g} in the cube: no ratio can be taken; "
            "use data whose background has not been subtracted"
        )
    scale = y.mean() / x.mean()
    residual = y - scale * x
    return float(scale), float(residual.std() / (np.sqrt(x.size) * x.mean()))
