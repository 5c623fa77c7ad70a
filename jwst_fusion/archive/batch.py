"""The coordinator of a batch: hands targets to Dask, puts products in place, keeps the state."""

import asyncio
import os
import queue
import shutil
import socket
import sys
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from jwst_fusion.archive.manifest import read_manifest
from jwst_fusion.archive.plan import Outputs
from jwst_fusion.archive.state import STATE, STATES, StateFile
from jwst_fusion.archive.summary import SUMMARIES, write_summary
from jwst_fusion.archive.worker import AT_WORK, WORK, run_job
from jwst_fusion.exceptions import InputError, ParameterError, one_line
from jwst_fusion.limits import DEFAULT_SHARE, GIB, available_memory, available_threads
from jwst_fusion.ownership import check_own, is_utf8

__all__ = ["BatchSettings", "Outcome", "index_job", "plan_batch", "run_batch"]

#: Targets that are handed over beyond those that run, so that no worker waits and a cluster can grow.
WAITING = 50

#: Longest time [s] that workers of this process take to stop, and that a scheduler takes to answer.
STOPPING, TIMEOUT = 10.0, 20

NOTHING_TO_DO = 64

#: Folders of the system: a manifest in one comes from a pipe or a device.
SYSTEM_FOLDERS = ("/dev", "/proc", "/sys")

_RETRIED = ("crash", "hang", "memory")


