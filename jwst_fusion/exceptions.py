"""The errors that a user can cause and cure."""

__all__ = ["FusionError", "InputError", "LimitError", "NoOverlapError", "ParameterError"]


class FusionError(Exception):
    """
    A problem with the data or the parameters, told in one line.

    The message names the file, what was found, what was expected, and the cure.

    Attributes
    ----------
    exit_status : int
        Exit status at the command line.
    """

    exit_status = 1


class InputError(FusionError):
    """An input file, or the set of inputs, can not be used."""


class ParameterError(FusionError):
    """A parameter has a value that can not be used."""


class LimitError(FusionError):
    """Memory or disk do not suffice."""


class NoOverlapError(FusionError):
    """No usable science data overlap (stpipe's exit status for no science data)."""

    exit_status = 64
