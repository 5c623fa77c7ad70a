"""A protoplanetary disk before a bright nebula, in the manner of d203-506 in the Orion Bar."""

import numpy as np

from jwst_fusion.simulation.scene import Component, Scene, Spectrum, Star
from jwst_fusion.simulation.shapes import Texture, emission, power_law, rotate, soft_step

__all__ = ["disk_scene"]

_DISK_ANGLE = 18.0  # position angle of the silhouette's long axis [deg E of N]


def _lane(east, north):
    """Transmission of the edge-on dust disk, 0.6" x 0.1", flared."""
    across, along = rotate(east, north, _DISK_ANGLE)
    thickness = 0.035 + 0.05 * np.abs(along)
    radial = 1 - soft_step(np.abs(along) - 0.30, 0.025)
    return 1 - 0.88 * radial * np.exp(-0.5 * (across / thickness) ** 4)


def _scattered(east, north):
    """Light that the disk's two surfaces scatter."""
    across, along = rotate(east, north, _DISK_ANGLE)
    lobe = np.exp(-np.hypot(across / 0.09, along / 0.14))
    surface = np.exp(-0.5 * ((np.abs(across) - 0.07 - 0.25 * np.abs(along)) / 0.022) ** 2)
    bright_side = 1 + 0.35 * np.tanh(across / 0.05)
    return bright_side * (lobe + 0.8 * surface * np.exp(-np.abs(along) / 0.2))


def _wind(texture):
    """Hollow bipolar wind: a shell with knots around the disk."""

    def brightness(east, north):
        across, along = rotate(east, north, _DISK_ANGLE)
        opening = 0.12 + 0.55 * np.abs(across) ** 1.2
        wall = np.exp(-0.5 * ((np.abs(along) - opening) / 0.045) ** 2)
        reach = np.exp(-np.abs(across) / 0.30)
        halo = 0.25 * np.exp(-(np.hypot(across / 0.35, along / 0.30) ** 2))
        knots = np.exp(0.35 * texture(east, north))
        return (wall * reach * knots + halo) * (0.4 + 0.6 * _lane(east, north))

    return brightness


def _jet(east, north):
    """Two collimated strings of knots across the disk."""
    across, along = rotate(east, north, _DISK_ANGLE + 4.0)
    beam = np.exp(-0.5 * (along / 0.025) ** 2) * np.exp(-np.abs(across) / 0.25)
    knots = [(0.13, 1.0), (0.42, 0.8), (-0.19, 0.5), (-0.60, 0.6), (0.88, 0.35)]
    result = 0.25 * beam
    for position, strength in knots:
        result = result + strength * np.exp(-0.5 * (np.hypot(across - position, along) / 0.032) ** 2)
    return result


def _ridge(texture, angle, position, width, depth):
    """Build a rippled ridge: a front seen edge-on, sharp on one side."""

    def brightness(east, north):
        across, along = rotate(east, north, angle)
        front = across - position - depth * texture(0.4 * east, 0.4 * north)
        rise = soft_step(front, 0.2 * width)
        return rise * np.exp(-np.clip(front, 0, None) / width) + 0.15 * soft_step(front, 2 * width)

    return brightness


def _extended_components(textures):
    """Nebula, ionised gas, molecular ridges and dust, all seen through the lane."""
    smooth, fine, filaments = textures
    ridges = (_ridge(smooth, 48.0, 0.9, 0.6, 0.25), _ridge(smooth, 38.0, -1.6, 0.45, 0.2))

    def nebula(east, north):
        gradient = 1 + 0.09 * (north - east)
        mottled = np.exp(0.22 * smooth(east, north) + 0.05 * fine(east, north))
        return 55.0 * np.clip(gradient, 0.25, None) * mottled * _lane(east, north)

    def ionised(east, north):
        gradient = 1 + 0.06 * (north + 0.5 * east)
        threads = np.exp(0.30 * filaments(east, north) + 0.08 * fine(-east, north))
        return 60.0 * np.clip(gradient, 0.3, None) * threads * (0.3 + 0.7 * _lane(east, north))

    def molecular(east, north):
        threads = np.exp(0.25 * filaments(-north, east) + 0.10 * fine(north, east))
        return 70.0 * (ridges[0](east, north) + 0.7 * ridges[1](east, north)) * threads * _lane(east, north)

    def dust(east, north):
        clumps = np.exp(0.45 * smooth(north, -east))
        return 22.0 * clumps * (0.5 + ridges[0](east, north)) * _lane(east, north)

    hydrogen, helium, h2 = emission("hydrogen", 1.5), emission("helium", 1.0), emission("molecular", 1.3)
    pah = ((3.29, 0.025, 4.0), (3.40, 0.035, 1.0))
    return (
        Component("nebula", nebula, Spectrum(power_law(1.0, -0.8), hydrogen)),
        Component("ionised", ionised, Spectrum(power_law(0.45, 0.4), (*emission("hydrogen", 3), *helium))),
        Component("molecular", molecular, Spectrum(power_law(0.35, 0.9), h2)),
        Component("dust", dust, Spectrum(power_law(1.0, 2.2, bumps=pah))),
    )


def disk_scene(seed=0):
    """Build the disk scene; the seed is that of its textures."""
    smooth = Texture([seed, 11], slope=-3.6, scales=(3.0, 0.10))
    fine = Texture([seed, 12], slope=-2.0, scales=(0.5, 0.05))
    filaments = Texture([seed, 13], slope=-3.0, scales=(2.0, 0.06), stretch=(2.5, 40.0))
    knots = Texture([seed, 14], slope=-2.5, scales=(0.4, 0.05))
    icy = power_law(1.0, 1.4, bumps=((2.02, 0.06, -0.10), (3.05, 0.18, -0.6)))
    compact = (
        Component("scattered", lambda e, n: 130.0 * _scattered(e, n), Spectrum(icy)),
        Component("wind", _wind(knots), Spectrum(power_law(4.0, 0.5), emission("molecular", 170.0))),
        Component("jet", _jet, Spectrum(power_law(12.0, -0.5), emission("iron", 420.0))),
    )
    cool = Spectrum(power_law(1.0, -0.6, bumps=((1.90, 0.07, -0.12), (2.40, 0.07, -0.12))))
    hot = Spectrum(power_law(1.0, -2.0, bumps=((2.1661, 0.004, -0.10), (1.8756, 0.004, -0.12))))
    stars = (
        Star(0.93, 0.71, 3.5, cool),
        Star(-1.12, 0.46, 1.6, hot),
        Star(0.36, -1.02, 0.8, cool),
        Star(-2.05, -1.65, 7.0, hot),
        Star(2.40, -1.30, 2.0, cool),
        Star(-2.6, 2.3, 1.2, cool),
    )
    return Scene(
        name="disk", target="d203-506", components=_extended_components((smooth, fine, filaments)) + compact,
        stars=stars, ra=83.83405, dec=-5.42012, image_field=8.0,
    )  # fmt: skip
