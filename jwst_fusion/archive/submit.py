"""Files for the array jobs of a queue: one job per target, and one that takes over what they made."""

import shlex
import sys
from pathlib import Path

from jinja2 import Environment, PackageLoader

from jwst_fusion.archive.batch import plan_batch
from jwst_fusion.atomic import write_atomic
from jwst_fusion.exceptions import InputError, ParameterError
from jwst_fusion.ownership import MARK, check_own

__all__ = ["write_jobs"]

#: Templates of the files of each queue; the first is to be submitted.
QUEUES = {
    "slurm": ("submit.sh", "array.sbatch", "collect.sbatch"),
    "htcondor": ("batch.dag", "array.sub", "collect.sub"),
}


def write_jobs(queue, manifest, settings, options):
    """
    Write the files that hand a batch to a queue; return their paths and the number of targets.

    The first is to be submitted. The options of ``jwst-fusion batch`` are repeated in the jobs. No file is
    written if no target is to be run. Raises ParameterError if there is no such queue, InputError if
    something is in the way that no batch made.
    """
    if queue not in QUEUES:
        raise ParameterError(f"submit = {queue} cannot be used: use {' or '.join(QUEUES)}")
    plans = plan_batch(manifest, settings)
    refused = [plan.reason for _, plan in plans if plan.action == "set" and plan.state == "FAILED"]
    if refused:
        raise InputError(refused[0])
    indices = [index for index, (_, plan) in enumerate(plans) if plan.action == "run"]
    if not indices:
        return [], 0
    folder = settings.output_dir.absolute()
    files = [folder / name for name in QUEUES[queue]]
    check_own(*files)
    memory, threads = int(1024 * (settings.memory or 4.0)), settings.threads or 1
    script = str(Path(sys.executable).with_name("jwst-fusion"))
    base = [script, "batch", str(Path(manifest).absolute()), "--output-dir", str(folder), *options]
    run = [*base, "--memory", f"{memory / 1024:g}", "--threads", str(threads)]
    templates = Environment(loader=PackageLoader("jwst_fusion.archive"), keep_trailing_newline=True)
    templates.filters.update(sh=shlex.quote, condor=_condor)
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    for path in files:
        text = templates.get_template(path.name).render(
            mark=MARK, folder=folder, indices=indices, base=base, run=run, memory=memory, threads=threads,
            seconds=int(settings.timeout) + 120,  # the queue allows for the start and the end
        )  # fmt: skip
        write_atomic(path, text.encode())
        if text.startswith("#!"):
            path.chmod(0o755)
    return files, len(indices)


def _condor(word):
    """Quote a word in the new syntax of HTCondor's arguments."""
    return "'" + word.replace("'", "''").replace('"', '""') + "'"
