"""A report's content: into the fused cube's model, and out of it."""

from dataclasses import asdict, fields

import numpy as np

from jwst_fusion.datamodels import cell_text
from jwst_fusion.datamodels.flags import DO_NOT_USE, PRIOR_DRIVEN
from jwst_fusion.exceptions import InputError
from jwst_fusion.quality.content import BandRow, LineErrors, ReportContent, SkyFrame
from jwst_fusion.quality.diagnosis import Diagnosis
from jwst_fusion.quality.packing import factor_errors

from .products import celestial_wcs
from .science import science_scene

__all__ = ["kept_diagnosis", "report_content", "store_diagnosis"]

#: Cells from which a share of the voxels is estimated.
SAMPLES = 300

#: Entries of ``meta.fusion`` that are no settings.
NO_SETTINGS = ("preflight", "inputs", "parameters", "set_cubes", "set_images", "set_members", "set_seams")

#: Keywords of the provenance, by their words.
PROVENANCE = (
    ("Observed", "meta.observation.date"),
    ("Program", "meta.program.title"),
    ("Pipeline version", "meta.calibration_software_version"),
    ("CRDS context of the cube", "meta.ref_file.crds.context_used"),
    ("Grating", "meta.instrument.grating"),
    ("Blocking filter", "meta.instrument.filter"),
    ("Made", "meta.date"),
)


#: Columns of the table of bands, by what they are called in a comparison of an image with the cube.
COLUMNS = {
    "correlation": "correlation",
    "change": "change",
    "residual_east": "east",
    "residual_north": "north",
    "residual_err": "shift_error",
    "roll": "roll",
    "roll_err": "roll_error",
    "magnification": "magnification",
    "magnification_err": "magnification_error",
    "blur": "blur",
    "blur_err": "blur_error",
}


def store_diagnosis(model, diagnosis):
    """Put the arrays of a diagnosis into a fused cube, and into its table what the bands still differ by."""
    known = {name: value for name, value in asdict(diagnosis).items() if value is not None}
    model.report = {
        name: value if isinstance(value, np.ndarray) else np.array(value) for name, value in known.items()
    }
    if diagnosis.compared:
        table = np.array(model.filters)
        for column, name in COLUMNS.items():
            table[column] = [getattr(each, name) for each in diagnosis.compared]
        if diagnosis.mismatch is not None:
            table["mismatch"] = diagnosis.mismatch
        model.filters = table


def report_content(model, *, name=None):
    """
    Take a report's content out of a fused cube, as far as it is there.

    Raises InputError if no cell has data.
    """
    coefficients = _native(model.coefficients)
    inside = np.isfinite(coefficients[0])
    if not inside.any():
        raise InputError(f"{name or model.meta.filename}: no cell has data; make the fused cube again")
    wavelength = np.array(model.components["wavelength"], dtype=np.float64)
    dq = np.asarray(model.dq)
    alive, inside = _usable(dq, inside)
    coefficients = np.where(inside, coefficients, np.nan)
    error_spectra, error_maps = factor_errors(model.err, inside, alive)
    fusion = model.meta.fusion.instance
    return ReportContent(
        name=str(name or model.meta.filename or "fused cube"),
        target=str(model.meta.target.catalog_name or model.meta.target.proposer_name or ""),
        wavelength=wavelength,
        mean_spectrum=np.array(model.components["mean_spectrum"], dtype=np.float64),
        basis=model.basis,
        coefficients=coefficients,
        coefficient_errors=_native(model.coefficient_errors),
        alive=alive,
        error_spectra=error_spectra,
        error_maps=error_maps,
        frame=_frame(model),
        pixel_area=float(model.meta.photometry.pixelarea_steradians or np.nan),
        bands=tuple(_band(row) for row in np.asarray(model.filters)) if model.hasattr("filters") else (),
        spectral=_columns(model.spectral) if model.hasattr("spectral") else {},
        settings={name: value for name, value in fusion.items() if name not in NO_SETTINGS},
        provenance=_provenance(model),
        inputs=tuple(fusion.get("inputs", ())),
        parameters=tuple(
            (f"{step}.{name}", str(value))
            for step, values in fusion.get("parameters", {}).items()
            for name, value in values.items()
        ),
        flags=_flags(dq, inside),
        seen_by_one=_seen_by_one(model, inside, alive),
        preflight=tuple(fusion.get("preflight", ())),
        **{name: tuple(fusion.get(name) or ()) for name in ("set_cubes", "set_images", "set_seams")},
        log=_log(model),
        diagnosis=kept_diagnosis(model),
        line_errors=_line_errors(model),
    )


def _usable(dq, inside):
    """Select the channels with data, and the cells that all of them see: of several gratings not all do."""
    alive, common = np.zeros(len(dq), dtype=bool), inside.copy()
    for channel, plane in enumerate(dq):  # a plane at a time: the cube may be most of the memory
        usable = inside & ((plane & DO_NOT_USE) == 0)
        alive[channel] = usable.any()
        if alive[channel]:
            common &= usable
    return alive, common if common.any() else inside


def _native(array):
    """Copy an array to native float64."""
    return np.array(array, dtype=np.float64)


