"""Files of the project agree with each other, and the wheel works where nothing else is."""

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from jwst_fusion import __version__

from .docs.commands import PAGES, blocks

ROOT = Path(__file__).parents[1]

#: Pages with commands that are run.
RUN = [page for page in PAGES if any(block.mark == "run" for block in blocks(page))]


def recipe():
    return yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text())


def setup_cfg():
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg")
    return config


def requirements(text):
    """Names and versions of requirements, whichever package index they are written for."""
    names = {"matplotlib-base": "matplotlib", "dask-core": "dask"}
    for line in text:
        if found := re.match(r"\s*-?\s*([\w-]+)\s*([<>=].*)$", line):
            yield names.get(found[1], found[1]), found[2].strip()


def test_the_version_is_the_same_everywhere():
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == __version__
    assert recipe()["context"]["version"] == __version__
    assert (ROOT / "CHANGES.rst").read_text().startswith(__version__)
    assert setup_cfg()["metadata"]["version"] == "attr: jwst_fusion.__version__"


def test_the_recipe_needs_what_the_package_needs():
    options = setup_cfg()["options"]
    wanted = set(requirements(options["install_requires"].splitlines()))
    run = recipe()["requirements"]["run"]
    assert set(requirements(run)) == wanted | {("python", options["python_requires"])}
    (script,) = setup_cfg()["options.entry_points"]["console_scripts"].split("\n")[1:]
    assert recipe()["build"]["python"]["entry_points"] == [script.strip()]


def test_the_image_is_made_of_files_that_are_there():
    copied = re.findall(r"^COPY ([^-].*) \S+$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert names == kept
    assert all((ROOT / name).exists() for name in names)
    assert {"pyproject.toml", "setup.cfg", "jwst_fusion"} <= names


def test_configurations_can_be_read_and_the_workflow_runs_the_continuous_integration():
    for name in (".readthedocs.yaml", ".pre-commit-config.yaml", "CITATION.cff"):
        assert isinstance(yaml.safe_load((ROOT / name).read_text()), dict)
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    assert ".ci/run" in [step.get("run") for step in jobs["test"]["steps"]]


def call(command, **kwargs):
    done = subprocess.run(command, capture_output=True, text=True, **kwargs)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, made from the source distribution, both checked."""
    folder = tmp_path_factory.mktemp("dist")
    if shutil.which("git") and (ROOT / ".git").exists():
        source = folder / "source"
        files = call(["git", "ls-files", "-z"], cwd=ROOT).split("\0")
        for name in filter(None, files):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    else:
        source = ROOT
    call([sys.executable, "-m", "build", "--outdir", str(folder / "dist"), str(source)])
    made = sorted(str(path) for path in (folder / "dist").iterdir())
    assert len(made) == 2
    call([sys.executable, "-m", "twine", "check", "--strict", *made])
    wheel = next(path for path in made if path.endswith(".whl"))
    kept = {str(path.relative_to(source)) for path in (source / "jwst_fusion").rglob("*") if path.is_file()}
    with zipfile.ZipFile(wheel) as archive:
        assert {name for name in kept if "__pycache__" not in name} <= set(archive.namelist())
    return wheel


@pytest.fixture(scope="module")
def fresh(wheel, tmp_path_factory):
    """Folder of the programs of an environment with the wheel in it and nothing of this repository."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    call([sys.executable, "-m", "venv", str(folder)])
    python = str(folder / "bin" / "python")
    call([python, "-m", "pip", "install", "--quiet", f"{wheel}", "specutils"])
    return folder / "bin"


@pytest.mark.long
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_what_a_page_tells_to_type_works_from_the_wheel(fresh, tmp_path, page):
    environment = {
        k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV", "STPSF_PATH")
    }
    environment["PATH"] = f"{fresh}{os.pathsep}{environment['PATH']}"
    told = [block for block in blocks(page) if block.mark == "run"]
    for block in told:
        program = ["bash", "-euc"] if block.language == "shell" else [str(fresh / "python"), "-c"]
        call([*program, block.text], cwd=tmp_path, env=environment)
    if page.name == "quickstart.rst":
        assert len(list((tmp_path / "many").glob("*/*_fused.html"))) == 3


def imported_names(path):
    """What a program of ours takes from the package, wherever in it: (module, name)."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jwst_fusion"):
            yield from ((node.module, alias.name) for alias in node.names)


def test_examples_import_what_is_there():
    for path in (ROOT / "examples").glob("*.py"):
        for module, name in imported_names(path):
            there = hasattr(import_module(module), name) or find_spec(f"{module}.{name}") is not None
            assert there, f"{path.name}: {module}.{name}"
