"""What holds for every geometry and every mask: random ones are drawn and fused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from jwst_fusion.coregistration.coregister import CoregistrationSettings, coregister
from jwst_fusion.coregistration.ranges import MIN_COVERED
from jwst_fusion.crosscalib.factors import cross_calibrate
from jwst_fusion.inversion.fuse import FusionSettings, fuse
from jwst_fusion.optics.throughput import bandpass

from .sky import rich_sky

SKY = rich_sky(seed=5, n=60, half=2.0, background=2.0)
WAVELENGTH = np.linspace(1.66, 2.31, 30)
FILTERS = ("F182M", "F200W", "F210M")
KEEP = CoregistrationSettings(alignment="wcs", margin=0.3)
QUICK = FusionSettings(n_components=2, reweightings=0, gamma=0.1, samples=0)
NOISE = 0.01

few, many = (
    settings(
        max_examples=number, deadline=None, derandomize=True, database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    for number in (3, 100)
)  # fmt: skip


@st.composite
def fields(draw):
    """A cube and its images: shape, angle, filters, where data are missing."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.tuples(st.integers(8, 14), st.integers(8, 14)))
    cube = SKY.cube(WAVELENGTH, shape=shape, angle=draw(st.sampled_from((0.0, 20.0, 65.0))), noise=NOISE)
    names = draw(st.lists(st.sampled_from(FILTERS), min_size=1, max_size=3, unique=True))
    images = [SKY.image(name, field=3.0, noise=NOISE, seed=i) for i, name in enumerate(names)]
    cube.data[rng.random(cube.data.shape) < draw(st.sampled_from((0.0, 0.02, 0.1)))] = np.nan
    cube.data[rng.random(WAVELENGTH.size) < draw(st.sampled_from((0.0, 0.1)))] = np.nan
    alive = np.isfinite(cube.data).any(axis=(1, 2))
    assume(any(bandpass(i.filter, i.module, WAVELENGTH, usable=alive)[1] >= MIN_COVERED for i in images))
    cube.data[:, rng.random(shape) < draw(st.sampled_from((0.0, 0.05)))] = np.nan
    corner = draw(st.integers(0, 3))
    cube.data[:, :corner, :corner] = np.nan
    for image in images:
        image.data[rng.random(image.data.shape) < draw(st.sampled_from((0.0, 0.01)))] = np.nan
        row = rng.integers(0, image.data.shape[0])
        image.data[row : row + draw(st.integers(0, 4))] = np.nan
    return cube, images


def run(cube, images, options=QUICK):
    """Scene of the fused cube, and the observation that it came from."""
    observation = cross_calibrate(coregister(cube, images, KEEP).observation)
    result = fuse(observation, options)
    scene = np.tensordot(result.basis, result.coefficients, axes=1)
    return scene + result.mean_spectrum[:, np.newaxis, np.newaxis], observation


def scaled(cube, images, factor):
    """The same data in another unit."""
    return (
        replace(cube, data=cube.data * factor, error=cube.error * factor),
        [replace(image, data=image.data * factor, error=image.error * factor) for image in images],
    )


def raised(cube, images, level):
    """The same data on a constant."""
    return replace(cube, data=cube.data + level), [replace(i, data=i.data + level) for i in images]


def inside(observation):
    """Cells of the footprint, and channels with data."""
    d = observation.grid.decimation_factor
    cells = np.kron(observation.cube.footprint, np.ones((d, d), dtype=bool))
    return cells, np.isfinite(observation.cube.noise)


def check(field, factor, level):
    """Fuse one field as it is, in another order, times a factor and plus a constant."""
    scene, observation = run(*field)
    check_scene(scene, observation)
    cube, images = field
    np.testing.assert_array_equal(run(cube, images[::-1])[0], scene)
    cells, alive = inside(observation)
    check_scaling((run(*scaled(*field, factor))[0] / factor)[alive][:, cells], scene[alive][:, cells])
    shift = (run(*raised(*field, level))[0] - scene)[alive][:, cells].mean(axis=1)
    np.testing.assert_allclose(shift, level, rtol=0.01)


def check_scene(scene, observation):
    """No NaN where data are good, and the flux of the cube."""
    cells, alive = inside(observation)
    assert np.isfinite(scene[alive][:, cells]).all()
    cube = observation.cube
    d = observation.grid.decimation_factor
    n_wave, my, mx = cube.data.shape
    fused = scene.reshape(n_wave, my, d, mx, d).mean(axis=(2, 4))
    known = np.isfinite(cube.data) & cube.footprint
    for plane in np.flatnonzero(alive):
        expected = cube.data[plane][known[plane]].mean()
        assert fused[plane][known[plane]].mean() == pytest.approx(expected, rel=0.02)


def check_scaling(found, expected):
    """Inputs times a factor give the output times the factor."""
    scale = np.abs(expected).mean()
    assert np.abs(found - expected).max() < 1e-2 * scale
    assert np.sqrt(((found - expected) ** 2).mean()) < 1e-3 * scale


VALUES = fields(), st.sampled_from((1e-4, 7.0, 1e5)), st.sampled_from((1.0, 10.0))


@few
@given(*VALUES)
def test_random_fields(field, factor, level):
    check(field, np.float32(factor), np.float32(level))


@pytest.mark.long
@many
@given(*VALUES)
def test_many_random_fields(field, factor, level):
    check(field, np.float32(factor), np.float32(level))
