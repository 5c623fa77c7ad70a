"""A resolved moving body with an atmosphere, in the manner of Titan."""

import numpy as np

from jwst_fusion.simulation.scene import Component, Scene, Spectrum
from jwst_fusion.simulation.shapes import Texture, rotate, soft_step

__all__ = ["titan_scene"]

_RADIUS = 0.39  # of the solid surface [arcsec]
_HAZE_RADIUS = 0.43
_POLE = 6.0  # position angle of the north pole [deg E of N]


def _windows(rows, floor):
    """Build a continuum of methane windows: (centre, half width, height), flat-topped [um]."""

    def continuum(wavelength):
        result = np.full_like(wavelength, floor, dtype=float)
        for centre, half_width, height in rows:
            result = result + height * np.exp(-(((wavelength - centre) / half_width) ** 4))
        return result * (2.0 / wavelength) ** 1.5

    return continuum


def _methane(wavelength):
    """Ripple of the methane's unresolved band heads, around one."""
    fast = np.sin(2 * np.pi * wavelength / 0.0113) * np.sin(2 * np.pi * wavelength / 0.0471)
    return 1 + 0.12 * fast + 0.05 * np.sin(2 * np.pi * wavelength / 0.0031)


def _rippled(continuum):
    """Apply the ripple of methane to a continuum."""
    return lambda wavelength: continuum(wavelength) * _methane(wavelength)


def _cosine(east, north, radius):
    """Cosine of the emission angle on a sphere, and its soft-edged disk."""
    squared = (east**2 + north**2) / radius**2
    edge = soft_step(radius - np.hypot(east, north), 0.010)
    return np.sqrt(np.clip(1 - squared, 0.0, 1.0)), edge


def _dark_terrain(coarse, fine):
    """Build the dark equatorial dunes (0 to 1) with ragged edges and a few islands."""

    def fraction(east, north):
        across, along = rotate(east, north, _POLE)
        ragged = along + 0.03 * coarse(2.0 * east, 2.0 * north)
        belet = np.exp(-(((across - 0.10) / 0.17) ** 4) - ((ragged + 0.02) / 0.075) ** 4)
        shangri = np.exp(-(((across + 0.20) / 0.10) ** 4) - ((ragged + 0.06) / 0.06) ** 4)
        lakes = np.exp(-0.5 * (np.hypot(across + 0.04, along - 0.27) / 0.030) ** 2)
        speckle = soft_step(fine(east, north) - 0.7, 0.3)
        return np.clip(belet + 0.8 * shangri + 0.7 * lakes + 0.35 * speckle, 0, 1)

    return fraction


def _components(dark):
    """Surface, dark terrain, haze, polar haze and clouds."""

    def bright_surface(east, north):
        mu, edge = _cosine(east, north, _RADIUS)
        return 210.0 * edge * mu**0.9 * (1 - 0.95 * dark(east, north))

    def dark_surface(east, north):
        mu, edge = _cosine(east, north, _RADIUS)
        return 55.0 * edge * mu**0.6 * dark(east, north)

    def haze(east, north):
        mu, edge = _cosine(east, north, _HAZE_RADIUS)
        return 60.0 * edge * (0.55 + 0.45 / (0.35 + mu))

    def polar_haze(east, north):
        _, along = rotate(east, north, _POLE)
        mu, edge = _cosine(east, north, _HAZE_RADIUS + 0.01)
        return 26.0 * edge * (soft_step(along - 0.16, 0.08) + 0.3 * soft_step(-along - 0.2, 0.1)) / (0.5 + mu)

    def clouds(east, north):
        across, along = rotate(east, north, _POLE)
        _, edge = _cosine(east, north, _RADIUS)
        knots = ((0.12, -0.29, 1.0), (0.02, -0.31, 0.7), (-0.13, 0.22, 0.8))
        return (
            90.0
            * edge
            * sum(
                a * np.exp(-0.5 * (((across - x) / 0.035) ** 2 + ((along - y) / 0.018) ** 2))
                for x, y, a in knots
            )
        )

    window = [(1.075, 0.03, 1.2), (1.275, 0.045, 1.2), (1.585, 0.05, 1.1), (2.030, 0.075, 1.0),
              (2.75, 0.07, 0.5), (4.98, 0.22, 0.5)]  # fmt: skip
    narrow = [(c + 0.008, 0.75 * w, 1.1 * h) for c, w, h in window]
    wide = [(c, 1.35 * w, 0.8 * h) for c, w, h in window]
    return (
        Component("bright surface", bright_surface, Spectrum(_rippled(_windows(window, 0.004)))),
        Component("dark terrain", dark_surface, Spectrum(_rippled(_windows(narrow, 0.004)))),
        Component("haze", haze, Spectrum(_rippled(_windows(wide, 0.25)))),
        Component("polar haze", polar_haze, Spectrum(lambda w: 0.8 * (w / 2.0) ** -2.4)),
        Component("clouds", clouds, Spectrum(_windows(wide, 0.12))),
        Component("sky", lambda e, n: 0.35 + 0.02 * e, Spectrum(lambda w: (w / 2.0) ** -0.5)),
    )


def titan_scene(seed=0):
    """Build the titan scene; the seed is that of its textures."""
    coarse = Texture([seed, 21], slope=-3.0, scales=(0.6, 0.06))
    fine = Texture([seed, 22], slope=-2.2, scales=(0.25, 0.05), stretch=(2.0, 90.0 + _POLE))
    components = _components(_dark_terrain(coarse, fine))
    return Scene(name="titan", target="Titan", components=components, moving=True, ra=335.4821,
                 dec=-12.0913, image_field=5.5)  # fmt: skip
