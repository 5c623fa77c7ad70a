"""State of a batch: a file beside the outputs with a line for each change, written by the coordinator."""

import fcntl
import json
import os
import time
from pathlib import Path

from jwst_fusion.archive.download import checksum_of
from jwst_fusion.exceptions import InputError
from jwst_fusion.ownership import MARK, check_own

__all__ = ["STATE", "STATES", "StateFile", "read_rows"]

#: Name of the file.
STATE = "batch.jsonl"

#: PENDING waits, RUNNING runs, DONE has its product, SKIPPED needs none or can have none, FAILED ended with
#: an error, BLOCKED waits for an input that is not there.
STATES = ("PENDING", "RUNNING", "DONE", "SKIPPED", "FAILED", "BLOCKED")

#: Columns of a target, and what is in those that nothing was written to.
EMPTY = {
    **dict.fromkeys(
        ("name", "association", "state", "kind", "reason", "work_key", "attempts", "started", "finished",
         "seconds", "cpu_seconds", "peak_bytes", "output_bytes", "host", "work", "log", "product", "report",
         "thumbnail", "verdict")
    ),
    "inputs": {}, "versions": {},
}  # fmt: skip


class StateFile:
    """
    The state as the one coordinator of a folder sees it; its lock ends with the process, however it ends.

    ``rows`` holds the columns of each target, by name. Without a folder the state is not kept. Raises
    InputError if the file is none of a batch, or another coordinator runs.
    """

    def __init__(self, folder, *, write=True):
        self._file, self.rows, self._checksums = None, {}, {}
        self._write = write and folder is not None
        if folder is None:
            return
        self._path = path = folder / STATE
        if path.is_symlink() or not path.is_file() or path.stat().st_size:
            check_own(path)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            holder = _read(path)[2]
            raise InputError(
                f"{folder}: another batch runs here ({holder}); wait for its end, or use another --output-dir"
            ) from None
        self.rows, self._checksums, _ = _read(path)
        self._append({"made_by": MARK, "holder": f"process {os.getpid()} on {os.uname().nodename}"})

    def __enter__(self):
        """Enter the context."""
        return self

    def __exit__(self, *_):
        """Close the file, which ends the lock."""
        if self._file is not None:
            os.close(self._file)

    def _append(self, entry):
        """Write a line at once; one that was cut short before it, by a full disk or a kill, ends here."""
        if not self._write:
            return
        try:
            os.write(self._file, b"\n" + json.dumps({"time": time.time(), **entry}).encode())
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from None

    def set(self, name, state, **columns):
        """Change the state of a target, one of `STATES`, and columns; the others stay."""
        columns = {"name": name, "state": state, **columns}
        row = {**self.rows.get(name, EMPTY), **columns}
        if row != self.rows.get(name):
            self._append(columns)
            self.rows[name] = row

    def checksum(self, path):
        """Compute the SHA-256 of a file; a file of unchanged length and time is not read again."""
        status = path.stat()
        seen = [status.st_size, status.st_mtime_ns]
        known = self._checksums.get(str(path), {})
        if known.get("seen") != seen:
            known = {"path": str(path), "seen": seen, "sha256": checksum_of(path)}
            self._append(known)
            self._checksums[str(path)] = known
        return known["sha256"]


def read_rows(folder):
    """Read the columns of each target, by name; raise InputError without a state."""
    path = Path(folder) / STATE
    if not path.is_file():
        raise InputError(f"{path}: no such file; name the output folder of a batch with --output-dir")
    check_own(path)
    return _read(path)[0]


def _read(path):
    """Targets and checksums by name, and who wrote last; a line that was cut short is left out."""
    rows, checksums, holder = {}, {}, ""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = dict(json.loads(line))
        except (ValueError, TypeError):
            continue
        if "name" in entry:
            rows[entry["name"]] = {**rows.get(entry["name"], EMPTY), **entry}
            del rows[entry["name"]]["time"]
        elif "path" in entry:
            checksums[entry.pop("path")] = entry
        holder = entry.get("holder", holder)
    return rows, checksums, holder
