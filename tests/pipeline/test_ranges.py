"""Every range of Table D.2, the M gratings and the PRISM end to end, and PSFs that are not as assumed."""

import pytest
from astropy.io import fits

from jwst_fusion.quality.metrics import psnr
from jwst_fusion.simulation import simulate
from jwst_fusion.simulation.setups import SETUPS
from tests.console import run_command

from .commands import compare_with_truth

pytestmark = pytest.mark.long

#: Setups of one fusion; the whole of the others has filters of two, which only several cubes take together.
ONE_RANGE = [name for name in SETUPS if name not in ("G140H/F100LP", "G395H/F290LP")]

SMALL = {"fov": 0.9, "image_field": 2.4, "seed": 5}


def fuse(folder, name, **options):
    """Simulate and fuse a scene; the fused cube's file and its gain over bicubic upsampling [dB]."""
    simulate("disk", folder, name=name, **SMALL, **options)
    result = run_command(
        folder, "strun", "calwebb_fusion4", f"{name}_asn.json", "--steps.fusion.save_report=false"
    )
    assert result.status == 0, result.text[-2000:]
    fused, truth, upsampled = compare_with_truth(folder / name)
    return folder / f"{name}_fused.fits", psnr(truth, fused) - psnr(truth, upsampled), result.text


@pytest.mark.parametrize("name", ONE_RANGE)
def test_ranges(tmp_path, name):
    setup = SETUPS[name]
    fused, gain, told = fuse(tmp_path, "d", setup=name, n_wave=200 if setup.grating.endswith("H") else None)
    assert gain > 5
    with fits.open(fused) as hdus:
        used = set(hdus["FILTERS"].data["filter"])
        assert hdus[0].header["FUSDECIM"] == setup.decimation_factor
        wavelength = hdus["SPECTRAL"].data["wavelength"]
    assert used
    assert used <= set(setup.filters)
    # Of F300M the cube has 92 %: told, and left to the user.
    assert all(f"{name} left out" in told for name in set(setup.filters) - used)
    assert wavelength[0] >= setup.fusion_range[0] - 0.03
    assert wavelength[-1] <= setup.fusion_range[1] + 0.06


def test_a_psf_ten_per_cent_wider_than_assumed_is_survived(tmp_path):
    _, gain, _ = fuse(tmp_path, "wide", n_wave=150, wavelength_range=(1.66, 2.3), psf_scale=1.1)
    assert gain > 5
