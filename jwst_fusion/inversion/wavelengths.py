"""The channels of several gratings as one axis, where they overlap combined by inverse variance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

from jwst_fusion.observation import channel_edges

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["JoinedChannels", "join_channels"]

#: Share of a channel that a grating has to cover to contribute to it: all but rounding. Derived.
COVERED = 1 - 1e-6


@dataclass(frozen=True, eq=False)
class JoinedChannels:
    """
    Channels of several gratings in ascending order.

    Attributes
    ----------
    wavelength : ndarray, shape (n,)
        [um].
    rebin : tuple of scipy.sparse.csr_matrix, shape (n, n_wave)
        For each grating the mean of its channels over each of the joined ones; empty rows where it has none.
    weights : ndarray, shape (n_grating, n)
        Inverse variance of each grating in each channel over that of all, so that they sum to one.
    noise : ndarray, shape (n,)
        Noise of what is combined; NaN for channels without data.
    """

    wavelength: np.ndarray
    rebin: tuple
    weights: np.ndarray
    noise: np.ndarray

    def combine(self, columns: Sequence[np.ndarray]) -> np.ndarray:
        """
        Combine what gratings have in their channels.

        Parameters
        ----------
        columns : sequence of ndarray, shape (n_wave, ...)
            Values of each grating; one that is not finite counts as zero.

        Returns
        -------
        ndarray, shape (n, ...)
            Their weighted mean, of the mean over each channel.
        """
        total = 0.0
        for matrix, weight, values in zip(self.rebin, self.weights, columns, strict=True):
            known = np.nan_to_num(np.asarray(values, dtype=np.float64))
            part = (matrix @ known.reshape(len(known), -1)).reshape(-1, *known.shape[1:])
            total = total + weight.reshape(-1, *(1,) * (part.ndim - 1)) * part
        return np.asarray(total)

    def sources(self, channel: int) -> list[tuple[int, np.ndarray]]:
        """
        Tell which channels of which gratings a channel is made of.

        Parameters
        ----------
        channel : int
            The joined channel.

        Returns
        -------
        list of (int, ndarray of int)
            Gratings that contribute, each with its channels.
        """
        used = np.flatnonzero(self.weights[:, channel])
        return [(int(g), self.rebin[g].getrow(channel).indices) for g in used]


def join_channels(wavelengths: Sequence[np.ndarray], noises: Sequence[np.ndarray]) -> JoinedChannels:
    """
    Join the channels of several gratings.

    Where gratings overlap, the widest channels are kept and the others are averaged over them, which
    conserves flux and correlates no noise but that of channels which lie in two.

    Parameters
    ----------
    wavelengths : sequence of ndarray, shape (n_wave,)
        Wavelengths of each grating, ascending [um].
    noises : sequence of ndarray, shape (n_wave,)
        Noise of each channel, from which the weights are; NaN for channels without data.

    Returns
    -------
    JoinedChannels
        All channels.
    """
    edges = [channel_edges(each) for each in wavelengths]
    centres, low, high = _kept(wavelengths, edges)
    rebin, variances = [], []
    for own, noise in zip(edges, noises, strict=True):
        matrix = _means(own, low, high)
        alive = np.isfinite(noise) & (noise > 0)
        variance = matrix.power(2) @ np.where(alive, noise, 0.0) ** 2
        usable = (matrix @ alive.astype(float) >= COVERED) & (variance > 0)
        rebin.append(matrix)
        variances.append(np.where(usable, variance, np.inf))
    precision = 1.0 / np.array(variances)
    total = precision.sum(axis=0)
    covered = np.array([np.diff(matrix.indptr) > 0 for matrix in rebin])
    first = np.eye(len(rebin))[covered.argmax(axis=0)].T  # a channel without data has what its grating has
    weights = np.where(total > 0, precision / np.where(total > 0, total, 1.0), first)
    noise = np.where(total > 0, 1.0 / np.sqrt(np.where(total > 0, total, 1.0)), np.nan)
    return JoinedChannels(centres, tuple(rebin), weights, noise)


def _kept(wavelengths, edges):
    """Centres and edges of the channels that are kept, those of the coarsest grating first."""
    kept: list[np.ndarray] = []
    taken: list[tuple[float, float]] = []
    for g in np.argsort([-np.median(np.diff(own)) for own in edges], kind="stable"):
        own, centre = edges[g], wavelengths[g]
        free = np.ones(centre.size, dtype=bool)
        for begin, end in taken:
            free &= (centre < begin) | (centre > end)
        kept.append(np.stack([centre, own[:-1], own[1:]])[:, free])
        taken.append((own[0], own[-1]))
    centre, low, high = np.concatenate(kept, axis=1)
    order = np.argsort(centre)
    return centre[order], low[order], high[order]


def _means(edges, low, high):
    """Mean over channels from low to high of what stands between edges; none of those not all covered."""
    first = np.searchsorted(edges, low, side="right") - 1
    last = np.searchsorted(edges, high, side="left")
    rows, columns, shares = [], [], []
    for row in np.flatnonzero((first >= 0) & (last < edges.size)):
        own = np.arange(first[row], last[row])
        share = np.minimum(edges[own + 1], high[row]) - np.maximum(edges[own], low[row])
        share = np.where(share > (1 - COVERED) * (high[row] - low[row]), share, 0.0) / (high[row] - low[row])
        rows.append(np.full(own.size, row))
        columns.append(own)
        shares.append(share / share.sum())
    parts = [np.concatenate(part) if part else np.zeros(0) for part in (shares, rows, columns)]
    matrix = csr_matrix((parts[0], parts[1:]), shape=(low.size, edges.size - 1))
    matrix.eliminate_zeros()
    return matrix
