"""Hooks of stpipe that make a step go wrong."""

import os
import signal
import time


def crash(step, *inputs):
    """End as from a segmentation fault."""
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(step, *inputs):
    """Never end."""
    time.sleep(100000)


def memory(step, *inputs):
    """Take memory without end."""
    blocks = []
    while True:
        blocks.append(b"x" * (1 << 26))
        time.sleep(0.05)
