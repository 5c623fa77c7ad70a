"""One spectral subspace for several cubes: components that the gratings have in common."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from jwst_fusion.coregistration.resampling import moved
from jwst_fusion.exceptions import InputError

from .subspace import EDGE_MARGIN, Subspace, find_subspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jwst_fusion.observation import Observation

    from .settings import FusionSettings

__all__ = ["Grating", "JointSubspace", "find_gratings", "join"]

#: Difference of the wavelengths of two cubes of one grating, as a share of a channel, up to which they are
#: the same. Judged.
SAME_CHANNELS = 0.02

#: Standard deviation of the core of the telescope's PSF over the wavelength [arcsec/um]: a Gaussian of 0.42
#: lambda / D has the width of an Airy disk. Derived.
PSF_WIDTH = 0.42e-6 / 6.5 * 180 / np.pi * 3600

#: Share of the smoothing over known spaxels from which a blurred spaxel is known. Judged.
MIN_SHARE = 0.5

#: Updates of the covariance that predicts what some cubes have not seen. Judged.
UPDATES = 8

#: Fewest spaxels that are seen with all gratings, for each component. Judged.
MIN_SPAXELS = 2.0

#: Realisations of noise that tell what interpolation and blur leave of it. Judged.
REALISATIONS = 16

#: Directions of a grating's components are dropped whose share in the common ones is less. Derived.
NEGLIGIBLE = 1e-6


@dataclass(frozen=True, eq=False)
class Grating:
    """
    Cubes with the same wavelengths, and the subspace of their spectra.

    Attributes
    ----------
    members : tuple of int
        Which observations they are.
    tiles : tuple of slice
        Columns of each cube among those of the subspace, in which the cubes lie side by side.
    subspace : Subspace
        Mean spectrum and basis of the grating, and the data of its cubes divided by one noise.
    maps : ndarray, shape (k, my, mx)
        Coefficients on the spaxels of the grid, in units of their own noise; NaN where the grating did not
        look.
    noise : ndarray, shape (n, my, mx)
        Maps of noise like that of the coefficients, with what neighbouring spaxels share of it.
    level : float
        Noise of the coefficients on these spaxels, over that on a cube's own.
    wavelength : float
        Typical wavelength [um].
    axes : ndarray, shape (k, n), or None
        From the coefficients of the scene, n, to those of the grating.
    """

    members: tuple
    tiles: tuple
    subspace: Subspace
    maps: np.ndarray
    noise: np.ndarray
    level: float
    wavelength: float
    axes: np.ndarray | None = None

    @property
    def basis(self) -> np.ndarray:
        """Basis of the scene in the grating's channels [MJy/sr], shape (n_wave, n)."""
        return self.subspace.basis @ self.axes

    def of_scene(self) -> Subspace:
        """Grating's subspace as the scene has it: its basis is not orthonormal."""
        return replace(self.subspace, basis=self.basis)

    def kept(self) -> Subspace:
        """Part of the grating's subspace that the scene has, with an orthonormal basis."""
        left, values, _ = np.linalg.svd(self.axes, full_matrices=False)
        return replace(self.subspace, basis=self.subspace.basis @ left[:, values > NEGLIGIBLE * values[0]])


@dataclass(frozen=True, eq=False)
class JointSubspace(Subspace):
    """
    The common subspace over the channels of all gratings, one after the other.

    Attributes
    ----------
    maps : ndarray, shape (k, my, mx)
        Coefficients on the spaxels of the grid, with unit noise where all gratings look.
    """

    maps: np.ndarray | None = None

    @property
    def coefficients(self) -> np.ndarray:  # type: ignore[override]
        """Coefficients of the spaxels of the grid, shape (k, my, mx)."""
        return self.maps


def find_gratings(observations: Sequence[Observation], settings: FusionSettings) -> list[Grating]:
    """
    Sort cubes by their wavelengths, and find the subspace of each grating.

    Parameters
    ----------
    observations : sequence of Observation
        Cubes on one grid and on one flux scale.
    settings : FusionSettings
        Settings; the number of components is that of a grating.

    Returns
    -------
    list of Grating
        In the order of their first cubes.
    """
    sets: list[list[int]] = []
    for i, observation in enumerate(observations):
        for members in sets:
            if _same_channels(observations[members[0]].cube.wavelength, observation.cube.wavelength):
                members.append(i)
                break
        else:
            sets.append([i])
    return [_grating(observations, tuple(members), settings) for members in sets]


