"""Files that are written whole or not at all."""

import errno
import os
import re
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["atomic_file", "write_atomic"]

#: Where a process finds its open files by their numbers.
_PROCESS_FILES = "/proc/self/fd"


@contextmanager
def atomic_file(path, *, overwrite=True):
    """
    Open a file that takes its name when it is complete and on the disk.

    Until then it has no name at all, where the file system can do that (Linux, local disks), so that
    not even a killed process leaves it behind; elsewhere it has a hidden one in the same folder.

    Parameters
    ----------
    path : str or path-like
        Path of the file.
    overwrite : bool, optional
        Whether a file of that name may be replaced.

    Yields
    ------
    file : binary file object
        To be written to.

    Raises
    ------
    OSError
        If the folder is not there, the file exists and may not be replaced, or it can not be written;
        the error names the file.
    """
    output = Path(os.fsdecode(path))
    if not overwrite and output.exists():
        raise FileExistsError(errno.EEXIST, "the file exists and overwrite is False", str(output))
    if not output.parent.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{output.parent} is not a folder", str(output))
    temporary = output.with_name(f".{output.stem[:64]}.{uuid.uuid4().hex[:12]}{output.suffix}")
    try:
        with _create(temporary) as file:
            yield file
            file.flush()
            _flush_to_disk(file)
            if not temporary.exists():
                _name(file, temporary)
        os.replace(temporary, output)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _named(error, output) from error
        raise
    _flush_folder(output.parent)


def write_atomic(path, data):
    """
    Write a file of bytes, whole or not at all.

    Parameters
    ----------
    path : str or path-like
        Path of the file, which is replaced if it is there.
    data : bytes
        Its content.

    Raises
    ------
    OSError
        As `atomic_file`.
    """
    with atomic_file(path) as file:
        file.write(data)


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
    """Give a file without a name one."""
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
    """Wait until a folder's names are on the disk; where it can not be opened they soon will be."""
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
    as its context, and numpy tells how much it could write.
    """
    cause = error
    while cause.errno is None and isinstance(cause.__context__, OSError):
        cause = cause.__context__
    if cause.errno is not None:
        return OSError(cause.errno, cause.strerror, str(output))
    number = errno.ENOSPC if re.search(r"\d+ requested and \d+ written", str(cause)) else errno.EIO
    return OSError(number, os.strerror(number), str(output))
