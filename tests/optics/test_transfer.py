"""Transfer functions of both instruments on the grid of an observation."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_fusion.exceptions import InputError
from jwst_fusion.observation import BandImage, CubeData, FusionGrid, Observation
from jwst_fusion.optics.analytic import IFUOptics, NIRCamOptics, nircam_otf, nirspec_otf
from jwst_fusion.optics.frequencies import grid_frequencies
from jwst_fusion.optics.nodes import nodes as nodes_of
from jwst_fusion.optics.throughput import bandpass
from jwst_fusion.optics.transfer import band_transfers, transfer_functions

from .test_sampled import sampled, spots

SHAPE = (60, 48)
ANGLE = 33.0
PA_V3, PA_APERTURE = 25.0, 163.97


def observe(filters=("F182M", "F210M"), limits=(1.66, 2.3), d=3, pixel=0.0311, angle=ANGLE, pa=PA_V3):
    """An observation without data."""
    wavelength = np.linspace(*limits, 50)
    nothing = np.zeros((50, 2, 2))
    cube = CubeData(
        nothing, nothing, wavelength, np.ones(50), np.ones((2, 2), dtype=bool), pa, pa + 138.97
    )  # fmt: skip
    sine, cosine = np.sin(np.radians(angle)), np.cos(np.radians(angle))
    grid = FusionGrid(SHAPE, d, 0.1 / d * np.array([[-cosine, sine], [sine, cosine]]))
    image = np.zeros(SHAPE)
    bands = [
        BandImage(name, "B", image, image, 2.0, pa, pixel, pixel, bandpass=bandpass(name, "B", wavelength)[0])
        for name in filters
    ]
    return Observation(grid, cube, tuple(bands))


def frequencies(observation):
    return grid_frequencies(SHAPE, observation.grid.jacobian)


@pytest.mark.parametrize(
    "options",
    [{}, {"filters": ("F335M",), "limits": (3.1, 3.7), "d": 2, "pixel": 0.063}],
    ids=["short", "long"],
)
def test_nodes_give_every_channel(options):
    observation = observe(**options)
    transfer = transfer_functions(observation, SHAPE)
    cube, band, d = observation.cube, observation.bands[-1], observation.grid.decimation_factor
    nirspec = nirspec_otf(
        cube.wavelength,
        *frequencies(observation),
        position_angle_v3=PA_V3,
        position_angle_aperture=PA_APERTURE,
        spaxel=0.1,
        spaxel_position_angle=ANGLE,
    )
    nircam = nircam_otf(
        cube.wavelength,
        *frequencies(observation),
        position_angle_v3=PA_V3,
        detector_pixel=band.detector_pixel,
        image_pixel=band.image_pixel,
        pixfrac=1.0,
        channel="short" if d == 3 else "long",
    )
    for nodes, expected in ((transfer.nirspec, nirspec), (transfer.nircam[-1], nircam)):
        found = np.tensordot(transfer.interpolation, nodes, axes=1)
        np.testing.assert_allclose(found, expected, atol=3e-3)
        np.testing.assert_allclose(found[:, 0, 0], 1.0, rtol=1e-9)


def test_band_transfers_are_means_over_the_band():
    observation = observe()
    transfer = transfer_functions(observation, SHAPE)
    assert transfer.nircam[0] is transfer.nircam[1]  # of the same pixels
    for band, nodes in zip(observation.bands, transfer.nircam, strict=True):
        nircam, nirspec = band_transfers(band, band.bandpass, observation.cube, observation.grid, SHAPE)
        share = band.bandpass @ transfer.interpolation
        np.testing.assert_allclose(nircam, np.tensordot(share, nodes, axes=1), atol=1e-3)
        np.testing.assert_allclose(nirspec, np.tensordot(share, transfer.nirspec, axes=1), atol=1e-3)
    one = np.zeros(50)
    one[36] = 1.0
    narrow = band_transfers(observation.bands[1], one, observation.cube, observation.grid, SHAPE)
    np.testing.assert_allclose([otf[0, 0] for otf in narrow], 1.0)


def test_grid_and_telescope_turned_together_leave_the_otfs():
    still = transfer_functions(observe(), SHAPE)
    turned = transfer_functions(observe(angle=ANGLE + 70, pa=PA_V3 + 70), SHAPE)
    np.testing.assert_allclose(turned.nirspec, still.nirspec, atol=1e-9)
    np.testing.assert_allclose(turned.nircam[0], still.nircam[0], atol=1e-9)


def test_a_mirrored_grid_has_mirrored_otfs():
    observation = observe()
    mirror = np.diag([-1, 1])
    grid = FusionGrid(SHAPE, 3, observation.grid.jacobian @ mirror)
    mirrored = transfer_functions(Observation(grid, observation.cube, observation.bands), SHAPE)
    still = transfer_functions(observation, SHAPE)
    # Negative x frequencies, by the symmetry of a real kernel; the highest ones stand for both signs.
    rows = np.delete(np.arange(SHAPE[0]), SHAPE[0] // 2)
    expected = still.nirspec[:, -rows % SHAPE[0], :-1]
    np.testing.assert_allclose(mirrored.nirspec[:, rows, :-1], expected, atol=1e-9)


@pytest.mark.parametrize(("instrument", "mirrored"), [("nircam", False), ("nircam", True), ("nirspec", True)])
def test_a_point_source_shows_a_skewed_psf_at_its_angle_on_the_sky(instrument, mirrored):
    """The fainter spot of the PSF is 35.5 deg clockwise of its y axis, 0.172 arcsec away, in any grid."""
    observation = observe()
    grid = observation.grid
    if mirrored:
        grid = FusionGrid(SHAPE, 3, grid.jacobian @ np.diag([-1, 1]))
    bands = tuple(replace(b, optics=NIRCamOptics(psf=sampled([spots()]))) for b in observation.bands)
    cube = replace(observation.cube, optics=IFUOptics(psf=sampled([spots()], frame="aperture"), element=0.02))
    transfer = transfer_functions(Observation(grid, cube, bands), SHAPE)
    otf = transfer.nircam[0][10] if instrument == "nircam" else transfer.nirspec[10]
    source = np.zeros(SHAPE)
    source[30, 24] = 1.0
    image = np.fft.irfft2(np.fft.rfft2(source) * otf, s=SHAPE)
    y, x = np.indices(SHAPE)
    step = np.tensordot(grid.jacobian, np.stack([x - 24, y - 30]), axes=1)
    mean = (step * image).sum(axis=(1, 2)) / image.sum()
    found = np.degrees(np.arctan2(*mean))
    turned = PA_V3 if instrument == "nircam" else PA_APERTURE
    assert np.hypot(*mean) == pytest.approx(0.172 * 0.3 / 1.3, rel=0.05)
    assert abs((found - (turned - 35.54) + 180) % 360 - 180) < 1.5


def test_blur_of_one_image_is_a_gaussian_on_its_otf_alone():
    observation, blur = observe(), 0.03**2
    first, last = observation.bands
    blurred = replace(observation, bands=(first, replace(last, excess_blur=blur)))
    before, after = (transfer_functions(each, SHAPE).nircam for each in (observation, blurred))
    np.testing.assert_array_equal(after[0], before[0])
    x, y = frequencies(observation)
    gaussian = np.exp(-2 * np.pi**2 * blur * (x**2 + y**2))
    np.testing.assert_allclose(after[1], before[1] * gaussian, atol=1e-12)
    mean = band_transfers(blurred.bands[1], last.bandpass, observation.cube, observation.grid, SHAPE)[0]
    good = band_transfers(last, last.bandpass, observation.cube, observation.grid, SHAPE)[0]
    np.testing.assert_allclose(mean, good * gaussian, atol=1e-12)


def test_the_excess_of_the_ifu_is_a_blur_and_a_wavefront():
    """Of the variance in rad^2 at 1 um, a quarter is left at 2 um (`wavefront_change`)."""
    observation = observe()
    plain, seen = (
        transfer_functions(replace(observation, cube=replace(observation.cube, excess=excess)), SHAPE).nirspec
        for excess in ((0.0, 0.0, 0.0), (0.0, 0.0, 0.4))
    )
    at = nodes_of(1.66, 2.3)
    index = np.argmin(np.abs(at - 2.0))
    baseline = at[index] * 1e-6 * 206264.806 * np.hypot(*frequencies(observation))
    expected = np.exp(0.4 / at[index] ** 2 * (np.exp(-baseline / 0.33) - 1))
    np.testing.assert_allclose(seen[index], plain[index] * expected, rtol=1e-6, atol=1e-12)


def test_psfs_that_end_within_a_band_are_refused():
    """A hundredth of the bandpass may lie beyond them; nodes farther away take the last PSF."""
    observation = observe(("F210M",))
    (band,) = observation.bands
    cumulative = np.cumsum(band.bandpass)
    for share, refused in ((0.004, False), (0.05, True)):
        last = observation.cube.wavelength[np.searchsorted(cumulative, 1 - share)]
        psf = sampled([spots()] * 2, (1.9, last))
        seen = replace(observation, bands=(replace(band, optics=NIRCamOptics(psf=psf)),))
        if refused:
            with pytest.raises(InputError, match="PSFs from 1.900"):
                transfer_functions(seen, SHAPE)
        else:
            assert np.isfinite(transfer_functions(seen, SHAPE).nircam[0]).all()
