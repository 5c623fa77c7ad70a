"""The table of offsets that cube_build takes to rebuild a cube on NIRCam's coordinates."""

import logging

import asdf
import numpy as np

from jwst_fusion.atomic import atomic_file
from jwst_fusion.datamodels import cell_text
from jwst_fusion.exceptions import InputError
from jwst_fusion.ownership import MARK

__all__ = ["write_offsets"]

log = logging.getLogger(__name__)


def write_offsets(path, cube_model, bands):
    """
    Write the mean offset of the bands for each exposure of a cube, as cube_build reads it (offset_file).

    With the file cube_build puts the cube where NIRCam's coordinates do. Raises InputError if the cube's
    HDRTAB names no exposures, or no offset was measured.
    """
    measured = [band for band in bands if np.isfinite(band.offset_err)]
    if not measured:
        raise InputError("no offset was measured: offset_file cannot be written; leave the parameter out")
    weights = np.array([band.offset_err**-2 for band in measured])
    east, north = (
        float(weights @ [getattr(band, name) for band in measured] / weights.sum())
        for name in ("offset_east", "offset_north")
    )
    names = _exposures(cube_model)
    tree = {
        "made_by": f"{MARK}: offsets",
        "units": "arcsec",
        "filename": names,
        "raoffset": [east] * len(names),
        "decoffset": [north] * len(names),
    }
    with atomic_file(path, mark=f"{MARK}: offsets") as file:
        asdf.AsdfFile(tree).write_to(file)
    log.info("Offset %+.4f east, %+.4f north [arcsec] for %d exposures in %s", east, north, len(names), path)


def _exposures(cube_model):
    """File names of the exposures that a cube was built from."""
    table = cube_model.hdrtab if cube_model.hasattr("hdrtab") else None
    if table is None and "HDRTAB" in getattr(cube_model, "instance", {}).get("extra_fits", {}):
        table = cube_model.extra_fits.HDRTAB.data
    names = [] if table is None or "FILENAME" not in table.dtype.names else np.asarray(table["FILENAME"])
    names = [cell_text(name) for name in names]
    if not names:
        raise InputError(
            f"{cube_model.meta.filename}: its HDRTAB names no exposures: offset_file cannot be written; "
            "leave the parameter out"
        )
    return names
