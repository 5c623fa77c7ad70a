"""One target in a process of its own, with limits; runs on a worker of Dask, or in a job of a queue."""

import contextlib
import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid

import numpy as np
import psutil
from astropy.io import fits
from astropy.visualization import AsinhStretch, AsymmetricPercentileInterval
from PIL import Image

from jwst_fusion.atomic import write_atomic
from jwst_fusion.limits import GIB, format_size
from jwst_fusion.ownership import MARK

__all__ = ["AT_WORK", "RECORD", "WORK", "WORK_NAME", "is_alive", "run_job"]

log = logging.getLogger(__name__)

#: Folder, beside the outputs, in which targets are worked on, and the file that ends the work on one.
WORK, RECORD, OWNER = ".work", "record.json", "owner.json"

#: End of the name of a folder in `WORK`, as a regular expression.
WORK_NAME = r"\.[0-9a-f]{12}"

#: Folders in which threads of this process work.
AT_WORK = set()

#: Time [s] for which a target goes on whose coordinator is gone, in case it comes back.
GRACE = 30.0

_INTERVAL = 0.2  # s between looks at the memory
_SEARCH = 10  # looks between searches for children, and signs of life
_SILENCE = 60  # s without a sign of life of another host after which it is dead
_PICTURE = 96  # pixels of a side at most
_CHANNELS = 32  # that are averaged for it

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_CRASHES = {
    signal.SIGSEGV: "segmentation fault", signal.SIGBUS: "bus error", signal.SIGILL: "illegal instruction",
    signal.SIGFPE: "arithmetic error", signal.SIGABRT: "abort",
}  # fmt: skip
_LOG_HEAD = f"# {MARK} batch:"
_ERROR_LINE = re.compile(
    r"(?:- (?:ERROR|CRITICAL) - |^(?:ERROR|CRITICAL)(?! RUNNING STEP)\W+)(.+)"
    r"|^((?:\w+\.)*\w*(?:Error|Exception)\b.*)"
)


def run_job(name, work_key, command, settings, attempt=1, topic=""):
    """
    Run a target, record how it ended, and return the record.

    In the command, ``{output}`` stands for the folder that it writes to, and ``{memory}`` for the memory that
    it may take [GiB]. The worker of Dask sets memory and threads that the settings leave open. The start is
    announced on the topic, if there is one. The record has name, key, state, reason and figures, and the
    folder ``work``, which contains ``out`` with the products and this record, and ``log``. Nothing outside of
    that folder is touched.
    """
    work = settings.output_dir / WORK / f"{name}.{uuid.uuid4().hex[:12]}"
    out, host, started = work / "out", socket.gethostname(), time.time()
    AT_WORK.add(work)
    try:
        out.mkdir(parents=True)
        write_atomic(work / OWNER, json.dumps({"host": host, "pid": os.getpid()}).encode())
        if topic:
            from distributed import get_worker

            get_worker().log_event(topic, {"name": name, "work": str(work), "host": host})
        settings = _with_shares(settings)
        usage, end = _supervise(name, command, settings, work)
        state, kind, reason = _judge(settings, usage, end, work)
        record = {
            "name": name, "work_key": work_key, "attempts": attempt, "state": state, "kind": kind,
            "reason": reason, "started": started, "finished": time.time(), "host": host, **usage,
            "output_bytes": sum(path.stat().st_size for path in out.rglob("*") if path.is_file()),
        }  # fmt: skip
        if state == "DONE":
            record.update(_describe_product(out))
        record["files"] = sorted(str(path.relative_to(out)) for path in out.rglob("*") if not path.is_dir())
        write_atomic(out / RECORD, json.dumps({"made_by": MARK, **record}, indent=1).encode())
        return {**record, "work": str(work)}
    except BaseException:  # an interruption too: unfinished work is discarded
        shutil.rmtree(work, ignore_errors=True)
        raise
    finally:
        AT_WORK.discard(work)


def _with_shares(settings):
    """Put the share of a worker of Dask where memory and threads of a target are left open."""
    if settings.memory and settings.threads:
        return settings
    from distributed import get_worker

    worker = get_worker()
    return settings.with_shares(worker.state.nthreads, worker.memory_manager.memory_limit)


def _supervise(name, command, settings, work):
    """Run the command; figures, and its exit status or why it was killed."""
    values = {"{output}": str(work / "out"), "{memory}": f"{settings.memory:.3f}"}
    for word, value in values.items():
        command = [part.replace(word, value) for part in command]
    environment = {**os.environ, **dict.fromkeys(_THREADS, str(settings.threads)), "PYTHONFAULTHANDLER": "1"}
    grace = GRACE if settings.scheduler else 0.0
    guard = [sys.executable, "-m", "jwst_fusion.archive.guard", str(os.getpid())]
    begin, unwanted = time.monotonic(), None
    usage = {"seconds": 0.0, "cpu_seconds": 0.0, "peak_bytes": 0}
    with (work / "log").open("wb") as output:
        output.write(f"{_LOG_HEAD} {name}\n".encode())
        output.flush()
        process = subprocess.Popen(
            [*guard, *command], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env=environment, start_new_session=True, cwd=work,
        )  # fmt: skip
    family, look, end = _Family(process.pid), 0, None
    try:
        while end is None:
            try:
                end = process.wait(_INTERVAL)
            except subprocess.TimeoutExpired:
                memory, usage["cpu_seconds"] = family.usage(search=look % _SEARCH == 0)
                usage["peak_bytes"] = max(usage["peak_bytes"], memory)
                elapsed = time.monotonic() - begin
                if memory > settings.memory * GIB:
                    end = "memory"
                elif elapsed > settings.timeout:
                    end = "hang"
                else:
                    unwanted = (unwanted or elapsed) if _is_cancelled() else None
                    end = "stopped" if unwanted is not None and elapsed - unwanted >= grace else None
                if look % _SEARCH == 0:
                    os.utime(work / OWNER)
            look += 1
    finally:
        family.kill()
        process.wait()
    usage["seconds"] = time.monotonic() - begin
    return usage, end


