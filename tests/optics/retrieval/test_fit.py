"""Tests of the fit of wavefront and blur."""

import logging
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from astropy.wcs import WCS

from jwst_fusion.observation import CubeProduct
from jwst_fusion.optics.analytic import NIRCamOptics, nircam_blur
from jwst_fusion.optics.psf import encircled_energy, fwhm, psf_image
from jwst_fusion.optics.retrieval.fit import _Problem, retrieve
from jwst_fusion.optics.retrieval.measure import band_nodes, measure_psf
from jwst_fusion.optics.retrieval.model import BandOptics, PointImage
from jwst_fusion.optics.retrieval.modes import wavefront_modes
from jwst_fusion.optics.retrieval.star_fit import BandStars, at_star, fit_stars
from jwst_fusion.optics.retrieval.stars import find_stars
from jwst_fusion.optics.telescope import SHORT_WAVEFRONT, telescope_otf

from .field import FINE, PIXEL, pixel_psf, smooth_wavefront, star_image, telescope_psf

MODES = wavefront_modes(SHORT_WAVEFRONT)
BLUR = partial(
    nircam_blur,
    detector_pixel=PIXEL,
    image_pixel=PIXEL,
    pixfrac=1.0,
    channel="short",
    parameters=NIRCamOptics(),
)
OPTICS = BandOptics(np.array([2.12]), np.array([1.0]), np.diag([-1.0, 1.0]), PIXEL, BLUR)


def stars_of(image, number, *, noise=0.1, flux=3000.0, seed=0):
    """Cut-outs of stars that the model itself makes, each at another place."""
    rng = np.random.default_rng(seed)
    place, empty = rng.uniform(-0.5, 0.5, (number, 2)), np.zeros((number, 33, 33))
    band = BandStars("F212N", OPTICS, empty, np.full_like(empty, noise), np.zeros(number), place)
    z = rng.standard_normal(MODES.number)
    planes = image(z, 1.0, np.zeros(7))[0]
    stars = np.stack([at_star(image, planes[:1], band, p) for p in place]).reshape(empty.shape)
    return replace(band, data=flux * stars + noise * rng.standard_normal(empty.shape) + 5), z


def test_gradient_is_that_of_finite_differences():
    """Although flux, background and place of each star follow the parameters."""
    image = PointImage(OPTICS, MODES, PIXEL * 17, precision=np.float64)
    stars, z = stars_of(image, 2)
    problem = _Problem([stars, replace(stars, name="F210M")], MODES, precision=np.float64)
    rng = np.random.default_rng(4)
    parameters = np.concatenate([z[:30] + 0.3 * rng.standard_normal(30), 0.3 * rng.standard_normal(14)])
    problem = problem.with_statistics(np.full(30, 1.2), 0.8)
    gradient, matrix = problem.normal(parameters)
    assert np.linalg.eigvalsh(matrix).min() >= 1 - 1e-9
    for j in (0, 7, 29, 30, 35, 40):
        step = 1e-4 * (np.arange(parameters.size) == j)
        found = (problem.cost(parameters + step) - problem.cost(parameters - step)) / 2e-4
        assert gradient[j] == pytest.approx(found, rel=2e-3, abs=2e-3 * np.abs(gradient).max())


def test_a_star_is_fitted_by_its_own_image():
    image = PointImage(OPTICS, MODES, PIXEL * 17, precision=np.float64)
    stars, z = stars_of(image, 3, noise=0.1)
    start = replace(stars, place=stars.place + 0.2)
    fit, _ = fit_stars(start, image, image(z, 1.0, np.zeros(7))[0])
    np.testing.assert_allclose(fit.flux, 3000.0, rtol=2e-3)
    np.testing.assert_allclose(fit.place, stars.place, atol=2e-3)
    used = fit.weight > 0
    assert np.mean(fit.residual[used] ** 2) == pytest.approx(1.0, rel=0.1)


def test_stars_of_the_assumed_psf_are_not_fitted_better_by_a_measured_one():
    """The assumed PSF contains the light that the modes scatter."""
    otf = partial(telescope_otf, position_angle_v3=0.0)
    image, _ = star_image(pixel_psf(psf_image(otf, 2.12, (257, 257), FINE)), 12, seed=4, snr=(5000, 9000))
    found = find_stars(image.data, image.error, image.weight)
    band = BandStars("F212N", OPTICS, found.data, found.error, found.structure, found.place)
    assert retrieve([band], MODES).improvement <= 0


@pytest.mark.parametrize("band", ["F200W", "F210M", "F212N"])
def test_nodes_integrate_over_the_band(band):
    from jwst_fusion.optics.throughput import transmission

    wavelength, weight = band_nodes(band, "B")
    assert len(wavelength) == {"F200W": 3, "F210M": 2, "F212N": 1}[band]
    grid, curve = transmission(band, "B")
    share = curve / grid * np.gradient(grid)
    share /= share.sum()
    assert weight.sum() == pytest.approx(1)
    for power in range(2 * len(wavelength)):
        assert weight @ (wavelength - 2) ** power == pytest.approx(share @ (grid - 2) ** power, abs=1e-9)


@pytest.fixture(scope="module")
def truth():
    """Pupil and a wavefront of 75 nm, which no star of the test knows."""
    return smooth_wavefront(3, 75.0)


@pytest.fixture(scope="module")
def images(truth):
    seen = {"F187N": 1.874, "F212N": 2.1211}
    found = [star_image(pixel_psf(telescope_psf(w, *truth)), 12, filter=f, seed=9) for f, w in seen.items()]
    return [image for image, _ in found]


