"""One fused cube of all wavelengths of a set, with a table of its wavelengths (FITS WCS Paper III, -TAB)."""

from dataclasses import fields, replace

import numpy as np
from scipy.sparse import diags
from threadpoolctl import threadpool_limits

from jwst_fusion import datamodels
from jwst_fusion.crosscalib.sets import channel_edges
from jwst_fusion.datamodels.flags import DO_NOT_USE
from jwst_fusion.inversion.wavelengths import join_channels
from jwst_fusion.quality.diagnosis import Diagnosis, quantise_spectra, restore_spectra
from jwst_fusion.science.instrument import line_spread
from jwst_fusion.scratch import zeros_on_demand

from .fused import cube_errors
from .report import kept_diagnosis, store_diagnosis

__all__ = ["whole_range_model"]

#: Entries of ``meta.fusion`` of the whole: of those of the gratings the least, the largest, or the mean.
LEAST = ("psnr_min", "ssim_min", "psnr_unseen", "ssim_unseen")
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


def whole_range_model(gratings, models, folder=None):
    """
    Join the fused cubes of the gratings of a set.

    Where gratings overlap, the channels of the coarser one are kept. Mean spectrum and basis are combined by
    the inverse variance of the mean spectra, so that the cube keeps its low-rank form.

    Parameters
    ----------
    gratings : sequence of FusedGrating
        What was fused, at its beam.
    models : sequence of FusedCubeModel
        Their products.
    folder : path-like, optional
        Where arrays are kept that are too large for the memory.

    Returns
    -------
    FusedCubeModel
        The product of all wavelengths; SCI is NaN where no cube looked at a wavelength.
    """
    wavelengths = [each.observation.cube.wavelength for each in gratings]
    joined = join_channels(wavelengths, [each.result.mean_noise for each in gratings])
    results = [each.result for each in gratings]
    whole = replace(
        results[0],
        mean_spectrum=joined.combine([each.mean_spectrum for each in results]),
        basis=joined.combine([each.basis for each in results]),
        mean_noise=joined.noise,
        # what the components leave out is the same light for all gratings: not independent
        dropped_variance=joined.combine([np.sqrt(each.dropped_variance) for each in results]) ** 2,
        dropped_share=np.mean([each.dropped_share for each in results], axis=0),
    )
    with threadpool_limits(limits=1, user_api="blas"):  # the same bits on any number of threads
        planes = _planes(gratings, models, joined, whole, folder)
    model = datamodels.FusedCubeModel(**planes)
    model.update(models[0])
    _set_low_rank(model, models, joined, whole, gratings)
    datamodels.set_wavelengths(model, joined.wavelength)
    datamodels.assign_wcs(model)
    _set_tables(model, models, joined)
    _set_words(model, models)
    store_diagnosis(model, _diagnosis(gratings, models, joined, whole))
    for line in models[0].history_lines:
        model.add_history(line)
    return model


def _planes(gratings, models, joined, whole, folder):
    """SCI, ERR, DQ and WMAP: those of a grating as they are, and where gratings overlap combined."""
    shape = (joined.wavelength.size, *np.shape(models[0].data)[1:])
    kinds = {"data": np.float32, "err": np.float32, "dq": np.uint32, "weightmap": np.float32}
    made = {name: zeros_on_demand(shape, kind, folder) for name, kind in kinds.items()}
    shared = []
    for channel in range(shape[0]):
        sources = joined.sources(channel)
        if len(sources) == 1 and sources[0][1].size == 1:
            grating, (own,) = sources[0]
            for name, planes in made.items():
                planes[channel] = getattr(models[grating], name)[own]
        else:
            shared.append(channel)
            quality = [
                np.bitwise_or.reduce(np.asarray(models[g].dq[own[0] : own[-1] + 1])) for g, own in sources
            ]
            made["dq"][channel] = np.bitwise_and.reduce(quality)
            looks = [np.asarray(models[g].weightmap[own[0]]) for g, own in sources]
            made["weightmap"][channel] = np.max(looks, axis=0) + sum(each > 0 for each in looks) - 1
            np.maximum(made["weightmap"][channel], 0.0, out=made["weightmap"][channel])
    if shared:
        _combine(made, np.array(shared), gratings, joined, whole)
    return made


