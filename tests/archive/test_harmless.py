"""Odd manifests, tables, names and folders: an exit status, one line, and every other file as it was."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jwst_fusion.archive.manifest import RESERVED
from jwst_fusion.archive.state import read_rows
from jwst_fusion.cli import main
from tests.files import contents

from .batches import processes_of

SCRIPT = str(Path(sys.executable).with_name("jwst-fusion"))
CIRCLE = "CIRCLE 0 0 0.01"


def write(path, content=""):
    """Write a file, and the folders that it lies in."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def association(path="a_asn.json", product="a", members=("a_s3d.fits",)):
    """Write an association."""
    members = [{"expname": name, "exptype": "science"} for name in members]
    write(path, json.dumps({"products": [{"name": product, "members": members}]}))


def one(name="a", **entry):
    """Write a manifest of one target, its association and its input."""
    write("a_s3d.fits", "cube")
    association()
    write("m.json", json.dumps([{"association": "a_asn.json", "name": name, **entry}]))


def natural():
    """Write the layout in which the association's stem names the folder that it lies in."""
    write("HH211/a_s3d.fits", "cube")
    write("HH211/a_i2d.fits", "image")
    association("HH211/HH211_asn.json")
    write("m.csv", "association\nHH211/HH211_asn.json\n")


def beside(path, content="mine"):
    """Write a manifest of one target, and a file of the user's."""

    def make():
        one()
        write(path, content)

    return make


def manifest(content):
    """Write a manifest of any content."""
    return lambda: write("m.json", content)


def inputs(**changes):
    """Write a manifest of one target whose association is odd."""

    def make():
        one()
        association(**changes)

    return make


def among_products(add):
    """Write products of an earlier run of the target, one of them in a folder, and add something to them."""

    def make():
        one()
        files = ["a_fused.fits", "more/a.html"]
        write("a/record.json", json.dumps({"name": "a", "work_key": "1", "files": files}))
        for name in files:
            write(f"a/{name}", "old")
        add("a/notes")

    return make


def link():
    """Let the target's folder be a link to another one."""
    one()
    write("elsewhere/mine.txt", "mine")
    os.symlink("elsewhere", "a")


BATCH = ["batch", "m.json"]
DRY = [*BATCH, "--dry-run"]
SCHEDULER = [*BATCH, "--scheduler"]
DEEP = "[" * 100_000

