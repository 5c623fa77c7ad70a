"""Headers and associations changed at random: a product, or an error that a user can read; never a hang."""

import copy
import json
import random
import shutil
import signal
import traceback
from contextlib import contextmanager

import pytest
from astropy.io import fits

from jwst_fusion import CoregisterStep
from jwst_fusion.exceptions import FusionError

from .spoils import ASN, CUBE, FIRST, SECOND, own

# What Python warns of is no concern here: a user's run goes on.
pytestmark = [pytest.mark.usefixtures("work"), pytest.mark.filterwarnings("ignore")]

PATIENCE = 60  # s
JUNK = (
    "", " ", "nan", "inf", "-1", 0, -1, 1, 1e300, -1e300, 2**31, 0.5, True, False, "MJy/sr", "um", "deg",
    "x" * 60,
    "RA---TAN", "WAVE", "WAVE-TAB", "F444W", "CLEAR", "../..", "%s%n", "NRS_IFU", "NRC_IMAGE", 3, 1e-30,
)  # fmt: skip
VALUES = (
    None, [], {}, 0, -1, 1e308, "", "..", "/", "a" * 5000, "\x00", True, [[]], {"a": []}, "é", CUBE, FIRST,
)  # fmt: skip


@contextmanager
def limited(seconds):
    """Raise a TimeoutError in what takes longer."""

    def stop(*_):
        raise TimeoutError(f"takes longer than {seconds} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def spoil_bytes(rng, path):
    """Overwrite some bytes of the first two headers."""
    content, card = bytearray(path.read_bytes()), b"END" + b" " * 77
    end = content.index(card, content.index(card) + 80) + 80
    for _ in range(rng.randint(1, 8)):
        at, length = rng.randrange(end), rng.randint(1, 12)
        printable = bytes(rng.randint(32, 126) for _ in range(length))
        content[at : at + length] = printable if rng.random() < 0.8 else rng.randbytes(length)
    path.write_bytes(content)


def spoil_cards(rng, path):
    """Change, remove or copy some cards of the headers."""
    with fits.open(path, memmap=False, lazy_load_hdus=False) as hdus:
        for _ in range(rng.randint(1, 4)):
            header = hdus[rng.randrange(2)].header
            card = rng.choice([c for c in header.cards if c.keyword not in ("", "COMMENT", "HISTORY")])
            if rng.random() < 0.25:
                header.remove(card.keyword)
            else:
                header[card.keyword] = rng.choice(JUNK)
        try:
            hdus.writeto(path, overwrite=True, output_verify="ignore")
        except Exception:  # noqa: BLE001 - what astropy does not write is no file
            path.write_bytes(b"SIMPLE  =                    T")


def spoil_file(rng, work, index):
    """Put a spoilt copy in the place of a member."""
    name = (CUBE, FIRST, SECOND)[index % 3]
    path = own(work, name)
    (spoil_bytes if rng.random() < 0.5 else spoil_cards)(rng, path)
    return lambda: (path.unlink(), path.symlink_to(work.sources[name]))


def nodes_of(content):
    """All containers within an association."""
    yield content
    for value in content.values() if isinstance(content, dict) else content:
        if isinstance(value, dict | list):
            yield from nodes_of(value)


def spoil_tree(rng, text):
    """Change, remove or add some values of an association."""
    content = json.loads(text)
    for _ in range(rng.randint(1, 4)):
        node = rng.choice([n for n in nodes_of(content) if n])
        key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
        action = rng.random()
        if action < 0.2 and node is not content:
            del node[key]
        elif action < 0.35 and isinstance(node, list):
            node.append(copy.deepcopy(node[key]))
        else:
            node[key] = copy.deepcopy(rng.choice(VALUES))
    return json.dumps(content).encode()


def spoil_text(rng, text):
    """Change some bytes of an association."""
    content = bytearray(text)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(content))
        content[at : at + rng.randint(0, 3)] = bytes(
            rng.choice(b'{}[]":,0\\\xff\x00a ') for _ in range(rng.randint(0, 3))
        )
    return bytes(content)


def spoil_association(rng, work, index):
    """Spoil the association; what undoes it."""
    path = work.folder / ASN
    text = path.read_bytes()
    path.write_bytes((spoil_tree if index % 2 else spoil_text)(rng, text))
    return lambda: path.write_bytes(text)


def try_all(work, spoil, seeds):
    """Spoil and run for each seed: a product or an error in one line; number of errors."""
    products, errors, wrong = 0, 0, []
    for seed in seeds:
        undo = spoil(random.Random(seed), work, seed)
        before = sorted(p.name for p in work.folder.iterdir())
        try:
            with limited(PATIENCE):
                CoregisterStep.call(ASN, configure_log=False, save_results=True, output_dir="out")
            products += 1
        except FusionError as error:
            errors += 1
            if "\n" in str(error):
                wrong.append(f"seed {seed}: {error}")
        except Exception:  # noqa: BLE001 - they are what is looked for
            wrong.append(f"seed {seed}: " + "".join(traceback.format_exc().splitlines(keepends=True)[-12:]))
        assert {p.name for p in work.folder.iterdir()} - set(before) <= {"out"}
        shutil.rmtree(work.folder / "out", ignore_errors=True)
        undo()
    assert not wrong, "\n".join(wrong)
    assert products + errors == len(seeds)
    return errors


@pytest.mark.parametrize(("spoil", "number"), [(spoil_file, 6), (spoil_association, 12)])
def test_a_few(work, spoil, number):
    assert try_all(work, spoil, range(number)) >= 3


@pytest.mark.long
@pytest.mark.parametrize("part", range(10))
@pytest.mark.parametrize("spoil", [spoil_file, spoil_association])
def test_many(work, spoil, part):
    try_all(work, spoil, range(1000 + 100 * part, 1100 + 100 * part))
