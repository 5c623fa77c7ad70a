"""Comparison of a fused cube with its data: the arrays that a report needs."""

from dataclasses import astuple, dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from jwst_fusion.coregistration.comparison import Comparison, compare_band, mismatch
from jwst_fusion.crosscalib.factors import flux_scale
from jwst_fusion.exceptions import ParameterError
from jwst_fusion.inversion.psf_errors import ifu_error, model_errors
from jwst_fusion.optics.frequencies import make_hermitian
from jwst_fusion.optics.matching import match_to_ifu
from jwst_fusion.optics.psf import encircled_energy, fwhm
from jwst_fusion.optics.transfer import band_transfers

from .metrics import largest_patch
from .wiggles import wiggle_amplitude

__all__ = ["Diagnosis", "diagnose", "quantise_spectra", "rescaled", "restore_spectra"]

#: Steps per noise in which the cube's spectra are kept.
STEPS = 4

#: Known voxels of the cube that are kept at most; beyond, channels are averaged.
MAX_VOXELS = 2_000_000

#: Value of a voxel without data among the kept steps.
UNKNOWN = np.iinfo(np.int16).min

#: Average of residuals over their error from which on a spaxel belongs to a patch that does not fit.
PATCH_RESIDUAL = 3.0

#: Cells of the images on which the optical model's PSFs are measured, and radii of encircled energy [arcsec].
PSF_CELLS = 192
RADII = np.linspace(0.02, 0.8, 40)


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """
    Arrays on the field of the fused cube; each may be None where it is not known.

    Attributes
    ----------
    images, predicted : ndarray, shape (n_band, ny, nx)
        NIRCam images over their scale, and the fused cube seen through each band [MJy/sr].
    image_residuals : ndarray, shape (n_band, ny, nx)
        Image minus prediction, over the image's stated error.
    matched : ndarray, shape (n_band, ny, nx)
        NIRCam images at the IFU's resolution, over their scale [MJy/sr].
    bandpasses : ndarray, shape (n_band, n_wave)
        Weights of the channels in each band.
    comparisons : ndarray, shape (n_band, 11)
        Differences that remain between each image and the cube after registration, as in
        `~jwst_fusion.coregistration.comparison.Comparison`.
    known : ndarray, shape (n_band,)
        Share of the field that each image covers.
    mismatch : ndarray, shape (n_band,)
        Misfit of each image in its own band over that in another band of the cube, as in
        `~jwst_fusion.coregistration.comparison.mismatch`.
    misfit : ndarray, shape (n_band,)
        Root mean square of image minus prediction, over the image's stated error and that due to its PSF,
        in quadrature.
    patch : ndarray, shape (n_band,)
        Area of the largest connected patch of such residuals that, averaged over a spaxel, are beyond
        `PATCH_RESIDUAL` [spaxels].
    outside : ndarray, shape (n_band,)
        Largest light that the IFU's PSF carries into a cell from outside the field, over the mean light.
    spectra : ndarray of int16, shape (n_kept, my, mx)
        The cube minus its projection on the components, in steps of ``spectra_step``; see `restore_spectra`.
    spectra_step : ndarray, shape (n_kept,)
        [MJy/sr]; a quarter of the noise.
    spectra_coefficients : ndarray, shape (k, my, mx)
        Projection of the cube's spectra on the components.
    channels_averaged : int
        Channels in each kept one.
    cube_mean, cube_rms : ndarray, shape (my, mx)
        Mean and root mean square over the wavelengths of the cube's residuals, over the noise.
    cube_misfit : ndarray, shape (my, mx)
        Root mean square over the wavelengths of the cube's residuals, over the noise and the error due to
        the IFU's PSF, in quadrature.
    residual_mean, residual_rms, channel_misfit : ndarray, shape (n_wave,)
        The same over the spaxels.
    wiggle : float
        Amplitude of slow modulations in single-spaxel spectra, as a share of the brightness.
    eigenvalues : ndarray
        Variances of the whitened cube along its principal axes.
    tuning_weight, tuning_merit : ndarray, shape (n,)
        Weights of NIRSpec over NIRCam that were tried, and the weight that the residuals implied over each.
    tuning_chosen : float
        The weight chosen.
    psf_wavelength, psf_nircam, psf_nirspec : ndarray, shape (n_band,)
        Pivot wavelengths [um], and FWHM of the model of both instruments in the bands [arcsec].
    psf_radius, energy_nircam, energy_nirspec : ndarray, shape (m,)
        Radii [arcsec], and energy encircled by them in the band nearest to the middle of the range.
    """

    images: np.ndarray | None = None
    predicted: np.ndarray | None = None
    image_residuals: np.ndarray | None = None
    matched: np.ndarray | None = None
    bandpasses: np.ndarray | None = None
    comparisons: np.ndarray | None = None
    known: np.ndarray | None = None
    mismatch: np.ndarray | None = None
    misfit: np.ndarray | None = None
    patch: np.ndarray | None = None
    outside: np.ndarray | None = None
    spectra: np.ndarray | None = None
    spectra_step: np.ndarray | None = None
    spectra_coefficients: np.ndarray | None = None
    channels_averaged: int | None = None
    cube_rms: np.ndarray | None = None
    cube_mean: np.ndarray | None = None
    cube_misfit: np.ndarray | None = None
    residual_mean: np.ndarray | None = None
    residual_rms: np.ndarray | None = None
    channel_misfit: np.ndarray | None = None
    wiggle: float | None = None
    eigenvalues: np.ndarray | None = None
    tuning_weight: np.ndarray | None = None
    tuning_merit: np.ndarray | None = None
    tuning_chosen: float | None = None
    psf_wavelength: np.ndarray | None = None
    psf_nircam: np.ndarray | None = None
    psf_nirspec: np.ndarray | None = None
    psf_radius: np.ndarray | None = None
    energy_nircam: np.ndarray | None = None
    energy_nirspec: np.ndarray | None = None

    @property
    def compared(self):
        """The comparison of each image with the cube, tuple of Comparison; empty if it is not known."""
        return (
            ()
            if self.comparisons is None
            else tuple(Comparison(*map(float, row)) for row in self.comparisons)
        )


