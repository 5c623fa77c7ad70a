"""A product in words."""

import numpy as np
from astropy.table import Table

from jwst_fusion.datamodels import cell_text

from .optics import measured_psfs

__all__ = ["describe"]

#: Entries of ``meta.fusion`` that have sections of their own.
ELSEWHERE = (
    "inputs", "preflight", "parameters", "psf_measured", "model_type", "version",
    "set_cubes", "set_images", "set_members", "set_seams",
)  # fmt: skip


def describe(model, *, log=False):
    """Describe a product in sections: titles and their lines, with the log of its runs if asked."""
    sections = [
        (type(model).__name__, _identity(model)),
        ("Steps", _steps(model)),
        ("Inputs", _inputs(model)),
        ("Parameters", _parameters(model)),
        ("Results", _results(model)),
    ]
    if measured := measured_psfs(model):
        sections.append(("PSFs measured on stars", _psfs(measured)))
    if cubes := _cubes(model):
        sections.append(("Cubes that were fused together", cubes))
    if model.hasattr("filters"):
        sections.append(("Bands", _table(model.filters)))
    if log and model.hasattr("cal_logs"):
        for name, records in model.cal_logs.instance.items():
            sections.append((f"Log of {name}", [str(record) for record in records]))
    return [(title, lines or ["not recorded"]) for title, lines in sections]


def _identity(model):
    """File, target, size and versions."""
    meta = model.meta
    n_wave, ny, nx = model.data.shape
    lines = [
        f"file        {meta.filename}, made {meta.date}",
        f"target      {meta.target.catalog_name or meta.target.proposer_name or 'unknown'}, program "
        f"{meta.observation.program_number or 'unknown'}",
        f"instrument  {meta.instrument.name} {meta.instrument.grating}/{meta.instrument.filter}",
        f"size        {n_wave} wavelengths, {ny} x {nx} cells",
    ]
    wavelength = np.ravel(model.wavetable["wavelength"]) if model.hasattr("wavetable") else []
    if len(wavelength):
        lines.append(f"wavelengths {wavelength[0]:.4f} to {wavelength[-1]:.4f} um")
    area = meta.photometry.pixelarea_arcsecsq
    if area:
        lines.append(f"cell        {area**0.5:.4f} arcsec")
    lines.append(
        f"versions    jwst_fusion {meta.fusion.version}, jwst {meta.calibration_software_version}, reference "
        f"files {meta.ref_file.crds.context_used or 'unknown'}"
    )
    return lines


def _steps(model):
    """State of each of the package's steps."""
    names = ("coregister", "cross_calib", "fusion")
    return [f"{name:12} {getattr(model.meta.cal_step, name, None) or 'not run'}" for name in names]


def _inputs(model):
    """Files that the product was made of."""
    lines = []
    association = model.meta.fusion.asn_name
    if association:
        lines.append(f"association {association}")
    for entry in model.meta.fusion.instance.get("inputs", []):
        versions = ", ".join(
            f"{label} {entry[name]}"
            for label, name in (("jwst", "cal_ver"), ("context", "crds_ctx"))
            if name in entry
        )
        lines.append(f"{entry.get('file')} ({versions or 'versions unknown'})")
        lines.append(f"  sha256 {entry.get('sha256')}")
    return lines


def _parameters(model):
    """Parameters of each step."""
    return [
        f"{step}.{name} = {value}"
        for step, values in model.meta.fusion.instance.get("parameters", {}).items()
        for name, value in values.items()
    ]


def _results(model):
    """All else that ``meta.fusion`` holds, in the words of the schema."""
    known = model._schema["properties"]["meta"]["properties"]["fusion"]["properties"]
    lines = []
    for name, schema in known.items():
        value = model.meta.fusion.instance.get(name)
        if name in ELSEWHERE or value is None:
            continue
        text = ", ".join(f"{v:.6g}" for v in value) if isinstance(value, list) else value
        text = f"{value:.6g}" if isinstance(value, float) else text
        lines.append(f"{schema['title']}: {text}")
    return lines


def _cubes(model):
    """Cubes of a set with their offsets and flux factors, and how they agree where they meet."""
    fusion = model.meta.fusion.instance
    lines = []
    for row in fusion.get("set_cubes") or ():
        east, north = (1e3 * row[f"offset_{axis}"] for axis in ("east", "north"))
        factor = f", flux factor {row['factor']:.4f} +- {row['factor_err']:.4f}" if "factor" in row else ""
        lines.append(f"{row['cube']}: {east:+.1f} mas east, {north:+.1f} mas north to NIRCam{factor}")
    for row in fusion.get("set_seams") or ():
        cubes, error, fused = (100 * row[name] for name in ("cubes", "cubes_err", "fused"))
        lines.append(
            f"{row['first']} and {row['second']} from {row['low']:.3f} to {row['high']:.3f} um: the cubes "
            f"differ by {cubes:+.2f} +- {error:.2f} %, the fused cubes by "
            f"{fused:+.2f} +- {100 * row['fused_err']:.2f} %"
        )
    return lines


def _psfs(measured):
    """Bands whose PSF was measured, with the stars and the errors."""
    return [
        f"{band:6} {psf.stars[band]} stars, error {psf.error[band]:.4f}, "
        f"of the assumed PSF {psf.assumed_error[band]:.4f}"
        for psf in measured
        for band in psf.stars
    ]


def _table(array):
    """Write a table in lines, numbers to five digits."""
    table = Table({name: array[name] for name in array.dtype.names})
    for column in table.itercols():
        if column.dtype.kind in "SU":
            table[column.name] = [cell_text(value) for value in column.tolist()]
        elif column.dtype.kind == "f":
            column.info.format = ".5g"
    return table.pformat(max_lines=-1, max_width=-1, align=">")
