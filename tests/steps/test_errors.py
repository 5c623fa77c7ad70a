"""What ends a run, as a user is told of it."""

import errno
import os

from threadpoolctl import threadpool_info

from jwst_fusion import exceptions
from jwst_fusion.cli import main
from jwst_fusion.exceptions import InputError, LimitError, NoOverlapError, user_problem
from jwst_fusion.steps import base
from jwst_fusion.steps.errors import as_exit_error


def test_errors_of_the_system():
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        problem = user_problem(OSError(number, os.strerror(number), "out/p_fused.fits"))
        assert type(problem) is LimitError
        assert str(problem).startswith("out/p_fused.fits: ")
        assert str(problem).endswith("; free some space or choose another output folder")
        assert "None" not in str(user_problem(OSError(number, os.strerror(number))))
    for number in (errno.EACCES, errno.EROFS, errno.EIO, errno.ENOENT):
        problem = user_problem(OSError(number, os.strerror(number), "out/p_fused.fits"))
        assert type(problem) is InputError
        assert str(problem).endswith("; check the path and its permissions")
    problem = user_problem(MemoryError("Unable to allocate\n3 GiB"))
    assert type(problem) is LimitError
    assert "(Unable to allocate 3 GiB); set height and width or wavelength_range" in str(problem)
    assert "(out of memory)" in str(user_problem(MemoryError()))
    for error in (RuntimeError("a bug"), KeyError("x"), OSError("nothing is known of it")):
        assert user_problem(error) is None


def test_a_command_names_its_folder_where_the_system_names_no_file(tmp_path, monkeypatch, capsys):
    def full(*_args, **_options):
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            raise OSError("Not enough space on disk: requested 930527, available 0") from None

    monkeypatch.setattr("jwst_fusion.simulation.simulate", full)
    assert main(["simulate", "disk", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == (
        f"jwst-fusion: error: {tmp_path / 'out'}: No space left on device; free some space or choose another "
        "output folder\n"
    )


def test_one_tree():
    for name in ("FusionError", "InputError", "LimitError", "NoOverlapError", "ParameterError"):
        kind = getattr(exceptions, name)
        error = kind("x.fits: found this, expected that; do this")
        assert user_problem(error) is error
        assert isinstance(as_exit_error(error), kind)
        assert as_exit_error(error).exit_status == (64 if kind is NoOverlapError else 1)


def test_threads_are_those_that_are_granted(monkeypatch):
    before = {pool["prefix"]: pool["num_threads"] for pool in threadpool_info()}
    monkeypatch.setattr(base, "available_threads", lambda: 1)
    with base._threads_as_granted():
        assert {pool["num_threads"] for pool in threadpool_info()} == {1}
    monkeypatch.setattr(base, "available_threads", lambda: 1000)
    with base._threads_as_granted():
        assert {pool["prefix"]: pool["num_threads"] for pool in threadpool_info()} == before
