"""Tests of PSFs given as images."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from jwst_fusion.exceptions import InputError
from jwst_fusion.optics.analytic import IFUOptics, NIRCamOptics, nircam_otf, nirspec_otf
from jwst_fusion.optics.frequencies import grid_frequencies
from jwst_fusion.optics.sampled import SampledPsf, _core_position, check_psf, transform
from jwst_fusion.optics.telescope import telescope_otf

NIRSPEC = {
    "position_angle_v3": 40.0, "position_angle_aperture": 178.97, "spaxel": 0.1,
    "spaxel_position_angle": 10.0,
}  # fmt: skip


def spots(side=41, scale=0.02):
    """A PSF without symmetry: a spot in the middle, and a fainter one to the right and up."""
    y, x = (np.indices((side, side)) - (side - 1) / 2) * scale
    image = np.exp(-(x**2 + y**2) / 0.002) + 0.3 * np.exp(-((x - 0.1) ** 2 + (y - 0.14) ** 2) / 0.002)
    return image / image.sum()


def sampled(images, wavelength=(2.0,), scale=0.02, **options):
    return SampledPsf(np.array(wavelength), np.asarray(images), scale, **options)


@pytest.mark.parametrize("side", [40, 41])
def test_transform_equals_the_direct_sum(side):
    rng = np.random.default_rng(3)
    image = spots(side) * rng.uniform(0.5, 1.5, (side, side))
    image /= image.sum() / 0.97
    fx, fy = rng.uniform(-14, 14, (2, 300))
    at = (np.arange(side) - (side - 1) / 2) * 0.02
    direct = np.array(
        [
            np.exp(-2j * np.pi * b * at) @ image @ np.exp(-2j * np.pi * a * at)
            for a, b in zip(fx, fy, strict=True)
        ]
    )
    halo = 0.03 * np.exp(-2 * (np.pi * 0.5 * side * 0.02) ** 2 * (fx**2 + fy**2))
    np.testing.assert_allclose(transform(image, 0.02, fx, fy), direct + halo, atol=1e-5)
    assert transform(image, 0.02, np.zeros(1), np.zeros(1))[0] == pytest.approx(1, abs=1e-7)
    assert not transform(image, 0.02, np.array([26.0]), np.array([0.0])).any()


@pytest.mark.parametrize(
    ("frame", "turned", "angle"), [("v3", 40.0, 70.0), ("aperture", 178.97, 200.0), ("sky", 0.0, 0.0)]
)
def test_a_skewed_psf_lies_at_its_position_angle(frame, turned, angle):
    """The fainter spot is at x = +0.1", y = +0.14": 35.5 deg clockwise of the image's y axis."""
    psf = sampled([spots()], frame=frame, angle=angle)
    optics = IFUOptics(psf=psf, element=0.0, jitter=0.0)
    cell, shape = 0.02, (64, 64)
    frequencies = grid_frequencies(shape, np.diag([-cell, cell]))  # north up, east left
    otf = nirspec_otf(2.0, *frequencies, **{**NIRSPEC, "spaxel": 0.0}, parameters=optics)[0]
    image = np.fft.fftshift(np.fft.irfft2(otf, s=shape))
    y, x = (np.indices(shape) - 32) * cell
    image = np.where(np.hypot(x, y) > 0.1, image, 0)
    row, column = np.unravel_index(image.argmax(), shape)
    found = np.degrees(np.arctan2(-x[row, column], y[row, column]))
    expected = turned + angle - np.degrees(np.arctan2(0.1, 0.14))
    assert abs((found - expected + 180) % 360 - 180) < 5
    assert np.hypot(x, y)[row, column] == pytest.approx(0.172, abs=0.015)


def test_nircam_and_what_the_images_contain():
    cell = 0.02
    frequencies = grid_frequencies((64, 64), np.diag([-cell, cell]))
    kwargs = {"position_angle_v3": 40.0, "detector_pixel": 0.031, "image_pixel": 0.03, "pixfrac": 1.0}
    bare = sampled([spots()])
    pure, jittered, whole = (
        nircam_otf(
            2.0,
            *frequencies,
            **kwargs,
            parameters=NIRCamOptics(psf=replace(bare, includes=what), jitter=0.01),
        )
        for what in ("telescope", "jitter", "all")
    )
    jitter = np.exp(-2 * (np.pi * 0.01) ** 2 * (frequencies[0] ** 2 + frequencies[1] ** 2))
    np.testing.assert_allclose(pure, jittered * jitter, atol=1e-12)
    assert abs(whole[0, 5, 5]) > abs(jittered[0, 5, 5]) * 1.01
    blurred = nirspec_otf(
        2.0, *frequencies, **NIRSPEC,
        parameters=IFUOptics(psf=replace(bare, includes="all"), excess=(0.001, 0.001)),
    )  # fmt: skip
    assert abs(blurred[0, 5, 5]) < abs(whole[0, 5, 5]) * 0.999


