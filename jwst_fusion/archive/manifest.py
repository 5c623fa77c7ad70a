"""The manifest: what is to be fused, written by ``match`` or by hand, read by ``batch``."""

import csv
import json
import os
import re
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from jwst_fusion import __version__
from jwst_fusion.archive.table import ArchiveFile, read_cells
from jwst_fusion.association import make_association
from jwst_fusion.atomic import write_atomic
from jwst_fusion.exceptions import InputError, one_line
from jwst_fusion.ownership import MARK, check_own, is_plain_name, is_utf8

__all__ = ["Target", "read_manifest", "write_associations", "write_manifest"]

#: Names beside the outputs that the batch needs for itself.
RESERVED = {"logs", "batch.jsonl", "summary.html", "summary.ecsv", "summary.json",
            "submit.sh", "array.sbatch", "collect.sbatch", "batch.dag", "array.sub",
            "collect.sub"}  # fmt: skip

_NAME = re.compile(r"[\w+][\w+.\-]*")


@dataclass(frozen=True)
class Target:
    """One fusion to run."""

    name: str  # of the product, and of the folder of its outputs
    association: Path
    parameters: tuple = ()  # as strun takes them, without the dashes: steps.fusion.mu=2
    files: tuple = ()  # ArchiveFile of each member, if known


def write_associations(fusions, folder, data_folder):
    """
    Write an association for each fusion of `find_fusions`, as ``asn_from_list`` does.

    Return the targets.
    """
    folder.mkdir(parents=True, exist_ok=True)
    relative = Path(os.path.relpath(data_folder, folder))
    check_own(*(folder / f"{name}_asn.json" for name in fusions))
    targets = []
    for name, pairs in fusions.items():
        images, cubes = (dict.fromkeys(getattr(p, kind) for p in pairs) for kind in ("image", "cube"))
        products = [*images, *cubes]
        path = folder / f"{name}_asn.json"
        text = make_association([relative / product.filename for product in products], name)
        write_atomic(path, text.encode())
        targets.append(Target(name, path, files=tuple(product.file for product in products)))
    return targets


def write_manifest(targets, path):
    """Write a manifest as JSON, its associations relative to it."""
    entries = []
    for target in targets:
        entry = asdict(target)
        entry["association"] = os.path.relpath(target.association, path.parent)
        entry["files"] = [{k: v for k, v in file.items() if v} for file in entry["files"]]
        entries.append({key: value for key, value in entry.items() if value})
    content = {"jwst_fusion": __version__, "made_by": MARK, "targets": entries}
    write_atomic(path, (json.dumps(content, indent=1) + "\n").encode())


def read_manifest(path):
    """
    Read a manifest: JSON as `write_manifest` makes it, or a table (CSV, ECSV) with a column association.

    A table may have columns name and parameters (separated by spaces). Raises InputError if it cannot be
    read, or a name is missing, wrong or there twice.
    """
    path = Path(path)
    cure = "make one with jwst-fusion match, or write a table with a column association"
    try:
        targets = [_target(entry, path.parent) for entry in _entries(path.read_text(encoding="utf-8-sig"))]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {cure}") from None
    except (ValueError, TypeError, OSError, RecursionError, csv.Error) as error:
        raise InputError(f"{path.name}: not a manifest ({one_line(error)}); {cure}") from None
    twice = [name for name, number in Counter(target.name for target in targets).items() if number > 1]
    if twice:
        raise InputError(f"{path.name}: {', '.join(twice[:3])} occurs twice; give each target its own name")
    return targets


def _entries(text):
    """Read the entries of a manifest in JSON, or of one that is a table."""
    if text.lstrip()[:1] not in ("{", "["):
        header, rows = read_cells(text)
        entries = [dict(zip(header, row, strict=True)) for row in rows]
        return [{**entry, "parameters": entry.get("parameters", "").split()} for entry in entries]
    content = json.loads(text)
    entries = content.get("targets") if isinstance(content, dict) else content
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("it has no list of targets")
    return entries


def _target(entry, folder):
    """Make a target of an entry."""
    if "\0" in "".join(map(str, entry.values())):
        raise ValueError("a target has a null character")
    association = entry.get("association")
    if not isinstance(association, str) or not association:
        raise ValueError("a target has no association")
    path = Path(os.path.abspath(folder / association))
    name = entry.get("name") or path.stem.removesuffix("_asn")
    if not is_plain_name(name) or not _NAME.fullmatch(name):
        raise ValueError(f"{str(name)[:60]!r} cannot name a folder")
    if name.lower() in RESERVED:
        raise ValueError(f"the batch needs the name {name!r} for itself; name the target otherwise")
    parameters = entry.get("parameters") or []
    if isinstance(parameters, dict):
        parameters = [f"{key}={value}" for key, value in parameters.items()]
    if not isinstance(parameters, list) or not all(
        isinstance(each, str) and "=" in each for each in parameters
    ):
        raise ValueError(f"parameters of {name} are not of the form steps.fusion.mu=2")
    if not all(map(is_utf8, (str(path), *parameters))):
        raise ValueError(f"path or parameters of {name} are not UTF-8; rename the file or folder")
    files = tuple(ArchiveFile(**file) for file in entry.get("files") or [])
    return Target(name, path, tuple(parameters), files)
