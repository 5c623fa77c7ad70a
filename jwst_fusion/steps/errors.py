"""Errors as stpipe shows them: one line, and an exit status."""

import functools
import signal
import threading
from contextlib import contextmanager

from stpipe.exceptions import StpipeExitException

from jwst_fusion.exceptions import one_line

__all__ = ["Interrupted", "as_exit_error", "interruptible", "parameter_problem"]


class Interrupted(SystemExit, KeyboardInterrupt):
    """Ctrl-C: a KeyboardInterrupt to a program that catches it, else exit status 130 without a traceback."""


@contextmanager
def interruptible():
    """
    Make sure that Ctrl-C is not lost.

    A KeyboardInterrupt that comes within a callback or a finalizer of a library is only printed there, and
    the work goes on; then it is raised at the end.
    """
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield
        return
    pressed = []

    def note(number, frame):
        pressed.append(number)
        return usual(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if pressed:
        raise KeyboardInterrupt


def as_exit_error(error):
    """Convert a FusionError into one of its kind that stpipe shows in one line, with its exit status."""
    if isinstance(error, StpipeExitException):
        return error
    return _exit_class(type(error))(one_line(error), error.exit_status)


@functools.cache
def _exit_class(kind):
    """Class of the errors that are of this kind and a StpipeExitException."""

    def __init__(self, message, exit_status):
        Exception.__init__(self, message)
        self._exit_status = exit_status
        self.__dict__["exit_status"] = exit_status

    def __reduce__(self):
        return _rebuild, (kind, str(self), self._exit_status)

    members = {"__init__": __init__, "__reduce__": __reduce__, "__module__": kind.__module__}
    return type(kind.__name__, (kind, StpipeExitException), members)


def _rebuild(kind, message, exit_status):
    """Make an error again after it was pickled."""
    return _exit_class(kind)(message, exit_status)


def parameter_problem(error):
    """
    Describe in one line what stpipe found wrong with parameters.

    An AttributeError or a TypeError is how it fails on a mapping or a reference in the place of a value.
    """
    unclear = isinstance(error, AttributeError | TypeError)
    return "a parameter is not a plain value" if unclear else one_line(error)
