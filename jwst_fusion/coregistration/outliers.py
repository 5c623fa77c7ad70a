"""Detection of residual cosmic rays and of hot or dead voxels in a cube."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
from scipy.ndimage import median_filter
from threadpoolctl import threadpool_limits

from .fit import GAUSSIAN_MAD

__all__ = ["find_outliers"]

#: Deviation, in units of the local scatter, from which a voxel may be an outlier. Judged.
THRESHOLD = 8.0

#: Deviation above which a voxel that touches an outlier is an outlier as well. Judged.
NEIGHBOUR_THRESHOLD = 5.5

#: Error of the low-rank model, as a share of its own contrast along wavelength around the voxel. Judged.
MODEL_ERROR = 0.04

#: Number of components of the low-rank model, and the spaxels and channels that each of them needs. Judged.
N_COMPONENTS = 12
NEEDED = 8

#: Share of the components in successive models: outliers must be removed before small components are
#: included, or they would form one. Judged.
RANKS = (1 / 3, 1)

#: Random mixtures of spectra beyond the components, by which these are found. Judged.
SPARE = 4

#: Rank, among the 26 neighbours, of the one that has to support a real peak, and the least share of the
#: peak that it then shows: 0.11 for a point source in an unresolved line, wherever these fall between the
#: voxels (FWHM of 0.13" for spaxels of 0.1", of 1.5 channels). SUPPORT_OF_NOISE is attributed to noise:
#: a smaller value spares more isolated lines, a larger one finds more outliers. Derived.
NEIGHBOUR_RANK = 6
SUPPORT = 0.10
SUPPORT_OF_NOISE = 0.7

#: Channels on either side from whose median an outlier departs too, by at least this share of its residual:
#: otherwise a line that only the model has would be an outlier. Judged.
REACH = 3
MIN_DEPARTURE = 0.3

#: Times that suspects are sought before there is a model, each time without those already known. Judged.
PEELS = 3

#: Channels over which continuum and scatter of a spaxel are taken as constant. Judged.
BLOCK = 48

#: Value relative to the median absolute value of the cube that no source can reach. Judged.
HUGE = 1e6

#: Share of such values from which a whole spaxel is off the slices. Judged.
MAX_HUGE = 0.8

#: Steps (channel, row, column) to a voxel's neighbours; the voxel itself is in the middle.
STEPS = tuple(product((-1, 0, 1), repeat=3))

OWN = len(STEPS) // 2

#: Number of voxels whose neighbours are processed together. Judged.
CHUNK = 20_000


def find_outliers(data: np.ndarray, noise: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    """
    Find voxels of a cube (n_wave, my, mx) that deviate in space and along wavelength, within the footprint.

    A low-rank model, the cube without its suspect voxels on a few principal axes, predicts every spectrum. An
    outlier's residual, in units of the spaxel's own scatter around the model (at least the noise (n_wave,)),
    exceeds ``8 * sqrt(1 + (0.04 * contrast)^2) + support / 0.10``, where ``contrast`` is the model's largest
    departure from its continuum in the 3 x 3 x 3 voxels around, and ``support`` the sixth largest residual of
    the 26 neighbours, of the same sign, over that of noise: a source that the model lacks is blurred by the
    PSF and the line spread function, and has such neighbours.

    Voxels that touch an outlier need a residual of 5.5 and no isolation. Values larger than any source can
    have are always outliers; in channels without noise only these are found. False where the data are not
    finite.
    """
    found = np.zeros(data.shape, dtype=bool)
    spectra = data[:, footprint].astype(np.float32)
    huge = _find_huge(spectra, noise)
    spectra[huge] = np.nan
    found[:, footprint] = huge
    level, ratio = _smooth(noise)
    spectra /= level[:, np.newaxis]
    if np.isfinite(spectra).any():
        with threadpool_limits(limits=1, user_api="blas"):
            found[:, footprint] |= _find_in_spectra(spectra, ratio, _neighbour_table(footprint))
    return found


def _smooth(noise):
    """
    Take the running median of the noise, NaN for channels without, and the noise over it, 1 for these.

    Spectra divided by the noise itself would jump with it from channel to channel.
    """
    known = np.isfinite(noise) & (noise > 0)
    level, ratio = np.full(noise.size, np.nan, np.float32), np.ones(noise.size, np.float32)
    if known.any():
        level[known] = median_filter(noise[known], size=min(BLOCK, known.sum()), mode="nearest")
        ratio[known] = noise[known] / level[known]
    return level, ratio


def _find_huge(spectra, noise):
    """Values in (n_wave, n_spaxels) spectra above those of any source, and whole spaxels full of them."""
    magnitude = np.abs(spectra)
    known = np.isfinite(magnitude)
    if not known.any():
        return known
    level = max(np.median(magnitude[known]), np.max(noise[np.isfinite(noise)], initial=0.0))
    huge = known & (magnitude > HUGE * level)
    return huge | (known & (huge.sum(axis=0) > MAX_HUGE * known.sum(axis=0)))


def _find_in_spectra(spectra, ratio, table):
    """Outliers of (n_wave, n_spaxels) whitened spectra: suspects first, then against a growing model."""
    unknown = ~np.isfinite(spectra)
    deviation, scale = _standardise(spectra.copy(), ratio)
    for _ in range(PEELS):
        deviation[_select(spectra, deviation, scale, table)] = np.nan
    bad = np.isnan(deviation)
    del deviation  # memory
    weights = 1.0 / np.fmax(np.median(scale, axis=0), 1.0)
    filled = _bridge(np.where(bad, np.nan, spectra))
    for part in RANKS:
        model = _low_rank(filled, weights, math.ceil(part * N_COMPONENTS))
        deviation, scale = _standardise(np.subtract(spectra, model, out=filled), ratio)
        bad = _select(spectra, deviation, scale, table, model)
        np.copyto(filled, spectra)
        np.copyto(filled, model, where=unknown | bad)
        del model  # memory
    return bad


def _blocks(n_wave):
    """Slices that divide the channels into blocks of about the same length."""
    edges = np.linspace(0, n_wave, max(round(n_wave / BLOCK), 1) + 1).astype(int)
    return [slice(*pair) for pair in zip(edges[:-1], edges[1:], strict=True)]


def _median(values):
    """Median of the finite values of each column; NaN where there are none."""
    ordered = np.sort(values, axis=0)
    middle = np.maximum(np.isfinite(values).sum(axis=0) - 1, 0) // 2
    return np.take_along_axis(ordered, middle[np.newaxis], axis=0)[0]


def _standardise(deviation, ratio):
    """Bring each spaxel to median 0 and scatter 1 block by block, in place; and return the scatter."""
    blocks = _blocks(len(deviation))
    scale = np.empty((len(blocks), deviation.shape[1]), dtype=np.float32)
    for i, block in enumerate(blocks):
        part = deviation[block]
        part -= _median(part)
        part /= ratio[block, np.newaxis]
        scale[i] = np.fmax(GAUSSIAN_MAD * _median(np.abs(part)), 1.0)
        part /= scale[i]
    return deviation, scale


def _bridge(spectra):
    """Interpolate the NaNs of each column linearly along the channels, in place."""
    channel = np.arange(len(spectra))
    known = np.isfinite(spectra)
    for i in np.flatnonzero(~known.all(axis=0)):
        told = known[:, i]
        spectra[~told, i] = np.interp(channel[~told], channel[told], spectra[told, i]) if told.any() else 0.0
    return spectra


def _low_rank(spectra, weights, n_components):
    """
    Project (n_wave, n_spaxels) spectra on the leading principal axes of the weighted spectra.

    The axes come from random mixtures of the spectra, sharpened by two power iterations (Halko,
    Martinsson and Tropp 2011), which is all that a prediction needs.
    """
    k = max(min(n_components, *(n // NEEDED for n in spectra.shape)), 1)
    weighted = spectra * weights
    mixing = np.random.default_rng(0).standard_normal((spectra.shape[1], k + SPARE), dtype=np.float32)
    axes = np.linalg.qr(weighted @ mixing)[0]
    for _ in range(2):
        axes = np.linalg.qr(weighted @ (weighted.T @ axes))[0]
    rotation = np.linalg.svd(axes.T @ weighted, full_matrices=False)[0][:, :k]
    axes = axes @ rotation
    return axes @ (axes.T @ spectra)


def _neighbour_table(footprint):
    """Column of each spaxel's neighbour for each of STEPS, shape (27, n_spaxels); -1 for none."""
    columns = np.pad(np.full(footprint.shape, -1), 1, constant_values=-1)
    rows, cols = np.nonzero(footprint)
    columns[rows + 1, cols + 1] = np.arange(rows.size)
    return np.array([columns[rows + 1 + dy, cols + 1 + dx] for _, dy, dx in STEPS])


