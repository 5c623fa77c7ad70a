"""Associations made and checked by ``jwst-fusion associate``, and parameter files."""

import json
from itertools import pairwise
from pathlib import Path

import asdf
import pytest
from astropy.io import fits

from jwst_fusion import CoregisterStep, CrossCalibStep, Fusion4Pipeline, FusionStep
from jwst_fusion.adapters import open_inputs
from jwst_fusion.cli import main
from jwst_fusion.ownership import MARK
from jwst_fusion.steps.parameters import packaged_parameters
from tests.files import contents

EXAMPLES = Path(__file__).parents[2] / "examples"
CUBE = "jw01288-c1005_t014_nirspec_g235h-f170lp_s3d.fits"
IMAGE = "jw01288-o001_t011_nircam_{}_i2d.fits"


@pytest.fixture
def folder(tmp_path, monkeypatch, data):
    monkeypatch.chdir(tmp_path)
    for path in (*data.images, data.cube):
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


def write(path, *members):
    """An association of files that are not there."""
    content = {"products": [{"name": "x", "members": [{"expname": name} for name in members]}]}
    path.write_text(json.dumps(content))
    return str(path)


def test_files_are_sorted_into_an_association(folder, data, capsys):
    """In any folder, without the images that do not go with the cube."""
    for name, band in (("long_i2d.fits", "F444W"), ("blue_i2d.fits", "F115W")):
        with fits.open(data.images[0]) as hdus:
            hdus[0].header.update({"FILTER": band})
            hdus.writeto(name)
    files = [data.cube.name, *(path.name for path in data.images[::-1]), "long_i2d.fits", "blue_i2d.fits"]
    assert main(["associate", *files, "--name", "disk"]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[-1] == "disk_asn.json"
    assert "left out: long_i2d.fits: F444W does not lie in the wavelengths of G235H/F170LP" in text
    assert "left out: blue_i2d.fits" in text
    product = json.loads((folder / "disk_asn.json").read_text())["products"][0]
    assert product["name"] == "disk"
    names = [path.name for path in (*data.images, data.cube)]
    assert [member["expname"] for member in product["members"]] == names
    (folder / "out").mkdir()
    assert main(["associate", *names, "-o", "out/x_asn.json"]) == 0
    with open_inputs("out/x_asn.json") as inputs:
        assert inputs.product == data.cube.stem.removesuffix("_s3d")
        assert len(inputs.images) == 2
    (folder / "visit_i2d.fits").symlink_to(data.images[0])
    assert main(["associate", *names, "visit_i2d.fits", "--name", "visits"]) == 0
    members = json.loads((folder / "visits_asn.json").read_text())["products"][0]["members"]
    assert [member["expname"] for member in members] == [names[0], "visit_i2d.fits", *names[1:]]


def test_what_can_not_be_associated_and_associations_that_fail_the_check(folder, data, capsys):
    image = data.images[0].name
    (folder / "text.fits").write_text("nothing")
    (folder / "lib.asdf").write_text(f"a library, {MARK}")
    (folder / "half_i2d.fits").write_bytes(data.images[1].read_bytes()[:100_000])
    for files, words in (
        ([image], "0 NIRSpec IFU cubes"),
        ([data.cube.name], "none of the images"),
        ([data.cube.name, image, "text.fits"], "text.fits: cannot be read"),
        ([data.cube.name, image, "half_i2d.fits"], "half_i2d.fits: cannot be read"),
        ([data.cube.name, "none_i2d.fits"], "none_i2d.fits: no such file"),
        ([data.cube.name, image, "-o", "lib.asdf"], "lib.asdf: strun knows an association by .json"),
    ):
        assert main(["associate", *files]) == 1
        assert words in capsys.readouterr().err
    assert not list(folder.glob("*_asn.json"))
    assert (folder / "lib.asdf").read_text().startswith("a library")
    for members, words in (
        ([IMAGE.format("clear-f182m")], "0 NIRSpec IFU cubes"),
        ([IMAGE.format("clear-f182m"), "cube.fits"], "cube.fits: no such file, and not the name"),
        ([IMAGE.format("clear-f999m"), CUBE], "no image in a NIRCam filter"),
        ([IMAGE.format("clear-f444w"), CUBE], "none of the images can be fused with G235H/F170LP"),
    ):
        assert main(["associate", "--check", write(folder / "x_asn.json", *members)]) == 1
        assert words in capsys.readouterr().err
    (folder / "y_asn.json").write_text("[]")
    assert main(["associate", "--check", "y_asn.json"]) == 1
    assert "not an association" in capsys.readouterr().err


def test_members_that_are_not_there_are_judged_by_their_names(folder, capsys):
    names = [IMAGE.format(name) for name in ("clear-f187n", "f150w2-f162m", "clear-f210m-sub160p")]
    assert main(["associate", "--check", write(folder / "x_asn.json", *names, CUBE)]) == 0
    text = capsys.readouterr().out
    assert "F187N" in text
    assert "F210M" in text
    assert "left out: " + names[1] in text
    assert text.count("judged by its name") == 3
    names = [IMAGE.format(name) for name in ("clear-f115w", "f150w2-f162m", "f150w2-f164n")]
    cube = CUBE.replace("g235h-f170lp", "g140h-f100lp")
    assert main(["associate", "--check", write(folder / "x_asn.json", *names, cube)]) == 0
    assert "F115W can be fused with G140H/F100LP, but in a separate fusion" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["d203-506", "titan"])
