"""The wavelength ranges of the symmetric fusion (paper, Table D.2)."""

import numpy as np
import pytest

from jwst_fusion.coregistration.ranges import CUBE_RANGES, SYMMETRIC_RANGES, filter_sets, fusion_range
from jwst_fusion.optics.throughput import transmission


@pytest.mark.parametrize(
    ("filters", "limits"),
    [
        (["F115W"], (0.97, 1.355)),
        (["F162M", "F164N"], (1.49, 1.89)),
        (["F182M", "F187N", "F200W", "F210M", "F212N"], (1.66, 2.30)),
        (["F300M", "F323N", "F335M", "F356W", "F360M"], (2.87, 3.98)),
        (["F460M", "F466N", "F470N"], (4.35, 5.10)),
    ],
)
def test_table_d2(filters, limits):
    assert fusion_range(filters) == limits
    for name in filters:
        assert fusion_range([name]) == limits
    assert fusion_range(filters[::-1]) == limits


@pytest.mark.parametrize("filters", [["F150W"], ["F162M", "F182M"], ["F430M", "F460M"]])
def test_other_sets_take_the_range_of_their_throughputs(filters):
    low, high = fusion_range(filters)
    supports = [transmission(name, "MULTIPLE")[0] for name in filters]
    assert low == pytest.approx(min(support[0] for support in supports))
    assert high == pytest.approx(max(support[-1] for support in supports))
    assert np.isfinite([low, high]).all()


@pytest.mark.parametrize(
    ("grating", "blocking_filter", "rows"),
    [
        ("G140H", "F100LP", [0, 1]),
        ("G235H", "F170LP", [2]),
        ("G395H", "F290LP", [3, 4]),
    ],
)
def test_cubes_go_with_the_filters_of_table_d2(grating, blocking_filter, rows):
    sets = filter_sets(grating, blocking_filter)
    for row in rows:
        members = SYMMETRIC_RANGES[row][1]
        assert sum(set(members) <= set(names) for names in sets) == 1
    listed = {name for _, members in SYMMETRIC_RANGES for name in members}
    expected = {name for row in rows for name in SYMMETRIC_RANGES[row][1]}
    assert {name for names in sets for name in names} & listed == expected


def test_ranges_beyond_the_gap_and_channels_are_fused_apart():
    assert filter_sets("G140H", "F100LP") == (("F115W",), ("F162M", "F164N"))
    assert [names[0] for names in filter_sets("prism", "clear")] == ["F070W", "F250M"]
    assert filter_sets("G235M", "F170LP")[1] == ("F250M", "F277W")
    assert filter_sets("G235H", "F100LP") == filter_sets("MIRROR", "OPAQUE") == ()
    assert all(filter_sets(*key) for key in CUBE_RANGES)