# name: what is there, the command, its exit status, words of its one line
BATCHES = {
    "natural layout": (natural, ["batch", "m.csv"], 1, ["/HH211: not made by a batch", "--output-dir"]),
    "natural layout, dry run": (natural, ["batch", "m.csv", "--dry-run"], 1, ["/HH211: not made", "rename"]),
    "natural layout, queue": (natural, ["batch", "m.csv", "--submit", "slurm"], 1, ["/HH211: not made"]),
    "natural layout, job": (natural, ["batch", "m.csv", "--index", "0"], 1, ["/HH211: not made"]),
    "record of another target": (
        beside("a/record.json", '{"name": "b", "work_key": "1"}'), BATCH, 1, ["/a: not made by a batch"]
    ),
    "record that is a list": (beside("a/record.json", "[]"), BATCH, 1, ["/a: not made by a batch"]),
    "record thousands deep": (beside("a/record.json", DEEP), BATCH, 1, ["/a: not made by a batch"]),
    "notes among products": (among_products(write), BATCH, 1, ["/a/notes: not made", "move it"]),
    "folder among products": (among_products(os.mkdir), BATCH, 1, ["/a/notes: not made", "move it"]),
    "link to a folder among products": (
        among_products(lambda path: os.symlink("..", path)), BATCH, 1, ["/a/notes: not made", "move it"]
    ),
    "folder that is a link": (link, BATCH, 1, ["/a: not made by a batch"]),
    "file in place of the folder": (beside("a"), BATCH, 1, ["/a: not made by a batch"]),
    "log of someone else": (beside("logs/a.log"), BATCH, 1, ["/logs/a.log: not made by a batch"]),
    "logs is a file": (beside("logs"), BATCH, 1, ["/logs: not a folder", "--output-dir"]),
    "summary.html": (beside("summary.html"), BATCH, 1, ["/summary.html: not made", "move it"]),
    "state of someone else": (beside("batch.jsonl"), BATCH, 1, ["/batch.jsonl: not made", "move it"]),
    "state that is a folder": (beside("batch.jsonl/x"), BATCH, 1, ["/batch.jsonl: not made", "move it"]),
    "script of the same name": (
        beside("submit.sh", "jwst-fusion batch m.json"), [*BATCH, "--submit", "slurm"], 1,
        ["/submit.sh: not made by jwst-fusion", "move it"],
    ),
    "target named LOGS": (lambda: one("LOGS"), DRY, 1, ["m.json", "'LOGS' for itself", "otherwise"]),
    "target named ..": (lambda: one(".."), BATCH, 1, ["m.json", "'..' cannot name a folder"]),
    "name with a surrogate": (lambda: one("a\ud800"), BATCH, 1, ["m.json", r"'a\ud800' cannot name"]),
    "path with a surrogate": (
        lambda: one(association="a\ud800.json"), BATCH, 1, ["m.json", "not UTF-8", "rename"]
    ),
    "path with a null": (lambda: one(association="a\0.json"), BATCH, 1, ["m.json", "null character"]),
    "parameter with a surrogate": (
        lambda: one(parameters=["steps.fusion.mu=\udcff"]), BATCH, 1, ["m.json", "not UTF-8"]
    ),
    "another folder": (
        lambda: one(parameters=["steps.fusion.output_dir=/tmp/x"]), BATCH, 1, ["m.json: ", "batch sets steps"]
    ),
    "another folder, abbreviated": (
        one, [*BATCH, "--parameter", "output_di=elsewhere"], 1, ["--parameter: the batch sets output_di"]
    ),
    "more memory": (lambda: one(parameters={"max-memory": 900}), BATCH, 1, ["the batch sets max-memory"]),
    "manifest thousands deep": (manifest(DEEP), BATCH, 1, ["m.json: not a manifest", "recursion", "match"]),
    "manifest not in UTF-8": (manifest(b"association\n\xff.json\n"), BATCH, 1, ["m.json: not a manifest"]),
    "cell of 200 kB": (
        manifest("association\n" + "x" * 200_000), BATCH, 1, ["m.json: not a manifest", "field limit"]
    ),
    "association thousands deep": (
        beside("a_asn.json", DEEP), BATCH, 64, ["a_asn.json: not a readable", "recursion", "asn_from"]
    ),
    "product named ../a": (
        inputs(product="../../../a"), BATCH, 64, ["a_asn.json", "'../../../a' cannot name a file"]
    ),
    "member with a surrogate": (
        inputs(members=["a\ud800.fits"]), BATCH, 64, ["a_asn.json", r"a\ud800.fits' cannot name a file"]
    ),
    "member with a null": (
        inputs(members=["a\0.fits"]), BATCH, 64, ["a_asn.json", r"a\x00.fits' cannot name a file"]
    ),
    "member with a name of 300": (
        inputs(members=["x" * 300]), BATCH, 64, ["input xxx", "is not there", "fetch it"]
    ),
    "manifest in /dev": (one, ["batch", "/dev/null"], 1, ["/dev: a folder of the system", "--output-dir"]),
    "outputs in /proc": (one, [*BATCH, "--output-dir", "/proc/x"], 1, ["/proc/x: a folder of the system"]),
    "outputs below a file": (
        one, [*BATCH, "--output-dir", "a_s3d.fits/x"], 1, ["x: Not a directory", "check the path"]
    ),
    "outputs in a file": (
        one, [*BATCH, "--output-dir", "a_s3d.fits"], 1, ["a_s3d.fits: File exists", "check the path"]
    ),
    "outputs in a name of 300": (one, [*BATCH, "--output-dir", "x" * 300], 1, ["xxx: File name too long"]),
    "outputs not in UTF-8": (one, [*BATCH, "--output-dir", "o\udcff"], 1, [r"o\udcff': the folder's name"]),
    "scheduler http://": (one, [*SCHEDULER, "http://"], 1, ["'http://'", "unknown address", "tcp://host"]),
    "scheduler by TLS": (one, [*SCHEDULER, "tls://127.0.0.1:9"], 1, ["'tls://127.0.0.1:9'", "certificate"]),
    "scheduler of port x": (one, [*SCHEDULER, "tcp://localhost:x"], 1, ["'tcp://localhost:x'", "tcp://host"]),
    "scheduler not there": (one, [*SCHEDULER, "tcp://127.0.0.1:9"], 1, ["127.0.0.1:9'", "refused", "start"]),
}  # fmt: skip

