"""Expected smoothness of the coefficients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_erosion, gaussian_filter, map_coordinates

if TYPE_CHECKING:
    from jwst_fusion.observation import Observation

    from .subspace import Subspace

__all__ = [
    "average_known",
    "between_cells",
    "crude_weights",
    "edge_weights",
    "interior",
    "local_gradients",
    "noise_gradient",
    "sharpening",
    "smoothness_matrix",
    "steepness",
    "upsample",
    "within",
]

#: Smallest share of a measured mean squared gradient that is considered signal. Judged.
MIN_SIGNAL_SHARE = 0.1

#: Largest sharpening; that of a point source is about 40. Measured.
MAX_SHARPENING = 100.0

#: Mean squared gradient that is assumed for a uniform scene, in units of the noise. Judged.
MIN_GRADIENT = 1e-9

#: Standard deviation of the Gaussian over which squared gradients of an image are averaged [cells]. Judged.
GRADIENT_SMOOTHING = 1.0

#: Quantile of an image's squared gradients that may be due to its noise. Judged.
NOISE_QUANTILE = 0.02

#: Share of the smoothing over known steps that a cell needs. Judged.
MIN_SHARE = 0.2

#: Bounds of the squared gradient over its mean. Judged.
STEEPNESS_RANGE = (0.05, 1e4)


def upsample(images: np.ndarray, decimation_factor: int) -> np.ndarray:
    """
    Interpolate images on spaxels bicubically to the cells.

    Parameters
    ----------
    images : ndarray, shape (n, my, mx)
        Images without NaN.
    decimation_factor : int
        Cells per spaxel along an axis, d.

    Returns
    -------
    ndarray, shape (n, my * d, mx * d)
        Interpolated images; edges are mirrored.
    """
    d = decimation_factor
    my, mx = images.shape[1:]
    rows, columns = ((np.arange(n * d) - (d - 1) / 2) / d for n in (my, mx))
    grid = np.meshgrid(rows, columns, indexing="ij")
    return np.stack([map_coordinates(image, grid, order=3, mode="mirror") for image in images])


def smoothness_matrix(
    observation: Observation, subspace: Subspace, local: np.ndarray | None = None
) -> np.ndarray:
    """
    Regularization matrix of the components from a crude solution (after the paper, Appendix C).

    With data terms in units of the noise, the penalty of the gradients g of all components is
    ``g^T M g`` with M the inverse of the covariance of g: fine structure that the components share in
    the cube is expected to be shared on smaller scales too. The covariance is measured on the
    bicubically interpolated cube inside its footprint, less what white noise adds, and multiplied by
    how much steeper the NIRCam images are than the cube (`sharpening`): what the IFU blurs would
    otherwise be taken for smooth.

    Parameters
    ----------
    observation : Observation
        Cube and cross-calibrated images.
    subspace : Subspace
        Basis and whitened data.
    local : ndarray, shape (ny, nx), optional
        Variance of the gradients in each cell, relative to the typical one (`local_gradients`).

    Returns
    -------
    ndarray, shape (k, k)
        The matrix M.
    """
    d = observation.grid.decimation_factor
    inside = interior(subspace.spaxels, d)
    relative = np.ones(inside.shape) if local is None else local
    covariance, level = _gradient_covariance(upsample(subspace.coefficients, d), inside, relative)
    variances, axes = np.linalg.eigh(covariance)
    variances = np.maximum(variances, 0.0)
    variances = np.maximum(variances - level * noise_gradient(d), MIN_SIGNAL_SHARE * variances)
    inverse = 1.0 / ((variances + MIN_GRADIENT) * sharpening(observation, subspace))
    return (axes * inverse) @ axes.T


def crude_weights(observation: Observation, subspace: Subspace) -> np.ndarray:
    """
    Regularization weight of each component by the paper's rule (Appendix C, automatic tuning).

    Parameters
    ----------
    observation : Observation
        The grid.
    subspace : Subspace
        Basis and whitened data.

    Returns
    -------
    ndarray, shape (k, k)
        Diagonal, ``1 / alpha_i^2``, with ``alpha_i^2`` the mean squared gradient of the bicubically
        interpolated cube's component i.
    """
    d = observation.grid.decimation_factor
    inside = interior(subspace.spaxels, d)
    squared = _mean_squared_gradient(upsample(subspace.coefficients, d), inside)
    return np.diag(1.0 / (squared + MIN_GRADIENT))


def average_known(values: np.ndarray, width: float) -> np.ndarray:
    """
    Average neighbouring known values with Gaussian weights.

    Parameters
    ----------
    values : ndarray, shape (ny, nx)
        Values; NaN where unknown.
    width : float
        Standard deviation of the Gaussian [cells].

    Returns
    -------
    ndarray, shape (ny, nx)
        Averages; NaN where few are known.
    """
    known = np.isfinite(values)
    share = gaussian_filter(known.astype(float), width)
    total = gaussian_filter(np.where(known, values, 0.0), width)
    return np.where(share > MIN_SHARE, total / np.maximum(share, MIN_SHARE), np.nan)


def steepness(observation: Observation, subspace: Subspace) -> np.ndarray:
    """
    Squared gradient of the scene in each cell over its mean, from what the NIRCam images have in common.

    The product of the gradients of two images has no bias by their noise, for each has its own: the mean
    over all pairs of bands vanishes where the scene is flat, however faint it is. Where one image alone
    looks, it is the squared gradient less the noise's.

    Parameters
    ----------
    observation : Observation
        Images and footprint.
    subspace : Subspace
        The spaxels in use.

    Returns
    -------
    ndarray, shape (ny, nx)
        Squared gradient, averaged over neighbouring cells; one on the average over the footprint, and NaN
        where no image with structure looks.
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


