"""Simulate several cubes of one scene, of several gratings and pointings, with images of both channels."""

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from scipy import fft

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.simulation import simulator
from jwst_fusion.simulation.mosaic import BandSky
from jwst_fusion.simulation.nircam import band_image, read_band
from jwst_fusion.simulation.nirspec import SPAXEL, CubeGrid
from jwst_fusion.simulation.scene import raster_scene
from jwst_fusion.simulation.scene_random import Conditions
from jwst_fusion.simulation.scenes import make_scene
from jwst_fusion.simulation.setups import get_setup
from jwst_fusion.simulation.sky import offset_between, shift_position
from jwst_fusion.simulation.telescope import make_telescopes
from jwst_fusion.simulation.truth_products import (
    true_cells,
    write_association,
    write_parameters,
    write_truth,
)

__all__ = ["SimulatedSet", "simulate_set"]

_CELLS = 3  # truth cells per spaxel, those of NIRCam's short channel
_STEP = 0.5  # distance of pointings, as a share of the field
_TURN = 6.0  # deg, between pointings
_MOST_POINTINGS = 4
_VISIT_TURN = 40.0  # deg, between visits of NIRCam
_MOST_VISITS = 4
_FACTOR = 0.03  # largest departure of a grating's flux scale from the others'


@dataclass(frozen=True)
class SimulatedSet:
    """
    The files that the simulation of a set wrote.

    Attributes
    ----------
    association : pathlib.Path
        Level-3 association of all images and cubes.
    images : tuple of pathlib.Path
        NIRCam images (``*_i2d.fits``), one per filter and visit.
    cubes : tuple of pathlib.Path
        NIRSpec cubes (``*_s3d.fits``), one per grating and pointing.
    truths : tuple of pathlib.Path
        The true scene on the cells of one grid, a file per grating.
    parameters : pathlib.Path
        All true parameters (JSON).
    """

    association: Path
    images: tuple
    cubes: tuple
    truths: tuple
    parameters: Path

    @property
    def paths(self):
        """All files, list of pathlib.Path."""
        return [self.association, *self.images, *self.cubes, *self.truths, self.parameters]


@dataclass(frozen=True, eq=False)
class _Visit:
    """A cube of the set: with which grating, where, and how it is calibrated."""

    setup: object
    wavelength: np.ndarray
    cube_grid: CubeGrid
    sky: tuple
    factor: float
    name: str


def simulate_set(
    scene, output_dir, *, setups=("G140H/F100LP", "G235H/F170LP-whole", "G395H/F290LP"), pointings=1,
    visits=1, seed=0, name=None, filters=None, n_wave=None, fov=3.0, image_field=None, snr=None,
    image_snr=None,
):  # fmt: skip
    """
    Simulate several cubes of one scene, with NIRCam images of both channels.

    Each cube has its own pointing error and its own spaxels, each grating a flux scale of its own. Pointings
    lie half a field apart along declination and are turned against each other.

    Parameters
    ----------
    scene : str or Scene
        Name of a scene that does not move (``disk``, ``nebula``), or a scene.
    output_dir : str or pathlib.Path
        Directory to write to; made if it does not exist.
    setups : sequence of str, optional
        Gratings and filters, keys of `~jwst_fusion.simulation.setups.SETUPS`.
    pointings : int, optional
        Number of pointings of the IFU with each grating.
    visits : int, optional
        Number of images in each filter, each with the telescope turned by 40 deg more, with its own pointing
        error and its own flux scale.
    seed : int, optional
        Seed of all that is random.
    name : str, optional
        Product name; the scene's name by default.
    filters : sequence of str, optional
        NIRCam filters; those of all setups by default.
    n_wave : int, optional
        Number of channels of each cube; by default they have the grating's spacing.
    fov : float, optional
        Side of the IFU's field [arcsec].
    image_field : float, optional
        Side of the NIRCam exposures [arcsec]; the scene's by default.
    snr, image_snr : float, optional
        Signal-to-noise ratio at the scene's typical level of a voxel and of a detector pixel; by default 15
        and 70.

    Returns
    -------
    SimulatedSet

    Raises
    ------
    ParameterError
        If a parameter cannot be used.
    """
    if seed < 0 or not 1 <= pointings <= _MOST_POINTINGS:
        raise ParameterError(
            f"seed {seed}, {pointings} pointings: expected 0 or more, and 1 to {_MOST_POINTINGS}"
        )
    if not 1 <= visits <= _MOST_VISITS:
        raise ParameterError(f"{visits} visits: expected 1 to {_MOST_VISITS}")
    scene = make_scene(scene, seed=seed) if isinstance(scene, str) else scene
    if scene.moving or scene.name == "random":
        raise ParameterError(
            f"scene {scene.name!r} cannot be simulated with several cubes: use disk or nebula"
        )
    setups = [replace(get_setup(setup), decimation_factor=_CELLS) for setup in setups]
    names = filters or list(dict.fromkeys(item for setup in setups for item in setup.filters))
    given = {"snr": snr, "image_snr": image_snr}
    conditions = replace(
        Conditions(tuple(names)), **{key: value for key, value in given.items() if value is not None}
    )
    image_field = max(scene.image_field, fov * pointings) if image_field is None else image_field
    simulator._check(fov, image_field, conditions.snr, conditions.image_snr, 1.0)
    bands = tuple(read_band(item.upper()) for item in names) * visits
    rng = np.random.default_rng(seed)
    wavelengths = [simulator._choose_wavelengths(setup, None, n_wave) for setup in setups]
    plan = simulator._make_plan(
        rng, scene, setups[0], wavelengths[0], bands, fov, image_field, 1.0, conditions
    )
    looks = _plan_visits(rng, plan, setups, wavelengths, pointings)
    plan = replace(plan, grid=_scene_grid(plan, looks))
    directory = Path(output_dir)
    directory.mkdir(parents=True, exist_ok=True)
    files = _name_files(directory, name or scene.name, setups, looks, bands)
    results = _observe(rng, plan, looks, files)
    settings = {"name": name or scene.name, "seed": seed, "cube_snr": conditions.snr}
    write_parameters(files.parameters, settings | {"image_snr": conditions.image_snr} | results)
    write_association(files.association, name or scene.name, [p.name for p in (*files.images, *files.cubes)])
    return files


