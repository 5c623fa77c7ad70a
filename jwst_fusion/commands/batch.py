"""``jwst-fusion batch``: fuse many targets, inspect the batch, try again."""

import signal
import sys
import time
from pathlib import Path

from jwst_fusion.exceptions import InputError, ParameterError

__all__ = ["add_parser", "run"]


def add_parser(commands):
    """Describe the subcommand."""
    parser = commands.add_parser(
        "batch",
        help="fuse the targets of a manifest, each in a process of its own",
        description="Fuse the targets of a manifest (written by jwst-fusion match, or a table with a column "
        "association). Each target runs in a process of its own with limits on time and memory. Targets that "
        "are done are skipped, and targets that are out of date are fused again, so the command can be "
        "repeated at any time. Exit status: 0, 1 if some targets failed, 64 if there was nothing to do. See "
        "also: batch status, batch logs, batch retry.",
        example="jwst-fusion batch work/manifest.json --output-dir many --workers 2",
    )
    add = parser.add_argument
    add("what", metavar="MANIFEST", help="the manifest, or: status, logs, retry")
    add("names", metavar="NAME", nargs="*", help="targets, after logs or retry")
    add("--output-dir", type=Path, metavar="DIR",
        help="folder for the outputs (default: that of the manifest)")  # fmt: skip
    add("--workers", type=int, metavar="N", help="number of targets at a time (default: one per processor)")
    add("--scheduler", metavar="ADDRESS",
        help="running Dask scheduler, such as tcp://host:8786 (default: own workers)")  # fmt: skip
    add("--submit", metavar="QUEUE",
        help="write files for a queue, slurm or htcondor, and run nothing (default: run here)")  # fmt: skip
    add("--timeout", type=float, default=3600.0, metavar="S", help="time limit of a target [s]")
    add("--memory", type=float, metavar="GIB", help="memory limit of a target [GiB] (default: its share)")
    add("--threads", type=int, metavar="N", help="threads of a target (default: its share)")
    add("--retries", type=int, default=0, metavar="N",
        help="further attempts after a crash, a hang or a lack of memory")  # fmt: skip
    for option, text in (
        ("--skip-existing", "keep existing products, even if inputs, parameters or versions have changed"),
        ("--redo-failed", "run again the targets that failed"),
        ("--clobber", "run again all targets"),
        ("--fail-fast", "stop at the first failure"),
        ("--dry-run", "print what would be done, and do nothing"),
        ("--collect", "only collect the products that the jobs of a queue have finished"),
    ):
        add(option, action="store_true", help=text)
    add("--watch", type=float, nargs="?", const=10.0, metavar="S",
        help="look for new work every S seconds (default: look once; default of S: 10)")  # fmt: skip
    add("--parameter", action="append", default=[], metavar="NAME=VALUE",
        help="parameter of strun for all targets, such as steps.fusion.mu=2 (default: none)")  # fmt: skip
    add("--parameter-file", metavar="FILE", help="parameter file of strun for all targets (default: none)")
    add("--index", type=int, metavar="N",
        help="run target N of the manifest, counted from 0, as a job of a queue (default: all)")  # fmt: skip
    parser.set_defaults(run=run)
    _add_verbs(commands)


def _add_verbs(commands):
    """Describe the subcommands that inspect or change a batch."""
    status = commands.add_parser(
        "batch status",
        help="print the state of all targets of a batch",
        description="Print the state, the time and the reason of each target, and how many targets are in "
        "each state. Exit status: 0, 1 if some targets failed.",
        example="jwst-fusion batch status --output-dir many --watch 30",
    )
    status.add_argument("--watch", type=float, nargs="?", const=10.0, metavar="S",
        help="print the state every S seconds until all targets have ended (default: print it once; "
        "default of S: 10)")  # fmt: skip
    status.set_defaults(names=[])
    logs = commands.add_parser(
        "batch logs",
        help="print the logs of targets of a batch",
        description="Print the logs of the named targets, or of those that failed.",
        example="jwst-fusion batch logs disk --output-dir many",
    )
    retry = commands.add_parser(
        "batch retry",
        help="let failed targets of a batch run again",
        description="Set the named targets, or those that failed, back to PENDING. The next jwst-fusion "
        "batch runs them. Exit status: 0, 64 if there was nothing to do.",
        example="jwst-fusion batch retry disk --output-dir many",
    )
    for parser in (logs, retry):
        parser.add_argument("names", metavar="NAME", nargs="*", help="targets (default: those that failed)")
    for parser, verb in ((status, "status"), (logs, "logs"), (retry, "retry")):
        parser.add_argument("--output-dir", type=Path, default=Path("."), metavar="DIR",
            help="folder of the batch's outputs")  # fmt: skip
        parser.set_defaults(run=run, what=verb)


