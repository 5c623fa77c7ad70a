"""Tables of the archive, and the pairs and fusions made of them."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table

from jwst_fusion.archive import manifest
from jwst_fusion.archive.match import MatchSettings, find_fusions, find_pairs
from jwst_fusion.archive.regions import parse_region
from jwst_fusion.archive.table import ArchiveFile, ArchiveProduct, products_of_table, read_table
from jwst_fusion.cli import main
from jwst_fusion.coregistration.ranges import filter_sets
from jwst_fusion.exceptions import InputError, ParameterError

from .archive_table import archive_table

FIELD = parse_region("BOX ICRS 0.0 -5.0 0.001 0.001")
WIDE = parse_region("BOX ICRS 0.0 -5.0 0.01 0.01")


def cube(setup="G235H/F170LP", **changes):
    changes = {"region": FIELD, "start": 100.0, "end": 102.0, **changes}
    return ArchiveProduct("cube", "c", ArchiveFile("c_s3d.fits"), tuple(setup.split("/")), "T", **changes)


def image(name, band="F182M", **changes):
    changes = {"region": WIDE, "start": 101.0, "end": 101.0, "target": "T", **changes}
    return ArchiveProduct("image", name, ArchiveFile(f"{name}_i2d.fits"), (band,), **changes)


@pytest.fixture(scope="module")
def synthetic():
    return archive_table(30)


def test_forms_of_a_table_give_the_same_products(tmp_path, synthetic):
    table = synthetic[0]
    path = tmp_path / "table"
    for form in ("ascii.csv", "ascii.ecsv", "votable"):
        table.write(path, format=form, overwrite=True)
        if form == "ascii.csv":
            path.write_text("# exported by MAST\n" + path.read_text())
        products, left_out = products_of_table(read_table(path))
        assert not left_out
        assert [product.name for product in products] == list(table["obs_id"])
        assert [product.moving for product in products] == list(table["mtFlag"])
        assert products[3].epoch == pytest.approx(table["t_min"][3] + 0.05, abs=1e-6)
        assert sorted({p.setup[0] for p in products if p.kind == "image"} & {"F162M", "F150W2"}) == ["F162M"]


def test_overlaps_are_those_of_the_fields(synthetic):
    table, shares = synthetic
    products, _ = products_of_table(table)
    pairs = [pair for pair in find_pairs(products) if not pair.cube.moving]
    for pair in pairs:
        assert pair.cube.name[:7] == pair.image.name[:7]
        assert pair.overlap == pytest.approx(shares[pair.image.name], abs=1e-4)
    fixed = [product for product in products if product.kind == "image" and not product.moving]
    cubes = {product.name[:7]: product for product in products if product.kind == "cube"}
    bands = {name: {b for bands in filter_sets(*cube.setup) for b in bands} for name, cube in cubes.items()}
    seen = {p.name for p in fixed if shares[p.name] > 0 and p.setup[0] in bands[p.name[:7]]}
    assert {pair.image.name for pair in pairs} == seen
    assert len(seen) > 100


def test_rows_that_can_not_be_fused_are_counted_with_reasons():
    rows = [
        ("a", "NIRSPEC/IFU", "F170LP;G235H", 3, "CIRCLE 0 0 0.01"),
        ("b", "NIRCAM/IMAGE", "F182M", 2, "CIRCLE 0 0 0.01"),
        ("c", "NIRCAM/GRISM", "F322W2", 3, "CIRCLE 0 0 0.01"),
        ("d", "MIRI/IMAGE", "F770W", 3, "CIRCLE 0 0 0.01"),
        ("e", "NIRCAM/IMAGE", "F212N;WLP8", 3, "CIRCLE 0 0 0.01"),
        ("f", "NIRCAM/IMAGE", "F182M", 3, "CIRCLE 0 0"),
        ("g", "NIRSPEC/IFU", "OPAQUE;MIRROR", 3, "CIRCLE 0 0 0.01"),
        ("h", "NIRCAM/IMAGE", "F182M;F200W", 3, "CIRCLE 0 0 0.01"),
        ("i", "NIRSPEC/MSA", "F170LP;G235H", 3, "CIRCLE 0 0 0.01"),
        ("jw1_nircam_f444w-f470n", "NIRCAM/IMAGE", "", 3, "CIRCLE 0 0 0.01"),
    ]
    names = ("obs_id", "instrument_name", "filters", "calib_level", "s_region")
    products, left_out = products_of_table(Table(rows=rows, names=names))
    assert [(p.name, p.setup) for p in products] == [
        ("a", ("G235H", "F170LP")), ("jw1_nircam_f444w-f470n", ("F470N",))
    ]  # fmt: skip
    assert left_out.total() == 8
    assert left_out["neither NIRSpec IFU nor NIRCam imaging"] == 4
    assert left_out["not of level 3"] == left_out["no single NIRCam filter"] == 1


def test_columns_of_the_mission_search_serve():
    table = Table(
        {
            "fileSetName": ["jw01-o1_t1_nirspec_prism-clear"], "instrume": ["NIRSPEC"],
            "exp_type": ["NRS_IFU"],
            "opticalElements": ["CLEAR;PRISM"], "productLevel": ["3"], "targprop": ["X"],
            "date_obs": ["2023-01-01 12:00:00"], "s_region": ["CIRCLE 1 2 0.01"], "targtype": ["MOVING"],
            "filename": ["jw01_s3d.fits"], "size": [2880],
        }
    )  # fmt: skip
    (product,), _ = products_of_table(table)
    assert product.setup == ("PRISM", "CLEAR")
    assert product.moving
    assert product.epoch == pytest.approx(59945.5)
    assert (product.filename, product.file.size, product.root) == ("jw01_s3d.fits", 2880, "jw01")


def test_no_table_nothing_to_fuse_and_bad_settings_are_told(tmp_path, capsys):
    path = tmp_path / "table.csv"
    alone = 'obs_id,instrument_name,filters,s_region\na,NIRSPEC/IFU,F170LP;G235H,"CIRCLE ICRS 0 0 0.001"\n'
    for content, finding, status in (
        ("", "no row", 1),
        ("a,b\n1\n", "row 1 has 1 cells", 1),
        ("<VOTABLE>", "not a readable", 1),
        ("a,b\n1,2\n", "no column", 1),
        (alone, "no image covers", 64),
    ):
        path.write_text(content)
        assert main(["match", str(path), "--output-dir", str(tmp_path / "out")]) == status
        assert finding in capsys.readouterr().err
    assert main(["match"]) == 1
    for share in (0.0, 1.01):
        with pytest.raises(ParameterError, match="min_overlap"):
            MatchSettings(min_overlap=share)
    with pytest.raises(ParameterError, match="max_gap_moving"):
        MatchSettings(max_gap_moving=np.nan)


def test_nearest_of_the_images_that_cover_the_field_is_used():
    half = parse_region("BOX ICRS 0.0005 -5.0 0.001 0.01")
    images = [
        image("far", start=130.0, end=130.0),
        image("near", start=99.0, end=99.0),
        image("half", region=half),
        image("sliver", region=parse_region("BOX ICRS 0.0009 -5.0 0.001 0.01")),
        image("elsewhere", region=parse_region("BOX ICRS 1.0 -5.0 0.01 0.01")),
        image("red", band="F212N"),
        image("wrong", band="F356W"),
        image("moving", moving=True),
    ]
    pairs = {pair.image.name: pair for pair in find_pairs([cube(), *images])}
    assert sorted(pairs) == ["far", "half", "near", "red", "sliver"]
    assert [name for name, pair in pairs.items() if not pair.reason] == ["near", "red"]
    assert pairs["near"].gap == pytest.approx(-2.0)
    assert pairs["half"].overlap == pytest.approx(0.5, abs=0.01)
    assert "nearer" in pairs["far"].reason
    assert pairs["sliver"].reason == "covers 10 % of the field, 50 % needed"
    ((name, used),) = find_fusions(pairs.values()).items()
    assert name == "c_f182m-f212n"
    assert [pair.image.name for pair in used] == ["near", "red"]
    recent = find_pairs([cube(), *images], MatchSettings(max_gap=1.0))
    assert [pair.image.name for pair in recent if not pair.reason] == ["half", "red"]
    bands = ("F115W", "F162M", "F164N")  # a range and a channel make a fusion each
    fusions = find_fusions(find_pairs([cube("G140H/F100LP"), *(image(b.lower(), band=b) for b in bands)]))
    assert list(fusions) == ["c_f115w", "c_f162m-f164n"]


def test_moving_targets_are_paired_by_name_and_epoch():
    away = parse_region("BOX ICRS 100.0 20.0 0.01 0.01")
    images = [
        image("same", target="Titan (moon)", moving=True, region=away),
        image("late", target="TITAN_MOON", moving=True, start=110.0, end=110.0),
        image("other", target="Europa", moving=True),
        image("unnamed", target="", moving=True),
        image("star", target="Titan moon"),
    ]
    body = replace(cube(), target="titan moon", moving=True)
    pairs = {pair.image.name: pair for pair in find_pairs([body, *images])}
    assert sorted(pairs) == ["late", "same"]
    assert not pairs["same"].reason
    assert "9.0 days apart" in pairs["late"].reason
    assert np.isnan(pairs["same"].overlap)
    for days, used in ((1.9, True), (2.1, False)):
        (pair,) = find_pairs([body, replace(images[0], start=101.0 + days, end=101.0 + days)])
        assert (not pair.reason) is used
    assert find_pairs([replace(body, target=""), *images]) == []
    assert "without dates" in find_pairs([replace(body, start=np.nan, end=np.nan), images[0]])[0].reason


@pytest.mark.filterwarnings("ignore:Input association file contains path")
def test_command_writes_table_associations_and_manifest(tmp_path, capsys, synthetic):
    from jwst.associations import load_asn

    synthetic[0].write(tmp_path / "table.ecsv")
    out = tmp_path / "out"
    where = ["--output-dir", str(out), "--data-dir", str(tmp_path)]
    for _ in range(2):  # its own files are written again
        assert main(["match", str(tmp_path / "table.ecsv"), *where]) == 0
    shown = capsys.readouterr().out
    targets = manifest.read_manifest(out / "manifest.json")
    assert f"{len(targets)} fusions" in shown
    assert len(targets) == len(list(out.glob("*_asn.json"))) > 20
    with targets[0].association.open() as file:
        association = load_asn(file)
    product = association["products"][0]
    assert product["name"] == targets[0].name
    names = [member["expname"] for member in product["members"]]
    assert names == [f"../{file.filename}" for file in targets[0].files]
    assert sum(name.endswith("_s3d.fits") for name in names) == 1
    table = Table.read(out / "match.ecsv")
    assert table["use"].sum() == sum(len(target.files) - 1 for target in targets)
    assert not any(table["reason"].filled("")[table["use"]])


def test_manifest_comes_back_and_may_be_written_by_hand(tmp_path):
    files = (ArchiveFile("a_s3d.fits", "mast:a_s3d.fits", 5, "0" * 32),)
    targets = [manifest.Target("a", tmp_path / "data" / "a_asn.json", ("steps.fusion.mu=2",), files)]
    manifest.write_manifest(targets, tmp_path / "manifest.json")
    assert manifest.read_manifest(tmp_path / "manifest.json") == targets
    by_hand = tmp_path / "by_hand.csv"
    by_hand.write_text(
        "# mine\nassociation,parameters\ndata/a_asn.json,steps.fusion.mu=2 steps.fusion.gamma=1\n"
    )
    (target,) = manifest.read_manifest(by_hand)
    assert (target.name, target.association) == ("a", targets[0].association)
    assert target.parameters == ("steps.fusion.mu=2", "steps.fusion.gamma=1")
    Table({"name": ["b"], "association": ["data/a_asn.json"]}).write(tmp_path / "table.ecsv")
    assert manifest.read_manifest(tmp_path / "table.ecsv")[0].name == "b"


def test_no_manifest_is_told(tmp_path):
    path = tmp_path / "manifest.json"
    for content, finding in (
        ('{"targets": [{"name": "a"}]}', "no association"),
        ('{"targets": [{"name": ".a", "association": "a"}]}', "cannot name a folder"),
        ('{"targets": [{"association": "a"}, {"association": "b/a"}]}', "occurs twice"),
        ('{"targets": [{"association": "a", "parameters": ["mu"]}]}', "not of the form"),
        ('{"targets": "a"}', "no list"),
        ("name,association\na\n", "not a manifest"),
        ("{", "not a manifest"),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=finding):
            manifest.read_manifest(path)
    with pytest.raises(InputError, match="no such file"):
        manifest.read_manifest(tmp_path / "absent.json")
