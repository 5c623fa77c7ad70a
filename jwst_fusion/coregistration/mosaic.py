"""Mean of the cubes of one grating, for comparison with the fused cube."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .grid import cube_footprint
from .resampling import moved

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jwst_fusion.observation import CubeData

__all__ = ["mosaic"]


def mosaic(cubes: Sequence[CubeData], decimation_factor: int) -> CubeData:
    """
    Interpolate cubes with the same wavelengths on the spaxels of the grid, and average them.

    The weights are the inverse variances; optics and angles are those of the first cube. The fusion does not
    use the result: there each cube has its own spaxels, displaced from those of the grid by a part of one.
    """
    total = np.zeros(cubes[0].data.shape)
    variance, weight = np.zeros_like(total), np.zeros_like(total)
    for cube in cubes:
        by = tuple(-s / decimation_factor for s in cube.shift)
        for channel in np.flatnonzero(np.isfinite(cube.noise)):
            plane = moved(cube.data[channel].astype(float), by)
            known = np.isfinite(plane)
            own = known / cube.noise[channel] ** 2
            total[channel] += np.where(known, plane, 0.0) * own
            weight[channel] += own
            variance[channel] += own**2 * np.nan_to_num(moved(cube.error[channel].astype(float) ** 2, by))
    seen = weight > 0
    data = np.divide(total, weight, out=np.full(total.shape, np.nan), where=seen)
    error = np.sqrt(np.divide(variance, weight**2, out=np.full(total.shape, np.nan), where=seen))
    noises = np.array([cube.noise for cube in cubes])
    known = np.isfinite(noises)
    count = np.maximum(known.sum(axis=0), 1)
    noise = np.sqrt(np.where(known, noises, 0.0) ** 2).sum(axis=0) / count
    return replace(
        cubes[0],
        data=data.astype(np.float32),
        error=error.astype(np.float32),
        noise=np.where(known.any(axis=0), noise, np.nan),
        footprint=cube_footprint(data),
        excess=tuple(float(v) for v in np.mean([cube.excess for cube in cubes], axis=0)),
        shift=(0.0, 0.0),
    )
