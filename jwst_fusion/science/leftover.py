"""Signal of a line that the components of a fused cube do not represent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve

__all__ = ["Leftover"]

#: Windows of the same shape elsewhere in the spectrum, which contain only noise: how far they reach and
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
    The NIRSpec cube minus its projection on the components.

    Attributes
    ----------
    steps : ndarray of int, shape (n_wave, my, mx)
        Residual of each voxel in steps.
    unknown : int
        Value where there are no data.
    step : ndarray, shape (n_wave,)
        The step of each channel [MJy/sr].
    """

    steps: np.ndarray
    unknown: int
    step: np.ndarray

    def variance(self, functional: np.ndarray, weight: np.ndarray | None = None) -> float:
        """
        Estimate the variance of the flux that a line loses in the fused cube.

        Residuals consist of noise and of signal that is too faint to form a component. The signal adds up
        over the channels of a line. Its mean square is that of the residuals' flux over the field, minus the
        median of the same in windows of the same shape beside the line.

        Parameters
        ----------
        functional : ndarray, shape (n_wave,)
            Weights of the channels.
        weight : ndarray, shape (my, mx), optional
            Amount of each spaxel in a region; by default a single spaxel.

        Returns
        -------
        float
            Variance, of the sum over the region; zero if the line's window does not stand out.
        """
        squares = []
        width = int((np.abs(functional) > 0.5 * np.abs(functional).max()).sum())  # of the line's own window
        shifts = [0, *(s for s in range(-REACH, REACH + 1, STEP) if abs(s) > width)]
        low, high = np.flatnonzero(functional)[[0, -1]] + np.array([0, 1])
        for shift in shifts:
            if low + shift >= 0 and high + shift <= len(self.step):
                image, known = self._image(functional[low:high], slice(low + shift, high + shift))
                squares.append(_mean_square(image, known, weight))
        others = np.array([square for square in squares[1:] if np.isfinite(square)])
        if len(others) < LEAST_WINDOWS or not np.isfinite(squares[0]):
            return 0.0
        excess = squares[0] - np.median(others)
        scatter = NORMAL * np.median(np.abs(others - np.median(others)))
        return float(excess) if excess > LEAST_EXCESS * scatter else 0.0

    def _image(self, functional, channels):
        """Functional of the residuals of each spaxel, and where enough of the window is known."""
        part = self.steps[channels]
        known = part != self.unknown
        values = np.where(known, part, 0) * self.step[channels, np.newaxis, np.newaxis]
        size = np.abs(functional) * known.any(axis=(1, 2))
        share = np.tensordot(size, known, axes=1)
        return np.tensordot(functional, values, axes=1), share >= LEAST_SHARE * max(size.sum(), 1e-300)


def _mean_square(image, known, weight):
    """Mean square of an image over the field, added up over a region at all of its places."""
    image = np.where(known, image, 0.0)
    if weight is not None:
        kernel = weight[::-1, ::-1]
        inside = fftconvolve(known.astype(float), kernel) / weight.sum()
        known = inside >= LEAST_SHARE
        image = fftconvolve(image, kernel) / np.where(known, inside, 1.0)
    return np.mean(image[known] ** 2) if known.any() else np.nan
