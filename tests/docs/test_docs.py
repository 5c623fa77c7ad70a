"""What the documentation says exists, and what it tells to type can be typed."""

import ast
import doctest
import importlib.util
import re
import subprocess
import sys

import pytest
from jwst.stpipe import Step
from stdatamodels.jwst.datamodels import dqflags

import jwst_fusion
from jwst_fusion.cli import _build_parser
from jwst_fusion.datamodels import flags

from .commands import PAGES, ROOT, blocks, typed

RST = [page for page in PAGES if page.suffix == ".rst"]


def label(value):
    return str(value.relative_to(ROOT)) if hasattr(value, "relative_to") else None


def load_extension():
    """The directives of the documentation as a module."""
    spec = importlib.util.spec_from_file_location("generated", ROOT / "docs" / "_ext" / "generated.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def steps():
    pipeline = jwst_fusion.Fusion4Pipeline
    return {pipeline.class_alias: pipeline, **pipeline.step_defs}


@pytest.mark.slow
def test_the_documentation_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", str(ROOT / "docs"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "FUSGAMMA" in (tmp_path / "product.html").read_text()


@pytest.mark.parametrize("page", RST, ids=label)
def test_doctests_hold(page):
    assert doctest.testfile(str(page), module_relative=False).failed == 0


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_commands_are_run_or_say_what_they_need(page):
    marked = {line for block in blocks(page) if block.mark for line in block.lines}
    unmarked = [number for number, _ in typed(page) if number not in marked]
    assert not unmarked, f"{label(page)}: mark the blocks of lines {unmarked} with run:, tested: or needs:"


def is_known(alias, name):
    """Whether a step of this package, or stpipe, knows a parameter such as steps.fusion.mu."""
    if name in ("save-parameters", "help", "verbose"):
        return True
    step = steps()[alias]
    if name.startswith("steps."):
        _, alias, name = name.split(".")
        step = steps()[alias]
    return name in step.load_spec_file() or name.removeprefix("override_") in step.reference_file_types


def can_be_parsed(words):
    """Whether jwst-fusion takes these arguments."""
    try:
        _build_parser().parse_args(words)
    except SystemExit:
        return False
    return True


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_commands_can_be_typed(page):
    for number, words in typed(page):
        where = f"{label(page)}, line {number}: {' '.join(words)}"
        if words[0] == "strun" and words[1] in steps():
            options = re.findall(r"--([\w.-]+)", " ".join(words))
            assert all(is_known(words[1], option) for option in options), where
        elif words[0] == "jwst-fusion":
            end = next((i for i, word in enumerate(words) if word in ("&", "&&", "||", "|")), len(words))
            assert can_be_parsed(words[1:end]), where


def test_every_parameter_is_documented_from_its_specification():
    generated = load_extension()
    for step in steps().values():
        names = [name for name, *_ in generated.parameters_of(step)]
        own = set(step.load_spec_file()) - set(Step.load_spec_file()) - {"steps"}
        assert {name for name in own if not name.startswith("override_")} == set(names), step


def test_bits_of_the_dq_are_those_of_jwst():
    assert all(dqflags.pixel[name] == bit for bit, (name, _) in flags.MEANINGS.items())
    bits = {value for value in vars(flags).values() if isinstance(value, int)}
    assert bits == set(flags.MEANINGS)


def messages(path):
    """Texts of a module, what is formatted into them as three dots."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"%[-+.\d]*[dfegs]", "...", node.value.replace("%%", "%"))
        elif isinstance(node, ast.JoinedStr):
            yield "".join(v.value if isinstance(v, ast.Constant) else "..." for v in node.values)


def test_error_lines_of_the_troubleshooting_page_are_those_of_the_code():
    page = (ROOT / "docs" / "troubleshooting.rst").read_text()
    lines = re.findall(r"^``(.*)``$", page, flags=re.MULTILINE)
    assert len(lines) > 20
    package = ROOT / "jwst_fusion"
    texts = "\n".join(text for path in sorted(package.rglob("*.py")) for text in messages(path))
    for line in lines:
        pieces = [piece.strip(" .:;,") for piece in re.split(r"\.\.\.|MJy/sr", line)]
        missing = [piece for piece in pieces if len(piece) > 12 and piece not in texts]
        assert not missing, f"{line}: {missing}"
