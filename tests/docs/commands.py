"""What the documentation tells its readers to type."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").rglob("*.rst"), ROOT / "README.md", *(ROOT / "examples").rglob("*.md")])

#: First words of what counts as a command of this project.
PROGRAMS = ("strun", "jwst-fusion", "asn_from_list", "make", "pip", "python3", "sha256sum", "pre-commit")


class Block(NamedTuple):
    """A code block: page, lines, language, the mark before it (``run``, ``needs``, or none), and its text."""

    page: Path
    lines: range
    language: str
    mark: str
    text: str


def blocks(page):
    """Code blocks of a page in reStructuredText, with the mark in the comment before each."""
    lines = page.read_text().splitlines()
    mark = ""
    for number, line in enumerate(lines):
        if found := re.match(r"\s*\.\. (run|needs):", line):
            mark = found[1]
        elif found := re.match(r"(\s*)\.\. code-block:: (\w+)", line):
            inside = f"{found[1]}   "
            end = number + 1
            while end < len(lines) and (not lines[end] or lines[end].startswith(inside)):
                end += 1
            body = lines[number + 1 : end]
            text = "\n".join(text[len(inside) :] for text in body).strip()
            yield Block(page, range(number + 1, end + 1), found[2], mark, text)
            mark = ""


def typed(page):
    """Lines of a page that are commands, wherever they stand: (line number, words)."""
    fence = False
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        fence ^= line.startswith("```")
        words = re.sub(r"\s#.*$", "", line).split()
        if words and words[0] in PROGRAMS and (fence or line.startswith("   ")):
            yield number, words