def test_sampled_psfs_of_the_analytic_model_give_its_otf():
    from jwst_fusion.optics.build import build_nirspec
    from jwst_fusion.optics.sources import choose_source

    entry = build_nirspec(choose_source("analytic"), grating="G235H", filter="F170LP", limits=(1.98, 2.02))
    frequencies = grid_frequencies((150, 150), np.diag([-0.0333, 0.0333]))
    wavelength = np.array([1.985, 2.0, 2.013])
    found, expected = (
        nirspec_otf(wavelength, *frequencies, **NIRSPEC, parameters=optics)
        for optics in (IFUOptics(psf=entry.psf), IFUOptics())
    )
    found, expected = (np.fft.irfft2(otf, s=(150, 150)) for otf in (found, expected))
    scale = np.vdot(found, expected) / np.vdot(expected, expected)
    assert scale == pytest.approx(1, abs=0.004)  # a square and a circle of its area
    assert abs(found / scale - expected).max() < 2e-4 * expected.max()


def test_one_psf_stands_for_all_wavelengths_and_several_are_interpolated():
    frequencies = np.array([1.0, 3.0]), np.array([0.5, -2.0])
    one = sampled([spots()]).otf(np.array([1.0, 5.0]), *frequencies)
    np.testing.assert_array_equal(one[0], one[1])
    wavelength = np.linspace(1.9, 2.1, 5)
    images = spots()[np.newaxis] * (1 + 0.01 * (wavelength - 2))[:, np.newaxis, np.newaxis]
    otf = sampled(images, wavelength).otf(np.array([1.95, 2.03]), *frequencies)
    np.testing.assert_allclose(otf[0] / one[0], 1 + 0.01 * -0.05, rtol=1e-3)


def test_a_range_beyond_the_psfs_is_refused():
    psf = sampled([spots()] * 3, (1.9, 2.0, 2.1), name="my.asdf")
    with pytest.raises(
        InputError, match=r"my\.asdf: PSFs from 1\.900 to 2\.100 um, 1\.900 to 2\.200 um needed"
    ):
        psf.otf(np.array([1.9, 2.2]), np.ones(1), np.ones(1))


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.where(np.arange(41) == 3, np.nan, spots())[np.newaxis], "at 2.000 um has 41 pixels that are NaN"),
        (5 * spots()[np.newaxis], "sums to 5, 0.9 to 1 needed"),
        (0.5 * spots()[np.newaxis], "sums to 0.5"),
        (spots()[np.newaxis, :, :39], r"of shape \(1, 41, 39\), square images"),
        (np.roll(spots(), 2, axis=1)[np.newaxis], r"is not centred: its core lies \+0\.04\d, \+0\.00"),
        (np.stack([spots()] * 2), "1 wavelengths for 2 PSFs"),
    ],
)  # fmt: skip
def test_images_that_are_no_psfs_are_refused(images, words):
    with pytest.raises(InputError, match=words):
        check_psf(sampled(images, name="p.fits"))


def test_coarse_pixels_and_bad_scales_are_refused():
    with pytest.raises(InputError, match="larger oversampling"):
        check_psf(sampled([spots()], scale=0.1))
    check_psf(sampled([spots()], (5.0,), scale=0.05, includes="all"))
    with pytest.raises(InputError, match="PIXELSCL"):
        check_psf(sampled([spots()], scale=0.0))


def test_core_position_is_that_of_the_core():
    y, x = np.indices((60, 60))
    image = np.exp(-((x - 31.2) ** 2 + (y - 28.6) ** 2) / 18)
    np.testing.assert_allclose(_core_position(image), [1.7, -0.9], atol=0.05)


def test_telescope_reference_is_unchanged():
    """The analytic OTF is real, a sampled one complex."""
    assert np.isrealobj(telescope_otf(2.0, np.ones(1), np.ones(1), position_angle_v3=0.0))
    assert np.iscomplexobj(sampled([spots()]).otf(np.array([2.0]), np.ones(1), np.ones(1)))


def test_limits_of_what_is_accepted():
    """Energy from 0.9 to 1.005, a core within 10 mas, and pixels of 0.9 wavelength over diameter."""
    image = spots()
    for energy, good in ((0.92, True), (0.88, False), (1.003, True), (1.01, False)):
        with nullcontext() if good else pytest.raises(InputError, match="sums to"):
            check_psf(sampled([energy * image]))
    finest = 0.9 * 2.0e-6 / 6.6 * 206264.8
    for scale, good in ((0.98 * finest, True), (1.02 * finest, False)):
        wide = spots(41, 0.02)
        with nullcontext() if good else pytest.raises(InputError, match="larger oversampling"):
            check_psf(sampled([wide], scale=scale))
    y, x = (np.indices((41, 41)) - 20) * 0.02
    for shift, good in ((0.008, True), (0.014, False)):
        moved = np.exp(-((x - shift) ** 2 + y**2) / 0.002)
        with nullcontext() if good else pytest.raises(InputError, match="is not centred"):
            check_psf(sampled([moved / moved.sum()]))


def test_an_image_as_wide_as_psfs_are_is_whole():
    """Of 4 arcsec: what lacks from one is no halo; PSFs may be used 0.2 % beyond their wavelengths."""
    wide = spots(101, 0.04)
    assert transform(0.97 * wide, 0.04, np.full(1, 1.0), np.zeros(1)) == pytest.approx(
        transform(wide, 0.04, np.full(1, 1.0), np.zeros(1)), rel=1e-5
    )
    psf = sampled([spots()] * 3, (1.9, 2.0, 2.1))
    assert np.isfinite(psf.otf(np.array([2.1 * 1.0015]), np.ones(1), np.ones(1))).all()
    with pytest.raises(InputError):
        psf.otf(np.array([2.1 * 1.003]), np.ones(1), np.ones(1))
