"""The fused cube as a product."""

import numpy as np
from scipy.spatial import ConvexHull
from threadpoolctl import threadpool_limits

from jwst_fusion import datamodels
from jwst_fusion.coregistration.grid import grid_wcs
from jwst_fusion.crosscalib.factors import flux_scale
from jwst_fusion.datamodels.flags import (
    DO_NOT_USE,
    INTERPOLATED,
    NON_SCIENCE,
    PRIOR_DRIVEN,
    UNCONVERGED,
    UNSEEN,
)
from jwst_fusion.scratch import zeros_on_demand

from .observations import band_columns

__all__ = ["cube_errors", "fused_model", "fused_quality", "seen_by_a_band"]

#: Share of the variance from which the regularization drives a value.
MAX_PRIOR_SHARE = 0.9

#: Least weight of a channel in a band, over the largest, for the band to count as seeing it.
MIN_LOOK = 0.01

#: Channels whose errors are computed together.
CHUNK = 128


def fused_model(observation, result, validation, source, folder=None):
    """
    Put a fused cube, its tables and its validation into a FusedCubeModel: the cells of the footprint's box.

    The metadata are those of the cross-calibrated source. Arrays too large for the memory are kept in a
    folder.
    """
    d, cube = observation.grid.decimation_factor, observation.cube
    box = observation.grid.field
    cells = tuple(slice(b.start * d, b.stop * d) for b in box)
    inside = np.kron(cube.footprint[box], np.ones((d, d), dtype=bool))
    alive = np.isfinite(cube.noise)
    with threadpool_limits(limits=1, user_api="blas"):  # the same bits on any number of threads
        scene = _scene(result, cells, inside, alive, folder)
        errors = cube_errors(observation, result, cells, inside, folder)
    model = datamodels.FusedCubeModel(  # given all arrays, for it makes those that it is not given
        data=scene,
        err=errors,
        dq=fused_quality(observation, result, cells, inside, folder),
        weightmap=_coverage(observation, cells, inside, alive, folder),
    )
    model.update(source)
    _carry_over(model, source)
    coefficients = np.where(inside, result.coefficients[(slice(None), *cells)], np.nan)
    model.coefficients = coefficients.astype(np.float32)
    errors = np.sqrt(np.einsum("iiyx->iyx", result.covariance)[(slice(None), *cells)])
    model.coefficient_errors = np.where(inside, errors, np.nan).astype(np.float32)
    if result.draws is not None:
        model.set_draws(result.draws[(slice(None), slice(None), *cells)])
    model.set_components(cube.wavelength, result.mean_spectrum, result.basis, result.mean_noise)
    datamodels.set_wavelengths(model, cube.wavelength)
    _set_coordinates(model, observation.grid, box, inside, cells)
    _set_tables(model, observation, result, validation)
    model.set_fusion(
        n_components=result.basis.shape[1],
        info_kept=result.info_kept,
        mu=float(result.regularization[0, 0]),
        mu_components=[float(mu) for mu in np.diag(result.regularization)],
        gamma=result.gamma,
        solver="block-preconditioned conjugate gradients",
        boundary=result.settings.boundary,
        weighting=result.settings.weighting,
        tuning=result.settings.tuning,
        regularization=result.settings.regularization,
        uncertainty="posterior draws" if result.settings.samples else "posterior of the stationary blocks",
        objective_images=result.objective[0],
        objective_cube=result.objective[1],
        objective_prior=result.objective[2],
        iterations=result.iterations,
        converged=result.converged,
        pedestals=[float(band.pedestal) for band in observation.bands],
        **_beam(result.settings.beam),
        **validation.summary(),
    )
    if observation.reference == "nircam":
        _rescale(model, flux_scale(observation))
    return model


def _beam(width):
    """Keywords of a Gaussian beam [deg] of a width [arcsec]; none for the scene itself."""
    if width is None:
        return {}
    return {"beam_major": width / 3600, "beam_minor": width / 3600, "beam_angle": 0.0}


