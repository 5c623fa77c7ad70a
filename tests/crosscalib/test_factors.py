"""The flux scale of the images against the cube."""

from dataclasses import replace

import numpy as np
import pytest

from jwst_fusion.coregistration.coregister import CoregistrationSettings, coregister
from jwst_fusion.crosscalib.factors import (
    CrossCalibrationSettings,
    cross_calibrate,
    flux_scale,
    given_factors,
    hold_out,
)
from jwst_fusion.exceptions import InputError, ParameterError
from jwst_fusion.optics.throughput import bandpass

from ..sky import rich_sky

SKY = rich_sky(seed=5)
SETUPS = {
    "short": (np.linspace(1.66, 2.3, 60), {"F182M": 1.14, "F210M": 0.93}),
    "long": (np.linspace(2.87, 3.98, 60), {"F335M": 1.05}),
}


@pytest.fixture(scope="module", params=SETUPS)
def matched(request):
    """An observation without noise, and the true scale of each band."""
    wavelength, scales = SETUPS[request.param]
    cube = SKY.cube(wavelength, shape=(16, 18), angle=33.0)
    images = [SKY.image(name, field=5.0, scale=scale) for name, scale in scales.items()]
    observation = coregister(cube, images, CoregistrationSettings(alignment="wcs")).observation
    return observation, list(scales.values())


def scales(observation):
    return [band.scale for band in cross_calibrate(observation).bands]


def with_noise(observation, level, seed):
    """The observation with a cube of another noise."""
    data = observation.cube.data + level * np.random.default_rng(seed).normal(
        size=observation.cube.data.shape
    )
    return replace(observation, cube=replace(observation.cube, data=data))


def with_bands(observation, change):
    """The observation with the data of its images changed."""
    bands = tuple(replace(band, data=change(band.data)) for band in observation.bands)
    return replace(observation, bands=bands)


