"""One pointing solution for all images of a field."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from astropy.coordinates import SkyCoord
from scipy.special import gammaincc

from jwst_fusion.exceptions import InputError
from jwst_fusion.optics.photometry import synthetic_photometry

from .alignment import Offset, find_target, measure_offset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jwst_fusion.observation import CubeData, FusionGrid, ImageProduct

__all__ = ["Pointing", "solve_pointing"]

log = logging.getLogger(__name__)

#: Error of an offset from the unknown asymmetry of both PSFs [arcsec]: wavefront errors of 70 to 100 nm
#: rms shift what is fitted against the PSF's core by 1.9 to 2.7 mas rms (simulated random wavefronts).
#: Measured.
ASYMMETRY = 0.0022

#: The part of it that differs between the bands [arcsec]. Measured.
CHROMATIC_ASYMMETRY = 0.0007

#: Probability below which a common offset of all bands is rejected. Judged.
SIGNIFICANT = 1e-3

#: Blur beyond the optical model that is adopted, in standard errors. Judged.
BLUR_SIGNIFICANCE = 3.0

#: Smallest error of the blur's variance [arcsec^2], due to the unknown shape of the PSF. Judged.
BLUR_FLOOR = 3e-5


@dataclass(frozen=True, eq=False)
class Pointing:
    """
    Offsets of the images from the cube, and the blur and the trend found with them.

    Numbers that later steps use are rounded well below their errors, so that the fused cube does not depend
    on the last bit of a sum.
    """

    # an Offset for each image: error NaN if the coordinates are kept; None where a moving target was not
    # found
    offsets: tuple
    method: str  # refined, cross_correlation, wcs or none
    # of the IFU's PSF over the model, as in CubeData; of the wavefront zero, for it is not measured here
    excess: tuple = (0.0, 0.0, 0.0)
    excess_error: float = float("nan")  # of either variance [arcsec^2]; NaN where nothing was measured
    # change of the offset (east, north) with wavelength [arcsec/um]; NaN with fewer than 3 bands
    trend: tuple = (float("nan"), float("nan"))
    trend_error: float = float("nan")  # of either [arcsec/um]
    measured: tuple = ()  # Offset measured on each image alone; empty if the coordinates are kept


def solve_pointing(
    images: Sequence[ImageProduct],
    bands: dict,
    cube: CubeData,
    grid: FusionGrid,
    *,
    alignment: str = "auto",
    capture: float = 2.0,
    moving: bool = False,
) -> Pointing:
    """
    Determine the offset of each image from the cube; alignment and capture are those of the settings.

    All bands have one offset, unless their own offsets differ by more than their errors. A band without
    contrast has the offset of the others. The bands have bandpass (n_wave,), covered fraction and pivot
    wavelength [um] by label. Coordinates of different exposures of a moving target are unrelated; InputError
    is raised if it is in none of the images.
    """
    method = alignment
    if method == "auto":
        method = "cross_correlation" if moving else "refined"
    if method in ("wcs", "none"):
        places = [(0.0, 0.0) if method == "wcs" else _centring(image, grid) for image in images]
        return Pointing(tuple(Offset(x, y, float("nan"), 0.0) for x, y in places), method)
    measured = []
    for image in images:
        bandpass = bands[image.label][0]
        synthetic = synthetic_photometry(cube.data, bandpass)
        guess = (0.0, 0.0)
        if method == "cross_correlation":
            found = find_target(synthetic, image, grid, _centring(image, grid))
            guess = found.east, found.north
        offset = measure_offset(synthetic, image, bandpass, cube, grid, first_guess=guess, capture=capture)
        log.debug(
            "%s: offset %+.4f east, %+.4f north, +- %.4f arcsec (correlation %.3f)",
            image.label, offset.east, offset.north, offset.error, offset.correlation,
        )  # fmt: skip
        measured.append(offset)
    if not any(np.isfinite(offset.error) for offset in measured):
        if method == "cross_correlation":
            raise InputError(
                f"{images[0].name}: the target of the cube was found in none of the {len(images)} images; "
                "use images of the same target, or set alignment to wcs or none"
            )
        log.warning(
            "No offset can be measured: the images show too little contrast. The coordinates are kept"
        )
        return Pointing(tuple(Offset(0.0, 0.0, float("nan"), o.correlation) for o in measured), "wcs")
    pivots = np.array([bands[image.label][2] for image in images])
    trend, trend_error = _trend(measured, pivots)
    excess, excess_error = _blur(measured)
    offsets = _tie(measured, method == "cross_correlation")
    return Pointing(offsets, method, excess, excess_error, trend, trend_error, tuple(measured))


def _centring(image, grid):
    """Offset (east, north) [arcsec] that brings an image's centre onto the grid's."""
    ny, nx = image.data.shape
    ra, dec = image.wcs.wcs_pix2world((nx - 1) / 2, (ny - 1) / 2, 0)
    east, north = SkyCoord(*grid.centre, unit="deg").spherical_offsets_to(SkyCoord(ra, dec, unit="deg"))
    return float(east.arcsec), float(north.arcsec)


def _weights(measured):
    """Places (n, 2) and inverse variances (n,) of the offsets against each other; zero where unknown."""
    places = np.array([(offset.east, offset.north) for offset in measured])
    errors = np.array([offset.error for offset in measured])
    known = np.isfinite(errors)
    return places, np.where(known, 1 / (np.where(known, errors, 0.0) ** 2 + CHROMATIC_ASYMMETRY**2), 0.0)


def _tie(measured, moving):
    """Assign one offset to the bands, or their own if they differ significantly; complete the errors."""
    places, weights = _weights(measured)
    known = weights > 0
    mean = weights @ places / weights.sum()
    statistic = (weights[:, np.newaxis] * (places - mean) ** 2).sum()
    freedom = 2 * (known.sum() - 1)
    tied = freedom == 0 or gammaincc(freedom / 2, statistic / 2) > SIGNIFICANT
    correlation = max(offset.correlation for offset in measured)
    stretch = 1.0 if tied or freedom == 0 else np.sqrt(statistic / freedom)
    error = float(np.hypot(stretch / np.sqrt(weights.sum()), ASYMMETRY))
    common = Offset(round(float(mean[0]), 7), round(float(mean[1]), 7), error, correlation)
    log.info(
        "Offset of NIRCam from NIRSpec: %+.1f mas east, %+.1f mas north, +- %.1f mas%s",
        *(1e3 * np.array([common.east, common.north, common.error])),
        "" if tied else "; the bands differ significantly, and each keeps its own",
    )
    if moving:
        return tuple(
            None if not seen else common if tied else _with_asymmetry(offset)
            for offset, seen in zip(measured, known, strict=True)
        )
    return tuple(
        common if tied or not seen else _with_asymmetry(offset)
        for offset, seen in zip(measured, known, strict=True)
    )


def _with_asymmetry(offset):
    """Add the asymmetry of the PSFs, which no comparison of images reveals, to an offset's error."""
    return replace(
        offset,
        east=round(offset.east, 7),
        north=round(offset.north, 7),
        error=float(np.hypot(offset.error, ASYMMETRY)),
    )


