"""The wavelength ranges in which filters and gratings can be fused."""

from jwst_fusion.optics import throughput

__all__ = ["fusion_range"]

#: Ranges [um] of the symmetric fusion and the filters in each (paper, Table D.2). F115W's is that with
#: G140H/F100LP; with F070LP the cube ends at 1.27 um.
SYMMETRIC_RANGES = (
    ((0.97, 1.355), ("F115W",)),
    ((1.49, 1.89), ("F162M", "F164N")),
    ((1.66, 2.30), ("F182M", "F187N", "F200W", "F210M", "F212N")),
    ((2.87, 3.98), ("F300M", "F323N", "F335M", "F356W", "F360M")),
    ((4.35, 5.10), ("F460M", "F466N", "F470N")),
)


def fusion_range(filters):
    """
    Wavelength range for a set of filters.

    Parameters
    ----------
    filters : sequence of str
        Effective bands.

    Returns
    -------
    tuple of float
        Limits [um]: those of the paper's Table D.2 where it lists all the filters together, else those
        of the filters' throughputs.
    """
    for limits, members in SYMMETRIC_RANGES:
        if set(filters) <= set(members):
            return limits
    supports = [throughput.transmission(name, "MULTIPLE")[0] for name in filters]
    return min(float(w[0]) for w in supports), max(float(w[-1]) for w in supports)
