"""The sky in a band: the scene, a flat sky around it, and field stars."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.simulation.nircam import FLAT_ERROR, READ_SHARE, band_image
from jwst_fusion.simulation.scene import RasteredScene, SceneGrid, Spectrum
from jwst_fusion.simulation.shapes import power_law

__all__ = ["BandSky", "FieldStar", "draw_field_stars", "peak_brightness", "star_stamps"]

_FADE = 0.6  # arcsec at the grid's edge, over which the scene fades
_DISTANCE = 2.5  # arcsec between the IFU's field and a star: wings apart, the cube does not see it
_EDGE = 1.5  # arcsec between a star and the mosaic's edge
_STAMP = 3.0  # arcsec, half the side of a star's image
_SNR = (30.0, 500.0)
_KINDS = (Spectrum(power_law(1.0, -2.2)), Spectrum(power_law(1.0, -0.8)))


@dataclass(frozen=True)
class FieldStar:
    """A star outside the IFU's field, a point."""

    east: float  # offset from the scene's centre [arcsec]
    north: float
    snr: float  # of its brightest pixel in the first band, if a pixel is centred on it
    kind: int  # which of the stars' spectra it has


def draw_field_stars(seed, number, cube_grid, image_side, image_centre, roll):
    """
    Draw stars in the mosaic around the IFU's field, evenly over the sky and in log signal-to-noise ratio.

    The exposures have a side [arcsec], a centre (east, north) [arcsec] and a position angle of their y axis
    [deg E of N]. Raises ParameterError if the mosaic leaves no room for stars.
    """
    nearest, half = cube_grid.field / np.sqrt(2) + _DISTANCE, image_side / 2 - _EDGE
    if number and half < nearest:
        raise ParameterError(
            f"image_field is {image_side:g} arcsec: stars around the field need {2 * (nearest + _EDGE):.1f}"
        )
    rng = np.random.default_rng([seed, 53])
    sine, cosine = np.sin(np.radians(roll)), np.cos(np.radians(roll))
    stars = []
    while len(stars) < number:
        x, y = rng.uniform(-half, half, 2)
        east, north = image_centre[0] - x * cosine + y * sine, image_centre[1] + x * sine + y * cosine
        if np.hypot(east - cube_grid.field_east, north - cube_grid.field_north) > nearest:
            snr = np.exp(rng.uniform(*np.log(_SNR)))
            stars.append(FieldStar(float(east), float(north), float(snr), int(rng.integers(len(_KINDS)))))
    return tuple(stars)


def star_stamps(telescope, band, roll, cell):
    """
    Compute the images (kinds, n, n) of a star of each kind, of unit flux where its spectrum is one.

    They are as of `band_image` [1/arcsec^2], the star at cell (0, 0) of a periodic grid of this cell
    [arcsec].
    """
    size = 2 * round(_STAMP / cell)
    point = np.full((1, size, size // 2 + 1), 1 / cell**2, dtype=complex)
    grid = SceneGrid(size, cell, 0.0, 0.0)
    return np.array(
        [band_image(point, RasteredScene(grid, None, (kind,)), telescope, band, roll) for kind in _KINDS]
    )


def peak_brightness(snr, level, image_snr):
    """
    Compute the brightness [MJy/sr] of a pixel over the scene's typical level from its signal-to-noise ratio.

    It is the positive root S of S^2 = snr^2 (variance at level + S); image_snr is the ratio of a pixel at the
    level.
    """
    variance = (level / image_snr) ** 2
    square = snr**-2 - FLAT_ERROR**2
    linear = (1 - READ_SHARE) * variance / level + 2 * FLAT_ERROR**2 * level
    constant = variance + (FLAT_ERROR * level) ** 2
    return (linear + np.sqrt(linear**2 + 4 * square * constant)) / (2 * square)


@dataclass(frozen=True, eq=False)
class BandSky:
    """The noise-free sky in a band, as a function of the sky offset."""

    image: np.ndarray  # the scene (n, n) as `band_image` makes it [MJy/sr]
    grid: SceneGrid
    stars: tuple = ()  # each a FieldStar and its flux [MJy/sr arcsec^2]
    stamps: np.ndarray | None = None  # their images, as of `star_stamps`

    def __call__(self, east, north):
        """Surface brightness [MJy/sr] at sky offsets [arcsec], arrays of one shape."""
        cell, size = self.grid.cell, self.grid.size
        row, column = (north - self.grid.north) / cell, (self.grid.east - east) / cell
        edge = cell * np.minimum.reduce([row, column, size - 1 - row, size - 1 - column])
        share = np.clip(edge / _FADE, 0, 1)
        share = share**2 * (3 - 2 * share)
        border = round(_FADE / cell)
        beyond = np.median(
            [self.image[border], self.image[-border], self.image.T[border], self.image.T[-border]]
        )
        result = np.full(np.shape(east), beyond)
        seen = share > 0
        result[seen] += share[seen] * (_sample(self.image, row[seen], column[seen]) - beyond)
        for star, flux in self.stars:
            near = (np.abs(east - star.east) < _STAMP) & (np.abs(north - star.north) < _STAMP)
            offset = (north[near] - star.north) / cell, (star.east - east[near]) / cell
            result[near] += flux * _sample(self.stamps[star.kind], *offset)
        return result


def _sample(spline, row, column):
    """Evaluate a periodic quintic spline."""
    return map_coordinates(spline, np.stack([row, column]), order=5, mode="grid-wrap", prefilter=False)
