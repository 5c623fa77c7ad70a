"""One fused cube of all wavelengths of a set, with a table of its wavelengths (FITS WCS Paper III, -TAB)."""

from dataclasses import fields

import numpy as np
from scipy.sparse import diags
from threadpoolctl import threadpool_limits

from jwst_fusion import datamodels
from jwst_fusion.inversion.wavelengths import join_channels
from jwst_fusion.observation import channel_edges
from jwst_fusion.quality.diagnosis import STEPS, UNKNOWN, Diagnosis, quantise_spectra, restore_spectra
from jwst_fusion.science.instrument import line_spread
from jwst_fusion.scratch import zeros_on_demand

from .report import kept_diagnosis, store_diagnosis

__all__ = ["whole_range_model"]

#: Entries of ``meta.fusion`` of the whole: of those of the gratings the least, the largest, or the mean.
LEAST = ("psnr_min", "ssim_min", "psnr_unseen", "ssim_unseen", "ifu_excess_x", "ifu_excess_y")
LARGEST = ("spectrum_error", "chi2_cube")
MEAN = ("chi2_images",)

#: Arrays of a diagnosis with a row for each band.
OF_BANDS = (
    "images", "predicted", "image_residuals", "matched", "comparisons", "known", "mismatch", "misfit",
    "patch", "outside", "psf_wavelength", "psf_nircam", "psf_nirspec",
)  # fmt: skip

#: Arrays of a diagnosis with a value for each channel, and with one for each spaxel.
OF_CHANNELS = ("residual_mean", "residual_rms", "channel_misfit")
OF_SPAXELS = ("cube_rms", "cube_misfit")


def whole_range_model(models, folder=None):
    """
    Join the fused cubes of the gratings of a set; arrays too large for the memory are kept in a folder.

    Where gratings overlap, the channels of the coarser one are kept. Mean spectrum and basis are combined by
    the inverse variance of the mean spectra, so that the cube keeps its low-rank form. Its errors there are
    the means of the errors by the same weights: they come from the coefficients, which all gratings have in
    common, and from light that the components do not carry, which is the same light for all. SCI is NaN where
    no cube looked at a wavelength.
    """
    columns = [_spectra_of(model) for model in models]
    joined = join_channels([each.wavelength for each in columns], [each.mean_noise for each in columns])
    mean = joined.combine([each.mean_spectrum for each in columns])
    basis = joined.combine([model.basis for model in models])
    maps = {name: _union(models, name) for name in ("coefficients", "coefficient_errors")}
    with threadpool_limits(limits=1, user_api="blas"):  # the same bits on any number of threads
        planes = _planes(models, joined, mean, basis, maps["coefficients"], folder)
    model = datamodels.FusedCubeModel(**planes)
    model.update(models[0])
    model.set_components(joined.wavelength, mean, basis, joined.noise)
    for name, values in maps.items():
        setattr(model, name, values)
    if all(each.hasattr("draws") for each in models):
        number = min(len(each.draws) for each in models)
        model.draws = _union(models, "draws", slice(number))
    datamodels.set_wavelengths(model, joined.wavelength)
    datamodels.assign_wcs(model)
    _set_tables(model, models, joined)
    _set_words(model, models)
    store_diagnosis(model, _diagnosis(models, columns, joined, mean, basis, maps["coefficients"]))
    for line in models[0].history_lines:
        model.add_history(line)
    return model


def _spectra_of(model):
    """Table of a product's components, as an array of records."""
    return np.rec.array(
        np.asarray(model.components).astype(np.asarray(model.components).dtype.newbyteorder("="))
    )


def _union(models, name, part=slice(None)):
    """Join the maps of all gratings: those of the first that sees a cell."""
    maps = np.array(getattr(models[0], name)[part])
    seen = np.isfinite(models[0].coefficients[0])
    for other in models[1:]:
        maps = np.where(seen, maps, getattr(other, name)[part])
        seen = seen | np.isfinite(other.coefficients[0])
    return maps


