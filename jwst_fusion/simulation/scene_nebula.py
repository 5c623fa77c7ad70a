"""An extended nebula that fills the field and goes on beyond its edges."""

import numpy as np

from jwst_fusion.simulation.scene import Component, Scene, Spectrum, Star
from jwst_fusion.simulation.shapes import Texture, emission, power_law

__all__ = ["nebula_scene"]


def _cloud(texture, level, contrast, tilt):
    """Build a log-normal field with a gradient (east, north) [1/arcsec]."""

    def brightness(east, north):
        return level * np.exp(contrast * texture(east, north) + tilt[0] * east + tilt[1] * north)

    return brightness


def nebula_scene(seed=0):
    """Build the nebula scene; the seed is that of its textures."""
    rows = (
        ("continuum", -3.2, (3.0, 0.06), (1.0, 0.0), 60.0, 0.40, (0.05, 0.03), power_law(1.0, -1.0), ()),
        ("hydrogen", -3.0, (2.5, 0.05), (1.5, 70.0), 45.0, 0.45, (-0.03, 0.06), power_law(0.5, 0.2),
         emission("hydrogen", 4.0)),
        ("helium", -3.4, (3.0, 0.07), (1.0, 0.0), 25.0, 0.50, (0.06, -0.02), power_law(0.2, 0.0),
         emission("helium", 4.0)),
        ("molecular", -2.8, (1.5, 0.05), (3.0, 20.0), 35.0, 0.60, (-0.06, -0.03), power_law(0.3, 1.0),
         emission("molecular", 3.0)),
        ("iron", -2.6, (1.0, 0.05), (1.0, 0.0), 12.0, 0.60, (0.02, 0.02), power_law(0.2, 0.5),
         emission("iron", 4.0)),
        ("dust", -3.5, (3.0, 0.08), (1.0, 0.0), 25.0, 0.45, (0.0, -0.05),
         power_law(1.0, 2.5, bumps=((3.29, 0.025, 5.0), (3.40, 0.035, 1.2))), ()),
    )  # fmt: skip
    components = []
    for index, (name, slope, scales, stretch, level, contrast, tilt, continuum, lines) in enumerate(rows):
        texture = Texture([seed, 31 + index], slope=slope, scales=scales, stretch=stretch)
        components.append(Component(name, _cloud(texture, level, contrast, tilt), Spectrum(continuum, lines)))
    cool = Spectrum(power_law(1.0, -0.8, bumps=((2.40, 0.07, -0.12),)))
    hot = Spectrum(power_law(1.0, -2.0, bumps=((2.1661, 0.004, -0.10),)))
    stars = (Star(0.62, 0.35, 2.5, cool), Star(-0.85, -0.64, 1.2, hot), Star(-2.1, 1.9, 4.0, hot),
             Star(1.7, -1.5, 1.5, cool))  # fmt: skip
    return Scene(name="nebula", target="NEBULA", components=tuple(components), stars=stars, ra=83.8347,
                 dec=-5.4155, image_field=8.0)  # fmt: skip
