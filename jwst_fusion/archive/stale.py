"""Fusions that are out of date: files of the archive, members or software are not those of the product."""

from jwst_fusion.archive.plan import versions
from jwst_fusion.archive.state import read_rows, state_path

__all__ = ["outdated"]


def outdated(targets, folder):
    """
    Find the targets whose product is not there, or not what would be made today.

    Parameters
    ----------
    targets : sequence of Target
        The fusions that the archive's table offers today.
    folder : pathlib.Path
        Folder of the outputs of a batch.

    Returns
    -------
    stale : list of (Target, str)
        The targets that are to be fused, and why.
    replaced : set of str
        Names of the files that the archive has made anew since, to be fetched whatever is on the disk.
    """
    rows = read_rows(folder) if state_path(folder).is_file() else {}
    now = versions()
    stale, replaced = [], set()
    for target in targets:
        row = rows.get(target.name, {})
        reasons = []
        if row.get("state") != "DONE":
            reasons.append(f"not fused yet ({row['state']})" if row else "not fused yet")
        used = row.get("inputs") or {}
        if used:
            then = row.get("versions") or {}
            reasons += [
                f"{name} {then.get(name)} -> {now[name]}" for name in now if then.get(name) != now[name]
            ]
            names = {file.filename for file in target.files}
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
