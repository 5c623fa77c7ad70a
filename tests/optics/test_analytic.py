"""Tests of the analytic OTFs."""

from functools import partial

import numpy as np
import pytest

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.optics.analytic import IFUOptics, NIRCamOptics, nircam_blur, nircam_otf, nirspec_otf
from jwst_fusion.optics.frequencies import grid_frequencies
from jwst_fusion.optics.psf import encircled_energy, fwhm, psf_image
from jwst_fusion.optics.pupil import autocorrelation, pupil_amplitude
from jwst_fusion.optics.telescope import (
    LONG_WAVEFRONT,
    PERFECT_WAVEFRONT,
    REACH,
    SHORT_WAVEFRONT,
    confined_otf,
    light_beyond,
    telescope_otf,
)
from jwst_fusion.optics.throughput import channel, pivot_wavelength

NIRCAM = {"position_angle_v3": 40.0, "detector_pixel": 0.031, "image_pixel": 0.0308, "pixfrac": 1.0}
NIRSPEC = {
    "position_angle_v3": 40.0,
    "position_angle_aperture": 178.97,
    "spaxel": 0.1,
    "spaxel_position_angle": 10.0,
}
MODELS = [
    partial(telescope_otf, position_angle_v3=40.0),
    partial(nircam_otf, **NIRCAM),
    partial(nirspec_otf, **NIRSPEC),
    partial(nirspec_otf, **NIRSPEC, parameters=IFUOptics(blur="gaussian", excess=(0.0004, 0.0004))),
]


def frequencies(position_angle, frequency):
    """East and north parts of frequencies [cycles/arcsec] along a position angle [deg]."""
    angle = np.deg2rad(position_angle)
    return np.multiply(frequency, np.sin(angle)), np.multiply(frequency, np.cos(angle))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("F115W", 0.039),
        ("F200W", 0.068),
        ("F356W", 0.121),
        ("F444W", 0.150),
    ],
)
def test_optical_fwhm_and_encircled_energy(name, expected):
    wavefront = SHORT_WAVEFRONT if channel(name) == "short" else LONG_WAVEFRONT
    otf = partial(telescope_otf, position_angle_v3=0.0, wavefront=wavefront)
    wavelength = pivot_wavelength(name, "MULTIPLE")
    psf = psf_image(otf, wavelength, (512, 512), expected / 5)
    assert fwhm(psf, expected / 5) == pytest.approx(expected, rel=0.03)
    assert psf.sum() == pytest.approx(1)
    energy = encircled_energy(psf, expected / 5, expected * np.array([0.5, 1.5, 5, 20]))
    assert np.all(np.diff(energy) > 0)
    assert np.all(energy > [0.25, 0.6, 0.8, 0.93])
    assert np.all(energy < [0.5, 0.85, 0.95, 1.0])


@pytest.mark.parametrize("otf", MODELS)
def test_otf_is_even_bounded_and_normalised(otf):
    rng = np.random.default_rng(1)
    east, north = rng.uniform(-20, 20, (2, 30, 20))
    wavelength = np.array([1.0, 1.7, 2.2])
    values = otf(wavelength, east, north)
    assert values.shape == (3, 30, 20)
    np.testing.assert_allclose(values, otf(wavelength, -east, -north), atol=1e-6)
    assert abs(values).max() <= 1
    np.testing.assert_allclose(otf(wavelength, 0.0, 0.0), 1, atol=1e-12)
    np.testing.assert_allclose(otf(1.7, east, north)[0], values[1])
    beyond = np.hypot(east, north) > 6.61 / (1.7e-6 * 206264.8)
    assert not values[1][beyond].any()


def test_otf_agrees_with_direct_transform_of_the_pupil():
    wavelength, spacing, cell, half = 2.0, 6.4e-3, 0.012, 32
    amplitude = pupil_amplitude(spacing=spacing).astype(float)
    position = (np.arange(amplitude.shape[0]) - (amplitude.shape[0] - 1) / 2) * spacing
    step = np.deg2rad(cell / 3600)
    kernel = np.exp(2j * np.pi * np.outer(np.arange(-half, half + 1) * step, position) / (wavelength * 1e-6))
    field = kernel @ amplitude @ kernel.T * spacing**2
    direct = abs(field) ** 2 * (step / (wavelength * 1e-6)) ** 2 / (amplitude.sum() * spacing**2)
    otf = partial(telescope_otf, position_angle_v3=0.0, wavefront=PERFECT_WAVEFRONT)
    psf = psf_image(otf, wavelength, (1024, 1024), cell)
    centre = psf[512 - half : 513 + half, 512 - half : 513 + half]
    # V2 lies to the east, against x
    np.testing.assert_allclose(centre, direct[:, ::-1], atol=1e-4 * direct.max())


