"""One pointing solution for all images, and the blur of the IFU."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

from jwst_fusion.coregistration import pointing
from jwst_fusion.coregistration.alignment import Offset
from jwst_fusion.coregistration.coregister import CoregistrationSettings, coregister

from ..sky import rich_sky

SKY = rich_sky(seed=11)
WAVELENGTH = np.linspace(1.66, 2.30, 60)
FILTERS = ("F182M", "F187N", "F210M", "F212N")
NAN = float("nan")


def offset(east, north, error, correlation=0.9):
    return Offset(east, north, error, correlation, excess=(0.0, 0.0), excess_error=(1e-4, 1e-4))


def test_bands_that_agree_share_one_offset():
    tied = pointing._tie([offset(0.100, -0.2, 0.001), offset(0.101, -0.2, 0.001)], moving=False)
    assert tied[0] is tied[1]
    assert (tied[0].east, tied[0].north) == pytest.approx((0.1005, -0.2))
    # two errors of 1 mas and a chromatic one of 0.7, averaged, and the 2.2 mas that all bands share
    assert tied[0].error == pytest.approx(np.hypot(np.sqrt((1e-6 + 4.9e-7) / 2), 0.0022), rel=1e-6)


@pytest.mark.parametrize("number", [2, 4])
def test_bands_are_taken_apart_by_a_chance_of_one_in_a_thousand(number):
    """Offsets in the east alone, whose sum of squares is exceeded with a known probability."""
    error = np.hypot(0.001, pointing.CHROMATIC_ASYMMETRY)
    for probability, together in ((0.002, True), (0.0005, False)):
        step = error * np.sqrt(chi2.isf(probability, 2 * (number - 1)) / number)
        measured = [offset(0.1 + step * (-1) ** i, -0.2, 0.001) for i in range(number)]
        tied = pointing._tie(measured, moving=False)
        assert bool(tied[0].east == tied[1].east) is together


def test_bands_that_differ_keep_their_own():
    first, second = pointing._tie([offset(0.10, -0.2, 0.001), offset(0.12, -0.2, 0.001)], moving=False)
    assert (first.east, second.east) == (0.10, 0.12)
    assert first.error == pytest.approx(np.hypot(0.001, 0.0022))


def test_a_band_without_contrast_takes_the_others():
    known, lost = offset(0.10, -0.2, 0.001), offset(0.0, 0.0, NAN, 0.1)
    assert pointing._tie([known, lost], moving=False)[1].east == pytest.approx(0.10)
    assert pointing._tie([known, lost], moving=True)[1] is None


def test_a_trend_with_wavelength_is_measured():
    pivots = np.array([1.8, 1.9, 2.1, 2.2])
    measured = [offset(0.1 + 0.05 * (p - 2), 0.3, 0.001) for p in pivots]
    slope, error = pointing._trend(measured, pivots)
    assert slope == pytest.approx((0.05, 0.0), abs=1e-9)
    assert 0.001 < error < 0.01
    assert np.isnan(pointing._trend(measured[:2], pivots[:2])[1])


def test_the_error_of_a_trend_is_its_scatter_where_the_stated_errors_are_too_small():
    rng, pivots = np.random.default_rng(3), np.linspace(1.7, 2.3, 8)
    pulls = []
    for places in rng.normal(0.0, 0.01, (300, 8, 2)):
        slope, error = pointing._trend([offset(*place, 0.001) for place in places], pivots)
        pulls.append(np.array(slope) / error)
    # those of Student's distribution with 12 degrees of freedom
    assert np.std(pulls) == pytest.approx(np.sqrt(12 / 10), rel=0.12)


def test_a_blur_is_adopted_from_three_standard_errors():
    """Of which no more than 3e-5 arcsec^2 remain however many bands there are; round unless clearly not."""

    def band(x, y, error):
        return Offset(0.0, 0.0, 0.001, 0.9, excess=(x, y), excess_error=(error, error))

    few = [band(1e-4, 1e-4, 5e-5)] * 2
    assert pointing._blur(few)[0] == (0.0, 0.0, 0.0)
    many = [band(2e-4, 2e-4, 5e-5)] * 8
    assert pointing._blur(many)[0] == pytest.approx((2e-4, 2e-4, 0.0))
    sure = [band(8e-5, 8e-5, 1e-6)] * 4
    excess, error = pointing._blur(sure)
    assert excess == (0.0, 0.0, 0.0)
    assert error == pytest.approx(3.35e-5, rel=0.1)
    flat = [band(5e-4, 1e-4, 5e-5)] * 8
    assert pointing._blur(flat)[0] == pytest.approx((5e-4, 1e-4, 0.0))
    assert pointing._blur([band(0, 0, NAN)])[0] == (0.0, 0.0, 0.0)


def measured_on(blur=0.0, names=FILTERS, noise=0.01):
    """Pointing found on a cube whose IFU is blunter than the model by a Gaussian of this sigma [arcsec]."""
    blobs = tuple((x, y, np.hypot(s, blur), peak * s**2 / (s**2 + blur**2)) for x, y, s, peak in SKY.blobs)
    cube = replace(SKY, blobs=blobs).cube(WAVELENGTH, shape=(24, 24), angle=30.0, noise=noise)
    images = [SKY.image(name, offset=(0.21, -0.35), noise=noise, field=7.0) for name in names]
    return coregister(cube, images, CoregistrationSettings()).pointing


def test_the_blur_of_the_ifu_is_measured():
    as_modelled, blunter = measured_on(), measured_on(blur=0.04)
    assert as_modelled.excess == pytest.approx((0.0, 0.0, 0.0), abs=3 * as_modelled.excess_error)
    assert blunter.excess == pytest.approx((0.0016, 0.0016, 0.0), abs=4 * blunter.excess_error)
    assert blunter.excess_error < 3e-4


def test_the_trend_of_a_plain_scene_is_not_significant():
    found = measured_on()
    assert np.abs(found.trend).max() < 4 * found.trend_error
