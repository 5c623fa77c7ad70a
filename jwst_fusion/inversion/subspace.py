"""The spectral subspace of a cube: mean spectrum and a few principal components."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import eigh

from jwst_fusion.exceptions import InputError, ParameterError

from .spectral import denoise_spectra

if TYPE_CHECKING:
    from jwst_fusion.observation import CubeData

__all__ = ["Subspace", "find_subspace"]

#: Share of a spaxel's usable channels that must be valid for the spaxel to be used. Judged.
MIN_KNOWN_FRACTION = 0.7

#: Residual, in units of the noise, above which a voxel is treated as missing. Judged.
OUTLIER_SIGMA = 7.0

#: Updates of the missing voxels and of the axes that predict them. Judged.
IMPUTATIONS = 5

#: Share of its power in one channel from which an axis is that channel's, and the effective number of spaxels
#: that have to carry it: a point source fills about four. Judged.
SINGLE_CHANNEL = 0.5
SUPPORTING_SPAXELS = 2.5

#: Axes beyond all components, which show the noise, and the factor by which a component stands out. Judged.
NOISE_AXES = 4
EDGE_MARGIN = 1.25

#: Share of the power of all spaxels beyond which one counts less in the analysis; and that share times
#: the number of spaxels, at least. Judged.
MAX_LEVERAGE = 0.02
MIN_LEVERAGE = 3.0


@dataclass(frozen=True, eq=False)
class Subspace:
    """
    Affine subspace that holds the spectra of a scene (paper, Eq. C.1).

    Attributes
    ----------
    mean_spectrum : ndarray, shape (n_wave,)
        Spatial mean of the cube [MJy/sr].
    basis : ndarray, shape (n_wave, k)
        Elementary spectra [MJy/sr]; orthonormal once each channel is divided by its noise.
    whitened : ndarray, shape (n_wave, my, mx)
        Cube minus mean spectrum over the noise, unknown voxels as the components predict them; zero in
        spaxels and channels not used.
    spaxels : ndarray of bool, shape (my, mx)
        Spaxels whose data are used.
    weights : ndarray, shape (n_wave,)
        Inverse noise [sr/MJy]; zero for channels without data.
    eigenvalues : ndarray
        Variances of the whitened data along its leading principal axes, more than k of them.
    info_kept : float
        Share of the whitened signal's variance, above the noise, that the k components carry.
    """

    mean_spectrum: np.ndarray
    basis: np.ndarray
    whitened: np.ndarray
    spaxels: np.ndarray
    weights: np.ndarray
    eigenvalues: np.ndarray
    info_kept: float

    @property
    def n_components(self) -> int:
        """Number of components, k."""
        return self.basis.shape[1]

    @property
    def whitened_basis(self) -> np.ndarray:
        """Orthonormal basis of the whitened data, shape (n_wave, k)."""
        return self.basis * self.weights[:, np.newaxis]

    @cached_property
    def coefficients(self) -> np.ndarray:
        """Coefficients of the cube's spaxels, with the noise of one channel each, shape (k, my, mx)."""
        return np.tensordot(self.whitened_basis.T, self.whitened.astype(np.float64), axes=1)


