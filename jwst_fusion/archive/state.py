"""State of a batch: an SQLite file beside the outputs, written by the coordinator only."""

import fcntl
import json
import os
import sqlite3
import time
from contextlib import closing, contextmanager
from pathlib import Path

from jwst_fusion.exceptions import InputError

__all__ = ["STATES", "StateFile", "locked", "read_rows", "state_path"]

#: PENDING waits, RUNNING runs, DONE has its product, SKIPPED needs none or can have none, FAILED ended with
#: an error, BLOCKED waits for an input that is not there.
STATES = ("PENDING", "RUNNING", "DONE", "SKIPPED", "FAILED", "BLOCKED")

#: Columns of a target; those in JSON hold mappings.
COLUMNS = {
    "name": "TEXT PRIMARY KEY",
    "association": "TEXT",
    "state": "TEXT NOT NULL",
    "kind": "TEXT",
    "reason": "TEXT",
    "work_key": "TEXT",
    "attempts": "INTEGER",
    "started": "REAL",
    "finished": "REAL",
    "seconds": "REAL",
    "cpu_seconds": "REAL",
    "peak_bytes": "INTEGER",
    "output_bytes": "INTEGER",
    "host": "TEXT",
    "work": "TEXT",
    "log": "TEXT",
    "product": "TEXT",
    "report": "TEXT",
    "thumbnail": "TEXT",
    "verdict": "TEXT",
    "inputs": "JSON",
    "versions": "JSON",
}
_JSON = tuple(name for name, kind in COLUMNS.items() if kind == "JSON")

_SCHEMA = f"""
BEGIN;
CREATE TABLE IF NOT EXISTS targets ({", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())});
CREATE TABLE IF NOT EXISTS events (time REAL, name TEXT, state TEXT, reason TEXT);
CREATE TABLE IF NOT EXISTS checksums (path TEXT PRIMARY KEY, size INTEGER, modified INTEGER, sha256 TEXT);
COMMIT;
"""
_PATIENCE = 30  # s that another process may hold the file


def state_path(folder):
    """
    Name the file with the state of a batch.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the outputs.

    Returns
    -------
    pathlib.Path
        The file.
    """
    return folder / "batch.sqlite"


