"""The sections of a report on the quality of a fusion, each left out if the product does not tell."""

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from .curves import curve, footprints, scree, tuning
from .layout import Picture, Section, Table, number, records, words
from .raster import INFERNO, brightness_png, png, sigma_png
from .registration_section import registration_section
from .set_section import set_section

__all__ = ["quality_sections"]

#: Flux scales that differ from one by more than this deserve a look (paper, Table B.1: F182M 1.14).
USUAL_SCALE = 0.2


def quality_sections(content):
    """
    Make the sections.

    Parameters
    ----------
    content : ReportContent
        The content.

    Returns
    -------
    tuple of Section
        Those for which the product holds the data.
    """
    makers = (
        _preflight, set_section, _footprints, registration_section, _factors, _throughputs, _optics,
        _subspace, _tuning, _residuals, _bands, _resolution, _errors, _provenance,
    )  # fmt: skip
    sections = [make(content) for make in makers]
    return tuple(section for section in sections if not section.is_empty)


def _preflight(content):
    """Table of the checks before the run."""
    return Section(
        "preflight",
        "Checks before the run",
        tables=records(content.preflight, first=("file", "what", "verdict", "cure")),
    )


def _outline(mask, frame):
    """Corners (east, north) [arcsec] of the convex hull of cells."""
    rows, columns = np.nonzero(mask)
    if rows.size == 0:
        return None
    corners = np.concatenate(
        [np.stack([columns + a, rows + b], axis=1) for a in (-0.5, 0.5) for b in (-0.5, 0.5)]
    )
    try:
        hull = corners[ConvexHull(corners).vertices]
    except QhullError:
        return None
    middle = np.array(mask.shape[::-1]) / 2 - 0.5
    return (hull - middle) @ np.reshape(frame.matrix, (2, 2)).T * 3600


def _footprints(content):
    """Outlines of what the instruments cover."""
    outlines = {"NIRSpec": _outline(content.inside, content.frame)}
    diagnosis = content.diagnosis
    if diagnosis.images is not None:
        for row, image in zip(content.bands, diagnosis.images, strict=False):
            outlines[f"{row.filter} in the frame"] = _outline(np.isfinite(image), content.frame)
    outlines = {name: corners for name, corners in outlines.items() if corners is not None}
    tables = ()
    if diagnosis.known is not None:
        rows = tuple(
            (row.filter, f"{100 * share:.1f} %")
            for row, share in zip(content.bands, diagnosis.known, strict=False)
        )
        tables = (Table(("band", "share of the fused field that the image covers"), rows),)
    return Section(
        "footprints", "Footprints",
        "Convex hulls of the cells with data, within the frame of the fused cube.",
        curves=(footprints(outlines),) if outlines else (), tables=tables,
    )  # fmt: skip


def _factors(content):
    """Flux scales."""
    rows = []
    for row in content.bands:
        usual = "as expected" if abs(row.scale - 1) <= USUAL_SCALE else "larger than usual"
        rows.append((
            row.filter, number(row.pivot), number(row.scale, 5), number(row.scale_err, 2),
            f"{100 * (row.scale - 1):+.1f} %" if np.isfinite(row.scale) else "not known",
            usual if np.isfinite(row.scale) else "",
        ))  # fmt: skip
    head = ("band", "pivot wavelength (um)", "scale", "error", "departure from one", "judgement")
    return Section(
        "calibration", "Cross-calibration",
        "Flux in the NIRCam image over the cube's synthetic photometry. Differences of up to "
        f"{100 * USUAL_SCALE:.0f} % between the flux scales of the instruments are usual.",
        tables=(Table(head, tuple(rows)),) if rows else (),
    )  # fmt: skip


def _throughputs(content):
    """Bandpasses over the covered range."""
    bandpasses = content.diagnosis.bandpasses
    if bandpasses is None:
        return Section("throughputs", "Throughputs")
    peaks = np.maximum(bandpasses.max(axis=1, keepdims=True), 1e-30)
    lines = {row.filter: values for row, values in zip(content.bands, bandpasses / peaks, strict=False)}
    figure = curve(
        "throughput", "Weight of each channel in each band, relative to the largest.",
        content.wavelength, lines,
        x_label="wavelength [um]", y_label="relative weight",
    )  # fmt: skip
    return Section("throughputs", "Throughputs over the fused range", curves=(figure,))


def _optics(content):
    """PSFs of the optical model."""
    diagnosis = content.diagnosis
    if diagnosis.psf_wavelength is None or diagnosis.psf_radius is None:
        return Section("optics", "Point spread functions")
    widths = curve(
        "psf-width", "Full width at half maximum of the PSFs of the optical model.",
        diagnosis.psf_wavelength,
        {"NIRCam": diagnosis.psf_nircam, "NIRSpec": diagnosis.psf_nirspec},
        x_label="wavelength [um]", y_label="FWHM [arcsec]",
    )  # fmt: skip
    middle = np.argmin(np.abs(diagnosis.psf_wavelength - content.wavelength.mean()))
    energy = curve(
        "psf-energy", f"Encircled energy at {diagnosis.psf_wavelength[middle]:.2f} um.", diagnosis.psf_radius,
        {"NIRCam": diagnosis.energy_nircam, "NIRSpec": diagnosis.energy_nirspec},
        x_label="radius [arcsec]", y_label="encircled energy (fraction)",
    )  # fmt: skip
    source = content.settings.get("psf_source", "not known")
    return Section(
        "optics", "Point spread functions",
        f"Source: {source}. The PSFs include detector, drizzle and spaxel.",
        curves=(widths, energy),
    )  # fmt: skip


