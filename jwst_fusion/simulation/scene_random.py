"""A scene drawn at random: gas, stars, a rotating disk, an outflow, an active nucleus in its host."""

from dataclasses import dataclass

import numpy as np

from jwst_fusion.simulation.scene import Component, Scene, Spectrum, Star
from jwst_fusion.simulation.shapes import LINES, Texture, power_law, rotate, soft_step

__all__ = ["Conditions", "draw_conditions", "random_scene"]

_CO = (2.40, 0.07, -0.15)  # absorption bands of cool stars


@dataclass(frozen=True)
class Conditions:
    """Conditions of an observation that the user has not set."""

    filters: tuple
    snr: float = 15.0  # signal-to-noise ratio of a voxel at the scene's typical level
    image_snr: float = 70.0  # that of a detector pixel
    rolls: tuple = (248.3, 111.7)  # position angles of V3 of NIRCam and of NIRSpec [deg E of N]
    # rms error of NIRCam's short and long channel and of NIRSpec [um]
    wavefront: tuple = (0.070, 0.095, 0.100)
    ifu_blur: float = 0.0  # sigma of a Gaussian that blurs the IFU beyond its slices and pixels [arcsec]


def draw_conditions(seed, setup):
    """Draw the conditions of an observation, its filters from those of the setup."""
    rng = np.random.default_rng([seed, 52])
    number = rng.integers(min(2, len(setup.filters)), len(setup.filters) + 1)
    chosen = np.sort(rng.choice(len(setup.filters), number, replace=False))
    short, long = rng.uniform(0.055, 0.095), rng.uniform(0.075, 0.120)
    return Conditions(
        filters=tuple(setup.filters[index] for index in chosen), snr=_log_uniform(rng, 6, 40),
        image_snr=_log_uniform(rng, 30, 200), rolls=tuple(rng.uniform(0, 360, 2).tolist()),
        wavefront=(short, long, float(np.hypot(short, rng.uniform(0, 0.06)))),
        ifu_blur=float(rng.uniform(0, 0.035)),
    )  # fmt: skip