@pytest.mark.parametrize(
    ("wavefront", "rms", "length"), [(SHORT_WAVEFRONT, 69.6e-9, 0.33), (LONG_WAVEFRONT, 95.7e-9, 1.0)]
)
def test_wavefront_error_is_the_structure_function(wavefront, rms, length):
    """Of the published statistics (docs/method.rst)."""
    east, north = frequencies(75.0, np.linspace(0.5, 12, 20))
    seen, perfect = (
        telescope_otf(2.0, east, north, position_angle_v3=0.0, wavefront=w)[0]
        for w in (wavefront, PERFECT_WAVEFRONT)
    )
    baseline = np.hypot(east, north) * 2e-6 * 206264.806
    variance = (2 * np.pi * rms / 2e-6) ** 2
    np.testing.assert_allclose(
        seen / perfect, np.exp(-variance * (1 - np.exp(-baseline / length))), rtol=1e-6
    )


def test_blurs_beyond_the_telescope_have_their_sizes():
    """Detector pixel, drop, output pixel, jitter with charge diffusion, and an excess that is measured."""
    f, zero = np.array([3.0, 8.0]), np.zeros(2)
    boxes = np.sinc(0.031 * f) * np.sinc(0.8 * 0.031 * f) * np.sinc(0.03 * f)
    pixels = {"detector_pixel": 0.031, "image_pixel": 0.03, "pixfrac": 0.8}
    for part, diffusion in (("short", 0.0062), ("long", 0.018)):
        gaussian = np.exp(-2 * np.pi**2 * (diffusion**2 + 0.0008**2) * f**2)
        found = nircam_blur(f, zero, **pixels, channel=part, parameters=NIRCamOptics())
        np.testing.assert_allclose(found, boxes * gaussian, rtol=1e-9)
        skewed = NIRCamOptics(excess=(2e-4, 0, 0, 3e-6, 0, 0, 0))
        phase = (2 * np.pi * f) ** 3 * 3e-6 / 6
        beyond = np.exp(-2 * np.pi**2 * 2e-4 * f**2 + 1j * phase)
        found = nircam_blur(f, zero, **pixels, channel=part, parameters=skewed)
        np.testing.assert_allclose(found, boxes * gaussian * beyond, rtol=1e-9)
    narrow = NIRCamOptics(excess=(-1.0, 0, 0, 0, 0, 0, 0))
    found = nircam_blur(f, zero, **pixels, channel="short", parameters=narrow)
    np.testing.assert_allclose(found.real, boxes * np.exp(1 - 2 * np.pi**2 * (0.0062**2 + 0.0008**2) * f**2))


@pytest.mark.parametrize("excess", [0.0, 4e-4, -3e-4])
def test_the_ifu_has_a_slice_of_104_mas_and_an_excess_of_variance(excess):
    """A narrower excess narrows the element, by as much variance."""
    f, angle = np.array([0.5, 1.5]), {**NIRSPEC, "spaxel": 0.0}
    sky = frequencies(NIRSPEC["position_angle_aperture"], f)
    bare = IFUOptics(element=0.0, jitter=0.0)
    seen, point = (nirspec_otf(2.0, *sky, **angle, parameters=p)[0]
                   for p in (IFUOptics(excess=(excess, excess)), bare))  # fmt: skip
    side = np.sqrt(0.104**2 + 12 * min(excess, 0.0))
    expected = np.sinc(side * f) * np.exp(-2 * np.pi**2 * (0.0008**2 + max(excess, 0.0)) * f**2)
    np.testing.assert_allclose(seen / point, expected, rtol=1e-9)
    # a narrower excess takes no more than the Gaussian that stands for the boxes
    across = frequencies(NIRSPEC["position_angle_aperture"] + 90, f)
    gaussian = IFUOptics(blur="gaussian", excess=(-1.0, 0.0))
    seen, point = (nirspec_otf(2.0, *across, **angle, parameters=p)[0] for p in (gaussian, bare))
    np.testing.assert_allclose(seen / point, np.exp(-2 * np.pi**2 * 0.0008**2 * f**2), rtol=1e-9)
    assert IFUOptics().sigma == 0.05


def test_an_artificial_pupil_turns_with_v3():
    n, spacing = 400, 0.02
    v2, v3 = np.meshgrid(*2 * [(np.arange(n) - (n - 1) / 2) * spacing])
    turned = np.deg2rad(30.0)
    along, across = v2 * np.cos(turned) + v3 * np.sin(turned), v3 * np.cos(turned) - v2 * np.sin(turned)
    slit = autocorrelation(np.exp(-((along / 1.0) ** 2) - (across / 0.4) ** 2), spacing)
    otf = partial(telescope_otf, position_angle_v3=25.0, wavefront=PERFECT_WAVEFRONT, pupil=slit)
    cell = 0.03
    psf = psf_image(otf, 2.0, (128, 128), cell)
    north, west = np.meshgrid(*2 * [(np.arange(128) - 64) * cell], indexing="ij")
    east = -west
    moments = [(psf**2 * a).sum() for a in (2 * east * north, north**2 - east**2)]
    # The pupil is long 30 deg from V2 to V3, its PSF from V3 to -V2: at 25 - 30 deg.
    assert np.rad2deg(0.5 * np.arctan2(*moments)) == pytest.approx(-5.0, abs=0.1)


