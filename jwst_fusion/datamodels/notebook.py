"""Representation of products and results in a notebook: tables in HTML."""

from html import escape

__all__ = ["html_table"]


def html_table(caption, facts, header=(), rows=()):
    """Write, in HTML, a table of facts by name, and below it one of rows with a header; texts are escaped."""

    def line(cells, tag="td"):
        return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    parts = [f"<p><b>{escape(caption)}</b></p>", "<table>", *map(line, facts.items()), "</table>"]
    if header:
        parts += ["<table>", line(header, "th"), *map(line, rows), "</table>"]
    return "\n".join(parts)
