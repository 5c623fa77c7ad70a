"""Tests of the choice of images for a cube."""

from pathlib import Path

import numpy as np
import pytest

from jwst_fusion.coregistration.choice import choose_images
from jwst_fusion.coregistration.ranges import CUBE_RANGES, filter_sets
from jwst_fusion.observation import ImageProduct


def image(band):
    """An image without data."""
    return ImageProduct(f"{band.lower()}_i2d.fits", None, None, None, band, "B", 0.0, 0.0311, 0.0311)


def cube(*stretches):
    """Wavelengths of a cube, and which of them have data: some stretches only."""
    wavelength = np.arange(stretches[0][0], stretches[-1][-1], 0.002)
    alive = np.any([(wavelength >= low) & (wavelength <= high) for low, high in stretches], axis=0)
    return wavelength, alive


def choose(product, images, **options):
    """Choose images for a cube."""
    wavelength, alive = product
    return choose_images(wavelength, images, alive, **options)


G140H, G235H = cube((0.97, 1.408), (1.486, 1.89)), cube((1.66, 2.361), (2.492, 3.17))
G395H, PRISM = cube((2.87, 4.056), (4.180, 5.27)), cube((0.6, 5.3))


@pytest.mark.parametrize(
    ("product", "filters", "kept"),
    [
        (G140H, ["F115W", "F162M", "F164N"], ["F162M", "F164N"]),
        (G140H, ["F115W", "F162M"], ["F115W"]),
        (G235H, ["F115W", "F182M", "F210M", "F335M"], ["F182M", "F210M"]),
        (G395H, ["F335M", "F356W", "F470N", "F200W"], ["F335M", "F356W"]),
        (G395H, ["F335M", "F460M", "F466N", "F470N"], ["F460M", "F466N", "F470N"]),
        (G395H, ["F356W", "F444W", "F470N"], ["F356W", "F444W", "F470N"]),
        (PRISM, ["F115W", "F150W", "F200W", "F277W"], ["F115W", "F150W", "F200W"]),
        (PRISM, ["F277W", "F200W"], ["F200W"]),
    ],
)
def test_choice(product, filters, kept):
    images = [image(band) for band in filters]
    choice = choose(product, images)
    assert [i.filter for i in choice.kept] == kept
    assert {i.filter for i, _ in choice.left_out} == set(filters) - set(kept)


def test_the_reason_tells_what_was_found_and_the_cure():
    reasons = {
        i.filter: why for i, why in choose(
            G395H, [image(band) for band in ("F335M", "F356W", "F410M", "F470N")]
        ).left_out
    }  # fmt: skip
    assert "% of the bandpass of F410M lie in the cube's data from 2.870 to 5.2" in reasons["F410M"]
    assert "apart from F335M, F356W; set wavelength_range to 4.350, 5.100" in reasons["F470N"]
    both = choose(PRISM, [image("F182M"), image("F277W")])
    assert "F277W is of NIRCam's long channel, F182M not" in both.left_out[0][1]


def test_a_range_of_the_user_and_a_mixture_of_channels():
    images = [image(band) for band in ("F335M", "F356W", "F470N")]
    choice = choose(G395H, images, wavelength_range=(4.35, 5.1))
    assert [i.filter for i in choice.kept] == ["F470N"]
    mixed = [image("F210M"), image("F250M")]
    assert len(choose(PRISM, mixed, wavelength_range=(1.9, 2.7), mix_channels=True).kept) == 2


def test_a_band_is_fused_from_four_fifths_of_its_bandpass():
    """Of F210M, from 1.99 to 2.21 um, 0.85 and 0.75 lie in these cubes."""
    for end, kept in ((2.175, True), (2.14, False)):
        images = [image("F182M"), image("F210M")]
        names = [i.filter for i in choose(cube((1.66, end)), images).kept]
        assert ("F210M" in names) == kept, end


def test_all_stay_if_none_lies_in_the_cube():
    images = [image("F444W"), image("F356W")]
    assert choose(G140H, images).kept == tuple(images)
    assert choose(G140H, images, wavelength_range=(9.0, 9.5)).kept == tuple(images)


def test_the_table_in_the_documentation_is_right():
    text = (Path(__file__).parents[2] / "docs" / "filters.rst").read_text()
    rows = text.split("NIRCam filters\n")[1].split("\n=")[0].splitlines()[1:]
    found = []
    for row in rows:
        if row[:1].strip():
            found.append((row.split()[0], row.split()[3:]))
        else:
            found[-1][1].extend(row.split())
    expected = [("/".join(key), list(names)) for key in CUBE_RANGES for names in filter_sets(*key)]
    assert found == expected
