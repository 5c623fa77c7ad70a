"""Groups of frequencies that decimation folds together."""

import numpy as np
import pytest
from scipy.fft import fft2, rfft2

from jwst_fusion.inversion.groups import FrequencyGroups
from jwst_fusion.optics.frequencies import make_hermitian

GRIDS = [(1, (3, 4)), (2, (4, 5)), (2, (3, 6)), (3, (5, 4)), (3, (4, 3)), (4, (1, 2))]


@pytest.fixture(params=GRIDS, ids=str)
def grid(request):
    d, spaxels = request.param
    groups = FrequencyGroups(tuple(d * n for n in spaxels), d)
    return groups, np.random.default_rng(1).normal(size=(2, *groups.shape))


def test_members_are_the_aliases_of_the_full_plane(grid):
    groups, image = grid
    half_plane = rfft2(image)
    members, (my, mx) = groups.gather(half_plane), groups.spaxel_shape
    full = fft2(image)
    for group in range(groups.n_groups):
        p, r = divmod(group, mx // 2 + 1)
        np.testing.assert_allclose(members[:, group], full[:, p::my, r::mx].reshape(2, -1), atol=1e-12)
    np.testing.assert_allclose(groups.scatter(members), half_plane, atol=1e-12)
    total = (groups.multiplicity[:, None] * np.abs(members) ** 2).sum()
    assert total == pytest.approx((np.abs(full) ** 2).sum())
    power = np.abs(half_plane) ** 2
    assert not np.iscomplexobj(groups.gather(power))
    np.testing.assert_allclose(groups.scatter(groups.gather(power)), power)


@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_decimation_samples_at_the_centres_of_the_spaxels(d):
    spaxels = (8, 9)
    ny, nx = shape = (8 * d, 9 * d)

    def wave(y, x):
        return 2 + np.cos(2 * np.pi * (2 * y / ny + x / nx) + 0.4) + np.sin(2 * np.pi * 3 * x / nx)

    centres = [d * index + (d - 1) / 2 for index in np.indices(spaxels)]
    seen = FrequencyGroups(shape, d).decimate(rfft2(wave(*np.indices(shape))))
    np.testing.assert_allclose(seen, wave(*centres), atol=1e-12)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("spaxels", [(4, 6), (5, 3)])
def test_the_phase_of_the_centres_is_that_of_a_real_kernel(d, spaxels):
    groups = FrequencyGroups((d * spaxels[0], d * spaxels[1]), d)
    phase = groups.sampling_phase()
    np.testing.assert_allclose(make_hermitian(phase, groups.shape[1]), phase, atol=1e-15)
