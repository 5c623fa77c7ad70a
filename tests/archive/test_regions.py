"""S_REGION in all its forms, and shares of overlap on the sphere."""

import numpy as np
import pytest

from jwst_fusion.archive.regions import Footprints, parse_region
from jwst_fusion.exceptions import InputError

SQUARE = "10.0 -5.0 10.1 -5.0 10.1 -4.9 10.0 -4.9"


def test_notations_of_one_polygon_cover_each_other():
    reference = parse_region(f"POLYGON ICRS {SQUARE}")
    for text in (
        f"POLYGON {SQUARE}",
        f"Polygon  J2000 {SQUARE} 10.0 -5.0",
        f"polygon 'ICRS', {SQUARE.replace(' ', ', ')}",
        f"POLYGON('ICRS', {SQUARE.replace(' ', ',')})",
        f"POLYGON ICRS TOPOCENTER {SQUARE}\n",
        f"Union ICRS (POLYGON {SQUARE} Polygon FK5 {SQUARE})",
        f"POLYGON ICRS {SQUARE.replace('10.1', '1.01E1')}",
        "POLYGON ICRS 370.0 -5.0 -349.9 -5.0 10.1 -4.9 10.0 -4.9",
    ):
        owners, shares = Footprints([parse_region(text)]).shares(reference)
        assert owners.tolist() == [0]
        assert shares == pytest.approx([1.0], abs=1e-9)
        assert Footprints([reference]).shares(parse_region(text))[1] == pytest.approx([1.0], abs=1e-9)


def test_what_is_no_footprint_is_told():
    for text, reason in (
        ("", "no footprint"),
        ("ICRS 1 2 3 4 5 6", "ICRS"),
        ("ELLIPSE ICRS 1 2 3 4 5", "ELLIPSE"),
        ("NOT CIRCLE ICRS 1 2 3", "NOT"),
        ("POLYGON ICRS 1 2 3 4 5", "do not form pairs"),
        ("POLYGON ICRS 1 2 3 4", "2 different corners"),
        ("POLYGON ICRS 1 2 1 2 3 4 3 4 3 4", "2 different corners"),
        ("POLYGON ICRS 1 0 2 0 3 0", "one line"),
        ("POLYGON ICRS 1 2 3 94 5 6", "out of range"),
        ("POLYGON ICRS nan nan 1 2 3 4", ""),
        ("POLYGON ICRS 0 0 90 0 0 90", "20 deg"),
        ("CIRCLE ICRS 1 2", "CIRCLE"),
        ("CIRCLE ICRS 1 2 0", "CIRCLE"),
        ("BOX ICRS 1 2 3 -4", "BOX"),
        ("BOX ICRS 1 2 -3 4", "BOX"),
        ("POLYGON ICRS 1 2 $ 4 5 6 7 8", "[$]"),
    ):
        with pytest.raises(InputError, match=f"S_REGION.*{reason}"):
            parse_region(text)


def test_circle_and_box_have_their_areas():
    field = parse_region("BOX ICRS 0.0 89.9999 0.02 0.02")
    _, shares = Footprints([parse_region("CIRCLE ICRS 0 89.9999 0.005")]).shares(field)
    assert shares == pytest.approx([np.pi * 0.005**2 / 0.02**2], rel=1e-4)
    _, shares = Footprints([parse_region("BOX ICRS 180 89.9999 0.01 0.005")]).shares(field)
    assert shares == pytest.approx([0.125], rel=1e-2)


def test_frames_are_converted():
    # Galactic north pole: ra 192.85948, dec 27.12825 (J2000)
    field = parse_region("CIRCLE GALACTIC 12.3 90 0.01")
    _, shares = Footprints([parse_region("CIRCLE ICRS 192.85948 27.12825 0.01")]).shares(field)
    assert shares == pytest.approx([1.0], abs=2e-3)
    common = parse_region("UNION GALACTIC (CIRCLE 12.3 90 0.01)")
    assert Footprints([common]).shares(field)[1] == pytest.approx([1.0])


def test_union_counts_common_parts_once_and_bow_ties_by_their_lobes():
    field = parse_region("BOX ICRS 0 0 1 1")
    both = parse_region("BOX ICRS 359.75 0 0.5 1 BOX ICRS 359.75 0 0.5 0.5")
    bow_tie = parse_region("POLYGON ICRS 0.5 0.5 -0.5 -0.5 0.5 -0.5 -0.5 0.5")
    owners, shares = Footprints([both, bow_tie, parse_region("CIRCLE ICRS 180 0 1")]).shares(field)
    assert owners.tolist() == [0, 1]
    assert shares == pytest.approx([0.5, 0.5], rel=1e-3)


def test_order_of_corners_and_place_do_not_matter():
    for lon, lat in ((0.0, 0.0), (0.0, 90.0), (359.9999, -45.0), (77.0, -90.0)):
        field = parse_region(f"BOX ICRS {lon} {lat} 0.001 0.001")
        half = parse_region(f"BOX ICRS {lon} {lat} 0.0005 0.01")
        reversed_half = (half[0][::-1],)
        for region in (half, reversed_half):
            assert Footprints([region]).shares(field)[1] == pytest.approx([0.5], rel=1e-5)
    assert Footprints([]).shares(field)[0].size == 0
