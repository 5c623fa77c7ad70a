"""Observations, as frozen dataclasses that the pure functions pass on."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

__all__ = [
    "BandImage",
    "CubeData",
    "CubeProduct",
    "FusionGrid",
    "ImageProduct",
    "Observation",
    "channel_edges",
]


@dataclass(frozen=True, eq=False)
class CubeProduct:
    """
    A NIRSpec cube as the pipeline made it.

    Attributes
    ----------
    name : str
        File name, for messages.
    data, error : ndarray, shape (n_wave, my, mx)
        Surface brightness and its error [MJy/sr]; NaN where bad. Before the cube is read they may be on disk,
        bad values as in the file, and the error None if it is not stated.
    wavelength : ndarray, shape (n_wave,)
        Wavelengths [um], ascending.
    wcs : astropy.wcs.WCS
        Celestial WCS of the spaxels.
    position_angle_v3, position_angle_aperture : float
        Position angles of the telescope's V3 axis and of the IFU's y axis [deg E of N].
    moving : bool
        Whether the target moves, so that coordinates of different exposures are unrelated.
    optics : object or None
        Optics: `jwst_fusion.optics.analytic.IFUOptics`, or None for its defaults.
    """

    name: str
    data: np.ndarray
    error: np.ndarray
    wavelength: np.ndarray
    wcs: Any
    position_angle_v3: float
    position_angle_aperture: float
    moving: bool = False
    optics: Any = None


@dataclass(frozen=True, eq=False)
class ImageProduct:
    """
    A NIRCam image as the pipeline made it.

    Attributes
    ----------
    name : str
        File name, for messages.
    data : ndarray, shape (ny, nx)
        Surface brightness [MJy/sr]; NaN where bad. It may be on disk, and is read in windows only.
    error, weight : ndarray, shape (ny, nx), or None
        Error [MJy/sr] and drizzle weight, if stated; no weight means no data.
    wcs : astropy.wcs.WCS
        Celestial WCS of the pixels.
    filter, module : str
        Effective band and NIRCam module (A, B or MULTIPLE).
    position_angle_v3 : float
        Position angle of the telescope's V3 axis [deg E of N].
    detector_pixel, image_pixel : float
        Side of a detector pixel and of a pixel of the drizzled image [arcsec].
    pixfrac : float
        Drop size of the drizzle, as a fraction of the detector pixel.
    excess_blur : float
        Variance of the image's blur on an axis beyond that of the optical model [arcsec^2], as measured
        against the cube and the other images.
    detector, date : str
        Detector and date of the observation, as far as they are stated.
    optics : object or None
        Optics: `jwst_fusion.optics.analytic.NIRCamOptics`, or None for its defaults.
    throughput : jwst_fusion.optics.throughput.Throughput or None
        Throughput of the band in place of the packaged one.
    label : str
        What the image is called: its filter, with a number if there are several in it, as in F200W-2.
    """

    name: str
    data: np.ndarray
    error: np.ndarray
    wcs: Any
    filter: str
    module: str
    position_angle_v3: float
    detector_pixel: float
    image_pixel: float
    pixfrac: float = 1.0
    weight: np.ndarray | None = None
    detector: str = ""
    date: str = ""
    optics: Any = None
    throughput: Any = None
    excess_blur: float = 0.0
    label: str = ""

    def __post_init__(self) -> None:
        """Call the image by its filter if it has no label."""
        if not self.label:
            object.__setattr__(self, "label", self.filter)


@dataclass(frozen=True, eq=False)
class FusionGrid:
    """
    The cells of the fused cube: each spaxel of the cube split into d x d.

    Spaxel ``i`` of an axis covers the cells ``d * i`` to ``d * i + d - 1``, so its centre is at cell
    coordinate ``d * i + (d - 1) / 2``: the middle cell for odd d, between two cells for even d.

    Attributes
    ----------
    shape : tuple of int
        Number of cells (ny, nx), each a multiple of ``decimation_factor``.
    decimation_factor : int
        Cells per spaxel along an axis, d.
    jacobian : ndarray, shape (2, 2)
        Sky displacement (east, north) [arcsec] for one cell step along (x, y): its columns are the
        directions of the x and the y axis.
    centre : tuple of float
        Right ascension and declination [deg] of the centre of the grid, in the cube's frame.
    origin : tuple of int
        Spaxel (y, x) of the cube product, counted from 0, at the grid's first cells; may be negative.
    field : tuple of slice
        Rows and columns of the grid's spaxels that are to be fused; the rest is margin.
    """

    shape: tuple
    decimation_factor: int
    jacobian: np.ndarray
    centre: tuple = (0.0, 0.0)
    origin: tuple = (0, 0)
    field: tuple = (slice(None), slice(None))

    @property
    def spaxel_shape(self) -> tuple[int, int]:
        """Number of spaxels (my, mx)."""
        return tuple(n // self.decimation_factor for n in self.shape)

    @property
    def cell_size(self) -> float:
        """Side of a cell [arcsec]: the square root of its area."""
        return float(np.sqrt(abs(np.linalg.det(self.jacobian))))

    @property
    def cell_area(self) -> float:
        """Area of a cell [arcsec^2]."""
        return float(abs(np.linalg.det(self.jacobian)))


@dataclass(frozen=True, eq=False)
class CubeData:
    """
    A NIRSpec cube on the spaxels of a fusion grid.

    Attributes
    ----------
    data, error : ndarray, shape (n_wave, my, mx)
        Surface brightness and its stated error [MJy/sr]; NaN where nothing usable is known.
    wavelength : ndarray, shape (n_wave,)
        Wavelengths [um], ascending.
    noise : ndarray, shape (n_wave,)
        Noise of each channel estimated from the data [MJy/sr]; NaN for a channel without data.
    footprint : ndarray of bool, shape (my, mx)
        Spaxels that the IFU saw.
    position_angle_v3, position_angle_aperture : float
        Position angles of the telescope's V3 axis and of the IFU's y axis [deg E of N].
    excess : tuple of float
        Excess of the IFU's PSF over the optical model, as measured against the images: variance of its blur
        along the aperture's x and y axis [arcsec^2], and of its wavefront as at 1 um [rad^2]; zero where it
        is not significant.
    optics : object or None
        Optics: `jwst_fusion.optics.analytic.IFUOptics`, or None for its defaults.
    shift : tuple of float
        Where the centres of its spaxels are less where the grid has them (y, x) [cells]; zero for the cube
        that the grid was made of.
    """

    data: np.ndarray
    error: np.ndarray
    wavelength: np.ndarray
    noise: np.ndarray
    footprint: np.ndarray
    position_angle_v3: float
    position_angle_aperture: float
    excess: tuple = (0.0, 0.0, 0.0)
    optics: Any = None
    shift: tuple = (0.0, 0.0)


@dataclass(frozen=True, eq=False)
class BandImage:
    """
    A NIRCam image on the cells of a fusion grid.

    Attributes
    ----------
    filter, module : str
        Effective band (F162M for FILTER=F150W2, PUPIL=F162M) and NIRCam module (A, B or MULTIPLE).
    data, error : ndarray, shape (ny, nx)
        Surface brightness and its error [MJy/sr], on NIRCam's flux scale; NaN where unknown.
    pivot_wavelength : float
        Pivot wavelength of the band [um].
    position_angle_v3 : float
        Position angle of the telescope's V3 axis [deg E of N].
    detector_pixel, image_pixel : float
        Side of a detector pixel and of a pixel of the drizzled image [arcsec].
    pixfrac : float
        Drop size of the drizzle, as a fraction of the detector pixel.
    excess_blur : float
        Variance of the image's blur on an axis beyond that of the optical model [arcsec^2], as measured
        against the cube and the other images.
    offset_east, offset_north, offset_err : float
        Where NIRCam's WCS puts a source minus where the cube's WCS puts it, and the error of either
        coordinate [arcsec]. ``data`` are corrected for it.
    scale, scale_err : float
        NIRCam image over the cube's synthetic photometry, and its error.
    pedestal, pedestal_err : float
        Background of the image over ``scale`` times the cube, and its error [MJy/sr]; NaN if it was not
        fitted. It has been subtracted from ``data``.
    covered_fraction : float
        Share of the bandpass within the cube's wavelengths.
    bandpass : ndarray, shape (n_wave,), or None
        Weights of the cube's channels in the band, summing to one; None before cross-calibration.
    held_out : bool
        Whether the image is kept from the fit, to be compared with what the fit predicts.
    detector, date : str
        Detector and date of the observation, as far as they are stated.
    optics : object or None
        Optics: `jwst_fusion.optics.analytic.NIRCamOptics`, or None for its defaults.
    throughput : jwst_fusion.optics.throughput.Throughput or None
        Throughput of the band in place of the packaged one.
    label : str
        What the image is called: its filter, with a number if there are several in it, as in F200W-2.
    """

    filter: str
    module: str
    data: np.ndarray
    error: np.ndarray
    pivot_wavelength: float
    position_angle_v3: float
    detector_pixel: float
    image_pixel: float
    pixfrac: float = 1.0
    offset_east: float = 0.0
    offset_north: float = 0.0
    offset_err: float = float("nan")
    scale: float = 1.0
    scale_err: float = float("nan")
    pedestal: float = 0.0
    pedestal_err: float = float("nan")
    covered_fraction: float = float("nan")
    bandpass: np.ndarray | None = None
    held_out: bool = False
    detector: str = ""
    date: str = ""
    optics: Any = None
    throughput: Any = None
    excess_blur: float = 0.0
    label: str = ""

    def __post_init__(self) -> None:
        """Call the image by its filter if it has no label."""
        if not self.label:
            object.__setattr__(self, "label", self.filter)

    @classmethod
    def of(cls, image: ImageProduct, **values: Any) -> BandImage:
        """
        Make the image on the cells of a product, of which it has all that is not given.

        Parameters
        ----------
        image : ImageProduct
            The product.
        **values : object
            Attributes.

        Returns
        -------
        BandImage
            The image.
        """
        shared = {attribute.name for attribute in fields(cls)} & {
            attribute.name for attribute in fields(image)
        }
        return cls(**{name: getattr(image, name) for name in shared} | values)

    @property
    def psf_error(self) -> float | None:
        """Error of the PSF over its structure on the scale of 0.1", if it was measured, float or None."""
        return None if self.optics is None else self.optics.psf_error


