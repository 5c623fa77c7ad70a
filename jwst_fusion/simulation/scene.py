"""A scene: separable extended components and point stars, as functions of the sky offset."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["Component", "RasteredScene", "Scene", "SceneGrid", "Spectrum", "Star", "raster_scene"]

_STAR_SIGMA = 0.015  # arcsec; makes a star representable on the scene's grid
_RESOLVING_POWER = 2700.0
_FWHM = 2.354820045


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
    """

    continuum: Callable
    lines: tuple = ()

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
            natural = centre / _RESOLVING_POWER
            fwhm = max(natural, 1.5 * channel_width)
            profile = np.exp(-0.5 * ((wavelength - centre) * _FWHM / fwhm) ** 2)
            result += peak * natural / fwhm * profile
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
    """

    name: str
    brightness: Callable
    spectrum: Spectrum


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
    What is on the sky.

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
    """
    A square sky-aligned grid, x to the west and y to the north.

    Attributes
    ----------
    size : int
        Cells along an axis.
    cell : float
        Side of a cell [arcsec].
    east, north : float
        Sky offset of the centre of cell (0, 0) [arcsec].
    """

    size: int
    cell: float
    east: float
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
    """
    A scene on a grid.

    Attributes
    ----------
    grid : SceneGrid
        The grid.
    maps : ndarray, shape (k, size, size)
        Map of each component and star [MJy/sr].
    spectra : tuple of Spectrum
        Their k spectra.
    """

    grid: SceneGrid
    maps: np.ndarray
    spectra: tuple

    def evaluate_spectra(self, wavelength, *, channel_width=0.0):
        """Evaluate the k spectra at n_wave wavelengths [um]: shape (k, n_wave)."""
        return np.array([s(wavelength, channel_width=channel_width) for s in self.spectra])


def raster_scene(scene, grid):
    """
    Evaluate a scene on a grid.

    Stars become Gaussians of sigma 0.015", normalised to their flux.

    Parameters
    ----------
    scene : Scene
        The scene.
    grid : SceneGrid
        The grid.

    Returns
    -------
    RasteredScene
    """
    east, north = grid.offsets()
    mesh_east, mesh_north = np.meshgrid(east, north)
    maps = [np.asarray(c.brightness(mesh_east, mesh_north), dtype=float) for c in scene.components]
    for star in scene.stars:
        along_x = np.exp(-0.5 * ((east - star.east) / _STAR_SIGMA) ** 2)
        along_y = np.exp(-0.5 * ((north - star.north) / _STAR_SIGMA) ** 2)
        peak = star.flux / (2 * np.pi * _STAR_SIGMA**2)
        maps.append(peak * np.outer(along_y, along_x))
    spectra = tuple(item.spectrum for item in (*scene.components, *scene.stars))
    return RasteredScene(grid=grid, maps=np.array(maps), spectra=spectra)
