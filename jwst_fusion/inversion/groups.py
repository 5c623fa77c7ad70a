"""Groups of frequencies that decimation folds together."""

from __future__ import annotations

import numpy as np
from scipy.fft import irfft2

from jwst_fusion.optics.frequencies import make_hermitian

__all__ = ["FrequencyGroups"]


class FrequencyGroups:
    """
    Groups of d x d frequencies of a fine grid that decimation by d folds into one.

    With periodic boundaries a quadratic objective of a fine image and its decimation splits into
    independent systems, one for each group (Wei et al. 2015; Guilloteau et al. 2020a). Only the half
    plane of `numpy.fft.rfft2` is stored, on both grids.

    Parameters
    ----------
    shape : tuple of int
        Cells (ny, nx), multiples of ``decimation_factor``.
    decimation_factor : int
        Cells per spaxel along an axis, d.

    Attributes
    ----------
    n_groups : int
        Number of groups: my * (mx // 2 + 1).
    multiplicity : ndarray, shape (n_groups,)
        Weight of each group in a sum over the full plane: 2, or 1 if it is its own mirror.
    """

    def __init__(self, shape, decimation_factor):
        self.shape = tuple(shape)
        self.decimation_factor = d = int(decimation_factor)
        ny, nx = self.shape
        my, mx = ny // d, nx // d
        self.spaxel_shape = (my, mx)
        self.half_shape = (ny, nx // 2 + 1)
        self.spaxel_half_shape = (my, mx // 2 + 1)
        self.n_groups = my * (mx // 2 + 1)
        self._gather, self._gather_mirrored = self._gather_map()
        self._scatter, self._scatter_mirrored = self._scatter_map()
        column = np.arange(mx // 2 + 1)
        single = (column == 0) | (2 * column == mx)
        self.multiplicity = np.tile(np.where(single, 1.0, 2.0), my)

    def _gather_map(self):
        """Index in the half plane of each member of each group, and whether it is stored as its mirror."""
        d, (ny, nx), (my, mx) = self.decimation_factor, self.shape, self.spaxel_shape
        p, r = np.meshgrid(np.arange(my), np.arange(mx // 2 + 1), indexing="ij")
        a, b = np.meshgrid(np.arange(d), np.arange(d), indexing="ij")
        row = p.ravel()[:, np.newaxis] + a.ravel() * my
        column = r.ravel()[:, np.newaxis] + b.ravel() * mx
        mirrored = column > nx // 2
        row = np.where(mirrored, -row % ny, row)
        column = np.where(mirrored, nx - column, column)
        return row * self.half_shape[1] + column, mirrored

    def _scatter_map(self):
        """Index among all members of each frequency of the half plane, and whether it is mirrored."""
        d, (ny, nx), (my, mx) = self.decimation_factor, self.shape, self.spaxel_shape
        row, column = np.meshgrid(np.arange(ny), np.arange(nx // 2 + 1), indexing="ij")
        mirrored = column % mx > mx // 2
        row = np.where(mirrored, -row % ny, row)
        column = np.where(mirrored, -column % nx, column)
        group = row % my * (mx // 2 + 1) + column % mx
        member = row // my * d + column // mx
        return group * d**2 + member, mirrored

    def gather(self, half_plane: np.ndarray) -> np.ndarray:
        """
        Sort a half plane into groups.

        Parameters
        ----------
        half_plane : ndarray, shape (..., ny, nx // 2 + 1)
            Real Fourier transforms on the fine grid.

        Returns
        -------
        ndarray, shape (..., n_groups, d**2)
            The members of each group.
        """
        flat = half_plane.reshape(*half_plane.shape[:-2], -1)
        members = flat[..., self._gather]
        if np.iscomplexobj(members):
            np.conjugate(members, out=members, where=self._gather_mirrored)
        return members

    def scatter(self, members: np.ndarray) -> np.ndarray:
        """
        Put groups back into a half plane: the inverse of `gather`.

        Parameters
        ----------
        members : ndarray, shape (..., n_groups, d**2)
            The members of each group.

        Returns
        -------
        ndarray, shape (..., ny, nx // 2 + 1)
            The half plane.
        """
        flat = members.reshape(*members.shape[:-2], -1)
        half_plane = flat[..., self._scatter]
        if np.iscomplexobj(half_plane):
            np.conjugate(half_plane, out=half_plane, where=self._scatter_mirrored)
        return half_plane

    def decimate(self, half_plane: np.ndarray) -> np.ndarray:
        """
        Sample a scene at the centres of the spaxels (the decimation of the paper's Eq. B.2).

        Parameters
        ----------
        half_plane : ndarray of complex, shape (..., ny, nx // 2 + 1)
            Transform of the scene, as the IFU blurs it.

        Returns
        -------
        ndarray, shape (..., my, mx)
            Values of the spaxels.
        """
        members = self.gather(make_hermitian(half_plane * self.sampling_phase(), self.shape[1]))
        folded = members.sum(axis=-1) / self.decimation_factor**2
        return irfft2(folded.reshape(*half_plane.shape[:-2], *self.spaxel_half_shape), s=self.spaxel_shape)

    def sampling_phase(self) -> np.ndarray:
        """
        Phase that moves the centre of a spaxel onto the cell that plain decimation keeps.

        A spaxel's centre lies (d - 1) / 2 cells after its first cell: on a cell for odd d, between
        cells for even d.

        Returns
        -------
        ndarray of complex, shape (ny, nx // 2 + 1)
            Factor for a transfer function ahead of ``[::d, ::d]``.
        """
        shift = (self.decimation_factor - 1) / 2
        ny, nx = self.shape
        phases = [np.exp(2j * np.pi * shift * np.fft.fftfreq(n)) for n in (ny, nx)]
        for phase, n in zip(phases, (ny, nx), strict=True):
            if n % 2 == 0:
                phase[n // 2] = np.cos(np.pi * shift)
        return phases[0][:, np.newaxis] * phases[1][np.newaxis, : nx // 2 + 1]
