"""Files that are written whole or not at all."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from jwst_fusion import atomic
from jwst_fusion.atomic import atomic_file, together, write_atomic
from jwst_fusion.exceptions import InputError
from jwst_fusion.ownership import MARK

WHOLE = MARK.encode()


@pytest.fixture(params=["without a name", "with a hidden name"], autouse=True)
def way(request, monkeypatch):
    """Both ways to write a file: of a local disk, and of a file system that has only the other."""
    if request.param == "with a hidden name":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "x y é.fits"
    with atomic_file(path) as file:
        file.write(WHOLE)
        file.flush()
        assert not path.exists()
    assert path.read_bytes() == WHOLE
    assert os.listdir(tmp_path) == [path.name]
    with atomic_file(path) as file:
        file.write(b"new")
        assert path.read_bytes() == WHOLE
    assert path.read_bytes() == b"new"


def test_a_failure_leaves_what_was_there(tmp_path):
    def fail(file, error):
        file.write(b"part")
        raise error

    (tmp_path / "x.fits").write_bytes(WHOLE)
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), atomic_file(tmp_path / "x.fits") as file:
            fail(file, error)
        assert os.listdir(tmp_path) == ["x.fits"]
        assert (tmp_path / "x.fits").read_bytes() == WHOLE


def test_files_take_their_names_together(tmp_path):
    with together():
        for name in "ab":
            write_atomic(tmp_path / name, WHOLE)
        with together():
            write_atomic(tmp_path / "c", WHOLE)
        assert not (tmp_path / "c").exists()
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "c"]


def test_none_of_them_takes_its_name_if_one_fails(tmp_path):
    def write():
        for name in ("old", "a", "missing/a"):
            write_atomic(tmp_path / name, b"new")

    def write_in_vain():
        for name in ("a", "b"):
            write_atomic(tmp_path / name, b"new")
        (tmp_path / "b").write_bytes(b"of somebody else, who came between")

    (tmp_path / "old").write_bytes(WHOLE)
    with pytest.raises(NotADirectoryError), together():
        write()
    with pytest.raises(InputError, match="b: not made by jwst-fusion"), together():
        write_in_vain()
    assert sorted(os.listdir(tmp_path)) == ["b", "old"]
    assert (tmp_path / "old").read_bytes() == WHOLE
    assert (tmp_path / "b").read_bytes().startswith(b"of somebody")
    write_atomic(tmp_path / "a", WHOLE)  # not held back any more
    assert (tmp_path / "a").read_bytes() == WHOLE


def test_errors_of_the_system_name_the_file(tmp_path):
    def fail():
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            raise OSError("Not enough space on disk: requested 5, available 3.")  # noqa: B904 - as astropy does

    with pytest.raises(OSError, match="No space") as caught, atomic_file(tmp_path / "y.fits"):
        fail()
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "y.fits"))
    with pytest.raises(NotADirectoryError, match="is not a folder.*missing/x.fits"):
        atomic_file(tmp_path / "missing" / "x.fits").__enter__()
    (tmp_path / "x.fits").touch()
    with pytest.raises(FileExistsError, match="is not replaced.*x.fits"):
        atomic_file(tmp_path / "x.fits", mark=None).__enter__()
    with pytest.raises(InputError, match="x.fits: not made by jwst-fusion .*; move it, or choose another"):
        atomic_file(tmp_path / "x.fits").__enter__()


def test_a_link_that_can_not_be_made_falls_back_to_a_hidden_name(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_PROCESS_FILES", str(tmp_path / "nowhere"), raising=False)
    with atomic_file(tmp_path / "x.fits") as file:
        file.write(b"whole")
    assert os.listdir(tmp_path) == ["x.fits"]


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="files have a hidden name on this system")
def test_not_even_a_killed_process_leaves_a_file(tmp_path):
    code = (
        "import sys, time; from jwst_fusion.atomic import atomic_file\n"
        "with atomic_file(sys.argv[1]) as file:\n"
        "    file.write(bytes(10_000_000)); file.flush(); print('written', flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "x.fits")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"written\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    time.sleep(0.1)
    assert os.listdir(tmp_path) == []