@pytest.fixture(scope="module")
def measured(images):
    return measure_psf(images)


def test_sources_in_the_field_of_the_cube_are_not_used(images, caplog):
    caplog.set_level("INFO")
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [200, 200]
    wcs.wcs.cdelt = [-PIXEL / 3600, PIXEL / 3600]
    image = replace(images[0], wcs=wcs)
    known = np.ones((1, *image.data.shape))
    cube = CubeProduct("c_s3d.fits", known, known, np.ones(1), wcs, 0.0, 0.0)
    assert measure_psf([image], cube=cube) is None
    assert "in the field of the cube" in caplog.text
    nowhere = replace(cube, data=np.full_like(known, np.nan))
    assert measure_psf([image], cube=nowhere) is not None


def test_width_and_encircled_energy_are_those_of_the_true_psf(measured, truth):
    """To half a per cent, where those assumed are off by more."""
    for wavelength in (1.874, 2.1211):
        true = pixel_psf(telescope_psf(wavelength, *truth))
        at, psfs = measured.psf.samples(wavelength, wavelength)
        nearest = np.argmin(abs(at - wavelength))
        step = measured.psf.pixel_scale
        assert abs(at[nearest] / wavelength - 1) < 0.01
        same = pixel_psf(telescope_psf(at[nearest], *truth))
        side = psfs[nearest].shape[0] // 2
        cut = slice(side - 128, side + 129)
        seen = pixel_psf(psfs[nearest][cut, cut].astype(float))
        assert step == pytest.approx(FINE, rel=0.01)
        assert fwhm(seen, step) == pytest.approx(fwhm(same, FINE), rel=0.005)
        for radius in (0.1, 0.2):
            energies = [encircled_energy(p, s, radius) for p, s in ((seen, step), (same, FINE))]
            assert energies[0] == pytest.approx(energies[1], rel=0.012)
        assert true.sum() == pytest.approx(1)


def test_error_is_measured_on_stars_left_out(measured):
    for band in ("F187N", "F212N"):
        assert 0.005 <= measured.error[band] < 0.015
        assert measured.assumed_error[band] > 2 * measured.error[band]
        assert measured.stars[band] >= 10


def test_a_band_without_stars_has_the_blur_of_the_others(measured):
    optics = measured.nircam("F210M", NIRCamOptics())
    np.testing.assert_allclose(optics.excess, np.mean(list(measured.excess.values()), axis=0))
    assert optics.psf_error == max(measured.error.values())


def test_trailed_stars_of_a_moving_target_leave_the_assumed_psf(images, truth, caplog):
    """The same images serve a moving target as long as its stars show no trail."""
    assert measure_psf(images[1:], moving=True) is not None
    psf = pixel_psf(telescope_psf(2.1211, *truth))
    trail = np.mean([np.roll(psf, step, axis=1) for step in range(-3, 4)], axis=0)  # 7 cells: 1.75 pixels
    image, _ = star_image(trail, 12, seed=9)
    with caplog.at_level(logging.INFO):
        assert measure_psf([image], moving=True) is None
    assert "stars are trailed" in caplog.text


def test_few_stars_leave_the_assumed_psf(images, caplog):
    flat = replace(
        images[0], data=np.random.default_rng(0).standard_normal((200, 200)).astype("f4"), weight=None
    )
    with caplog.at_level(logging.INFO):
        assert measure_psf([flat]) is None
    assert (
        "not measured: 0 usable stars in the images of the short channel, 3 needed (no candidates)"
        in caplog.text
    )


def test_a_crowded_field_leaves_the_assumed_psf(truth, caplog):
    """A star on each 12 x 12 pixels: none is isolated."""
    rng = np.random.default_rng(1)
    places = np.stack(np.meshgrid(*[np.arange(40, 260, 12)] * 2), -1).reshape(-1, 2)
    stars = np.column_stack([places + rng.uniform(-3, 3, places.shape), rng.uniform(1000, 3000, len(places))])
    image, _ = star_image(pixel_psf(telescope_psf(2.1211, *truth)), stars=stars, side=300)
    with caplog.at_level(logging.INFO):
        assert measure_psf([image]) is None
    assert "neighbour" in caplog.text


def test_saturated_stars_leave_the_assumed_psf(images, caplog):
    """Where they saturate, an image has holes."""
    bright = images[0].data > np.quantile(images[0].data, 0.99)
    image = replace(images[0], data=np.where(bright, np.nan, images[0].data))
    with caplog.at_level(logging.INFO):
        assert measure_psf([image]) is None
    assert "PSFs are not measured" in caplog.text


def test_sources_that_are_no_stars_leave_the_assumed_psf(truth, caplog):
    """Double stars, none like the other: their residuals fit no common PSF."""
    psf = pixel_psf(telescope_psf(2.1211, *truth))
    rng = np.random.default_rng(2)
    _, stars = star_image(psf, 8, seed=2)
    angle = rng.uniform(0, 2 * np.pi, len(stars))
    second = stars + np.column_stack([2.5 * np.cos(angle), 2.5 * np.sin(angle), np.zeros(len(stars))])
    second[:, 2] *= rng.uniform(0.2, 0.9, len(stars))
    image, _ = star_image(psf, stars=np.concatenate([stars, second]), seed=2)
    with caplog.at_level(logging.INFO):
        found = measure_psf([image])
    assert found is None or found.error["F212N"] < found.assumed_error["F212N"]
