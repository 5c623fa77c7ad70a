"""The notebooks run from their first cell to their last, and are kept with the results of a run."""

import importlib.util
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))

#: Largest size of a notebook with its pictures [bytes].
LARGEST = 250_000


def load_script():
    """The script that runs notebooks, as a module."""
    spec = importlib.util.spec_from_file_location("run_notebooks", ROOT / "examples" / "run_notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def text(notebook):
    """All that the cells have printed."""
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    return "".join(output.get("text", "") for output in outputs)


def kinds(notebook):
    """Kinds of the outputs of each cell."""
    return [
        sorted({kind for output in cell.outputs for kind in output.get("data", {"text": ""})})
        for cell in code(notebook)
    ]


def numbers(pattern, words):
    return [float(found) for found in re.findall(pattern, words)]


def check_fixed_target(words):
    assert len(numbers(r"F21..: scale ([\d.]+)", words)) == 2
    assert min(numbers(r"PSNR ([\d.]+)", words)) > 35


def check_rotating_galaxy(words):
    (cells,), (rms,) = numbers(r"(\d+) cells", words), numbers(r"difference ([\d.]+) km/s", words)
    assert cells > 300
    assert rms < 25
    assert 0.3 < numbers(r"stated error: ([\d.]+)", words)[0] < 1.5


def check_moving_target(words):
    assert numbers(r"differ by ([\d.]+) arcmin", words) == [pytest.approx(10.9, abs=0.1)]
    east = numbers(r"F\w+: ([-+\d.]+),", words)
    assert len(east) == 3
    assert max(east) - min(east) < 0.05


def check_regions(words):
    rows = re.findall(r"^F\w+ +([\d.]+) +([\d.]+) +([\d.]+) ", words, flags=re.MULTILINE)
    assert len(rows) == 4
    for nircam, seen, fused in rows:
        assert float(seen) == pytest.approx(float(nircam), rel=0.01)
        assert float(fused) == pytest.approx(float(nircam), rel=0.15)


def check_held_out_band(words):
    own, paper = (
        numbers(rf"{name} +F187N held out +PSNR ([\d.]+)", words)[0] for name in ("default", "paper")
    )
    assert own > 35
    assert own > paper - 1


def check_batch_of_ten(words):
    assert len(re.findall(r"^field\d DONE", words, flags=re.MULTILINE)) == 9
    assert re.search(r"^field7 FAILED .*cannot be read as a JWST product", words, flags=re.MULTILINE)
    assert "exit status 1" in words


CHECKS = {path.stem: globals()[f"check_{path.stem}"] for path in NOTEBOOKS}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "path",
    [pytest.param(p, marks=pytest.mark.long if p.stem == "batch_of_ten" else ()) for p in NOTEBOOKS],
    ids=lambda path: path.stem,
)
def test_the_notebook_runs(path, tmp_path, monkeypatch):
    """In a process and a folder of its own, in which it leaves nothing."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    folder = tmp_path / "work"
    folder.mkdir()
    script, kept = load_script(), nbformat.read(path, as_version=4)
    notebook = nbformat.read(path, as_version=4)
    script.execute(notebook, folder)
    script.tidy(notebook)
    CHECKS[path.stem](text(notebook))
    assert kinds(notebook) == kinds(kept)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_is_kept_with_small_results(path):
    notebook = nbformat.read(path, as_version=4)
    assert path.stat().st_size < LARGEST
    CHECKS[path.stem](text(notebook))
    assert [cell.execution_count for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))
    assert str(Path.home()) not in path.read_text()
    page = ROOT / "docs" / "tutorials" / f"{path.stem}.rst"
    title = next(cell.source for cell in notebook.cells).splitlines()[0].removeprefix("# ")
    assert page.read_text().splitlines()[0] == title