def _plan_visits(rng, plan, setups, wavelengths, pointings):
    """Draw where each cube looks, where its coordinates put the scene, and its flux scale."""
    visits = []
    for setup, wavelength in zip(setups, wavelengths, strict=True):
        factor = round(float(rng.uniform(1 - _FACTOR, 1 + _FACTOR)), 4)
        for number in range(pointings):
            grid = simulator._plan_cube(
                rng, plan.scene, plan.cube_grid.field, plan.conditions.rolls[1] + _TURN * number
            )
            north = (number - (pointings - 1) / 2) * _STEP * grid.field
            grid = replace(grid, north=grid.north + north, field_north=grid.field_north + north)
            sky, _ = simulator._plan_pointing_errors(rng, plan.scene, 1)
            disperser = f"{setup.grating}-{setup.blocking_filter}".lower()
            name = disperser if pointings == 1 else f"{disperser}-p{number + 1}"
            visits.append(_Visit(setup, wavelength, grid, sky, factor, name))
    return visits


def _scene_grid(plan, visits):
    """Lay the scene's grid around all cubes, its cells aligned with the spaxels of the plan's cube."""
    north = [visit.cube_grid.field_north for visit in visits]
    field = plan.cube_grid.field
    seen = min(plan.image_side, max(plan.scene.image_field, field + np.ptp(north)))
    reach = max(seen, field + np.ptp(north)) / np.sqrt(2) + 0.5 + simulator._MARGIN * min(1.0, field)
    return simulator._plan_scene_grid(plan.cube_grid, simulator._CELLS[_CELLS], reach)


def _name_files(directory, name, setups, visits, bands):
    """Name all files in the manner of the archive."""
    gratings = [f"{setup.grating}-{setup.blocking_filter}".lower() for setup in setups]
    return SimulatedSet(
        association=directory / f"{name}_asn.json",
        images=tuple(
            directory / f"{name}_{simulator._wheels(band.filter)}{_suffix(number)}_i2d.fits"
            for band, number in zip(bands, _visits(bands), strict=True)
        ),
        cubes=tuple(directory / f"{name}_{visit.name}_s3d.fits" for visit in visits),
        truths=tuple(directory / f"{name}_{grating}_truth.fits" for grating in gratings),
        parameters=directory / f"{name}_truth.json",
    )


def _visits(bands):
    """Count how often the band of each image was there before."""
    return [[other.filter for other in bands[:i]].count(band.filter) for i, band in enumerate(bands)]


def _suffix(number):
    """Tell the images of later visits from those of the first in their names."""
    return f"-v{number + 1}" if number else ""