def _log_uniform(rng, low, high):
    """Draw a number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _lines(rng, families, strength):
    """Draw the strengths of the lines of some families."""
    return tuple(
        (wavelength, strength * relative * rng.lognormal(0, 0.4))
        for family in families
        for wavelength, relative in LINES[family].items()
    )


def _spectrum(rng, families, strength, width=0.0):
    """Draw a continuum of order one with the lines of some families."""
    return Spectrum(power_law(1.0, rng.uniform(-3, 2)), _lines(rng, families, strength), width)


def _gas(rng, level):
    """Draw clouds of a drawn power spectrum, partly alike, in some scenes an island in the dark."""
    slope, contrast, largest = rng.uniform(-3.6, -2.2), rng.uniform(0.15, 0.8), rng.uniform(0.8, 4.0)
    common = Texture(rng, slope=slope, scales=(largest, 0.04))
    radius = rng.uniform(0.5, 1.2) if rng.random() < 0.3 else None
    softness, families = rng.uniform(0.02, 0.2), rng.permutation(["hydrogen", "helium", "molecular", "iron"])

    def cloud(own, share, brightness, tilt):
        def function(east, north):
            texture = np.sqrt(share) * common(east, north) + np.sqrt(1 - share) * own(east, north)
            result = brightness * np.exp(contrast * texture + tilt[0] * east + tilt[1] * north)
            if radius is None:
                return result
            shore = radius * (1 + 0.2 * common(east, north))
            return result * soft_step(shore - np.hypot(east, north), softness)

        return function

    for family in families[: rng.integers(2, 5)]:
        stretch = (rng.uniform(1, 3), rng.uniform(0, 180))
        own = Texture(rng, slope=slope, scales=(largest, 0.04), stretch=stretch)
        brightness = cloud(own, rng.uniform(), level * rng.uniform(0.2, 1.0), rng.normal(0, 0.06, 2))
        yield Component(str(family), brightness, _spectrum(rng, [family], rng.lognormal(1.0, 0.9)))


def _rotating_disk(rng, level):
    """Draw a tilted disk of knotty gas whose rotation curve rises and stays flat."""
    centre, angle, tilt = rng.uniform(-0.3, 0.3, 2), rng.uniform(0, 180), rng.uniform(25, 75)
    size, turnover, top = rng.uniform(0.2, 0.7), rng.uniform(0.05, 0.2), rng.uniform(80, 350)
    knots, contrast = Texture(rng, slope=-2.8, scales=(0.6, 0.05)), rng.uniform(0.2, 0.8)
    peak = level * rng.uniform(1, 5)
    sine, cosine = np.sin(np.radians(tilt)), np.cos(np.radians(tilt))

    def plane(east, north):
        across, along = rotate(east - centre[0], north - centre[1], angle)
        return np.hypot(across / cosine, along), along

    def brightness(east, north):
        return peak * np.exp(contrast * knots(east, north) - plane(east, north)[0] / size)

    def velocity(east, north):
        radius, along = plane(east, north)
        return top * sine * np.tanh(radius / turnover) * along / np.maximum(radius, 1e-6)

    families = rng.permutation(["hydrogen", "molecular", "iron"])[:2]
    return Component("disk", brightness, _spectrum(rng, families, rng.lognormal(1.3, 0.7), 40.0), velocity)


def _outflow(rng, level):
    """Draw two opposite cones of knotty gas that moves faster further out, one towards us."""
    centre, angle, opening = rng.uniform(-0.3, 0.3, 2), rng.uniform(0, 360), rng.uniform(0.25, 0.6)
    size, top = rng.uniform(0.2, 0.6), rng.uniform(80, 400)
    knots, contrast = Texture(rng, slope=-2.4, scales=(0.4, 0.05)), rng.uniform(0.2, 0.8)
    peak = level * rng.uniform(1, 5)

    def brightness(east, north):
        across, along = rotate(east - centre[0], north - centre[1], angle)
        radius = np.hypot(across, along)
        cone = np.exp(-((across / (opening * np.abs(along) + 0.03)) ** 4))
        return peak * cone * np.exp(contrast * knots(east, north) - radius / size)

    def velocity(east, north):
        _, along = rotate(east - centre[0], north - centre[1], angle)
        return top * np.tanh(along / size)

    family = rng.choice(["iron", "molecular"])
    return Component("outflow", brightness, _spectrum(rng, [family], rng.lognormal(1.6, 0.7), 80.0), velocity)


def _active_galaxy(rng, level):
    """Draw a smooth host galaxy, and its nucleus: hot dust and broad lines."""
    centre, angle, axis = rng.uniform(-0.3, 0.3, 2), rng.uniform(0, 180), rng.uniform(0.4, 1.0)
    size, exponent, peak = rng.uniform(0.1, 0.4), rng.uniform(0.5, 1.0), level * rng.uniform(3, 12)

    def brightness(east, north):
        across, along = rotate(east - centre[0], north - centre[1], angle)
        return peak * np.exp(-((np.hypot(across / axis, along) / size) ** exponent))

    host = Component("host", brightness, Spectrum(power_law(1.0, rng.uniform(-2, -0.5), bumps=(_CO,))))
    dust = power_law(1.0, rng.uniform(0.5, 2.5))
    broad = Spectrum(dust, _lines(rng, ["hydrogen", "helium"], rng.uniform(1, 8)), rng.uniform(1000, 3500))
    return host, Star(*centre, level * _log_uniform(rng, 0.01, 0.2), broad)


def _star_field(rng, level):
    """Draw none, a few or many stars of three kinds, in a cluster or over the whole image."""
    kinds = (
        Spectrum(power_law(1.0, -2.2, bumps=((2.1661, 0.004, -0.10), (1.8756, 0.004, -0.12)))),
        Spectrum(power_law(1.0, -0.8, bumps=((1.90, 0.07, -0.12), _CO))),
        Spectrum(power_law(1.0, 2.0), _lines(rng, ["hydrogen"], 2.0), 150.0),
    )
    number, spread = rng.choice([0, 3, 15, 80]), rng.uniform(0.5, 2.0)
    typical = level * _log_uniform(rng, 0.002, 0.03)
    for east, north in rng.normal(0, spread, (number, 2)):
        yield Star(east, north, typical * rng.lognormal(0, 1.1), kinds[rng.integers(3)])


def random_scene(seed=0):
    """Draw a scene; the seed is that of all that is drawn."""
    rng = np.random.default_rng([seed, 51])
    level = _log_uniform(rng, 5, 100)
    components, stars = list(_gas(rng, level)), list(_star_field(rng, level))
    components += [make(rng, level) for make in (_rotating_disk, _outflow) if rng.random() < 0.45]
    if rng.random() < 0.3:
        host, nucleus = _active_galaxy(rng, level)
        components.append(host)
        stars.append(nucleus)
    return Scene(
        name="random", target="RANDOM", components=tuple(components), stars=tuple(stars), image_field=5.3
    )