def _planes(models, joined, mean, basis, coefficients, folder):
    """SCI, ERR, DQ and WMAP: those of a grating as they are, and where gratings overlap combined."""
    shape = (joined.wavelength.size, *np.shape(models[0].data)[1:])
    kinds = {"data": np.float32, "err": np.float32, "dq": np.uint32, "weightmap": np.float32}
    made = {name: zeros_on_demand(shape, kind, folder) for name, kind in kinds.items()}
    for channel in range(shape[0]):
        sources = joined.sources(channel)
        if len(sources) == 1 and sources[0][1].size == 1:
            grating, (own,) = sources[0]
            for name, planes in made.items():
                planes[channel] = getattr(models[grating], name)[own]
            continue
        parts = [(models[g], slice(own[0], own[-1] + 1), joined.weights[g, channel]) for g, own in sources]
        quality = [np.bitwise_or.reduce(np.asarray(each.dq[own])) for each, own, _ in parts]
        made["dq"][channel] = np.bitwise_and.reduce(quality)
        looks = [np.asarray(each.weightmap[own]).max(axis=0) for each, own, _ in parts]
        count = np.max(looks, axis=0) + np.sum([each > 0 for each in looks], axis=0) - 1
        made["weightmap"][channel] = np.maximum(count, 0)
        error = _weighted_mean(
            [np.mean(each.err[own], axis=0) for each, own, _ in parts], [w for *_, w in parts]
        )
        scene = np.tensordot(basis[channel], coefficients, axes=1) + mean[channel]
        made["data"][channel] = np.where(np.isfinite(error), scene, np.nan)
        made["err"][channel] = error
    return made


def _weighted_mean(planes, weights):
    """Mean of the known values; NaN where there are none."""
    known = np.isfinite(planes) * np.reshape(weights, (-1, 1, 1))
    total = (known * np.nan_to_num(planes)).sum(axis=0)
    count = known.sum(axis=0)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def _homes(models):
    """Rows of each product's table of bands that are kept: of a band in several, that with the best fit."""
    best = {}
    for g, model in enumerate(models):
        for row, (name, psnr) in enumerate(zip(model.filters["filter"], model.filters["psnr"], strict=True)):
            if name not in best or psnr > best[name][2]:
                best[name] = g, row, psnr
    return [[row for g, row, _ in best.values() if g == own] for own in range(len(models))]


def _set_tables(model, models, joined):
    """Tables of the bands and of the wavelengths; the latter with the width of the line spread function."""
    homes = _homes(models)
    model.filters = np.concatenate(
        [np.asarray(m.filters)[rows] for m, rows in zip(models, homes, strict=True)]
    )
    columns = {
        name: joined.combine([each.spectral[name] for each in models])
        for name in ("cube_mean", "fused_mean", "psf_fwhm")
    }
    dead = ~np.isfinite(joined.noise)
    for values in columns.values():
        values[dead] = np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        error = columns["fused_mean"] / columns["cube_mean"] - 1
    model.set_table("spectral", wavelength=joined.wavelength, relative_error=error, **columns)
    widths = [line_spread(str(each.meta.instrument.grating).upper()) for each in models]
    if None not in widths:
        squares = [
            np.full(np.shape(each.data)[0], width**2) for each, width in zip(models, widths, strict=True)
        ]
        model.add_columns("spectral", line_spread=np.sqrt(joined.combine(squares)))


def _set_words(model, models):
    """Metadata of the whole."""
    instrument = model.meta.instrument
    for name in ("grating", "filter"):
        stated = {getattr(each.meta.instrument, name) for each in models}
        if len(stated) > 1:
            setattr(instrument, name, "MULTIPLE")
    kept = [each.meta.fusion.instance for each in models]
    model.set_fusion(
        **{name: kept[0][name] for name in ("inputs", "preflight", "parameters") if name in kept[0]},
        **{name: [dict(row) for row in kept[0][name]] for name in ("set_cubes", "set_images", "set_seams")},
        cube_file=", ".join(each["cube_file"] for each in kept),
    )
    model.meta.fusion.set_member = None
    for names, choose in ((LEAST, min), (LARGEST, max), (MEAN, np.mean)):
        for name in names:
            values = [each[name] for each in kept if each.get(name) is not None]
            if values:
                model.set_fusion(**{name: float(choose(values))})


