"""The imports run one way (design, section 4), and importing the package costs nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import jwst_fusion

ROOT = Path(jwst_fusion.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))

NUMERICS = {"coregistration", "crosscalib", "inversion", "quality"}
GROUND = {"atomic", "exceptions", "limits", "observation", "ownership", "scratch"}

# What each part of the package may import of it, besides itself.
ALLOWED = {
    "exceptions": set(),
    "ownership": {"exceptions"},
    "atomic": {"exceptions", "ownership"},
    "limits": {"exceptions"},
    "scratch": {"exceptions"},
    "observation": {"exceptions"},
    "optics": GROUND,
    **{part: NUMERICS | {"optics"} | GROUND for part in NUMERICS},
    "science": GROUND,
    "simulation": NUMERICS | {"optics", "datamodels"} | GROUND,
    "datamodels": {"exceptions", "atomic", "ownership"},
    "adapters": NUMERICS | {"optics", "datamodels", "science"} | GROUND,
    "steps": NUMERICS | {"optics", "datamodels", "adapters", "integration"} | GROUND,
    "pipeline": {"steps", "datamodels", "exceptions"},
    "archive": NUMERICS | {"optics", "datamodels", "adapters"} | GROUND,
    "integration": set(),
    "__init__": set(),
}

# What knows neither files, nor stpipe, nor plots.
PURE = {"observation", "optics", "coregistration", "crosscalib", "inversion", "science"}
FOREIGN_TO_PURE = ("stpipe", "jwst", "stdatamodels", "astropy.io", "matplotlib")
FOREIGN_TO_MOST = ("stpipe", "jwst.stpipe")
KNOW_STPIPE = {"steps", "pipeline"}

# Files that ARE data of the optics: a library of PSFs is a FITS file, and so is what STPSF gives.
FITS_IN_OPTICS = {"optics/library.py", "optics/stpsf_source.py"}

CODE_LINES = 60
MODULE_LINES = 450


def part_of(path):
    """Part of the package that a module belongs to: its folder, or its own name."""
    relative = path.relative_to(ROOT)
    return relative.parts[0].removesuffix(".py")


def imported(path):
    """Full names of what a module imports, wherever in it."""
    package = ["jwst_fusion", *path.relative_to(ROOT).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def own_parts(path):
    """Parts of the package that a module imports; a lazy name counts as the part that holds it."""
    for name in imported(path):
        package, _, rest = name.partition(".")
        if package == "jwst_fusion" and rest:
            name = jwst_fusion._LAZY.get(rest, name)
            part = name.split(".")[1]
            if part != "__version__":
                yield part


def is_in(name, packages):
    """Whether a full name is one of the packages or lies in one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def label(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_imports_run_one_way(path):
    part = part_of(path)
    if part in ("cli", "commands"):
        return
    assert part in ALLOWED, f"say in ALLOWED what {part} may import"
    wrong = set(own_parts(path)) - ALLOWED[part] - {part}
    assert not wrong, f"{label(path)} imports {sorted(wrong)}"


def test_parts_do_not_import_each_other_in_a_circle():
    graph = {}
    for path in MODULES:
        graph.setdefault(part_of(path), set()).update(set(own_parts(path)) - {part_of(path)})

    def visit(part, trail):
        assert part not in trail, " -> ".join([*trail, part])
        for following in graph.get(part, ()):
            visit(following, [*trail, part])

    for part in graph:
        visit(part, [])


@pytest.mark.parametrize("path", [path for path in MODULES if part_of(path) in PURE], ids=label)
def test_numerics_know_no_files_no_stpipe_no_plots(path):
    foreign = [name for name in FOREIGN_TO_PURE if label(path) not in FITS_IN_OPTICS or name != "astropy.io"]
    wrong = [name for name in imported(path) if is_in(name, foreign)]
    assert not wrong, f"{label(path)} imports {wrong}"


@pytest.mark.parametrize("path", [path for path in MODULES if part_of(path) not in KNOW_STPIPE], ids=label)
def test_only_steps_know_stpipe(path):
    wrong = [name for name in imported(path) if is_in(name, FOREIGN_TO_MOST)]
    assert not wrong, f"{label(path)} imports {wrong}"


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_webbpsf_is_never_imported(path):
    assert not [name for name in imported(path) if is_in(name, ["webbpsf"])]


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_modules_and_functions_are_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= MODULE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            length = node.end_lineno - first.lineno + 1
            assert length <= CODE_LINES, f"{label(path)}: {node.name} has {length} lines"


@pytest.mark.parametrize("path", [path for path in MODULES if part_of(path) in PURE], ids=label)
def test_public_functions_of_the_numerics_have_type_hints(path):
    tree = ast.parse(path.read_text())
    scopes = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]
    for function in (node for scope in scopes for node in scope.body if isinstance(node, ast.FunctionDef)):
        if not function.name.startswith("_"):
            given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
            bare = [argument.arg for argument in given if argument.annotation is None]
            assert set(bare) <= {"self", "cls"}, (
                f"{label(path)}: {function.name} does not say what {bare} are"
            )
            assert function.returns is not None, (
                f"{label(path)}: {function.name} does not say what it returns"
            )


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, jwst_fusion; print(*{name.split('.')[0] for name in sys.modules})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"jwst", "stpipe", "stpsf", "stdatamodels", "astropy", "numpy", "scipy", "asdf", "matplotlib"}
    assert heavy.isdisjoint(result.stdout.split())


def test_entry_points_name_what_is_there():
    from jwst_fusion.integration import get_resource_mappings, get_steps

    assert all(name.split(".")[1] in jwst_fusion._LAZY for name, _, _ in get_steps())
    uris = {uri for mapping in get_resource_mappings() for uri in mapping}
    assert "asdf://jwst_fusion/schemas/fusedcube.schema" in uris


def test_lazy_names():
    assert jwst_fusion.FusionError is jwst_fusion.exceptions.FusionError
    assert "FusedCubeModel" in dir(jwst_fusion)
    with pytest.raises(AttributeError, match="nonsense"):
        jwst_fusion.nonsense  # noqa: B018
