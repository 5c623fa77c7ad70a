"""The errors that a user can cause and cure."""

import errno
import os

__all__ = [
    "FusionError",
    "InputError",
    "LimitError",
    "NoOverlapError",
    "OneCubeError",
    "ParameterError",
    "one_line",
    "system_cause",
    "user_problem",
]

#: Numbers of the system's errors for a lack of space.
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FusionError(Exception):
    """
    A problem with the data or the parameters, described in one line.

    The message names the file, what was found, what was expected, and the cure.

    Attributes
    ----------
    exit_status : int
        Exit status at the command line.
    """

    exit_status = 1


class InputError(FusionError):
    """An input file, or the set of inputs, cannot be used."""


class ParameterError(FusionError):
    """A parameter has a value that cannot be used."""


class OneCubeError(ParameterError):
    """A parameter is for the fusion of one cube, and there are several."""

    def __init__(self, parameter):
        super().__init__(f"{parameter} is for one cube, and there are several; leave it out")


class LimitError(FusionError):
    """Memory or disk do not suffice."""


class NoOverlapError(FusionError):
    """No usable science data overlap (stpipe's exit status for no science data)."""

    exit_status = 64


def user_problem(error, place=None):
    """
    Convert an error into the one that is shown to the user.

    Parameters
    ----------
    error : BaseException
        Error that ended the run.
    place : str or path-like, optional
        Name to use where the system names no file.

    Returns
    -------
    FusionError or None
        The error to be shown; None for an error of the program.
    """
    if isinstance(error, FusionError):
        return error
    if isinstance(error, MemoryError):
        return LimitError(
            f"the memory does not suffice ({one_line(error) or 'out of memory'}); set height and width or "
            "wavelength_range to fuse a part, or use a larger machine"
        )
    if not isinstance(error, OSError):
        return None
    error = system_cause(error)
    name = os.fsdecode(error.filename) if error.filename else place
    if error.errno in NO_SPACE:
        before = f"{name}: " if name else ""
        return LimitError(f"{before}{error.strerror}; free some space or choose another output folder")
    if error.errno is not None and name:
        return InputError(f"{name}: {error.strerror}; check the path and its permissions")
    return None


def system_cause(error):
    """Find the OSError that has a number: astropy raises another one in its place."""
    while error.errno is None and isinstance(error.__context__, OSError):
        error = error.__context__
    return error


def one_line(error):
    """Write an error, or its text, without line breaks."""
    return " ".join(str(error).split())
