"""The prior's weights, measured on the data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from .cells import average_known, between_cells, interior, upsample, within
from .prior import MIN_GRADIENT, STEEPNESS_RANGE, Prior, at_cells, gradient

if TYPE_CHECKING:
    from jwst_fusion.observation import Observation

    from .settings import FusionSettings
    from .subspace import Subspace

__all__ = ["find_prior", "smoothness_matrix"]

#: Smallest share of a measured mean squared gradient that is considered signal. Judged.
MIN_SIGNAL_SHARE = 0.1

#: Largest sharpening; that of a point source is about 40. Measured.
MAX_SHARPENING = 100.0

#: Standard deviation of the Gaussian over which squared gradients of an image are averaged [cells]. Judged.
GRADIENT_SMOOTHING = 1.0

#: Quantile of an image's squared gradients that may be due to its noise. Judged.
NOISE_QUANTILE = 0.02

#: Standard deviation of the Gaussian over which products of the cube's gradients are averaged [spaxels]:
#: the resolution of the IFU, below which the cube cannot show which spectra change together. Derived.
MIXTURE_SMOOTHING = 1.0

#: Least variance of a direction among the components' gradients over the mean of all directions. Judged.
LEAST_SHARE = 0.01

#: Share of the smoothing over known cells from which the mixture of a cell is known. Judged.
MIN_SHARE = 0.02


def find_prior(
    observation: Observation, subspace: Subspace, settings: FusionSettings, shape: tuple[int, int]
) -> Prior:
    """
    Measure the weights of the prior on the cube and on the images.

    Parameters
    ----------
    observation : Observation
        Cube and cross-calibrated images.
    subspace : Subspace
        Basis and whitened data.
    settings : FusionSettings
        Settings.
    shape : tuple of int
        Cells (ny, nx) of the periodic grid that holds the observation's at its lower left corner.

    Returns
    -------
    Prior
        The prior. That of the nuclear norm is to be updated between solutions.
    """
    if settings.weighting == "uniform":
        return Prior(np.eye(subspace.n_components) * settings.mu, shape)
    factor, d = settings.mu or 1.0, observation.grid.decimation_factor
    if settings.tuning == "empirical_bayes":
        return Prior(_crude_weights(subspace, d) * factor, shape)
    if settings.regularization == "sobolev":
        return Prior(smoothness_matrix(observation, subspace) * factor, shape)
    inside = interior(subspace.spaxels, d)
    local = _local_gradients(_steepness(observation, subspace), inside)
    edges = between_cells(within(1.0 / local, shape, 1.0 / float(np.median(local))))
    prior = Prior(smoothness_matrix(observation, subspace, local) * factor, shape, edges)
    return replace(prior, alignment=_local_mixture(subspace.coefficients, inside, d, prior))


def smoothness_matrix(
    observation: Observation, subspace: Subspace, local: np.ndarray | None = None
) -> np.ndarray:
    """
    Regularization matrix of the components from a crude solution (after the paper, Appendix C).

    With data terms in units of the noise, the penalty of the gradients g of all components is
    ``g^T M g`` with M the inverse of the covariance of g: fine structure that the components share in
    the cube is expected to be shared on smaller scales too. The covariance is measured on the
    bicubically interpolated cube inside its footprint, less what white noise adds, and multiplied by
    how much steeper the NIRCam images are than the cube (`_sharpening`): what the IFU blurs would
    otherwise be taken for smooth.

    Parameters
    ----------
    observation : Observation
        Cube and cross-calibrated images.
    subspace : Subspace
        Basis and whitened data.
    local : ndarray, shape (ny, nx), optional
        Variance of the gradients in each cell, relative to the typical one (`_local_gradients`).

    Returns
    -------
    ndarray, shape (k, k)
        The matrix M.
    """
    d = observation.grid.decimation_factor
    inside = interior(subspace.spaxels, d)
    covariance, level = _gradient_covariance(upsample(subspace.coefficients, d), inside, local)
    variances, axes = np.linalg.eigh(covariance)
    variances = np.maximum(variances, 0.0)
    variances = np.maximum(variances - level * _noise_gradient(d), MIN_SIGNAL_SHARE * variances)
    inverse = 1.0 / ((variances + MIN_GRADIENT) * _sharpening(observation, subspace))
    return (axes * inverse) @ axes.T


def _crude_weights(subspace, d):
    """Inverse mean squared gradients of the components, the paper's automatic tuning (Appendix C), (k, k)."""
    covariance, _ = _gradient_covariance(upsample(subspace.coefficients, d), interior(subspace.spaxels, d))
    return np.diag(1.0 / (np.diag(covariance) + MIN_GRADIENT))


