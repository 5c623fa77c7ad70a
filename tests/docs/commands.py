"""What the documentation tells its readers to type."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").rglob("*.rst"), ROOT / "README.md", *(ROOT / "examples").rglob("*.md")])

#: First words of what counts as a command of this project.
PROGRAMS = ("strun", "jwst-fusion", "asn_from_list", "make", "pip", "python3", "sha256sum", "pre-commit")


class Block(NamedTuple):
    """A code block: page, line, language, the mark before it (``run``, ``needs``, or none), and its text."""

    page: Path
    line: int
    language: str
    mark: str
    text: str


def blocks(page):
    """Code blocks of a page in reStructuredText, with the mark in the comment before each."""
    lines = page.read_text().splitlines()
    mark = ""
    for number, line in enumerate(lines):
        if found := re.match(r"\.\. (run|needs):", line):
            mark = found[1]
        elif found := re.match(r"\.\. code-block:: (\w+)", line):
            body = []
            for following in lines[number + 1 :]:
                if following and not following.startswith("   "):
                    break
                body.append(following[3:])
            yield Block(page, number + 1, found[1], mark, "\n".join(body).strip())
            mark = ""


def typed(page):
    """Lines of a page that are commands, wherever they stand: (line number, words)."""
    fence = False
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        fence ^= line.startswith("```")
        literal = fence if page.suffix == ".md" else False
        if line.startswith("    ") or line.startswith("   ") or literal:
            text = re.sub(r"\s#.*$", "", line.strip())
            words = text.split()
            if words and words[0] in PROGRAMS:
                yield number, words
