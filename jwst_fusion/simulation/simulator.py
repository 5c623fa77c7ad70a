"""Simulate the stage-3 products of both instruments for one scene."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from scipy import fft

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.optics.throughput import PUPIL_FILTERS
from jwst_fusion.simulation.cube_product import cube_model
from jwst_fusion.simulation.image_products import drizzle, exposure_model
from jwst_fusion.simulation.mosaic import BandSky, draw_field_stars, peak_brightness, star_stamps
from jwst_fusion.simulation.nircam import Pointing, band_image, read_band, take_exposure
from jwst_fusion.simulation.nirspec import SPAXEL, CubeGrid, add_defects, add_noise, observe_cube
from jwst_fusion.simulation.scene import Scene, SceneGrid, raster_scene
from jwst_fusion.simulation.scene_random import Conditions, draw_conditions
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

__all__ = ["SimulatedFiles", "simulate"]

_INSTRUMENTS = ("SHORT", "LONG", "NIRSPEC")
_APERTURE = 138.97  # PA_APER - PA_V3 of the IFU [deg]
_MOST_CHANNELS = 20000  # some five times those of a grating
_MARGIN = 1.2  # arcsec, for the wings of the PSF
_CELLS = {3: 9, 2: 8}  # scene cells per spaxel
_MOSAIC = 40.0  # arcsec, side of the images if stars are around the field


@dataclass(frozen=True)
class SimulatedFiles:
    """
    The files that a simulation wrote.

    Attributes
    ----------
    association : pathlib.Path
        Level-3 association of the images and the cube.
    images : tuple of pathlib.Path
        NIRCam images (``*_i2d.fits``), one per filter.
    cube : pathlib.Path
        NIRSpec cube (``*_s3d.fits``).
    truth : pathlib.Path
        The true scene on the cells of the fused cube.
    parameters : pathlib.Path
        All true parameters (JSON).
    """

    association: Path
    images: tuple
    cube: Path
    truth: Path
    parameters: Path

    @property
    def paths(self):
        """All files, list of pathlib.Path."""
        return [self.association, *self.images, self.cube, self.truth, self.parameters]


@dataclass(frozen=True, eq=False)
class _Plan:
    """All that is drawn at random or decided before anything is computed."""

    scene: Scene
    setup: object
    wavelength: np.ndarray
    bands: tuple
    cube_grid: CubeGrid
    grid: SceneGrid
    image_side: float
    image_centre: tuple
    dither: np.ndarray
    rolls: tuple
    scales: tuple
    sky_cube: tuple
    sky_images: tuple
    dead_spot: tuple
    psf_scale: float
    conditions: Conditions


def _choose_wavelengths(setup, wavelength_range, n_wave):
    """Choose the channels [um]: the grating's own, or ``n_wave`` over the range."""
    low, high = setup.cube_range if wavelength_range is None else map(float, wavelength_range)
    if not 0.6 <= low < high <= 5.4:
        raise ParameterError(f"wavelength range {low:g} to {high:g} um: expected ascending within 0.6 to 5.4")
    number = int((high - low) / setup.spacing * (1 + 1e-9)) + 1 if n_wave is None else int(n_wave)
    if not 8 <= number <= _MOST_CHANNELS:
        raise ParameterError(f"the cube would have {number} channels: expected 8-{_MOST_CHANNELS} (--n-wave)")
    if n_wave is None:
        return low + setup.spacing * np.arange(number)
    return np.linspace(low, high, number)


def _plan_cube(rng, scene, field, roll):
    """Draw where the IFU looks, and lay its spaxels with a margin around the field."""
    reach = 0.3 if scene.moving else 0.12
    east, north = rng.uniform(-reach, reach, 2)
    angle = (roll + _APERTURE) % 360
    turned = np.abs([np.sin(np.radians(angle)), np.cos(np.radians(angle))]).sum()
    half = int(np.ceil(field * turned / 2 / SPAXEL)) + 1
    size = 2 * half + 1
    return CubeGrid(
        shape=(size, size), east=east + half * SPAXEL, north=north - half * SPAXEL, field_east=east,
        field_north=north, field=field, roll=roll, aperture_angle=angle,
    )  # fmt: skip


def _plan_scene_grid(cube_grid, cells, reach):
    """Lay the scene's grid around the cube's, its cells aligned with the spaxels."""
    half = int(np.ceil(reach / SPAXEL))
    spaxels = fft.next_fast_len(2 * half + 1, real=True)
    cell = SPAXEL / cells
    before = (spaxels - cube_grid.shape[1]) // 2
    edge = before * SPAXEL + (SPAXEL - cell) / 2
    return SceneGrid(spaxels * cells, cell, cube_grid.east + edge, cube_grid.north - edge)


