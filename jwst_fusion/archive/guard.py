"""Start of a target's process: it ends when the process that supervises it does."""

import ctypes
import os
import signal
import sys

#: PR_SET_PDEATHSIG of Linux's prctl: signal that the process gets when its parent ends.
PARENT_DEATH_SIGNAL = 1

if __name__ == "__main__":
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() == int(parent):
        os.execvp(command[0], command)
    sys.exit(1)
