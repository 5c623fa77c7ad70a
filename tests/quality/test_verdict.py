"""The verdict of a fusion: which figures make it green, amber or red, and what it says."""

from dataclasses import fields, replace

import numpy as np
import pytest

from jwst_fusion.quality.verdict import LIMITS, Measures, judge, measure

GOOD = Measures(
    shift=0.002, correlation=0.99, offset_error=0.003, registered=True, scale_departure=0.1, scale_error=0.01,
    image_residual=1.0, cube_residual=1.0, mean_spectrum=0.002, used_ssim=0.98, held_out_ssim=0.95,
    wiggle=0.01, prior_driven=0.05, converged=True,
)  # fmt: skip


def test_good_figures_are_green_and_all_are_told():
    verdict = judge(GOOD)
    assert verdict.level == "green"
    assert len(verdict.reasons) == len(fields(Measures)) - 1  # that the images are registered is not told
    assert verdict.unknown == ()
    assert "can be trusted" in verdict.sentence


@pytest.mark.parametrize("name", LIMITS)
def test_each_figure_alone_makes_it_amber_and_red(name):
    good, bad, words, _, _ = LIMITS[name]
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
        assert words.lower() in verdict.reasons[0].text.lower()


def test_value_and_limit_are_in_the_words():
    text = judge(replace(GOOD, shift=0.05)).reasons[0].text
    assert text == "Offset left between NIRCam and NIRSpec: 50 mas (limit 40 mas)."


def test_worst_reason_comes_first():
    verdict = judge(replace(GOOD, scale_error=0.05, shift=0.3, converged=False))
    assert [reason.level for reason in verdict.reasons[:4]] == ["red", "amber", "amber", "green"]
    assert "Do not use" in verdict.sentence


@pytest.mark.parametrize(
    ("change", "words"),
    [({"converged": False}, "did not converge"), ({"registered": False}, "was not measured")],
)
def test_no_convergence_and_no_registration_are_amber(change, words):
    verdict = judge(replace(GOOD, **change))
    assert verdict.level == "amber"
    assert words in verdict.reasons[0].text


def test_what_is_not_known_is_said_and_nothing_known_is_not_green():
    verdict = judge(Measures())
    assert verdict.level == "amber"
    assert len(verdict.unknown) == len(LIMITS)
    assert judge(replace(GOOD, wiggle=float("nan"))).unknown == (LIMITS["wiggle"][2],)


def test_measures_are_taken_from_the_content(content):
    found = measure(content)
    assert found.shift == pytest.approx(np.hypot(0.001, 0.002))
    assert found.correlation == pytest.approx(0.98)
    assert (found.offset_error, found.scale_error) == (0.003, 0.01)
    assert found.scale_departure == pytest.approx(0.1)
    assert found.image_residual == pytest.approx(np.sqrt(0.5))  # of the band that was used
    assert (found.used_ssim, found.held_out_ssim) == (0.99, 0.93)
    assert (found.cube_residual, found.mean_spectrum, found.wiggle) == (1.0, 0.001, 0.01)
    assert (found.registered, found.converged) == (True, True)
    assert judge(found).level == "green"


def test_alignment_by_coordinates_alone_is_not_a_registration(content):
    assert measure(replace(content, settings={"alignment": "wcs"})).registered is False


def test_share_of_voxels_that_the_prior_decides(content):
    assert np.isnan(measure(content).prior_driven)
    assert measure(replace(content, seen_by_one=0.3)).prior_driven == 0.3
    flagged = replace(content, seen_by_one=0.3, flags=(("PRIOR_DRIVEN", 0.7),))
    assert measure(flagged).prior_driven == 0.7
    assert judge(measure(flagged)).level == "red"


def test_measures_of_a_bare_product(bare):
    found = measure(bare)
    assert found.registered is None
    assert np.isnan([found.shift, found.correlation, found.cube_residual, found.wiggle]).all()
    assert found.used_ssim == 0.99