def _plan_pointing_errors(rng, scene, number):
    """Draw where the cube's WCS and each image's WCS put the scene's centre (ra, dec) [deg]."""
    truth = (scene.ra, scene.dec)
    angle, radius = rng.uniform(0, 2 * np.pi, 2), (rng.uniform(0.07, 0.2), rng.uniform(0.015, 0.035))
    cube = shift_position(truth, radius[0] * np.sin(angle[0]), radius[0] * np.cos(angle[0]))
    base = shift_position(truth, 612.0, -233.0) if scene.moving else truth
    common = np.array([np.sin(angle[1]), np.cos(angle[1])]) * radius[1]
    own = rng.normal(0.0, 0.002, (number, 2))
    return cube, tuple(shift_position(base, *(common + shift)) for shift in own)


def _make_plan(rng, scene, setup, wavelength, bands, field, image_field, psf_scale, conditions):
    """Decide on pointings, grids, flux scales and defects."""
    cube_grid = _plan_cube(rng, scene, field, conditions.rolls[1])
    image_centre = tuple(rng.uniform(-0.3, 0.3, 2))
    seen = min(image_field, max(scene.image_field, field))
    reach = max(seen / np.sqrt(2) + 0.4, field / np.sqrt(2) + 0.5) + _MARGIN * min(1.0, field)
    grid = _plan_scene_grid(cube_grid, _CELLS[setup.decimation_factor], reach)
    sky_cube, sky_images = _plan_pointing_errors(rng, scene, len(bands))
    dither = rng.integers(4, 9, 2) * rng.choice([-1, 1], 2) + rng.uniform(0.3, 0.7, 2)
    scales = tuple(np.round(rng.uniform(1.01, 1.15, len(bands)), 4).tolist())
    spot_angle = rng.uniform(0, 2 * np.pi)
    spot_radius = 0.42 * min(field, 3.0)
    return _Plan(
        scene=scene, setup=setup, wavelength=wavelength, bands=bands, cube_grid=cube_grid, grid=grid,
        image_side=image_field, image_centre=image_centre, dither=dither,
        rolls=(conditions.rolls[0], conditions.rolls[0] + 0.03), scales=scales, sky_cube=sky_cube,
        sky_images=sky_images, dead_spot=(spot_radius * np.sin(spot_angle), spot_radius * np.cos(spot_angle)),
        psf_scale=psf_scale, conditions=conditions,
    )  # fmt: skip


def _typical_level(rastered, plan, wavelength):
    """Median surface brightness of what is bright in the field [MJy/sr]."""
    spectra = np.median(rastered.evaluate_spectra(wavelength), axis=1)
    half = plan.cube_grid.field / 2
    east, north = plan.grid.offsets()
    rows = np.abs(north - plan.cube_grid.field_north) < half
    columns = np.abs(east - plan.cube_grid.field_east) < half
    image = np.tensordot(spectra, rastered.maps[:, rows][:, :, columns], 1)
    return float(np.median(image[image > 0.1 * np.quantile(image, 0.99)]))


def _shine(plan, stars, stamps, level):
    """Assign fluxes to stars by the noise in the first band: tuple of (FieldStar, MJy/sr arcsec^2)."""
    return tuple(
        (star, float(peak_brightness(star.snr, level, plan.conditions.image_snr) / stamps[star.kind].max()))
        for star in stars
    )


def _make_image(rng, plan, sky, level, index, path):
    """Take two dithered exposures in a band and drizzle them."""
    band, snr = plan.bands[index], plan.conditions.image_snr
    size = int(round(plan.image_side / band.pixel))
    models = []
    for number, (roll, sign) in enumerate(zip(plan.rolls, (-0.5, 0.5), strict=True)):
        step = sign * plan.dither * band.pixel
        pointing = Pointing(plan.image_centre[0] + step[0], plan.image_centre[1] + step[1], roll, size)
        exposure = take_exposure(
            sky, band, pointing, rng=rng, snr=snr, level=level, scale=plan.scales[index],
            dead_spot=plan.dead_spot,
        )  # fmt: skip
        models.append(exposure_model(exposure, band, plan.scene, plan.sky_images[index], number))
    drizzle(models, path)


def _make_cube(rng, plan, rastered, transform, telescope, path, *, factor=1.0):
    """Observe, spoil and save the cube on a flux scale of its own; return its arrays and WCS metadata."""
    blur, snr = plan.conditions.ifu_blur, plan.conditions.snr
    clean = observe_cube(transform, rastered, telescope, plan.cube_grid, plan.wavelength, blur=blur)
    clean, level = factor * clean, factor * _typical_level(rastered, plan, plan.wavelength)
    footprint = plan.cube_grid.footprint()
    data, sigma, noise = add_noise(clean, footprint, rng=rng, snr=snr, level=level)
    arrays = add_defects(data, sigma, noise, plan.cube_grid, plan.wavelength, rng=rng, gap=plan.setup.gap)
    model = cube_model(arrays, plan.cube_grid, plan.wavelength, plan.setup, plan.scene, plan.sky_cube)
    model.save(str(path))
    return arrays, model.meta.wcsinfo