def find_subspace(
    cube: CubeData, *, n_components: int | None = None, max_components: int = 12, denoise: bool = True
) -> Subspace:
    """
    Find the subspace of a cube by a principal component analysis of the whitened data.

    Channels are divided by their noise first, so that components are ordered by significance. Voxels far
    off their spaxel's model count as unknown, and unknown voxels are those of the model fitted to the known
    ones of their spaxel: neither a hole nor a surviving cosmic ray makes a component or pulls one. The
    components are those of the significant part of the spectra (`jwst_fusion.inversion.spectral`), and
    spaxels far brighter than the typical one, a star's, count less, so that faint structure keeps its
    components.

    Parameters
    ----------
    cube : CubeData
        The cube.
    n_components : int, optional
        Number of components, k. By default those whose variance exceeds what noise alone can reach
        (paper, Appendix C, after Donoho 1995), at least one.
    max_components : int, optional
        Largest k to choose by default.
    denoise : bool, optional
        Whether to analyse the significant part of the spectra; else the spectra as they are (paper).

    Returns
    -------
    Subspace
        Mean spectrum, basis and the whitened data.

    Raises
    ------
    InputError
        Fewer than two usable spaxels, or no usable channel.
    ParameterError
        More components asked for than the data can define.
    """
    weights = np.where(np.isfinite(cube.noise) & (cube.noise > 0), 1.0 / cube.noise, 0.0)
    used = weights > 0
    if not used.any():
        raise InputError("the cube has no channel with data in the wavelength range of the fusion")
    known = np.isfinite(cube.data[used])
    spaxels = cube.footprint & (known.mean(axis=0) >= MIN_KNOWN_FRACTION)
    if spaxels.sum() < 2:
        raise InputError(
            f"the cube has {spaxels.sum()} usable spaxels in the field, at least 2 needed; raise height "
            "and width"
        )
    limit = min(int(spaxels.sum()) - 1, int(used.sum()))
    if n_components is not None and not 1 <= n_components <= limit:
        raise ParameterError(f"n_components = {n_components} is out of reach: the data allow 1 to {limit}")

    spectra = cube.data[used][:, spaxels]
    unknown = ~np.isfinite(spectra)
    mean = _fill_proportionally(spectra, unknown)
    whitened = spectra
    whitened -= mean[:, np.newaxis]
    whitened *= weights[used, np.newaxis]
    n_axes = max(n_components or 0, max_components)
    axes, eigenvalues = _principal_axes(whitened, n_axes + NOISE_AXES, limit)
    for update in range(IMPUTATIONS):
        edge = noise_edge(eigenvalues, whitened.shape, max_components)
        clear = _supported(axes, whitened) & (eigenvalues > edge)
        clear[n_axes:] = False
        clear[0] |= not clear.any()
        if update == 1:
            unknown |= _outliers(whitened, axes[:, clear])
        _impute(whitened, unknown, axes[:, clear], eigenvalues[clear])
        shift = whitened.mean(axis=1, dtype=np.float64)
        whitened -= shift[:, np.newaxis].astype(whitened.dtype)
        mean += shift / weights[used]
        axes, eigenvalues = _refined(whitened, axes)
    if denoise:
        clean, freedom = denoise_spectra(whitened, 1 / weights[used], axes[:, :n_axes], spaxels)
        axes, eigenvalues = _principal_axes(clean * _leverage(clean), n_axes + NOISE_AXES, limit)
        edge = noise_edge(eigenvalues, (freedom, whitened.shape[1]), max_components)
    k = n_components or max(int((eigenvalues[:max_components] > edge).sum()), 1)
    _impute(whitened, unknown, axes[:, :k], eigenvalues[:k])
    return _assemble(cube, spaxels, weights, mean, whitened, axes[:, :k], eigenvalues)


def _leverage(spectra):
    """Weight of each column of (n_channels, n_spaxels) spectra: less than 1 where one outweighs the rest."""
    power = (spectra**2).mean(axis=0)
    limit = max(MAX_LEVERAGE, MIN_LEVERAGE / power.size) * float(power.sum(dtype=np.float64))
    return np.sqrt(np.minimum(1.0, limit / np.maximum(power, np.finfo(power.dtype).tiny)))


def _fill_proportionally(spectra, unknown):
    """
    Fill the unknown voxels of (n_channels, n_spaxels) spectra in place; return the mean spectrum.

    A voxel gets what the mean spectrum has in its channel, in proportion to the rest of its spaxel: a line
    that the mean spectrum has is not cut off.
    """
    known = ~unknown
    spectra[unknown] = 0.0
    mean = spectra.sum(axis=1, dtype=np.float64) / np.maximum(known.sum(axis=1), 1)
    for i in np.flatnonzero(unknown.any(axis=0)):
        seen = mean[known[:, i]]
        level = spectra[known[:, i], i] @ seen / max(seen @ seen, np.finfo(float).tiny)
        spectra[unknown[:, i], i] = level * mean[unknown[:, i]]
    return spectra.mean(axis=1, dtype=np.float64)


def _impute(whitened, unknown, axes, variances):
    """
    Replace unknown voxels by the model fitted to the known ones of their spaxel, in place.

    It is the expectation step of a probabilistic principal component analysis (Tipping and Bishop 1999): the
    coefficients of the model are then those that the known voxels alone would give.
    """
    prior = np.diag(1.0 / np.maximum(variances, np.finfo(float).tiny))
    for i in np.flatnonzero(unknown.any(axis=0)):
        hole = unknown[:, i]
        inside = axes[hole]
        seen = axes.T @ whitened[:, i] - inside.T @ whitened[hole, i]
        scores = np.linalg.solve(np.eye(len(prior)) - inside.T @ inside + prior, seen)
        whitened[hole, i] = inside @ scores