def _trend(measured, pivots):
    """Slope (east, north) of the offsets with wavelength, and its error [arcsec/um]."""
    places, weights = _weights(measured)
    if (weights > 0).sum() < 3:
        return (float("nan"),) * 2, float("nan")
    centred = pivots - weights @ pivots / weights.sum()
    power = weights @ centred**2
    slope = (weights * centred) @ places / power
    residual = places - weights @ places / weights.sum() - np.outer(centred, slope)
    freedom = 2 * ((weights > 0).sum() - 2)
    stretch = max(np.sqrt((weights[:, np.newaxis] * residual**2).sum() / freedom), 1.0)
    error = float(stretch / np.sqrt(power))
    significance = np.abs(slope).max() / error
    log.log(
        logging.INFO if significance > 4 else logging.DEBUG,
        "The offset changes with wavelength: %+.1f mas east, %+.1f mas north, +- %.1f mas per um",
        *(1e3 * np.array([*slope, error])),
    )
    return (float(slope[0]), float(slope[1])), error


def _blur(measured):
    """Blur of the IFU beyond the model's, as in `CubeData`, zero unless significant; error of a variance."""
    known = [offset for offset in measured if np.isfinite(offset.excess_error).all()]
    if not known:
        return (0.0, 0.0, 0.0), float("nan")
    values = np.array([offset.excess for offset in known])
    weights = 1 / (np.array([offset.excess_error for offset in known]) ** 2 + BLUR_FLOOR**2)
    mean = (weights * values).sum(axis=0) / weights.sum(axis=0)
    statistic = (weights * (values - mean) ** 2).sum()
    stretch = max(np.sqrt(statistic / (2 * max(len(known) - 1, 1))), 1.0)
    errors = np.hypot(stretch / np.sqrt(weights.sum(axis=0)), BLUR_FLOOR)
    error = float(np.sqrt((errors**2).mean()))
    round_blur = abs(mean[0] - mean[1]) < 2 * np.hypot(*errors)
    adopted = np.full(2, mean.mean()) if round_blur else mean
    significant = np.abs(adopted).max() > BLUR_SIGNIFICANCE * error
    log.log(
        logging.INFO if significant else logging.DEBUG,
        "The IFU's PSF is %s its optical model by %.0f x %.0f mas (standard deviations, added in quadrature)",
        "broader than" if adopted.mean() > 0 else "narrower than", *(1e3 * np.sqrt(np.abs(adopted))),
    )  # fmt: skip
    if not significant:
        adopted = np.zeros(2)
    return (*(round(float(v), 9) for v in adopted), 0.0), round(error, 9)
