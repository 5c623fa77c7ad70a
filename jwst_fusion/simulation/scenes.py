"""The scenes by name."""

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.simulation.scene_disk import disk_scene
from jwst_fusion.simulation.scene_galaxy import galaxy_scene
from jwst_fusion.simulation.scene_nebula import nebula_scene
from jwst_fusion.simulation.scene_random import random_scene
from jwst_fusion.simulation.scene_titan import titan_scene

__all__ = ["SCENES", "make_scene"]

#: Builders of the scenes; each takes a seed.
SCENES = {
    "disk": disk_scene,
    "titan": titan_scene,
    "nebula": nebula_scene,
    "galaxy": galaxy_scene,
    "random": random_scene,
}


def make_scene(name, *, seed=0):
    """Build a scene by its name, a key of `SCENES`; raise ParameterError if there is none."""
    if name not in SCENES:
        raise ParameterError(f"scene {name!r} is not known: expected one of {', '.join(SCENES)}")
    return SCENES[name](seed)
