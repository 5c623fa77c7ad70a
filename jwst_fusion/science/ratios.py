"""Ratios of lines, and the extinction that they tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jwst_fusion.exceptions import ParameterError

from .lines import Quantity

if TYPE_CHECKING:
    from .lines import Window
    from .scene import Sum

__all__ = ["extinction", "line_ratio"]

#: Extinction over that in V, times a wavelength in um to the power: infrared law for R_V = 3.1, and where it
#: holds [um] (Cardelli, Clayton and Mathis 1989, ApJ 345, 245, Eq. 2). Published.
EXTINCTION = 0.574 - 0.527 / 3.1
EXTINCTION_POWER = -1.61
EXTINCTION_RANGE = (0.9, 3.33)


def line_ratio(cells: Sum, above: Window, below: Window) -> Quantity:
    """
    Divide the flux of one line by that of another.

    Parameters
    ----------
    cells : Sum
        Cells one by one or added up.
    above, below : Window
        The lines.

    Returns
    -------
    Quantity
        The ratio; what errors the lines share is taken into account.
    """
    functionals = np.stack([above.functionals[0], below.functionals[0]])
    one, other = cells.apply(functionals)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = one / other
        gradient = np.stack([1 / other, -value / other])
    lost = np.sqrt([cells.lost(functional) for functional in functionals])
    parts = (lost * gradient.T).T  # of the two lines, independent
    return Quantity(value, np.sqrt(cells.error(functionals, gradient) ** 2 + (parts**2).sum(axis=0)), "")


def extinction(ratio: Quantity, intrinsic: float, wavelengths: tuple[float, float]) -> Quantity:
    """
    Find the extinction that makes a ratio of lines what it is: a screen before the source.

    Parameters
    ----------
    ratio : Quantity
        Ratio of the fluxes.
    intrinsic : float
        Ratio without extinction.
    wavelengths : tuple of float
        Of the two lines at rest [um].

    Returns
    -------
    Quantity
        A_V [mag]; NaN where the ratio is not positive.

    Raises
    ------
    ParameterError
        The intrinsic ratio is not positive, the law does not hold at the lines, or they are too near to each
        other to tell.
    """
    if not (np.isfinite(intrinsic) and intrinsic > 0):
        raise ParameterError(f"intrinsic ratio {intrinsic} cannot be used: a positive number is needed")
    low, high = EXTINCTION_RANGE
    if not all(low <= wavelength <= high for wavelength in wavelengths):
        raise ParameterError(f"the law of extinction holds from {low} to {high} um; choose lines there")
    one, other = (EXTINCTION * wavelength**EXTINCTION_POWER for wavelength in wavelengths)
    if np.isclose(one, other, rtol=1e-3):
        raise ParameterError("the two lines have the same extinction; choose lines that lie farther apart")
    with np.errstate(invalid="ignore", divide="ignore"):
        known = np.where(ratio.value > 0, ratio.value, np.nan)
        value = 2.5 * np.log10(intrinsic / known) / (one - other)
        error = 2.5 / np.log(10) * ratio.error / known / abs(one - other)
    return Quantity(value, error, "mag")
