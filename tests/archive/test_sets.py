"""Sets of cubes in tables of the archive, and the associations that are made of them."""

import json
from collections import Counter

import numpy as np
import pytest
from astropy.table import Table

from jwst_fusion.archive.manifest import read_manifest
from jwst_fusion.archive.match import MatchSettings, find_pairs, pair_table
from jwst_fusion.archive.regions import parse_region
from jwst_fusion.archive.sets import find_sets, pairs_with_sets
from jwst_fusion.archive.table import ArchiveFile, ArchiveProduct
from jwst_fusion.cli import main

ARCSEC = 1 / 3600


def box(east=0.0, size=3.0):
    """A box of a size [arcsec], east of the target."""
    return parse_region(f"BOX ICRS {10.0 + east * ARCSEC:.9f} 0.0 {size * ARCSEC:.9f} {size * ARCSEC:.9f}")


def cube(setup, east=0.0, name="jw01288-o003_t011", **changes):
    filename = f"{name}_nirspec_{setup.lower().replace('/', '-')}_s3d.fits"
    options = {"start": 100.0, "end": 100.1, "region": box(east), **changes}
    return ArchiveProduct("cube", filename, ArchiveFile(filename), tuple(setup.split("/")), "T", **options)


def image(band, name="o001", east=0.0, size=60.0, **changes):
    filename = f"jw01288-{name}_t011_nircam_clear-{band.lower()}_i2d.fits"
    options = {"start": 101.0, "end": 101.0, "region": box(east, size), **changes}
    return ArchiveProduct("image", filename, ArchiveFile(filename), (band,), "T", **options)


BLUE, RED, LONG = cube("G140H/F100LP"), cube("G235H/F170LP", 0.2), cube("G395H/F290LP", -0.3)
IMAGES = [image("F115W"), image("F200W"), image("F212N"), image("F335M")]


def found(products, settings=None):
    """Sets, and what is left out, of products."""
    settings = settings or MatchSettings()
    return find_sets(products, find_pairs(products, settings), settings)


def test_gratings_and_channels_of_one_field_are_a_set():
    sets, left_out = found([BLUE, RED, LONG, *IMAGES])
    ((name, pairs),) = sets.items()
    assert name == "jw01288-o003_t011_nirspec_g140h-g235h-g395h-set"
    assert {pair.cube for pair in pairs} == {BLUE, RED, LONG}
    assert [pair.band for pair in pairs] == ["F115W", "F200W", "F212N", "F335M"]
    assert not left_out
    assert found([BLUE, *IMAGES]) == ({}, [])


def test_pointings_are_a_set_as_far_as_they_share_sky():
    pointings = [cube("G235H/F170LP", 2.0 * i, name=f"jw01288-o00{i}_t011") for i in range(3)]
    last = cube("G235H/F170LP", -2.65, name="jw01288-o007_t011")  # 12 % of 3 arcsec in common
    away = cube("G235H/F170LP", 2.75 + 4.0, name="jw01288-o009_t011")  # 8 %
    sets, _ = found([*pointings, last, away, *IMAGES])
    ((_, pairs),) = sets.items()
    assert {pair.cube for pair in pairs} == {*pointings, last}
    assert Counter(pair.band for pair in pairs) == {"F200W": 4, "F212N": 4}


def test_a_band_has_one_image_for_all_cubes():
    """That which covers most of them, though another is nearer in time to one."""
    pointings = [cube("G235H/F170LP", 2.0 * i, name=f"jw01288-o00{i}_t011") for i in range(2)]
    near = image("F200W", "o007", east=-30.5, start=100.0, end=100.0)  # covers the first alone
    products = [*pointings, near, *IMAGES]
    pairs = find_pairs(products)
    (chosen,), _ = (lambda sets, rest: (sets.values(), rest))(*found(products))
    assert {pair.image.filename for pair in chosen if pair.band == "F200W"} == {IMAGES[1].filename}
    table = pair_table(pairs_with_sets(pairs, {"set": chosen}))
    rows = table[table["filter"] == "F200W"]
    assert set(rows["image"][rows["use"]]) == {IMAGES[1].filename}
    assert not np.any(table["reason"][table["use"]] != "")


