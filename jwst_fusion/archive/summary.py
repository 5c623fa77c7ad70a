"""Summary of a batch: a table, JSON, and a page with pictures, verdicts and links."""

import json
import time

from astropy.table import Table
from jinja2 import Environment, PackageLoader

from jwst_fusion import __version__
from jwst_fusion.archive.state import STATES
from jwst_fusion.archive.table import write_table
from jwst_fusion.atomic import write_atomic
from jwst_fusion.ownership import MARK

__all__ = ["SUMMARIES", "write_summary"]

SUMMARIES = ("summary.ecsv", "summary.json", "summary.html")

#: Columns of the table: their type, and what is there if nothing was written.
COLUMNS = {
    **dict.fromkeys(("name", "state", "kind", "reason", "verdict"), ""), "attempts": 0, "seconds": 0.0,
    "cpu_seconds": 0.0, "peak_bytes": 0, "output_bytes": 0,
    **dict.fromkeys(("host", "product", "report", "log", "thumbnail"), ""),
}  # fmt: skip
UNITS = {"seconds": "s", "cpu_seconds": "s", "peak_bytes": "byte", "output_bytes": "byte"}

#: States in the order of the page: what wants a look comes first.
ORDER = ("FAILED", "BLOCKED", "RUNNING", "PENDING", "SKIPPED", "DONE")


def write_summary(folder, rows):
    """Write ``summary.ecsv``, ``summary.json`` and ``summary.html`` of the rows by name into a folder."""
    ordered = sorted(rows.values(), key=lambda row: row["name"])
    counts = {state: sum(row["state"] == state for row in ordered) for state in STATES}
    content = {"jwst_fusion": __version__, "made_by": MARK, "written": time.time(), "counts": counts,
               "targets": ordered}  # fmt: skip
    listed = [{name: row[name] or none for name, none in COLUMNS.items()} for row in ordered]
    table = Table(
        {name: [row[name] for row in listed] for name in COLUMNS},
        dtype=[type(none) for none in COLUMNS.values()],
        units=UNITS,
        meta={"version": __version__},
    )
    table.remove_column("thumbnail")
    write_table(table, folder / "summary.ecsv")
    templates = Environment(loader=PackageLoader("jwst_fusion.archive"), autoescape=True, trim_blocks=True)
    page = templates.get_template("summary.html").render(
        rows=sorted(listed, key=lambda row: ORDER.index(row["state"])),
        counts={state: counts[state] for state in ORDER},
        date=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), version=__version__, mark=MARK,
    )  # fmt: skip
    write_atomic(folder / "summary.json", (json.dumps(content, indent=1) + "\n").encode())
    write_atomic(folder / "summary.html", page.encode())