def _diagnosis(models, columns, joined, mean, basis, coefficients):
    """Join what the report shows of all gratings; what one of them lacks is left out."""
    found = [kept_diagnosis(each) for each in models]
    known = {
        entry.name
        for entry in fields(Diagnosis)
        if all(getattr(each, entry.name) is not None for each in found)
    }
    homes = _homes(models)
    made = {
        name: np.concatenate([getattr(each, name)[rows] for each, rows in zip(found, homes, strict=True)])
        for name in OF_BANDS
        if name in known
    }
    for name in OF_CHANNELS:
        if name in known:
            values = joined.combine([getattr(each, name) for each in found])
            made[name] = np.where(np.isfinite(joined.noise), values, np.nan)
    for name in OF_SPAXELS:
        if name in known:
            made[name] = np.fmax.reduce([getattr(each, name) for each in found])
    if "bandpasses" in known:
        made["bandpasses"] = np.concatenate(
            [
                _bandpasses(each.bandpasses[rows], column.wavelength, joined, g)
                for g, (each, column, rows) in enumerate(zip(found, columns, homes, strict=True))
            ]
        ).astype(np.float32)
    if "wiggle" in known:
        made["wiggle"] = max(each.wiggle for each in found)
    for name in ("tuning_weight", "tuning_merit", "tuning_chosen"):
        made[name] = getattr(found[0], name)
    if {"spectra", "spectra_step"} <= known and all(each.channels_averaged == 1 for each in found):
        made |= _spectra(models, found, joined, mean, basis, coefficients)
    return Diagnosis(**made)


def _bandpasses(bandpasses, wavelength, joined, grating):
    """Find the weights of the joined channels in bands of a grating, which sum to one."""
    density = bandpasses / np.diff(channel_edges(wavelength))
    own = (joined.rebin[grating] @ density.T).T * np.diff(channel_edges(joined.wavelength))
    return own / own.sum(axis=1, keepdims=True)


def _spectra(models, found, joined, mean, basis, coefficients):
    """Spectra of the cubes, combined."""
    planes = [
        restore_spectra(each, np.asarray(model.components["mean_spectrum"], dtype=float), model.basis)
        for each, model in zip(found, models, strict=True)
    ]
    known = joined.combine([np.isfinite(each) for each in planes])
    data = joined.combine(planes) / np.where(known > 0, known, np.nan)
    variance = np.zeros(joined.wavelength.size)
    for matrix, weight, each in zip(joined.rebin, joined.weights, found, strict=True):
        noise = STEPS * np.asarray(each.spectra_step, dtype=float)
        variance += (diags(weight) @ matrix).power(2) @ noise**2
    noise = np.where(variance > 0, np.sqrt(variance), np.nan)
    names = ("spectra", "spectra_step", "spectra_coefficients", "channels_averaged")
    departure = data - mean[:, np.newaxis, np.newaxis]
    # a spaxel that some gratings did not see is projected as if these had seen the fused cube
    d = coefficients.shape[1] // data.shape[1]
    blocks = coefficients.reshape(len(coefficients), data.shape[1], d, data.shape[2], d)
    likely = np.tensordot(basis, np.nan_to_num(blocks.mean(axis=(2, 4))), axes=1)
    unseen = ~np.isfinite(departure)
    kept = quantise_spectra(np.where(unseen, likely, departure), basis, noise, max_voxels=np.inf)
    kept[0][unseen] = UNKNOWN
    return dict(zip(names, kept, strict=True))
