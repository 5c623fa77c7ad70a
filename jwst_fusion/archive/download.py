"""Downloads: each file whole, of the stated size and checksum, or not at all."""

import hashlib
import http.client
import logging
import os
import shutil
import tempfile
import urllib.request
import warnings
from pathlib import Path

from astropy.io import fits

from jwst_fusion.archive.query import observations
from jwst_fusion.atomic import write_atomic
from jwst_fusion.exceptions import InputError, one_line
from jwst_fusion.ownership import MARK, check_own, is_plain_name

__all__ = ["checksum_of", "download", "fault_of"]

log = logging.getLogger(__name__)

#: File beside the downloads with what they were when they came, as ``sha256sum --check`` reads it.
CHECKSUMS = "checksums.sha256"

ATTEMPTS = 3
TIMEOUT = 60  # s without a byte

_ALGORITHMS = {32: "md5", 40: "sha1", 64: "sha256"}


def download(files, folder, *, base_url=None, replaced=()):
    """
    Fetch files that are not there, or not as they should be; return the names of those that were fetched.

    The second result has the reason, by name, of each file that could not be fetched; what was there before
    stays. Files named in replaced are fetched whatever is on the disk. The service of MAST is used unless a
    base_url is given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    check_own(folder / CHECKSUMS)
    known = _read_checksums(folder)
    fetched, problems = [], {}
    for file in files:
        if not is_plain_name(file.filename):
            problems[file.filename] = f"{file.filename!r}: cannot name a file in {folder}; correct the table"
            continue
        path = folder / file.filename
        expected = file.checksum or known.get(file.filename, "")
        if path.is_file() and file.filename not in replaced:
            fault = fault_of(path, file.size, expected)
            if not fault:
                continue
            log.warning("%s: %s; fetched again", file.filename, fault)
        try:
            known[file.filename] = _fetch(file, path, base_url)
        except InputError as error:
            problems[file.filename] = str(error)
            continue
        fetched.append(file.filename)
        lines = (f"{known[name]}  {name}\n" for name in sorted(known))
        write_atomic(folder / CHECKSUMS, f"# {MARK} match\n{''.join(lines)}".encode())
    return fetched, problems


def _fetch(file, path, base_url):
    """Fetch one file into a folder of its own, check it, put it in place; its SHA-256."""
    if os.path.lexists(path) and not path.is_file():
        raise InputError(f"{path}: not a file, but a product needs this name; move it")
    with tempfile.TemporaryDirectory(prefix=".jwst-fusion-", dir=path.parent) as folder:
        for attempt in range(ATTEMPTS):
            partial = Path(folder) / str(attempt) / path.name
            partial.parent.mkdir()
            try:
                _receive(file.uri, partial, base_url)
                reason = fault_of(partial, file.size, file.checksum)
            except (OSError, ValueError, http.client.HTTPException) as error:
                reason = one_line(error)
            if not reason:
                checksum = checksum_of(partial)
                partial.replace(path)
                return checksum
            log.info("%s: attempt %d of %d failed: %s", file.filename, attempt + 1, ATTEMPTS, reason)
    kept = "; the file that is there stays" if path.is_file() else ""
    raise InputError(
        f"{file.filename}: not fetched from {file.uri} ({reason}){kept}; check the network and the table, "
        "try again"
    )


def _receive(uri, partial, base_url):
    """Receive what an address gives; an OSError says what went wrong."""
    if uri.startswith("mast:"):
        status, message, _ = observations().download_file(
            uri, local_path=str(partial), base_url=base_url, cache=False, verbose=False
        )
        if status != "COMPLETE":
            raise OSError(message or status)
        return
    if not uri.startswith(("http://", "https://")):
        raise OSError(f"{uri!r} is not an address: mast: or http: is needed")
    with urllib.request.urlopen(uri, timeout=TIMEOUT) as source, partial.open("wb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)


def fault_of(path, size=None, checksum=""):
    """
    Find what is wrong with a file, as a text that is empty if nothing is.

    A size [byte] and a checksum (MD5, SHA-1 or SHA-256) are compared if they are given. Without a checksum, a
    FITS file has to hold all that its headers promise.
    """
    actual = path.stat().st_size
    if size is not None and actual != size:
        return f"{actual} bytes, {size} expected"
    if checksum:
        algorithm = _ALGORITHMS.get(len(checksum))
        if algorithm is None:
            return f"checksum {checksum!r} is neither MD5, SHA-1 nor SHA-256"
        found = checksum_of(path, algorithm)
        return "" if found == checksum.lower() else f"{algorithm} {found}, {checksum.lower()} expected"
    return _fits_fault(path) if path.suffix == ".fits" else ""


def _fits_fault(path):
    """Find what a FITS file lacks; empty if it is whole."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(path, lazy_load_hdus=False) as hdus:
                last = hdus[-1].fileinfo()
                if last["datLoc"] + last["datSpan"] != path.stat().st_size:
                    return "the file does not end where its last extension does"
    except (OSError, ValueError, TypeError, IndexError) as error:
        return f"no FITS file ({one_line(error)})"
    return ""


def checksum_of(path, algorithm="sha256"):
    """Compute the checksum of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _read_checksums(folder):
    """Read the checksums of earlier downloads, by name."""
    path = folder / CHECKSUMS
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#"))
    return {name.strip(): digest for digest, name in pairs}
