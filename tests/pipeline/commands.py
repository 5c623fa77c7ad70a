"""What commands make, each run once in a session of the tests."""

import json
import time

from tests.console import Finished, run_command

PATIENCE = 300  # s


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


def run_once(folder, name, *arguments, inputs=(), run=run_command):
    """Run a command that succeeds in a new folder with links to its inputs, once for all processes."""

    def make(empty):
        link(empty, inputs)
        finished = run(empty, name, *arguments)
        record = [finished.status, finished.stdout, finished.stderr]
        empty.with_suffix(".json").write_text(json.dumps(record))

    make_once(folder, make)
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