def _parameters(plan, arrays, stars):
    """Collect the true parameters."""
    filters = []
    for band, scale, sky in zip(plan.bands, plan.scales, plan.sky_images, strict=True):
        east, north = offset_between(plan.sky_cube, sky)
        filters.append(
            {"filter": band.filter, "scale": scale, "offset_east": east, "offset_north": north,
             "sky_centre": sky}
        )  # fmt: skip
    return {
        "scene": plan.scene.name, "grating": plan.setup.grating,
        "decimation_factor": plan.setup.decimation_factor, "filters": filters,
        "psf_scale": plan.psf_scale, "sky_centre_true": (plan.scene.ra, plan.scene.dec),
        "sky_centre_cube": plan.sky_cube,
        "pa_v3_nircam": plan.rolls[0], "pa_v3_nirspec": plan.cube_grid.roll,
        "pa_aper_nirspec": plan.cube_grid.aperture_angle, "field": plan.cube_grid.field,
        "stars": [{"east": s.east, "north": s.north, "flux": s.flux} for s in plan.scene.stars],
        "field_stars": [asdict(star) | {"flux": flux} for star, flux in stars],
        "components": [c.name for c in plan.scene.components], "dead_spot": plan.dead_spot,
        "wavefront": plan.conditions.wavefront, "ifu_blur": plan.conditions.ifu_blur,
        "dead_planes": arrays.dead_planes, "outliers": arrays.outliers,
        "wavelength": plan.wavelength.tolist(), "noise": arrays.noise.tolist(),
    }  # fmt: skip


def _check(field, image_field, snr, image_snr, psf_scale):
    """Refuse sizes and signal-to-noise ratios that cannot be used."""
    if not 0.3 <= field <= 6.0:
        raise ParameterError(f"fov is {field:g} arcsec: expected 0.3 to 6")
    if not field <= image_field <= 120.0:
        raise ParameterError(f"image_field is {image_field:g} arcsec: expected the fov ({field:g}) to 120")
    if not (snr > 0 and image_snr > 0):
        raise ParameterError(f"signal-to-noise ratios are {snr:g} and {image_snr:g}: expected positive")
    if not 0.5 <= psf_scale <= 2.0:
        raise ParameterError(f"psf_scale is {psf_scale:g}: expected 0.5 to 2")


