"""How smooth the coefficients are expected to be."""

import numpy as np
from scipy.ndimage import binary_erosion, map_coordinates

__all__ = ["sharpening", "smoothness_weights", "upsample"]

#: Least share of a measured mean squared gradient that is taken for signal.
MIN_SIGNAL_SHARE = 0.1

#: Largest sharpening; that of a point source is about 40.
MAX_SHARPENING = 100.0

#: Mean squared gradient of a scene without any, in units of the noise.
MIN_GRADIENT = 1e-9


def upsample(images, decimation_factor):
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


def smoothness_weights(observation, subspace):
    """
    Regularization weight of each component from a crude solution (paper, Appendix C).

    With data terms in units of the noise, ``mu_i = 1 / alpha_i^2``, where ``alpha_i^2`` is the mean
    squared gradient of component i. It is measured on the bicubically interpolated cube inside its
    footprint, less what white noise adds, and multiplied by how much steeper the NIRCam images are
    than the cube (`sharpening`): what the IFU blurs would otherwise be taken for smooth.

    Parameters
    ----------
    observation : Observation
        Cube and cross-calibrated images.
    subspace : Subspace
        Basis and whitened data.

    Returns
    -------
    ndarray, shape (k,)
        Weights mu_i.
    """
    d = observation.grid.decimation_factor
    inside = _interior(subspace.spaxels, d)
    coefficients = np.tensordot(subspace.whitened_basis.T, subspace.whitened, axes=1)
    measured = _mean_squared_gradient(upsample(coefficients, d), inside)
    alpha2 = np.maximum(measured - _noise_gradient(d), MIN_SIGNAL_SHARE * measured) + MIN_GRADIENT
    return 1.0 / (alpha2 * sharpening(observation, subspace))


def sharpening(observation, subspace):
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
    inside = _interior(subspace.spaxels, d)
    coefficients = np.tensordot(subspace.whitened_basis.T, subspace.whitened, axes=1)
    ratios = []
    for band in (band for band in observation.bands if not band.held_out):
        mixing = band.bandpass @ subspace.basis
        synthetic = np.tensordot(mixing, coefficients, axes=1)
        blunt = _mean_squared_gradient(upsample(synthetic[np.newaxis], d), inside)[0]
        known = inside & np.isfinite(band.data)
        image = np.where(np.isfinite(band.data), band.data, np.nanmedian(band.data)) / band.scale
        sharp = _mean_squared_gradient(image[np.newaxis], known)[0]
        noise = _noise_gradient(d) * (mixing**2).sum(), 4 * np.nanmedian(band.error / band.scale) ** 2
        signal = blunt - noise[0], sharp - noise[1]
        if signal[0] > MIN_SIGNAL_SHARE * blunt and signal[1] > MIN_SIGNAL_SHARE * sharp:
            ratios.append(signal[1] / signal[0])
    return float(np.clip(np.exp(np.mean(np.log(ratios))), 1.0, MAX_SHARPENING)) if ratios else 1.0


def _noise_gradient(d):
    """Mean squared gradient of interpolated white noise of unit variance."""
    impulse = np.zeros((1, 17, 17))
    impulse[0, 8, 8] = 1.0
    response = upsample(impulse, d)[0]
    return sum((np.diff(response, axis=axis) ** 2).sum() for axis in (0, 1)) / d**2


def _interior(spaxels, d):
    """Cells at least a spaxel within the footprint; all cells if there are none."""
    inside = binary_erosion(np.kron(spaxels, np.ones((d, d), dtype=bool)), iterations=d)
    return inside if inside.any() else np.ones_like(inside)


def _mean_squared_gradient(images, inside):
    """Mean squared first differences along both axes between cells that both are inside, for each image."""
    total = np.zeros(len(images))
    for axis in (0, 1):
        pairs = np.moveaxis(inside, axis, 0)
        pairs = pairs[1:] & pairs[:-1]
        steps = np.diff(np.moveaxis(images, axis + 1, 1), axis=1)[:, pairs]
        total += (steps**2).sum(axis=1) / max(pairs.sum(), 1)
    return total