def _same_channels(a, b):
    """Whether two cubes have the same wavelengths."""
    return a.size == b.size and np.abs(a - b).max() <= SAME_CHANNELS * np.diff(a).min()


def _grating(observations, members, settings):
    """Find the subspace of a grating's cubes, and their coefficients on the spaxels of the grid."""
    cubes = [observations[i].cube for i in members]
    grid = observations[members[0]].grid
    pooled, tiles = _side_by_side(cubes)
    subspace = find_subspace(
        pooled, n_components=settings.n_components, max_components=settings.max_components
    )
    shifts = [np.divide(cube.shift, grid.decimation_factor) for cube in cubes]
    spaxels = [subspace.spaxels[:, tile] for tile in tiles]
    coefficients = [subspace.coefficients[:, :, tile] for tile in tiles]
    noise = _noise(subspace)
    noise = _on_grid([noise[:, :, tile] for tile in tiles], spaxels, shifts)
    level = float(np.sqrt(np.nanmean(noise**2))) if np.isfinite(noise).any() else 1.0
    return Grating(
        members=members,
        tiles=tiles,
        subspace=subspace,
        maps=_on_grid(coefficients, spaxels, shifts) / level,
        noise=noise / level,
        level=level,
        wavelength=float(np.median(cubes[0].wavelength)),
    )


def _noise(subspace):
    """Make maps of noise of unit variance: what the components leave of the spectra, with random signs."""
    rng = np.random.default_rng(subspace.n_components)
    signs = rng.choice([-1.0, 1.0], (len(subspace.weights), REALISATIONS))
    signs -= subspace.whitened_basis @ (subspace.whitened_basis.T @ signs)
    maps = np.tensordot(signs.T, subspace.whitened.astype(np.float64), axes=1)
    spread = maps[:, subspace.spaxels].std(axis=1)[:, np.newaxis, np.newaxis]
    return maps / np.where(spread > 0, spread, 1.0)


def _side_by_side(cubes):
    """Put the cubes of a grating beside each other, a column of unknown spaxels between; their columns."""
    if len(cubes) == 1:
        return cubes[0], (slice(None),)
    mx = cubes[0].data.shape[2]
    tiles = tuple(slice(i * (mx + 1), i * (mx + 1) + mx) for i in range(len(cubes)))

    def beside(arrays, gap):
        padded = [np.pad(a, [*[(0, 0)] * (a.ndim - 1), (0, 1)], constant_values=gap) for a in arrays]
        return np.concatenate(padded, axis=-1)[..., :-1]

    variances = np.array([cube.noise**2 for cube in cubes])
    known = np.isfinite(variances)
    noise = np.sqrt(np.where(known, variances, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1))
    pooled = replace(
        cubes[0],
        data=beside([cube.data for cube in cubes], np.nan),
        error=beside([cube.error for cube in cubes], np.nan),
        footprint=beside([cube.footprint for cube in cubes], False),
        noise=np.where(known.any(axis=0), noise, np.nan),
        shift=(0.0, 0.0),
    )
    return pooled, tiles