def simulate(
    scene, output_dir, *, seed=0, name=None, setup="G235H/F170LP", filters=None, wavelength_range=None,
    n_wave=None, fov=3.0, image_field=None, snr=None, image_snr=None, psf_scale=1.0, field_stars=0,
    wavefront_seed=None,
):  # fmt: skip
    """
    Simulate the stage-3 products of NIRCam and of the NIRSpec IFU.

    Parameters
    ----------
    scene : str or Scene
        Name of a scene (``disk``, ``titan``, ``nebula``, ``galaxy``, or ``random``: scene, bands, noise,
        position angles and wavefronts drawn by the seed), or a scene.
    output_dir : str or pathlib.Path
        Directory to write to; made if it does not exist.
    seed : int, optional
        Seed of all that is random.
    name : str, optional
        Product name; the scene's name by default.
    setup : str, optional
        Grating and filters, a key of `~jwst_fusion.simulation.setups.SETUPS`.
    filters : sequence of str, optional
        NIRCam filters; the setup's by default, of ``random`` some of them.
    wavelength_range : (float, float), optional
        Range of the cube [um]; the grating's by default.
    n_wave : int, optional
        Number of channels over the range; by default they have the grating's spacing.
    fov : float, optional
        Side of the IFU's field [arcsec].
    image_field : float, optional
        Side of the NIRCam exposures [arcsec]; the scene's by default, 40 with stars around it. The scene is
        computed over its own field and fades into a flat sky.
    snr, image_snr : float, optional
        Signal-to-noise ratio at the scene's typical level of a voxel and of a detector pixel; by default 15
        and 70, those of ``random`` are drawn.
    psf_scale : float, optional
        Factor by which the PSFs of both instruments are wider than the telescope makes them.
    field_stars : int, optional
        Stars in the images outside the IFU's field, of a signal-to-noise ratio from 30 to 500.
    wavefront_seed : int, optional
        Seed of the telescope's wavefronts alone; by default they are drawn with all the rest.

    Returns
    -------
    SimulatedFiles

    Raises
    ------
    ParameterError
        If a parameter cannot be used.
    """
    counts = {"seed": seed, "field_stars": field_stars, "wavefront_seed": wavefront_seed or 0}
    for what, value in counts.items():
        if value < 0:
            raise ParameterError(f"{what} is {value}: expected 0 or more")
    setup = get_setup(setup)
    conditions = draw_conditions(seed, setup) if scene == "random" else Conditions(setup.filters)
    given = {"filters": filters, "snr": snr, "image_snr": image_snr}
    conditions = replace(conditions, **{key: value for key, value in given.items() if value is not None})
    scene = make_scene(scene, seed=seed) if isinstance(scene, str) else scene
    if scene.moving and field_stars:
        raise ParameterError("stars around a moving target are trailed: set field_stars to 0")
    name = name or scene.name
    if image_field is None:
        image_field = _MOSAIC if field_stars else max(scene.image_field, fov)
    _check(fov, image_field, conditions.snr, conditions.image_snr, psf_scale)
    wavelength = _choose_wavelengths(setup, wavelength_range, n_wave)
    bands = tuple(read_band(item.upper()) for item in conditions.filters)
    rng = np.random.default_rng(seed)
    plan = _make_plan(rng, scene, setup, wavelength, bands, fov, image_field, psf_scale, conditions)
    stars = draw_field_stars(seed, field_stars, plan.cube_grid, image_field, plan.image_centre, plan.rolls[0])
    directory = Path(output_dir)
    directory.mkdir(parents=True, exist_ok=True)
    files = _name_files(directory, name, setup, bands)
    optics = rng if wavefront_seed is None else np.random.default_rng(wavefront_seed)
    wavefront = dict(zip(_INSTRUMENTS, conditions.wavefront, strict=True))
    results = _observe(rng, plan, make_telescopes(optics, wavefront, psf_scale), stars, files)
    settings = {"name": name, "seed": seed, "cube_snr": conditions.snr, "image_snr": conditions.image_snr}
    write_parameters(files.parameters, settings | results)
    write_association(files.association, name, [p.name for p in (*files.images, files.cube)])
    return files


def _observe(rng, plan, telescopes, field_stars, files):
    """Observe with both instruments, save images, cube and truth; return the true parameters."""
    rastered = raster_scene(plan.scene, plan.grid)
    transform = fft.rfft2(rastered.maps, workers=2)
    stamps, stars = None, ()
    for index, (band, path) in enumerate(zip(plan.bands, files.images, strict=True)):
        telescope, level = telescopes[band.channel], _typical_level(rastered, plan, band.wavelength)
        image = band_image(transform, rastered, telescope, band, plan.rolls[0])
        if field_stars:
            stamps = star_stamps(telescope, band, plan.rolls[0], plan.grid.cell)
            stars = stars or _shine(plan, field_stars, stamps, level)
        _make_image(rng, plan, BandSky(image, plan.grid, stars, stamps), level, index, path)
    arrays, wcsinfo = _make_cube(rng, plan, rastered, transform, telescopes["NIRSPEC"], files.cube)
    truth_range = _save_truth(plan, rastered, wcsinfo, files.truth)
    return {"truth_range": truth_range} | _parameters(plan, arrays, stars)


def _name_files(directory, name, setup, bands):
    """Name all files in the manner of the archive."""
    images = tuple(directory / f"{name}_{_wheels(band.filter)}_i2d.fits" for band in bands)
    disperser = f"{setup.grating}-{setup.blocking_filter}".lower()
    return SimulatedFiles(
        association=directory / f"{name}_asn.json",
        images=images,
        cube=directory / f"{name}_{disperser}_s3d.fits",
        truth=directory / f"{name}_truth.fits",
        parameters=directory / f"{name}_truth.json",
    )


def _wheels(filter_name):
    """Name the pupil and filter as the archive's file names do: ``clear-f182m``, ``f150w2-f162m``."""
    return f"{PUPIL_FILTERS.get(filter_name, 'clear')}-{filter_name}".lower()


def _save_truth(plan, rastered, wcsinfo, path):
    """Write the true scene over the fusion range; return the range [um]."""
    low, high = plan.setup.fusion_range
    wavelength = plan.wavelength
    used = (wavelength >= low - 1e-9) & (wavelength <= high + 1e-9)
    used = used if used.any() else np.ones(wavelength.size, dtype=bool)
    spectra = rastered.evaluate_spectra(wavelength[used], channel_width=np.median(np.diff(wavelength)))
    cells = plan.setup.decimation_factor
    truth = true_cells(rastered, plan.cube_grid, spectra, cells, SPAXEL)
    write_truth(path, truth, wavelength[used], wcsinfo, cells)
    return float(wavelength[used][0]), float(wavelength[used][-1])
