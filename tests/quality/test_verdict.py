"""The verdict of a fusion: which figures make it green, amber or red, and what it says."""

from dataclasses import fields, replace

import numpy as np
import pytest

from jwst_fusion.quality.criteria import LIMITS
from jwst_fusion.quality.verdict import Measures, judge, measure

GOOD = Measures(
    roll=0.0, magnification=0.001, shift=0.002, image_blur=0.0, blur_spread=0.01, change=0.02,
    mismatch=0.5, image_patch=2.0, compared=1.0, correlation=0.99,
    outside=0.5, offset_error=0.003, scale_departure=0.1, scale_ratio=0.1, same_filter=0.01, scale_error=0.01,
    cube_factor=0.05,
    image_residual=1.0, image_noise=0.7, cube_residual=1.0, cube_channel=1.2, cube_patch=1.0,
    cube_spaxel=1.4, cube_chi2=1.1, mean_spectrum=0.002, used_ssim=0.98, held_out_ssim=0.95,
    wiggle=0.01, seam=0.001, unseen=0.2, prior_driven=0.05, registered=True, converged=True,
    warnings="", by_hand="",
)  # fmt: skip


def test_good_figures_are_green_and_all_are_told():
    verdict = judge(GOOD)
    assert verdict.level == "green"
    assert len(verdict.reasons) == len(fields(Measures))
    assert verdict.unknown == verdict.findings == ()
    assert verdict.sentence == f"All {len(fields(Measures))} tests were passed."


@pytest.mark.parametrize("name", LIMITS)
def test_each_figure_alone_makes_it_amber_and_red(name):
    limit = LIMITS[name]
    good, bad = limit.green, limit.red
    step = 1e-6 * (bad - good)
    assert judge(replace(GOOD, **{name: good})).level == "green"
    for value, level in (
        (good + step, "amber"),
        (bad, "amber"),
        (bad + step, "red"),
        (2 * bad - good, "red"),
    ):
        verdict = judge(replace(GOOD, **{name: value}))
        assert verdict.level == level
        assert verdict.reasons[0].level == level
        text = verdict.reasons[0].text.lower()
        assert limit.words.lower() in text
        if level != "green":
            assert limit.concerns.lower() in text and limit.look.lower() in text


def test_value_and_limit_are_in_the_words():
    assert judge(replace(GOOD, shift=0.05)).findings == (
        "Remaining offset between NIRCam and NIRSpec: 50 mas (at most 40 mas). This affects structure "
        "smaller than a spaxel, at all wavelengths; see Registration.",
    )
    texts = [reason.text for reason in judge(GOOD).reasons]
    assert "Structural similarity of a band that was used: 0.98 (at least 0.8)." in texts


def test_worst_reason_comes_first():
    verdict = judge(replace(GOOD, scale_error=0.05, shift=0.3, converged=False))
    assert [reason.level for reason in verdict.reasons[:4]] == ["red", "amber", "amber", "green"]
    assert "Do not use" in verdict.sentence


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"converged": False}, "did not converge"),
        ({"registered": False}, "was not measured"),
        ({"warnings": "F182M left out: its scale is 100"}, "warnings: F182M left out"),
    ],
)
def test_no_convergence_no_registration_and_a_warning_are_amber(change, words):
    verdict = judge(replace(GOOD, **change))
    assert verdict.level == "amber"
    assert words in verdict.reasons[0].text


def test_parameters_set_by_hand_are_told_and_no_fault():
    verdict = judge(replace(GOOD, by_hand="fusion.mu=0.5"))
    assert verdict.level == "green"
    assert any("Set by hand: fusion.mu=0.5." in reason.text for reason in verdict.reasons)


def test_an_image_that_cannot_be_compared_is_amber(content):
    unknown = content.diagnosis.comparisons.copy()
    unknown[1] = np.nan
    found = measure(replace(content, diagnosis=replace(content.diagnosis, comparisons=unknown)))
    assert found.compared == 0.5
    assert judge(found).level == "amber"


def test_what_is_not_known_is_said_and_nothing_known_is_not_green():
    verdict = judge(Measures())
    assert verdict.level == "amber"
    assert len(verdict.unknown) == len(LIMITS)
    assert judge(replace(GOOD, wiggle=float("nan"))).unknown == (LIMITS["wiggle"].words,)