def _subspace(content):
    """Scree plot and the components."""
    k = content.basis.shape[1]
    curves = []
    if content.diagnosis.eigenvalues is not None and content.diagnosis.eigenvalues.size:
        curves.append(scree(content.diagnosis.eigenvalues, k))
    peaks = np.maximum(np.nanmax(np.abs(content.basis), axis=0), 1e-30)
    lines = {f"component {i + 1}": column for i, column in enumerate((content.basis / peaks).T)}
    curves.append(curve(
        "components", "Basis spectra, relative to their largest value.", content.wavelength, lines,
        x_label="wavelength [um]", y_label="relative brightness",
    ))  # fmt: skip
    images = []
    for i, (image, error) in enumerate(zip(content.coefficients, content.coefficient_errors, strict=True)):
        source, _ = brightness_png(image)
        known = np.isfinite(image)
        ratio = np.nanstd(image[known]) / np.nanmedian(error[known]) if known.any() else np.nan
        caption = f"map {i + 1}, scatter over error {number(ratio, 3)}"
        images.append(Picture(source, f"Map of the coefficients of component {i + 1}", caption))
    kept = content.settings.get("info_kept")
    text = f"{k} components" + (
        f" keep {100 * kept:.2f} % of the cube's signal." if kept is not None else "."
    )
    return Section("subspace", "Components", text, curves=tuple(curves), images=tuple(images))


def _tuning(content):
    """Curve from which the weights were chosen, and the weights."""
    kept = content.diagnosis
    curves = ()
    if kept.tuning_weight is not None and kept.tuning_merit is not None and kept.tuning_chosen is not None:
        curves = (
            tuning(
                kept.tuning_weight,
                kept.tuning_merit,
                kept.tuning_chosen,
                "weight of NIRSpec over NIRCam",
                "optimal weight from the residuals, over it",
            ),  # fmt: skip
        )
    names = (
        "tuning",
        "gamma",
        "gamma_nircam",
        "mu",
        "mu_components",
        "regularization",
        "iterations",
        "converged",
    )
    rows = tuple((name, words(content.settings[name])) for name in names if name in content.settings)
    return Section(
        "tuning-section", "Weights", "Weights of the instruments, and of the smoothness of the maps.",
        curves=curves, tables=(Table(("setting", "value"), rows),) if rows else (),
    )  # fmt: skip


def _residuals(content):
    """Residuals of the images and of the cube."""
    diagnosis = content.diagnosis
    images, curves = [], []
    if diagnosis.image_residuals is not None:
        for row, residual in zip(content.bands, diagnosis.image_residuals, strict=False):
            known = residual[np.isfinite(residual)]
            rms = np.sqrt(np.mean(known**2)) if known.size else np.nan
            alt = f"Residuals of {row.filter}, root mean square {number(rms, 3)} standard errors"
            images.append(Picture(sigma_png(residual), alt, f"{row.filter}, rms {number(rms, 3)} sigma"))
    if diagnosis.cube_mean is not None and diagnosis.cube_rms is not None:
        alt = "Mean over the wavelengths of the cube's residuals, in standard errors of a voxel"
        images.append(
            Picture(sigma_png(diagnosis.cube_mean, 1.0), alt, "cube, mean over wavelengths, -1 to +1 sigma")
        )
        source = png(diagnosis.cube_rms, 0.0, 3.0, INFERNO)
        alt = (
            f"Root mean square of the cube's residuals, median {number(np.nanmedian(diagnosis.cube_rms), 3)}"
        )
        images.append(Picture(source, alt, "cube, rms over wavelengths, 0 to 3 sigma (noise alone: 1)"))
    if diagnosis.residual_mean is not None and diagnosis.residual_rms is not None:
        curves.append(curve(
            "residual-spectrum",
            "Residuals of the cube over the noise. Noise alone gives a mean of 0 and an rms of 1.",
            content.wavelength, {"mean": diagnosis.residual_mean, "rms": diagnosis.residual_rms},
            x_label="wavelength [um]", y_label="residual [sigma]", level=1.0,
        ))  # fmt: skip
    error = content.spectral.get("relative_error")
    means = {
        name: content.spectral[f"{name}_mean"]
        for name in ("cube", "fused")
        if f"{name}_mean" in content.spectral
    }
    if means:
        curves.append(curve(
            "mean-spectra", "Mean spectra of the NIRSpec cube and of the fused cube.",
            content.wavelength, means, x_label="wavelength [um]", y_label="brightness [MJy/sr]",
        ))  # fmt: skip
    if error is not None and np.isfinite(error).any():
        curves.append(curve(
            "mean-error", "Relative difference between the mean spectra.", content.wavelength,
            {"(fused - cube) / cube": 100 * error}, x_label="wavelength [um]", y_label="difference [%]",
            level=0.0,
        ))  # fmt: skip
    return Section(
        "residuals", "Residuals", "Data minus the fused cube as the instrument would observe it, over the "
        "noise (images: blue -5 to red +5 sigma). Structure in the residuals is not explained by the fusion.",
        images=tuple(images), curves=tuple(curves),
    )  # fmt: skip