def test_the_examples_of_the_paper_pass_the_check(name, capsys):
    place = EXAMPLES / name
    assert main(["associate", "--check", str(place / f"{name}_asn.json"), str(place / f"{name}.asdf")]) == 0
    text = capsys.readouterr().out
    bands = [line.split()[1] for line in text.splitlines() if line.strip().startswith("image")]
    assert bands == ["F182M", "F187N", *(["F200W", "F210M", "F212N"] if name == "titan" else ["F210M"])]
    assert "left out" not in text
    readme = (place / "README.md").read_text()
    members = json.loads((place / f"{name}_asn.json").read_text())["products"][0]["members"]
    assert all(member["expname"] in readme for member in members)


def write_parameters(name, step="jwst_fusion.FusionStep", **parameters):
    """Write a parameter file, for a pipeline with its parameters as those of the fusion step."""
    tree = {"class": step, "name": "x", "parameters": parameters}
    if "steps" in parameters:
        tree |= parameters | {"parameters": {}}
    asdf.AsdfFile(tree).write_to(name)


def test_no_module_that_a_parameter_file_names_is_imported(folder, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    (folder / "evil.py").write_text(EVIL)
    write_parameters("hook.asdf", post_hooks=["evil.A"], output_file="new/a.fits")
    foreign = {"class": "evil.A", "name": "fusion", "parameters": {"pre_hooks": ["evil.A"]}}
    write_parameters("nested.asdf", "calwebb_fusion4", steps=[foreign])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name, step in (("hook.asdf", "fusion"), ("nested.asdf", "calwebb_fusion4")):
        assert main(["associate", "--check", name]) == 0
        assert capsys.readouterr().out == f"{name}: parameters of {step}\n"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("name", ["calwebb_fusion4", "calwebb_fusion4_syfu"])
def test_packaged_parameters_are_written_out(name, folder, capsys):
    assert name in packaged_parameters()
    assert main(["parameters", name]) == 0
    assert capsys.readouterr().out == f"{name}.asdf\n"
    assert main(["associate", "--check", f"{name}.asdf"]) == 0
    with asdf.open(f"{name}.asdf") as file:
        steps = {step["name"]: step["parameters"] for step in file["steps"]}
    assert steps["fusion"]["n_components"] == (3 if "syfu" in name else None)
    assert steps["cross_calib"]["method"] == ("ratio" if "syfu" in name else "fit")
    if "syfu" not in name:
        defaults = Fusion4Pipeline().get_pars()["steps"]
        for step, parameters in steps.items():
            assert {k: parameters[k] for k in defaults[step]} == defaults[step]
    assert main(["parameters", "nonsense"]) == 1
    assert "calwebb_fusion4_syfu" in capsys.readouterr().err


EVIL = "open('harm', 'w').close()\nclass A: pass\n"
HEAD = "#ASDF 1.0.0\n#ASDF_STANDARD 1.5.0\n%YAML 1.1\n%TAG ! tag:stsci.edu:asdf/\n--- !core/asdf-1.1.0\n"
STEP = "class: jwst_fusion.FusionStep\nname: fusion\n"
BOMB = "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in pairwise("abcdefghijklmnopqrstuvwxyz"))
PARAMETER_FILES = {
    "missing": (None, "no such file"),
    "empty": ("", "the file is empty"),
    "of text": ("no", "not a usable parameter file"),
    "of an unknown parameter": (HEAD + STEP + "parameters: {mew: 1}\n...\n", "mew"),
    "truncated": (HEAD + STEP, "not a whole ASDF file"),
    "of a foreign class": (
        HEAD + "class: evil.A\nname: x\nparameters: {}\n...\n",
        "parameters of evil.A, which is not a step",
    ),
    "without a class": (HEAD + "parameters: {}\n...\n", "has no class"),
    "a list": (HEAD + "- 1\n...\n", "write one with"),
    "of a mapping": (HEAD + STEP + "parameters: {mu: {a: 1}}\n...\n", "not a plain value"),
    "of a reference": (HEAD + STEP + "parameters: {$ref: other.asdf}\n...\n", "$ref"),
    "of aliases": (HEAD + STEP + f"parameters: {{}}\na: &a [1]\n{BOMB}...\n", "YAML aliases"),
    "of 10^30 draws": (HEAD + STEP + f"parameters: {{samples: {10**30}}}\n...\n", "jwst-fusion parameters"),
    "of 10^9 draws": (HEAD + STEP + f"parameters: {{samples: {10**9}}}\n...\n", "samples"),
    "too large": (HEAD + STEP + "parameters: {}\n...\n" + 10**6 * "x", "not a parameter file"),
}


@pytest.mark.parametrize("case", PARAMETER_FILES)
def test_bad_parameter_files_are_told_in_a_line(case, tmp_path, monkeypatch, capsys):
    content, finding = PARAMETER_FILES[case]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text(EVIL)
    if content is not None:
        (tmp_path / "p.asdf").write_text(content)
    before = contents(tmp_path)
    assert main(["associate", "--check", "p.asdf"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "p.asdf: " in line
    assert finding in line
    assert contents(tmp_path) == before


def test_strun_can_print_the_help_of_each_parameter():
    """A bare % in a comment of a specification breaks argparse."""

    def texts(section):
        for key in section.scalars:
            yield from (str(section.inline_comments.get(key) or ""), str(section[key]))
        for key in section.sections:
            yield from texts(section[key])

    for step in (Fusion4Pipeline, CoregisterStep, CrossCalibStep, FusionStep):
        assert not [text for text in texts(step.load_spec_file()) if "%" in text.replace("%%", "")]
