"""Arrays that would take too much of the memory."""

import os
import tempfile
from pathlib import Path

import numpy as np

from jwst_fusion.exceptions import LimitError

__all__ = ["LARGE", "on_disk", "zeros_on_demand"]

#: Size from which an array lives in a file [bytes].
LARGE = 2**30


def on_disk(size):
    """Check whether an array of a size [bytes] is so large that it is kept in a file."""
    return size >= LARGE


def zeros_on_demand(shape, dtype, folder=None):
    """
    Make an array of zeros, in a file without a name if it is large.

    The system then holds in memory as much of it as there is room for. The file, in this folder or that of
    temporary files, is removed with the array, also if the process is killed. Raises LimitError if the disk
    has no room.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if not on_disk(size):
        return np.zeros(shape, dtype)
    folder = folder if folder and os.access(folder, os.W_OK) else None
    with tempfile.TemporaryFile(dir=folder) as file:
        try:  # or a full disk would end the process when the array is written to
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            raise LimitError(
                f"{Path(folder or tempfile.gettempdir())}: no room for {size / 2**30:.1f} GiB of "
                f"working data ({error.strerror}); free some space, or set height and width or "
                "wavelength_range to fuse a part"
            ) from None
        return np.memmap(file, dtype, "r+", shape=tuple(shape))
