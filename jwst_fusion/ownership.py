"""Files that may be replaced: those that this package made, and no others."""

import os
import re
from pathlib import Path

from jwst_fusion.exceptions import InputError

__all__ = ["MARK", "check_own", "is_own", "is_plain_name", "is_utf8", "product_mark"]

#: What a file that this package made says of itself near its beginning.
MARK = "made by jwst-fusion"

#: How far a file is searched for its mark [byte]: the headers of products are shorter.
MARKED = 2**20

#: Longest name [byte]: file systems take 255, and suffixes are appended.
MAX_NAME = 200


def product_mark(name):
    """Make the regular expression that the products of a data model match, in FITS or in ASDF."""
    return f"FUSMODL = '{name} *'|model_type: {name}\\b"


def is_own(path, mark=MARK):
    """
    Determine whether a file may be replaced: it is not there, or has the mark near its beginning.

    A link or a folder is never replaced. The mark is a regular expression.
    """
    path = Path(os.fsdecode(path))
    if not os.path.lexists(path):
        return True
    if not path.is_file() or path.is_symlink():
        return False
    with path.open("rb") as file:
        return re.search(mark.encode(), file.read(MARKED)) is not None


def check_own(*paths, mark=MARK):
    """Raise an InputError if one of the files is there and this package, by the mark, did not make it."""
    for path in paths:
        if not is_own(path, mark):
            raise InputError(
                f"{os.fsdecode(path)}: not made by jwst-fusion and therefore not replaced; move it, or "
                "choose another name or output folder"
            )


def is_utf8(text):
    """Check whether a text can be written in UTF-8, unlike the surrogates of undecodable names."""
    return text == text.encode("utf-8", "replace").decode()


def is_plain_name(name):
    """
    Determine whether a text can name a file, or begin the names of files, in a given folder.

    It cannot if it is no text, a path, hidden, not printable, not UTF-8, or too long for a disk.
    """
    if not isinstance(name, str):
        return False
    return is_utf8(name) and name.isprintable() and len(name.encode()) <= MAX_NAME and not (
        name.startswith((".", "-")) or set(name) & set("/\\") or not name.strip()
    )  # fmt: skip
