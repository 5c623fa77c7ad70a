"""Arrays that would take too much of the memory."""

import errno
import os

import numpy as np
import pytest

from jwst_fusion import scratch
from jwst_fusion.exceptions import LimitError


def test_small_arrays_are_in_memory_and_large_ones_in_a_file_without_a_name(tmp_path, monkeypatch):
    array = scratch.zeros_on_demand((3, 4), np.float32, tmp_path)
    assert type(array) is np.ndarray
    assert array.dtype == np.float32
    assert not array.any()
    monkeypatch.setattr(scratch, "LARGE", 1000)
    array = scratch.zeros_on_demand((30, 40), np.uint32, tmp_path)
    assert isinstance(array, np.memmap)
    assert not array.any()
    array[:] = 7
    array[3] |= 8
    assert array.sum() == 7 * 30 * 40 + 8 * 40
    assert list(tmp_path.iterdir()) == []
    assert scratch.zeros_on_demand((30, 40), np.uint32, tmp_path / "none").shape == (30, 40)


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(scratch, "LARGE", 1000)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(LimitError, match="No space left on device.*free some space"):
        scratch.zeros_on_demand((30, 40), np.uint32, tmp_path)