def _bands(content):
    """Agreement with the images."""
    head = ["band", "in the fit", "PSNR (dB)", "SSIM", "chi-squared"]
    predicted = any(np.isfinite(row.psnr_unseen) for row in content.bands)
    if predicted:
        head += ["PSNR (dB) if held out", "SSIM if held out"]
    rows = []
    for row in content.bands:
        used = "held out" if row.held_out else "used"
        cells = [row.filter, used, number(row.psnr), number(row.ssim), number(row.chi2, 3)]
        rows.append((*cells, *([number(row.psnr_unseen), number(row.ssim_unseen)] if predicted else [])))
    images = []
    diagnosis = content.diagnosis
    if diagnosis.images is not None and diagnosis.predicted is not None:
        for row, image, predicted in zip(content.bands, diagnosis.images, diagnosis.predicted, strict=False):
            image = np.where(content.inside, image, np.nan)
            source, limits = brightness_png(image)
            fused, _ = brightness_png(np.where(content.inside, predicted, np.nan), limits)
            words = f"{row.filter}: NIRCam, blink with the fused cube"
            texts = f"NIRCam image in {row.filter}", words, fused, f"Fused cube through {row.filter}"
            images.append(Picture(source, *texts))
    return Section(
        "bands", "Agreement with NIRCam",
        "Comparison of the fused cube, seen through each band, with the image (paper, Appendix E): peak "
        "signal-to-noise ratio, structural similarity, and mean squared residual over variance.",
        tables=(Table(tuple(head), tuple(rows)),) if rows else (),
        images=tuple(images),
    )  # fmt: skip


def _resolution(content):
    """Effective resolution."""
    widths = content.spectral.get("psf_fwhm")
    if widths is None or not np.isfinite(widths).any():
        return Section("resolution", "Resolution")
    lines = {"fused cube": widths}
    diagnosis = content.diagnosis
    if diagnosis.psf_wavelength is not None:
        for name, values in (("NIRCam", diagnosis.psf_nircam), ("NIRSpec", diagnosis.psf_nirspec)):
            if values is not None:
                lines[name] = (diagnosis.psf_wavelength, values)
    figure = curve(
        "resolution-curve", "FWHM of the response to a point source, and of the PSFs of the instruments.",
        content.wavelength, lines, x_label="wavelength [um]", y_label="FWHM [arcsec]",
    )  # fmt: skip
    return Section("resolution", "Resolution", curves=(figure,))


def _errors(content):
    """Map and spectrum of the errors, and the flags."""
    typical = np.median(content.error_spectra[content.alive], axis=0) if content.alive.any() else None
    images, curves = (), ()
    if typical is not None:
        error = np.tensordot(typical, content.error_maps, axes=1)
        alive = content.alive / max(content.alive.sum(), 1)
        ratio = content.plane(alive) / error
        source, limits = brightness_png(error)
        alt = f"Typical error of a voxel, from {limits[0]:.3g} to {limits[1]:.3g} MJy/sr"
        signal, span = brightness_png(ratio)
        images = (
            Picture(source, alt, f"error, {limits[0]:.3g} to {limits[1]:.3g} MJy/sr"),
            Picture(
                signal,
                "Mean brightness over its typical error",
                f"signal to noise, {span[0]:.3g} to {span[1]:.3g}",
            ),
        )
        level = np.nanmedian(content.error_maps[:, content.inside], axis=1)
        spectrum = np.where(content.alive, content.error_spectra @ level, np.nan)
        curves = (curve(
            "error-spectrum", "Error of a typical cell.", content.wavelength, {"error": spectrum},
            x_label="wavelength [um]", y_label="error [MJy/sr]",
        ),)  # fmt: skip
    rows = tuple((name, f"{100 * share:.2f} %") for name, share in content.flags)
    tables = (Table(("data quality flag", "share of the field's voxels"), rows),) if rows else ()
    return Section("errors", "Errors", images=images, curves=curves, tables=tables)


def _provenance(content):
    """Return inputs, parameters, results, versions and log."""
    rows = (
        ("Product", content.name), ("Target", content.target), *content.provenance,
        *((name, words(value)) for name, value in sorted(content.settings.items())),
    )  # fmt: skip
    tables = (Table(("", ""), tuple(rows)), *records(content.inputs, "Inputs"))
    if content.parameters:
        tables += (Table(("parameter", "value"), tuple(content.parameters), "Parameters"),)
    return Section("provenance", "Provenance", tables=tables, lines=tuple(content.log))
