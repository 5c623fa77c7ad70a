"""Formulas as MathML, which browsers draw by themselves: no script, no network."""

from docutils.utils.math import latex2mathml


def inline(translator, node):
    """
    Write a formula of a line.

    Parameters
    ----------
    translator : sphinx.writers.html.HTMLTranslator
        Where it is written.
    node : docutils.nodes.math
        The formula.
    """
    translator.body.append(latex2mathml.tex2mathml(node.astext()))


def block(translator, node):
    """
    Write a formula of its own.

    Parameters
    ----------
    translator : sphinx.writers.html.HTMLTranslator
        Where it is written.
    node : docutils.nodes.math_block
        The formula.
    """
    formula = latex2mathml.tex2mathml(node.astext(), as_block=True)
    translator.body.append(f'<div class="math">{formula}</div>')


def leave(translator, node):
    """
    End a formula: all of it is written.

    Parameters
    ----------
    translator : sphinx.writers.html.HTMLTranslator
        Where it is written.
    node : docutils.nodes.Node
        The formula.
    """


def skipping(write):
    """
    Have the content of a node left out after it was written.

    Parameters
    ----------
    write : callable
        Writes the node.

    Returns
    -------
    callable
        Visitor of the node.
    """

    def visit(translator, node):
        write(translator, node)
        node.clear()

    return visit


def setup(app):
    """
    Register the renderer.

    Parameters
    ----------
    app : sphinx.application.Sphinx
        The application.

    Returns
    -------
    dict
        What Sphinx asks of an extension.
    """
    app.add_html_math_renderer("mathml", (skipping(inline), leave), (skipping(block), leave))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
