"""A scene: separable extended components and point stars, as functions of the sky offset."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

__all__ = ["Component", "RasteredScene", "Scene", "SceneGrid", "Spectrum", "Star", "raster_scene"]

_STAR_SIGMA = 0.015  # arcsec; makes a star representable on the scene's grid
_RESOLVING_POWER = 2700.0
_FWHM = 2.354820045
_LIGHT = 299792.458  # km/s
_VELOCITY_STEP = 60.0  # km/s; half of what the gratings resolve


@dataclass(frozen=True)
class Spectrum:
    """
    A continuum and emission lines.

    Attributes
    ----------
    continuum : callable
        Continuum as a function of the wavelength [um].
    lines : tuple of (float, float)
        Wavelength [um] of each line and its peak over the continuum, at a resolving power of 2700.
    width : float
        Width of the lines themselves (FWHM), at constant flux [km/s].
    """

    continuum: Callable
    lines: tuple = ()
    width: float = 0.0

    def shifted(self, velocity):
        """Shift the lines by a velocity [km/s], at constant flux."""
        factor = 1 + velocity / _LIGHT
        return replace(self, lines=tuple((centre * factor, peak / factor) for centre, peak in self.lines))

    def __call__(self, wavelength, *, channel_width=0.0):
        """
        Evaluate the spectrum.

        Parameters
        ----------
        wavelength : ndarray, shape (n_wave,)
            Wavelengths [um].
        channel_width : float, optional
            Lines are at least 1.5 channels wide (FWHM) at constant flux [um].

        Returns
        -------
        ndarray, shape (n_wave,)
        """
        result = np.array(self.continuum(wavelength), dtype=float)
        for centre, peak in self.lines:
            resolution = centre / _RESOLVING_POWER
            fwhm = max(np.hypot(resolution, centre * self.width / _LIGHT), 1.5 * channel_width)
            profile = np.exp(-0.5 * ((wavelength - centre) * _FWHM / fwhm) ** 2)
            result += peak * resolution / fwhm * profile
        return result


@dataclass(frozen=True)
class Component:
    """
    A spatial map times a spectrum.

    Attributes
    ----------
    name : str
        What it stands for.
    brightness : callable
        Map [MJy/sr] as a function of the sky offsets (east, north) [arcsec].
    spectrum : Spectrum
        Dimensionless spectrum, of order one.
    velocity : callable, optional
        Velocity that shifts the lines [km/s], as a function of the sky offsets too.
    """

    name: str
    brightness: Callable
    spectrum: Spectrum
    velocity: Callable | None = None


@dataclass(frozen=True)
class Star:
    """
    A point source.

    Attributes
    ----------
    east, north : float
        Offset from the scene's centre [arcsec].
    flux : float
        Flux where the spectrum is one [MJy/sr arcsec^2].
    spectrum : Spectrum
        Dimensionless spectrum, of order one.
    """

    east: float
    north: float
    flux: float
    spectrum: Spectrum


@dataclass(frozen=True)
class Scene:
    """
    Content of the sky.

    Attributes
    ----------
    name, target : str
        Name of the scene and of the target.
    components : tuple of Component
        Extended emission.
    stars : tuple of Star
        Point sources.
    moving : bool
        Whether the target moves: then the WCSs of two instruments have nothing in common.
    ra, dec : float
        Sky position of the scene's centre [deg].
    image_field : float
        Side of the NIRCam image [arcsec].
    """

    name: str
    target: str
    components: tuple
    stars: tuple = ()
    moving: bool = False
    ra: float = 83.8283
    dec: float = -5.4176
    image_field: float = 8.0


@dataclass(frozen=True)
class SceneGrid:
    """A square sky-aligned grid, x to the west and y to the north."""

    size: int  # cells along an axis
    cell: float  # side of one [arcsec]
    east: float  # sky offset of the centre of cell (0, 0) [arcsec]
    north: float

    def offsets(self):
        """Sky offsets of the columns (east) and of the rows (north), both of shape (size,) [arcsec]."""
        step = np.arange(self.size) * self.cell
        return self.east - step, self.north + step

    def frequencies(self):
        """Sky frequencies of the columns of a real FFT (along x) and of its rows [cycles/arcsec]."""
        return np.fft.rfftfreq(self.size, self.cell), np.fft.fftfreq(self.size, self.cell)


@dataclass(frozen=True, eq=False)
class RasteredScene:
    """A scene on a grid."""

    grid: SceneGrid
    maps: np.ndarray  # (k, size, size) of components, their velocities, and kinds of star [MJy/sr]
    spectra: tuple  # of the k maps

    def evaluate_spectra(self, wavelength, *, channel_width=0.0):
        """Evaluate the k spectra at n_wave wavelengths [um]: shape (k, n_wave)."""
        return np.array([s(wavelength, channel_width=channel_width) for s in self.spectra])


def _velocity_parts(velocity):
    """Split a map of velocities between a few, each cell between the two nearest: velocity, share."""
    low, high = velocity.min(), velocity.max()
    step = max((high - low) / np.ceil((high - low) / _VELOCITY_STEP + 1e-9), 1e-9)
    for number in range(round((high - low) / step) + 1):
        centre = low + number * step
        yield centre, np.clip(1 - np.abs(velocity - centre) / step, 0, 1)


def raster_scene(scene, grid):
    """
    Evaluate a scene on a grid.

    Stars become Gaussians of sigma 0.015", normalised to their flux; those of one spectrum share a map.
    """
    east, north = grid.offsets()
    mesh_east, mesh_north = np.meshgrid(east, north)
    maps, spectra = [], []
    for component in scene.components:
        image = np.asarray(component.brightness(mesh_east, mesh_north), dtype=float)
        if component.velocity is None:
            maps.append(image)
            spectra.append(component.spectrum)
            continue
        for velocity, share in _velocity_parts(component.velocity(mesh_east, mesh_north)):
            maps.append(image * share)
            spectra.append(component.spectrum.shifted(velocity))
    for spectrum in dict.fromkeys(star.spectrum for star in scene.stars):
        stars = [star for star in scene.stars if star.spectrum == spectrum]
        place = np.array([(star.east, star.north) for star in stars])
        peak = np.array([star.flux for star in stars]) / (2 * np.pi * _STAR_SIGMA**2)
        along_x, along_y = (
            np.exp(-0.5 * ((axis - at[:, None]) / _STAR_SIGMA) ** 2)
            for axis, at in zip((east, north), place.T, strict=True)
        )
        maps.append(along_y.T @ (peak[:, None] * along_x))
        spectra.append(spectrum)
    return RasteredScene(grid=grid, maps=np.array(maps), spectra=tuple(spectra))
