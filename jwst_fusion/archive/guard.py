"""Start of a target's process: it ends when the process that supervises it does."""

import ctypes
import os
import signal
import sys

__all__ = ["main"]

#: PR_SET_PDEATHSIG of Linux's prctl: signal that the process gets when its parent ends.
PARENT_DEATH_SIGNAL = 1


def main(arguments):
    """
    Tie this process to its parent, and become a command.

    Parameters
    ----------
    arguments : list of str
        Process number of the parent, and the command.

    Returns
    -------
    int
        Exit status, if the parent is gone already.
    """
    parent, *command = arguments
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != int(parent):
        return 1
    os.execvp(command[0], command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
