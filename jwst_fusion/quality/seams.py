"""How the fused cubes of several gratings, and the pointings of a mosaic, agree where they meet."""

import logging
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from jwst_fusion.crosscalib.sets import overlap
from jwst_fusion.observation import channel_edges

__all__ = ["Seam", "measure_seams"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seam:
    """
    Two cubes that see the same sky at the same wavelengths.

    Attributes
    ----------
    first, second : int
        Their observations.
    low, high : float
        Wavelengths that they share [um].
    cubes, cubes_err : float
        Light in the first cube over that in the second, minus one, after both were brought to one flux scale;
        and its standard error.
    fused, fused_err : float
        The same of the fused cubes of two gratings; of two pointings with one grating, which have one fused
        cube, that of the cubes.
    """

    first: int
    second: int
    low: float
    high: float
    cubes: float
    cubes_err: float
    fused: float
    fused_err: float


def measure_seams(observations, gratings):
    """
    Compare the fused cubes of several gratings, and the cubes of a mosaic, where both see.

    Parameters
    ----------
    observations : sequence of Observation
        The cubes on one flux scale.
    gratings : sequence of FusedGrating
        The fused cubes.

    Returns
    -------
    list of Seam
        One for each two cubes that share sky and wavelengths.
    """
    of = {i: each for each in gratings for i in each.members}
    seams = []
    for a, b in combinations(sorted(of), 2):
        found = overlap(observations[a], observations[b])
        if found is None:
            continue
        own, same = (found.ratio - 1, found.error), of[a] is of[b]
        fused = own if same else _fused_difference(of[a], of[b], found)
        seams.append(Seam(a, b, found.low, found.high, *own, *fused))
        log.info(
            "Seam from %.3f to %.3f um: the cubes differ by %+.2f +- %.2f %%%s",
            found.low, found.high, 100 * own[0], 100 * own[1],
            "" if same else f", the fused cubes by {100 * fused[0]:+.2f} +- {100 * fused[1]:.2f} %",
        )  # fmt: skip
    return seams


def _fused_difference(a, b, found):
    """
    Light in one fused cube over that in another, less one, over the cells and wavelengths that both have.

    Its error is that of the coefficients, which both have in common, and that of the mean spectrum and the
    basis, which each has from the noise of its own channels: to first order that of a linear regression
    (`jwst_fusion.science.scene.Scene.leverage`).
    """
    d = a.observation.grid.decimation_factor
    seen = [np.kron(each.observation.cube.footprint, np.ones((d, d), dtype=bool)) for each in (a, b)]
    both = seen[0] & seen[1]
    light, change, square = [], [], 0.0
    for each, own in zip((a, b), seen, strict=True):
        cube, result = each.observation.cube, each.result
        weights = np.diff(np.clip(channel_edges(cube.wavelength), found.low, found.high))
        weights = np.where(np.isfinite(cube.noise), weights, 0.0)
        weights /= weights.sum()
        mean = np.concatenate([[1.0], result.coefficients[:, both].mean(axis=1)])
        light.append(weights @ (result.mean_spectrum + result.basis @ mean[1:]))
        known = np.concatenate([np.ones((1, own.sum())), result.coefficients[:, own]])
        leverage = mean @ np.linalg.pinv(known @ known.T / own.sum(), hermitian=True) @ mean
        square += leverage * (weights**2 @ np.nan_to_num(result.mean_noise) ** 2) / light[-1] ** 2
        change.append(weights @ result.basis / light[-1])
    draws = a.result.draws
    if draws is not None:
        shared = draws[..., both].mean(axis=-1) @ (change[0] - change[1])
        square += np.mean(shared**2)
    ratio = light[0] / light[1]
    return float(ratio - 1), float(abs(ratio) * np.sqrt(square))
