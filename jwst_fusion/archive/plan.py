"""Plan of each target: the key of its work, the result of earlier runs, and whether that is out of date."""

import hashlib
import json
import os
import re
import shutil
from collections import defaultdict
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from astropy.io import fits

from jwst_fusion.archive.download import checksum_of
from jwst_fusion.archive.state import STATE, read_rows
from jwst_fusion.archive.worker import RECORD, WORK, WORK_NAME, is_alive
from jwst_fusion.association import read_association
from jwst_fusion.atomic import write_atomic
from jwst_fusion.exceptions import InputError
from jwst_fusion.ownership import is_own

__all__ = ["Outputs", "Plan", "forget_products", "outdated"]

#: Packages whose version makes a product another one.
PACKAGES = ("jwst_fusion", "jwst", "stpsf")

#: Columns of a target that the worker's record fills; the coordinator fills the rest.
_RECORDED = ("kind", "reason", "attempts", "started", "finished", "seconds", "cpu_seconds", "peak_bytes",
             "output_bytes", "host", "verdict")  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """Action for a target."""

    action: str  # run; commit (take over what an earlier run finished); set (note a state); keep
    state: str  # that it has then: PENDING to run
    reason: str
    work_key: str = ""  # hash of its inputs' checksums, parameters and versions
    inputs: dict | None = None  # checksum, calibration software and CRDS context of each input, by name
    work: Path | None = None  # folder of what an earlier run finished


def _versions():
    """Version by package of what the products depend on."""
    return {name: metadata.version(name) for name in PACKAGES}


def _new_versions(then):
    """List the packages whose version is not what it was."""
    return [f"{name} {then.get(name)} -> {now}" for name, now in _versions().items() if then.get(name) != now]


class Outputs:
    """
    Products of a batch: what is to be done for each target, and how its product takes its place.

    With take, what earlier runs finished is taken over.
    """

    def __init__(self, state, settings, *, take=True):
        self._state, self._settings, self._folder = state, settings, settings.output_dir
        self._unfinished, self._finished = [], defaultdict(list)
        for work in sorted((self._folder / WORK).glob("*")):
            if not work.is_symlink() and re.fullmatch(f"~?(.+){WORK_NAME}", work.name):
                name = _finished(work)
                (self._finished[name] if take and name else self._unfinished).append(work)

    def clean(self):
        """Remove what earlier runs did not finish, unless it is worked on."""
        for work in self._unfinished:
            if not is_alive(work) and not _finished(work):  # in this order: it may end now
                shutil.rmtree(work, ignore_errors=True)

    def plan(self, target):
        """Decide what is to be done with a target; FAILED if something is in the way that no batch made."""
        plan = self._plan(target)
        reason = self._in_the_way(target) if plan.action == "run" or plan.work else ""
        return Plan("set", "FAILED", reason) if reason else plan

    def _in_the_way(self, target):
        """Reason why the products or the log of a target may not be put in place; empty if they may."""
        cure = "move it, rename the target, or use another --output-dir"
        cure = f"not made by a batch and therefore not replaced; {cure}"
        folder, log = self._folder / target.name, self._folder / "logs" / f"{target.name}.log"
        if not is_own(log):
            return f"{log}: {cure}"
        if not os.path.lexists(folder):
            return ""
        record = _record(folder)
        if folder.is_symlink() or record.get("name") != target.name or "work_key" not in record:
            return f"{folder}: {cure}"
        made = {folder / each for each in (RECORD, *record.get("files", []))}
        made |= {parent for path in made for parent in path.parents}
        for path in sorted(folder.rglob("*")):
            if path not in made:
                return f"{path}: not made by the batch, in a folder that is to be replaced; move it elsewhere"
        return ""

    def _plan(self, target):
        """Decide what is to be done with a target whose folder is free."""
        settings, row = self._settings, self._state.rows.get(target.name, {})
        folder, before = self._folder / target.name, row.get("state")
        there = (folder / RECORD).is_file()
        if settings.skip_existing and not settings.clobber and there:
            if before == "DONE":
                return Plan("keep", "DONE", "its product exists")
            return Plan("set", "SKIPPED", "its product exists (--skip-existing)")
        try:
            product, inputs = _inputs(target, self._state)
        except InputError as reason:
            if there and before == "DONE":
                return Plan("keep", "DONE", "done before; its inputs are gone")
            return Plan("set", "BLOCKED", str(reason))
        key = _work_key(target, product, inputs, settings)
        same = row.get("work_key") == key
        for work in self._finished.get(target.name, []):
            if _record(work / "out").get("work_key") == key:
                return Plan("commit", "", "finished by an earlier run", key, inputs, work)
        if settings.clobber:
            return Plan("run", "PENDING", "to be done again (--clobber)", key, inputs)
        if _record(folder).get("work_key") == key:
            if same and before == "DONE":
                return Plan("keep", "DONE", "done before", key, inputs)
            return Plan("commit", "", "finished by an earlier run", key, inputs)
        if same and before == "SKIPPED":
            return Plan("keep", "SKIPPED", row["reason"], key, inputs)
        if same and before == "FAILED" and not settings.redo_failed:
            return Plan("keep", "FAILED", "failed before (--redo-failed runs it again)", key, inputs)
        return Plan("run", "PENDING", _why(row, there, same, inputs), key, inputs)

    def commit(self, target, plan, result=None):
        """
        Put the products of a finished target in place, then note its state; return its record.

        The products of a target are a folder that takes its name at once; each step may be the last before a
        crash, and the plan of the next run finds what remains to be done. The result is what the worker
        returned; of what an earlier run finished, its record is read.
        """
        folder, logs = self._folder / target.name, self._folder / "logs"
        work = Path(result["work"]) if result else plan.work
        record = result or _record(work / "out" if work else folder)
        reason = self._in_the_way(target) if work else ""
        if reason:  # it came while the target ran: what was made waits in its work folder
            columns = {"state": "FAILED", "kind": "folder", "reason": reason}
            self._state.set(target.name, association=str(target.association), work_key="", work="", **columns)
            return {**record, **columns}
        logs.mkdir(exist_ok=True)
        done = record["state"] == "DONE"
        if work and (work / "log").is_file():
            (work / "log").replace(logs / f"{target.name}.log")
        if work and done:
            if folder.exists():
                folder.rename(self._folder / WORK / f"~{work.name}")
            (work / "out").rename(folder)
        columns = {name: record.get(name) for name in _RECORDED}
        for name in ("product", "report", "thumbnail"):
            columns[name] = f"{target.name}/{record[name]}" if done and record.get(name) else ""
        self._state.set(
            target.name, record["state"], association=str(target.association), work_key=plan.work_key,
            inputs=plan.inputs, versions=_versions(), log=f"logs/{target.name}.log", work="", **columns,
        )  # fmt: skip
        if work:
            for old in (work, work.with_name(f"~{work.name}")):
                shutil.rmtree(old, ignore_errors=True)
        return record


