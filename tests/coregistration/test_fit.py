"""The joint fit of one band: its parameters, and whether its errors are the scatter."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from jwst_fusion.coregistration.fit import fit_band

D, N = 3, 20
ROWS, COLUMNS = (at * D + 15.0 for at in np.indices((N, N)))
TRUE_SHIFT = np.array([1.3, -0.6])


def template_of(places, width=4.0):
    """Image of blobs at places (row, column) of the cells, with its derivatives by the blur."""
    size = N * D + 30
    image = np.zeros((size, size))
    rows, columns = np.indices(image.shape)
    for row, column in places:
        image += 100.0 * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * width**2))
    slopes = [np.gradient(np.gradient(image, axis=axis), axis=axis) * 450 for axis in (1, 0)]
    return np.stack([image, *slopes])


def pulls(template, make_noise, number=30):
    """Errors of the shift over the stated ones, (number, 2)."""
    size = template.shape[1]
    at = ROWS + TRUE_SHIFT[1], COLUMNS + TRUE_SHIFT[0]
    inside = tuple(np.clip(np.rint(place).astype(int), 0, size - 1) for place in at)
    shifted = np.fft.fft2(template[0])
    fy, fx = np.fft.fftfreq(size)[:, np.newaxis], np.fft.fftfreq(size)
    # the image moved by the fraction that rint has left: exact for a band-limited image
    rest = [place.ravel()[0] - np.rint(place.ravel()[0]) for place in at]
    moved = np.fft.ifft2(shifted * np.exp(2j * np.pi * (fy * rest[0] + fx * rest[1]))).real
    clean = 1.1 * moved[inside] + 7.0
    result = []
    for seed in range(number):
        values = clean + make_noise(np.random.default_rng(seed))
        fit = fit_band(values.ravel(), ROWS.ravel(), COLUMNS.ravel(), template, np.array([1.0, -1.0]), D)
        result.append((fit.shift - TRUE_SHIFT) / np.sqrt(np.diag(fit.covariance)[:2]))
    return np.array(result)


def white(rng):
    return rng.normal(size=(N, N))


def shared_by_neighbours(rng):
    return 2.5 * gaussian_filter(rng.normal(size=(N, N)), 0.7)


MANY = [(r, c) for r in (20, 35, 50, 65) for c in (22, 38, 51, 63)]


@pytest.mark.parametrize("noise", [white, shared_by_neighbours])
@pytest.mark.parametrize("places", [MANY, MANY[5:7]])
def test_stated_errors_are_the_scatter(places, noise):
    assert 0.6 < np.sqrt((pulls(template_of(places), noise) ** 2).mean()) < 1.5


def test_a_single_block_that_fixes_the_shift_promises_no_less_than_its_residuals_tell():
    # A blob in the corner is seen by four spaxels: what the fit takes of their noise is missing in them.
    corner = template_of([(14.0, 14.0)])
    assert np.sqrt((pulls(corner, shared_by_neighbours) ** 2).mean()) < 1.6


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_stated_errors_do_not_depend_on_the_unit(factor):
    template = template_of(MANY)
    inside = ROWS.astype(int), COLUMNS.astype(int)
    values = template[0][inside] + 7.0 + white(np.random.default_rng(1))
    first, second = (
        fit_band((f * values).ravel(), ROWS.ravel(), COLUMNS.ravel(), f * template, np.zeros(2), D)
        for f in (1.0, factor)
    )
    units = np.array([1.0, 1.0, 1.0, factor, 1.0, 1.0])
    for here, there in zip(first.covariances, second.covariances, strict=True):
        scale = np.sqrt(np.diag(here))
        np.testing.assert_allclose(
            there / np.outer(units * scale, units * scale), here / np.outer(scale, scale), atol=1e-3
        )


def fit_of(values, template, **options):
    places = ROWS.ravel(), COLUMNS.ravel()
    return fit_band(values.ravel(), *places, template, np.zeros(2), D, **options)


def test_outliers_do_not_pull():
    """A tenth of the spaxels are far off: the pedestal moves by a third of what least squares would."""
    template = template_of(MANY)
    inside = ROWS.astype(int), COLUMNS.astype(int)
    values = 1.1 * template[0][inside] + 7.0 + white(np.random.default_rng(1))
    spoiled = values + 60.0 * (np.random.default_rng(3).random(values.shape) < 0.1)
    clean, robust = fit_of(values, template), fit_of(spoiled, template)
    np.testing.assert_allclose(robust.shift, clean.shift, atol=0.06)
    assert robust.scale == pytest.approx(clean.scale, abs=0.05)
    assert robust.pedestal - clean.pedestal < 4.0  # 10 by least squares
    assert fit_of(values - 7.0, template, pedestal=False).pedestal == 0


@pytest.mark.parametrize(("excess", "found"), [(0.003, 0.003), (-0.004, -0.004), (0.02, 0.005)])
def test_the_blur_is_found_within_its_bounds(excess, found):
    """As the template's derivative says; a variance of 5e-3 arcsec^2 is the largest either way."""
    template = template_of(MANY)
    inside = ROWS.astype(int), COLUMNS.astype(int)
    values = (template[0] + excess * template[1])[inside] + 0.01 * white(np.random.default_rng(2))
    assert fit_of(values, template).excess[0] == pytest.approx(found, rel=0.05)