def _steepness(observation, subspace):
    """
    Squared gradient of the scene in each cell over its mean, from what the images have in common, (ny, nx).

    The product of the gradients of two images has no bias by their noise, for each has its own: the mean
    over all pairs of bands vanishes where the scene is flat, however faint it is. For a single image it is
    the squared gradient minus that of the noise. It is averaged over neighbouring cells, and NaN where there
    is no image with structure.
    """
    inside = interior(subspace.spaxels, observation.grid.decimation_factor)
    images, noises = [], []
    for band in (band for band in observation.bands if not band.held_out):
        squared = average_known(_squared_gradient(band.data), GRADIENT_SMOOTHING)
        known = np.isfinite(squared) & np.isfinite(band.data) & inside
        if not known.any():
            continue
        noise = min(4 * np.nanmedian(band.error) ** 2, np.quantile(squared[known], NOISE_QUANTILE))
        level = squared[known].mean() - noise
        if level > MIN_SIGNAL_SHARE * noise:
            images.append(band.data / np.sqrt(level))
            noises.append(noise / level)
    if not images:
        return np.full(inside.shape, np.nan)
    power = sum(_on_cells(_common_power(images, noises, axis), axis) for axis in (0, 1))
    power = np.maximum(average_known(power, GRADIENT_SMOOTHING), 0.0)
    seen = np.isfinite(images).any(axis=0) & np.isfinite(power)
    level = power[seen & inside].mean() if (seen & inside).any() else 0.0
    return np.where(seen, power / level, np.nan) if level > 0 else np.full(inside.shape, np.nan)


def _local_gradients(squared, inside):
    """
    Relative variance of the gradients that each cell may have (Guilloteau et al. 2022), (ny, nx).

    Large gradients are expected where the images are steep, at edges and stars. The variance is the square
    root of the steepness, normalised to a mean of one inside the footprint, and one where there is no image.
    """
    local = np.sqrt(np.clip(squared, *STEEPNESS_RANGE))
    seen = np.isfinite(local)
    level = local[seen & inside].mean() if (seen & inside).any() else 1.0
    return np.where(seen, local / level, 1.0)


def _local_mixture(coefficients, inside, d, prior):
    """
    Find which components change together about each cell, from the cube itself.

    The penalty with ``A = M^(1/2) D^(-1/2) M^(1/2)`` is a nuclear norm (total nuclear variation, Holt 2014;
    structure tensors, Lefkimmiatis et al. 2015): about a star, gradients along the star's own spectrum are
    cheap, and those of a line that it does not have are not; where a line shifts, its shift is tied to the
    light that the images see. D is measured on the cube, which sees all components with one resolution and
    a known noise, and not on the solution, whose noise would count as structure: of the products of the
    gradients, averaged over the resolution of the IFU, what noise alone can reach (the edge of Marchenko
    and Pastur 1967 for the spaxels averaged) is dropped, and the mean of the noise taken from the rest.

    The coefficients (k, my, mx) are those of the cube, with unit noise. Returned are the matrices A of the
    differences between cells, (2, k, k, ny, nx), on the grid of the prior.
    """
    k, width = len(coefficients), MIXTURE_SMOOTHING * d
    steps = gradient(upsample(coefficients, d))
    products = at_cells(step[:, np.newaxis] * step for step in steps)
    share = gaussian_filter(inside.astype(float), width)
    products = gaussian_filter(products * inside, (0, 0, width, width)) / np.maximum(share, MIN_SHARE)
    values, axes = np.linalg.eigh(np.moveaxis(products, (0, 1), (-2, -1)))
    noise, averaged = _noise_gradient(d), 2 * 4 * np.pi * MIXTURE_SMOOTHING**2
    edge = noise * (1 + np.sqrt(k / averaged)) ** 2
    values = np.where(values > edge, values - noise, 0.0)
    axes = prior.root @ axes
    values, axes = np.linalg.eigh((axes * values[..., np.newaxis, :]) @ np.swapaxes(axes, -1, -2))
    mean = values.mean(axis=-1, keepdims=True)
    known = (mean > 0) & (share > MIN_SHARE)[..., np.newaxis]
    values = np.where(known, np.maximum(values / np.where(known, mean, 1.0), LEAST_SHARE), 1.0)
    values /= values.mean(axis=-1, keepdims=True)
    typical = np.exp(np.log(values[known[..., 0]]).mean() / 2) if known.any() else 1.0
    axes = prior.root @ axes
    matrices = typical * (axes * values[..., np.newaxis, :] ** -0.5) @ np.swapaxes(axes, -1, -2)
    elsewhere = typical * prior.matrix[..., np.newaxis, np.newaxis]
    return between_cells(within(np.moveaxis(matrices, (-2, -1), (0, 1)), prior.shape, elsewhere))