@contextmanager
def locked(folder):
    """
    Be the one coordinator of a folder; the lock ends with the process, however it ends.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the outputs.

    Raises
    ------
    InputError
        If another coordinator runs.
    """
    path = folder / ".batch.lock"
    with path.open("a+", encoding="utf-8", errors="replace") as file:
        file.seek(0)
        if file.read(8) not in ("", "process "):
            raise InputError(f"{path}: not the lock of a batch; move it, or use another --output-dir")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise InputError(
                f"{folder}: another batch runs here ({file.read().strip()}); wait for its end, or use "
                "another --output-dir"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {os.uname().nodename}\n")
        file.flush()
        yield


class StateFile:
    """
    The state as the coordinator sees it.

    Parameters
    ----------
    folder : pathlib.Path or None
        Folder of the outputs; None for a state that is forgotten.

    Raises
    ------
    InputError
        If the file is none of a batch.
    """

    def __init__(self, folder):
        path = ":memory:" if folder is None else state_path(folder)
        self._path = path
        if folder is not None:
            _check_database(path)
        try:
            self._connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
        except sqlite3.Error as error:
            raise self._unusable(error) from None
        self._connection.row_factory = sqlite3.Row
        try:
            self._connection.execute("PRAGMA synchronous = NORMAL")
            tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            columns = [row["name"] for row in self._connection.execute("PRAGMA table_info(targets)")]
            if tables and columns != list(COLUMNS):
                raise sqlite3.DatabaseError("a database of something else")
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            self._connection.close()
            raise self._unusable(error) from None

    def _unusable(self, error):
        """Make the error of a state that cannot be read or written."""
        return InputError(
            f"{self._path}: not the state of a batch, or not to be written ({error}); move it to begin anew, "
            "make room, or use another --output-dir"
        )

    def __enter__(self):
        """Enter the context."""
        return self

    def __exit__(self, _kind, error, _traceback):
        """Close the file; an error of SQLite becomes one of the input."""
        self._connection.close()
        if isinstance(error, sqlite3.Error):
            raise self._unusable(error) from error

    def rows(self):
        """
        Read all targets.

        Returns
        -------
        dict of dict
            Columns of each target, by name.
        """
        return _rows(self._connection)

    def row(self, name):
        """
        Read one target.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        dict
            Its columns; empty if it is not known.
        """
        return _rows(self._connection, " WHERE name = ?", (name,)).get(name, {})

    def begin(self, associations):
        """
        Note as PENDING what is new, and what a coordinator that is gone left as RUNNING.

        Parameters
        ----------
        associations : dict of str
            Association by name of all targets of a manifest.

        Returns
        -------
        dict of str
            State of each of them.
        """
        with self._connection as change:
            change.execute("BEGIN IMMEDIATE")
            change.executemany(
                "INSERT OR IGNORE INTO targets (name, association, state) VALUES (?, ?, 'PENDING')",
                list(associations.items()),
            )
            change.execute("UPDATE targets SET state = 'PENDING', work = '' WHERE state = 'RUNNING'")
        return {name: row["state"] for name, row in self.rows().items() if name in associations}

    def set(self, name, state, **columns):
        """
        Change a target, and note the change among the events.

        Parameters
        ----------
        name : str
            Its name.
        state : str
            One of `STATES`.
        **columns
            New values; the others stay.
        """
        values = {"name": name, "state": state, **columns}
        values.update({key: json.dumps(values[key]) for key in _JSON if key in values})
        updates = ", ".join(f"{key} = excluded.{key}" for key in values if key != "name")
        with self._connection as change:  # a signal may end it: then all of it is undone
            change.execute("BEGIN IMMEDIATE")
            change.execute(
                f"INSERT INTO targets ({', '.join(values)}) VALUES ({', '.join('?' * len(values))}) "
                f"ON CONFLICT (name) DO UPDATE SET {updates}",
                tuple(values.values()),
            )
            change.execute(
                "INSERT INTO events VALUES (?, ?, ?, ?)", (time.time(), name, state, values.get("reason"))
            )

    def checksum(self, path, compute):
        """
        Get the checksum of a file; a file of unchanged length and time is not read again.

        Parameters
        ----------
        path : pathlib.Path
            The file.
        compute : callable
            Computes the checksum of a path.

        Returns
        -------
        str
            Hexadecimal digits.
        """
        status = path.stat()
        seen = status.st_size, status.st_mtime_ns
        found = self._connection.execute(
            "SELECT size, modified, sha256 FROM checksums WHERE path = ?", (str(path),)
        ).fetchone()
        if found and tuple(found)[:2] == seen:
            return found["sha256"]
        checksum = compute(path)
        self._connection.execute("REPLACE INTO checksums VALUES (?, ?, ?, ?)", (str(path), *seen, checksum))
        return checksum


def _check_database(path):
    """Check that SQLite may open a file: what it takes for its own it repairs, with what lies beside it."""
    try:
        with path.open("rb") as file:
            begin = file.read(16)
    except FileNotFoundError:
        begin = b""
    except OSError as error:
        raise InputError(
            f"{path}: not the state of a batch ({error.strerror}); move it to begin anew"
        ) from None
    if begin not in (b"", b"SQLite format 3\0"):
        raise InputError(f"{path}: not the state of a batch, no database; move it to begin anew")
    for suffix in ("-journal", "-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if not begin and os.path.lexists(beside):
            raise InputError(f"{beside}: belongs to no state of a batch; move it")


def read_rows(folder):
    """
    Read the state of a batch without touching it.

    Parameters
    ----------
    folder : str or path-like
        Folder of the outputs.

    Returns
    -------
    dict of dict
        Columns of each target, by name.

    Raises
    ------
    InputError
        If there is no state.
    """
    path = state_path(Path(folder))
    if not path.is_file():
        raise InputError(f"{path}: no such file; name the output folder of a batch with --output-dir")
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)
        with closing(connection):
            connection.row_factory = sqlite3.Row
            return _rows(connection)
    except sqlite3.DatabaseError as error:
        raise InputError(f"{path}: not the state of a batch ({error})") from None


def _rows(connection, where="", values=()):
    """Read targets, mappings from JSON."""
    found = {}
    for row in connection.execute(f"SELECT * FROM targets{where}", values):
        columns = dict(row)
        columns.update({key: json.loads(columns[key] or "{}") for key in _JSON})
        found[columns["name"]] = columns
    return found
