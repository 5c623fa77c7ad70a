"""Files for the array jobs of a queue: one job per target, and one that takes over what they made."""

import shlex
import sys
from pathlib import Path

from jwst_fusion.archive.batch import plan_batch
from jwst_fusion.atomic import write_atomic
from jwst_fusion.exceptions import InputError, ParameterError
from jwst_fusion.ownership import MARK, check_own

__all__ = ["QUEUES", "write_jobs"]

QUEUES = ("slurm", "htcondor")


def write_jobs(queue, manifest, settings, options):
    """
    Write the files that hand a batch to a queue.

    Parameters
    ----------
    queue : {'slurm', 'htcondor'}
        The queue.
    manifest : pathlib.Path
        The manifest.
    settings : BatchSettings
        What the user asks for.
    options : sequence of str
        Options of ``jwst-fusion batch`` to repeat in the jobs.

    Returns
    -------
    files : list of pathlib.Path
        What was written; the first is to be submitted.
    number : int
        Number of targets that are to be run; no file is written for none.

    Raises
    ------
    ParameterError
        If there is no such queue.
    InputError
        If something is in the way of a target that no batch made.
    """
    if queue not in QUEUES:
        raise ParameterError(f"submit = {queue} cannot be used: {' or '.join(QUEUES)} can")
    plans = plan_batch(manifest, settings)
    refused = [plan.reason for _, plan in plans if plan.action == "set" and plan.state == "FAILED"]
    if refused:
        raise InputError(refused[0])
    indices = [index for index, (_, plan) in enumerate(plans) if plan.action == "run"]
    if not indices:
        return [], 0
    folder = settings.output_dir.absolute()
    script = Path(sys.executable).with_name("jwst-fusion")
    base = [str(script), "batch", str(Path(manifest).absolute()), "--output-dir", str(folder), *options]
    content = _slurm if queue == "slurm" else _htcondor
    files, texts = [], content(base, folder, indices, settings)
    check_own(*(folder / name for name in texts))
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_atomic(folder / name, text.encode())
        files.append(folder / name)
        if text.startswith("#!"):
            files[-1].chmod(0o755)
    return files, len(indices)


def _limits(settings):
    """Memory [MiB], threads and time [s] of a job; the queue allows for the start and the end."""
    return int(1024 * (settings.memory or 4.0)), settings.threads or 1, int(settings.timeout) + 120


def _slurm(base, folder, indices, settings):
    """Scripts for Slurm: the array, what collects, and what submits both."""
    memory, threads, seconds = _limits(settings)
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    array = ",".join(str(index) for index in indices)
    log = shlex.quote(f"{folder}/logs/array_%a.out")
    run = shlex.join([*base, "--memory", f"{memory / 1024:g}", "--threads", str(threads)])
    return {
        "submit.sh": f"""#!/bin/sh
# {MARK} batch: runs {len(indices)} targets as an array of Slurm, then puts their products in place.
set -e
job=$(sbatch --parsable {shlex.quote(f"{folder}/array.sbatch")})
sbatch --dependency=afterany:"$job" {shlex.quote(f"{folder}/collect.sbatch")}
""",
        "array.sbatch": f"""#!/bin/sh
# {MARK} batch
#SBATCH --job-name=jwst-fusion
#SBATCH --array={array}
#SBATCH --cpus-per-task={threads}
#SBATCH --mem={memory + 512}M
#SBATCH --time={clock}
#SBATCH --output={log}
exec {run} --index "$SLURM_ARRAY_TASK_ID"
""",
        "collect.sbatch": f"""#!/bin/sh
# {MARK} batch
#SBATCH --job-name=jwst-fusion-collect
#SBATCH --cpus-per-task=1
#SBATCH --mem=2G
#SBATCH --time=01:00:00
#SBATCH --output={shlex.quote(f"{folder}/logs/collect.out")}
exec {shlex.join(base)} --collect
""",
    }


def _htcondor(base, folder, indices, settings):
    """Files for HTCondor: a DAG of the array and of what collects."""
    memory, threads, seconds = _limits(settings)
    script, *arguments = base
    run = [*arguments, "--memory", f"{memory / 1024:g}", "--threads", str(threads), "--index"]

    def quoted(words):
        return " ".join("'" + word.replace("'", "''").replace('"', '""') + "'" for word in words)

    common = f"""# {MARK} batch
universe = vanilla
executable = {script}
getenv = True
should_transfer_files = NO
log = {folder}/logs/htcondor.log
"""
    return {
        "batch.dag": f"""# {MARK} batch: condor_submit_dag {folder}/batch.dag
JOB array {folder}/array.sub
FINAL collect {folder}/collect.sub
""",
        "array.sub": f"""{common}arguments = "{quoted(run)} $(index)"
output = {folder}/logs/array_$(index).out
error = {folder}/logs/array_$(index).out
request_cpus = {threads}
request_memory = {memory + 512}
+MaxRuntime = {seconds}
queue index in ({", ".join(str(index) for index in indices)})
""",
        "collect.sub": f"""{common}arguments = "{quoted([*arguments, "--collect"])}"
output = {folder}/logs/collect.out
error = {folder}/logs/collect.out
request_cpus = 1
request_memory = 2048
queue
""",
    }
