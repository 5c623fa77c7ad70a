"""Tests of the PSFs of STPSF, which runs on data files of our own."""

import numpy as np
import pytest

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.optics import stpsf_source, telescope
from jwst_fusion.optics.analytic import IFUOptics, NIRCamOptics, nircam_otf, nirspec_otf
from jwst_fusion.optics.frequencies import grid_frequencies
from jwst_fusion.optics.pupil import autocorrelation
from jwst_fusion.optics.sources import choose_source
from jwst_fusion.optics.stpsf_source import data_version, nircam_psf, nirspec_psf
from jwst_fusion.optics.telescope import PERFECT_WAVEFRONT

from .stpsf_data import SPACING, coma_and_trefoil, make_data, pupil

SHAPE = (300, 300)  # 10 arcsec, beyond which the wings come in again
FREQUENCIES = grid_frequencies(SHAPE, 0.0333 * np.array([[-0.9, 0.436], [0.436, 0.9]]))
NIRCAM = {"position_angle_v3": 40.0, "detector_pixel": 0.0311, "image_pixel": 0.0308, "pixfrac": 1.0}
NIRSPEC = {
    "position_angle_v3": 40.0, "position_angle_aperture": 40.0 + 138.97165, "spaxel": 0.1,
    "spaxel_position_angle": 10.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def perfect(tmp_path_factory):
    """Data of a telescope without wavefront error, and a cache."""
    base = tmp_path_factory.mktemp("stpsf")
    return make_data(base / "data"), base / "cache"


@pytest.fixture(scope="module")
def skewed(tmp_path_factory):
    """Data of a telescope with a wavefront without symmetry, and a cache."""
    base = tmp_path_factory.mktemp("skewed")
    return make_data(base / "data", coma_and_trefoil()), base / "cache"


def use(monkeypatch, folders):
    monkeypatch.setenv("STPSF_PATH", str(folders[0]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folders[1]))


def departure(found, expected, reach=2.0, scaled=False):
    """
    Largest difference of two PSFs within STPSF's images, in units of the peak.

    If one holds all light in a square, the other in a circle of its area, they differ by a factor near one.
    """
    y, x = np.indices(SHAPE) - 150.0
    inside = np.hypot(x, y) * 0.0333 < reach
    found, expected = (np.fft.fftshift(np.fft.irfft2(o, s=SHAPE), axes=(1, 2)) for o in (found, expected))
    scale = np.vdot(found, expected) / np.vdot(expected, expected) if scaled else 1.0
    assert scale == pytest.approx(1, abs=0.004)
    return abs(found / scale - expected)[:, inside].max() / expected.max()


@pytest.fixture
def other_pupil(monkeypatch):
    """The pupil of STPSF's stand-in in place of the telescope's."""
    monkeypatch.setattr(telescope, "pupil_autocorrelation", lambda: autocorrelation(pupil(), SPACING))
    telescope.light_beyond.cache_clear()
    yield
    telescope.light_beyond.cache_clear()


@pytest.mark.parametrize(("channel", "wavelength"), [("short", 2.0), ("long", 3.6)])
def test_nircam_equals_the_analytic_psf_of_the_same_pupil(
    monkeypatch, other_pupil, perfect, channel, wavelength
):
    use(monkeypatch, perfect)
    psf = nircam_psf(channel, "NRCB3" if channel == "short" else "NRCBLONG", "B", "")
    assert psf.detector == ("NRCB3" if channel == "short" else "NRCB5")
    at = psf.samples(wavelength, wavelength)[0][1:3]
    found, expected = (
        nircam_otf(at, *FREQUENCIES, **NIRCAM, channel=channel, parameters=optics)
        for optics in (NIRCamOptics(psf=psf), NIRCamOptics(PERFECT_WAVEFRONT, PERFECT_WAVEFRONT))
    )
    assert departure(found, expected, scaled=True) < 2e-4
    np.testing.assert_allclose(found[:, 0, 0], 1, atol=1e-6)


def test_the_ifu_equals_the_analytic_psf_of_the_same_pupil(monkeypatch, other_pupil, perfect):
    use(monkeypatch, perfect)
    psf = nirspec_psf("G235H", "F170LP", "MULTIPLE", "")
    at = psf.samples(2.0, 2.0)[0][1:3]
    found, expected = (
        nirspec_otf(at, *FREQUENCIES, **NIRSPEC, parameters=optics)
        for optics in (IFUOptics(psf=psf), IFUOptics(PERFECT_WAVEFRONT))
    )
    assert departure(found, expected, scaled=True) < 2e-4


def test_a_skewed_psf_is_the_same_on_the_sky_for_both_instruments(monkeypatch, skewed):
    """NIRCam's image has V3 up and V2 left, the IFU's is turned with its aperture."""
    use(monkeypatch, skewed)
    pixels = {**NIRCAM, "detector_pixel": 0.0, "image_pixel": 0.0}
    nircam = NIRCamOptics(psf=nircam_psf("short", "NRCB1", "B", ""), short_diffusion=0.0)
    ifu = IFUOptics(psf=nirspec_psf("G235H", "F170LP", "NRS1", ""), element=0.0)
    first = nircam_otf(2.0, *FREQUENCIES, **pixels, parameters=nircam)
    second = nirspec_otf(2.0, *FREQUENCIES, **{**NIRSPEC, "spaxel": 0.0}, parameters=ifu)
    assert abs(first.imag).max() > 0.05
    assert departure(first, second) < 2e-3
    assert departure(first.conj(), second) > 0.05


def test_psfs_are_kept_by_all_that_matters(monkeypatch, perfect, skewed):
    use(monkeypatch, perfect)
    psf = nircam_psf("short", "NRCB3", "B", "")
    at, before = psf.samples(2.0, 2.0)
    monkeypatch.setattr(stpsf_source.StpsfPsf, "_set_up", lambda self: pytest.fail("computed again"))
    again = psf.samples(2.0, 2.0)[1]
    np.testing.assert_array_equal(np.stack(again), np.stack(before))
    kept = sorted((perfect[1] / "jwst_fusion" / "psf" / psf.key).iterdir())
    assert len(kept) >= at.size
    others = [nircam_psf("short", "NRCA1", "A", ""), nirspec_psf("G235H", "F170LP", "NRS1", "")]
    monkeypatch.setenv("STPSF_PATH", str(skewed[0]))
    others.append(nircam_psf("short", "NRCB3", "B", ""))
    assert len({psf.key, *(other.key for other in others)}) == 4


def test_a_broken_file_of_the_cache_is_computed_again(monkeypatch, perfect):
    use(monkeypatch, perfect)
    psf = nircam_psf("short", "NRCB3", "B", "")
    at, before = psf.samples(2.0, 2.0)
    psf._path(at[1]).write_bytes(b"broken")
    done = []
    watched = nircam_psf("short", "NRCB3", "B", "", progress=lambda *count: done.append(count))
    np.testing.assert_array_equal(watched.samples(2.0, 2.0)[1][1], before[1])
    assert done == [(at.size, at.size)]


def test_a_detector_that_is_not_one_is_the_first_of_the_module(monkeypatch, perfect):
    use(monkeypatch, perfect)
    assert nircam_psf("short", "MULTIPLE", "A", "").detector == "NRCA1"
    assert nircam_psf("long", None, "B", "").detector == "NRCB5"


@pytest.mark.parametrize(
    ("version", "words"),
    [(None, "holds no data of STPSF"), ("x", "holds no data"), ("1.5.0", "version 1.5.0")],
)
def test_empty_or_old_data(monkeypatch, tmp_path, caplog, version, words):
    if version is not None:
        (tmp_path / "version.txt").write_text(version)
    monkeypatch.setenv("STPSF_PATH", str(tmp_path))
    with pytest.raises(ParameterError, match=words):
        choose_source("stpsf")
    assert choose_source("auto").name == "analytic"
    assert words in caplog.text
    monkeypatch.delenv("STPSF_PATH")
    with pytest.raises(ParameterError, match="STPSF_PATH is not set"):
        data_version()


def test_incomplete_data_fail_in_one_line(monkeypatch, tmp_path):
    (tmp_path / "version.txt").write_text("2.1.0")
    monkeypatch.setenv("STPSF_PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ParameterError, match="STPSF fails .*set psf_source = analytic"):
        nircam_psf("short", "NRCB3", "B", "").samples(2.0, 2.0)
