"""Signal of a line that the components of a fused cube do not carry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve

__all__ = ["Leftover"]

#: Windows of the same shape elsewhere in the spectrum, which show what noise leaves: how far they reach and
#: their distance [channel]. Judged.
REACH = 100
STEP = 10

#: Share of a window, or of a region, that has to have data. Judged.
LEAST_SHARE = 0.9

#: Fewest other windows. Judged.
LEAST_WINDOWS = 4

#: Excess of the line's window over the others, in units of their scatter, from which it counts. Judged.
LEAST_EXCESS = 2.0

#: Standard deviation of a normal distribution over its median absolute deviation. Derived.
NORMAL = 1.4826


@dataclass(frozen=True, eq=False)
class Leftover:
    """
    The NIRSpec cube less its projection on the components.

    Attributes
    ----------
    steps : ndarray of int, shape (n_wave, my, mx)
        Residual of each voxel in steps.
    unknown : int
        What stands where there are no data.
    step : ndarray, shape (n_wave,)
        The step of each channel [MJy/sr].
    """

    steps: np.ndarray
    unknown: int
    step: np.ndarray

    def covariance(self, functionals: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        """
        Estimate the covariance of what functionals of a line lose.

        Residuals are noise, and signal that is too faint to form a component. In a line the signal adds up
        over the channels. The second moments of the residuals' functionals over the field, less the median of
        those of windows of the same shape beside the line, are those of the signal.

        Parameters
        ----------
        functionals : ndarray, shape (n, n_wave)
            Weights of the channels; the first is that of the flux.
        weight : ndarray, shape (my, mx), optional
            Amount of each spaxel in a region; by default a single spaxel.

        Returns
        -------
        ndarray, shape (n, n)
            Covariance, of a sum over the region; zero if the line's window does not stand out.
        """
        moments = []
        shifts = [0, *(s for s in range(-REACH, REACH + 1, STEP) if abs(s) > _width(functionals[0]))]
        low, high = np.flatnonzero(functionals.any(axis=0))[[0, -1]] + np.array([0, 1])
        for shift in shifts:
            begin, end = low + shift, high + shift
            if begin < 0 or end > len(self.step):
                continue
            maps, known = self._maps(functionals[:, low:high], slice(begin, end))
            moments.append(_moment(maps, known, weight))
        own, others = moments[0], np.array([each for each in moments[1:] if np.isfinite(each).all()])
        if len(others) < LEAST_WINDOWS or not np.isfinite(own).all():
            return np.zeros((len(functionals), len(functionals)))
        typical = np.median(others, axis=0)
        scatter = NORMAL * np.median(np.abs(others[:, 0, 0] - typical[0, 0]))
        excess = own - typical
        if not excess[0, 0] > LEAST_EXCESS * scatter:
            return np.zeros_like(excess)
        unit = np.sqrt(np.diag(typical))  # the functionals have units of their own
        values, axes = np.linalg.eigh(excess / np.outer(unit, unit))
        return (axes * np.maximum(values, 0.0)) @ axes.T * np.outer(unit, unit)

    def _maps(self, functionals, channels):
        """Functionals of the residuals of each spaxel, and where enough of the window is known."""
        part = self.steps[channels]
        known = part != self.unknown
        values = np.where(known, part, 0) * self.step[channels, np.newaxis, np.newaxis]
        weight = np.abs(functionals[0]) / np.abs(functionals[0]).sum()
        alive = known.any(axis=(1, 2))
        share = np.tensordot(weight * alive, known, axes=1) / max((weight * alive).sum(), 1e-12)
        return np.tensordot(functionals, values, axes=1), share >= LEAST_SHARE


def _width(functional):
    """Channels of the line's own window: those of one sign with the largest weights."""
    return int((np.abs(functional) > 0.5 * np.abs(functional).max()).sum())


def _moment(maps, known, weight):
    """Mean product of maps (n, my, mx) over the field, added up over a region at all of its places."""
    maps = np.where(known, maps, 0.0)
    if weight is not None:
        kernel = weight[::-1, ::-1]
        inside = fftconvolve(known.astype(float), kernel) / weight.sum()
        known = inside >= LEAST_SHARE
        maps = fftconvolve(maps, kernel[np.newaxis], axes=(1, 2)) / np.where(known, inside, 1.0)
    found = maps[:, known]
    if not found.size:
        return np.full((len(maps), len(maps)), np.nan)
    return found @ found.T / found.shape[1]