def test_the_spike_of_strut_3_lies_along_v2():
    cell, angle = 0.02, 20.0
    otf = partial(telescope_otf, position_angle_v3=angle)
    psf = psf_image(otf, 2.0, (512, 512), cell)
    north, west = np.meshgrid(*2 * [(np.arange(512) - 256) * cell], indexing="ij")
    radius, position_angle = np.hypot(north, west), np.rad2deg(np.arctan2(-west, north))

    def brightness(at):
        near = abs((position_angle - at + 90) % 180 - 90) < 2
        return psf[near & (radius > 1) & (radius < 3)].mean()

    minor = brightness(angle + 90)
    assert minor > 5 * max(brightness(angle + 90 + turn) for turn in (-60, 60))
    assert minor > 3 * brightness(90 - angle)
    assert min(brightness(angle + turn) for turn in (-60, 0, 60)) > 3 * brightness(angle + 30)


def test_boxes_lie_along_their_axes():
    zero = 1 / 0.104
    angle = 20.0
    otf = partial(
        nirspec_otf,
        1.0,
        position_angle_v3=0.0,
        position_angle_aperture=angle,
        spaxel=0.0,
        spaxel_position_angle=0.0,
    )
    for along in (angle, angle + 90):
        assert abs(otf(*frequencies(along, zero))).max() < 1e-10
    for along in (-angle, 90 - angle, angle + 45):
        assert abs(otf(*frequencies(along, zero))).max() > 1e-3
    spaxel = partial(
        nirspec_otf,
        1.0,
        position_angle_v3=0.0,
        position_angle_aperture=0.0,
        spaxel=0.1,
        spaxel_position_angle=-35.0,
        parameters=IFUOptics(element=0.0),
    )
    assert abs(spaxel(*frequencies(-35.0, 10.0))).max() < 1e-10
    assert abs(spaxel(*frequencies(35.0, 10.0))).max() > 1e-3
    image = partial(nircam_otf, 1.0, **{**NIRCAM, "detector_pixel": 0.1, "image_pixel": 0.0, "pixfrac": 0.5})
    assert abs(image(*frequencies(40.0, 10.0))).max() < 1e-10
    assert abs(image(*frequencies(-40.0, 10.0))).max() > 1e-3


@pytest.mark.parametrize("wavelength", [1.0, 4.0])
def test_confined_psf_is_that_of_the_telescope_scaled(wavelength):
    """To one within the reach, and next to nothing beyond."""
    cell, shape = 0.02, (700, 700)
    at = grid_frequencies(shape, np.diag([-cell, cell]))
    otfs = (
        telescope_otf(wavelength, *at, position_angle_v3=0.0),
        confined_otf(wavelength, at, 0.0, [SHORT_WAVEFRONT]),
    )
    whole, confined = (np.fft.fftshift(np.fft.irfft2(otf[0], s=shape)) for otf in otfs)
    distance = cell * np.hypot(*(np.indices(shape) - 350))
    inside = distance < REACH
    assert pytest.approx(4.2 / np.sqrt(np.pi)) == REACH
    beyond = light_beyond(wavelength, SHORT_WAVEFRONT)
    assert whole[~inside].sum() == pytest.approx(beyond, rel=0.08)
    assert confined[inside].sum() == pytest.approx(1, abs=0.003)
    core = distance < 1
    np.testing.assert_allclose(confined[core], whole[core] / (1 - beyond), atol=2e-4 * whole.max())


def test_bad_parameters_are_rejected():
    with pytest.raises(ParameterError, match="wavelength"):
        telescope_otf(-1.0, 0.0, 0.0, position_angle_v3=0.0)
    with pytest.raises(ParameterError, match="position angle"):
        telescope_otf(1.0, 0.0, 0.0, position_angle_v3=float("nan"))
    with pytest.raises(ParameterError, match="detector_pixel"):
        nircam_otf(2.0, 0.0, 0.0, **{**NIRCAM, "detector_pixel": -1.0})
    with pytest.raises(ParameterError, match="channel"):
        nircam_otf(2.0, 0.0, 0.0, **NIRCAM, channel="middle")
    with pytest.raises(ParameterError, match="blur"):
        nirspec_otf(2.0, 0.0, 0.0, **NIRSPEC, parameters=IFUOptics(blur="none"))
    with pytest.raises(ParameterError, match="excess"):
        IFUOptics(excess=(float("nan"), 0.0))


def test_the_channel_follows_the_wavelength_or_the_caller():
    at = grid_frequencies((16, 16), np.diag([-0.03, 0.03]))
    both, short, long = (nircam_otf([2.3, 2.4], *at, **NIRCAM, channel=c) for c in (None, "short", "long"))
    np.testing.assert_array_equal(both, [short[0], long[1]])
    assert abs(short - long).max() > 0.01
