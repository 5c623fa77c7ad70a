"""The short form of the trial of the verdict: spoiled observations are not green, a good one is not red."""

import pytest

from tests.trial import INJECTIONS, Files, fused

from .conftest import QUICK


@pytest.mark.parametrize(
    ("injection", "words"),
    [
        ("images turned by 4 deg", "a roll of nircam"),
        ("pixels of the cube 10 % smaller", "unequal pixel scales"),
        ("images blurred by 62 mas", "blur of the images"),
        ("source five times as bright", "a variable source"),
        ("errors of the images 100 times", "smallest of all bands"),
        ("first and last band exchanged", "over its misfit in another band"),
        ("jump of 20 nm in the wavelengths", "the wavelengths jump"),
        (None, None),
    ],
)
def test_spoiled_observations_are_not_green(data, tmp_path, injection, words):
    files = Files.copied(data.cube.parent, tmp_path)
    options = INJECTIONS[injection](files) if injection else None
    _, verdict = fused(files, options, **QUICK)
    if injection:
        assert verdict.level != "green"
        assert any(words in finding.lower() for finding in verdict.findings)
    else:
        assert verdict.level != "red"