def test_measures_are_taken_from_the_content(content):
    found = measure(content)
    assert found.shift == pytest.approx(np.hypot(0.001, 0.002))
    assert found.correlation == pytest.approx(0.98)
    assert (found.offset_error, found.scale_error) == (0.003, 0.01)
    assert found.scale_departure == pytest.approx(0.1)
    assert found.image_residual == 0.7
    assert found.image_noise == pytest.approx(np.sqrt(0.5))  # of the band that was used
    assert (found.used_ssim, found.held_out_ssim) == (0.99, 0.93)
    assert (found.cube_residual, found.mean_spectrum, found.wiggle) == (1.0, 0.001, 0.01)
    assert (found.registered, found.converged) == (True, True)
    assert judge(found).level == "green"


def test_two_images_of_one_filter_have_one_flux_scale(content):
    """One of another filter that was given the name of one that is there has another scale."""
    first = replace(content.bands[0], scale=1.0, scale_err=0.003, held_out=False)
    for name, scale, level in (("2", 1.03, "green"), ("2", 1.2, "amber"), ("2", 1.3, "red")):
        second = replace(first, filter=f"{first.filter}-{name}", scale=scale)
        found = measure(replace(content, bands=(first, second)))
        assert found.same_filter == pytest.approx(scale - 1 - 2 * 0.003 * np.hypot(1, scale))
        assert judge(replace(GOOD, same_filter=found.same_filter)).level == level
    assert measure(content).same_filter is None


def test_cubes_of_a_set_have_one_flux_scale(content):
    for factors, level in (((1.02, 0.99, 0.98), "green"), ((0.9, 1.0, 1.1), "amber"), ((0.88, 1.13), "red")):
        cubes = tuple({"cube": "a_s3d.fits", "factor": each, "factor_err": 0.001} for each in factors)
        found = measure(replace(content, set_cubes=cubes)).cube_factor
        assert found == pytest.approx(max(factors) / min(factors) - 1, abs=0.004)
        assert judge(replace(GOOD, cube_factor=found)).level == level
    assert measure(content).cube_factor is None


@pytest.mark.parametrize(
    ("excess", "blur"), [(2e-4, 0.0), (-6e-5, 0.0), (-1.8e-4, np.sqrt(8e-5)), (-9e-4, np.sqrt(8e-4))]
)
def test_an_ifu_that_seems_too_sharp_tells_of_blurred_images(content, excess, blur):
    settings = content.settings | {"ifu_excess_x": 4e-4, "ifu_excess_y": excess, "ifu_excess_err": 5e-5}
    found = measure(replace(content, settings=settings))
    assert found.image_blur == pytest.approx(blur)
    assert judge(replace(GOOD, image_blur=found.image_blur)).level == ("amber" if blur else "green")


def seam(fused, error):
    """A row of the table of seams."""
    row = {"first": "a_s3d.fits", "second": "b_s3d.fits", "low": 1.7, "high": 1.9}
    return row | {"cubes": 0.01, "cubes_err": 0.01, "fused": fused, "fused_err": error}


@pytest.mark.parametrize(
    ("seams", "level"),
    [
        ([seam(0.004, 0.0), seam(-0.003, 0.001)], "green"),
        ([seam(0.001, 0.0), seam(-0.008, 0.001)], "amber"),
        ([seam(0.02, 0.01)], "green"),
        ([seam(0.05, 0.001)], "red"),
    ],
)
def test_seams_beyond_their_errors_count(content, seams, level):
    of_set = replace(content, set_cubes=({"cube": "a_s3d.fits"},), set_seams=tuple(seams))
    verdict = judge(measure(of_set))
    assert verdict.level == level
    assert any("Difference of the fused cubes where they meet" in each.text for each in verdict.reasons)


def test_seams_of_one_cube_are_no_matter_and_of_cubes_that_do_not_meet_unknown(content):
    assert measure(content).seam is None
    assert judge(replace(GOOD, seam=None)).unknown == ()
    apart = replace(content, set_cubes=({"cube": "a_s3d.fits"},))
    assert judge(measure(apart)).unknown.count(LIMITS["seam"].words) == 1


def test_alignment_by_coordinates_alone_is_not_a_registration(content):
    assert measure(replace(content, settings={"alignment": "wcs"})).registered is False


def test_share_of_voxels_that_the_prior_decides(content):
    assert np.isnan(measure(content).prior_driven)
    assert measure(replace(content, seen_by_one=0.3)).prior_driven == 0.3
    flagged = replace(content, seen_by_one=0.3, flags=(("PRIOR_DRIVEN", 0.7),))
    assert measure(flagged).prior_driven == 0.7
    assert judge(replace(measure(flagged), prior_driven=0.96)).level == "amber"


def test_measures_of_a_bare_product(bare):
    found = measure(bare)
    assert found.registered is None
    assert np.isnan([found.shift, found.correlation, found.cube_residual, found.wiggle]).all()
    assert found.used_ssim == 0.99
