"""Several cubes of one scene on one grid: gratings, pointings of a mosaic, visits."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.wcs import WCS
from threadpoolctl import threadpool_limits

from jwst_fusion.exceptions import InputError, NoOverlapError
from jwst_fusion.observation import BandImage, FusionGrid, Observation
from jwst_fusion.optics import throughput

from .comparison import common, compare_band
from .coregister import Coregistration, CoregistrationSettings, cube_on_grid
from .field import field_window
from .grid import crop_cube, cube_footprint, make_grid
from .members import check_set_settings, same_spaxels, sight
from .places import begin_of, reference_spaxels, solve_places
from .pointing import solve_pointing
from .resampling import resample_image
from .usable import covering, usable_bands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jwst_fusion.observation import CubeData, CubeProduct, ImageProduct

    from .pointing import Pointing

__all__ = ["ALIKE", "SetMember", "coregister_set"]

log = logging.getLogger(__name__)

#: Fewest spaxels that a cube has to have in common with the others. Judged.
MIN_COMMON = 12

#: Correlation of a cube with its images, with offset, roll, scale, blur and noise taken out, below which it
#: shows another sky: good observations have 0.997 and more, those of another sky up to 0.96. Measured.
ALIKE = 0.965

#: Significance from which a roll or a magnification of a cube against the images is reported. Judged.
SIGNIFICANT = 5.0


@dataclass(frozen=True, eq=False)
class SetMember:
    """
    A cube of a set on its own grid, and its position in NIRCam's coordinates.

    Attributes
    ----------
    product : CubeProduct
        The cube, in the wavelengths of the set.
    images : tuple of ImageProduct
        The images whose bands it covers.
    bands : dict
        Bandpass, covered fraction and pivot wavelength of each, by label.
    cube : CubeData
        The cube on its grid.
    grid : FusionGrid
        That grid.
    outliers : ndarray of bool, shape (n_wave, my, mx)
        Voxels that were removed.
    noise_ratio : float
        Noise over stated error.
    pointing : Pointing
        Offsets of the images from the cube.
    compared : tuple of Comparison
        What else differs between the cube and those images that were found.
    """

    product: Any
    images: tuple
    bands: dict
    cube: CubeData
    grid: FusionGrid
    outliers: np.ndarray
    noise_ratio: float
    pointing: Pointing
    compared: tuple = ()


def coregister_set(
    products: Sequence[CubeProduct],
    images: Sequence[ImageProduct],
    settings: CoregistrationSettings | None = None,
) -> list[Coregistration]:
    """
    Bring several cubes of one scene and images onto the cells of one grid.

    Each cube is compared with the images whose bands it covers, and all offsets are solved for
    together. The grid is in the coordinates of NIRCam's short channel, or of its long channel if there is no
    other. No cube is resampled: where its spaxels are with respect to the cells is part of how it sees the
    scene (`CubeData.shift`).

    Parameters
    ----------
    products : sequence of CubeProduct
        The cubes.
    images : sequence of ImageProduct
        The images.
    settings : CoregistrationSettings, optional
        Settings.

    Returns
    -------
    list of Coregistration
        Cubes in ascending order of their wavelengths, each with the images whose bands it covers, all on
        one grid.

    Raises
    ------
    InputError
        The cubes cannot be fused together.
    NoOverlapError
        No image covers the field.
    ParameterError
        A setting is for one cube only.
    """
    settings = settings or CoregistrationSettings()
    check_set_settings(settings)
    same_spaxels(products)
    with threadpool_limits(limits=1, user_api="blas"):
        return _coregister_set(products, images, settings)


def _coregister_set(products, images, settings):
    """Co-register on one thread: the same input gives the same bits."""
    alive = [np.isfinite(product.data).any(axis=(1, 2)) for product in products]
    seen, left_out = sight(products, images, settings, alive)
    for name, reason in left_out:
        log.warning("%s left out: %s", name, reason)
    short = {throughput.channel(image.filter) for _, _, own in seen for image in own} >= {"short"}
    d = settings.decimation_factor or (3 if short else 2)
    members = [_measure(*each, settings, d) for each in seen]
    known = [m for m in members if m.pointing.method == "wcs" or _measured(m)]
    for member in members:
        if not any(member is k for k in known):
            log.warning(
                "%s left out: it was not found in any image, so that its place is not known",
                member.product.name,
            )
    if settings.alignment == "auto":
        known = [m for m in known if _measured(m) and _alike(m)]
    _refuse_single(known)
    offsets, errors, places = solve_places(known)
    members, offsets, errors, grids, shifts = _lay_grid(known, offsets, errors, settings)
    return _on_grid(members, offsets, errors, places, grids, shifts, settings)


def _measured(member):
    """Whether any image constrains the position of the cube."""
    return any(np.isfinite(offset.error) for offset in member.pointing.measured)


def _alike(member):
    """Whether a cube shows the sky of its images; tell if not."""
    likeness = [each.correlation for each in member.compared if np.isfinite(each.correlation)]
    if not likeness or max(likeness) >= ALIKE:
        return True
    log.warning(
        "%s left out: it does not show the sky of its images (correlation %.3f, at least %.3f needed)",
        member.product.name, max(likeness), ALIKE,
    )  # fmt: skip
    return False


def _refuse_single(members):
    """Refuse an input that is not a set."""
    if len(members) < 2:
        names = ", ".join(member.product.name for member in members) or "none"
        raise InputError(
            f"{names}: of all cubes only this can be fused; make an association of it and its images alone"
        )


def _measure(product, channels, images, settings, d):
    """Compare one cube with its images, on its own grid."""
    product = replace(
        product,
        data=product.data[channels],
        error=product.error[channels],
        wavelength=product.wavelength[channels],
    )
    footprint = cube_footprint(product.data)
    if footprint.sum() < MIN_COMMON:
        raise InputError(
            f"{product.name}: {footprint.sum()} spaxels with data, at least {MIN_COMMON} needed; leave the "
            "cube out"
        )
    grid = make_grid(field_window(footprint, product.wcs), product.wcs, d, settings.margin)
    cube, outliers, noise_ratio = cube_on_grid(product, grid)
    bands = usable_bands(images, cube)
    images = sorted((i for i in images if i.label in bands), key=lambda image: bands[image.label][2])
    log.info("%s, with %s:", product.name, ", ".join(image.label for image in images))
    pointing = solve_pointing(
        images, bands, cube, grid, alignment=settings.alignment, capture=settings.capture
    )
    compared = _compare(images, bands, cube, grid, pointing)
    _tell_distortion(product.name, compared)
    return SetMember(product, tuple(images), bands, cube, grid, outliers, noise_ratio, pointing, compared)


def _compare(images, bands, cube, grid, pointing):
    """Compare a cube with those of its images that were found, at the offset of each."""
    compared = []
    for image, offset in zip(images, pointing.measured, strict=False):
        if np.isfinite(offset.error):
            bandpass, _, pivot = bands[image.label]
            data, error = resample_image(image, grid, (offset.east, offset.north))
            band = BandImage.of(image, data=data, error=error, pivot_wavelength=pivot)
            compared.append(compare_band(band, bandpass, replace(cube, excess=pointing.excess), grid)[0])
    return tuple(compared)


def _tell_distortion(name, compared):
    """Warn of a roll or a magnification of a cube against the images, which is not corrected."""
    for what, unit, factor in (("roll", "deg", 1.0), ("magnification", "%", 100.0)):
        value, error = common(compared, what)
        if abs(value) > SIGNIFICANT * error:
            log.warning(
                "%s: the images have a %s of %+.3f +- %.3f %s against it, which is not corrected",
                name, what, factor * value, factor * error, unit,
            )  # fmt: skip


def _lay_grid(members, offsets, errors, settings):
    """Lay one grid over all cubes; leave out those that have no sky in common with the others."""
    frame = reference_spaxels(members[0], offsets[0])
    at = [begin_of(member, offset, frame) for member, offset in zip(members, offsets, strict=True)]
    kept = _connected(members, at)
    for i, member in enumerate(members):
        if i not in kept:
            log.warning("%s left out: it has no sky in common with the other cubes", member.product.name)
    members, offsets, errors, at = ([each[i] for i in kept] for each in (members, offsets, errors, at))
    if len(members) < 2:
        raise NoOverlapError(
            f"{members[0].product.name}: no other cube shows the same sky; make an association of each cube"
        )
    d, jacobian = members[0].grid.decimation_factor, members[0].grid.jacobian
    low = np.min([a.whole for a in at], axis=0)
    high = np.max(
        [a.whole + np.array(m.cube.footprint.shape) for a, m in zip(at, members, strict=True)], axis=0
    )
    shape = tuple(int(n) for n in high - low)
    margin = int(np.ceil(settings.margin / (d * members[0].grid.cell_size) - 1e-9))
    middle = low + (np.array(shape) - 1) / 2
    ra, dec = frame.wcs_pix2world(middle[1], middle[0], 0)
    grids = [
        FusionGrid(
            shape=tuple(n * d for n in shape),
            decimation_factor=d,
            jacobian=jacobian,
            centre=(float(ra), float(dec)),
            origin=tuple(int(v) for v in low - a.whole),
            field=tuple(slice(margin, n - margin) for n in shape),
        )
        for a in at
    ]
    return members, offsets, errors, grids, [tuple(float(v) for v in a.part * d) for a in at]


def _connected(members, at):
    """Find the largest group of cubes that share sky, directly or through others; their indices."""
    n = len(members)
    linked = [
        [_shared(members[i], at[i], members[j], at[j]) >= MIN_COMMON for j in range(n)] for i in range(n)
    ]
    best: list[int] = []
    for start in range(n):
        found, new = {start}, [start]
        while new:
            i = new.pop()
            more = [j for j in range(n) if linked[i][j] and j not in found]
            found.update(more)
            new += more
        if len(found) > len(best):
            best = sorted(found)
    return best


def _shared(a, at_a, b, at_b):
    """Count the spaxels that two cubes have in common."""
    origin = tuple(int(v) for v in at_a.whole - at_b.whole)
    moved = crop_cube(b.cube.footprint, replace(a.grid, origin=origin), False)
    return int((moved & a.cube.footprint).sum())


def _on_grid(members, offsets, errors, places, grids, shifts, settings):
    """Put cubes and images onto the grid."""
    images = {image.name: image for member in members for image in member.images}
    pivots = {i.label: m.bands[i.label][2] for m in members for i in m.images}
    on_grid = {}
    for name, image in images.items():
        place = places[name]
        data, error = resample_image(image, grids[0], tuple(place))
        on_grid[image.label] = BandImage.of(
            image, data=data, error=error, pivot_wavelength=pivots[image.label],
            offset_east=float(place[0]), offset_north=float(place[1]),
        )  # fmt: skip
    cubes = [_placed(m, grid, shift) for m, grid, shift in zip(members, grids, shifts, strict=True)]
    field = np.any([cube.footprint for cube, _ in cubes], axis=0)
    bands = covering(list(on_grid.values()), list(images.values()), field, grids[0], settings.min_overlap)
    log.info(
        "Grid of %d cubes: %d x %d cells of %.4f arcsec, %d wavelengths from %.4f to %.4f um",
        len(cubes), *grids[0].shape, grids[0].cell_size, sum(c.wavelength.size for c, _ in cubes),
        min(c.wavelength[0] for c, _ in cubes), max(c.wavelength[-1] for c, _ in cubes),
    )  # fmt: skip
    result = []
    for member, grid, (cube, outliers), offset, error in zip(
        members, grids, cubes, offsets, errors, strict=True
    ):
        own = [
            replace(b, covered_fraction=member.bands[b.label][1], offset_err=float(error))
            for b in bands
            if b.label in member.bands
        ]
        if not own:
            raise NoOverlapError(
                f"{member.product.name}: no image that looks at it covers the field; leave the cube out"
            )
        own.sort(key=lambda band: band.pivot_wavelength)
        observation = Observation(grid, cube, tuple(own), alignment=member.pointing.method)
        result.append(
            Coregistration(
                observation=observation,
                wcs=_spaxel_wcs(grid),
                noise_ratio=member.noise_ratio,
                outliers=outliers,
                pointing=member.pointing,
                name=member.product.name,
                offset=tuple(float(v) for v in offset),
            )
        )
    return result


def _placed(member, grid, shift):
    """Put a cube onto the grid, its spaxels displaced from those of the grid by a part of one."""
    cube = replace(
        member.cube,
        data=crop_cube(member.cube.data, grid, np.nan),
        error=crop_cube(member.cube.error, grid, np.nan),
        footprint=crop_cube(member.cube.footprint, grid, False),
        excess=member.pointing.excess,
        shift=shift,
    )
    return cube, crop_cube(member.outliers, grid, False)


def _spaxel_wcs(grid):
    """Celestial WCS of the spaxels from which a grid's origin counts."""
    d, wcs = grid.decimation_factor, WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ("RA---TAN", "DEC--TAN"), grid.centre
    wcs.wcs.crpix = [(n + 1) / 2 + o for n, o in zip(grid.spaxel_shape[::-1], grid.origin[::-1], strict=True)]
    wcs.wcs.cdelt = np.full(2, grid.cell_size * d / 3600)
    wcs.wcs.pc = grid.jacobian / grid.cell_size
    wcs.wcs.cunit = "deg", "deg"
    wcs.wcs.set()
    return wcs