#: What a batch makes beside the manifest, whatever comes of the targets.
OF_A_BATCH = {"batch.jsonl", "summary.ecsv", "summary.html", "summary.json", "out", ".work"}


def check(capsys, folder, command, status, words, made):
    """Run a command: its exit status, one line with all words, and only files that it may make are new."""
    before = contents(folder)
    found = main(command)
    shown = capsys.readouterr()
    text = shown.out + shown.err
    assert found == status, text
    assert "Traceback" not in text
    assert any(all(word in line for word in words) for line in text.splitlines()), text
    after = contents(folder)
    assert {name: after.get(name, "gone") for name in before} == before
    assert set(after) - set(before) <= set(made), text


@pytest.mark.parametrize("case", BATCHES)
def test_batch_harms_nothing(tmp_path, monkeypatch, capsys, case):
    make, command, status, words = BATCHES[case]
    monkeypatch.chdir(tmp_path)
    make()
    check(capsys, tmp_path, command, status, words, OF_A_BATCH if "--dry-run" not in command else ())


def table(*rows, names=("obs_id", "instrument_name", "filters", "productFilename", "dataURI", "size")):
    """Write a table of MAST with a cube that can be fused, and more rows."""

    def make():
        lines = [",".join([*names, "s_region"])]
        first = ("a", "NIRSPEC/IFU", "F170LP;G235H", "a_s3d.fits", "http://127.0.0.1:9/a_s3d.fits", "10")
        lines += [",".join([*row, CIRCLE]) for row in (first, *rows)]
        write("work/t.csv", "\n".join(lines))
        write("a_i2d.fits", "mine")

    return make


def image(filename, name="a", size="10"):
    """Make the row of an image."""
    return (name, "NIRCAM/IMAGE", "F182M", filename, f"http://127.0.0.1:9/{filename}", size)


def with_file(path, content="mine", name="b_i2d.fits"):
    """Write a table of a fusion, and a file of the user's."""

    def make():
        table(image(name))()
        write(path, content)

    return make


MATCH = ["match", "work/t.csv", "--output-dir", "work/out"]
FETCH = [*MATCH, "--download"]
PATH = "a file name that is a path, hidden, not printable, or too long"
OF_A_MATCH = {f"work/out{name}" for name in
              ("", "/match.ecsv", "/manifest.json", "/a_f182m_asn.json", "/checksums.sha256")}  # fmt: skip

