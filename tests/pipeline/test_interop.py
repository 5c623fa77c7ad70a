"""The fused cube in tools that need an environment of their own (``make test-interop``)."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("JWST_FUSION_INTEROP", ROOT / ".venv-interop")) / "bin" / "python"

pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason="no environment with jdaviz, q3dfit and spectral-cube: make test-interop"
)


@pytest.fixture(scope="module")
def hdulist(product):
    with fits.open(product, memmap=False) as hdus:
        yield hdus


def read(tool, path, folder):
    """What a tool makes of a file."""
    script = Path(__file__).with_name("interop_script.py")
    environment = {"HOME": str(folder), "PATH": os.defpath}
    result = subprocess.run(
        [PYTHON, script, tool, path], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads(result.stdout.splitlines()[-1])


def test_cubeviz_loads_flux_uncertainty_and_flags(product, hdulist, tmp_path):
    found = read("cubeviz", product, tmp_path)
    shape = list(hdulist["SCI"].shape)
    cubes = [label for label, size in found["shapes"].items() if size == shape]
    assert len(cubes) == 3
    assert any("UNC" in label for label in cubes)
    assert any("DQ" in label for label in cubes)
    assert found["uncertainty"]
    assert found["unit"] == "MJy / sr"
    assert found["total"] == pytest.approx(np.nansum(hdulist["SCI"].data, dtype=float), rel=1e-3)


def test_q3dfit_reads_by_number(product, hdulist, tmp_path):
    found = read("q3dfit", product, tmp_path)
    assert found["shape"] == list(hdulist["SCI"].shape[::-1])
    np.testing.assert_allclose(found["wave"], hdulist["SPECTRAL"].data["wavelength"], rtol=1e-7)
    assert found["dq"] in "iu"


def test_spectral_cube_slices(product, hdulist, tmp_path):
    found = read("spectral_cube", product, tmp_path)
    assert found["shape"] == [10, 10, 12]
    expected = WCS(hdulist["SCI"].header).wcs_pix2world([[9, 7, 13]], 0)[0]
    np.testing.assert_allclose(found["place"], expected * [1, 1, 1e6], rtol=1e-9)
