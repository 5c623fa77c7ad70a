"""The wavelength ranges in which filters and gratings can be fused."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from jwst_fusion.optics import throughput

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CUBE_RANGES", "MIN_COVERED", "filter_sets", "fusion_range"]

#: Least share of a bandpass within the data of the cube for the band to be used. Judged.
MIN_COVERED = 0.8

#: Wavelengths [um] that the IFU records with a grating and blocking filter, without the gap between the two
#: detectors (JWST User Documentation, NIRSpec dispersers and filters, IFU wavelength ranges and gaps).
CUBE_RANGES = {
    ("G140M", "F070LP"): ((0.70, 1.27),),
    ("G140M", "F100LP"): ((0.97, 1.84),),
    ("G235M", "F170LP"): ((1.66, 3.07),),
    ("G395M", "F290LP"): ((2.87, 5.10),),
    ("G140H", "F070LP"): ((0.81, 1.27),),
    ("G140H", "F100LP"): ((0.97, 1.41), (1.49, 1.82)),
    ("G235H", "F170LP"): ((1.66, 2.36), (2.49, 3.05)),
    ("G395H", "F290LP"): ((2.87, 3.98), (4.20, 5.14)),
    ("PRISM", "CLEAR"): ((0.60, 5.30),),
}

#: Ranges [um] of the symmetric fusion and the filters in each (paper, Table D.2). F115W's is that with
#: G140H/F100LP; with F070LP the cube ends at 1.27 um.
SYMMETRIC_RANGES = (
    ((0.97, 1.355), ("F115W",)),
    ((1.49, 1.89), ("F162M", "F164N")),
    ((1.66, 2.30), ("F182M", "F187N", "F200W", "F210M", "F212N")),
    ((2.87, 3.98), ("F300M", "F323N", "F335M", "F356W", "F360M")),
    ((4.35, 5.10), ("F460M", "F466N", "F470N")),
)


def fusion_range(filters: Sequence[str]) -> tuple[float, float]:
    """
    Wavelength range [um] for a set of effective bands.

    It is that of the paper's Table D.2 where it lists all of them together, else that of their throughputs.
    """
    for limits, members in SYMMETRIC_RANGES:
        if set(filters) <= set(members):
            return limits
    supports = [throughput.transmission(name, "MULTIPLE")[0] for name in filters]
    return min(float(w[0]) for w in supports), max(float(w[-1]) for w in supports)


@cache
def filter_sets(grating: str, blocking_filter: str) -> tuple[tuple[str, ...], ...]:
    """
    NIRCam filters that a cube with these GRATING and FILTER can be fused with, a tuple for each fusion.

    It holds the filters, ascending in pivot wavelength, that lie in one stretch of the cube's wavelengths
    (`MIN_COVERED`) and in one of NIRCam's channels, whose pixels differ. There is none for an unknown pair.
    """
    sets = []
    for low, high in CUBE_RANGES.get((str(grating).upper(), str(blocking_filter).upper()), ()):
        wavelength = np.linspace(low, high, 2000)
        inside = [
            name
            for name in sorted(throughput.filter_names(), key=_pivot)
            if throughput.bandpass(name, "MULTIPLE", wavelength)[1] >= MIN_COVERED
        ]
        for channel in ("short", "long"):
            members = tuple(name for name in inside if throughput.channel(name) == channel)
            if members:
                sets.append(members)
    return tuple(sets)


def _pivot(name):
    """Pivot wavelength [um] of a band, its modules averaged."""
    return throughput.pivot_wavelength(name, "MULTIPLE")