def diagnose(observation, fused, seen):
    """
    Compare a fused cube with both data sets.

    Parameters
    ----------
    observation : Observation
        What was fused.
    fused : FusionResult
        The fused cube.
    seen : ndarray, shape (n_wave, my, mx)
        The fused cube through the IFU, as `~jwst_fusion.inversion.fuse.seen_by_ifu` gives it.

    Returns
    -------
    Diagnosis
        Arrays on the field of the product.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        of_cube = _cube_diagnosis(observation, fused, seen)
        of_images = _image_diagnosis(observation, fused)
        found = Diagnosis(
            **of_images,
            **of_cube,
            mismatch=_mismatches(observation, fused, of_images["matched"], of_cube["spectra_coefficients"]),
            **_optics(observation),
            **_tuning(fused),
            eigenvalues=np.asarray(fused.eigenvalues, dtype=np.float64),
        )
    if observation.reference == "nircam":
        return rescaled(found, flux_scale(observation))
    return found


def _tuning(fused):
    """Weights of NIRSpec over NIRCam that were tried, and the factors to those that the residuals implied."""
    tried, implied = fused.gamma_history.T
    order = np.argsort(tried)
    return {
        "tuning_weight": tried[order],
        "tuning_merit": (implied / tried)[order],
        "tuning_chosen": float(fused.gamma),
    }


def rescaled(found, factor):
    """
    Convert surface brightnesses to another flux scale.

    Parameters
    ----------
    found : Diagnosis
        Arrays on one flux scale.
    factor : ndarray, shape (n_wave,)
        The other scale over it, for each channel.

    Returns
    -------
    Diagnosis
        The same on the other.
    """
    bands = (found.bandpasses @ factor).astype(np.float32)[:, np.newaxis, np.newaxis]
    images = {name: getattr(found, name) * bands for name in ("images", "predicted", "matched")}
    step = found.spectra_step * weight_average(factor, found.channels_averaged)
    return replace(found, **images, spectra_step=step.astype(np.float32))


def _image_diagnosis(observation, fused):
    """Images, predictions, residuals and the differences that registration left, on the field."""
    cells = tuple(
        slice(*(observation.grid.decimation_factor * np.array([part.start, part.stop])))
        for part in observation.grid.field
    )
    bands = [
        _band_diagnosis(observation, cells, *each)
        for each in zip(observation.bands, fused.predicted_images, model_errors(observation), strict=True)
    ]
    figures = {name: np.array([band[name] for band in bands]) for name in bands[0]}
    planes = {name: figures[name].astype(np.float32) for name in ("images", "image_residuals", "matched")}
    return figures | planes | {
        "predicted": fused.predicted_images[(slice(None), *cells)].astype(np.float32),
        "bandpasses": np.array([band.bandpass for band in observation.bands], dtype=np.float32),
    }  # fmt: skip


def _band_diagnosis(observation, cells, band, predicted, inexact):
    """Compare the fused cube with one image, for `_image_diagnosis`."""
    grid, cube, d = observation.grid, observation.cube, observation.grid.decimation_factor
    inside = np.zeros(grid.shape, dtype=bool)
    inside[cells] = np.kron(cube.footprint[grid.field], np.ones((d, d), dtype=bool))
    image = band.data / band.scale
    error = np.where(band.error > 0, band.error, np.nan) / band.scale
    compared, matched = compare_band(band, band.bandpass, cube, grid)
    departure = np.where(inside, (image - predicted) / np.hypot(error, inexact / band.scale), np.nan)
    known, covered = np.isfinite(departure), inside & np.isfinite(image)
    own = match_to_ifu(np.where(inside, np.nan_to_num(image), 0.0), band, band.bandpass, cube, grid)
    carried = (matched - own)[inside & np.isfinite(matched)].max(initial=0.0)
    light = float(np.nan_to_num(_mean(np.where(covered, image, 0.0), covered, None)))
    return {
        "images": image[cells],
        "image_residuals": np.where(inside, (image - predicted) / error, np.nan)[cells],
        "matched": matched[cells],
        "comparisons": astuple(compared),
        "known": covered.sum() / inside.sum(),
        "misfit": np.sqrt(_mean(np.nan_to_num(departure) ** 2, known, None)),
        "patch": largest_patch(departure[cells], d, PATCH_RESIDUAL),
        "outside": carried / abs(light) if light else np.nan,
    }


def _mismatches(observation, fused, matched, coefficients):
    """Misfit of each image in its own band over that in another, (n_band,)."""
    cube, field = observation.cube, observation.grid.field
    bandpasses = np.array([band.bandpass for band in observation.bands])
    mixing = bandpasses @ fused.basis
    # The cube's projection on the components; the remainder is mostly noise.
    seen = np.tensordot(mixing, coefficients, axes=1) + (bandpasses @ fused.mean_spectrum)[:, None, None]
    seen = np.where(cube.footprint[field], seen, np.nan)
    precision = np.nan_to_num(np.where(cube.noise > 0, cube.noise, np.nan) ** -2.0)
    covariance = np.linalg.pinv(fused.basis.T @ (fused.basis * precision[:, np.newaxis]))
    noise = np.sqrt(np.maximum(np.einsum("bk,kl,bl->b", mixing, covariance, mixing), 0.0))
    return np.array(
        [
            mismatch(image, own, np.delete(seen, i, axis=0), noise[i], observation.grid.decimation_factor)
            for i, (image, own) in enumerate(zip(matched, seen, strict=True))
        ]
    )


def _cube_diagnosis(observation, fused, seen):
    """Residuals of the cube, and its spectra in compact form."""
    cube, field = observation.cube, observation.grid.field
    noise = np.where(cube.noise > 0, cube.noise, np.nan).astype(np.float32)
    box = (slice(None), *field)
    data = np.where(cube.footprint[field], cube.data[box], np.float32(np.nan))
    departure = data - fused.mean_spectrum.astype(np.float32)[:, np.newaxis, np.newaxis]
    unexplained = data - seen[box]
    residual = unexplained / noise[:, np.newaxis, np.newaxis]
    known = np.isfinite(residual)
    square, mean = np.where(known, residual**2, 0), np.where(known, residual, 0)
    spectra, step, coefficients, averaged = quantise_spectra(departure, fused.basis, noise)
    rms = np.sqrt(_mean(square, known, 0)).astype(np.float32)
    inside, whitened = cube.footprint[field], np.nan_to_num(fused.basis / noise[:, np.newaxis])
    spaxel = observation.grid.cell_size * observation.grid.decimation_factor
    inexact = ifu_error(np.where(inside, coefficients, np.nan), spaxel)
    in_spaxels = np.einsum("ijyx,ij->yx", inexact, whitened.T @ whitened / max((noise > 0).sum(), 1))
    in_channels = np.einsum("li,ij,lj->l", whitened, inexact[:, :, inside].mean(axis=-1), whitened)
    channel_rms = np.sqrt(_mean(square, known, (1, 2)))
    return {
        "spectra": spectra,
        "spectra_step": step,
        "spectra_coefficients": coefficients,
        "channels_averaged": averaged,
        "cube_rms": rms,
        "cube_misfit": rms / np.sqrt(1.0 + in_spaxels),
        "cube_mean": _mean(mean, known, 0).astype(np.float32),
        "residual_mean": _mean(mean, known, (1, 2)).astype(np.float32),
        "residual_rms": channel_rms.astype(np.float32),
        "channel_misfit": channel_rms / np.sqrt(1.0 + in_channels),
        "wiggle": wiggle_amplitude(unexplained, noise, data),
    }


def _mean(values, known, axis):
    """Mean over the known values; NaN where there are none."""
    count = known.sum(axis=axis)
    return np.divide(
        values.sum(axis=axis, dtype=np.float64), count, out=np.full(count.shape, np.nan), where=count > 0
    )


def quantise_spectra(departure, basis, noise, *, max_voxels=MAX_VOXELS):
    """
    Store the cube's spectra compactly: the projection on the components, and the remainder in integer steps.

    Parameters
    ----------
    departure : ndarray, shape (n_wave, my, mx)
        Cube minus the mean spectrum [MJy/sr]; NaN where unknown.
    basis : ndarray, shape (n_wave, k)
        Basis spectra [MJy/sr].
    noise : ndarray, shape (n_wave,)
        Noise [MJy/sr]; NaN for channels without data.
    max_voxels : int, optional
        Known voxels to keep; if there are more, channels are averaged.

    Returns
    -------
    spectra : ndarray of int16, shape (n_kept, my, mx)
        In steps; -32768 where unknown.
    step : ndarray, shape (n_kept,)
        A quarter of the noise [MJy/sr]; zero for channels without data.
    coefficients : ndarray, shape (k, my, mx)
        Of the projection, over the channels that all of a spaxel's neighbours know.
    averaged : int
        Channels in each kept one.
    """
    n_wave, my, mx = departure.shape
    weight = np.nan_to_num(1.0 / noise)
    flat = np.nan_to_num(departure.reshape(n_wave, -1)) * weight[:, np.newaxis]
    coefficients = np.linalg.lstsq(basis * weight[:, np.newaxis], flat, rcond=None)[0].astype(np.float32)
    rest = departure.reshape(n_wave, -1) - basis @ coefficients
    averaged = max(int(np.ceil(np.isfinite(departure).sum() / max_voxels)), 1)
    step = weight_average(np.where(weight > 0, noise, 0.0), averaged) / (STEPS * np.sqrt(averaged))
    rest = weight_average(rest, averaged)
    steps = np.divide(
        rest, step[:, np.newaxis], out=np.full(rest.shape, np.nan), where=step[:, np.newaxis] > 0
    )
    whole = np.clip(np.round(steps), UNKNOWN + 1, -UNKNOWN - 1)
    spectra = np.where(np.isfinite(whole), whole, UNKNOWN).astype(np.int16)
    return spectra.reshape(-1, my, mx), step.astype(np.float32), coefficients.reshape(-1, my, mx), averaged


def weight_average(values, n):
    """
    Average groups of n successive rows over their finite values.

    Parameters
    ----------
    values : ndarray, shape (n_wave, ...)
        Values.
    n : int
        Rows in a group; the last group may be smaller.

    Returns
    -------
    ndarray, shape (ceil(n_wave / n), ...)
        Means; NaN where a group has no finite value.
    """
    if n == 1:
        return values
    short = -len(values) % n
    padded = np.concatenate([values, np.full((short, *values.shape[1:]), np.nan)])
    groups = padded.reshape(-1, n, *values.shape[1:])
    known = np.isfinite(groups)
    return _mean(np.where(known, groups, 0), known, 1)


def restore_spectra(diagnosis, mean_spectrum, basis):
    """
    Rebuild the NIRSpec cube from its compact form.

    Parameters
    ----------
    diagnosis : Diagnosis
        Diagnosis that contains ``spectra``.
    mean_spectrum : ndarray, shape (n_wave,)
        [MJy/sr].
    basis : ndarray, shape (n_wave, k)
        [MJy/sr].

    Returns
    -------
    ndarray, shape (n_wave, my, mx)
        Cube [MJy/sr], within an eighth of the noise unless channels were averaged; NaN where unknown.
    """
    kept = np.where(diagnosis.spectra == UNKNOWN, np.nan, diagnosis.spectra)
    rest = kept * np.asarray(diagnosis.spectra_step, dtype=np.float64)[:, np.newaxis, np.newaxis]
    rest = np.repeat(rest, diagnosis.channels_averaged, axis=0)[: len(basis)]
    model = np.tensordot(basis, np.asarray(diagnosis.spectra_coefficients, dtype=np.float64), axes=1)
    return mean_spectrum[:, np.newaxis, np.newaxis] + model + rest


def _optics(observation):
    """Widths and encircled energy of the optical model of both instruments in each band."""
    grid, cube = observation.grid, observation.cube
    shape = (PSF_CELLS, PSF_CELLS)
    pivots = np.array([band.pivot_wavelength for band in observation.bands])
    middle = int(np.argmin(np.abs(pivots - cube.wavelength.mean())))
    widths, energies = [], []
    for band in observation.bands:
        otfs = band_transfers(band, band.bandpass, cube, grid, shape)
        psfs = [np.fft.fftshift(np.fft.irfft2(make_hermitian(otf, shape[1]), s=shape)) for otf in otfs]
        widths.append([_width(psf, grid.cell_size) for psf in psfs])
        energies.append([encircled_energy(psf, grid.cell_size, RADII) for psf in psfs])
    widths = np.array(widths)
    return {
        "psf_wavelength": pivots,
        "psf_nircam": widths[:, 0],
        "psf_nirspec": widths[:, 1],
        "psf_radius": RADII,
        "energy_nircam": energies[middle][0],
        "energy_nirspec": energies[middle][1],
    }


def _width(psf, cell):
    """FWHM of a PSF [arcsec]; NaN where it has none."""
    try:
        return fwhm(psf, cell)
    except ParameterError:
        return float("nan")
