"""Groups of frequencies that decimation folds together, and half planes."""

import numpy as np
import pytest
from scipy.fft import fft2, irfft2, rfft2

from jwst_fusion.inversion.groups import FrequencyGroups, make_hermitian

GRIDS = [(d, spaxels) for d in (1, 2, 3, 4) for spaxels in ((4, 6), (4, 5), (5, 4), (5, 3), (1, 2), (3, 1))]


def random_image(d, spaxels, n=()):
    return np.random.default_rng(1).normal(size=(*n, spaxels[0] * d, spaxels[1] * d))


def groups_of(d, spaxels):
    return FrequencyGroups((spaxels[0] * d, spaxels[1] * d), d)


@pytest.mark.parametrize(("d", "spaxels"), GRIDS)
def test_members_are_the_aliases_of_the_full_plane(d, spaxels):
    groups, image = groups_of(d, spaxels), random_image(d, spaxels)
    members = groups.gather(rfft2(image))
    full = fft2(image)
    my, mx = spaxels
    assert members.shape == (groups.n_groups, d**2) == (my * (mx // 2 + 1), d**2)
    for group in range(groups.n_groups):
        p, r = divmod(group, mx // 2 + 1)
        np.testing.assert_allclose(members[group], full[p::my, r::mx].ravel(), atol=1e-12)


@pytest.mark.parametrize(("d", "spaxels"), GRIDS)
def test_scatter_is_the_inverse_of_gather(d, spaxels):
    groups, image = groups_of(d, spaxels), random_image(d, spaxels, n=(2,))
    half_plane = rfft2(image)
    again = groups.scatter(groups.gather(half_plane))
    assert again.shape == half_plane.shape
    np.testing.assert_allclose(again, half_plane, atol=1e-12)
    np.testing.assert_allclose(groups.gather(again), groups.gather(half_plane), atol=1e-12)


@pytest.mark.parametrize(("d", "spaxels"), GRIDS)
def test_real_half_planes_keep_their_mirror(d, spaxels):
    groups = groups_of(d, spaxels)
    kernel = rfft2(random_image(d, spaxels))
    power = np.abs(kernel) ** 2
    assert not np.iscomplexobj(groups.gather(power))
    np.testing.assert_allclose(groups.scatter(groups.gather(power)), power)
    np.testing.assert_allclose(groups.gather(power), np.abs(groups.gather(kernel)) ** 2)


@pytest.mark.parametrize(("d", "spaxels"), GRIDS)
def test_decimation_averages_each_group(d, spaxels):
    groups, image = groups_of(d, spaxels), random_image(d, spaxels)
    folded = groups.gather(rfft2(image)).mean(axis=1).reshape(groups.spaxel_half_shape)
    np.testing.assert_allclose(irfft2(folded, s=spaxels), image[::d, ::d], atol=1e-12)


@pytest.mark.parametrize(("d", "spaxels"), GRIDS)
def test_multiplicity_counts_the_full_plane(d, spaxels):
    groups, image = groups_of(d, spaxels), random_image(d, spaxels)
    members = groups.gather(rfft2(image))
    total = (groups.multiplicity[:, None] * np.abs(members) ** 2).sum()
    assert total == pytest.approx((np.abs(fft2(image)) ** 2).sum())
    assert groups.multiplicity.sum() == spaxels[0] * spaxels[1]


@pytest.mark.parametrize(("d", "spaxels"), GRIDS)
def test_gather_does_not_modify(d, spaxels):
    groups, half_plane = groups_of(d, spaxels), rfft2(random_image(d, spaxels))
    before = half_plane.copy()
    members = groups.gather(half_plane)
    kept = members.copy()
    groups.scatter(members)
    np.testing.assert_array_equal(half_plane, before)
    np.testing.assert_array_equal(members, kept)


@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_sampling_phase_looks_at_the_centres_of_spaxels(d):
    spaxels = (8, 9)
    ny, nx = shape = (8 * d, 9 * d)
    rows, columns = np.indices(shape)

    def wave(y, x):
        return 2 + np.cos(2 * np.pi * (2 * y / ny + x / nx) + 0.4) + np.sin(2 * np.pi * 3 * x / nx)

    groups = groups_of(d, spaxels)
    seen = irfft2(rfft2(wave(rows, columns)) * groups.sampling_phase(), s=shape)[::d, ::d]
    at = [d * index + (d - 1) / 2 for index in np.indices(spaxels)]
    np.testing.assert_allclose(seen, wave(*at), atol=1e-12)


@pytest.mark.parametrize("d", [1, 2, 3, 4])
@pytest.mark.parametrize("spaxels", [(4, 6), (5, 3)])
def test_sampling_phase_is_that_of_a_real_shift(d, spaxels):
    groups = groups_of(d, spaxels)
    phase = groups.sampling_phase()
    np.testing.assert_allclose(make_hermitian(phase, groups.shape[1]), phase, atol=1e-15)


@pytest.mark.parametrize("shape", [(4, 6), (5, 6), (4, 5), (5, 7)])
def test_a_hermitian_half_plane_is_that_of_its_image(shape):
    rng = np.random.default_rng(2)
    size = (3, shape[0], shape[1] // 2 + 1)
    half_plane = rng.normal(size=size) + 1j * rng.normal(size=size)
    before = half_plane.copy()
    result = make_hermitian(half_plane, shape[1])
    np.testing.assert_array_equal(half_plane, before)
    np.testing.assert_allclose(rfft2(irfft2(result, s=shape)), result, atol=1e-14)
    np.testing.assert_allclose(make_hermitian(result, shape[1]), result)
    real = rfft2(rng.normal(size=shape))
    np.testing.assert_allclose(make_hermitian(real, shape[1]), real, atol=1e-14)