def run(arguments):
    """Run the batch, or one of the commands that inspect it."""
    verbs = {"status": _status, "logs": _logs, "retry": _retry}
    if arguments.what in verbs:
        return verbs[arguments.what](arguments.output_dir or Path("."), arguments)
    if arguments.names:
        raise ParameterError(
            f"batch: {arguments.names[0]} follows the manifest; names go with logs and retry"
        )
    settings = _settings(arguments)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(arguments, settings)
    except KeyboardInterrupt:
        end = "\n" if sys.stderr.isatty() else ""  # the bar's line
        print(f"{end}interrupted; run the same command to go on", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(arguments, settings):
    """Do what the options ask for; exit status."""
    from jwst_fusion.archive import batch

    if arguments.dry_run:
        return _dry_run(batch.plan_batch(arguments.what, settings))
    if arguments.submit:
        return _submit(arguments, settings)
    if arguments.index is not None:
        record = batch.index_job(arguments.what, arguments.index, settings)
        print(f"{record['name']}: {record['state']}: {record['reason']}")
        return 1 if record["state"] == "FAILED" else 0
    progress = _Progress()
    while True:
        outcome = batch.run_batch(arguments.what, settings, progress)
        if outcome.ran or arguments.watch is None:
            progress.end(outcome, settings.output_dir)
        if arguments.watch is None or outcome.stopped:
            return outcome.exit_status
        time.sleep(arguments.watch)


def _settings(arguments):
    """Make the settings of what the user typed."""
    from jwst_fusion.archive.batch import BatchSettings
    from jwst_fusion.archive.manifest import refuse_own

    for parameter in arguments.parameter:
        if "=" not in parameter:
            raise ParameterError(f"--parameter {parameter}: not of the form steps.fusion.mu=2")
    try:
        refuse_own(arguments.parameter)
    except ValueError as problem:
        raise ParameterError(f"--parameter: {problem}") from None
    if arguments.parameter_file and not Path(arguments.parameter_file).is_file():
        raise ParameterError(f"--parameter-file {arguments.parameter_file}: no such file")
    names = ("workers", "scheduler", "timeout", "memory", "threads", "retries", "skip_existing",
             "redo_failed", "clobber", "fail_fast", "collect")  # fmt: skip
    return BatchSettings(
        output_dir=(arguments.output_dir or Path(arguments.what).parent).absolute(),
        parameters=tuple(arguments.parameter),
        parameter_file=str(Path(arguments.parameter_file).absolute()) if arguments.parameter_file else None,
        **{name: getattr(arguments, name) for name in names},
    )


def _dry_run(plans):
    """Print what would be done; exit status."""
    for target, plan in plans:
        word = {"run": "would run", "commit": "would take over"}.get(plan.action, plan.state)
        print(f"{target.name}: {word}: {plan.reason}")
    number = sum(plan.action in ("run", "commit") for _, plan in plans)
    refused = sum(plan.action == "set" and plan.state == "FAILED" for _, plan in plans)
    print(f"{number} of {len(plans)} targets would be run" + (f", {refused} refused" if refused else ""))
    return 1 if refused else 0 if number else 64


def _submit(arguments, settings):
    """Write the files for a queue; exit status."""
    from jwst_fusion.archive.submit import write_jobs

    options = [f"--parameter={each}" for each in arguments.parameter]
    options += [f"--timeout={settings.timeout:g}", f"--retries={settings.retries}"]
    if settings.parameter_file:
        options.append(f"--parameter-file={settings.parameter_file}")
    files, number = write_jobs(arguments.submit, arguments.what, settings, options)
    if not number:
        print("nothing to do")
        return 64
    start = f"condor_submit_dag {files[0]}" if arguments.submit == "htcondor" else str(files[0])
    print(f"{number} targets in {', '.join(path.name for path in files)}; submit them with: {start}")
    return 0


class _Progress:
    """Shows how a batch goes: a bar on a terminal, lines elsewhere."""

    def __init__(self):
        self._terminal = sys.stderr.isatty()
        self._begin = time.monotonic()

    def __call__(self, outcome, total, line):
        """Show a change."""
        counts = outcome.counts
        settled = total - counts["PENDING"] - counts["RUNNING"]
        if not self._terminal:
            print(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {line}", file=sys.stderr, flush=True)
            return
        if ": FAILED: " in line or ": BLOCKED: " in line:
            print(f"\r\033[K{line}", file=sys.stderr)
        width = 30
        bar = "#" * (width * settled // max(total, 1))
        elapsed = time.monotonic() - self._begin
        words = ", ".join(f"{number} {state.lower()}" for state, number in counts.items() if number)
        text = f"[{bar:<{width}}] {settled}/{total}: {words}, {elapsed:.0f} s"
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    def end(self, outcome, folder):
        """Show the end."""
        if self._terminal:
            print(file=sys.stderr)
        words = ", ".join(f"{number} {state}" for state, number in outcome.counts.items() if number)
        print(f"{words or 'no targets'}; {folder / 'summary.html'}")
        if outcome.stopped:
            print(f"stopped early: {outcome.stopped}")
        elif not outcome.ran:
            print("nothing to do")


def _status(folder, arguments):
    """Print the state of all targets, again and again if asked to; exit status."""
    from jwst_fusion.archive.state import STATES, read_rows

    while True:
        rows = read_rows(folder)
        counts = {state: sum(row["state"] == state for row in rows.values()) for state in STATES}
        for row in sorted(rows.values(), key=lambda row: (STATES.index(row["state"]), row["name"])):
            seconds = row["seconds"] if row["state"] != "RUNNING" else time.time() - row["started"]
            spent = f"{seconds:.0f} s" if seconds else ""
            print(f"{row['state']:<8} {spent:>7} {row['name']}  {row['reason'] or ''}".rstrip())
        print(", ".join(f"{number} {state}" for state, number in counts.items() if number) or "no targets")
        if arguments.watch is None or not (counts["PENDING"] or counts["RUNNING"]):
            return 1 if counts["FAILED"] else 0
        time.sleep(arguments.watch)
        print()


def _logs(folder, arguments):
    """Print the logs of targets; exit status."""
    for name, row in _chosen(folder, arguments).items():
        running = row["state"] == "RUNNING"
        path = Path(row["work"]) / "log" if running else folder / (row["log"] or f"logs/{name}.log")
        if not path.is_file():
            raise InputError(f"{name}: no log {path}; it has not been run yet")
        print(f"==> {name}: {row['state']} <==")
        print(path.read_text(encoding="utf-8", errors="replace"), end="")
    return 0


def _retry(folder, arguments):
    """Set targets back to PENDING; exit status."""
    from jwst_fusion.archive.plan import forget_products
    from jwst_fusion.archive.state import StateFile

    chosen = _chosen(folder, arguments)
    with StateFile(folder) as state:
        for name in chosen:
            forget_products(folder, name)
            state.set(name, "PENDING", reason="to be tried again", work_key="")
            print(f"{name}: PENDING")
    print(f"{len(chosen)} targets will be run by the next jwst-fusion batch")
    return 0 if chosen else 64


def _chosen(folder, arguments):
    """Columns of the named targets by name; of those that failed if none is named."""
    from jwst_fusion.archive.state import read_rows

    rows = read_rows(folder)
    names = arguments.names or [name for name, row in sorted(rows.items()) if row["state"] == "FAILED"]
    for name in names:
        if name not in rows:
            raise InputError(f"{name}: no target of {folder}; jwst-fusion batch status lists them")
    return {name: rows[name] for name in names}