def _carry_over(model, source):
    """Take over what has no keyword: inputs, checks, parameters of the steps before, and history."""
    kept = source.meta.fusion.instance
    names = ("inputs", "preflight", "parameters")
    model.set_fusion(**{name: kept[name] for name in names if name in kept})
    for line in source.history_lines:
        model.add_history(line)


def _rescale(model, factor):
    """Bring a fused cube to another flux scale, by a factor for each channel."""
    planes = factor.astype(np.float32)[:, np.newaxis, np.newaxis]
    model.data *= planes
    model.err *= planes
    for table in (model.components, model.spectral):
        for name in table.dtype.names:
            if name not in ("wavelength", "relative_error", "psf_fwhm"):
                table[name] *= factor


def _chunks(number):
    """Slices of channels that are worked on together."""
    return [slice(first, min(first + CHUNK, number)) for first in range(0, number, CHUNK)]


def _scene(result, cells, inside, alive, folder):
    """Fused cube, float32 of shape (n_wave, ny, nx); NaN where nothing is known."""
    coefficients = result.coefficients[(slice(None), *cells)].astype(np.float32)
    basis, mean = result.basis.astype(np.float32), result.mean_spectrum.astype(np.float32)
    scene = zeros_on_demand((alive.size, *inside.shape), np.float32, folder)
    for part in _chunks(alive.size):
        planes = np.tensordot(basis[part], coefficients, axes=1)
        planes += mean[part, np.newaxis, np.newaxis]
        planes[~alive[part]] = np.nan
        planes[:, ~inside] = np.nan
        scene[part] = planes
    return scene


def cube_errors(observation, result, cells, inside, folder=None):
    """
    Compute the error [MJy/sr] of the fused cube, float32 (n_wave, ny, nx), a few channels at a time.

    It is the root of the sum of the posterior variance, of the variance outside the subspace, and of the flux
    scale's; NaN in channels without data and outside the cells that are wanted (inside).
    """
    k = result.basis.shape[1]
    pairs = [(i, j) for i in range(k) for j in range(i, k)]
    covariance = result.covariance[(slice(None), slice(None), *cells)]
    maps = np.stack([covariance[i, j] * (1 if i == j else 2) for i, j in pairs])[:, inside]
    share = result.dropped_share[cells][inside]
    scale_error = _calibration_error(observation)
    errors = zeros_on_demand((len(result.basis), *inside.shape), np.float32, folder)
    alive = np.isfinite(observation.cube.noise)
    coefficients = result.coefficients[(slice(None), *cells)][:, inside]
    for part in _chunks(len(errors)):
        basis = result.basis[part]
        products = np.stack([basis[:, i] * basis[:, j] for i, j in pairs], axis=1)
        variance = products @ maps
        variance += (scale_error * (basis @ coefficients + result.mean_spectrum[part, np.newaxis])) ** 2
        variance += result.dropped_variance[part, np.newaxis] * share
        planes = np.full((len(basis), *inside.shape), np.nan, dtype=np.float32)
        planes[:, inside] = np.sqrt(np.maximum(variance, 0.0))
        planes[~alive[part]] = np.nan
        errors[part] = planes
    return errors


def _calibration_error(observation):
    """Relative error of the flux scale between the instruments: that of the best known band."""
    known = [b.scale_err / b.scale for b in observation.bands if np.isfinite(b.scale_err) and not b.held_out]
    return min(known, default=0.0)


def _coverage(observation, cells, inside, alive, folder):
    """Count the data sets, the cube and the bands, that see each voxel."""
    bands = [band for band in observation.bands if not band.held_out]
    looks = np.stack([band.bandpass > 0 for band in bands], axis=1).astype(np.float32)
    known = np.stack([np.isfinite(band.data[cells]) for band in bands]).astype(np.float32)
    count = zeros_on_demand((alive.size, *inside.shape), np.float32, folder)
    for part in _chunks(alive.size):
        seen = np.tensordot(looks[part], known, axes=1)
        count[part] = np.add(seen, inside, out=seen, where=alive[part, np.newaxis, np.newaxis])
    return count


