"""Tests of the NIRCam throughputs and bandpasses."""

import asdf
import numpy as np
import pytest

from jwst_fusion.exceptions import InputError, ParameterError
from jwst_fusion.optics import throughput
from jwst_fusion.optics.throughput import (
    bandpass,
    channel,
    effective_filter,
    filter_names,
    pivot_wavelength,
    read_throughputs,
    transmission,
)

WAVELENGTH = np.arange(1.66, 3.17, 0.000396)


@pytest.mark.parametrize(
    ("filter", "pupil", "expected"),
    [
        ("F150W2", "F162M", "F162M"),
        ("F444W", "F470N", "F470N"),
        ("F162M", "F162M", "F162M"),
        ("F182M", "CLEAR", "F182M"),
        (" f200w ", "clear", "F200W"),
    ],
)
def test_effective_filter(filter, pupil, expected):
    assert effective_filter(filter, pupil) == expected


@pytest.mark.parametrize(
    ("filter", "pupil", "words"),
    [
        ("F999W", "CLEAR", "FILTER=F999W"),
        ("CLEAR", "CLEAR", "FILTER=CLEAR with PUPIL=CLEAR, expected a filter of direct imaging"),
        ("F182M", "MASKRND", "PUPIL=MASKRND with FILTER=F182M, expected CLEAR"),
        ("F070W", "F162M", "FILTER=F070W with PUPIL=F162M, expected FILTER=F150W2"),
        ("F200W", None, "PUPIL=None"),
        ("F200W", "F405N", "expected FILTER=F444W"),
    ],
)
def test_effective_filter_rejects(filter, pupil, words):
    with pytest.raises(InputError, match=words):
        effective_filter(filter, pupil)


def test_pivot_wavelengths_match_the_table():
    assert len(filter_names()) == 29
    for name in filter_names():
        assert pivot_wavelength(name, "MULTIPLE") == pytest.approx(
            throughput._table()[name]["pivot"], abs=1e-3
        )
    assert pivot_wavelength("F182M", "A") == pytest.approx(1.845, abs=2e-3)


def test_modules_differ_and_multiple_is_their_mean():
    a, b, both = (transmission("F444W", m)[1] for m in ("A", "B", "MULTIPLE"))
    np.testing.assert_allclose(both, 0.5 * (a + b))
    assert abs(a - b).max() > 0.02 * a.max()
    names = ("F115W", "F212N", "F250M", "F444W")
    assert [channel(name) for name in names] == ["short", "short", "long", "long"]
    with pytest.raises(InputError, match="found band F999W"):
        transmission("F999W", "A")
    with pytest.raises(InputError, match="MODULE=C"):
        transmission("F444W", "C")
    with pytest.raises(ValueError, match="read-only"):
        a[0] = 1


@pytest.mark.parametrize("name", ["F187N", "F200W"])
def test_bandpass_of_flat_and_sloped_spectra(name):
    weights, covered = bandpass(name, "B", WAVELENGTH)
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert weights.min() >= 0
    assert 0.99 < covered <= 1.0
    grid, curve = transmission(name, "B")
    expected = np.trapezoid(curve, grid) / np.trapezoid(curve / grid, grid)  # photon-weighted mean of l
    assert weights @ WAVELENGTH == pytest.approx(expected, rel=1e-5)


def test_bandpass_of_few_wide_channels_integrates():
    wavelength = np.linspace(2.0, 2.25, 6)
    weights, covered = bandpass("F444W", "A", WAVELENGTH)
    assert covered == 0.0
    assert not weights.any()
    weights, covered = bandpass("F212N", "A", wavelength)
    assert covered == pytest.approx(1.0, abs=1e-6)
    assert weights @ wavelength == pytest.approx(2.12, abs=0.03)


