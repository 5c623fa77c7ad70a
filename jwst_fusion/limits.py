"""Limits of the machine, or of the container on it: memory, threads, disk."""

import math
import os
import shutil
from pathlib import Path

import psutil

from jwst_fusion.exceptions import InputError, LimitError, ParameterError

__all__ = [
    "available_memory",
    "available_threads",
    "check_memory",
    "check_working_folder",
    "format_size",
    "free_disk",
    "memory_limit",
]

#: Share of the available memory that a run may use if nothing else is said.
DEFAULT_SHARE = 0.8

GIB = 2**30

#: Root of the folders in which the kernel describes control groups.
ROOT = Path("/")


def available_memory():
    """
    Find the memory that this process may still take [bytes].

    It is the least of what the machine has, what each control group (of either version) above the
    process leaves, and what the process's limit on its address space leaves.
    """
    found = [psutil.virtual_memory().available, *_group_memory(), *_address_space()]
    return max(min(found), 0)


def memory_limit(max_memory=None):
    """Choose the memory that a run may use [bytes]: ``max_memory`` [GiB], or 80 % of what is available."""
    if max_memory is None:
        return DEFAULT_SHARE * available_memory()
    if not (math.isfinite(max_memory) and max_memory > 0):
        raise ParameterError(f"max_memory = {max_memory} cannot be used: a positive number of GiB is needed")
    return max_memory * GIB


def check_memory(needed, max_memory, what):
    """Refuse work that needs more memory [bytes] than ``max_memory`` [GiB], or 80 % of it: a LimitError."""
    limit = memory_limit(max_memory)
    if needed > limit:
        source = "max_memory" if max_memory is not None else "80 % of the available memory"
        raise LimitError(
            f"{what} needs about {format_size(needed)} of memory, more than the {format_size(limit)} of "
            f"{source}; set height and width or wavelength_range to fuse a part, raise max_memory, or use a "
            "larger machine"
        )


def check_working_folder():
    """Raise an InputError if the working folder was removed."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise InputError("the working folder was removed; change to another folder and try again") from None


def free_disk(folder):
    """Find the space [bytes] that this user may write on the disk of a folder, which need not exist yet."""
    folder = Path(folder).absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def available_threads():
    """
    Find the number of threads that numerical libraries may use.

    It is OMP_NUM_THREADS if that is set; else the least of the processors that this process may run on and
    the processor time that its control group grants.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    from dask.system import cpu_count

    return cpu_count()


def format_size(n_bytes):
    """Write a size [bytes] for a reader, such as ``3.4 GiB``."""
    return f"{n_bytes / GIB:.1f} GiB" if n_bytes >= 0.1 * GIB else f"{n_bytes / 2**20:.1f} MiB"


def _group_memory():
    """Memory that each control group leaves [bytes]; cached files are released when needed."""
    for folder in _memory_groups():
        for limit, used, scope in (
            ("memory.max", "memory.current", ""),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
        ):
            allowed, taken = _number(folder / limit), _number(folder / used)
            if allowed is not None and taken is not None:
                known = _statistics(folder / "memory.stat")
                cached = sum(known.get(f"{scope}{kind}_file", 0) for kind in ("active", "inactive"))
                yield allowed - taken + cached


def _memory_groups():
    """Folders of the control groups that limit the memory of this process, and of those above."""
    for line in _lines(ROOT / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        parts = [part for part in path.split("/") if part and part != ".."]
        for mount in ("memory",) if controllers else (".", "unified"):
            for depth in range(len(parts) + 1):
                yield (ROOT / "sys/fs/cgroup" / mount).joinpath(*parts[:depth])


def _address_space():
    """Memory that the limit on the address space leaves [bytes]."""
    try:
        import resource
    except ImportError:  # not on this system
        return
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        yield limit - psutil.Process().memory_info().vms


def _lines(path):
    """Lines of a file; none where it cannot be read."""
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _number(path):
    """Value of a file that holds one number; None for any other."""
    words = "".join(_lines(path)).split()
    return int(words[0]) if len(words) == 1 and words[0].isdigit() else None


def _statistics(path):
    """Values by name of a file of such pairs."""
    pairs = [line.split() for line in _lines(path)]
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
