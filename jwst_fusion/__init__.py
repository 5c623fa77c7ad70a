"""Fusion of JWST NIRCam images with NIRSpec IFU cubes: sharp and spectral at once."""

from importlib import import_module

__version__ = "0.1.0"

_LAZY = {
    "Fusion4Pipeline": "jwst_fusion.pipeline",
    "CoregisterStep": "jwst_fusion.steps.coregister_step",
    "CrossCalibStep": "jwst_fusion.steps.cross_calib_step",
    "FusionStep": "jwst_fusion.steps.fusion_step",
    "FusedCubeModel": "jwst_fusion.datamodels",
    "CoregisteredModel": "jwst_fusion.datamodels",
    "CrossCalibratedModel": "jwst_fusion.datamodels",
    "FusionError": "jwst_fusion.exceptions",
    "lines": "jwst_fusion.commands.lines",
    "extract": "jwst_fusion.commands.extract",
}

__all__ = ["__version__", *_LAZY]  # noqa: PLE0604


def __getattr__(name):
    """Import a public class when it is first used: stpipe and jwst are slow to import."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    """List the public names, the lazy ones included."""
    return sorted({*globals(), *_LAZY})