def forget_products(folder, name):
    """Let the next batch make the products of a target anew; a folder that no batch made stays as it is."""
    record = _record(folder / name)
    if record.get("name") == name and "work_key" in record:
        write_atomic(folder / name / RECORD, json.dumps({**record, "work_key": ""}, indent=1).encode())


def outdated(targets, folder):
    """
    Find the targets whose product is not there, or not what would be made today, in the outputs of a batch.

    Returns these targets, each with the reason, and the names of the files that the archive has made anew
    since.
    """
    rows = read_rows(folder) if (folder / STATE).is_file() else {}
    stale, replaced = [], set()
    for target in targets:
        row = rows.get(target.name, {})
        reasons = []
        if row.get("state") != "DONE":
            reasons.append(f"not fused yet ({row['state']})" if row else "not fused yet")
        used = row.get("inputs") or {}
        if used:
            names = {file.filename for file in target.files}
            reasons += _new_versions(row["versions"])
            reasons += [f"{name} is new" for name in sorted(names - used.keys())]
            reasons += [f"{name} is no member now" for name in sorted(used.keys() - names)]
        for file in target.files:
            change = _change(file, used.get(file.filename))
            if change:
                reasons.append(f"{file.filename}: {change}")
                replaced.add(file.filename)
        if reasons:
            stale.append((target, "; ".join(reasons)))
    return stale, replaced


def _change(file, used):
    """Describe how the archive's file differs from the one that was used; empty if it does not."""
    if used is None:
        return ""
    for stated, then, what in (
        (file.calibration, used.get("calibration"), "calibrated by"),
        (file.context, used.get("context"), "references of"),
    ):
        if stated and then and stated != then:
            return f"{what} {then}, now {stated}"
    if len(file.checksum) == 64 and file.checksum.lower() != used["sha256"]:
        return "another checksum"
    return ""


def _why(row, there, same, inputs):
    """State why a target is to be run."""
    if not row or not row["work_key"]:
        return "new"
    if same:
        return {"FAILED": "failed before", "DONE": "its product is gone"}.get(row["state"], "not finished")
    changed = _new_versions(row["versions"])
    names = sorted(inputs.keys() ^ row["inputs"].keys())
    names += [name for name in inputs.keys() & row["inputs"].keys()
              if inputs[name]["sha256"] != row["inputs"][name]["sha256"]]  # fmt: skip
    changed += [f"input {name}" for name in names]
    return f"{'stale' if there else 'changed'}: {', '.join(changed) or 'parameters'}"


def _inputs(target, state):
    """Name of a target's product, checksum and origin of each member; an InputError says what is missing."""
    product, members = read_association(target.association)
    inputs = {}
    for path in dict.fromkeys(members):
        name = str(path) if path.name in inputs else path.name  # of the same name in several folders
        try:
            inputs[name] = {"sha256": state.checksum(path), **_origin(path)}
        except OSError as error:
            raise InputError(
                f"input {path.name} of {product} is not there ({error.strerror}); fetch it, for example with "
                "jwst-fusion match --download"
            ) from None
    return product, inputs


def _origin(path):
    """Calibration software and CRDS context in the header of a file; empty texts if there are none."""
    try:
        header = fits.getheader(path)
    except (OSError, ValueError):
        header = {}
    return {"calibration": str(header.get("CAL_VER", "")), "context": str(header.get("CRDS_CTX", ""))}


def _work_key(target, product, inputs, settings):
    """Hash of all that makes the product what it is."""
    files = {}
    for text in (*target.parameters, *settings.parameters, f"={settings.parameter_file or ''}"):
        path = Path(text.partition("=")[2])
        if os.path.isfile(path):
            files[text] = checksum_of(path)
    content = {
        "product": product,
        "inputs": {name: entry["sha256"] for name, entry in sorted(inputs.items())},
        "parameters": [*settings.parameters, *target.parameters],
        "parameter_files": files,
        "command": settings.command,
        "versions": _versions(),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _finished(work):
    """Name of the target whose work is finished in a folder; empty if it is not."""
    record = _record(work / "out")
    return record.get("name", "") if record.get("state") in ("DONE", "FAILED", "SKIPPED") else ""


def _record(folder):
    """Read the record in a folder of products; empty if there is none."""
    try:
        record = json.loads((folder / RECORD).read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}
