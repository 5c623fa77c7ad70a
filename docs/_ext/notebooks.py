"""Directives that show a notebook, or one of its figures, as it stands in the file with its results."""

import re

import nbformat
from generated import DOCS, Generated

__all__ = ["Notebook", "NotebookFigure", "setup"]


def read(name):
    """
    Read a notebook of the documentation.

    Parameters
    ----------
    name : str
        Its name without the ending.

    Returns
    -------
    nbformat.NotebookNode
        The notebook.
    """
    return nbformat.read(DOCS / "notebooks" / f"{name}.ipynb", as_version=4)


def indented(text, first=""):
    """
    Indent the content of a directive.

    Parameters
    ----------
    text : str
        The content.
    first : str, optional
        The directive's own line.

    Returns
    -------
    list of str
        Lines, with empty ones around.
    """
    return [first, "", *(f"   {line}" for line in text.splitlines()), ""]


def prose(text):
    """
    Turn the Markdown of a cell into reStructuredText: headings, paragraphs, code, emphasis and links.

    Parameters
    ----------
    text : str
        Markdown.

    Returns
    -------
    list of str
        Lines; a heading of the first level is left out, since the page has its own.
    """
    lines = []
    for line in text.splitlines():
        if line.startswith("# "):
            continue
        line = re.sub(r"`([^`]+)`", r"``\1``", line)
        line = re.sub(r"\[([^\]]+)\]\(([^)]+)\)", r"`\1 <\2>`__", line)
        if line.startswith("## "):
            title = line.removeprefix("## ")
            lines += [title, "-" * len(title)]
        else:
            lines.append(line)
    return [*lines, ""]


def image(data, words):
    """
    Write a picture of a notebook as HTML that holds it.

    Parameters
    ----------
    data : str
        PNG in base 64.
    words : str
        What it shows, for those who do not see it.

    Returns
    -------
    list of str
        Lines.
    """
    source = data.replace("\n", "")
    tag = f'<img class="notebook" alt="{words}" src="data:image/png;base64,{source}">'
    return indented(tag, ".. raw:: html")


def shown(output, words):
    """
    Write an output of a cell.

    Parameters
    ----------
    output : nbformat.NotebookNode
        The output.
    words : str
        What its picture shows.

    Returns
    -------
    list of str
        Lines.
    """
    if output.output_type == "stream":
        return indented(output.text.rstrip(), ".. code-block:: text")
    if "image/png" in output.data:
        return image(output.data["image/png"], words)
    if "text/html" in output.data:
        return indented(f'<div class="result">{output.data["text/html"]}</div>', ".. raw:: html")
    return indented(output.data["text/plain"], ".. code-block:: text")


class Notebook(Generated):
    """All cells of a notebook with their results."""

    required_arguments = 1

    def lines(self):
        """Write text, code and results."""
        name = self.arguments[0]
        self.env.note_dependency(str(DOCS / "notebooks" / f"{name}.ipynb"))
        yield from (f"`Download this notebook <../{name}.ipynb>`__.", "")
        words = ""
        for cell in read(name).cells:
            if cell.cell_type == "markdown":
                words = re.sub(r'["<>`#]', "", cell.source.splitlines()[0]).strip()
                yield from prose(cell.source)
                continue
            yield from indented(cell.source, ".. code-block:: python")
            for output in cell.outputs:
                yield from shown(output, f"Figure: {words}")


class NotebookFigure(Generated):
    """The figure of a notebook, the first if no number is given."""

    required_arguments = 1
    optional_arguments = 1
    final_argument_whitespace = False

    def lines(self):
        """Write the picture."""
        name, number = self.arguments[0], int((self.arguments + ["1"])[1])
        self.env.note_dependency(str(DOCS / "notebooks" / f"{name}.ipynb"))
        outputs = [output for cell in read(name).cells for output in cell.get("outputs", ())]
        pictures = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
        return image(pictures[number - 1], f"Figure of the notebook {name}")


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
    app.add_directive("notebook", Notebook)
    app.add_directive("notebook-figure", NotebookFigure)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