def test_what_is_in_no_set_is_told():
    moving = cube("G395H/F290LP", moving=True)
    later = cube("G395H/F290LP", name="jw01288-o005_t011", start=900.0, end=900.0)
    combined = cube("G235H/F170LP", name="jw01288-c1005_t011")
    sets, left_out = found([BLUE, RED, combined, *IMAGES])
    ((_, pairs),) = sets.items()
    assert {pair.cube for pair in pairs} == {BLUE, combined}
    assert left_out == [(RED, f"its exposures are in {combined.filename} as well")]
    sets, left_out = found([BLUE, RED, LONG, *IMAGES[:3]])
    assert left_out == [(LONG, "no image of the set covers it in its wavelengths")]
    sets, _ = found([BLUE, RED, moving, later, *IMAGES], MatchSettings(max_gap=30.0))
    ((_, pairs),) = sets.items()
    assert {pair.cube for pair in pairs} == {BLUE, RED}


def test_a_bridge_without_images_leaves_two_sets_apart():
    places = (("G140H/F070LP", 0.0, 0), ("G235H/F170LP", 0.1, 1),
              ("G140H/F100LP", 4.0, 0), ("G235H/F170LP", 4.1, 2))  # fmt: skip
    ends = [cube(setup, east, name=f"jw01288-o00{number}_t011") for setup, east, number in places]
    bridge = cube("G395H/F290LP", 2.0, name="jw01288-o008_t011")
    sets, left_out = found([*ends, bridge, *IMAGES[:3]])
    assert [{pair.cube for pair in pairs} for pairs in sets.values()] == [set(ends[:2]), set(ends[2:])]
    assert list(sets)[1] == f"{list(sets)[0]}-2"
    assert [each for each, _ in left_out] == [bridge]


@pytest.mark.filterwarnings("ignore:Input association file contains path")
def test_match_proposes_sets_and_batch_takes_them(tmp_path, capsys):
    region = "CIRCLE ICRS 10.0 0.0 {}"
    rows = [
        (
            each.filename.removesuffix("_s3d.fits"),
            "NIRSPEC/IFU",
            ";".join(each.setup[::-1]),
            region.format(0.0004),
        )
        for each in (BLUE, RED)
    ]
    rows += [(each.filename.removesuffix("_i2d.fits"), "NIRCAM/IMAGE", each.setup[0], region.format(0.01))
             for each in IMAGES]  # fmt: skip
    Table(rows=rows, names=("obs_id", "instrument_name", "filters", "s_region")).write(tmp_path / "t.csv")
    out = tmp_path / "out"
    assert main(["match", str(tmp_path / "t.csv"), "--output-dir", str(out)]) == 0
    assert len(read_manifest(out / "manifest.json")) == 2
    capsys.readouterr()
    assert main(["match", str(tmp_path / "t.csv"), "--output-dir", str(out), "--sets"]) == 0
    text = capsys.readouterr().out
    name = "jw01288-o003_t011_nirspec_g140h-g235h-set"
    assert f"set {name}: {BLUE.filename}, {RED.filename} with F115W, F200W, F212N" in text
    (target,) = read_manifest(out / "manifest.json")
    assert target.name == name
    members = json.loads(target.association.read_text())["products"][0]["members"]
    assert [member["expname"] for member in members[-2:]] == [BLUE.filename, RED.filename]
    assert len(members) == 5 == len(target.files)
    assert main(["associate", "--check", str(target.association)]) == 0
    assert "cube   G235H/F170LP" in capsys.readouterr().out
    assert main(["batch", str(out / "manifest.json"), "--dry-run"]) in (0, 64)
    assert "is not there" in capsys.readouterr().out
