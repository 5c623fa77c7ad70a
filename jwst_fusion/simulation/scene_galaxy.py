"""A nearby spiral galaxy whose gas rotates."""

import numpy as np

from jwst_fusion.simulation.scene import Component, Scene, Spectrum, Star
from jwst_fusion.simulation.shapes import LINES, Texture, power_law, rotate

__all__ = ["REDSHIFT", "gas_velocity", "galaxy_scene"]

#: Redshift of the galaxy's centre; c z is 600 km/s.
REDSHIFT = 0.0020014

_ANGLE = 35.0  # position angle of the major axis, on the receding side [deg E of N]
_TILT = 50.0  # inclination of the disk [deg]
_TOP_SPEED = 210.0  # of the flat rotation curve [km/s]
_TURNOVER = 0.12  # radius within which the curve rises [arcsec]
_CO = (2.40, 0.07, -0.15)  # absorption bands of cool stars


def _plane(east, north):
    """Radius in the plane of the disk [arcsec], azimuth from the major axis [rad], and offset along it."""
    across, along = rotate(east, north, _ANGLE)
    across = across / np.cos(np.radians(_TILT))
    return np.hypot(across, along), np.arctan2(across, along), along


def gas_velocity(east, north):
    """Compute the line-of-sight velocity of the gas [km/s] at offsets [arcsec], positive where it recedes."""
    radius, _, along = _plane(east, north)
    speed = _TOP_SPEED * np.tanh(radius / _TURNOVER)
    return speed * np.sin(np.radians(_TILT)) * along / np.maximum(radius, 1e-6)


def _arms(texture, size, contrast):
    """Build a disk with two spiral arms and knots, its scale length in arcsec."""

    def brightness(east, north):
        radius, azimuth, _ = _plane(east, north)
        spiral = np.cos(2 * azimuth - 5.0 * np.log(np.maximum(radius, 0.03) / 0.1))
        return np.exp(-radius / size + contrast * spiral + 0.45 * texture(east, north))

    return brightness


def _bulge(east, north):
    """Brightness of the bulge, rounder than the disk."""
    across, along = rotate(east, north, _ANGLE)
    return 90.0 * np.exp(-np.hypot(across / 0.8, along) / 0.09)


def _lines(family, strength):
    """Lines of a family at the galaxy's redshift."""
    return tuple(
        (wavelength * (1 + REDSHIFT), strength * relative) for wavelength, relative in LINES[family].items()
    )


def galaxy_scene(seed=0):
    """Build the galaxy scene; the seed is that of its textures."""
    stars, ionised, molecular = (
        Texture([seed, 61 + index], slope=slope, scales=(0.6, 0.05))
        for index, slope in enumerate((-3.4, -2.8, -3.0))
    )
    old = Spectrum(power_law(1.0, -1.2, bumps=(_CO,)))
    disk, clouds, warm = _arms(stars, 0.5, 0.3), _arms(ionised, 0.55, 0.7), _arms(molecular, 0.45, 0.5)
    components = (
        Component("bulge", _bulge, old),
        Component("stars", lambda e, n: 45.0 * disk(e, n), old),
        Component(
            "ionised", lambda e, n: 25.0 * clouds(e, n),
            Spectrum(power_law(0.3, -0.3), _lines("hydrogen", 14.0), 60.0), gas_velocity,
        ),
        Component(
            "molecular", lambda e, n: 25.0 * warm(e, n),
            Spectrum(power_law(0.2, 0.5), _lines("molecular", 12.0), 60.0), gas_velocity,
        ),
    )  # fmt: skip
    cluster = Spectrum(power_law(1.0, -2.0), _lines("hydrogen", 1.0))
    places = ((0.21, 0.30, 0.25), (-0.34, -0.12, 0.18), (0.05, -0.47, 0.12))
    clusters = tuple(Star(*place, cluster) for place in places)
    return Scene(
        name="galaxy", target="GALAXY", components=components, stars=clusters, ra=147.592, dec=2.071,
        image_field=6.0,
    )  # fmt: skip