@dataclass(frozen=True, eq=False)
class Observation:
    """
    One field seen by both instruments, on one grid.

    Attributes
    ----------
    grid : FusionGrid
        The cells; the cube's spaxels are its d x d groups.
    cube : CubeData
        The NIRSpec cube, with a margin of unknown spaxels around its footprint.
    bands : tuple of BandImage
        The NIRCam images, ascending in pivot wavelength.
    alignment : str
        Method by which the instruments were aligned.
    reference : {'nirspec', 'nircam'}
        Whose flux scale the fused cube is to carry. The cube's data are on NIRSpec's, the bands' data on
        NIRCam's.
    """

    grid: FusionGrid
    cube: CubeData
    bands: tuple
    alignment: str = "wcs"
    reference: str = "nirspec"


def channel_edges(wavelength: np.ndarray) -> np.ndarray:
    """
    Find where channels begin and end.

    Parameters
    ----------
    wavelength : ndarray, shape (n_wave,)
        Wavelengths [um].

    Returns
    -------
    ndarray, shape (n_wave + 1,)
        Wavelengths between channels, and at both ends [um].
    """
    middle = (wavelength[1:] + wavelength[:-1]) / 2
    return np.concatenate([[2 * wavelength[0] - middle[0]], middle, [2 * wavelength[-1] - middle[-1]]])
