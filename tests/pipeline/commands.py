"""Commands as a user types them, each run once in a session of the tests."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent
PATIENCE = 300  # s


@dataclass(frozen=True)
class Finished:
    """
    A command that has run.

    Attributes
    ----------
    folder : pathlib.Path
        Where it ran.
    status : int
        Its exit status.
    stdout, stderr : str
        What it printed.
    """

    folder: Path
    status: int
    stdout: str
    stderr: str

    @property
    def text(self):
        """All that was printed."""
        return self.stdout + self.stderr


def run_command(folder, name, *arguments):
    """Run a console script in a folder, in an environment with nothing set and with warnings shown."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    environment = {"HOME": str(home), "PATH": os.defpath, "PYTHONWARNINGS": "default"}
    result = subprocess.run(
        [BIN / name, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return Finished(folder, result.returncode, result.stdout, result.stderr)


def make_once(folder, make):
    """
    Make a folder in one of the processes of pytest-xdist, while the others wait.

    Parameters
    ----------
    folder : pathlib.Path
        Folder that all processes see; its parent exists.
    make : callable
        Fills the folder that it is given.

    Returns
    -------
    pathlib.Path
        The folder.
    """
    done, failed = (folder.with_name(f"{folder.name}.{state}") for state in ("done", "failed"))
    try:
        folder.mkdir()
    except FileExistsError:
        end = time.monotonic() + PATIENCE
        while not done.exists():
            if failed.exists() or time.monotonic() > end:
                raise RuntimeError(f"{folder} was not made by the process that began it") from None
            time.sleep(0.05)
        return folder
    try:
        make(folder)
    except BaseException:
        failed.touch()
        raise
    done.touch()
    return folder


def run_once(folder, name, *arguments, inputs=()):
    """Run a command that succeeds in a new folder with links to its inputs, once for all processes."""

    def run(empty):
        link(empty, inputs)
        finished = run_command(empty, name, *arguments)
        record = [finished.status, finished.stdout, finished.stderr]
        empty.with_suffix(".json").write_text(json.dumps(record))

    make_once(folder, run)
    finished = Finished(folder, *json.loads(folder.with_suffix(".json").read_text()))
    assert finished.status == 0, "\n".join(finished.text.splitlines()[-20:])
    return finished


def link(folder, paths):
    """Put links to files into a folder."""
    for path in paths:
        (folder / path.name).symlink_to(path)


def names(folder):
    """Names of the files in a folder, hidden ones included, except links to inputs and the home."""
    return sorted(p.name for p in folder.iterdir() if p.name != "home" and not p.is_symlink())