class _Family:
    """A process and its descendants."""

    def __init__(self, pid):
        self._pid = pid
        self._members = []
        self._spent = {}

    def usage(self, search):
        """Sum of the memory that is their own [byte], and of their processor time [s]."""
        if search or not self._members:
            self._members = []
            with contextlib.suppress(psutil.NoSuchProcess):
                head = psutil.Process(self._pid)
                self._members = [head, *head.children(recursive=True)]
        memory = 0
        for member in self._members:
            with contextlib.suppress(psutil.Error), member.oneshot():
                info, times = member.memory_info(), member.cpu_times()
                memory += info.rss - getattr(info, "shared", 0)
                self._spent[member.pid] = times.user + times.system
        return memory, sum(self._spent.values())

    def kill(self):
        """End what still lives of them: the session is theirs alone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        for member in self._members:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()


def _is_cancelled():
    """Check whether the scheduler has cancelled the task that this thread runs."""
    from distributed import get_worker

    try:
        worker = get_worker()
        task = worker.state.tasks.get(worker.get_current_task())
    except (ValueError, AttributeError, KeyError):
        return False  # not on a worker of Dask
    return task is not None and task.state == "cancelled"


def _judge(settings, usage, end, work):
    """State, kind and reason of how a process ended."""
    peak, allowed = format_size(usage["peak_bytes"]), format_size(settings.memory * GIB)
    if end == "memory":
        reason = f"out of memory: {peak} taken, {allowed} allowed; raise --memory or fuse a smaller field"
        return "FAILED", "memory", reason
    if end == "hang":
        return "FAILED", "hang", f"still running after {settings.timeout:g} s (--timeout); killed"
    if end == "stopped":
        return "PENDING", "stopped", "stopped with the batch"
    if end == 0:
        if any(path.is_file() for path in (work / "out").iterdir()):
            return "DONE", "", ""
        return "FAILED", "error", "ended without an error and without a product"
    if end < 0:
        if -end in _CRASHES:
            return "FAILED", "crash", f"crashed: {_CRASHES[-end]} (signal {-end}); the log tells where"
        if end == -signal.SIGKILL:
            reason = f"killed from outside (signal 9), most likely for lack of memory: {peak} taken"
            return "FAILED", "memory", f"{reason}; use fewer --workers"
        return "FAILED", "crash", f"killed from outside (signal {-end})"
    line = _error_line(work / "log")
    if end == 64:
        return "SKIPPED", "nothing", line
    return "FAILED", "memory" if "MemoryError" in line else "error", f"{line} (exit status {end})"


def _error_line(path):
    """Find the line of a log that names the error: the last error, else the last line."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 65536, 0))
        lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith(_LOG_HEAD)]
    for line in reversed(lines):
        found = _ERROR_LINE.search(line)
        if found:
            return (found[1] or found[2])[:500]
    return lines[-1][:500] if lines else "no word in the log"


def _describe_product(folder):
    """
    Find names of product, report and thumbnail, the verdict and its reason; texts are empty without one.

    Of the fused cubes of several gratings it is the one with the worst verdict. A picture, ``thumbnail.png``,
    is added if there is a fused cube in FITS.
    """
    names = sorted(path.name for path in folder.iterdir())
    products = [name for name in names if name.endswith(("_fused.fits", "_fused.asdf"))]
    product = max(products, key=lambda name: _severity(folder / name), default="")
    report = f"{product.rpartition('.')[0]}.html"
    report = report if report in names else ""
    found = {"product": product, "report": report, "thumbnail": "", "verdict": "", "reason": ""}
    if not product.endswith(".fits"):
        return found
    try:
        with fits.open(folder / product, memmap=True) as hdus:
            header, cube = hdus[0].header, hdus["SCI"].data
            picture = _picture(cube[:: max(len(cube) // _CHANNELS, 1)].astype(np.float64))
        found.update(verdict=str(header.get("FUSVERD", "")), reason=str(header.get("FUSVREAS", "")))
        picture.save(folder / "thumbnail.png")
        found["thumbnail"] = "thumbnail.png"
    except (OSError, KeyError, TypeError, ValueError) as error:
        log.warning("%s: no thumbnail: %s", product, error)
    return found


def _severity(path):
    """Place of a product's verdict among those there are; -1 without one."""
    try:
        return ("green", "amber", "red").index(str(fits.getval(path, "FUSVERD")))
    except (OSError, KeyError, ValueError):
        return -1


def _picture(cube):
    """Small grey picture of the mean over wavelength."""
    mean = np.ma.masked_invalid(cube).mean(axis=0).filled(np.nan)
    grey = np.zeros(mean.shape)
    if np.isfinite(mean).any():
        grey = np.nan_to_num((AsinhStretch(0.1) + AsymmetricPercentileInterval(1, 99.5))(mean))
    picture = Image.fromarray((255 * grey[::-1]).astype(np.uint8))
    picture.thumbnail((_PICTURE, _PICTURE))
    return picture


def is_alive(work):
    """
    Check whether the process that works in a folder may live.

    One of another host does if it gave a sign in the last minute.
    """
    try:
        owner = json.loads((work / OWNER).read_text())
        if owner["host"] == socket.gethostname():
            process = psutil.Process(owner["pid"])
            return process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE
        return time.time() - (work / OWNER).stat().st_mtime < _SILENCE
    except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
        return False