def _line_errors(model):
    """Errors of lines; None without draws, table of bands or size of a cell."""
    if model.meta.photometry.pixelarea_arcsecsq is None or not model.hasattr("filters"):
        return None
    try:
        cells = science_scene(model).cells()
    except InputError:
        return None
    scene = cells.scene
    return LineErrors(
        covariance=cells.covariance,
        leverage=cells.leverage,
        spectral_noise=scene.spectral_noise,
        scale_error=scene.scale_error,
        gaps=scene.gaps,
        gap_spectra=np.column_stack([scene.mean_spectrum, scene.basis])[scene.gaps],
        gap_errors=scene.gap_errors,
    )


def kept_diagnosis(model):
    """Read what the fusion left for the report, without what is unknown to this version or ill shaped."""
    shape, n_wave = np.shape(model.coefficients), len(model.components)
    kept = dict(model.report.instance) if model.hasattr("report") else {}
    names = {entry.name for entry in fields(Diagnosis)}
    values = {name: np.array(value) for name, value in kept.items() if name in names}
    for name in ("images", "predicted", "image_residuals", "matched"):
        if name in values and values[name].shape[1:] != shape[1:]:
            del values[name]
    for name in ("channels_averaged", "wiggle", "tuning_chosen"):
        if name in values:
            values[name] = values[name].item()
    if "bandpasses" in values and values["bandpasses"].shape[-1] != n_wave:
        del values["bandpasses"]
    if not _spectra_fit(values, shape, n_wave):
        values.pop("spectra", None)
    return Diagnosis(**values)


def _spectra_fit(values, shape, n_wave):
    """Check whether the cube's spectra are complete and of the product's shape."""
    needed = ("spectra", "spectra_step", "spectra_coefficients", "channels_averaged")
    if not all(name in values for name in needed):
        return False
    n_kept, my, mx = values["spectra"].shape
    return (
        shape[1] % my == 0
        and shape[2] % mx == 0
        and values["spectra_coefficients"].shape == (shape[0], my, mx)
        and values["spectra_step"].shape == (n_kept,)
        and n_kept == -(-n_wave // values["channels_averaged"])
    )


def _frame(model):
    """Coordinates of the cells."""
    wcs = celestial_wcs(model, str(model.meta.filename)).wcs
    matrix = wcs.get_cdelt()[:, np.newaxis] * wcs.get_pc()
    return SkyFrame(
        ra=float(wcs.crval[0]),
        dec=float(wcs.crval[1]),
        x=float(wcs.crpix[0]) - 1,
        y=float(wcs.crpix[1]) - 1,
        matrix=tuple(float(value) for value in matrix.ravel()),
    )


def _band(row):
    """One row of the table of bands."""
    names = row.dtype.names
    numbers = {
        entry.name: float(row[entry.name])
        for entry in fields(BandRow)
        if entry.name in names and entry.name not in ("filter", "held_out")
    }
    held_out = bool(row["held_out"]) if "held_out" in names else False
    return BandRow(filter=cell_text(row["filter"]), held_out=held_out, **numbers)


def _columns(table):
    """Columns of numbers of a table, by name."""
    return {name: np.array(table[name], dtype=np.float64) for name in table.dtype.names}


def _provenance(model):
    """Words of where the product comes from."""
    rows = []
    flat = model.to_flat_dict(include_arrays=False)
    for words, keyword in PROVENANCE:
        if flat.get(keyword) is not None:
            rows.append((words, str(flat[keyword])))
    return tuple(rows)


def _seen_by_one(model, inside, alive):
    """Share of the voxels with data that one data set alone sees, from some of the cells."""
    if not model.hasattr("weightmap") or not alive.any():
        return float("nan")
    rows, columns = np.nonzero(inside)
    some = np.unique(np.linspace(0, rows.size - 1, SAMPLES).astype(int))
    return float(np.mean(model.weightmap[:, rows[some], columns[some]][alive] < 2))


def _log(model):
    """Lines of the log of the run."""
    logs = getattr(model, "cal_logs", None)
    logs = getattr(logs, "instance", {})
    lines = [str(line) for name, kept in logs.items() if "fusion" in name for line in kept]
    return tuple(line for line in lines if "jwst_fusion" in line)


def _flags(dq, inside):
    """Share of the voxels of the field for each data quality flag that occurs."""
    from jwst.datamodels import dqflags

    names = {value: name for name, value in dqflags.pixel.items() if value}
    counts = np.zeros(32, dtype=int)
    for plane in dq:  # a plane at a time: the cube may be most of the memory
        values = plane[inside]
        found = int(np.bitwise_or.reduce(values))
        for bit in range(found.bit_length()):
            if found >> bit & 1:
                counts[bit] += np.count_nonzero(values & values.dtype.type(1 << bit))
    total = max(len(dq) * inside.sum(), 1)
    shares = []
    for bit, count in enumerate(counts):
        if count:
            name = "PRIOR_DRIVEN" if 1 << bit == PRIOR_DRIVEN else names.get(1 << bit, f"bit {bit}")
            shares.append((name, float(count / total)))
    return tuple(shares)