@dataclass(frozen=True)
class BatchSettings:
    """
    Settings of a batch: the options of ``jwst-fusion batch``.

    The first six say where and within which limits [s, GiB] targets run, the switches which of them run, and
    parameters and parameter_file what all of them run with.
    """

    output_dir: Path
    workers: int | None = None
    scheduler: str | None = None
    timeout: float = 3600.0
    memory: float | None = None
    threads: int | None = None
    retries: int = 0
    skip_existing: bool = False
    redo_failed: bool = False
    clobber: bool = False
    fail_fast: bool = False
    collect: bool = False
    parameters: tuple = ()
    parameter_file: str | None = None
    command: tuple | None = None  # instead of strun: fuses {association} into the folder {output}

    def __post_init__(self):
        for name, least in (("workers", 1), ("threads", 1), ("retries", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ParameterError(f"{name} = {value} cannot be used: {least} or more is needed")
        for name in ("timeout", "memory"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ParameterError(f"{name} = {value} cannot be used: a positive number is needed")

    @property
    def slots(self):
        """Targets at the same time on this machine."""
        by_memory = int(available_memory() // (4 * GIB))
        return self.workers or max(min(available_threads(), by_memory), 1)

    def with_shares(self, slots, total=0):
        """Fill in one slot's share of memory (of a total [byte]) and threads where they are open."""
        total = total or DEFAULT_SHARE * available_memory()
        threads = self.threads or max(available_threads() // slots, 1)
        return replace(self, workers=slots, memory=self.memory or total / slots / GIB, threads=threads)


@dataclass
class Outcome:
    """Outcome of a batch."""

    # targets of the manifest in each state
    counts: dict = field(default_factory=lambda: dict.fromkeys(STATES, 0))
    ran: int = 0  # targets that were run, or taken over from an earlier run
    refused: int = 0  # targets not run because something is in the way that no batch made
    stopped: str = ""  # why the batch ended early

    @property
    def exit_status(self):
        """Exit status: 0, 1 if some failed, 64 if there was nothing to do."""
        if self.stopped or self.refused or (self.ran and self.counts["FAILED"]):
            return 1
        return 0 if self.ran else NOTHING_TO_DO


def plan_batch(manifest, settings):
    """Plan, without running anything, what would be done with each target: a list of (Target, Plan)."""
    targets = read_manifest(manifest)
    folder = settings.output_dir
    _check_folder(folder)
    known = (folder / STATE).is_file()
    with StateFile(folder if known else None, write=False) as state:
        outputs = Outputs(state, settings)
        return [(target, outputs.plan(target)) for target in targets]


def _check_folder(folder):
    """Raise an InputError if outputs may not go to a folder."""
    cure = "name another folder with --output-dir"
    if not is_utf8(str(folder)):
        raise InputError(f"{str(folder)!a}: the folder's name is not UTF-8; {cure}")
    resolved = folder.resolve()
    system = any(resolved.is_relative_to(each) for each in SYSTEM_FOLDERS)
    if system and not resolved.is_relative_to("/dev/shm"):
        raise InputError(f"{folder}: a folder of the system, which cannot hold outputs; {cure}")
    check_own(*(folder / name for name in SUMMARIES))
    if os.path.lexists(folder / "logs") and not (folder / "logs").is_dir():
        raise InputError(f"{folder / 'logs'}: not a folder, but the logs need this name; {cure}")


def run_batch(manifest, settings, report=None):
    """
    Run what is to be done of a manifest, and return the Outcome.

    The Outcome so far, the number of targets and a line of text are reported on each change. Raises
    InputError if the manifest cannot be read, another batch runs in the folder, or the scheduler is not
    there.
    """
    targets = read_manifest(manifest)
    _check_folder(settings.output_dir)
    settings.output_dir.mkdir(parents=True, exist_ok=True)
    if not settings.scheduler:
        settings = settings.with_shares(settings.slots)
    with StateFile(settings.output_dir) as state:
        coordinator = _Coordinator(targets, state, settings, report or (lambda *_: None))
        try:
            coordinator.run()
        finally:
            coordinator.note_unfinished()
            end = time.monotonic() + STOPPING
            while AT_WORK and time.monotonic() < end:  # workers of this process are stopping
                time.sleep(0.05)
            Outputs(state, settings).clean()
            write_summary(settings.output_dir, state.rows)
        return coordinator.outcome


class _Coordinator:
    """Runs targets on Dask; its methods are called in one thread."""

    def __init__(self, targets, state, settings, report):
        self.targets, self.state, self.settings, self.report = targets, state, settings, report
        self.outputs = Outputs(state, settings)
        self.outputs.clean()
        self.outcome = Outcome()
        self._events = queue.Queue()
        self._running = {}
        for target in targets:
            if target.name not in state.rows:
                state.set(target.name, "PENDING", association=str(target.association))
        for name, row in state.rows.items():
            if row["state"] == "RUNNING":  # of a coordinator that is gone
                state.set(name, "PENDING", work="")
        self._topic = f"jwst-fusion-{uuid.uuid4().hex[:12]}"

    def run(self):
        """Settle what needs no work, run the rest."""
        plans = self._to_run()
        first = next(plans, None)
        if first is None:
            return
        with _cluster(self.settings) as (client, slots):
            client.subscribe_topic(self._topic, lambda event: self._events.put(("started", event[1])))
            try:
                for target, plan in chain([first], plans):
                    self._submit(client, target, plan)
                    while len(self._running) >= slots + WAITING or not self._events.empty():
                        self._handle(client, *self._events.get())
                    if self.outcome.stopped:
                        break
                while self._running:
                    self._handle(client, *self._events.get())
            except BaseException:
                client.cancel([future for future, *_ in self._running.values()])
                raise

    def _to_run(self):
        """Yield the targets that are to be run, settling the others on the way."""
        for target in self.targets:
            name, association = target.name, str(target.association)
            plan = self.outputs.plan(target)
            if plan.action == "run" and not self.settings.collect:
                self.state.set(name, "PENDING", association=association, reason=plan.reason)
                yield target, plan
                continue
            reason = plan.reason
            if plan.action == "commit":
                reason = self.outputs.commit(target, plan)["reason"] or reason
                self.outcome.ran += 1
            elif plan.action == "set":
                refused = plan.state == "FAILED"
                more = {"kind": "folder", "work_key": ""} if refused else {"kind": ""}
                self.state.set(name, plan.state, reason=reason, association=association, **more)
                self.outcome.refused += refused
            self._note(name, reason)

    def _submit(self, client, target, plan, attempt=1):
        """Hand a target to Dask."""
        key = f"fusion-{target.name}-{plan.work_key[:16]}-{attempt}"
        job = target.name, plan.work_key, _command(target, self.settings), self.settings, attempt, self._topic
        future = client.submit(run_job, *job, key=key, pure=False)
        self._running[key] = future, target, plan, attempt
        future.add_done_callback(lambda each: self._events.put(("ended", each)))

    def _handle(self, client, kind, event):
        """Take note of a start or an end."""
        if kind == "started":
            name, work, host = event["name"], event["work"], event["host"]
            if self.state.rows[name]["state"] == "PENDING":
                self.state.set(name, "RUNNING", reason="", started=time.time(), work=work, host=host)
                self._note(name, f"on {host}")
            return
        future, target, plan, attempt = self._running.pop(event.key)
        if future.status in ("cancelled", "lost"):
            self.outcome.stopped = (
                self.outcome.stopped or "the scheduler gave targets up; run it again to go on"
            )
            return
        if future.status == "error":
            error = future.exception()
            reason = f"the worker could not run it: {type(error).__name__}: {one_line(error)[:300]}"
            result = {"state": "FAILED", "kind": "worker", "reason": reason}
            self.state.set(
                target.name, **result, attempts=attempt, work_key=plan.work_key, finished=time.time()
            )
        else:
            result = future.result()
        future.release()
        if result["state"] == "PENDING":
            return
        if result["state"] == "FAILED" and result["kind"] in _RETRIED and attempt <= self.settings.retries:
            self.state.set(target.name, "PENDING", reason=result["reason"])
            self._note(target.name, f"{result['reason']}; tried again")
            self._submit(client, target, plan, attempt + 1)
            return
        if "work" in result:
            result = self.outputs.commit(target, plan, result)
        self.outcome.ran += 1
        self._note(target.name, result["reason"] or f"{result['seconds']:.1f} s")
        if result["state"] == "FAILED" and self.settings.fail_fast and not self.outcome.stopped:
            self.outcome.stopped = f"{target.name} failed (--fail-fast)"
            client.cancel([future for future, *_ in self._running.values()])

    def _count(self):
        """Count the states."""
        states = [self.state.rows[target.name]["state"] for target in self.targets]
        self.outcome.counts = {state: states.count(state) for state in STATES}

    def _note(self, name, text):
        """Report the state that a target came to."""
        self._count()
        line = f"{name}: {self.state.rows[name]['state']}" + (f": {text}" if text else "")
        self.report(self.outcome, len(self.targets), line)

    def note_unfinished(self):
        """Note as PENDING what was not finished."""
        for _, target, *_ in self._running.values():
            self.state.set(target.name, "PENDING", reason="not finished when the batch ended", work="")
        self._count()


def _command(target, settings):
    """Build the command that fuses a target."""
    script = Path(sys.executable).with_name("strun")
    command = settings.command or (
        str(script) if script.exists() else shutil.which("strun") or "strun",
        settings.parameter_file or "calwebb_fusion4", "{association}",
        "--output_dir={output}", "--max_memory={memory}",
        *(f"--{_from_anywhere(each)}" for each in (*settings.parameters, *target.parameters)),
    )  # fmt: skip
    return [str(target.association) if part == "{association}" else part for part in command]


def _from_anywhere(parameter):
    """Make the path in a parameter absolute, if it is that of a file: workers have folders of their own."""
    name, _, value = parameter.partition("=")
    return f"{name}={Path(value).absolute()}" if value and os.path.isfile(value) else parameter


@contextmanager
def _cluster(settings):
    """Connect to a scheduler of Dask, or start one in this process; the client, and targets at a time."""
    from distributed import Client, LocalCluster

    if settings.scheduler is not None:
        _check_scheduler(settings.scheduler)
        with Client(settings.scheduler, timeout=TIMEOUT, set_as_default=False) as client:
            yield client, max(sum(client.nthreads().values()), 1)
        return
    options = {"n_workers": 1, "processes": False, "dashboard_address": "127.0.0.1:0", "memory_limit": 0}
    with (
        LocalCluster(threads_per_worker=settings.slots, **options) as local,
        Client(local, set_as_default=False) as client,
    ):
        yield client, settings.slots


def _check_scheduler(address):
    """
    Check the address of a scheduler, and that Dask answers there; an InputError says what is wrong.

    A client of Dask that cannot connect prints a traceback when it is deleted: none is made before.
    """
    from distributed.comm import connect
    from distributed.comm.addressing import get_address_host_port
    from distributed.security import Security

    async def greet():
        await (await connect(address, timeout=TIMEOUT, **options)).close()

    try:
        host, port = get_address_host_port(address)
        if not host or not 0 < port < 65536:
            raise ValueError("host or port missing")
        options = Security().get_connection_args("client")
        if address.startswith(("tls://", "wss://")) and not options.get("ssl_context"):
            raise ValueError("no certificate in Dask's configuration, distributed.comm.tls")
        socket.create_connection((host, port), timeout=TIMEOUT).close()
        asyncio.run(asyncio.wait_for(greet(), TIMEOUT))
    except (OSError, ValueError) as error:
        raise InputError(
            f"no Dask scheduler at {address!r} ({one_line(error) or 'no answer'}); start one and give its "
            "address, such as tcp://host:8786"
        ) from None


def index_job(manifest, index, settings):
    """
    Run one target of a manifest, counted from 0, as a job of a queue; return its record.

    A batch with ``collect`` puts its products in place.
    """
    targets = read_manifest(manifest)
    _check_folder(settings.output_dir)
    if not 0 <= index < len(targets):
        raise ParameterError(f"index {index}: the manifest has targets 0 to {len(targets) - 1}")
    with StateFile(None) as state:
        plan = Outputs(state, settings, take=False).plan(targets[index])
    if plan.action != "run":
        done = plan.action == "commit"
        return {"name": targets[index].name, "state": "DONE" if done else plan.state, "reason": plan.reason}
    (settings.output_dir / WORK).mkdir(parents=True, exist_ok=True)
    settings = settings.with_shares(settings.slots)
    return run_job(targets[index].name, plan.work_key, _command(targets[index], settings), settings)
