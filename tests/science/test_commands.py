"""The commands ``lines`` and ``extract``, and their like in Python."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from jwst import datamodels as jwst_datamodels
from PIL import Image
from specutils import Spectrum, SpectrumList

import jwst_fusion
from jwst_fusion import datamodels
from jwst_fusion.cli import main

from .scenes import LINE

MAPS = ["FLUX", "CONTINUUM", "VELOCITY", "DISPERSION", "EW"]
CIRCLE = 'circle(83.83, -5.42, 0.25")'


@pytest.fixture
def product(line_product, tmp_path):
    return str(shutil.copy(line_product, tmp_path))


def failed(capsys, *arguments):
    """Last line of a command that fails as an error of the user does."""
    assert main([str(argument) for argument in arguments]) == 1
    out, err = capsys.readouterr()
    assert not out
    (line,) = err.splitlines()
    return line


def test_lines_writes_maps_and_a_picture(product, truth, capsys):
    assert main(["lines", product, "--line", str(LINE), "--window", "700"]) == 0
    folder = Path(product).parent
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == [str(folder / "gas_line_2.08.fits"), str(folder / "gas_line_2.08.png")]
    assert "velocity" in out[2]
    with fits.open(folder / "gas_line_2.08.fits") as hdus, fits.open(product) as cube:
        names = [name for each in MAPS for name in (each, f"{each}_ERR")]
        assert [hdu.name for hdu in hdus] == ["PRIMARY", *names, "MASK"]
        assert hdus[0].header["RESTWAV"] == LINE
        assert hdus[0].header["SPECSYS"] == "BARYCENT"
        assert hdus["FLUX"].header["BUNIT"] == "W m-2 arcsec-2"
        known = np.isfinite(cube["COEFFS"].data[0])
        np.testing.assert_allclose(
            hdus["VELOCITY"].data[known], truth.velocity[known], atol=0.6, err_msg="velocities"
        )
        assert np.isnan(hdus["FLUX_ERR"].data[~known]).all()
        assert hdus["MASK"].data[known].mean() > 0.9
        assert not hdus["MASK"].data[~known].any()
        place = WCS(hdus["FLUX"].header).pixel_to_world_values(3, 4)
        np.testing.assert_allclose(place, WCS(cube["SCI"].header, cube).celestial.pixel_to_world_values(3, 4))
    with Image.open(folder / "gas_line_2.08.png") as image:
        assert min(image.size) > 500


def test_lines_in_python_gives_what_the_command_writes(product):
    (maps,) = jwst_fusion.lines(product, LINE, window=700.0)
    assert main(["lines", product, "--line", str(LINE), "--window", "700"]) == 0
    with fits.open(Path(product).with_name("gas_line_2.08.fits")) as hdus:
        np.testing.assert_array_equal(hdus["FLUX"].data, maps.cells.flux.value.astype(np.float32))
    with datamodels.open(product) as model:
        (again,) = jwst_fusion.lines(model, LINE, window=700.0)
    np.testing.assert_array_equal(again.cells.velocity.error, maps.cells.velocity.error)
    erg = maps.cells.flux.to("erg s-1 cm-2 arcsec-2")
    np.testing.assert_allclose(erg.value, 1e3 * maps.cells.flux.value)


def test_redshift_and_velocity_say_the_same(product):
    speed = 299792.458
    rest = LINE / 1.001
    (one,) = jwst_fusion.lines(product, rest, redshift=0.001, window=700.0)
    (two,) = jwst_fusion.lines(product, rest, velocity=0.001 * speed, window=700.0)
    (three,) = jwst_fusion.lines(product, LINE, window=700.0)
    np.testing.assert_allclose(one.cells.velocity.value, three.cells.velocity.value, atol=1e-6)
    np.testing.assert_allclose(two.cells.velocity.value, one.cells.velocity.value, atol=1e-6)


def test_flux_unit_and_ratio(product):
    pair = [str(LINE), "2.0801"]
    assert main(["lines", product, "--line", pair[0], "--flux-unit", "erg s-1 cm-2 arcsec-2"]) == 0
    assert main(["lines", product, "--ratio", *pair, "--intrinsic", "1.0", "--window", "700"]) == 1
    assert main(["lines", product, "--ratio", *pair, "--window", "700"]) == 0
    with fits.open(Path(product).with_name("gas_line_2.08.fits")) as hdus:
        assert hdus["FLUX"].header["BUNIT"] == "W m-2 arcsec-2"  # of the second run, which replaced the first
    with fits.open(Path(product).with_name("gas_ratio_2.08_2.0801.fits")) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "RATIO", "RATIO_ERR", "MASK"]
        ratio = hdus["RATIO"].data
        np.testing.assert_allclose(ratio[np.isfinite(ratio)], 1.0, atol=0.02)


def test_list_names_lines_and_sources(capsys):
    assert main(["lines", "--list"]) == 0
    out = capsys.readouterr().out
    assert "2.12183 um  H2 1-0 S(1)     Roueff" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--line", "Pa alfa"], "line 'Pa alfa' is not in the list; nearest to it are Pa alpha"),
        (
            ["--line", "4.05"],
            "line 4.05 at 4.05000 um: its window, 4.0432 to 4.0568 um, is not within",
        ),
        (["--line", "2.0003"], "is not within the cube"),
        ([], "give a fused cube and --line LINE"),
        (["--line", "2.08", "--intrinsic", "3"], "--intrinsic needs --ratio"),
        (["--line", "2.08", "--window", "0"], "window = 0.0 cannot be used"),
        (["--line", "2.08", "--resolving-power", "0"], "resolving_power = 0.0 cannot be used"),
        (["--line", "2.08", "--redshift", "-1"], "redshift = -1 cannot be used"),
        (["--line", "2.08", "--flux-unit", "Jy"], "flux unit 'Jy' cannot be used"),
        (["--line", "2.08", "--flux-unit", "nonsense("], "flux unit 'nonsense(' cannot be used"),
    ],
)
def test_lines_tells_what_is_wrong_in_one_line(product, capsys, arguments, words):
    assert words in failed(capsys, "lines", product, *arguments)
    assert sorted(path.name for path in Path(product).parent.iterdir()) == ["gas_fused.fits"]


def test_a_product_may_have_any_name(product):
    named = str(Path(product).rename(Path(product).with_name("Nebel Ä 'λ'_fused.fits")))
    assert main(["lines", named, "--line", str(LINE), "--window", "700"]) == 0
    assert main(["extract", named, "--region", CIRCLE]) == 0
    header = fits.getheader(Path(product).with_name("Nebel Ä 'λ'_regions_x1d.fits"))
    assert header["FUSED"] == "Nebel ? '?'_fused.fits"


def test_a_product_without_draws_says_so(product, tmp_path, capsys):
    with datamodels.open(product) as model:
        del model.draws
        old = model.save(tmp_path / "old_fused.fits")
    assert "old_fused.fits: has no draws of its errors" in failed(capsys, "lines", old, "--line", LINE)
    assert "has no draws of its errors" in failed(capsys, "extract", old, "--region", CIRCLE)


def test_an_unknown_grating_needs_a_resolving_power(product, tmp_path, capsys):
    with datamodels.open(product) as model:
        model.meta.instrument.grating = "PRISM"
        prism = model.save(tmp_path / "prism_fused.fits")
    assert "give resolving_power" in failed(capsys, "lines", prism, "--line", LINE)
    (given,) = jwst_fusion.lines(prism, LINE, resolving_power=2.08 / (3.7e-4 * 2.3548), window=700.0)
    (known,) = jwst_fusion.lines(product, LINE, window=700.0)
    np.testing.assert_allclose(given.cells.dispersion.value, known.cells.dispersion.value, rtol=1e-3)


def test_foreign_files_are_not_replaced(product, capsys):
    foreign = Path(product).with_name("gas_line_2.08.png")
    foreign.write_bytes(b"mine")
    assert "not made by jwst-fusion" in failed(capsys, "lines", product, "--line", LINE)
    assert foreign.read_bytes() == b"mine"
    assert not foreign.with_suffix(".fits").exists()
    spectra = Path(product).with_name("gas_regions_x1d.fits")
    spectra.write_bytes(b"mine")
    assert "not made by jwst-fusion" in failed(capsys, "extract", product, "--region", CIRCLE)


def test_extract_writes_an_x1d(product, truth, capsys):
    assert main(["extract", product, "--region", CIRCLE, "--line", str(LINE), "--window", "700"]) == 0
    path = Path(product).with_name("gas_regions_x1d.fits")
    assert str(path) in capsys.readouterr().out
    with fits.open(path) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "EXTRACT1D", "CUBE1D", "PHOTOMETRY", "LINES"]
        table, header = hdus["EXTRACT1D"].data, hdus["EXTRACT1D"].header
        assert header["COVERAGE"] == pytest.approx(1.0)
        area = table["NPIXELS"][0] * 0.0333**2
        assert area == pytest.approx(np.pi * 0.25**2, rel=2e-3)
        row, column = 11.5, 12.5
        y, x = np.mgrid[:24, :26]
        near = np.hypot(x - column, y - row) * 0.0333 < 0.25
        expected = truth.cube[:, near].mean(axis=1)
        np.testing.assert_allclose(table["SURF_BRIGHT"], expected, rtol=0.02)
        steradian = area / np.degrees(3600) ** 2
        np.testing.assert_allclose(table["FLUX"], table["SURF_BRIGHT"] * 1e6 * steradian)
        np.testing.assert_allclose(hdus["CUBE1D"].data["cube_flux"], table["FLUX"], rtol=0.03)
        bands, lines = hdus["PHOTOMETRY"].data, hdus["LINES"].data
        assert bands["nircam"][0] == pytest.approx(bands["fused"][0], rel=1e-3)
        assert bands["fused_err"][0] / bands["fused"][0] == pytest.approx(0.01, rel=0.2)  # the scale's
        assert lines["velocity"][0] == pytest.approx(truth.velocity[near].mean(), abs=3)
    with jwst_datamodels.open(path) as model:
        assert len(model.spec) == 1
    assert Spectrum.read(path, format="JWST x1d").flux.unit == "MJy / sr"


def test_extract_reads_files_of_regions(product, tmp_path):
    file = tmp_path / "parts.reg"
    file.write_text(
        "# Region file format: DS9 version 4.1\nicrs\n"
        'circle(83.83,-5.42,0.25") # text={knot}\n'
        'box(83.83,-5.42,0.4",0.2",30)\n'
        '-circle(83.83,-5.42,0.1")\n'
        "polygon(83.83,-5.42,83.8299,-5.42,83.8299,-5.4199)\n"
    )
    found = jwst_fusion.extract(product, file, CIRCLE)
    assert [spectrum.name for spectrum in found] == ["knot", "region 2", "region 3", "region 4"]
    knot, *_, whole = found
    assert knot.sum.amount / whole.sum.amount == pytest.approx(1 - 0.1**2 / 0.25**2, rel=0.01)
    assert main(["extract", product, "--region", str(file), CIRCLE]) == 0
    spectra = SpectrumList.read(Path(product).with_name("gas_regions_x1d.fits"), format="JWST x1d multi")
    assert len(spectra) == 4


@pytest.mark.parametrize(
    ("region", "words"),
    [
        ("nowhere.reg", "nowhere.reg: no such file; give a file of regions"),
        ("ball(1, 2, 3)", "it contains no readable region"),
        ('circle(83.9, -5.42, 0.2")', "region 1: lies outside the field of gas_fused.fits"),
        ('galactic;circle(20, 20, 1")', "region 1: lies outside the field of gas_fused.fits"),
        (
            "circle(83.83, -5.42, 6)",
            "region 1: is far larger than the field; sizes without a unit",
        ),
        ("circle(83.83, -5.42", "ircle(83.83, -5.42"),
        ("point(83.83, -5.42)", "region 1: a PointSkyRegion has no area"),
    ],
)
def test_extract_tells_what_is_wrong_in_one_line(product, capsys, region, words):
    assert words in failed(capsys, "extract", product, "--region", region)
    assert sorted(path.name for path in Path(product).parent.iterdir()) == ["gas_fused.fits"]


def test_a_region_at_the_edge_says_how_much_of_it_has_data(product):
    (spectrum,) = jwst_fusion.extract(product, 'circle(83.83, -5.42, 1.0")')
    assert 0.1 < spectrum.coverage < 0.3
    assert spectrum.sum.amount == pytest.approx(22 * 26, rel=0.02)


def test_results_show_themselves_in_a_notebook(product):
    (maps,) = jwst_fusion.lines(product, 2.08)
    html = maps._repr_html_()
    assert "Line 2.08" in html
    assert f"{maps.total.flux.value:.4g} ± {maps.total.flux.error:.2g} W m-2" in html
    (spectrum,) = jwst_fusion.extract(product, CIRCLE)
    html = spectrum._repr_html_()
    assert "F210M" in html
    assert f"{1e6 * spectrum.bands[0]['fused']:.4g} ± " in html
