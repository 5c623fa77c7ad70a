"""Transfer functions of both instruments on the grid of an observation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .analytic import IFUOptics, nircam_otf, nirspec_otf
from .frequencies import grid_frequencies
from .nodes import interpolation_matrix, nodes
from .sampled import too_short
from .telescope import rotate, wavefront_change
from .throughput import channel

if TYPE_CHECKING:
    from jwst_fusion.observation import BandImage, CubeData, FusionGrid, ImageProduct, Observation

    from .analytic import NIRCamOptics

__all__ = [
    "TransferFunctions",
    "aperture_frequencies",
    "band_transfers",
    "ifu_transfer",
    "image_otf",
    "transfer_functions",
]

#: Wavelengths that represent a band where only its mean transfer function is needed.
NODES_PER_BAND = 6

#: Weight of a node in a bandpass below which its OTF is not needed.
NEGLIGIBLE = 1e-5

#: Least share of a bandpass at wavelengths that its PSFs have.
MIN_COVERED = 0.99


@dataclass(frozen=True, eq=False)
class TransferFunctions:
    """
    OTFs at a few wavelengths, and how to interpolate between them.

    ``otf[l] = sum_r interpolation[l, r] * otf_r``.

    Attributes
    ----------
    interpolation : ndarray, shape (n_wave, n_nodes)
        Interpolation from the nodes to the channels; rows sum to one.
    nirspec : ndarray, shape (n_nodes, ny, nx // 2 + 1)
        OTF of the IFU, its spaxel included.
    nircam : tuple of ndarray, shape (n_nodes, ny, nx // 2 + 1)
        OTF of each band's image.
    """

    interpolation: np.ndarray
    nirspec: np.ndarray
    nircam: tuple


def ifu_transfer(observation: Observation, shape: tuple[int, int]) -> TransferFunctions:
    """
    Compute the OTFs of the IFU alone for an observation.

    Parameters
    ----------
    observation, shape : object
        As in `transfer_functions`.

    Returns
    -------
    TransferFunctions
        OTFs at nodes in wavelength, none of the images.
    """
    wavelength = observation.cube.wavelength
    at = nodes(wavelength[0], wavelength[-1])
    frequencies = grid_frequencies(shape, observation.grid.jacobian)
    otf = _nirspec(at, frequencies, observation.cube, observation.grid)
    return TransferFunctions(interpolation_matrix(wavelength, at), otf, ())


def transfer_functions(observation: Observation, shape: tuple[int, int]) -> TransferFunctions:
    """
    Compute the OTFs of both instruments for an observation.

    Parameters
    ----------
    observation : Observation
        Grid, wavelengths, position angles and pixels.
    shape : tuple of int
        Cells (ny, nx) of the transforms; may exceed the observation's grid.

    Returns
    -------
    TransferFunctions
        OTFs at nodes in wavelength, of the optics that cube and images were seen through.
    """
    wavelength = observation.cube.wavelength
    at = nodes(wavelength[0], wavelength[-1])
    ifu = ifu_transfer(observation, shape)
    frequencies = grid_frequencies(shape, observation.grid.jacobian)
    alike: dict = {}
    for band in observation.bands:
        alike.setdefault(_key(band), []).append(band)
    computed = {
        key: _at_used_nodes(at, wavelength, ifu.interpolation, frequencies, bands)
        for key, bands in alike.items()
    }
    return replace(ifu, nircam=tuple(computed[_key(band)] for band in observation.bands))


def _key(band):
    """Identify bands that share their OTFs."""
    optics = (band.optics, channel(band.filter))
    pixels = (band.detector_pixel, band.image_pixel, band.pixfrac)
    return (*optics, band.position_angle_v3, *pixels, band.excess_blur)


def _at_used_nodes(at, wavelength, interpolation, frequencies, bands):
    """
    OTF of bands with the same optics at the nodes.

    PSFs of a file or of STPSF may be limited to the bands. They are only taken at the nodes within the
    bandpasses; the other nodes repeat the nearest of these.
    """
    optics = bands[0].optics
    if optics is None or optics.psf is None or any(band.bandpass is None for band in bands):
        return image_otf(at, frequencies, bands[0], optics)
    used = np.zeros(at.size, dtype=bool)
    for band in bands:
        _check_range(band, band.bandpass, wavelength)
        used |= band.bandpass @ np.abs(interpolation) > NEGLIGIBLE
    low, high = np.flatnonzero(used)[[0, -1]]
    part = image_otf(np.clip(at[low : high + 1], *optics.psf.limits), frequencies, bands[0], optics)
    return part[np.clip(np.arange(at.size) - low, 0, high - low)]


def _check_range(band, bandpass, wavelength):
    """Raise an InputError for PSFs that do not cover the bandpass of a band."""
    low, high = band.optics.psf.limits
    if bandpass[(wavelength >= low) & (wavelength <= high)].sum() < MIN_COVERED:
        inside = wavelength[bandpass > 0]
        raise too_short(band.optics.psf, inside[0], inside[-1])


def band_transfers(
    band: BandImage | ImageProduct,
    bandpass: np.ndarray,
    cube: CubeData,
    grid: FusionGrid,
    shape: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """
    Mean OTFs of both instruments over a band, for a flat spectrum.

    Parameters
    ----------
    band : BandImage or ImageProduct
        The band's image.
    bandpass : ndarray, shape (n_wave,)
        Weights of the cube's channels in the band.
    cube : CubeData
        Wavelengths and position angles.
    grid : FusionGrid
        The cells.
    shape : tuple of int
        Cells (ny, nx) of the transforms.

    Returns
    -------
    nircam, nirspec : ndarray, shape (ny, nx // 2 + 1)
        Mean OTFs.
    """
    inside = np.flatnonzero(bandpass)
    wavelength = cube.wavelength[inside[0] : inside[-1] + 1]
    weights = bandpass[inside[0] : inside[-1] + 1]
    at = nodes(wavelength[0], wavelength[-1], NODES_PER_BAND)
    share = weights @ interpolation_matrix(wavelength, at)
    frequencies = grid_frequencies(shape, grid.jacobian)
    seen = at
    if band.optics is not None and band.optics.psf is not None:
        _check_range(band, weights, wavelength)
        seen = np.clip(at, *band.optics.psf.limits)
    nircam = np.tensordot(share, image_otf(seen, frequencies, band, band.optics), axes=1)
    nirspec = np.tensordot(share, _nirspec(at, frequencies, cube, grid), axes=1)
    return nircam, nirspec


def aperture_frequencies(
    cube: CubeData, grid: FusionGrid, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """
    Frequencies along the axes of the IFU's aperture.

    Parameters
    ----------
    cube : CubeData
        Position angle of the aperture.
    grid : FusionGrid
        The cells.
    shape : tuple of int
        Cells (ny, nx) of the transforms.

    Returns
    -------
    x, y : ndarray, shape (ny, nx // 2 + 1)
        Frequencies [cycles/arcsec].
    """
    return rotate(*grid_frequencies(shape, grid.jacobian), cube.position_angle_aperture)


def image_otf(
    wavelength: np.ndarray,
    frequencies: tuple[np.ndarray, np.ndarray],
    image: BandImage | ImageProduct,
    optics: NIRCamOptics | None,
) -> np.ndarray:
    """
    Compute the OTF of an image at wavelengths.

    Parameters
    ----------
    wavelength : ndarray, shape (n,)
        Wavelengths [um].
    frequencies : tuple of ndarray
        Frequencies (east, north) [cycles/arcsec].
    image : BandImage or ImageProduct
        The image; its data are not used.
    optics : NIRCamOptics or None
        Its optics; None: the defaults.

    Returns
    -------
    ndarray, shape (n, *shape)
        OTFs, one at zero frequency.
    """
    result = nircam_otf(
        wavelength,
        *frequencies,
        position_angle_v3=image.position_angle_v3,
        detector_pixel=image.detector_pixel,
        image_pixel=image.image_pixel,
        pixfrac=image.pixfrac,
        channel=channel(image.filter),
        parameters=optics,
    )
    if image.excess_blur:
        east, north = frequencies
        result = result * np.exp(-2 * np.pi**2 * image.excess_blur * (east**2 + north**2))
    return result


def _nirspec(wavelength, frequencies, cube, grid):
    """OTF of the IFU, spaxel included, at wavelengths."""
    *blur, wavefront = cube.excess
    east, north = grid.jacobian[:, 1]
    result = nirspec_otf(
        wavelength,
        *frequencies,
        position_angle_v3=cube.position_angle_v3,
        position_angle_aperture=cube.position_angle_aperture,
        spaxel=grid.cell_size * grid.decimation_factor,
        spaxel_position_angle=float(np.degrees(np.arctan2(east, north))),
        parameters=replace(cube.optics or IFUOptics(), excess=tuple(blur)),
    )
    if wavefront:
        for length, plane in zip(np.atleast_1d(wavelength), result, strict=True):
            plane *= np.exp(wavefront / length**2 * wavefront_change(length, frequencies))
    if any(cube.shift):
        rows, columns = cube.shift
        east, north = grid.jacobian @ (columns, rows)
        result = result * np.exp(2j * np.pi * (frequencies[0] * east + frequencies[1] * north))
    return result
