"""Elements of the sections of a report, and the format of its numbers."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Picture", "Section", "Table", "number", "records", "words"]


@dataclass(frozen=True)
class Picture:
    """
    An image with its text.

    Attributes
    ----------
    source, alt, caption : str
        Address, text in its place, caption.
    over, over_alt : str
        A second image to blink against it.
    """

    source: str
    alt: str
    caption: str
    over: str = ""
    over_alt: str = ""


@dataclass(frozen=True)
class Table:
    """
    A table of words.

    Attributes
    ----------
    head : tuple of str
        Column names.
    rows : tuple of tuple of str
        Cells.
    caption : str
        Caption.
    """

    head: tuple
    rows: tuple
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """
    A section of the report.

    Attributes
    ----------
    key, title, text : str
        Anchor, title and introduction.
    images : tuple of Picture
        Images.
    curves : tuple of Curve
        Figures.
    tables : tuple of Table
        Tables.
    lines : tuple of str
        Lines of a log.
    """

    key: str
    title: str
    text: str = ""
    images: tuple = ()
    curves: tuple = ()
    tables: tuple = ()
    lines: tuple = ()

    @property
    def blinks(self):
        """Whether images are to blink."""
        return any(image.over for image in self.images)

    @property
    def is_empty(self):
        """Whether there is nothing to show."""
        return not (self.images or self.curves or self.tables or self.lines)


def number(value, digits=4):
    """Write a number with some significant digits, or that it is not known."""
    return f"{value:.{digits}g}" if np.isfinite(value) else "not known"


def words(value):
    """Write a setting as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(words(each) for each in value)
    return str(value)


def records(entries, caption="", *, first=()):
    """
    Make a tuple of one table of records (dict) with the same entries, empty without a record.

    The columns are in the order of the entries, after those that are to be first: ASDF sorts entries by name.
    """
    rows = [record for record in entries if isinstance(record, dict)]
    names = dict.fromkeys(name for row in rows for name in row)
    head = [*(name for name in first if name in names), *(name for name in names if name not in first)]
    cells = tuple(tuple(str(row.get(name, "")) for name in head) for row in rows)
    return (Table(tuple(head), cells, caption),) if rows else ()