def _sharpening(observation, subspace):
    """
    Mean squared gradient of the images over that of the cube seen through the same bands, at least one.

    The geometric mean over the bands, not held out, in which both show structure above the noise.
    """
    d = observation.grid.decimation_factor
    inside = interior(subspace.spaxels, d)
    coefficients = subspace.coefficients
    ratios = []
    for band in (band for band in observation.bands if not band.held_out):
        mixing = band.bandpass @ subspace.basis
        synthetic = np.tensordot(mixing, coefficients, axes=1)
        blunt = _gradient_covariance(upsample(synthetic[np.newaxis], d), inside)[0].item()
        known = inside & np.isfinite(band.data)
        image = np.where(np.isfinite(band.data), band.data, np.nanmedian(band.data)) / band.scale
        sharp = _gradient_covariance(image[np.newaxis], known)[0].item()
        noise = _noise_gradient(d) * (mixing**2).sum(), 4 * np.nanmedian(band.error / band.scale) ** 2
        signal = blunt - noise[0], sharp - noise[1]
        if signal[0] > MIN_SIGNAL_SHARE * blunt and signal[1] > MIN_SIGNAL_SHARE * sharp:
            ratios.append(signal[1] / signal[0])
    return float(np.clip(np.exp(np.mean(np.log(ratios))), 1.0, MAX_SHARPENING)) if ratios else 1.0


def _noise_gradient(d):
    """Mean squared gradient, summed over both axes, of interpolated white noise of unit variance."""
    impulse = np.zeros((1, 17, 17))
    impulse[0, 8, 8] = 1.0
    response = upsample(impulse, d)[0]
    return sum((np.diff(response, axis=axis) ** 2).sum() for axis in (0, 1)) / d**2


def _squared_gradient(image):
    """Squared gradient of an image at its cells, from the known steps to both neighbours; NaN without any."""
    return sum(_on_cells(np.diff(image, axis=axis) ** 2, axis) for axis in (0, 1))


def _common_power(images, noises, axis):
    """Mean product of the steps of two images along an axis; of one alone its square less its noise."""
    steps = np.diff(np.stack(images), axis=axis + 1)
    known = np.isfinite(steps)
    steps = np.where(known, steps, 0.0)
    n, own = known.sum(axis=0), (steps**2).sum(axis=0)
    pairs = (steps.sum(axis=0) ** 2 - own) / np.maximum(n * (n - 1), 1)
    alone = own - np.tensordot(noises, known, axes=1) / 2
    return np.where(n > 1, pairs, np.where(n == 1, alone, np.nan))


def _on_cells(steps, axis):
    """Mean of the known values at the steps to both neighbours of a cell; NaN without any."""
    sides = []
    for pad in ((1, 0), (0, 1)):
        widths = [(0, 0), (0, 0)]
        widths[axis] = pad
        sides.append(np.pad(steps, widths, constant_values=np.nan))
    known = np.isfinite(sides)
    return np.where(known, sides, 0.0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan)


def _gradient_covariance(images, inside, relative=None):
    """Covariance of differences of images over their relative variance, and the mean of its inverse."""
    covariance, level = np.zeros((len(images),) * 2), 0.0
    relative = np.ones(inside.shape) if relative is None else relative
    for axis in (0, 1):
        pairs, variance = np.moveaxis(inside, axis, 0), np.moveaxis(relative, axis, 0)
        pairs = pairs[1:] & pairs[:-1]
        inverse = (2.0 / (variance[1:] + variance[:-1]))[pairs]
        steps = np.diff(np.moveaxis(images, axis + 1, 1), axis=1)[:, pairs]
        covariance += (steps * inverse) @ steps.T / max(pairs.sum(), 1)
        level += inverse.mean() / 2 if inverse.size else 0.5
    return covariance, level
