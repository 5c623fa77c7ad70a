"""NIRCam images blurred to what the IFU would see."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.fft import irfft2, rfft2
from scipy.ndimage import gaussian_filter

from jwst_fusion.observation import BandImage, CubeData, FusionGrid
from jwst_fusion.optics.analytic import IFUOptics, NIRCamOptics
from jwst_fusion.optics.matching import fill_nearest, match_to_ifu
from jwst_fusion.optics.throughput import bandpass
from jwst_fusion.optics.transfer import band_transfers

from .test_sampled import sampled, spots

SETUPS = [
    ("F182M", (1.66, 2.0), 3, 0.0311),
    ("F335M", (3.1, 3.65), 2, 0.063),
]
SHAPE = (96, 90)
INNER = (slice(30, -30),) * 2


def setup_of(name, limits, d, pixel, angle=33.0):
    """Band, bandpass, cube and grid of an observation without data."""
    wavelength = np.linspace(*limits, 40)
    nothing = np.zeros((40, 1, 1))
    cube = CubeData(nothing, nothing, wavelength, np.ones(40), np.ones((1, 1), dtype=bool), 25.0, 163.97)
    sine, cosine = np.sin(np.radians(angle)), np.cos(np.radians(angle))
    grid = FusionGrid(SHAPE, d, 0.1 / d * np.array([[-cosine, sine], [sine, cosine]]))
    image = np.zeros(SHAPE)
    band = BandImage(name, "B", image, image, 2.0, 25.0, pixel, pixel)
    return band, bandpass(name, "B", wavelength)[0], cube, grid


def views(arguments, seed=1, sigma=1.0):
    """A smooth random scene, periodic, seen by NIRCam and by the IFU."""
    band, weights, cube, grid = arguments
    scene = gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), sigma, mode="wrap") + 1.0
    otfs = band_transfers(band, weights, cube, grid, SHAPE)
    return scene, *(irfft2(rfft2(scene) * otf, s=SHAPE) for otf in otfs)


@pytest.fixture(params=SETUPS, ids=lambda setup: setup[0])
def arguments(request):
    return setup_of(*request.param)


def test_blurred_image_is_what_the_ifu_sees(arguments):
    _, sharp, blunt = views(arguments)
    kept = sharp.copy()
    matched = match_to_ifu(sharp, *arguments)
    np.testing.assert_array_equal(sharp, kept)
    flat = match_to_ifu(np.full(SHAPE, 3.5), *arguments)
    np.testing.assert_allclose(flat[np.isfinite(flat)], 3.5, rtol=1e-9)
    # In the long channel the images differ little to begin with.
    before, after = (np.abs(image - blunt)[INNER].max() / blunt.std() for image in (sharp, matched))
    assert after < 0.02
    assert after < 0.1 * before


def test_psfs_without_symmetry(arguments):
    band, weights, cube, grid = arguments
    band = replace(band, optics=NIRCamOptics(psf=sampled([spots()])))
    cube = replace(cube, optics=IFUOptics(psf=sampled([spots()], frame="aperture")))
    _, sharp, blunt = views((band, weights, cube, grid))
    matched = match_to_ifu(sharp, band, weights, cube, grid)
    before, after = (np.abs(image - blunt)[INNER].max() / blunt.std() for image in (sharp, matched))
    assert after < 0.05 * before


def test_flux_and_place_of_a_source_are_kept(arguments):
    image = np.zeros(SHAPE)
    image[44:47, 50:52] = 2.0
    image = gaussian_filter(image, 1.5)
    matched = np.nan_to_num(match_to_ifu(image, *arguments))
    assert matched.sum() == pytest.approx(24 / 2, rel=2e-3)
    rows, columns = np.indices(SHAPE)
    assert (matched * rows).sum() / matched.sum() == pytest.approx(45.0, abs=0.02)
    assert (matched * columns).sum() / matched.sum() == pytest.approx(50.5, abs=0.02)
    assert matched.max() < 0.97 * image.max()


def test_values_near_unknown_cells_are_unknown(arguments):
    _, sharp, _ = views(arguments)
    image = sharp.copy()
    image[:20] = np.nan
    image[60:64, 40:44] = np.nan
    matched, whole = match_to_ifu(image, *arguments), match_to_ifu(sharp, *arguments)
    known = np.isfinite(matched)
    assert not known[np.isnan(image)].any()
    assert known[30:50, 10:-10].all()
    assert not known[20, 10:-10].any()
    # At most 2 % of such a value comes from unknown cells.
    both = known & np.isfinite(whole)
    np.testing.assert_allclose(matched[both], whole[both], atol=0.02 * np.ptp(sharp))


def test_the_edge_of_the_image_is_a_margin_too(arguments):
    _, sharp, _ = views(arguments)
    known = np.isfinite(match_to_ifu(sharp, *arguments))
    assert known[10:-10, 10:-10].all()
    assert known[0].mean() < 0.2
    assert known[:, -1].mean() < 0.2


def test_an_image_of_another_size_than_the_grid(arguments):
    _, sharp, _ = views(arguments)
    part = match_to_ifu(sharp[:71, 3:80], *arguments)
    whole = match_to_ifu(sharp, *arguments)
    assert part.shape == (71, 77)
    np.testing.assert_allclose(part[30:41, 30:47], whole[30:41, 33:50], atol=5e-3 * sharp.std())


def test_fill_nearest():
    image = np.array([[1.0, np.nan, np.nan, 4.0], [1.0, np.nan, 5.0, np.nan]])
    np.testing.assert_array_equal(fill_nearest(image)[:, [0, 3]], [[1, 4], image[1, [0, 2]]])
    assert np.isfinite(fill_nearest(image)).all()
    whole = np.ones((2, 2))
    assert fill_nearest(whole) is not whole
    np.testing.assert_array_equal(fill_nearest(whole), whole)


def test_a_wave_is_divided_by_nircams_transfer_but_where_there_is_none():
    """A wave of 60 cells comes out as the IFU's; an edge a second of arc away does not reach it."""
    arguments = setup_of(*SETUPS[0], angle=0.0)
    nircam, nirspec = band_transfers(*arguments, (960, 960))
    y, _ = np.indices((120, 90))
    for period, atol in ((60, 2e-3), (6, 4e-3)):
        matched = match_to_ifu(np.cos(2 * np.pi * y / period), *arguments)[30:90, 45]
        ratio = nirspec[960 // period, 0] / nircam[960 // period, 0]
        np.testing.assert_allclose(matched, ratio.real * np.cos(2 * np.pi * y[30:90, 45] / period), atol=atol)


def test_derivatives_are_those_by_the_variance_of_the_blur():
    band, weights, cube, grid = setup_of(*SETUPS[0])
    _, sharp, _ = views((band, weights, cube, grid), sigma=2.0)
    plain, along_x, along_y = match_to_ifu(sharp, band, weights, cube, grid, widths=True)
    for index, slope in enumerate((along_x, along_y)):
        excess = np.zeros(3)
        excess[index] = 2e-5
        wider = match_to_ifu(sharp, band, weights, replace(cube, excess=tuple(excess)), grid)
        np.testing.assert_allclose(
            ((wider - plain) / 2e-5)[INNER], slope[INNER], atol=0.03 * np.nanstd(slope[INNER])
        )
