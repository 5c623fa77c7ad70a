"""Provenance of a product: its inputs with their checksums and versions."""

import hashlib

from jwst_fusion.datamodels import unbroken

__all__ = ["input_records"]


def input_records(inputs):
    """Describe the inputs of a fusion: file, SHA-256, instrument, elements, versions, a dict each."""
    models = (*inputs.cubes, *inputs.images)
    return [_record(model, inputs.files.get(id(model))) for model in models]


def _record(model, path):
    """Describe one input; what is not known is left out."""
    meta = model.meta
    record = {
        "file": path.name if path else meta.filename,
        "sha256": _checksum(path) if path else "in memory",
        "instrument": meta.instrument.name,
        "filter": meta.instrument.filter,
        "pupil": meta.instrument.pupil,
        "grating": meta.instrument.grating,
        "cal_ver": meta.calibration_software_version,
        "crds_ctx": meta.ref_file.crds.context_used,
    }
    return {name: str(value) for name, value in record.items() if value is not None}


def _checksum(path):
    """SHA-256 of a file, in hexadecimal digits."""
    with unbroken(path.name), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
