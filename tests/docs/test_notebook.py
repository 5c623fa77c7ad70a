"""The notebook runs from its first cell to its last."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "fusion_from_python.ipynb"


@pytest.fixture
def executed(tmp_path, monkeypatch):
    """The notebook after it has run, in a process of its own."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    return NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()


def output(notebook, number):
    """All text and the kinds of data that a code cell has put out."""
    cell = [cell for cell in notebook.cells if cell.cell_type == "code"][number]
    text = "".join(out.get("text", "") or out.get("data", {}).get("text/plain", "") for out in cell.outputs)
    return text, {kind for out in cell.outputs for kind in out.get("data", {})}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_notebook_runs_and_shows_a_fused_cube(executed, tmp_path):
    assert "'MJy/sr'" in output(executed, 1)[0]
    assert "F210M scale 1." in output(executed, 2)[0]
    held_out = output(executed, 3)[0]
    assert "F212N, not fused: PSNR" in held_out
    assert float(held_out.split("PSNR")[1].split()[0]) > 25
    assert "image/png" in output(executed, 4)[1]
    assert not list(tmp_path.glob("*.fits"))


def test_the_notebook_is_kept_without_output():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)