def test_covered_fraction_counts_missing_channels():
    weights, covered = bandpass("F182M", "B", WAVELENGTH)
    usable = WAVELENGTH > 1.845
    half, share = bandpass("F182M", "B", WAVELENGTH, usable=usable)
    assert share == pytest.approx(weights[usable].sum() * covered)
    assert half.sum() == pytest.approx(1.0)
    assert not half[~usable].any()
    trimmed, trimmed_share = bandpass("F182M", "B", WAVELENGTH[usable])
    np.testing.assert_allclose(trimmed, half[usable], atol=1e-12)
    assert trimmed_share == pytest.approx(share)


def test_channels_do_not_reach_into_a_gap():
    keep = (WAVELENGTH < 1.80) | (WAVELENGTH > 1.88)
    _, masked = bandpass("F182M", "B", WAVELENGTH, usable=keep)
    weights, cut = bandpass("F182M", "B", WAVELENGTH[keep])
    assert cut == pytest.approx(masked, abs=1e-6)
    assert weights.max() < 0.01


def test_bandpass_rejects():
    with pytest.raises(ParameterError, match="ascend"):
        bandpass("F182M", "A", WAVELENGTH[::-1])
    with pytest.raises(ParameterError, match="two channels"):
        bandpass("F182M", "A", [1.8])
    with pytest.raises(ParameterError, match="mask of shape"):
        bandpass("F182M", "A", WAVELENGTH, usable=[True])


@pytest.mark.parametrize(
    ("name", "heading"), [("F182M_mean_system_throughput.txt", "# wavelength throughput\n"),
                          ("nircam_f182m.dat", "Microns Throughput\n"), ("F182M.txt", "")],
)  # fmt: skip
def test_a_user_s_throughput_in_two_columns(tmp_path, name, heading):
    wavelength = np.linspace(1.7, 2.0, 31)
    values = np.exp(-(((wavelength - 1.86) / 0.05) ** 2))
    rows = "".join(f"{w:.4f}, {v:.6f}\n" for w, v in zip(wavelength, values, strict=True))
    (tmp_path / name).write_text(heading + rows)
    curves = read_throughputs(tmp_path / name)
    assert set(curves) == {"F182M"}
    np.testing.assert_allclose(curves["F182M"]["MULTIPLE"].values, values, atol=1e-6)
    assert pivot_wavelength("F182M", "A", curves["F182M"]["A"]) == pytest.approx(1.86, abs=2e-3)
    weights, covered = bandpass("F182M", "A", WAVELENGTH, curve=curves["F182M"]["A"])
    assert covered == pytest.approx(1.0, abs=1e-3)
    assert weights @ WAVELENGTH == pytest.approx(1.86, abs=3e-3)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("mine.txt", "1.8 0.5\n1.9 0.5\n2.0 0.5\n", "does not contain the band"),
        ("F182M.txt", "1.8 a\n", "cannot be read as throughputs"),
        ("F182M.txt", "1.9 0.5\n1.8 0.5\n2.0 0.5\n", "no usable throughput of F182M"),
        ("F182M.txt", "1.8 nan\n1.9 0.5\n2.0 0.5\n", "no usable throughput"),
        ("F182M.txt", "17000 0.5\n18000 0.5\n19000 0.5\n", "give them in um"),
        ("t.asdf", "nothing", "cannot be read as throughputs"),
    ],
)
def test_throughputs_that_can_not_be_used(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=rf"{name}: .*{words}"):
        read_throughputs(tmp_path / name)


def test_users_throughputs_in_asdf(tmp_path):
    wavelength = np.linspace(1.7, 2.0, 31)
    entry = {"wavelength": wavelength, "A": np.ones(31), "B": np.full(31, 3.0)}
    asdf.AsdfFile({"filters": {"F182M": entry}}).write_to(tmp_path / "t.asdf")
    curves = read_throughputs(tmp_path / "t.asdf")["F182M"]
    assert [curves[module].values[0] for module in ("A", "B", "MULTIPLE")] == [1.0, 3.0, 2.0]
    asdf.AsdfFile({"filters": {"F999W": entry}}).write_to(tmp_path / "t.asdf")
    with pytest.raises(InputError, match="F999W is not a NIRCam filter"):
        read_throughputs(tmp_path / "t.asdf")
