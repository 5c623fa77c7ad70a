"""The pure entry point: products of the pipeline in, one observation on one grid out."""

import logging
from dataclasses import dataclass

import numpy as np
from astropy.coordinates import SkyCoord

from jwst_fusion.exceptions import InputError, NoOverlapError, ParameterError
from jwst_fusion.observation import BandImage, CubeData, Observation
from jwst_fusion.optics import throughput
from jwst_fusion.optics.photometry import synthetic_photometry

from .alignment import combine_offsets, find_target, measure_offset
from .grid import crop_cube, cube_footprint, grid_wcs, make_grid
from .noise import channel_noise
from .ranges import fusion_range
from .resampling import resample_image

__all__ = ["CoregistrationSettings", "coregister"]

log = logging.getLogger(__name__)

#: Least share of a bandpass within the cube's wavelengths.
MIN_COVERED = 0.8

#: Least share of the footprint that an image has to cover.
MIN_OVERLAP = 0.5


@dataclass(frozen=True)
class CoregistrationSettings:
    """
    Settings of the co-registration.

    Attributes
    ----------
    decimation_factor : int or None
        Cells per spaxel along an axis; None: 3 for NIRCam's short channel, 2 for the long.
    margin : float
        Sky around the footprint [arcsec].
    wavelength_range : tuple of float or None
        Limits [um]; None: the range that the bands share with the cube.
    alignment : {'auto', 'wcs', 'cross_correlation', 'none'}
        ``wcs``: keep the coordinates; ``cross_correlation``: find the target anywhere in the image,
        then refine; ``none``: bring the image's centre onto the cube's; ``auto``: refine from the
        coordinates for a fixed target, ``cross_correlation`` for a moving one.
    capture : float
        Largest pointing error that the refinement finds, along either axis [arcsec].
    """

    decimation_factor: int | None = None
    margin: float = 0.6
    wavelength_range: tuple | None = None
    alignment: str = "auto"
    capture: float = 2.0

    def __post_init__(self):
        """Refuse values that can not be used."""
        if self.alignment not in ("auto", "wcs", "cross_correlation", "none"):
            raise ParameterError(
                f"alignment = {self.alignment!r} is unknown: use auto, wcs, cross_correlation or none"
            )
        if self.decimation_factor is not None and not 1 <= self.decimation_factor <= 8:
            raise ParameterError(f"decimation_factor = {self.decimation_factor} can not be used: 1 to 8 can")
        for name in ("margin", "capture"):
            value = getattr(self, name)
            if value is None or not (np.isfinite(value) and 0 <= value <= 60):
                raise ParameterError(f"{name} = {value} can not be used: 0 to 60 arcsec can")


def coregister(product, images, settings=None):
    """
    Bring a cube and images onto the cells of one fusion grid (paper, Appendix B).

    The cube is not resampled: the cells divide its own spaxels. The images are interpolated through
    the coordinate systems of both, after their offset from the cube has been measured.

    Parameters
    ----------
    product : CubeProduct
        The cube.
    images : sequence of ImageProduct
        The images.
    settings : CoregistrationSettings, optional
        Settings.

    Returns
    -------
    observation : Observation
        Cube and images on one grid; the bands have no bandpass yet.
    noise_ratio : float
        Noise of the cube over its stated error.

    Raises
    ------
    InputError
        No band lies in the cube's wavelength range, or bands can not be combined.
    NoOverlapError
        No image covers the field.
    """
    settings = settings or CoregistrationSettings()
    limits = settings.wavelength_range or fusion_range([image.filter for image in images])
    inside = (product.wavelength >= limits[0]) & (product.wavelength <= limits[1])
    if inside.sum() < 3 or not np.isfinite(product.data[inside]).any():
        low, high = product.wavelength[[0, -1]]
        raise InputError(
            f"{product.name}: no data between {limits[0]:.3f} and {limits[1]:.3f} um, where the filters "
            f"{', '.join(image.filter for image in images)} look: the cube has {low:.3f} to {high:.3f} um"
        )
    data, error = product.data[inside], product.error[inside]
    grid = _lay_grid(product, data, images, settings)
    footprint = cube_footprint(data)
    noise, noise_ratio = channel_noise(data, error, footprint)
    cube = CubeData(
        data=crop_cube(data, grid, np.nan),
        error=crop_cube(error, grid, np.nan),
        wavelength=product.wavelength[inside],
        noise=noise,
        footprint=crop_cube(footprint, grid, False),
        position_angle_v3=product.position_angle_v3,
        position_angle_aperture=product.position_angle_aperture,
    )
    log.info(
        "Grid of %d x %d cells of %.4f arcsec, %d channels from %.4f to %.4f um; "
        "noise %.2f times the stated error",
        *grid.shape, grid.cell_size, cube.wavelength.size, *cube.wavelength[[0, -1]], noise_ratio,
    )  # fmt: skip
    bandpasses = _usable_bands(images, cube)
    images = sorted(
        (image for image in images if image.filter in bandpasses), key=lambda i: bandpasses[i.filter][2]
    )
    offsets, how = _align(images, bandpasses, cube, grid, product, settings)
    bands = [_band(image, bandpasses, grid, offset) for image, offset in zip(images, offsets, strict=True)]
    bands = _covering(bands, images, cube, grid)
    return Observation(grid=grid, cube=cube, bands=tuple(bands), alignment=how), noise_ratio


def _lay_grid(product, data, images, settings):
    """Fusion grid for the channel of the images."""
    channels = {throughput.channel(image.filter) for image in images}
    if len(channels) > 1 and settings.decimation_factor is None:
        raise InputError(
            "images of NIRCam's short and long channel in one association: their pixels differ; make two "
            "associations, or set decimation_factor"
        )
    d = settings.decimation_factor or (3 if channels == {"short"} else 2)
    return make_grid(cube_footprint(data), product.wcs, d, settings.margin)


