"""How the fused cubes of several gratings, and the pointings of a mosaic, agree where they meet."""

import logging
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from jwst_fusion.crosscalib.sets import channel_edges, overlap

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
    fused : float
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
        same = of[a] is of[b]
        fused = found.ratio - 1 if same else _fused_ratio(of[a], of[b], found) - 1
        seams.append(Seam(a, b, found.low, found.high, found.ratio - 1, found.error, float(fused)))
        log.info(
            "Seam from %.3f to %.3f um: the cubes differ by %+.2f +- %.2f %%%s",
            found.low, found.high, 100 * (found.ratio - 1), 100 * found.error,
            "" if same else f", the fused cubes by {100 * fused:+.2f} %",
        )  # fmt: skip
    return seams


def _fused_ratio(a, b, found):
    """Light in one fused cube over that in another, over the cells and wavelengths that both have."""
    d = a.observation.grid.decimation_factor
    both = np.kron(a.observation.cube.footprint & b.observation.cube.footprint, np.ones((d, d), dtype=bool))
    means = []
    for each in (a, b):
        wavelength = each.observation.cube.wavelength
        weights = np.diff(np.clip(channel_edges(wavelength), found.low, found.high))
        coefficients = each.result.coefficients[:, both].mean(axis=1)
        means.append(weights @ (each.result.mean_spectrum + each.result.basis @ coefficients) / weights.sum())
    return means[0] / means[1]
