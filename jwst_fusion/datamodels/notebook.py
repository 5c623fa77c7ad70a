"""How products and results show themselves in a notebook: tables in HTML."""

from html import escape

__all__ = ["html_table"]


def html_table(caption, facts, header=(), rows=()):
    """
    Write a table of facts, and a table with a header below it.

    Parameters
    ----------
    caption : str
        Title.
    facts : dict of str
        Values by their names.
    header : sequence of str, optional
        Names of the columns of the second table.
    rows : iterable of sequence of str, optional
        Its rows.

    Returns
    -------
    str
        HTML; all texts are escaped.
    """

    def line(cells, tag="td"):
        return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    parts = [f"<p><b>{escape(caption)}</b></p>", "<table>", *map(line, facts.items()), "</table>"]
    if header:
        parts += ["<table>", line(header, "th"), *map(line, rows), "</table>"]
    return "\n".join(parts)
