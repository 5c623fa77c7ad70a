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
GROUND = {"association", "atomic", "exceptions", "limits", "observation", "ownership", "scratch"}

# What each part of the package may import of it, besides itself.
ALLOWED = {
    "exceptions": set(),
    "ownership": {"exceptions"},
    "atomic": {"exceptions", "ownership"},
    "association": {"exceptions", "ownership"},
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


def complaints(path):
    """What a module has against the rules: imports against the direction, too long, without type hints."""
    part, name, text = part_of(path), str(path.relative_to(ROOT)), path.read_text()
    tree, names = ast.parse(text), list(imported(path))
    if part not in ("cli", "commands"):
        yield from (f"imports {other}" for other in set(own_parts(path)) - ALLOWED[part] - {part})
    foreign = ["webbpsf"]
    if part in PURE:
        foreign += [each for each in FOREIGN_TO_PURE if name not in FITS_IN_OPTICS or each != "astropy.io"]
        yield from _without_hints(tree)
    if part not in KNOW_STPIPE:
        foreign += FOREIGN_TO_MOST
    yield from (f"imports {each}" for each in names if is_in(each, foreign))
    if len(text.splitlines()) > MODULE_LINES:
        yield "is too long"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            if node.end_lineno - first.lineno >= CODE_LINES:
                yield f"{node.name} is too long"


def _without_hints(tree):
    """Public functions and methods whose arguments or values have no type."""
    scopes = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]
    for function in (node for scope in scopes for node in scope.body if isinstance(node, ast.FunctionDef)):
        if not function.name.startswith("_"):
            given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
            bare = {argument.arg for argument in given if argument.annotation is None} - {"self", "cls"}
            if bare or function.returns is None:
                yield f"{function.name} has no type hints of {bare or 'what it returns'}"


def test_modules_keep_the_rules():
    assert {part_of(path) for path in MODULES} <= ALLOWED.keys() | {"cli", "commands"}
    found = {str(path.relative_to(ROOT)): list(complaints(path)) for path in MODULES}
    assert not {name: rules for name, rules in found.items() if rules}


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
