"""Scenes on the sky and how the two instruments see them."""

from importlib import import_module

_LAZY = {
    "SimulatedFiles": "jwst_fusion.simulation.simulator",
    "SimulatedSet": "jwst_fusion.simulation.sets",
    "simulate": "jwst_fusion.simulation.simulator",
    "simulate_set": "jwst_fusion.simulation.sets",
    "SCENES": "jwst_fusion.simulation.scenes",
    "make_scene": "jwst_fusion.simulation.scenes",
    "SETUPS": "jwst_fusion.simulation.setups",
}

__all__ = list(_LAZY)  # noqa: PLE0605


def __getattr__(name):
    """Import a public name when it is first used: jwst is slow to import."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
