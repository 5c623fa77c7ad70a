"""What the machine allows, read from a made-up /proc and /sys."""

import resource
from types import SimpleNamespace

import psutil
import pytest

from jwst_fusion import limits
from jwst_fusion.exceptions import LimitError, ParameterError

GIB = 2**30


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of 16 GiB without control groups; writes further files of the kernel."""

    def write(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    monkeypatch.setattr(limits, "ROOT", tmp_path)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=16 * GIB))
    return write


def test_memory_of_the_machine_and_of_a_container(machine):
    assert limits.available_memory() == 16 * GIB
    assert limits.memory_limit() == pytest.approx(0.8 * 16 * GIB)
    machine(proc__self__cgroup="0::/\n")
    group = {"memory_dot_max": f"{4 * GIB}\n", "memory_dot_current": f"{2 * GIB}\n"}
    machine(**{f"sys__fs__cgroup__{name}": text for name, text in group.items()})
    assert limits.available_memory() == 2 * GIB
    machine(sys__fs__cgroup__memory_dot_stat=f"anon 5\ninactive_file {GIB}\n")
    assert limits.available_memory() == 3 * GIB
    twice_read = f"inactive_file {GIB // 4}\nactive_file {GIB // 2}\n"
    machine(sys__fs__cgroup__memory_dot_stat=twice_read)
    assert limits.available_memory() == 2.75 * GIB
    machine(sys__fs__cgroup__memory_dot_max="max\n")
    assert limits.available_memory() == 16 * GIB


def test_memory_of_a_group_above(machine):
    machine(proc__self__cgroup="0::/batch/job\n")
    top = "sys__fs__cgroup__batch__"
    machine(**{f"{top}memory_dot_max": f"{GIB}", f"{top}memory_dot_current": "0"})
    machine(**{f"{top}job__memory_dot_max": "max", f"{top}job__memory_dot_current": "0"})
    assert limits.available_memory() == GIB


def test_memory_of_a_group_of_the_first_version(machine):
    machine(proc__self__cgroup="4:memory:/job\n3:cpu,cpuacct:/job\n")
    top = "sys__fs__cgroup__memory__job__memory_dot_"
    machine(**{f"{top}limit_in_bytes": f"{2 * GIB}", f"{top}usage_in_bytes": f"{GIB}"})
    assert limits.available_memory() == GIB
    machine(**{f"{top}limit_in_bytes": f"{GIB // 2}"})
    assert limits.available_memory() == 0


def test_memory_of_a_limited_process(machine, monkeypatch):
    taken = psutil.Process().memory_info().vms
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (taken + GIB, taken + GIB))
    assert limits.available_memory() == pytest.approx(GIB, rel=0.1)


def test_threads(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("dask.system.cpu_count", lambda: 3)
    assert limits.available_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "5,2")
    assert limits.available_threads() == 5
    monkeypatch.setenv("OMP_NUM_THREADS", "none")
    assert limits.available_threads() == 3


def test_too_much_memory_is_refused(machine):
    limits.check_memory(12 * GIB, None, "it")
    limits.check_memory(20 * GIB, 21, "it")
    with pytest.raises(LimitError, match=r"it needs about 13\.0 GiB .* 12\.8 GiB of 80 % of .*; set height"):
        limits.check_memory(13 * GIB, None, "it")
    with pytest.raises(LimitError, match=r"more than the 0\.5 GiB of max_memory; .* raise max_memory"):
        limits.check_memory(GIB, 0.5, "it")

    for value in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ParameterError, match="max_memory = .* a positive number of GiB"):
            limits.memory_limit(value)


def test_disk_of_a_folder_that_is_not_there_and_sizes_for_readers(tmp_path):
    assert limits.free_disk(tmp_path / "a" / "b") > 0
    assert limits.format_size(3.46 * GIB) == "3.5 GiB"
    assert limits.format_size(0.12 * GIB) == "0.1 GiB"
    assert limits.format_size(2**20) == "1.0 MiB"