def local_gradients(squared: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """
    Relative steepness that the regularization allows in each cell (Guilloteau et al. 2022).

    Where the images are steep, at edges and stars, gradients are expected and may be large; where they
    are smooth the scene is taken to be so.

    Parameters
    ----------
    squared : ndarray, shape (ny, nx)
        `steepness` of the scene.
    inside : ndarray of bool, shape (ny, nx)
        Cells of the footprint.

    Returns
    -------
    ndarray, shape (ny, nx)
        Square root of the steepness, within bounds; one on the average over the footprint, and one where
        no image looks.
    """
    local = np.sqrt(np.clip(squared, *STEEPNESS_RANGE))
    seen = np.isfinite(local)
    level = local[seen & inside].mean() if (seen & inside).any() else 1.0
    return np.where(seen, local / level, 1.0)


def edge_weights(local: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """
    Weights of the differences between neighbouring cells.

    Parameters
    ----------
    local : ndarray, shape (my, mx)
        Relative variance of the gradients in each cell.
    shape : tuple of int
        Cells (ny, nx) of the periodic grid that holds them at its lower left corner; the others have the
        typical variance.

    Returns
    -------
    ndarray, shape (2, ny, nx)
        Mean inverse variance of a cell and of the next along y, and along x.
    """
    return between_cells(within(1.0 / local, shape, 1.0 / float(np.median(local))))


def between_cells(values: np.ndarray) -> np.ndarray:
    """
    Average each cell with the next, on a periodic grid.

    Parameters
    ----------
    values : ndarray, shape (..., ny, nx)
        Values at the cells.

    Returns
    -------
    ndarray, shape (2, ..., ny, nx)
        Mean of a cell and of the next along y, and along x.
    """
    return np.stack([(values + np.roll(values, -1, axis)) / 2.0 for axis in (-2, -1)])


def within(values: np.ndarray, shape: tuple[int, int], elsewhere: np.ndarray | float) -> np.ndarray:
    """
    Values at the lower left corner of a grid that has others elsewhere.

    Parameters
    ----------
    values : ndarray, shape (..., my, mx)
        Values.
    shape : tuple of int
        Cells (ny, nx) of the grid.
    elsewhere : float or ndarray, shape (..., ny, nx)
        Values of the grid's other cells.

    Returns
    -------
    ndarray, shape (..., ny, nx)
        The grid.
    """
    full = np.empty((*values.shape[:-2], *shape))
    full[...] = elsewhere
    full[..., : values.shape[-2], : values.shape[-1]] = values
    return full


def sharpening(observation: Observation, subspace: Subspace) -> float:
    """
    Mean squared gradient of the NIRCam images over that of the cube seen through the same bands.

    Parameters
    ----------
    observation : Observation
        Cube and cross-calibrated images.
    subspace : Subspace
        Basis and whitened data.

    Returns
    -------
    float
        Geometric mean over the bands, not held out, in which both show structure above the noise; at
        least 1.
    """
    d = observation.grid.decimation_factor
    inside = interior(subspace.spaxels, d)
    coefficients = subspace.coefficients
    ratios = []
    for band in (band for band in observation.bands if not band.held_out):
        mixing = band.bandpass @ subspace.basis
        synthetic = np.tensordot(mixing, coefficients, axes=1)
        blunt = _mean_squared_gradient(upsample(synthetic[np.newaxis], d), inside)[0]
        known = inside & np.isfinite(band.data)
        image = np.where(np.isfinite(band.data), band.data, np.nanmedian(band.data)) / band.scale
        sharp = _mean_squared_gradient(image[np.newaxis], known)[0]
        noise = noise_gradient(d) * (mixing**2).sum(), 4 * np.nanmedian(band.error / band.scale) ** 2
        signal = blunt - noise[0], sharp - noise[1]
        if signal[0] > MIN_SIGNAL_SHARE * blunt and signal[1] > MIN_SIGNAL_SHARE * sharp:
            ratios.append(signal[1] / signal[0])
    return float(np.clip(np.exp(np.mean(np.log(ratios))), 1.0, MAX_SHARPENING)) if ratios else 1.0


def noise_gradient(d: int) -> float:
    """
    Mean squared gradient of interpolated white noise of unit variance.

    Parameters
    ----------
    d : int
        Cells per spaxel along an axis.

    Returns
    -------
    float
        Sum over both axes of the mean squared difference between neighbouring cells.
    """
    impulse = np.zeros((1, 17, 17))
    impulse[0, 8, 8] = 1.0
    response = upsample(impulse, d)[0]
    return sum((np.diff(response, axis=axis) ** 2).sum() for axis in (0, 1)) / d**2


def interior(spaxels: np.ndarray, d: int) -> np.ndarray:
    """
    Cells at least a spaxel within the footprint; all cells if there are none.

    Parameters
    ----------
    spaxels : ndarray of bool, shape (my, mx)
        The footprint.
    d : int
        Cells per spaxel along an axis.

    Returns
    -------
    ndarray of bool, shape (my * d, mx * d)
        The cells.
    """
    inside = binary_erosion(np.kron(spaxels, np.ones((d, d), dtype=bool)), iterations=d)
    return inside if inside.any() else np.ones_like(inside)


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


def _gradient_covariance(images, inside, relative):
    """Covariance of differences of images over their relative variance, and the mean of its inverse."""
    covariance, level = np.zeros((len(images),) * 2), 0.0
    for axis in (0, 1):
        pairs, variance = np.moveaxis(inside, axis, 0), np.moveaxis(relative, axis, 0)
        pairs = pairs[1:] & pairs[:-1]
        inverse = (2.0 / (variance[1:] + variance[:-1]))[pairs]
        steps = np.diff(np.moveaxis(images, axis + 1, 1), axis=1)[:, pairs]
        covariance += (steps * inverse) @ steps.T / max(pairs.sum(), 1)
        level += inverse.mean() / 2 if inverse.size else 0.5
    return covariance, level


def _mean_squared_gradient(images, inside):
    """Mean squared first differences along both axes between cells that both are inside, for each image."""
    total = np.zeros(len(images))
    for axis in (0, 1):
        pairs = np.moveaxis(inside, axis, 0)
        pairs = pairs[1:] & pairs[:-1]
        steps = np.diff(np.moveaxis(images, axis + 1, 1), axis=1)[:, pairs]
        total += (steps**2).sum(axis=1) / max(pairs.sum(), 1)
    return total