MATCHES = {
    "image with a null": (table(image("a\0_i2d.fits")), FETCH, 64, [PATH]),  # more: tests/test_ownership.py
    "observation in ../": (table(image("", name="../../a")), FETCH, 64, [PATH]),
    "other size, not to be had": (
        with_file("work/out/b_i2d.fits"), FETCH, 1, ["b_i2d.fits: not fetched", "stays", "check the network"]
    ),
    "part of a download of ours, not to be had": (
        with_file("work/out/.b_i2d.part.fits"), FETCH, 1, ["b_i2d.fits: not fetched", "try again"]
    ),
    "folder in place of a file": (
        with_file("work/out/b_i2d.fits/mine.txt"), FETCH, 1, ["b_i2d.fits: not a file", "move it"]
    ),
    "checksums of someone else": (
        with_file("work/out/checksums.sha256", "x"), FETCH, 1, ["checksums.sha256: not made", "move it"]
    ),
    "match.ecsv of someone else": (with_file("work/out/match.ecsv"), MATCH, 1, ["match.ecsv: not made"]),
    "manifest of someone else": (
        with_file("work/out/manifest.json", "[]"), MATCH, 1, ["manifest.json: not made", "output folder"]
    ),
    "association of someone else": (
        with_file("work/out/a_f182m_asn.json", "{}"), MATCH, 1, ["a_f182m_asn.json: not made", "move it"]
    ),
    "results in a file": (with_file("work/out"), MATCH, 1, ["work/out: File exists", "check the path"]),
    "cell of 200 kB": (
        table(image("x" * 200_000)), MATCH, 1, ["t.csv: not a readable", "field limit", "export it again"]
    ),
    "table not in UTF-8": (
        lambda: write("work/t.csv", b"obs_id\n\xff\n"), MATCH, 1, ["t.csv: not a readable"]
    ),
    "table of a name of 300": (one, ["match", "x" * 300], 1, ["xxx: File name too long", "check the path"]),
    "checksum of no kind": (
        table(image("b_i2d.fits"), names=("obs_id", "instrument_name", "filters", "productFilename",
                                          "dataURI", "checksum")),
        FETCH, 1, ["b_i2d.fits: not fetched"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MATCHES)
def test_match_harms_nothing(tmp_path, monkeypatch, capsys, case):
    make, command, status, words = MATCHES[case]
    monkeypatch.chdir(tmp_path)
    make()
    check(capsys, tmp_path, command, status, words, OF_A_MATCH)


def test_records_and_unfinished_work_of_someone_else_stay(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    beside("a/record.json")()
    assert main(BATCH) == 1
    assert main(["batch", "retry", "a"]) == 0
    assert Path("a/record.json").read_text() == "mine"
    inputs(product="../a")()
    write(".work/mine/notes.txt", "mine")
    write(".work/a.0123456789ab/out/a_fused.fits", "half")
    check_own = contents(tmp_path)
    assert main(DRY) == 64
    assert contents(tmp_path) == check_own
    assert main(BATCH) == 64
    assert Path(".work/mine/notes.txt").read_text() == "mine"
    assert not Path(".work/a.0123456789ab").exists()


def run(folder, *command, **environment):
    """Run the command in a process of its own."""
    return subprocess.run(
        [SCRIPT, *command], cwd=folder, capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, **environment}, errors="surrogateescape",
    )  # fmt: skip


def start(*command):
    """Start the command so that Ctrl-C ends it, as on a terminal; shells make background jobs ignore it."""
    return subprocess.Popen(
        [SCRIPT, *command], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def test_names_that_a_terminal_or_a_disk_can_not_show(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one("étoile")
    os.remove("a_s3d.fits")
    ended = run(tmp_path, *DRY, PYTHONIOENCODING="ascii")
    assert (ended.returncode, ended.stderr) == (64, "")
    assert r"\xe9toile: BLOCKED" in ended.stdout
    ended = run(tmp_path, "batch", os.fsdecode(b"m\xff.json"))
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "no such file; make one with jwst-fusion match" in ended.stderr
    folder = tmp_path / "gone"
    folder.mkdir()
    ended = subprocess.run(
        ["sh", "-c", 'rmdir "$PWD" && exec "$0" batch m.json', SCRIPT], cwd=folder,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("jwst-fusion: error: the working folder was removed;")
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("options", "number"),
    [([], signal.SIGINT), ([], signal.SIGTERM), (["--index", "0"], signal.SIGTERM)],
    ids=["batch, Ctrl-C", "batch, terminated", "job of a queue, terminated"],
)
def test_interrupted_batch_says_so_in_one_line_and_leaves_nothing(tmp_path, monkeypatch, options, number):
    monkeypatch.chdir(tmp_path)
    one(parameters=["pre_hooks=x"])
    process = start(*BATCH, *options)
    end = time.monotonic() + 60
    while not list(tmp_path.glob(".work/*/log")) and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "interrupted; run the same command to go on"
    assert "Traceback" not in out + err
    # A target that ended just before is taken over by the next run.
    assert all((work / "out" / "record.json").is_file() for work in (tmp_path / ".work").iterdir())
    assert not (tmp_path / "a").exists()
    assert processes_of(tmp_path) == []
    if not options:
        assert read_rows(tmp_path)["a"]["state"] == "PENDING"
        assert (tmp_path / "summary.html").is_file()


def test_something_else_at_the_address_of_a_scheduler(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jwst_fusion.archive.batch.TIMEOUT", 2)
    one()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up():
            for _ in range(2):
                connection, _address = server.accept()
                connection.close()

        threading.Thread(target=hang_up, daemon=True).start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        assert main([*SCHEDULER, address, "--output-dir", "out"]) == 1
    assert read_rows(Path("out"))["a"]["state"] == "PENDING"
    text = capsys.readouterr().err
    assert "Traceback" not in text
    assert f"no Dask scheduler at '{address}'" in text
    assert text.count("jwst-fusion: error") == 1


def test_interrupted_download_says_so_in_one_line_and_leaves_what_was_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        row = (*image("b_i2d.fits")[:4], f"http://127.0.0.1:{server.getsockname()[1]}/b_i2d.fits", "10")
        table(row)()
        write("work/out/b_i2d.fits", "mine")
        process = start(*FETCH)
        connection, _ = server.accept()  # and never answers
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        connection.close()
    assert (process.returncode, err.splitlines()[-1]) == (130, "jwst-fusion: interrupted"), out
    assert "Traceback" not in err
    assert set(contents(tmp_path / "work" / "out")) == {
        "b_i2d.fits", "match.ecsv", "manifest.json", "a_f182m_asn.json"
    }  # fmt: skip
    assert Path("work/out/b_i2d.fits").read_text() == "mine"


NAMES = [*sorted(RESERVED), ".work", ".work/a/out", "a", "a/record.json", "a/a_fused.fits",
         "b", "b/notes.txt", "logs/a.log", "logs/b.log", "a_asn.json", "manifest.json"]  # fmt: skip


LAYOUTS = given(
    names=st.sets(st.sampled_from(NAMES), max_size=6),
    targets=st.lists(st.sampled_from(["a", "b", "logs", "Logs", "summary.html"]), min_size=1, max_size=3),
    options=st.sampled_from([[], ["--dry-run"], ["--clobber"], ["--submit", "slurm"],
                             ["--submit", "htcondor"], ["--skip-existing"], ["--collect"]]),
)  # fmt: skip


@settings(max_examples=12, deadline=None, derandomize=True, database=None)
@LAYOUTS
def test_no_layout_of_files_is_harmed_by_a_batch(tmp_path_factory, names, targets, options):
    assert_unharmed(tmp_path_factory, names, targets, options)


@pytest.mark.long
@settings(max_examples=100, deadline=None)
@LAYOUTS
def test_many_layouts_of_files_are_not_harmed_by_a_batch(tmp_path_factory, names, targets, options):
    assert_unharmed(tmp_path_factory, names, targets, options)


def assert_unharmed(tmp_path_factory, names, targets, options):
    """Run a batch in a folder with these files: all are as they were."""
    folder = tmp_path_factory.mktemp("layout")
    for name in sorted(names, key=len, reverse=True):
        if not (folder / name).exists() and not any(each.is_file() for each in (folder / name).parents):
            write(folder / name, f"mine: {name}")
    lines = [f"{'x' if name == 'a' else 'absent'}.json,{name}\n" for name in targets]
    write(folder / "m.csv", "association,name\n" + "".join(lines))
    write(folder / "a_s3d.fits", "cube")
    association(folder / "x.json")
    before = contents(folder)
    main(["batch", str(folder / "m.csv"), "--parameter", "no.such=1", *options])
    after = contents(folder)
    assert {name: after.get(name, "gone") for name in before} == before