def _around(voxels, table, n_wave):
    """Channel and column of voxels and their neighbours, and whether they are in the cube: (27, n) each."""
    channel = np.array([step[0] for step in STEPS])[:, np.newaxis] + voxels[0]
    column = table[:, voxels[1]]
    inside = (channel >= 0) & (channel < n_wave) & (column >= 0)
    return np.clip(channel, 0, n_wave - 1), column, inside


def _select(spectra, deviation, scale, table, model=None):
    """Choose the outliers among (n_wave, n_spaxels) spectra by their standardised deviations."""
    n_wave = len(deviation)
    blocks = _blocks(n_wave)
    block_of = np.repeat(np.arange(len(blocks)), [block.stop - block.start for block in blocks])
    levels = None if model is None else np.array([_median(model[block]) for block in blocks])
    alone = np.zeros(deviation.shape, dtype=bool)
    near = alone.copy()
    candidates = np.array(np.nonzero((deviation > NEIGHBOUR_THRESHOLD) | (deviation < -NEIGHBOUR_THRESHOLD)))
    for first in range(0, candidates.shape[1], CHUNK):
        voxels = tuple(candidates[:, first : first + CHUNK])
        channel, column, inside = _around(voxels, table, n_wave)
        sign = np.sign(deviation[voxels])
        around = np.where(inside, deviation[channel, column], np.nan) * sign
        stretch = 1.0
        if model is not None:
            block = block_of[channel]
            contrast = np.abs(model[channel, column] - levels[block, column]) / scale[block, column]
            stretch = np.hypot(1.0, MODEL_ERROR * np.where(inside, contrast, 0.0).max(axis=0))
        departure = _departure(spectra, voxels) * sign / scale[block_of[voxels[0]], voxels[1]]
        height = np.where(departure > MIN_DEPARTURE * around[OWN], around[OWN] / stretch, 0.0)
        alone[voxels] = height > THRESHOLD + _support(around) / (SUPPORT * stretch)
        near[voxels] = height > NEIGHBOUR_THRESHOLD
    if model is None:
        return alone
    candidates = np.array(np.nonzero(near))
    channel, column, inside = _around(candidates, table, n_wave)
    near[tuple(candidates)] = (alone[channel, column] & inside).any(axis=0)
    return near


def _departure(spectra, voxels):
    """Voxels of (n_wave, n_spaxels) spectra minus the median of the channels around them."""
    rows = voxels[0] + np.arange(-REACH, REACH + 1)[:, np.newaxis]
    around = spectra[np.clip(rows, 0, len(spectra) - 1), voxels[1]]
    around[(rows < 0) | (rows >= len(spectra))] = np.nan
    return spectra[voxels] - _median(around)


def _support(around):
    """Height over the noise's of the neighbour that has to support a peak, from (27, n) values."""
    others = np.delete(around, OWN, axis=0)
    known = np.isfinite(others).sum(axis=0)
    rank = np.ceil(known * NEIGHBOUR_RANK / len(others)).astype(int) - 1
    ordered = -np.sort(-others, axis=0)
    support = np.take_along_axis(ordered, np.maximum(rank, 0)[np.newaxis], axis=0)[0]
    return np.fmax(support - SUPPORT_OF_NOISE, 0.0)