def _on_grid(maps, spaxels, shifts):
    """Interpolate maps of cubes on the spaxels of the grid, (k, my, mx); their mean where both see."""
    total, count = 0.0, 0
    for own, known, shift in zip(maps, spaxels, shifts, strict=True):
        placed = np.stack([moved(np.where(known, plane, np.nan), tuple(-shift)) for plane in own])
        total = total + np.nan_to_num(placed)
        count = count + np.isfinite(placed[0])
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def join(gratings: Sequence[Grating], spaxel: float, names: str) -> tuple[list[Grating], JointSubspace]:
    """
    Find the components that the gratings have in common.

    The coefficients of all gratings in a spaxel are one vector, with unit noise. Its covariance over the
    spaxels, at the resolution of the longest wavelengths, has as many significant axes as the scene has kinds
    of spectra; what is strong with several gratings is one component. Where some gratings did not look, what
    they would have seen is predicted from the others (expectation and maximisation for missing data; Dempster
    et al. 1977), so that no component of a part of the field is lost.

    Parameters
    ----------
    gratings : sequence of Grating
        Subspaces and maps of the gratings.
    spaxel : float
        Side of a spaxel [arcsec].
    names : str
        Whose cubes they are, for messages.

    Returns
    -------
    gratings : list of Grating
        With ``axes``.
    joint : JointSubspace
        The common subspace over all channels.

    Raises
    ------
    InputError
        Too few spaxels are seen with all gratings.
    """
    maps = np.concatenate([grating.maps for grating in gratings])
    sizes = [len(grating.maps) for grating in gratings]
    widest = max(grating.wavelength for grating in gratings)
    widths = [PSF_WIDTH * np.sqrt(widest**2 - g.wavelength**2) / spaxel for g in gratings]
    blunt = np.concatenate([_blurred(g.maps, w) for g, w in zip(gratings, widths, strict=True)])
    shared = np.isfinite(blunt).all(axis=0)
    if len(gratings) > 1 and shared.sum() < MIN_SPAXELS * len(maps):
        raise InputError(
            f"{names}: {shared.sum()} spaxels are seen with all {len(gratings)} gratings, at least "
            f"{int(MIN_SPAXELS * len(maps))} needed to relate their spectra; make an association of each cube"
        )
    seen = np.isfinite(blunt).any(axis=0)
    covariance = _covariance(blunt[:, seen])
    values, axes = np.linalg.eigh(covariance)
    values /= axes.T**2 @ np.repeat([_left(g, w) for g, w in zip(gratings, widths, strict=True)], sizes)
    order = np.argsort(values)[::-1]
    values, axes = values[order], axes[:, order]
    edge = EDGE_MARGIN * (1 + np.sqrt(len(maps) / seen.sum())) ** 2
    k = max(int((values > edge).sum()), *sizes)
    any_seen = np.isfinite(maps).any(axis=0)
    full = np.zeros(maps.shape)
    full[:, any_seen] = _completed(maps[:, any_seen], covariance)
    joint_maps = np.tensordot(axes[:, :k].T, full, axes=1)
    ends = np.cumsum(sizes)[:-1]
    gratings = [
        replace(g, axes=g.level * part) for g, part in zip(gratings, np.split(axes[:, :k], ends), strict=True)
    ]
    signal = np.maximum(values - 1.0, 0.0)
    joint = JointSubspace(
        mean_spectrum=np.concatenate([g.subspace.mean_spectrum for g in gratings]),
        basis=np.concatenate([g.basis for g in gratings]),
        whitened=np.empty((0, 0, 0)),
        spaxels=any_seen,
        weights=np.concatenate([g.subspace.weights for g in gratings]),
        eigenvalues=values,
        info_kept=float(signal[:k].sum() / signal.sum()) if signal.any() else 1.0,
        maps=joint_maps,
    )
    return gratings, joint


def _left(grating, width):
    """Variance that the noise of a grating's maps has after a blur."""
    blurred = _blurred(grating.noise, width)
    return float(np.nanmean(blurred**2)) if np.isfinite(blurred).any() else 1.0


def _blurred(maps, width):
    """Blur maps with unknown spaxels by a Gaussian."""
    known = np.isfinite(maps[0])
    if width < 0.1:
        return maps
    share = gaussian_filter(known.astype(float), width)
    total = gaussian_filter(np.where(known, maps, 0.0), (0, width, width))
    return np.where(known & (share > MIN_SHARE), total / np.maximum(share, MIN_SHARE), np.nan)


def _patterns(known):
    """Yield the known rows of each pattern of missing data of (n, m) data, and its columns."""
    kinds, inverse = np.unique(known, axis=1, return_inverse=True)
    for i in range(kinds.shape[1]):
        yield kinds[:, i], np.flatnonzero(inverse.ravel() == i)


def _covariance(data):
    """Covariance about zero of (n, m) data, some of them unknown."""
    known = np.isfinite(data)
    covariance = np.eye(len(data)) * np.nanmean(np.where(known, data, np.nan) ** 2)
    for _ in range(1 if known.all() else UPDATES):
        total = np.zeros_like(covariance)
        for rows, columns in _patterns(known):
            part, rest = _predicted(data[:, columns], rows, covariance)
            total += part @ part.T
            total[np.ix_(~rows, ~rows)] += len(columns) * rest
        covariance = total / data.shape[1]
    return covariance


def _predicted(data, rows, covariance):
    """Predict unknown rows of data from the known ones; the covariance of what is left of them."""
    if rows.all():
        return data, np.zeros((0, 0))
    gain = np.linalg.solve(covariance[np.ix_(rows, rows)], covariance[np.ix_(rows, ~rows)]).T
    full = data.copy()
    full[~rows] = gain @ data[rows]
    return full, covariance[np.ix_(~rows, ~rows)] - gain @ covariance[np.ix_(rows, ~rows)]


def _completed(data, covariance):
    """Replace what is unknown of data by what the rest predicts."""
    full = np.empty_like(data)
    for rows, columns in _patterns(np.isfinite(data)):
        full[:, columns] = _predicted(data[:, columns], rows, covariance)[0]
    return full
