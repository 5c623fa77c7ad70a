"""What commands make, each run once in a session of the tests."""

import importlib.util
import json
import logging
import os
import time
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from stpipe.exceptions import StpipeExitException

from tests.console import Finished, run_command
from tests.files import contents

PATIENCE = 300  # s


def make_once(folder, make):
    """Make and fill a folder that all processes of pytest-xdist see in one of them, while the others wait."""
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


def fail(step, given, caplog, **parameters):
    """Run a step that must fail: its error, told in one line, and every file as it was."""
    before = contents(Path(os.curdir))
    parameters = {"save_results": True, "configure_log": False, "output_dir": "."} | parameters
    with caplog.at_level(logging.ERROR), pytest.raises(StpipeExitException) as caught:
        step.call(given, **parameters)
    message = str(caught.value)
    assert "\n" not in message
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR] == [message]
    assert contents(Path(os.curdir)) == before
    return caught.value


def names_in(folder):
    """Names of all files below a folder."""
    return sorted(os.path.join(root, file) for root, _, files in os.walk(folder) for file in files)


def compare_with_truth(stem):
    """Fused cube, truth and bicubically upsampled cube on the same cells, by the project's example."""
    path = Path(__file__).parents[2] / "examples" / "compare_with_truth.py"
    specification = importlib.util.spec_from_file_location("compare_with_truth", path)
    example = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(example)
    return example.load(str(stem))[:3]


def spaxels(path, header, shape):
    """Data and errors of the NIRSpec cube in the field of a fused cube, 3 x 3 of whose cells are a spaxel."""
    n_wave, ny, nx = shape
    with fits.open(path) as hdus:
        source = hdus["SCI"].header
        x, y = WCS(source).celestial.wcs_world2pix(*WCS(header).celestial.wcs_pix2world(1, 1, 0), 0)
        first = round((header["CRVAL3"] - source["CRVAL3"]) / source["CDELT3"])
        row, column = round(float(y)), round(float(x))
        field = np.s_[first : first + n_wave, row : row + ny // 3, column : column + nx // 3]
        return hdus["SCI"].data[field].astype(float), hdus["ERR"].data[field].astype(float)
