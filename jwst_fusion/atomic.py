"""Files that are written whole or not at all."""

import errno
import os
import re
import uuid
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from jwst_fusion.exceptions import system_cause
from jwst_fusion.ownership import MARK, check_own

__all__ = ["atomic_file", "together", "write_atomic"]

#: Files of `together` that wait for their names: file, temporary name, mark, name.
_pending = ContextVar("pending", default=None)

#: Where a process finds its open files by their numbers.
_PROCESS_FILES = "/proc/self/fd"


@contextmanager
def together():
    """
    Let all files that are written within take their names at the end, or none of them if an error comes.

    Until then what they replace is untouched, and files that were not there are not left behind. Within
    another such context it adds nothing.
    """
    if _pending.get() is not None:
        yield
        return
    pending = []
    token = _pending.set(pending)
    made = []
    try:
        yield
        while pending:
            output = pending[0][-1]
            is_new = not os.path.lexists(output)
            _put_in_place(*pending[0])
            made += [output] if is_new else []
            del pending[0]
    except BaseException:
        for path in made:
            path.unlink(missing_ok=True)
        raise
    finally:
        _pending.reset(token)
        for file, temporary, *_ in pending:
            _discard(file, temporary)


@contextmanager
def atomic_file(path, *, mark=MARK):
    """
    Open a binary file that takes its name when it is complete and on the disk, or at the end of `together`.

    Until then it has no name at all, where the file system can do that (Linux, local disks), so that not even
    a killed process leaves it behind; elsewhere it has a hidden one in the same folder.

    A file that is there is replaced if it has the mark (`jwst_fusion.ownership.is_own`); else InputError is
    raised. With the mark None no file is replaced. An OSError, which names the file, is raised if it cannot
    be written.
    """
    output = Path(os.fsdecode(path))
    _check(output, mark)
    if not output.parent.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{output.parent} is not a folder", str(output))
    temporary = output.with_name(f".{output.stem[:64]}.{uuid.uuid4().hex[:12]}{output.suffix}")
    file = None
    try:
        file = _create(temporary)
        yield file
        file.flush()
        _flush_to_disk(file)
    except BaseException as error:
        _discard(file, temporary)
        if isinstance(error, OSError):
            raise _named(error, output) from error
        raise
    pending = _pending.get()
    if pending is None:
        _put_in_place(file, temporary, mark, output)
    else:
        pending.append((file, temporary, mark, output))


def write_atomic(path, data):
    """Write bytes to a file, whole or not at all; errors are those of `atomic_file`."""
    with atomic_file(path) as file:
        file.write(data)


def _check(output, mark):
    """Refuse to replace a file that is not ours, or any if there is no mark."""
    if mark is not None:
        check_own(output, mark=mark)
    elif os.path.lexists(output):
        raise FileExistsError(errno.EEXIST, "is there already and is not replaced", str(output))


def _put_in_place(file, temporary, mark, output):
    """Rename a complete file to its final name."""
    try:
        if not temporary.exists():
            _name(file, temporary)
        file.close()
        _check(output, mark)
        os.replace(temporary, output)
    except OSError as error:
        raise _named(error, output) from error
    finally:
        _discard(file, temporary)
    _flush_folder(output.parent)


def _discard(file, temporary):
    """Close a file and remove its temporary name, if it has one."""
    with suppress(OSError):  # that it could not be written is reported already
        if file is not None:
            file.close()
    temporary.unlink(missing_ok=True)


def _create(temporary):
    """Open a new file: without a name where the file system can do that."""
    try:
        descriptor = os.open(temporary.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
    except (AttributeError, OSError):
        return temporary.open("xb")
    try:
        return open(f"{_PROCESS_FILES}/{descriptor}", "wb")  # noqa: SIM115 - astropy looks for a name
    except OSError:
        return temporary.open("xb")
    finally:
        os.close(descriptor)


def _name(file, path):
    """Link a file without a name to a path."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # a folder's descriptor makes Python call linkat, which follows the link in /proc
        os.link(f"{_PROCESS_FILES}/{file.fileno()}", path.name, dst_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


def _flush_to_disk(file):
    """Wait until a file is on the disk, so that its new name never shows an empty file."""
    os.fsync(file.fileno())


def _flush_folder(folder):
    """Wait until a folder's names are on the disk; where it cannot be opened they soon will be."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _named(error, output):
    """
    Put the file's name into an error of the system.

    A full disk shows as an error without number: astropy raises another in its place, which has the first
    as its context, and numpy states how much it could write.
    """
    cause = system_cause(error)
    if cause.errno is not None:
        return OSError(cause.errno, cause.strerror, str(output))
    number = errno.ENOSPC if re.search(r"\d+ requested and \d+ written", str(cause)) else errno.EIO
    return OSError(number, os.strerror(number), str(output))
