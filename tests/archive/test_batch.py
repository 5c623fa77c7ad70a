"""Batches: states, restarts, limits, and what a user sees; with stand-ins for the pipeline."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from PIL import Image

from jwst_fusion.archive import plan, worker
from jwst_fusion.archive.batch import index_job, plan_batch, run_batch
from jwst_fusion.archive.state import StateFile, read_rows
from jwst_fusion.cli import main
from jwst_fusion.commands import batch as commands_batch
from jwst_fusion.exceptions import InputError, ParameterError

from .batches import STANDIN, assert_complete, events, journal, make_manifest, processes_of, settings_for

FATES = {
    "good": ("DONE", "", ""),
    "crash": ("FAILED", "crash", "crashed: segmentation fault (signal 11)"),
    "hang": ("FAILED", "hang", "still running after 5 s"),
    "memory": ("FAILED", "memory", "out of memory: 0."),
    "bad": ("FAILED", "error", "bad_s3d.fits: BUNIT is Jy, MJy/sr needed (exit status 1)"),
    "partial": ("FAILED", "error", "ValueError: broken half way"),
    "empty": ("FAILED", "error", "without a product"),
    "nothing": ("SKIPPED", "nothing", "no usable data overlap"),
    "absent": ("BLOCKED", "", "input absent_s3d.fits of absent is not there"),
}


@pytest.fixture(scope="module")
def fates(tmp_path_factory):
    """A batch in which each target has another fate: folder, outcome and lines of the report."""
    folder = tmp_path_factory.mktemp("fates")
    manifest = make_manifest(folder, FATES)
    (folder / "absent_s3d.fits").unlink()
    lines = []
    settings = settings_for(folder, timeout=5.0, memory=0.2, workers=3)
    outcome = run_batch(manifest, settings, lambda outcome, total, line: lines.append(line))
    return folder, outcome, lines


def test_fates_are_told_apart_and_one_bad_target_harms_no_other(fates):
    folder, outcome, lines = fates
    rows = read_rows(folder / "out")
    for name, (state, kind, reason) in FATES.items():
        row = rows[name]
        assert (row["state"], row["kind"]) == (state, kind)
        assert reason in (row["reason"] or "")
        assert any(line.startswith(f"{name}: {state}") for line in lines)
        assert (folder / "out" / name).exists() == (state == "DONE")
        if state != "BLOCKED":
            assert row["seconds"] > 0
            assert (folder / "out" / row["log"]).is_file()
    assert outcome.exit_status == 1
    assert outcome.counts == {
        "PENDING": 0, "RUNNING": 0, "DONE": 1, "SKIPPED": 1, "FAILED": 6, "BLOCKED": 1
    }  # fmt: skip
    assert_complete(folder, ["good"])


def test_summary_status_and_logs(fates, capsys):
    folder, _, _ = fates
    out = folder / "out"
    table = Table.read(out / "summary.ecsv")
    assert sorted(table["name"]) == sorted(FATES)
    content = json.loads((out / "summary.json").read_text())
    assert content["counts"]["FAILED"] == 6
    assert len(content["targets"]) == len(FATES)
    page = (out / "summary.html").read_text()
    assert page.index(">crash<") < page.index(">absent<") < page.index(">good<")
    links = [part.split('"')[0] for part in page.split('href="')[1:]]
    assert "good/good_fused.fits" in links
    assert "logs/crash.log" in links
    assert all((out / link).is_file() for link in links)
    where = ["--output-dir", str(out)]
    assert main(["batch", "status", *where]) == 1
    shown = capsys.readouterr().out
    assert "1 DONE, 1 SKIPPED, 6 FAILED, 1 BLOCKED" in shown
    assert "crashed: segmentation fault" in shown
    assert main(["batch", "logs", "partial", *where]) == 0
    assert "broken half way" in capsys.readouterr().out
    assert main(["batch", "logs", "absent", *where]) == 1
    assert "has not been run yet" in capsys.readouterr().err
    assert main(["batch", "logs", "nobody", *where]) == 1
    assert main(["batch", "status", "--output-dir", str(folder)]) == 1
    assert "no such file" in capsys.readouterr().err


def test_what_is_done_is_not_done_again_and_what_is_stale_is(tmp_path, monkeypatch):
    names = ["good_a", "good_b", "bad_c", "nothing_d"]
    manifest = make_manifest(tmp_path, names)
    settings = settings_for(tmp_path)
    assert run_batch(manifest, settings).exit_status == 1
    again = run_batch(manifest, settings)
    assert (again.exit_status, again.ran) == (64, 0)
    assert again.counts["DONE"] == 2
    assert sorted(journal(tmp_path)) == ["good_a", "good_b"]

    (tmp_path / "good_a_s3d.fits").write_text("another")
    reasons = {target.name: (each.action, each.reason) for target, each in plan_batch(manifest, settings)}
    assert reasons["good_a"] == ("run", "stale: input good_a_s3d.fits")
    assert [reasons[name][0] for name in names[1:]] == ["keep", "keep", "keep"]
    kept = plan_batch(manifest, replace(settings, skip_existing=True))
    assert [each.action for _, each in kept] == ["keep"] * 4
    assert run_batch(manifest, settings).exit_status == 1  # bad_c is still there
    assert journal(tmp_path)[2:] == ["good_a"]

    redo = [each.action for _, each in plan_batch(manifest, replace(settings, redo_failed=True))]
    assert redo == ["keep", "keep", "run", "keep"]
    assert all(each.action == "run" for _, each in plan_batch(manifest, replace(settings, clobber=True)))
    tuned = plan_batch(manifest, replace(settings, parameters=("steps.fusion.mu=2",)))
    assert [each.reason for _, each in tuned] == ["stale: parameters"] * 2 + ["changed: parameters"] * 2

    monkeypatch.setattr(plan, "_versions", lambda: {"jwst_fusion": "9", "jwst": "9", "stpsf": "9"})
    updated = {target.name: each for target, each in plan_batch(manifest, settings)}
    assert "-> 9" in updated["good_a"].reason
    assert updated["bad_c"].action == "run"
    monkeypatch.undo()

    (tmp_path / "good_b_s3d.fits").unlink()
    assert plan_batch(manifest, settings)[1][1].state == "DONE"
    (tmp_path / "out" / "good_b" / "record.json").unlink()
    assert plan_batch(manifest, settings)[1][1].state == "BLOCKED"


def test_a_change_of_either_of_two_inputs_of_one_name_makes_a_product_stale(tmp_path):
    manifest, settings = make_manifest(tmp_path, ["good"]), settings_for(tmp_path)
    inputs = [tmp_path / "good_s3d.fits", tmp_path / "more" / "good_s3d.fits"]
    inputs[1].parent.mkdir()
    members = [{"expname": str(path), "exptype": "science"} for path in inputs]
    content = {"products": [{"name": "good", "members": members}]}
    (tmp_path / "good_asn.json").write_text(json.dumps(content))
    for path in inputs:
        path.write_text("more")
    assert run_batch(manifest, settings).ran == 1
    for path in inputs:
        path.write_text("another")
        assert run_batch(manifest, settings).ran == 1
    assert run_batch(manifest, settings).ran == 0


def test_retries_try_again_what_may_go_well(tmp_path):
    manifest = make_manifest(tmp_path, ["crash_a", "bad_b"])
    run_batch(manifest, settings_for(tmp_path, retries=2))
    rows = read_rows(tmp_path / "out")
    assert (rows["crash_a"]["attempts"], rows["bad_b"]["attempts"]) == (3, 1)


def test_fail_fast_stops(tmp_path):
    names = [f"good_{index}" for index in range(8)]
    manifest = make_manifest(tmp_path, ["bad_a", *names])
    outcome = run_batch(manifest, settings_for(tmp_path, fail_fast=True, workers=1))
    assert "bad_a failed" in outcome.stopped
    assert outcome.exit_status == 1
    assert outcome.counts["PENDING"] >= 7
    run_batch(manifest, settings_for(tmp_path))
    assert_complete(tmp_path, names)
    assert len(journal(tmp_path)) - len(names) <= 1  # one may be stopped between its last line and its end


def test_command_line_runs_retries_and_watches(tmp_path, capsys, monkeypatch):
    manifest = make_manifest(tmp_path, ["good_a"])
    (tmp_path / "good_a_s3d.fits").unlink()
    assert main(["batch", str(manifest), "--dry-run"]) == 64
    assert "good_a: BLOCKED" in capsys.readouterr().out
    assert main(["batch", str(manifest)]) == 64
    shown = capsys.readouterr()
    assert "nothing to do" in shown.out
    assert "good_a: BLOCKED: input good_a_s3d.fits" in shown.err
    with monkeypatch.context() as patch:
        patch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        assert main(["batch", str(manifest)]) == 64
        assert "[##############################] 1/1: 1 blocked" in capsys.readouterr().err
    assert main(["batch", "status", "--output-dir", str(tmp_path), "--watch", "0.1"]) == 0
    assert main(["batch", "retry", "--output-dir", str(tmp_path)]) == 64
    assert main(["batch", "retry", "good_a", "--output-dir", str(tmp_path)]) == 0
    assert read_rows(tmp_path)["good_a"]["state"] == "PENDING"
    for wrong in (["--workers", "0"], ["--timeout", "0"], ["--memory", "-1"], ["--memory", "nan"],
                  ["--threads", "0"], ["--retries", "-1"], ["--parameter", "mu"],
                  ["--parameter-file", "absent.asdf"], ["--submit", "pbs"], ["--index", "5"]):  # fmt: skip
        assert main(["batch", str(manifest), *wrong]) == 1
        assert "error" in capsys.readouterr().err
    assert main(["batch", str(manifest), "surplus"]) == 1
    (tmp_path / "empty.csv").write_text("association\n")
    assert main(["batch", str(tmp_path / "empty.csv"), "--output-dir", str(tmp_path / "empty")]) == 64


def test_second_coordinator_is_refused_and_a_lost_state_is_found_again(tmp_path):
    manifest = make_manifest(tmp_path, ["good_a"])
    settings = settings_for(tmp_path)
    settings.output_dir.mkdir()
    with StateFile(settings.output_dir), pytest.raises(InputError, match=f"process {os.getpid()}"):
        run_batch(manifest, settings)
    run_batch(manifest, settings)
    (tmp_path / "out" / "batch.jsonl").unlink()
    ((_, skipped),) = plan_batch(manifest, replace(settings, skip_existing=True))
    assert (skipped.action, skipped.state) == ("set", "SKIPPED")
    ((_, taken),) = plan_batch(manifest, settings)
    assert taken.action == "commit"
    assert run_batch(manifest, settings).counts["DONE"] == 1
    assert journal(tmp_path) == ["good_a"]


def test_state_survives_a_line_that_was_cut_short(tmp_path, monkeypatch):
    with StateFile(tmp_path) as state:
        state.set("a", "PENDING", inputs={"x": 1})
        state.set("a", "PENDING", inputs={"x": 1})
        state.set("a", "FAILED", reason="bad")
    whole = (tmp_path / "batch.jsonl").read_bytes()
    (tmp_path / "batch.jsonl").write_bytes(whole[:-5])
    assert read_rows(tmp_path)["a"]["state"] == "PENDING"
    with StateFile(tmp_path, write=False) as state:
        state.set("a", "DONE")
    assert (tmp_path / "batch.jsonl").read_bytes() == whole[:-5]
    with StateFile(tmp_path) as state:
        state.set("a", "SKIPPED")
    row = read_rows(tmp_path)["a"]
    assert (row["state"], row["inputs"], row["reason"]) == ("SKIPPED", {"x": 1}, None)
    assert (tmp_path / "batch.jsonl").read_text().count("PENDING") == 1


def run_and_kill(folder, rng, kills, *, latest):
    """Kill the coordinator at random times, start it again, let it end; number of kills that hit."""
    command = [sys.executable, "-m", "tests.archive.batches", str(folder), "{}"]
    root = STANDIN.parents[2]
    environment = {**os.environ, "STANDIN_SECONDS": "0.3"}
    hits = 0
    for _ in range(kills):
        with (folder / "coordinator.log").open("a") as log:
            process = subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=log)
        begin = time.monotonic()
        while not descendants_running(folder) and process.poll() is None and time.monotonic() - begin < 60:
            time.sleep(0.02)
        time.sleep(rng.uniform(0.0, latest))
        hits += process.poll() is None
        process.kill()
        process.wait()
        end = time.monotonic() + 5
        while processes_of(folder) and time.monotonic() < end:
            time.sleep(0.02)
        assert processes_of(folder) == []
    result = subprocess.run(command, cwd=root, env=environment, check=False, capture_output=True, text=True)
    assert result.returncode in (0, 64), result.stderr
    return hits


def descendants_running(folder):
    """Whether a target of a folder is being worked on."""
    work = folder / "out" / ".work"
    return work.is_dir() and any(work.glob("*/out/*_fused.fits"))


@pytest.mark.parametrize(
    ("targets", "kills", "latest"), [(12, 2, 0.6), pytest.param(100, 10, 1.5, marks=pytest.mark.long)]
)
def test_killed_coordinator_loses_nothing(tmp_path, targets, kills, latest):
    names = [f"good_{index}" for index in range(targets)]
    make_manifest(tmp_path, names)
    assert run_and_kill(tmp_path, np.random.default_rng(5), kills, latest=latest) >= kills / 2
    assert_complete(tmp_path, names)
    assert len(journal(tmp_path)) - len(names) <= kills


@pytest.mark.parametrize("left", ["finished", "renamed", "half", "between"])
def test_each_moment_of_a_kill_is_made_good(tmp_path, left):
    manifest = make_manifest(tmp_path, ["good_a"])
    settings = settings_for(tmp_path)
    out = settings.output_dir
    if left == "between":
        run_batch(manifest, settings)
        (tmp_path / "good_a_s3d.fits").write_text("another")
    record = index_job(manifest, 0, settings)
    work = out / ".work" / os.path.basename(record["work"])
    owner = json.loads((work / "owner.json").read_text())
    (work / "owner.json").write_text(json.dumps({**owner, "pid": 2**22 + 1}))
    if left == "renamed":
        (work / "out").rename(out / "good_a")
    if left == "half":
        (work / "out" / "record.json").unlink()
    if left == "between":
        (out / "good_a").rename(out / ".work" / f"~{work.name}")
    runs = len(journal(tmp_path))
    outcome = run_batch(manifest, settings)
    assert outcome.counts["DONE"] == 1
    assert len(journal(tmp_path)) - runs == (1 if left == "half" else 0)
    assert list((out / ".work").iterdir()) == []
    assert (out / "good_a" / "good_a_fused.fits").is_file()
    assert events(tmp_path, "DONE")[-1] == "good_a"
    assert run_batch(manifest, settings).exit_status == 64


def test_running_scheduler_with_a_worker_that_dies(tmp_path):
    names = [f"good_{index}" for index in range(8)]
    manifest = make_manifest(tmp_path, names)
    address_file = tmp_path / "scheduler.json"
    dask = os.path.join(os.path.dirname(sys.executable), "dask")
    environment = {**os.environ, "STANDIN_SECONDS": "0.4"}
    common = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes = [
        subprocess.Popen([dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
                          "--scheduler-file", str(address_file)], **common)
    ]  # fmt: skip
    try:
        for index in range(2):
            processes.append(
                subprocess.Popen([dask, "worker", "--scheduler-file", str(address_file), "--nthreads", "1",
                                  "--no-nanny", "--no-dashboard", "--name", f"worker{index}",
                                  "--local-directory", str(tmp_path)], **common)
            )  # fmt: skip
        end = time.monotonic() + 60
        text = ""
        while not text.endswith("}") and time.monotonic() < end:  # it is written after it is there
            time.sleep(0.1)
            text = address_file.read_text() if address_file.exists() else ""
        address = json.loads(text)["address"]
        killed = []

        def kill_one(outcome, total, line):
            if outcome.counts["DONE"] >= 2 and outcome.counts["RUNNING"] == 2 and not killed:
                killed.append(line)
                processes[1].kill()

        outcome = run_batch(manifest, settings_for(tmp_path, scheduler=address, memory=None), kill_one)
        assert killed
        assert (outcome.exit_status, outcome.counts["DONE"]) == (0, 8)
        assert_complete(tmp_path, names)
        assert processes_of(STANDIN) == []
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_jobs_of_a_queue_run_and_are_collected(tmp_path):
    names = ["good_a", "good_b", "bad_c"]
    manifest = make_manifest(tmp_path, names)
    settings = settings_for(tmp_path)
    for index in range(3):
        index_job(manifest, index, settings)
    assert not (tmp_path / "out" / "good_a").exists()
    outcome = run_batch(manifest, replace(settings, collect=True))
    assert (outcome.exit_status, outcome.ran) == (1, 3)
    assert_complete(tmp_path, ["good_a", "good_b"])
    with pytest.raises(ParameterError, match="targets 0 to 2"):
        index_job(manifest, 3, settings)


@pytest.mark.parametrize("queue", ["slurm", "htcondor"])
def test_files_for_a_queue_name_what_is_to_be_run(tmp_path, capsys, queue):
    folder = tmp_path / "it's here"
    folder.mkdir()
    manifest = make_manifest(folder, ["good_a", "absent", "good_b"])
    (folder / "absent_s3d.fits").unlink()
    command = ["batch", str(manifest), "--submit", queue, "--memory", "3", "--threads", "2",
               "--timeout", "600", "--parameter", "steps.fusion.mu=2"]  # fmt: skip
    assert main(command) == 0
    assert "2 targets" in capsys.readouterr().out
    if queue == "slurm":
        text = (folder / "array.sbatch").read_text()
        for line in ("--array=0,2", "--cpus-per-task=2", "--mem=3584M", "--time=00:12:00"):
            assert f"#SBATCH {line}\n" in text
        for script in ("submit.sh", "array.sbatch", "collect.sbatch"):
            subprocess.run(["sh", "-n", folder / script], check=True)
        last = text.splitlines()[-1].replace("exec ", "printf '%s\\n' ")
        last = last.replace('"$SLURM_ARRAY_TASK_ID"', "2")
        words = subprocess.check_output(["sh", "-c", last], text=True).split("\n")
        assert words[2:3] == [str(manifest)]
        assert "--parameter=steps.fusion.mu=2" in words
    else:
        text = (folder / "array.sub").read_text()
        assert "queue index in (0, 2)" in text
        assert "request_memory = 3584" in text
        assert f"'{str(manifest).replace(chr(39), chr(39) * 2)}'" in text
    os.remove(folder / "good_a_s3d.fits")
    os.remove(folder / "good_b_s3d.fits")
    assert main(command) == 64


def test_thumbnail_and_verdict_of_a_product(tmp_path):
    cube = np.full((8, 20, 30), np.nan, dtype=np.float32)
    cube[:, 5:15, 5:25] = np.arange(20)
    primary = fits.PrimaryHDU()
    primary.header["FUSVERD"], primary.header["FUSVREAS"] = "amber", "The images are turned."
    fits.HDUList([primary, fits.ImageHDU(cube, name="SCI")]).writeto(tmp_path / "a_fused.fits")
    (tmp_path / "a_fused.html").write_text("report")
    found = worker._describe_product(tmp_path)
    assert found == {
        "product": "a_fused.fits", "report": "a_fused.html", "thumbnail": "thumbnail.png", "verdict": "amber",
        "reason": "The images are turned.",
    }  # fmt: skip
    levels = np.array(Image.open(tmp_path / "thumbnail.png"))
    assert levels.shape == (20, 30)
    assert levels[10, 24] > levels[10, 13] > levels[10, 6]
    assert levels[1, 1] == 0


def test_of_several_gratings_the_worst_verdict_is_told(tmp_path):
    for name, verdict in (("g140h", "green"), ("g235h", "red"), ("g395h", "amber")):
        primary = fits.PrimaryHDU()
        primary.header["FUSVERD"] = verdict
        cube = fits.ImageHDU(np.ones((8, 4, 4), dtype=np.float32), name="SCI")
        fits.HDUList([primary, cube]).writeto(tmp_path / f"a_{name}_fused.fits")
        (tmp_path / f"a_{name}_fused.html").write_text("report")
    found = worker._describe_product(tmp_path)
    assert (found["product"], found["report"], found["verdict"]) == (
        "a_g235h_fused.fits", "a_g235h_fused.html", "red"
    )  # fmt: skip


def test_line_of_a_log_that_tells_the_error(tmp_path):
    path = tmp_path / "log"
    for log, line in (
        ("2026 - stpipe - ERROR - a_s3d.fits: dead\n---\nERROR RUNNING STEP\n    a_s3d.fits:\n    dead\n",
         "a_s3d.fits: dead"),
        ("Traceback (most recent call last):\n  File x\nValueError: no\n  (note)\n", "ValueError: no"),
        ("numpy._core._exceptions._ArrayMemoryError: Unable to allocate 9 GiB\n",
         "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 9 GiB"),
        ("sh: strun: not found\n", "sh: strun: not found"),
        ("", "no word in the log"),
    ):  # fmt: skip
        path.write_text(log)
        assert worker._error_line(path) == line


def test_watch_looks_again_until_it_is_interrupted(tmp_path, capsys, monkeypatch):
    manifest = make_manifest(tmp_path, ["absent"])
    (tmp_path / "absent_s3d.fits").unlink()
    waits = []

    def wait(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(commands_batch.time, "sleep", wait)
    before = signal.getsignal(signal.SIGTERM)
    assert main(["batch", str(manifest), "--watch", "7"]) == 130
    assert waits == [7.0, 7.0, 7.0]
    assert signal.getsignal(signal.SIGTERM) is before
    shown = capsys.readouterr()
    assert "run the same command to go on" in shown.err
    assert shown.out == ""
