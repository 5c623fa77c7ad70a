"""What the documentation tells its readers to type."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(ROOT / "docs").rglob("*.rst"),
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "examples").rglob("*.md"),
    ]
)

#: First words of what counts as a command of this project.
PROGRAMS = ("strun", "jwst-fusion", "asn_from_list", "make", "pip", "python3", "sha256sum", "pre-commit")


#: What a comment before a code block can say: a test runs it, the named test does, or it needs something.
MARK = re.compile(r"\s*(?:\.\.|<!--) (run|tested|needs):")


class Block(NamedTuple):
    """A code block: page, lines, language, the mark before it (or none), and its text."""

    page: Path
    lines: range
    language: str
    mark: str
    text: str


def blocks(page):
    """Code blocks of a page, reStructuredText or Markdown, with the mark in the comment before each."""
    lines = page.read_text().splitlines()
    start = re.compile(r"(\s*)\.\. code-block:: (\w+)" if page.suffix == ".rst" else r"()```(\w*)$")
    mark, number = "", 0
    while number < len(lines):
        if found := MARK.match(lines[number]):
            mark = found[1]
        elif found := start.match(lines[number]):
            inside, end = f"{found[1]}   ", number + 1
            if page.suffix == ".rst":
                while end < len(lines) and (not lines[end] or lines[end].startswith(inside)):
                    end += 1
            else:
                inside, end = "", lines.index("```", end)
            text = "\n".join(line[len(inside) :] for line in lines[number + 1 : end]).strip()
            yield Block(page, range(number + 1, end + 1), found[2], mark, text)
            mark, number = "", end if page.suffix == ".md" else end - 1
        number += 1


def typed(page):
    """Lines of a page that are commands, wherever they stand: (line number, words)."""
    fence = False
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        fence ^= line.startswith("```")
        words = re.sub(r"\s#.*$", "", line).split()
        if words and words[0] in PROGRAMS and (fence or line.startswith("   ")):
            yield number, words
