"""The manifest: what is to be fused, written by ``match`` or by hand, read by ``batch``."""

import csv
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from jwst_fusion import __version__
from jwst_fusion.exceptions import InputError

__all__ = [
    "ArchiveFile",
    "Target",
    "association_members",
    "read_manifest",
    "write_associations",
    "write_manifest",
    "write_text",
]

_NAME = re.compile(r"[\w+][\w+.\-]*")


@dataclass(frozen=True)
class ArchiveFile:
    """
    A file to fetch.

    Attributes
    ----------
    filename, uri : str
        Its name, and where it is: ``mast:...`` or a URL.
    size : int or None
        Its length [byte], if known.
    checksum : str
        Its MD5, SHA-1 or SHA-256 in hexadecimal digits, if known, or empty.
    calibration, context : str
        Version of the calibration software and CRDS context that made it, if known, or empty.
    """

    filename: str
    uri: str = ""
    size: int | None = None
    checksum: str = ""
    calibration: str = ""
    context: str = ""


@dataclass(frozen=True)
class Target:
    """
    One fusion to run.

    Attributes
    ----------
    name : str
        Its name: of the product, and of the folder of its outputs.
    association : pathlib.Path
        Association file.
    parameters : tuple of str
        Parameters as ``strun`` takes them, without the dashes: ``steps.fusion.mu=2``.
    files : tuple of ArchiveFile
        The members and where to fetch them, if known.
    """

    name: str
    association: Path
    parameters: tuple = ()
    files: tuple = ()


def write_text(path, text, *, durable=False):
    """
    Write a file whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    text : str or bytes
        Its content.
    durable : bool, optional
        Whether to wait until it is on the disk.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    content = text.encode() if isinstance(text, str) else text
    try:
        with partial.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_associations(fusions, folder, data_folder):
    """
    Write an association for each fusion, as ``asn_from_list`` does.

    Parameters
    ----------
    fusions : sequence of Fusion
        What is to be fused.
    folder, data_folder : pathlib.Path
        Where the associations go, and where the members are or will be.

    Returns
    -------
    list of Target
        The fusions with their associations.
    """
    from jwst.associations.asn_from_list import asn_from_list

    folder.mkdir(parents=True, exist_ok=True)
    relative = Path(os.path.relpath(data_folder, folder))
    association = json.loads(asn_from_list(["member"], product_name="product").dump()[1])
    targets = []
    for fusion in fusions:
        products = [*(pair.image for pair in fusion.pairs), fusion.cube]
        members = [{"expname": str(relative / p.filename), "exptype": "science"} for p in products]
        association["products"] = [{"name": fusion.name, "members": members}]
        path = folder / f"{fusion.name}_asn.json"
        write_text(path, json.dumps(association, indent=4) + "\n")
        files = tuple(
            ArchiveFile(p.filename, p.uri, p.size, p.checksum, p.calibration, p.context) for p in products
        )
        targets.append(Target(fusion.name, path, files=files))
    return targets


def write_manifest(targets, path):
    """
    Write a manifest as JSON.

    Parameters
    ----------
    targets : sequence of Target
        What is to be fused.
    path : pathlib.Path
        The file; associations are named relative to it.
    """
    entries = []
    for target in targets:
        entry = asdict(target)
        entry["association"] = os.path.relpath(target.association, path.parent)
        entry["files"] = [{k: v for k, v in file.items() if v} for file in entry["files"]]
        entries.append({key: value for key, value in entry.items() if value})
    write_text(path, json.dumps({"jwst_fusion": __version__, "targets": entries}, indent=1) + "\n")


def read_manifest(path):
    """
    Read a manifest: JSON as `write_manifest` makes it, or a table (CSV, ECSV) with a column association.

    Parameters
    ----------
    path : str or path-like
        The file. Of a table, columns ``name`` and ``parameters`` (separated by spaces) may be there.

    Returns
    -------
    list of Target
        What is to be fused; names differ.

    Raises
    ------
    InputError
        If it can not be read, or a name is missing, wrong or there twice.
    """
    path = Path(path)
    cure = "make one with jwst-fusion match, or write a table with a column association"
    try:
        text = path.read_text(encoding="utf-8-sig")
        entries = _json_entries(text) if text.lstrip()[:1] in ("{", "[") else _table_entries(text)
        targets = [_target(entry, path.parent) for entry in entries]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {cure}") from None
    except (ValueError, TypeError, OSError) as error:
        raise InputError(f"{path.name}: not a manifest ({' '.join(str(error).split())}); {cure}") from None
    names = [target.name for target in targets]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise InputError(
            f"{path.name}: {', '.join(twice[:3])} is there twice; give each target a name of its own"
        )
    return targets


def _json_entries(text):
    """Read the entries of a manifest in JSON."""
    content = json.loads(text)
    entries = content.get("targets") if isinstance(content, dict) else content
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("it has no list of targets")
    return entries


def _table_entries(text):
    """Read the entries of a manifest that is a table; ECSV separates by spaces or commas."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        return []
    delimiter = next((mark for mark in ",\t" if mark in lines[0]), " ")
    header, *rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    entries = [dict(zip(header, row, strict=True)) for row in rows]
    return [{**entry, "parameters": entry.get("parameters", "").split()} for entry in entries]


def _target(entry, folder):
    """Make a target of an entry."""
    association = entry.get("association")
    if not isinstance(association, str) or not association:
        raise ValueError("a target has no association")
    path = Path(os.path.abspath(folder / association))
    name = entry.get("name") or path.stem.removesuffix("_asn")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} can not name a folder")
    parameters = entry.get("parameters") or []
    if isinstance(parameters, dict):
        parameters = [f"{key}={value}" for key, value in parameters.items()]
    if not isinstance(parameters, list) or not all(
        isinstance(each, str) and "=" in each for each in parameters
    ):
        raise ValueError(f"parameters of {name} are not of the form steps.fusion.mu=2")
    files = tuple(ArchiveFile(**file) for file in entry.get("files") or [])
    return Target(name, path, tuple(parameters), files)


def association_members(path):
    """
    List the files of an association.

    Parameters
    ----------
    path : pathlib.Path
        Association file.

    Returns
    -------
    product : str
        Name of the product.
    members : list of pathlib.Path
        Its members, which need not be there.

    Raises
    ------
    InputError
        If it is not there, or no association.
    """
    try:
        product = json.loads(path.read_text(encoding="utf-8"))["products"][0]
        return str(product["name"]), [path.parent / member["expname"] for member in product["members"]]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; make it with jwst-fusion match or asn_from_list") from None
    except (ValueError, KeyError, IndexError, TypeError, OSError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise InputError(f"{path.name}: not an association ({reason}); make one with asn_from_list") from None
