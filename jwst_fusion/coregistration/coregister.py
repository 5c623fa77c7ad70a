"""The pure entry point: products of the pipeline in, one observation on one grid out."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.wcs.utils import proj_plane_pixel_area
from threadpoolctl import threadpool_limits

from jwst_fusion.exceptions import InputError, ParameterError
from jwst_fusion.observation import CubeData, Observation
from jwst_fusion.optics import throughput

from .choice import choose_images
from .field import field_angle, field_window, parse_centre, rotate_cube
from .grid import crop_cube, cube_footprint, make_grid
from .noise import channel_noise
from .outliers import find_outliers
from .ranges import fusion_range
from .registration import register
from .usable import covering, usable_bands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.wcs import WCS

    from jwst_fusion.observation import CubeProduct, FusionGrid, ImageProduct

    from .choice import Choice

__all__ = ["Coregistration", "CoregistrationSettings", "coregister"]

log = logging.getLogger(__name__)

#: Rounding of wavelengths in a file [um]. Derived.
WAVELENGTH_SLACK = 1e-6

#: Side of a cell [arcsec], at most by a tenth more: about a pixel of NIRCam. Derived.
SHORT_CELL = 0.1 / 3
LONG_CELL = 0.05

#: Smallest number of spaxels of a field. Derived.
MIN_SPAXELS = 2


@dataclass(frozen=True)
class CoregistrationSettings:
    """
    Settings of the co-registration.

    Attributes
    ----------
    center : str or None
        Middle of the field, right ascension and declination in degrees or sexagesimal; None: the cube's.
    center_spaxel : tuple of float or None
        The same as spaxel (x, y) of the cube, counted from 0.
    height, width : float or None
        Extent of the field along y and x [arcsec]; None: all that the IFU saw.
    position_angle : str or float
        Direction of the field's y axis: ``cube`` (no rotation), ``aperture`` (along the IFU) or degrees
        east of north. The cube is resampled only for the latter two.
    decimation_factor : int or None
        Cells per spaxel along an axis; None: 3 for NIRCam's short channel and 2 for the long with spaxels of
        0.1", and in proportion to other spaxels.
    margin : float
        Sky around the field [arcsec].
    wavelength_range : tuple of float or None
        Limits [um]; None: the range that the bands share with the cube.
    alignment : {'auto', 'wcs', 'cross_correlation', 'none'}
        ``wcs``: keep the coordinates; ``cross_correlation``: find the target anywhere in the image,
        then refine; ``none``: bring the image's centre onto the cube's; ``auto``: refine from the
        coordinates for a fixed target, ``cross_correlation`` for a moving one.
    capture : float
        Largest pointing error that the refinement finds, along either axis [arcsec].
    min_overlap : float
        Least share of the field that an image has to cover.
    """

    center: str | None = None
    center_spaxel: tuple | None = None
    height: float | None = None
    width: float | None = None
    position_angle: str | float = "cube"
    decimation_factor: int | None = None
    margin: float = 0.6
    wavelength_range: tuple | None = None
    alignment: str = "auto"
    capture: float = 2.0
    min_overlap: float = 0.5

    def __post_init__(self):
        """Refuse values that cannot be used."""
        if self.alignment not in ("auto", "wcs", "cross_correlation", "none"):
            raise ParameterError(
                f"alignment = {self.alignment!r} is unknown: use auto, wcs, cross_correlation or none"
            )
        if self.decimation_factor is not None and self.decimation_factor not in range(1, 9):
            raise ParameterError(f"decimation_factor = {self.decimation_factor} is not between 1 and 8")
        for name in ("margin", "capture"):
            value = getattr(self, name)
            if value is None or not (np.isfinite(value) and 0 <= value <= 60):
                raise ParameterError(f"{name} = {value} cannot be used: it must be between 0 and 60 arcsec")
        for name in ("height", "width"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and 0 < value <= 600):
                raise ParameterError(
                    f"{name} = {value} cannot be used: it must be above 0 and at most 600 arcsec"
                )
        if not (self.min_overlap is not None and 0 < self.min_overlap <= 1):
            raise ParameterError(
                f"min_overlap = {self.min_overlap} cannot be used: it must be above 0 and at most 1"
            )
        if self.center is not None and self.center_spaxel is not None:
            raise ParameterError("center and center_spaxel are both given: give one of them")
        limits = self.wavelength_range
        if limits is not None and not (len(limits) == 2 and 0 < limits[0] < limits[1] < np.inf):
            raise ParameterError(
                f"wavelength_range = {limits} cannot be used: give two ascending wavelengths [um]"
            )


@dataclass(frozen=True, eq=False)
class Coregistration:
    """
    Result of the co-registration.

    Attributes
    ----------
    observation : Observation
        Cube and images on one grid; the bands have no bandpass yet.
    wcs : astropy.wcs.WCS
        Celestial WCS of the cube's spaxels, rotated if the field is.
    noise_ratio : float
        Noise of the cube over its stated error.
    outliers : ndarray of bool, shape (n_wave, my, mx)
        Voxels of the grid that are not used because they are outliers.
    pointing : Pointing
        Offsets of the images from the cube, and the blur and trend found with them.
    name : str
        File name of the cube.
    offset : tuple of float
        Position of a source in the coordinates of the grid minus that in the cube's (east, north) [arcsec].
    """

    observation: Observation
    wcs: Any
    noise_ratio: float
    outliers: np.ndarray
    pointing: Any
    name: str = ""
    offset: tuple = (0.0, 0.0)


def coregister(
    product: CubeProduct, images: Sequence[ImageProduct], settings: CoregistrationSettings | None = None
) -> Coregistration:
    """
    Bring a cube and images onto the cells of one fusion grid (paper, Appendix B).

    The cube is not resampled, unless the field is rotated: the cells divide its own spaxels. The images
    are interpolated through the coordinate systems of both, after their offset from the cube has been
    measured.

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
    Coregistration
        Cube and images on one grid.

    Raises
    ------
    InputError
        No band lies in the cube's wavelength range, or bands cannot be combined.
    NoOverlapError
        No image covers the field.
    ParameterError
        The field cannot be used.
    """
    settings = settings or CoregistrationSettings()
    with threadpool_limits(limits=1, user_api="blas"):
        return _coregister(product, images, settings)


def _coregister(product, images, settings):
    """Co-register on one thread: the same input gives the same bits, and small problems run faster."""
    alive = np.isfinite(product.data).any(axis=(1, 2))
    choice, channels = choose_data(product, images, settings, alive)
    for image, reason in choice.left_out:
        log.warning("%s left out: %s", image.name, reason)
    images = choice.kept
    product = replace(
        product,
        data=product.data[channels],
        error=product.error[channels],
        wavelength=product.wavelength[channels],
    )
    angle = field_angle(settings.position_angle, product)
    if angle is not None:
        product = rotate_cube(product, angle)
    footprint = cube_footprint(product.data)
    if not footprint.any():
        raise InputError(
            f"{product.name}: no spaxel has data in half of the channels of the fusion; fetch the file "
            "again, or rebuild the cube with cube_build"
        )
    window, grid = choose_grid(footprint, product.wcs, images, settings)
    count = footprint[window].sum()
    if count < MIN_SPAXELS:
        raise InputError(
            f"{product.name}: {count} spaxel with data in the field, at least {MIN_SPAXELS} needed; raise "
            "height and width, or rebuild the cube with cube_build"
        )
    cube, outliers, noise_ratio = cube_on_grid(product, grid)
    log.info(
        "Fused cube: %d x %d cells of %.4f arcsec, %d channels from %.4f to %.4f um, %d of them without "
        "data; the noise is %.2f times the stated error, %d outliers are removed",
        *grid.shape, grid.cell_size, cube.noise.size, *cube.wavelength[[0, -1]],
        (~np.isfinite(cube.noise)).sum(), noise_ratio, outliers.sum(),
    )  # fmt: skip
    bands = usable_bands(images, cube)
    images = sorted((i for i in images if i.label in bands), key=lambda image: bands[image.label][2])
    images, pointing, on_grid = register(
        images,
        bands,
        cube,
        grid,
        alignment=settings.alignment,
        capture=settings.capture,
        moving=product.moving,
    )
    cube = replace(cube, excess=pointing.excess)
    kept = _covering(on_grid, images, cube, grid, settings.min_overlap)
    observation = Observation(grid=grid, cube=cube, bands=tuple(kept), alignment=pointing.method)
    return Coregistration(observation, product.wcs, noise_ratio, outliers, pointing, product.name)


def choose_data(
    product: CubeProduct, images: Sequence[ImageProduct], settings: CoregistrationSettings, alive: np.ndarray
) -> tuple[Choice, np.ndarray]:
    """
    Choose the images, and the channels (n_wave,), of the fusion; arrays of cube and images are not used.

    Channels with data are alive. Raises InputError if the cube has none in the bands of the images.
    """
    choice = choose_images(
        product.wavelength,
        images,
        alive,
        wavelength_range=settings.wavelength_range,
        mix_channels=settings.decimation_factor is not None,
    )
    limits = settings.wavelength_range or fusion_range([image.filter for image in choice.kept])
    low, high = limits[0] - WAVELENGTH_SLACK, limits[1] + WAVELENGTH_SLACK
    channels = (product.wavelength >= low) & (product.wavelength <= high)
    if channels.sum() < 3 or not alive[channels].any():
        low, high = product.wavelength[[0, -1]]
        raise InputError(
            f"{product.name}: no data between {limits[0]:.3f} and {limits[1]:.3f} um, where the filters "
            f"{', '.join(image.filter for image in choice.kept)} look: the cube has {low:.3f} to {high:.3f} "
            "um; use filters that the cube covers, or set wavelength_range"
        )
    return choice, channels


def choose_grid(
    footprint: np.ndarray, wcs: WCS, images: Sequence[ImageProduct], settings: CoregistrationSettings
) -> tuple[tuple[slice, slice], FusionGrid]:
    """
    Choose rows and columns of the spaxels that are fused, and lay the fusion grid over them.

    The footprint (my, mx) has the spaxels that the IFU saw, the channel of the images decides on the size of
    the cells. Raises NoOverlapError if no spaxel of it lies in the field, ParameterError if the centre is no
    position.
    """
    window = field_window(
        footprint,
        wcs,
        centre=None if settings.center is None else parse_centre(settings.center),
        centre_spaxel=settings.center_spaxel,
        height=settings.height,
        width=settings.width,
    )
    channels = {throughput.channel(image.filter) for image in images}
    cell = SHORT_CELL if channels == {"short"} else LONG_CELL
    spaxel = 3600 * np.sqrt(proj_plane_pixel_area(wcs))
    d = settings.decimation_factor or int(np.ceil(spaxel / cell - 0.1))
    return window, make_grid(window, wcs, d, settings.margin)


def cube_on_grid(product: CubeProduct, grid: FusionGrid) -> tuple[CubeData, np.ndarray, float]:
    """
    Cut a cube to a grid of its own spaxels, estimate its noise and remove its outliers.

    The second result has the voxels that were removed, (n_wave, my, mx), the third the noise over the stated
    error.
    """
    footprint = cube_footprint(product.data)
    noise, noise_ratio = channel_noise(product.data, product.error, footprint)
    cube = CubeData(
        data=crop_cube(product.data, grid, np.nan),
        error=crop_cube(product.error, grid, np.nan),
        wavelength=product.wavelength,
        noise=noise,
        footprint=crop_cube(footprint, grid, False),
        position_angle_v3=product.position_angle_v3,
        position_angle_aperture=product.position_angle_aperture,
        optics=product.optics,
    )
    outliers = find_outliers(cube.data, cube.noise, cube.footprint)
    cube.data[outliers], cube.error[outliers] = np.nan, np.nan
    return cube, outliers, noise_ratio


def _covering(bands, images, cube, grid, min_overlap):
    """Keep the bands that cover enough of the field, and log the others."""
    field = np.zeros(cube.footprint.shape, dtype=bool)
    field[grid.field] = cube.footprint[grid.field]
    return covering(bands, images, field, grid, min_overlap)
