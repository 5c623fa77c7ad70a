"""Batches of stand-ins for the tests, in this process or in one to be killed."""

import json
import os
import sys
from pathlib import Path

import psutil

from jwst_fusion.archive.batch import BatchSettings, run_batch
from jwst_fusion.archive.manifest import Target, write_manifest

STANDIN = Path(__file__).with_name("standin.py")
PARTS = "part\n" * 10


def make_manifest(folder, names, parameters=()):
    """Write inputs, associations and a manifest; its path."""
    targets = []
    for name in names:
        (folder / f"{name}_s3d.fits").write_text(name)
        members = [{"expname": f"{name}_s3d.fits", "exptype": "science"}]
        path = folder / f"{name}_asn.json"
        path.write_text(json.dumps({"products": [{"name": name, "members": members}]}))
        targets.append(Target(name, path, tuple(parameters)))
    write_manifest(targets, folder / "manifest.json")
    return folder / "manifest.json"


def settings_for(folder, **options):
    """Settings that run the stand-in."""
    command = (sys.executable, str(STANDIN), "{association}", "{output}", str(folder / "journal"))
    options = {"workers": 2, "timeout": 30.0, "memory": 1.0, **options}
    return BatchSettings(folder / "out", command=command, **options)


def journal(folder):
    """Names of the targets whose stand-in came to its end, in order."""
    path = folder / "journal"
    return path.read_text().split() if path.exists() else []


def events(folder, state):
    """Names of the targets that came to a state, in order."""
    lines = (folder / "out" / "batch.jsonl").read_text().split("\n")
    entries = [json.loads(line) for line in lines if line]
    return [entry["name"] for entry in entries if entry.get("state") == state]


def assert_complete(folder, names):
    """Check that each target is done exactly once, and that nothing partial or left over is there."""
    out = folder / "out"
    assert sorted(events(folder, "DONE")) == sorted(names)
    for name in names:
        assert (out / name / f"{name}_fused.fits").read_text() == PARTS
        assert json.loads((out / name / "record.json").read_text())["state"] == "DONE"
    assert list((out / ".work").iterdir()) == []
    assert set(journal(folder)) == set(names)


def processes_of(path):
    """Living processes, other than this one, whose command names a path."""
    every = [process for process in psutil.process_iter(["cmdline"]) if process.pid != os.getpid()]
    return [each for each in every if any(str(path) in word for word in each.info["cmdline"] or [])]


def main(folder, options):
    """Run the batch of a folder; this process is to be killed."""
    folder = Path(folder)
    outcome = run_batch(folder / "manifest.json", settings_for(folder, **json.loads(options)))
    return outcome.exit_status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
