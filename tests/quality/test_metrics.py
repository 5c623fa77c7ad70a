"""How alike images and spectra are."""

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from jwst_fusion.observation import BandImage, CubeData, FusionGrid, Observation
from jwst_fusion.quality.metrics import band_scores, largest_patch, psnr, spectral_angle, ssim


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    reference = rng.uniform(1, 5, (40, 33))
    return reference, reference + 0.2 * rng.normal(size=reference.shape)


def test_psnr_of_a_known_error():
    reference = np.array([[1.0, 10.0], [2.0, 3.0]])
    assert psnr(reference, reference + 0.1) == pytest.approx(40)
    assert psnr(reference, reference) == np.inf


def test_psnr_is_that_of_scikit_image(pair):
    reference, image = pair
    expected = peak_signal_noise_ratio(reference, image, data_range=reference.max())
    assert psnr(reference, image) == pytest.approx(expected)


def test_psnr_where_both_are_known(pair):
    reference, image = (a.copy() for a in pair)
    expected = psnr(reference[:, 5:20], image[:, 5:20])
    reference[:, :5] = np.nan
    image[:, 20:] = np.nan
    assert psnr(reference, image) == pytest.approx(expected)


def test_psnr_of_single_precision():
    reference = np.full((50, 50), 1e4, dtype=np.float32)
    assert psnr(reference, reference + np.float32(1.0)) == pytest.approx(80)


def test_ssim_is_that_of_scikit_image(pair):
    reference, image = pair
    expected = structural_similarity(reference, image, win_size=7, data_range=np.ptp(reference))
    assert ssim(reference, image) == pytest.approx(expected)
    assert ssim(reference, reference) == pytest.approx(1)
    assert ssim(reference, reference) > ssim(reference, image) > ssim(reference, reference[::-1])


def test_ssim_of_complete_patches_only(pair):
    reference, image = (a.copy() for a in pair)
    expected = structural_similarity(
        reference[12:], image[12:], win_size=7, data_range=np.ptp(reference[12:])
    )  # fmt: skip
    reference[:6], image[:12] = np.nan, np.nan
    assert ssim(reference, image) == pytest.approx(expected, rel=1e-6)


def test_ssim_ignores_what_a_hole_does_to_its_patches(pair):
    reference, image = (a.copy() for a in pair)
    image[20, 15] = np.nan
    _, local = structural_similarity(*pair, win_size=7, data_range=np.ptp(pair[0]), full=True)
    counted = np.zeros(reference.shape, dtype=bool)
    counted[3:-3, 3:-3] = True
    counted[17:24, 12:19] = False
    assert ssim(reference, image) == pytest.approx(local[counted].mean(), rel=1e-3)


def test_spectral_angle():
    reference = np.zeros((3, 2, 2))
    reference[0] = 1.0
    cube = np.zeros((3, 2, 2))
    cube[0], cube[1] = 2.0, 2.0
    assert spectral_angle(reference, cube) == pytest.approx(np.pi / 4)
    assert spectral_angle(reference, 5 * reference) == pytest.approx(0, abs=1e-7)
    cube[:, 0] = 3 * reference[:, 0]
    assert spectral_angle(reference, cube) == pytest.approx(np.pi / 8)


def test_spectral_angle_where_both_are_known():
    rng = np.random.default_rng(1)
    reference, cube = rng.uniform(1, 2, (2, 20, 3, 4))
    expected = spectral_angle(reference[5:, :2], cube[5:, :2])
    reference[:5], cube[:, 2] = np.nan, np.nan
    assert spectral_angle(reference, cube) == pytest.approx(expected)


@pytest.mark.parametrize("measure", [psnr, ssim, spectral_angle])
def test_nothing_in_common_gives_nan(measure):
    known, unknown = np.ones((9, 9)), np.full((9, 9), np.nan)
    assert np.isnan(measure(known, unknown))
    assert np.isnan(measure(unknown, known))


def test_ssim_of_what_it_can_not_judge():
    assert np.isnan(ssim(np.ones((9, 9)), np.ones((9, 9))))
    assert np.isnan(ssim(np.eye(6), np.eye(6)))
    holed = np.random.default_rng(2).random((9, 9))
    holed[4, 4] = np.nan
    holed[4, 2] = holed[2, 4] = holed[6, 4] = holed[4, 6] = np.nan
    assert np.isnan(ssim(holed, np.ones((9, 9))))


def test_band_scores_compare_on_the_cubes_scale_within_the_footprint(pair):
    reference = pair[0][:40, :32]
    footprint = np.ones((20, 16), dtype=bool)
    footprint[:4] = False
    nothing = np.zeros((1, 20, 16))
    cube = CubeData(nothing, nothing, np.ones(1), np.ones(1), footprint, 0.0, 0.0)
    band = BandImage("F335M", "B", 1.2 * reference, reference, 3.3, 0.0, 0.063, 0.063, scale=1.2)
    observation = Observation(FusionGrid((40, 32), 2, np.eye(2)), cube, (band, band))
    predicted = reference + 0.1
    predicted[:8] = 1e9
    scores = band_scores(observation, np.stack([predicted, reference]))
    assert scores[0].psnr == pytest.approx(20 * np.log10(reference[8:].max() / 0.1))
    assert scores[0].ssim == pytest.approx(ssim(reference[8:], predicted[8:]), rel=1e-6)
    assert scores[1].psnr > 200
    assert scores[1].ssim == pytest.approx(1)


def test_a_patch_of_residuals_is_found_in_noise_and_its_area_measured():
    """Two areas of one sign, one of them larger; noise alone makes none."""
    residual = np.random.default_rng(0).standard_normal((120, 120))
    assert largest_patch(residual, 3, 4.5) == 0
    residual[30:60, 40:55] += 3.0
    residual[80:92, 80:89] -= 3.0
    assert largest_patch(residual, 3, 4.5) == pytest.approx(30 * 15 / 9, rel=0.1)
    residual[30:60, 40:55] = np.nan
    assert largest_patch(residual, 3, 4.5) == pytest.approx(12 * 9 / 9, rel=0.2)
    assert largest_patch(np.full((9, 9), np.nan), 3, 4.5) == 0