def fused_quality(observation, result, cells, inside, folder=None):
    """Flag the voxels (n_wave, ny, nx) of the fused cube (`jwst_fusion.datamodels.flags`)."""
    cube = observation.cube
    alive = np.isfinite(cube.noise)
    dq = zeros_on_demand((alive.size, *inside.shape), np.uint32, folder)
    all_channels = np.zeros(inside.shape, dtype=np.uint32)
    all_channels[result.prior_share[cells] > MAX_PRIOR_SHARE] |= PRIOR_DRIVEN
    images = np.all([~np.isfinite(b.data[cells]) for b in observation.bands if not b.held_out], axis=0)
    all_channels[images] |= INTERPOLATED
    if not result.converged:
        all_channels |= UNCONVERGED
    channels = np.where(seen_by_a_band(observation), 0, UNSEEN) | np.where(alive, 0, DO_NOT_USE)
    d, box = observation.grid.decimation_factor, observation.grid.field
    for plane, flags, spaxels in zip(dq, channels, cube.data[(slice(None), *box)], strict=True):
        plane[:] = all_channels | np.uint32(flags)
        plane[np.kron(~np.isfinite(spaxels), np.ones((d, d), dtype=bool))] |= INTERPOLATED
        plane[~inside] = DO_NOT_USE | NON_SCIENCE
    return dq


def seen_by_a_band(observation):
    """
    Select the channels (n_wave,) in which a NIRCam band of the fit has throughput.

    These are all between the first and the last in which a band has 1 % of its largest weight or more.
    """
    seen = np.zeros(observation.cube.wavelength.size, dtype=bool)
    for band in (b for b in observation.bands if not b.held_out and b.bandpass is not None):
        looks = np.flatnonzero(band.bandpass >= MIN_LOOK * band.bandpass.max())
        seen[looks[0] : looks[-1] + 1] = True
    return seen


def _set_coordinates(model, grid, box, inside, cells):
    """Coordinates of the cells: those of the spaxels, divided."""
    d, info = grid.decimation_factor, model.meta.wcsinfo
    for axis, first in ((1, box[1].start), (2, box[0].start)):
        crpix = getattr(info, f"crpix{axis}") - first
        setattr(info, f"crpix{axis}", (crpix - 0.5) * d + 0.5)
        setattr(info, f"cdelt{axis}", getattr(info, f"cdelt{axis}") / d)
    full = np.zeros(grid.shape, dtype=bool)
    full[cells] = inside
    info.s_region = _sky_region(grid, full)
    area = grid.cell_area
    model.meta.photometry.pixelarea_arcsecsq = area
    model.meta.photometry.pixelarea_steradians = area * np.deg2rad(1 / 3600) ** 2
    datamodels.assign_wcs(model)


def _set_tables(model, observation, result, validation):
    """Tables of the bands and of the wavelengths."""
    scores = validation.scores
    model.set_table(
        "filters",
        **band_columns(model, observation.bands) | {"filter": [band.label for band in observation.bands]},
        psnr=[score.psnr for score in scores],
        ssim=[score.ssim for score in scores],
        chi2=[score.chi2 for score in scores],
    )
    if validation.unseen:
        model.add_columns(
            "filters",
            psnr_unseen=[score.psnr for score in validation.unseen],
            ssim_unseen=[score.ssim for score in validation.unseen],
        )
    model.set_table(
        "spectral",
        wavelength=observation.cube.wavelength,
        cube_mean=validation.cube_mean,
        fused_mean=validation.fused_mean,
        relative_error=validation.relative_error,
        psf_fwhm=result.resolution,
    )


def _sky_region(grid, inside):
    """S_REGION of the cells with data, (ny, nx) of the grid: the corners of their convex hull."""
    rows, columns = np.nonzero(inside)
    corners = np.concatenate(
        [np.stack([columns + a, rows + b], axis=1) for a in (-0.5, 0.5) for b in (-0.5, 0.5)]
    )
    hull = corners[ConvexHull(corners).vertices]
    ra, dec = grid_wcs(grid).wcs_pix2world(hull[:, 0], hull[:, 1], 0)
    return "POLYGON ICRS  " + " ".join(f"{a:.9f} {b:.9f}" for a, b in zip(ra, dec, strict=True))