def _observe(rng, plan, visits, files):
    """Observe with both instruments, save images, cubes and truths; return the true parameters."""
    wavefront = dict(zip(simulator._INSTRUMENTS, plan.conditions.wavefront, strict=True))
    telescopes = make_telescopes(rng, wavefront)
    rastered = raster_scene(plan.scene, plan.grid)
    transform = fft.rfft2(rastered.maps, workers=2)
    each = zip(plan.bands, _visits(plan.bands), files.images, strict=True)
    for index, (band, number, path) in enumerate(each):
        telescope = telescopes[band.channel]
        level = simulator._typical_level(rastered, plan, band.wavelength)
        turned = replace(plan, rolls=tuple(roll + _VISIT_TURN * number for roll in plan.rolls))
        image = band_image(transform, rastered, telescope, band, turned.rolls[0])
        simulator._make_image(rng, turned, BandSky(image, plan.grid), level, index, path)
    cubes = []
    for visit, path in zip(visits, files.cubes, strict=True):
        own = replace(plan, setup=visit.setup, wavelength=visit.wavelength, cube_grid=visit.cube_grid,
                      sky_cube=visit.sky)  # fmt: skip
        seen = rastered, transform, telescopes["NIRSPEC"]
        cubes.append(simulator._make_cube(rng, own, *seen, path, factor=visit.factor)[0])
    _save_truths(plan, visits, rastered, files.truths)
    return _parameters(plan, visits, cubes)


def _save_truths(plan, visits, rastered, paths):
    """Write the true scene on one grid, in the frame of the first image's coordinates."""
    first = plan.cube_grid
    edges = [
        (round((first.east - v.cube_grid.east) / SPAXEL), round((v.cube_grid.north - first.north) / SPAXEL))
        for v in visits
    ]
    low = np.min(edges, axis=0) - 1
    high = (
        np.max([np.add(e, v.cube_grid.shape[::-1]) for e, v in zip(edges, visits, strict=True)], axis=0) + 1
    )
    nx, ny = (int(n) for n in high - low)
    grid = replace(
        first, shape=(ny, nx), east=first.east - low[0] * SPAXEL, north=first.north + low[1] * SPAXEL
    )
    middle = grid.east - (nx - 1) / 2 * SPAXEL, grid.north + (ny - 1) / 2 * SPAXEL
    centre = shift_position(plan.sky_images[0], *middle)
    by_grating = {visit.setup.grating: visit for visit in visits}
    for visit, path in zip(by_grating.values(), paths, strict=True):
        step = float(np.median(np.diff(visit.wavelength)))
        spectra = rastered.evaluate_spectra(visit.wavelength, channel_width=step)
        truth = true_cells(rastered, grid, spectra, _CELLS, SPAXEL)
        info = SimpleNamespace(  # by the names that a product has for its coordinates
            ctype1="RA---TAN", ctype2="DEC--TAN", crval1=centre[0], crval2=centre[1], crpix1=(nx + 1) / 2,
            crpix2=(ny + 1) / 2, cdelt1=SPAXEL / 3600, cdelt2=SPAXEL / 3600, cdelt3=step,
        )  # fmt: skip
        write_truth(path, truth, visit.wavelength, info, _CELLS)


def _parameters(plan, visits, arrays):
    """Collect the true parameters."""
    reference = plan.sky_images[0]
    cubes = []
    for visit, spoiled in zip(visits, arrays, strict=True):
        east, north = offset_between(visit.sky, reference)
        cubes.append(
            {"name": visit.name, "grating": visit.setup.grating, "factor": visit.factor,
             "offset_east": east, "offset_north": north, "pa_v3": visit.cube_grid.roll,
             "field_east": visit.cube_grid.field_east, "field_north": visit.cube_grid.field_north,
             "dead_planes": spoiled.dead_planes, "noise": spoiled.noise.tolist(),
             "wavelength": visit.wavelength.tolist()}
        )  # fmt: skip
    filters = []
    for band, scale, sky in zip(plan.bands, plan.scales, plan.sky_images, strict=True):
        east, north = offset_between(reference, sky)
        filters.append({"filter": band.filter, "scale": scale, "offset_east": east, "offset_north": north})
    return {
        "scene": plan.scene.name, "decimation_factor": _CELLS, "cubes": cubes, "filters": filters,
        "sky_centre_true": (plan.scene.ra, plan.scene.dec), "sky_centre_reference": reference,
        "field": plan.cube_grid.field, "wavefront": plan.conditions.wavefront,
        "components": [component.name for component in plan.scene.components],
    }  # fmt: skip