def test_the_scale_is_recovered_also_with_holes(matched):
    observation, true = matched
    assert scales(observation) == pytest.approx(true, rel=1e-3)
    rng = np.random.default_rng(2)
    data = observation.cube.data.copy()
    data[rng.random(data.shape) < 0.01] = np.nan
    data[:, 5:9, 8:11] = np.nan
    holed = replace(observation, cube=replace(observation.cube, data=data))

    def spoil(image):
        bad = rng.random(image.shape) < 2e-4
        bad[: image.shape[0] // 3] = True
        return np.where(bad, np.nan, image)

    assert scales(with_bands(holed, spoil)) == pytest.approx(true, rel=1e-3)
    noise, data = observation.cube.noise.copy(), observation.cube.data.copy()
    noise[::8], data[::8] = np.nan, np.nan
    sparse = cross_calibrate(replace(observation, cube=replace(observation.cube, noise=noise, data=data)))
    assert [band.scale for band in sparse.bands] == pytest.approx(true, rel=0.02)
    for band in sparse.bands:
        weights, covered = bandpass(band.filter, "B", observation.cube.wavelength, usable=np.isfinite(noise))
        np.testing.assert_array_equal(band.bandpass, weights)
        assert band.covered_fraction == covered < 0.95


def test_the_stated_error_is_the_scatter(matched):
    observation, true = matched
    deviations, errors = [], []
    for seed in range(20):
        # Well above the residuals of the resampling.
        result = cross_calibrate(with_noise(observation, 0.3, seed))
        deviations.append([band.scale - scale for band, scale in zip(result.bands, true, strict=True)])
        errors.append([band.scale_err for band in result.bands])
    normalised = np.array(deviations) / np.array(errors)
    assert np.sqrt((normalised**2).mean()) == pytest.approx(1, rel=0.25)
    assert np.mean(errors) > 3e-4


@pytest.mark.parametrize("level", [-0.3, 0.25])
def test_a_pedestal_is_found_and_taken_out(matched, level):
    observation, true = matched
    pedestals = [level * np.nanmean(band.data) for band in observation.bands]
    added = with_bands(observation, lambda image: image + level * np.nanmean(image))
    result = cross_calibrate(added)
    assert [band.scale for band in result.bands] == pytest.approx(true, rel=5e-3)
    for band, before, pedestal in zip(result.bands, observation.bands, pedestals, strict=True):
        assert band.pedestal == pytest.approx(pedestal, rel=0.05)
        assert 0 < band.pedestal_err < 0.1 * abs(pedestal)
        np.testing.assert_allclose(band.data, before.data, atol=0.05 * abs(pedestal))
    # The ratio of means takes the pedestal for flux.
    ratio = cross_calibrate(added, CrossCalibrationSettings(method="ratio"))
    assert [band.scale for band in ratio.bands] == pytest.approx(np.multiply(1 + level, true), rel=0.03)


def test_no_pedestal_where_none_is_allowed_or_significant(matched):
    observation, true = matched
    for choice in ("auto", "none"):
        bands = cross_calibrate(observation, CrossCalibrationSettings(pedestal=choice)).bands
        assert [band.pedestal for band in bands] == [0.0] * len(true)
    fitted = cross_calibrate(observation, CrossCalibrationSettings(pedestal="fit")).bands
    assert all(0 < abs(band.pedestal) < 0.02 * np.nanmean(band.data) for band in fitted)


def test_the_ratio_of_means_is_that_of_the_paper(matched):
    observation, true = matched
    result = cross_calibrate(observation, CrossCalibrationSettings(method="ratio"))
    assert [band.scale for band in result.bands] == pytest.approx(true, rel=2e-3)
    assert all(0 < band.scale_err < 0.01 for band in result.bands)


@pytest.mark.parametrize("method", ["fit", "ratio"])
def test_light_in_a_lost_channel_is_counted_as_error(matched, method):
    observation, _ = matched
    settings = CrossCalibrationSettings(method=method, band_policy="keep")
    whole = cross_calibrate(observation, settings).bands[0]
    lost = np.flatnonzero(whole.bandpass)[whole.bandpass[whole.bandpass > 0].size // 2]
    noise = observation.cube.noise.copy()
    noise[lost] = np.nan
    data = observation.cube.data.copy()
    data[lost] = np.nan
    data[lost + 1] *= 3  # the flank of a line
    with_line = replace(observation, cube=replace(observation.cube, data=data, noise=noise))
    error = cross_calibrate(with_line, settings).bands[0].scale_err
    assert error > 5 * whole.scale_err


@pytest.mark.parametrize("policy", ["drop", "keep", "fail"])
def test_a_factor_that_can_not_be_right(matched, policy, caplog):
    observation, true = matched
    bands = (replace(observation.bands[0], data=4 * observation.bands[0].data), *observation.bands[1:])
    spoiled = replace(observation, bands=bands)
    settings = CrossCalibrationSettings(band_policy=policy)
    name = bands[0].filter
    if policy == "fail" or (policy == "drop" and len(bands) == 1):
        with pytest.raises(InputError, match="band_policy"):
            cross_calibrate(spoiled, settings)
        return
    result = cross_calibrate(spoiled, settings)
    assert (name in [band.filter for band in result.bands]) == (policy == "keep")
    assert f"{name} {'kept' if policy == 'keep' else 'left out'}: its scale" in caplog.text


def test_a_band_that_the_cube_does_not_cover(matched, caplog):
    observation, _ = matched
    settings = CrossCalibrationSettings()
    first = cross_calibrate(observation, settings).bands[0]
    noise = observation.cube.noise.copy()
    noise[np.flatnonzero(first.bandpass > 0.3 * first.bandpass.max())[:4]] = np.nan
    sparse = replace(observation, cube=replace(observation.cube, noise=noise))
    if len(observation.bands) > 1:
        assert first.filter not in [band.filter for band in cross_calibrate(sparse, settings).bands]
    else:
        assert len(cross_calibrate(sparse, settings).bands) == 1
        assert f"{first.filter} kept: " in caplog.text
        noise[first.bandpass > 0.9 * np.median(first.bandpass[first.bandpass > 0])] = np.nan
        empty = replace(observation, cube=replace(observation.cube, noise=noise))
        with pytest.raises(InputError, match="no band can be used"):
            cross_calibrate(empty, settings)
    assert "of its bandpass lie in the cube's data" in caplog.text


def test_given_factors_are_used(matched):
    observation, true = matched
    name = observation.bands[0].filter
    given = given_factors([f"{name}: 1.2"])
    result = cross_calibrate(observation, CrossCalibrationSettings(factors=given))
    assert [band.scale for band in result.bands] == pytest.approx([1.2, *true[1:]], rel=1e-3)
    assert result.bands[0].scale_err == 0
    for wrong in ({"F480M": given[name]}, {name: replace(given[name], scale=-1.0)}):
        with pytest.raises(ParameterError, match="F480M not among|positive"):
            cross_calibrate(observation, CrossCalibrationSettings(factors=wrong))
    with pytest.raises(ParameterError, match="F182M:1.14"):
        given_factors([f"{name}=1.2"])


def test_bands_are_held_out(matched):
    observation, _ = matched
    names = [band.filter for band in observation.bands]
    if len(names) == 1:
        with pytest.raises(ParameterError, match="at least one"):
            hold_out(observation, names)
        return
    result = hold_out(cross_calibrate(observation), [names[1].lower()])
    assert [band.held_out for band in result.bands] == [False, True]
    with pytest.raises(ParameterError, match="F480M not among"):
        hold_out(observation, ["F480M"])
    with pytest.raises(ParameterError, match="at least one"):
        hold_out(result, names[:1])


def test_the_flux_scale_of_nircam(matched):
    observation, true = matched
    scale = flux_scale(cross_calibrate(observation))
    if len(true) == 1:
        np.testing.assert_allclose(scale, true[0], rtol=1e-3)
    else:
        pivots = [band.pivot_wavelength for band in observation.bands]
        np.testing.assert_allclose(np.interp(pivots, observation.cube.wavelength, scale), true, rtol=2e-3)
        assert scale.max() < 1.001 * max(true)
        assert scale.min() > 0.999 * min(true)


@pytest.mark.parametrize("name", ["method", "pedestal", "band_policy", "reference"])
def test_unknown_settings(name):
    with pytest.raises(ParameterError, match=f"{name} = 'nonsense' is unknown"):
        CrossCalibrationSettings(**{name: "nonsense"})


@pytest.mark.parametrize(
    ("level", "words"),
    [(0.0, "mean brightness .* background has not been"), (-1.0, "mean"), (np.nan, "no spaxel of the field")],
)
def test_nothing_to_compare(matched, level, words):
    observation, cube = matched[0], matched[0].cube
    with pytest.raises(InputError, match=rf"F\d+M: {words}"):
        cross_calibrate(with_bands(observation, lambda image: level * np.ones_like(image)))
    dark = replace(cube, data=np.where(np.isfinite(cube.data), level, np.nan))
    with pytest.raises(InputError, match=rf"F\d+M: {words}"):
        cross_calibrate(replace(observation, cube=dark))