def _usable_bands(images, cube):
    """Bandpass, covered fraction and pivot of each band that the cube covers, by filter."""
    usable = np.isfinite(cube.noise)
    bandpasses = {}
    for image in images:
        if image.filter in bandpasses:
            raise InputError(
                f"{image.name}: a second image in {image.filter}; keep one image for each filter"
            )
        try:
            weights, covered = throughput.bandpass(image.filter, image.module, cube.wavelength, usable=usable)
        except InputError:
            weights, covered = None, 0.0
        if covered < MIN_COVERED:
            log.warning(
                "%s left out: %.0f %% of the bandpass of %s lie in the cube's data from %.3f to %.3f um, "
                "%.0f %% needed",
                image.name, 100 * covered, image.filter, *cube.wavelength[[0, -1]], 100 * MIN_COVERED,
            )  # fmt: skip
            continue
        bandpasses[image.filter] = weights, covered, throughput.pivot_wavelength(image.filter, image.module)
    if not bandpasses:
        raise InputError(
            f"none of the filters {', '.join(image.filter for image in images)} lies in the cube's data from "
            f"{cube.wavelength[0]:.3f} to {cube.wavelength[-1]:.3f} um; use filters that the cube covers"
        )
    return bandpasses


def _align(images, bandpasses, cube, grid, product, settings):
    """Offset of each image, and in a word how it was found."""
    how = settings.alignment
    if how == "auto":
        how = "cross_correlation" if product.moving else "refined"
    if how == "wcs":
        return [None] * len(images), how
    if how == "none":
        return [_centring(image, grid) for image in images], how
    offsets = []
    for image in images:
        bandpass = bandpasses[image.filter][0]
        synthetic = synthetic_photometry(cube.data, bandpass)
        guess = (0.0, 0.0)
        if how == "cross_correlation":
            found = find_target(synthetic, image, bandpass, cube, grid, _centring(image, grid))
            guess = found.east, found.north
        offset = measure_offset(
            synthetic, image, bandpass, cube, grid, first_guess=guess, capture=settings.capture
        )
        log.info(
            "%s: offset %+.4f east, %+.4f north, +- %.4f arcsec (correlation %.3f)",
            image.filter, offset.east, offset.north, offset.error, offset.correlation,
        )  # fmt: skip
        offsets.append(offset)
    return _tie(offsets, images, how)


def _centring(image, grid):
    """Offset (east, north) [arcsec] that brings an image's centre onto the grid's."""
    ny, nx = image.data.shape
    ra, dec = image.wcs.wcs_pix2world((nx - 1) / 2, (ny - 1) / 2, 0)
    east, north = SkyCoord(*grid.centre, unit="deg").spherical_offsets_to(SkyCoord(ra, dec, unit="deg"))
    return float(east.arcsec), float(north.arcsec)


def _tie(offsets, images, how):
    """Give all images one pointing solution: the measured ones' mean, or their own for a moving target."""
    if how == "cross_correlation":
        missing = [
            image.name for image, offset in zip(images, offsets, strict=True) if not np.isfinite(offset.error)
        ]
        if missing:
            raise InputError(
                f"{missing[0]}: the target of the cube was not found in this image; leave the image out, "
                "or set alignment to wcs or none"
            )
        return offsets, how
    common = combine_offsets(offsets)
    if common is None:
        log.warning(
            "No offset can be measured: the images show too little contrast. The coordinates are kept"
        )
        return [None] * len(images), "wcs"
    log.info(
        "Pointing solution: %+.4f east, %+.4f north, +- %.4f arcsec", common.east, common.north, common.error
    )
    return [common] * len(images), how


def _band(image, bandpasses, grid, offset):
    """Interpolate one image onto the grid."""
    _, covered, pivot = bandpasses[image.filter]
    place = (0.0, 0.0)
    error = float("nan")
    if isinstance(offset, tuple):
        place = offset
    elif offset is not None:
        place, error = (offset.east, offset.north), offset.error
    data, errors = resample_image(image, grid, place)
    return BandImage(
        filter=image.filter,
        module=image.module,
        data=data,
        error=errors,
        pivot_wavelength=pivot,
        position_angle_v3=image.position_angle_v3,
        detector_pixel=image.detector_pixel,
        image_pixel=image.image_pixel,
        pixfrac=image.pixfrac,
        offset_east=place[0],
        offset_north=place[1],
        offset_err=error,
        covered_fraction=covered,
    )


def _covering(bands, images, cube, grid):
    """Keep the bands that cover enough of the footprint; tell of the others."""
    d = grid.decimation_factor
    footprint = np.kron(cube.footprint, np.ones((d, d), dtype=bool))
    kept, best = [], (0.0, "")
    for band, image in zip(bands, images, strict=True):
        share = float(np.isfinite(band.data[footprint]).mean())
        best = max(best, (share, image.name))
        if share >= MIN_OVERLAP:
            kept.append(band)
        else:
            log.warning(
                "%s left out: it covers %.0f %% of the cube's field, %.0f %% needed",
                image.name,
                100 * share,
                100 * MIN_OVERLAP,
            )
    if not kept:
        ra, dec = grid_wcs(grid).wcs.crval
        raise NoOverlapError(
            f"{best[1]}: no image covers the cube's field about RA {ra:.5f}, Dec {dec:+.5f}: the best covers "
            f"{100 * best[0]:.0f} %, {100 * MIN_OVERLAP:.0f} % needed; use images of the same target"
        )
    return kept
