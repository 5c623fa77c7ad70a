"""Console scripts as a user types them, without the seconds that each takes for its imports."""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

BIN = Path(sys.executable).parent
PATIENCE = 300  # s

#: Processes are forked from one that has imported what all commands need, and nothing of pytest's.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "asdf_astropy.extensions",
        "gwcs.extension",
        "jwst.associations.asn_from_list",
        "jwst.stpipe",
        "jwst_fusion.cli",
        "jwst_fusion.pipeline",
        "jwst_fusion.quality.report",
        "ndcube",
        "photutils.detection",
        "stpipe._cli.strun",
    ]
)


@dataclass(frozen=True)
class Finished:
    """A command that has run."""

    folder: Path  # where it ran
    status: int
    stdout: str
    stderr: str

    @property
    def text(self):
        """All that was printed."""
        return self.stdout + self.stderr


def _become(name, arguments, folder, environment, streams):
    """Turn a new process into that of a console script."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it in the background
    for number, path in enumerate(streams, start=1):
        file = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    warnings.resetwarnings()
    warnings.simplefilter("default")
    os.chdir(folder)
    sys.argv = [str(BIN / name), *arguments]
    (script,) = entry_points(group="console_scripts", name=name)
    sys.exit(script.load()())


def _bare(folder):
    """Variables of an environment with a home of its own in the folder, and no others but the threads."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    kept = {name: os.environ[name] for name in ("OMP_NUM_THREADS",) if name in os.environ}
    return {"HOME": str(home), "PATH": os.defpath, "PYTHONWARNINGS": "default", **kept}


def start_command(folder, name, *arguments):
    """Run a console script as the shell does, imports and all."""
    result = subprocess.run(
        [BIN / name, *arguments], cwd=folder, env=_bare(folder), capture_output=True, text=True, check=False
    )
    return Finished(folder, result.returncode, result.stdout, result.stderr)


def run_command(folder, name, *arguments, **environment):
    """Run a console script in a folder, in an environment with nothing set and with warnings shown."""
    environment = _bare(folder) | environment
    with tempfile.TemporaryDirectory() as outside:
        streams = [os.path.join(outside, stream) for stream in ("stdout", "stderr")]
        given = [os.fsdecode(argument) for argument in arguments]
        process = CONTEXT.Process(target=_become, args=(name, given, folder, environment, streams))
        process.start()
        process.join(PATIENCE)
        if process.exitcode is None:
            process.kill()
            process.join()
        printed = [Path(path).read_text() for path in streams]
    status = process.exitcode
    process.close()
    return Finished(folder, status, *printed)