def _refined(whitened, axes):
    """Axes and variances after a step of subspace iteration, for data that changed slightly."""
    span = np.linalg.qr(whitened @ (whitened.T @ axes))[0]
    rotation, values, _ = np.linalg.svd(span.T @ whitened, full_matrices=False)
    return span @ rotation, values**2 / whitened.shape[1]


def _supported(axes, whitened):
    """Whether each axis is more than a single voxel: spread over channels, or over spaxels as a PSF is."""
    scores = (axes.T @ whitened) ** 2
    spaxels = scores.sum(axis=1) ** 2 / np.maximum((scores**2).sum(axis=1), np.finfo(float).tiny)
    return ((axes**2).max(axis=0) < SINGLE_CHANNEL) | (spaxels > SUPPORTING_SPAXELS)


def _principal_axes(whitened, n_axes, limit):
    """
    Leading principal axes and variances of (n_channels, n_spaxels) data.

    The smaller of the two Gram matrices is decomposed.
    """
    n_channels, n_spaxels = whitened.shape
    n_axes = min(n_axes, limit)
    if n_channels <= n_spaxels:
        gram = whitened @ whitened.T
    else:
        gram = whitened.T @ whitened
    size = gram.shape[0]
    values, vectors = eigh(gram, subset_by_index=(max(size - n_axes, 0), size - 1))
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    if n_channels > n_spaxels:
        norms = np.sqrt(np.maximum(values, np.finfo(float).tiny))
        vectors = np.linalg.qr(whitened @ vectors / norms)[0]
    return vectors, values / n_spaxels


def _outliers(whitened, axes):
    """Voxels far off the model of their spaxel."""
    return np.abs(whitened - axes @ (axes.T @ whitened)) > OUTLIER_SIGMA


def noise_edge(eigenvalues: np.ndarray, shape: tuple[float, float], max_components: int) -> float:
    """
    Largest variance along a principal axis that noise alone reaches.

    That of white noise is the edge of Marchenko and Pastur (1967). Spaxels of a drizzled cube share noise,
    and its level may be misjudged: the axes beyond all components show how much larger the variances of the
    noise are than those of white noise at the same ranks.

    Parameters
    ----------
    eigenvalues : ndarray
        Leading variances of the whitened data, descending.
    shape : tuple of float
        Effective number of channels, and number of spaxels.
    max_components : int
        Number of components that may be chosen.

    Returns
    -------
    float
        The edge.
    """
    ratio = shape[0] / shape[1]
    angle = np.linspace(0, np.pi, 1000)
    white = 1 + ratio + 2 * np.sqrt(ratio) * np.cos(angle)  # from the largest variance on
    weight = np.sin(angle) ** 2 / np.maximum(white, np.finfo(float).tiny)
    rank = np.arange(max_components, len(eigenvalues))[-NOISE_AXES:]
    rank = rank[2 * rank < min(shape)]
    expected = np.interp((rank + 0.5) / min(shape), np.cumsum(weight) / weight.sum(), white)
    level = (eigenvalues[rank] / expected).min() if rank.size else 1.0
    return EDGE_MARGIN * max(float(level), 1.0) * float(white[0])


def _assemble(cube, spaxels, weights, mean, whitened, axes, eigenvalues):
    """Put channels and spaxels back into place; bridge the basis over channels without data."""
    used = weights > 0
    channel = np.arange(used.size)
    k = axes.shape[1]
    basis = np.empty((used.size, k))
    for i in range(k):
        basis[:, i] = np.interp(channel, channel[used], axes[:, i] / weights[used])
    full = np.zeros(cube.data.shape, dtype=whitened.dtype)
    full[np.ix_(used, *(np.arange(n) for n in spaxels.shape))] = _unfold(whitened, spaxels)
    n_channels, n_spaxels = whitened.shape
    signal = max(float((whitened**2).sum(dtype=np.float64)) / n_spaxels - n_channels, 0.0)
    kept = max(float(((axes.T @ whitened) ** 2).sum()) / n_spaxels - k, 0.0)
    return Subspace(
        mean_spectrum=np.interp(channel, channel[used], mean),
        basis=basis,
        whitened=full,
        spaxels=spaxels,
        weights=weights,
        eigenvalues=eigenvalues,
        info_kept=float(min(kept / signal, 1.0)) if signal > 0 else 1.0,
    )


def _unfold(columns, spaxels):
    """Place the columns of (n, n_spaxels) into (n, my, mx), zero elsewhere."""
    cube = np.zeros((columns.shape[0], *spaxels.shape), dtype=columns.dtype)
    cube[:, spaxels] = columns
    return cube
