"""Entry points that stpipe and asdf call: kept light, for every asdf user pays for them."""

__all__ = ["get_resource_mappings", "get_steps"]

SCHEMA_URI_PREFIX = "asdf://jwst_fusion/schemas/"


def get_steps():
    """List the package's steps for stpipe: class, alias, and whether it is a pipeline."""
    return [
        ("jwst_fusion.Fusion4Pipeline", "calwebb_fusion4", True),
        ("jwst_fusion.CoregisterStep", "coregister", False),
        ("jwst_fusion.CrossCalibStep", "cross_calib", False),
        ("jwst_fusion.FusionStep", "fusion", False),
    ]


def get_resource_mappings():
    """Map the schemas of the data models for asdf: ``asdf://jwst_fusion/schemas/NAME.schema`` to its file."""
    from importlib.resources import files

    from asdf.resource import DirectoryResourceMapping

    root = files("jwst_fusion") / "datamodels" / "schemas"
    return [
        DirectoryResourceMapping(
            root, SCHEMA_URI_PREFIX, filename_pattern="*.schema.yaml", stem_filename=True
        )
    ]
