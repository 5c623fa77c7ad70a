"""Summary of a batch: a table, JSON, and a page with pictures, verdicts and links."""

import html
import io
import json
import time

from astropy.table import Table

from jwst_fusion import __version__
from jwst_fusion.archive.state import STATES
from jwst_fusion.atomic import write_atomic
from jwst_fusion.ownership import MARK

__all__ = ["SUMMARIES", "write_summary"]

SUMMARIES = ("summary.ecsv", "summary.json", "summary.html")

#: Columns of the table, and their units.
COLUMNS = {
    "name": (str, None), "state": (str, None), "kind": (str, None), "reason": (str, None),
    "verdict": (str, None), "attempts": (int, None), "seconds": (float, "s"), "cpu_seconds": (float, "s"),
    "peak_bytes": (int, "byte"), "output_bytes": (int, "byte"), "host": (str, None),
    "product": (str, None), "report": (str, None), "log": (str, None),
}  # fmt: skip

#: States in the order of the page: what wants a look comes first.
ORDER = ("FAILED", "BLOCKED", "RUNNING", "PENDING", "SKIPPED", "DONE")

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif; }
body { margin: 1.5rem auto; max-width: 72rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid #8886; }
td.number { text-align: right; white-space: nowrap; }
img { display: block; width: 96px; image-rendering: pixelated; background: #000; }
.state { font-weight: 600; border-left: .4rem solid #888; padding-left: .4rem; white-space: nowrap; }
.DONE { border-color: #2a8a3e; } .FAILED { border-color: #c62828; }
.BLOCKED { border-color: #d98200; } .RUNNING { border-color: #1668c1; }
.name, .reason { overflow-wrap: anywhere; }
.name { min-width: 14rem; }
ul { list-style: none; display: flex; flex-wrap: wrap; gap: .5rem 1.2rem; padding: 0; }
@media (max-width: 45rem) {
  thead { display: none; } tr { display: block; padding: .6rem 0; border-bottom: 1px solid #8886; }
  td, td.number { display: block; border: 0; text-align: left; padding: .1rem 0; }
}
"""


def write_summary(folder, rows):
    """
    Write ``summary.ecsv``, ``summary.json`` and ``summary.html``.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the outputs.
    rows : dict of dict
        Columns of each target, by name.
    """
    ordered = sorted(rows.values(), key=lambda row: row["name"])
    table = Table(
        {
            name: [kind(row[name]) if row[name] is not None else kind() for row in ordered]
            for name, (kind, _) in COLUMNS.items()
        },
        dtype=[kind for kind, _ in COLUMNS.values()],
    )
    for name, (_, unit) in COLUMNS.items():
        table[name].unit = unit
    table.meta.update(version=__version__, made_by=MARK)
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    write_atomic(folder / "summary.ecsv", text.getvalue().encode())
    counts = {state: sum(row["state"] == state for row in ordered) for state in STATES}
    content = {"jwst_fusion": __version__, "made_by": MARK, "written": time.time(), "counts": counts,
               "targets": ordered}  # fmt: skip
    write_atomic(folder / "summary.json", (json.dumps(content, indent=1) + "\n").encode())
    write_atomic(folder / "summary.html", _page(ordered, counts).encode())


def _page(rows, counts):
    """HTML of the summary."""
    listed = sorted(rows, key=lambda row: ORDER.index(row["state"]))
    totals = "".join(
        f'<li><span class="state {state}">{counts[state]} {state.lower()}</span></li>'
        for state in ORDER
        if counts[state]
    )
    cpu = sum(row["cpu_seconds"] or 0.0 for row in rows)
    date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    body = "\n".join(_line(row) for row in listed)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="generator" content="{MARK}">
<title>Batch of fusions: {len(rows)} targets</title><style>{_STYLE}</style></head><body>
<h1>Batch of fusions: {len(rows)} targets</h1>
<ul>{totals}</ul>
<p>{date}, jwst_fusion {html.escape(__version__)}, {cpu:.0f} s of processor time.
<a href="summary.ecsv">Table</a> <a href="summary.json">JSON</a></p>
<table><thead><tr><th>Picture</th><th>Target</th><th>State</th><th>Verdict</th><th>Time</th><th>Memory</th>
<th>Files</th></tr></thead><tbody>
{body}
</tbody></table></body></html>
"""


def _line(row):
    """Row of the page's table."""
    name, state = html.escape(row["name"]), row["state"]
    picture = ""
    if row["thumbnail"]:
        picture = (
            f'<img src="{html.escape(row["thumbnail"])}" alt="Fused image of {name}, wavelengths averaged">'
        )
    links = " ".join(
        f'<a href="{html.escape(row[key])}">{label}</a>'
        for key, label in (("report", "report"), ("product", "cube"), ("log", "log"))
        if row[key]
    )
    reason = f'<div class="reason">{html.escape(row["reason"])}</div>' if row["reason"] else ""
    seconds = f"{row['seconds']:.1f} s" if row["seconds"] else ""
    memory = f"{row['peak_bytes'] / 2**30:.2f} GiB" if row["peak_bytes"] else ""
    return (
        f'<tr><td>{picture}</td><td class="name">{name}</td><td><span class="state {state}">{state}</span>'
        f'{reason}</td><td>{html.escape(row["verdict"] or "")}</td><td class="number">{seconds}</td>'
        f'<td class="number">{memory}</td><td>{links}</td></tr>'
    )
