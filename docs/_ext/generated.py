"""Directives whose content is read from the package, so that it cannot go stale."""

import argparse
import ast
import re
from importlib import import_module, resources
from pathlib import Path
from pkgutil import walk_packages

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from jwst_fusion.datamodels import flags

#: Where the schemas are.
SCHEMAS = "jwst_fusion.datamodels"

#: Folder of the documentation.
DOCS = Path(__file__).parents[1]


def load_schema(name):
    """
    Load a schema of the package.

    Parameters
    ----------
    name : str
        Its file's name without ``.schema.yaml``.

    Returns
    -------
    dict
        The schema.
    """
    text = (resources.files(SCHEMAS) / "schemas" / f"{name}.schema.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def leaves(node, path=()):
    """
    Walk through the properties of a schema.

    Parameters
    ----------
    node : dict
        Schema, or a part of it.
    path : tuple of str
        Where the part lies.

    Yields
    ------
    path : tuple of str
        Names down to the property.
    schema : dict
        The property.
    """
    for part in node.get("allOf", ()):
        yield from leaves(part, path)
    for name, schema in node.get("properties", {}).items():
        if "properties" in schema:
            yield from leaves(schema, (*path, name))
        else:
            yield (*path, name), schema


def parameters_of(step_class):
    """
    Read the specification of a step's own parameters, those of its mixins included.

    Parameters
    ----------
    step_class : type
        Step or pipeline.

    Returns
    -------
    list of tuple of str
        Name, type, default and description of each.
    """
    rows, seen = [], set()
    for base in step_class.__mro__:
        if not base.__module__.startswith("jwst_fusion"):
            continue
        for line in vars(base).get("spec", "").splitlines():
            found = re.match(r"\s*(\w+)\s*=\s*(\w+)\((.*)\)\s*#\s*(.*)", line)
            if found and found[1] not in seen:
                seen.add(found[1])
                kind, inner, words = found[2], found[3], found[4]
                default = re.search(r"default=(.*)$", inner)
                allowed = re.sub(r",?\s*default=.*$", "", inner)
                rows.append((found[1], f"{kind}({allowed})", default[1] if default else "", words))
    return rows


def cell(text):
    """
    Escape a text for a cell of a table in reStructuredText.

    Parameters
    ----------
    text : object
        What is to stand there.

    Returns
    -------
    str
        The text.
    """
    return str(text).replace("\\", "\\\\").replace("*", r"\*").replace("`", r"\`").replace("_", r"\_")


class Generated(SphinxDirective):
    """A directive that writes reStructuredText and has it parsed."""

    required_arguments = 0
    final_argument_whitespace = True
    has_content = False

    def lines(self):
        """Write the lines; a subclass does."""
        raise NotImplementedError

    def run(self):
        """Parse the lines in place of the directive."""
        source = f"{self.env.docname} {self.name}"
        node = nodes.Element()
        node.document = self.state.document
        self.state.nested_parse(StringList(list(self.lines()), source), self.content_offset, node, 1)
        return node.children


def table(header, rows, widths):
    """
    Write a table.

    Parameters
    ----------
    header : sequence of str
        Names of the columns.
    rows : iterable of sequence of str
        The rows, in reStructuredText.
    widths : str
        Widths of the columns.

    Returns
    -------
    list of str
        Lines.
    """
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for row in (header, *rows):
        lines += [f"   {'*' if i == 0 else ' '} - {text}" for i, text in enumerate(row)]
    return [*lines, ""]


class StepArguments(Generated):
    """Parameters of a step, from its specification."""

    required_arguments = 1

    def lines(self):
        """Write a list: name, type, default and meaning."""
        step_class = getattr(import_module("jwst_fusion"), self.arguments[0])
        for name, kind, default, words in parameters_of(step_class):
            yield from (f"``--{name}`` : {cell(kind)}, default {cell(default)}", f"    {cell(words)}.", "")


class ProductKeywords(Generated):
    """Keywords of a schema, with their meaning."""

    required_arguments = 1

    def lines(self):
        """Write a table."""
        rows = [
            (f"``{schema['fits_keyword']}``", f"``{'.'.join(path)}``", cell(schema.get("title", "")))
            for path, schema in leaves(load_schema(self.arguments[0]))
            if "fits_keyword" in schema and "fits_hdu" not in schema
        ]
        return table(("Keyword", "Attribute", "What"), rows, "15 40 45")


class ProductUnkeyed(Generated):
    """Metadata of a schema that have no FITS keyword and stand in the ASDF extension."""

    required_arguments = 1

    def lines(self):
        """Write a table."""
        rows = [
            (f"``{'.'.join(path)}``", cell(schema.get("title", "")))
            for path, schema in leaves(load_schema(self.arguments[0]))
            if not {"fits_keyword", "fits_hdu"} & set(schema)
        ]
        return table(("Attribute", "What"), rows, "40 60")


class ProductArrays(Generated):
    """HDUs of a schema: arrays and tables with their columns."""

    required_arguments = 1

    def lines(self):
        """Write a list."""
        for path, schema in leaves(load_schema(self.arguments[0])):
            if "fits_hdu" not in schema or "fits_keyword" in schema:
                continue
            kind = schema["datatype"]
            shape = "table" if isinstance(kind, list) else f"{kind}, {schema['ndim']} dimensions"
            yield from (f"``{schema['fits_hdu']}`` (``{'.'.join(path)}``, {shape})",)
            yield from (f"    {cell(schema.get('title', ''))}.", "")
            for column in kind if isinstance(kind, list) else ():
                unit = f" [{column['unit']}]" if "unit" in column else ""
                words = f": {column['title']}" if "title" in column else ""
                yield f"    - ``{column['name']}``{cell(unit)}{cell(words)}"
            yield ""


class ProductDq(Generated):
    """Bits of the fused cube's DQ, with the names that JWST gives them."""

    def lines(self):
        """Write a table."""
        rows = [
            (str(bit.bit_length() - 1), str(bit), f"``{name}``", cell(words))
            for bit, (name, words) in sorted(flags.MEANINGS.items())
        ]
        return table(("Bit", "Value", "Name", "Meaning"), rows, "8 17 25 50")


class CommandHelp(Generated):
    """What the subcommands say for themselves with ``--help``."""

    def lines(self):
        """Write a section's worth of text for each subcommand."""
        from jwst_fusion.commands.parser import HelpFormatter

        parser = import_module("jwst_fusion.cli")._build_parser()
        (choices,) = (a.choices for a in parser._actions if isinstance(a, argparse._SubParsersAction))
        for name, sub in choices.items():
            sub.formatter_class = lambda prog: HelpFormatter(prog, width=90)
            yield from (f"**jwst-fusion {name}**", "", ".. code-block:: text", "")
            yield from (f"    {line}" for line in sub.format_help().splitlines())
            yield ""


class BenchmarkOutput(Generated):
    """What a benchmark wrote, or how to have it written."""

    required_arguments = 1

    def lines(self):
        """Write the file's text as it is."""
        path = DOCS / self.arguments[0]
        self.env.note_dependency(str(path))
        if not path.is_file():
            return ["``make bench`` measures it; no result is kept with this version."]
        text = path.read_text(encoding="utf-8").splitlines()
        return [".. code-block:: text", "", *(f"    {line}" for line in text), ""]


class PackageModules(Generated):
    """The modules of a package with the docstrings of their public names."""

    required_arguments = 1

    def lines(self):
        """Write an automodule for each."""
        name = self.arguments[0]
        package = import_module(name)
        found = [name]
        if hasattr(package, "__path__"):
            found += [module.name for module in walk_packages(package.__path__, f"{name}.")]
        for module in found:
            yield from (f".. rubric:: {module}", "")
            yield from (f".. automodule:: {module}", "   :members:", "   :show-inheritance:", "")


class PackageConstants(Generated):
    """The numbers of a package's modules, with what their comments say and where they come from."""

    required_arguments = 1

    def lines(self):
        """Write a table; a constant without origin is an error."""
        folder = Path(import_module(self.arguments[0]).__file__).parent
        rows = []
        for path in sorted(folder.glob("*.py")):
            self.env.note_dependency(str(path))
            for name, value, comment in constants(path):
                text, _, origin = comment.removesuffix(".").rpartition(". ")
                if origin not in ORIGINS:
                    raise self.error(f"{path.name}: {name} does not say {', '.join(ORIGINS)}")
                rows.append((f"``{path.stem}.{name}``", f"``{value}``", cell(f"{text}."), origin.lower()))
        return table(("Constant", "Value", "What it is", "Origin"), rows, "26 14 50 10")


#: Where a constant may come from.
ORIGINS = ("Derived", "Published", "Measured", "Judged")


def constants(path):
    """
    Find the numbers that a module defines.

    Parameters
    ----------
    path : pathlib.Path
        The module.

    Yields
    ------
    name, value, comment : str
        Names in capitals; of successive ones the first has the comment.
    """
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    comment = ""
    for node in ast.parse(source).body:
        if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)):
            continue
        name, value = node.targets[0].id, ast.unparse(node.value).removeprefix("np.array(").rstrip(")")
        if not name.isupper() or not re.fullmatch(r"[-+*/()\[\], .e\d]+", value):
            continue
        first = node.lineno - 1
        while lines[first - 1].startswith("#:"):
            first -= 1
        if first < node.lineno - 1:
            comment = " ".join(line[2:].strip() for line in lines[first : node.lineno - 1])
        yield name, ast.unparse(node.value), comment


def setup(app):
    """
    Register the directives.

    Parameters
    ----------
    app : sphinx.application.Sphinx
        The application.

    Returns
    -------
    dict
        What Sphinx asks of an extension.
    """
    app.add_directive("step-arguments", StepArguments)
    app.add_directive("product-keywords", ProductKeywords)
    app.add_directive("product-metadata", ProductUnkeyed)
    app.add_directive("product-arrays", ProductArrays)
    app.add_directive("product-dq", ProductDq)
    app.add_directive("command-help", CommandHelp)
    app.add_directive("benchmark-output", BenchmarkOutput)
    app.add_directive("package-modules", PackageModules)
    app.add_directive("package-constants", PackageConstants)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