def _combine(made, channels, gratings, joined, whole):
    """Compute SCI and ERR of channels that several gratings have, from the low-rank form."""
    first = gratings[0].observation
    d, box = first.grid.decimation_factor, first.grid.field
    cells = tuple(slice(b.start * d, b.stop * d) for b in box)
    seen = np.any([each.observation.cube.footprint for each in gratings], axis=0)
    inside = np.kron(seen[box], np.ones((d, d), dtype=bool))
    part = replace(
        whole,
        mean_spectrum=whole.mean_spectrum[channels],
        basis=whole.basis[channels],
        dropped_variance=whole.dropped_variance[channels],
    )
    bands = tuple(band for each in gratings for band in each.observation.bands)
    cube = replace(first.cube, wavelength=joined.wavelength[channels], noise=joined.noise[channels])
    errors = cube_errors(replace(first, cube=cube, bands=bands), part, cells, inside)
    coefficients = whole.coefficients[(slice(None), *cells)]
    for place, channel in enumerate(channels):
        usable = (made["dq"][channel] & DO_NOT_USE) == 0
        plane = np.tensordot(part.basis[place], coefficients, axes=1) + part.mean_spectrum[place]
        made["data"][channel] = np.where(usable, plane, np.nan)
        made["err"][channel] = np.where(usable, errors[place], np.nan)


def _set_low_rank(model, models, joined, whole, gratings):
    """Components, and coefficients with their errors in all cells that a grating sees."""
    model.set_components(joined.wavelength, whole.mean_spectrum, whole.basis, whole.mean_noise)
    for name in ("coefficients", "coefficient_errors"):
        maps = np.array(getattr(models[0], name))
        for other in models[1:]:
            maps = np.where(np.isfinite(maps), maps, getattr(other, name))
        setattr(model, name, maps)
    if whole.draws is not None:
        grid = gratings[0].observation.grid
        d = grid.decimation_factor
        cells = tuple(slice(b.start * d, b.stop * d) for b in grid.field)
        model.set_draws(whole.draws[(slice(None), slice(None), *cells)])


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


def _diagnosis(gratings, models, joined, whole):
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
            made[name] = joined.combine([getattr(each, name) for each in found])
    for name in OF_SPAXELS:
        if name in known:
            made[name] = np.fmax.reduce([getattr(each, name) for each in found])
    if "bandpasses" in known:
        made["bandpasses"] = np.concatenate(
            [
                _bandpasses(each.bandpasses[rows], grating.observation.cube.wavelength, joined, g)
                for g, (each, grating, rows) in enumerate(zip(found, gratings, homes, strict=True))
            ]
        ).astype(np.float32)
    if "wiggle" in known:
        made["wiggle"] = max(each.wiggle for each in found)
    for name in ("tuning_weight", "tuning_merit", "tuning_chosen"):
        made[name] = getattr(found[0], name)
    if {"spectra", "spectra_step"} <= known and all(each.channels_averaged == 1 for each in found):
        made |= _spectra(gratings, found, joined, whole)
    return Diagnosis(**made)


def _bandpasses(bandpasses, wavelength, joined, grating):
    """Weights of the joined channels in bands of a grating, which sum to one."""
    density = bandpasses / np.diff(channel_edges(wavelength))
    own = (joined.rebin[grating] @ density.T).T * np.diff(channel_edges(joined.wavelength))
    return own / own.sum(axis=1, keepdims=True)


def _spectra(gratings, found, joined, whole):
    """Spectra of the cubes, combined."""
    planes, noises = [], []
    for each, grating in zip(found, gratings, strict=True):
        planes.append(restore_spectra(each, grating.result.mean_spectrum, grating.result.basis))
        noises.append(np.nan_to_num(grating.observation.cube.noise) ** 2)
    known = joined.combine([np.isfinite(each) for each in planes])
    data = joined.combine(planes) / np.where(known > 0, known, np.nan)
    variance = np.zeros(joined.wavelength.size)
    for matrix, weight, square in zip(joined.rebin, joined.weights, noises, strict=True):
        variance += (diags(weight) @ matrix).power(2) @ square
    noise = np.where(variance > 0, np.sqrt(variance), np.nan)
    names = ("spectra", "spectra_step", "spectra_coefficients", "channels_averaged")
    departure = data - whole.mean_spectrum[:, np.newaxis, np.newaxis]
    return dict(zip(names, quantise_spectra(departure, whole.basis, noise), strict=True))
