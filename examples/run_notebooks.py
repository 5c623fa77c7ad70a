"""
Run the notebooks of the documentation and keep their results in them.

    python examples/run_notebooks.py [NOTEBOOK ...]

Without arguments all of ``docs/notebooks`` are run. The gallery and the tutorials of the documentation show
the results as they stand in the notebooks. Look at the pictures before you commit them.
"""

import base64
import io
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from PIL import Image

NOTEBOOKS = Path(__file__).parents[1] / "docs" / "notebooks"

#: Kinds of output that are kept, beside printed text.
KINDS = ("image/png", "text/html", "text/plain")


def execute(notebook, folder, timeout=600):
    """
    Run a notebook.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        The notebook; it is changed in place.
    folder : path-like
        Working folder.
    timeout : float, optional
        Time limit of a cell [s].
    """
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(
        notebook, timeout=timeout, kernel_name="python3", resources=resources, record_timing=False
    )
    client.execute()


def tidy(notebook):
    """Keep what readers need of the outputs: printed text, tables and pictures."""
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.outputs = [output for output in map(_tidy_output, cell.outputs) if output is not None]
        cell.metadata = {}
    notebook.metadata.language_info = {"name": "python"}


def _tidy_output(output):
    """Tidy one output; None if it is not kept."""
    if output.output_type == "stream":
        return output if output.name == "stdout" else None
    data = output.get("data", {})
    kept = {kind: data[kind] for kind in KINDS if kind in data}
    if "image/png" in kept:
        return nbformat.v4.new_output("display_data", {"image/png": _compressed(kept["image/png"])})
    return nbformat.v4.new_output("display_data", kept) if kept else None


def _compressed(text):
    """Write a PNG without transparency, compressed well."""
    file = io.BytesIO()
    Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB").save(file, format="png", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")


def main(paths):
    """Run notebooks and write them anew."""
    for path in paths or sorted(NOTEBOOKS.glob("*.ipynb")):
        started = time.monotonic()
        notebook = nbformat.read(path, as_version=4)
        with TemporaryDirectory() as folder:
            execute(notebook, folder)
        tidy(notebook)
        Path(path).write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{path}: {time.monotonic() - started:.0f} s, {Path(path).stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main(sys.argv[1:])
