"""The report of a run, as files and in a real browser."""

import base64
import io
import json
import time

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from PIL import Image
from regions import PixCoord, Regions

from jwst_fusion import FusionStep, adapters, datamodels
from jwst_fusion.cli import main
from jwst_fusion.quality.explorer import PALETTES
from jwst_fusion.quality.lines import find_line
from jwst_fusion.quality.verdict import judge, measure
from jwst_fusion.science.lines import line_window, measure_line

from ..browser import PATIENCE, load, open_browser, requests, resize, wait_for
from .commands import spaxels
from .conftest import NAME, QUICK


@pytest.fixture(scope="module")
def page(product):
    """The page that the run has written."""
    return product.with_suffix(".html")


@pytest.fixture(scope="module")
def cross_calibrated(product):
    """Product from which the fusion can be run again."""
    return str(product.with_name(f"{NAME}_xcal.fits"))


def test_report_is_written_beside_the_product(page, product, full):
    text = page.read_text()
    assert f"<h1>{product.name}</h1>" in text
    assert len(text) < 8e6
    assert fits.getheader(product)["FUSREPRT"] == "COMPLETE"
    assert f"Saved report in products/{page.name}" in full.stderr
    for key in ("preflight", "registration", "residuals", "optics", "throughputs", "subspace", "resolution"):
        assert f'<section id="{key}"' in text


def test_fusion_of_the_test_scene_is_trusted(product):
    """And what the report adds to the product is small."""
    with datamodels.open(product) as model:
        content = adapters.report_content(model)
        rebuilt = np.tensordot(content.error_spectra, content.error_maps, axes=1)
        assert np.nanmedian(np.abs(rebuilt / model.err - 1)) < 0.02
        size = sum(np.asarray(value).nbytes for value in model.report.instance.values())
        assert size < 0.05 * product.stat().st_size
    figures = measure(content)
    assert figures.shift < 0.01
    assert figures.correlation > 0.98
    assert 0.8 < figures.cube_residual < 1.3
    assert 0 <= figures.prior_driven < 1
    verdict = judge(figures)
    assert verdict.level in ("green", "amber")


def test_report_is_rebuilt_from_the_product_alone(page, product, tmp_path, capsys):
    alone = tmp_path / product.name
    alone.symlink_to(product)
    assert main(["report", str(alone), "--figures"]) == 0
    assert (tmp_path / page.name).read_text().count("<section") == page.read_text().count("<section")
    written = sorted(path.name for path in tmp_path.iterdir() if not path.is_symlink())
    assert f"{NAME}_fused_fused.png" in written
    assert sorted(line.rpartition("/")[2] for line in capsys.readouterr().out.split()) == written


def test_report_of_something_else_is_refused(cross_calibrated, tmp_path, capsys):
    nonsense = tmp_path / "x_fused.fits"
    nonsense.write_bytes(b"no FITS at all")
    for path, words in (
        (cross_calibrated, "not a fused cube"), (tmp_path / "none.fits", "no such file"),
        (nonsense, "cannot be read"),
    ):  # fmt: skip
        assert main(["report", str(path)]) == 1
        assert words in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [nonsense.name]


PARTS = [("COEFFS", True), ("ERR", False), ("SPECTRAL", True), ("COMPONENTS", False)]


@pytest.mark.parametrize("lost", [("ASDF",), ()], ids=["no ASDF", "ASDF"])
@pytest.mark.parametrize(("name", "cut"), PARTS)
def test_a_product_that_is_not_whole(product, tmp_path, capsys, name, lost, cut):
    path = tmp_path / "x_fused.fits"
    with fits.open(product, memmap=False) as hdus:
        if cut:
            hdus[name].data = hdus[name].data[..., :2].copy()
        for extension in (*lost, *(() if cut else (name,))):
            del hdus[extension]
        hdus.writeto(path)
    for command in ("info", "report"):
        assert main([command, str(path)]) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"jwst-fusion: error: {path}: ")
        assert "make" in error
        assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_product_without_its_asdf_extension_is_read_from_the_others(product, tmp_path, capsys):
    path = tmp_path / "x_fused.fits"
    with fits.open(product, memmap=False) as hdus:
        del hdus["ASDF"]
        hdus.writeto(path)
    for command in ("info", "report"):
        assert main([command, str(path)]) == 0
        assert capsys.readouterr().err == ""
    assert path.with_suffix(".html").stat().st_size > 1e5


def save_again(product, folder, **options):
    """Save a fused cube as the step does; what its header says of the report, and the files."""
    step = FusionStep()
    usual = {
        "output_dir": str(folder),
        "output_file": f"{NAME}.fits",
        "suffix": "fused",
        "save_results": True,
    }
    for name, value in (usual | options).items():
        setattr(step, name, value)
    with datamodels.open(product) as model:
        step.save_model(model)
    files = {path.name for path in folder.iterdir()}
    return fits.getheader(folder / product.name)["FUSREPRT"], files - {product.name}


def test_report_and_figures_are_written_on_request(product, tmp_path):
    state, files = save_again(product, tmp_path, save_report=False, save_figures=True)
    assert state == "SKIPPED"
    assert {f"{NAME}_fused_fused.png", f"{NAME}_fused_bands.png"} <= files
    assert f"{NAME}_fused.html" not in files


def test_failing_report_does_not_fail_the_fusion(product, cross_calibrated, tmp_path, monkeypatch, caplog):
    def fail(*args):
        raise OSError("there is no space left for a report")

    for broken, state in (
        ("jwst_fusion.quality.report.report_page", "FAILED"),
        ("jwst_fusion.steps.reporting.write_atomic", "COMPLETE"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(broken, fail)
            assert save_again(product, tmp_path) == (state, set())
        assert "there is no space left for a report" in caplog.text
        caplog.clear()
    monkeypatch.setattr("jwst_fusion.steps.fusion_step.diagnose", fail)
    options = {"output_dir": str(tmp_path), "save_results": True, "configure_log": False}
    FusionStep.call(cross_calibrated, **options, **QUICK)
    assert fits.getheader(tmp_path / product.name)["FUSREPRT"] == "COMPLETE"
    assert "there is no space left for a report" in caplog.text
    assert {path.name for path in tmp_path.iterdir()} == {product.name, f"{NAME}_fused.html"}


# in the browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder of the browser."""
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="module")
def window(page, folder):
    with open_browser(folder) as window:
        resize(window, 1280)
        load(window, page)
        yield window


@pytest.fixture(scope="module")
def cube(product):
    with fits.open(product, memmap=False) as hdus:
        yield {hdu.name: np.array(hdu.data) for hdu in hdus if hdu.name in ("SCI", "ERR")} | {
            "header": hdus["SCI"].header
        }


@pytest.fixture(scope="module")
def wcs(cube):
    return WCS(cube["header"]).celestial


def numbers(window, expression):
    """Typed array of the page."""
    text = window.execute_script(
        f"const a = Float32Array.from({expression}); let s = '';"
        "for (const b of new Uint8Array(a.buffer)) s += String.fromCharCode(b); return btoa(s);"
    )
    return np.frombuffer(base64.b64decode(text), dtype="<f4").astype(float)


def set_channel(window, channel):
    window.execute_script(
        "const s = document.getElementById('wavelength'); s.value = arguments[0];"
        "s.dispatchEvent(new Event('input'));", channel,
    )  # fmt: skip


def position(window, figure, row, column):
    """Place of a cell's centre in a figure, in pixels from the middle of its element."""
    return window.execute_script(
        """const [name, row, column] = arguments, r = window.fusionReport;
        const data = JSON.parse(document.getElementById('report-data').textContent);
        const plot = Bokeh.index.get_one(r.model(name)), [ny, nx] = data.shape, cell = data.frame.cell;
        const x = plot.frame.x_scale.compute((column + 0.5 - nx / 2) * cell);
        const y = plot.frame.y_scale.compute((row + 0.5 - ny / 2) * cell);
        const box = document.getElementById(name).getBoundingClientRect();
        const canvas = plot.canvas_view.el.getBoundingClientRect();
        document.getElementById(name).scrollIntoView({block: 'center'});
        return [canvas.left + x - box.left - box.width / 2, canvas.top + y - box.top - box.height / 2];""",
        figure, row, column,
    )  # fmt: skip


def pointer(window, figure, *cells):
    """Click a cell, or drag from one to others."""
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    element = window.find_element(By.ID, figure)
    places = [position(window, figure, *cell) for cell in cells]
    chain = ActionChains(window, duration=50).move_to_element_with_offset(element, *places[0])
    if len(places) == 1:
        chain.click()
    else:
        chain.click_and_hold()
        for place in places[1:]:
            chain.move_to_element_with_offset(element, *place)
        chain.release()
    chain.perform()


def test_page_loads_in_silence(window):
    assert not [entry for entry in window.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    asked = requests(window)
    assert asked
    assert all(address.startswith(("file://", "data:", "blob:")) for address in asked)
    assert len([address for address in asked if address.startswith("file://")]) == 1


def test_slider_shows_the_slice_of_the_product(window, cube):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    sci, err = cube["SCI"], cube["ERR"]
    for channel in (20, 70):
        set_channel(window, channel)
        shown = numbers(window, "window.fusionReport.view.fused").reshape(sci.shape[1:])
        known = np.isfinite(sci[channel])
        np.testing.assert_array_equal(np.isfinite(shown), known)
        off = np.abs(shown - sci[channel])[known] / err[channel][known]
        assert off.max() < 0.2  # steps of a sixteenth of the error of each coefficient
    before = window.find_element(By.ID, "fused").screenshot_as_png
    window.find_element(By.ID, "wavelength").send_keys(Keys.ARROW_RIGHT)
    assert window.execute_script("return window.fusionReport.state.channel") == 71
    set_channel(window, 5)
    wait_for(window, "return document.getElementById('wavelength-text').textContent !== ''")
    assert window.find_element(By.ID, "fused").screenshot_as_png != before


def test_colours_are_those_of_the_values(window, cube):
    set_channel(window, 40)
    values = cube["SCI"][40].ravel()
    known = np.isfinite(values)
    low, high = np.quantile(values[known], (0.005, 0.995), method="nearest")
    index = np.round(255 * np.clip((values[known] - low) / (high - low), 0, 1)).astype(int)
    table = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in PALETTES["inferno"]])
    pixels = window.execute_script(
        "return Array.from(window.fusionReport.model('fused-source').data.image[0])"
    )
    pixels = np.array(pixels, dtype=np.uint32)
    assert (pixels[~known] == 0).all()
    colours = np.stack([(pixels[known] >> shift) & 255 for shift in (0, 8, 16)], axis=1)
    near = [(colours == table[np.clip(index + step, 0, 255)]).all(axis=1) for step in (-1, 0, 1)]
    assert np.any(near, axis=0).all()  # quantised, a value may take the next colour
    assert near[1].mean() > 0.7


def test_click_shows_the_spectrum_of_the_cell_and_of_its_spaxel(window, cube, data):
    sci, err = cube["SCI"], cube["ERR"]
    rows, columns = np.nonzero(np.isfinite(sci).any(axis=0))
    cell = int(rows[len(rows) // 3]), int(columns[len(rows) // 3])
    pointer(window, "fused", cell)
    assert window.execute_script("return window.fusionReport.state.cell") == list(cell)
    wait_for(window, "return document.getElementById('at-pointer').textContent.includes(':')")
    hover = numbers(window, "window.fusionReport.model('hover-source').data.value")
    assert hover.size == sci.shape[0]
    spectrum, error = sci[:, *cell], err[:, *cell]
    shown = numbers(window, "window.fusionReport.view.spectrum.value")
    drawn = numbers(window, "window.fusionReport.model('spectrum-source').data.value")
    band = numbers(window, "window.fusionReport.view.spectrum.error")
    known = np.isfinite(spectrum)
    np.testing.assert_array_equal(np.isfinite(shown), known)
    np.testing.assert_array_equal(shown, drawn)
    assert (np.abs(shown - spectrum)[known] < 0.1 * error[known]).all()
    np.testing.assert_allclose(band[known], error[known], rtol=0.1)
    title = window.execute_script("return document.getElementById('spectrum-title').textContent")
    assert f"Cell x {cell[1]}, y {cell[0]}" in title
    shown = numbers(window, "window.fusionReport.view.spectrum.nirspec")
    row, column = cell
    own, noise = (a[:, row // 3, column // 3] for a in spaxels(data.cube, cube["header"], sci.shape))
    known = np.isfinite(shown) & np.isfinite(own)
    assert known.mean() > 0.9
    assert np.median(np.abs(shown - own)[known] / noise[known]) < 0.15


def test_pointer_tells_the_sky(window, cube):
    wcs = WCS(cube["header"]).celestial
    ny, nx = cube["SCI"].shape[1:]
    for column, row in ((0, 0), (nx - 1, 3), (nx / 2, ny)):
        told = window.execute_script(
            "return window.fusionReport.sky(arguments[0], arguments[1])", column, row
        )
        expected = SkyCoord(*wcs.wcs_pix2world(column, row, 0), unit="deg")
        assert SkyCoord(*told, unit="deg").separation(expected).arcsec < 1e-4
    words = window.execute_script("return document.getElementById('at-chosen').textContent")
    row, column = window.execute_script("return window.fusionReport.state.cell")
    shown = SkyCoord(words, unit=("hourangle", "deg"))
    expected = SkyCoord(*wcs.wcs_pix2world(column, row, 0), unit="deg")
    assert shown.separation(expected).arcsec < 2e-3


def test_drag_sums_over_an_aperture(window, cube):
    sci, header = cube["SCI"], cube["header"]
    middle = [n // 2 for n in sci.shape[1:]]
    pointer(window, "fused", (middle[0] - 4, middle[1] - 3), (middle[0] + 4, middle[1] + 3))
    left, right, bottom, top = window.execute_script("return window.fusionReport.state.aperture")
    assert 5 <= right - left <= 7
    assert 7 <= top - bottom <= 9
    shown = numbers(window, "window.fusionReport.view.spectrum.value")
    total = np.nansum(sci[:, bottom : top + 1, left : right + 1], axis=(1, 2)) * header["PIXAR_SR"] * 1e9
    known = np.isfinite(shown)
    assert known.any()
    np.testing.assert_allclose(shown[known], total[known], rtol=1e-3)


def test_an_ellipse_sums_over_the_cells_in_it(window, cube):
    sci, header = cube["SCI"], cube["header"]
    middle = [n // 2 for n in sci.shape[1:]]
    choose(window, "shape", "ellipse")
    pointer(window, "fused", (middle[0] - 4, middle[1] - 6), (middle[0] + 4, middle[1] + 6))
    left, right, bottom, top = window.execute_script("return window.fusionReport.state.aperture")
    shown = numbers(window, "window.fusionReport.view.spectrum.value")
    y, x = np.indices(sci.shape[1:])
    across = (x - (left + right) / 2) / ((right - left + 1) / 2)
    along = (y - (bottom + top) / 2) / ((top - bottom + 1) / 2)
    inside = across**2 + along**2 <= 1
    total = np.nansum(sci[:, inside], axis=1) * header["PIXAR_SR"] * 1e9
    known = np.isfinite(shown)
    np.testing.assert_allclose(shown[known], total[known], rtol=1e-3)
    drawn = window.execute_script(
        "return window.fusionReport.model('aperture-source').data.xs.map((x) => x.length)"
    )
    assert drawn == [360]
    title = window.execute_script("return document.getElementById('spectrum-title').textContent")
    assert "ellipse" in title
    assert f"{(inside & np.isfinite(sci).any(axis=0)).sum()} cells" in title
    choose(window, "shape", "box")


def inside_aperture(window, cube):
    """Cells of the aperture whose sum is shown."""
    shape = cube["SCI"].shape[1:]
    cells = window.execute_script(
        "const { state } = window.fusionReport, [ny, nx] = arguments; const found = [];"
        "for (let y = 0; y < ny; y++) for (let x = 0; x < nx; x++)"
        "  if (fusionRegions.contains(state.outline, x, y)) found.push(y * nx + x);"
        "return found", *shape,
    )  # fmt: skip
    inside = np.zeros(shape, dtype=bool)
    inside.flat[cells] = True
    return inside


@pytest.mark.parametrize(
    "region",
    [
        'icrs; circle({ra},{dec},0.2")',
        'fk5\nellipse({ra},{dec},0.25",0.1",30) # color=red',
        'icrs; box({sexagesimal},0.4",0.00005,-20)',
        "icrs;polygon({ra},{dec},{ra_east},{dec},{ra},{dec_north})",
        "image; box(14.2,16.4,9,5,25)",
    ],
)
def test_a_region_of_ds9_is_read_as_astropy_reads_it(window, cube, wcs, region):
    ra, dec = (float(value) for value in wcs.wcs_pix2world(15.3, 14.6, 0))
    words = SkyCoord(ra, dec, unit="deg").to_string("hmsdms", sep=":", precision=5).replace(" ", ",")
    text = region.format(
        ra=ra, dec=dec, sexagesimal=words, ra_east=ra + 0.3 / 3600, dec_north=dec + 0.25 / 3600
    )
    choose(window, "region", text)
    assert window.execute_script("return document.getElementById('region-trouble').hidden")
    (expected,) = Regions.parse(text, format="ds9")
    expected = expected.to_pixel(wcs) if hasattr(expected, "to_pixel") else expected
    y, x = np.indices(cube["SCI"].shape[1:])
    inside = inside_aperture(window, cube)
    assert inside.sum() > 10
    assert (inside != expected.contains(PixCoord(x, y))).sum() <= 1  # a cell on the edge
    shown = numbers(window, "window.fusionReport.view.spectrum.value")
    total = np.nansum(cube["SCI"][:, inside], axis=1) * cube["header"]["PIXAR_SR"] * 1e9
    known = np.isfinite(shown)
    np.testing.assert_allclose(shown[known], total[known], rtol=1e-3)


@pytest.mark.parametrize("shape", ["box", "ellipse"])
def test_an_aperture_is_written_as_a_region_of_ds9(window, cube, wcs, shape):
    choose(window, "shape", shape)
    pointer(window, "fused", (10, 8), (18, 20))
    text = window.execute_script("return document.getElementById('region').value")
    (region,) = Regions.parse(text, format="ds9")
    y, x = np.indices(cube["SCI"].shape[1:])
    inside = inside_aperture(window, cube)
    assert inside.sum() > 20
    assert (inside != region.to_pixel(wcs).contains(PixCoord(x, y))).sum() <= 2
    choose(window, "shape", "box")


def test_a_polygon_is_drawn_by_hand(window, cube, wcs):
    choose(window, "shape", "polygon")
    pointer(window, "fused", (8, 8), (8, 20), (20, 20))
    text = window.execute_script("return document.getElementById('region').value")
    assert text.startswith("icrs; polygon(")
    inside = inside_aperture(window, cube)
    assert 50 < inside.sum() < 100  # half of 12 x 12
    assert inside[9, 18]
    assert not inside[18, 9]
    choose(window, "shape", "box")
    pointer(window, "fused", (8, 8), (20, 20))
    assert window.execute_script("return window.fusionReport.state.shape") == "box"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('galactic; circle(10, 20, 3")', "galactic is not known"),
        ('icrs; annulus(10, 20, 1", 2")', "Only a circle"),
        ('icrs; circle(10, x, 3")', "numbers of the circle"),
        ('icrs; circle(10, 20, 3")', "no cell of the field"),
        ("# nothing", "no region"),
    ],
)
def test_a_region_that_cannot_be_used_says_why(window, text, words):
    before = window.execute_script("return window.fusionReport.state.aperture")
    choose(window, "region", text)
    assert words in window.execute_script("return document.getElementById('region-trouble').textContent")
    assert window.execute_script("return window.fusionReport.state.aperture") == before
    choose(window, "region", "")
    assert window.execute_script("return document.getElementById('region-trouble').hidden")


def test_a_line_in_two_bands_is_shown_less_its_continuum(window):
    """Two images of a source of a line and of a continuum of the mean colour: the line remains."""
    flux = window.execute_script(
        """const wavelength = Array.from({ length: 200 }, (_, l) => 2 + 1e-3 * l), line = 2.1, n = 200;
        const gauss = (width) => wavelength.map((w) => Math.exp(-(((w - 2.1) / width) ** 4)));
        const bands = [["N", 0.01], ["M", 0.07]].map(([filter, width]) => {
          const values = gauss(width), total = values.reduce((a, b) => a + b);
          return { filter, pivot: 2.1, bandpass: values.map((v) => v / total) };
        });
        const profile = wavelength.map((w) => Math.exp(-(((w - line) / 1e-3) ** 2) / 2));
        const colour = wavelength.map((w) => 10 + 20 * (w - 2));
        const spectrum = colour.map((c, l) => c + 3 * profile[l]);
        const alive = wavelength.map(() => 1);
        const window = fusionScience.lineWindow({ wavelength, alive, spectra: [spectrum] }, line, 1000);
        const through = (band, s) => band.bandpass.reduce((sum, t, l) => sum + t * s[l], 0);
        const pair = fusionScience.lineOfBands(wavelength, line, window, spectrum, bands);
        const cell = colour.map((c, l) => 0.7 * c + 40 * profile[l]);
        const direct = window.moments[0].reduce((sum, w, l) => sum + w * cell[l], 0);
        const found = pair.bands.reduce((sum, f, i) => sum + pair.weights[i] * through(bands[f], cell), 0);
        const alone = fusionScience.lineOfBands(wavelength, line, window, spectrum, bands.slice(0, 1));
        return [pair.bands, found / direct, alone];"""
    )
    assert flux[0] == [0, 1]
    assert flux[1] == pytest.approx(1, abs=0.03)
    assert flux[2] is None


def test_nircam_shows_a_chosen_line_in_the_unit_of_the_flux(window, at_rest):
    told = "return ['nircam-name', 'nircam-unit'].map((id) => document.getElementById(id).textContent)"
    choose_line(window, "Pa alpha")
    assert window.execute_script(told) == ["F182M minus F210M", "W m\u207b\u00b2 arcsec\u207b\u00b2"]
    choose(window, "mode", "channel")
    assert window.execute_script(told)[1] == "MJy/sr"


def test_keys_move_the_cell_and_the_wavelength(window):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    panel = window.find_element(By.ID, "panel-fused")
    panel.send_keys(Keys.ESCAPE)
    state = "return window.fusionReport.state"
    assert window.execute_script(state)["aperture"] is None
    set_channel(window, 30)
    row, column = window.execute_script(state)["cell"]
    panel.send_keys(Keys.ARROW_UP, Keys.ARROW_UP, Keys.ARROW_LEFT, "+", Keys.PAGE_UP, "-")
    after = window.execute_script(state)
    assert after["cell"] == [row + 2, column - 1]
    assert after["channel"] == 40
    panel.send_keys("n")
    line = window.execute_script(state)["channel"]
    assert line > 40
    panel.send_keys(" ")
    wait_for(window, f"return window.fusionReport.state.channel !== {line}")
    panel.send_keys(" ")
    assert window.execute_script(state)["playing"] is False


def choose(window, element, value):
    window.execute_script(
        "const s = document.getElementById(arguments[0]); s.value = arguments[1];"
        "s.dispatchEvent(new Event('change'));", element, value,
    )  # fmt: skip


def choose_line(window, name):
    """Choose a line of the list by its name."""
    number = window.execute_script(
        "return [...document.getElementById('line').options]"
        ".find((o) => o.text.startsWith(arguments[0])).value",
        name,
    )
    choose(window, "line", number)


def type_in(window, element, text):
    """Type a number into a box of the page."""
    from selenium.webdriver.common.by import By

    box = window.find_element(By.ID, element)
    box.clear()
    box.send_keys(str(text))


def shown_map(window, cube):
    return numbers(window, "window.fusionReport.view.shown").reshape(cube["SCI"].shape[1:])


@pytest.fixture
def at_rest(window):
    """The explorer as it begins, after the test."""
    yield
    choose(window, "quantity", "value")
    choose(window, "redshift-unit", "z")
    type_in(window, "redshift", 0)
    choose(window, "mode", "channel")


def measured(product, wavelength, half_width):
    """A line as the command measures it."""
    with datamodels.open(product) as model:
        scene = adapters.science_scene(model)
        return measure_line(scene.cells(), line_window(scene, wavelength, half_width))


@pytest.mark.parametrize(("name", "redshift"), [("Pa alpha", 0.0), ("Br gamma", -0.002)])
def test_maps_of_a_chosen_line_are_those_of_the_command(window, cube, product, at_rest, name, redshift):
    type_in(window, "redshift", redshift)
    choose_line(window, name)
    state = window.execute_script("return window.fusionReport.state")
    assert state["mode"] == "line"
    line = measured(product, find_line(name).wavelength * (1 + redshift), state["width"])
    known = np.isfinite(line.flux.value)
    flux = shown_map(window, cube)
    np.testing.assert_array_equal(np.isfinite(flux), known)
    assert np.abs((flux - line.flux.value) / line.flux.error)[known].max() < 0.2  # coefficients are quantised
    choose(window, "quantity", "error")
    np.testing.assert_allclose(shown_map(window, cube)[known], line.flux.error[known], rtol=0.05)
    choose(window, "quantity", "ratio")
    ratio = shown_map(window, cube)
    np.testing.assert_allclose(ratio[known], line.significance[known], atol=0.2, rtol=0.05)
    choose(window, "quantity", "velocity")
    velocity = shown_map(window, cube)
    significant = known & (ratio > 3)
    assert significant.any()
    np.testing.assert_array_equal(np.isfinite(velocity), significant)
    off = np.abs(velocity - line.velocity.value) / line.velocity.error
    assert off[significant].max() < 0.2


def test_line_of_nirspec_is_that_of_its_cube(window, cube, product, data, at_rest):
    choose_line(window, "Pa alpha")
    width = window.execute_script("return window.fusionReport.state.width")
    with datamodels.open(product) as model:
        weight = line_window(
            adapters.science_scene(model), find_line("Pa alpha").wavelength, width
        ).functionals[0]
    own, noise = spaxels(data.cube, cube["header"], cube["SCI"].shape)
    shown = numbers(window, "window.fusionReport.view.nirspec").reshape(own.shape[1:])
    used = weight != 0
    flux = np.tensordot(weight[used], own[used], axes=1)
    error = np.sqrt(np.tensordot(weight[used] ** 2, noise[used] ** 2, axes=1))
    known = np.isfinite(flux) & np.isfinite(error)
    assert known.sum() > 40
    assert np.isfinite(shown[known]).mean() > 0.95  # outliers in few channels leave no hole
    assert np.nanmedian(np.abs(shown - flux)[known] / error[known]) < 0.15


def test_redshift_moves_the_lines(window, at_rest):
    rest = find_line("Br gamma").wavelength
    lines = (
        "const s = window.fusionReport.model('lines-source').data; return [s.name, Array.from(s.wavelength)]"
    )
    before = dict(zip(*window.execute_script(lines), strict=True))
    assert before["Br gamma"] == pytest.approx(rest, abs=1e-7)
    choose(window, "redshift-unit", "km/s")
    type_in(window, "redshift", 3000)
    after = dict(zip(*window.execute_script(lines), strict=True))
    assert after["Br gamma"] == pytest.approx(rest * (1 + 3000 / 299792.458), abs=1e-7)
    choose_line(window, "Br gamma")
    channel, wavelengths = window.execute_script(
        "const r = window.fusionReport;"
        "return [r.state.channel, Array.from(r.model('spectrum-source').data.wavelength)]"
    )
    assert channel == np.argmin(np.abs(np.array(wavelengths) - after["Br gamma"]))
    choose(window, "redshift-unit", "z")
    box = (
        "const b = document.getElementById('redshift');"
        "return [Number(b.value), b.getAttribute('aria-invalid')]"
    )
    assert window.execute_script(box)[0] == pytest.approx(3000 / 299792.458, rel=1e-6)
    type_in(window, "redshift", -2)
    assert window.execute_script(box)[1] == "true"
    assert dict(zip(*window.execute_script(lines), strict=True)) == after
    type_in(window, "redshift", 0.5)  # Br gamma leaves the range, others come
    assert window.execute_script("return window.fusionReport.state.line") is None
    assert "Br gamma" not in window.execute_script(lines)[0]


def test_units_are_told_and_a_line_without_a_window(window, cube, at_rest):
    set_channel(window, 0)
    choose(window, "mode", "line")
    trouble = "const p = document.getElementById('line-trouble'); return p.hidden ? '' : p.textContent"
    assert "not within the cube" in window.execute_script(trouble)
    assert not np.isfinite(shown_map(window, cube)).any()
    choose(window, "mode", "channel")
    assert window.execute_script(trouble) == ""

    def told():
        return window.execute_script(
            "return ['fused-unit', 'nirspec-unit', 'nircam-unit', 'value-chosen'].map("
            "(id) => document.getElementById(id).textContent)"
        )

    brightness, flux = "MJy/sr", "W m\u207b\u00b2 arcsec\u207b\u00b2"
    assert told()[:3] == [brightness, brightness, brightness]
    choose_line(window, "Br gamma")
    assert told()[:3] == [flux, flux, flux]
    assert told()[3].count(flux) == 3
    choose(window, "quantity", "velocity")
    assert told()[0] == "km/s"
    set_channel(window, 10)
    choose(window, "mode", "channel")
    assert window.execute_script("return window.fusionReport.state.quantity") == "value"
    assert told()[:2] == [brightness, brightness]


def map_file(window):
    """The map that the page exports, as astropy reads it."""
    text = window.execute_script(
        "let s = '';for (const b of window.fusionReport.mapFile()) s += String.fromCharCode(b);return btoa(s)"
    )
    content = base64.b64decode(text)
    assert len(content) % 2880 == 0
    with fits.open(io.BytesIO(content)) as hdus:
        hdus.verify("exception")
        (hdu,) = hdus
        return np.array(hdu.data, dtype=float), hdu.header


def test_map_is_exported_as_fits(window, cube, product, at_rest):
    sci = cube["SCI"]
    set_channel(window, 30)
    values, header = map_file(window)
    known = np.isfinite(sci[30])
    np.testing.assert_array_equal(np.isfinite(values), known)
    assert (np.abs(values - sci[30]) / cube["ERR"][30])[known].max() < 0.1
    assert (header["BUNIT"], header["SHOWN"], header["PRODUCT"]) == ("MJy/sr", "brightness", product.name)
    ny, nx = sci.shape[1:]
    x, y = [0, nx - 1, 3], [0, 2, ny - 1]
    places = [SkyCoord.from_pixel(x, y, WCS(each).celestial) for each in (header, cube["header"])]
    assert places[0].separation(places[1]).arcsec.max() < 1e-5
    choose_line(window, "Br gamma")
    width = window.execute_script("return window.fusionReport.state.width")
    values, header = map_file(window)
    assert (header["BUNIT"], header["LINE"], header["WINDOW"]) == ("W m-2 arcsec-2", "Br gamma", width)
    assert header["WAVELEN"] == pytest.approx(header["RESTWAV"])
    # the integral over the window, less a straight line, done by hand on the product
    with fits.open(product) as hdus:
        wavelength = np.array(hdus["SPECTRAL"].data["wavelength"])
        quiet = ~np.isnan(sci).all(axis=(1, 2))
    with datamodels.open(product) as model:
        off = line_window(adapters.science_scene(model), header["RESTWAV"], width).continuum
    velocity = 299792.458 * (wavelength / header["RESTWAV"] - 1)
    edges = np.concatenate(
        [wavelength - np.gradient(wavelength) / 2, wavelength[-1:] + np.gradient(wavelength)[-1] / 2]
    )
    ends = header["RESTWAV"] * (1 + np.array([-1, 1]) * width / 299792.458)
    share = np.clip(np.minimum(edges[1:], ends[1]) - np.maximum(edges[:-1], ends[0]), 0, None)
    assert quiet[share > 0].all()
    row, column = np.argwhere(known)[known.sum() // 2]
    spectrum = sci[:, row, column].astype(float)
    spectrum -= np.polyval(np.polyfit(velocity[off], spectrum[off], 1), velocity)
    density = (spectrum[share > 0] * u.MJy / u.sr).to(
        "W m-2 um-1 arcsec-2", u.spectral_density(wavelength[share > 0] * u.um)
    )
    assert values[row, column] == pytest.approx(
        (density.value * share[share > 0]).sum(),
        abs=0.2 * measured(product, header["RESTWAV"], width).flux.error[row, column],
    )


def test_buttons_save_files_and_the_view_has_titles_bars_and_units(window, folder, product, at_rest):
    """What stands in the page beside the panels is drawn into the picture too."""
    from selenium.webdriver.common.by import By

    choose_line(window, "Br gamma")
    for button, name in (("export-fits", "map.fits"), ("export-png", "view.png")):
        path = folder / "downloads" / f"{product.stem}_{name}"
        window.find_element(By.ID, button).click()  # files that no one asks for are held back
        end = time.monotonic() + PATIENCE
        while not path.exists():
            assert time.monotonic() < end, path
            time.sleep(0.05)
    header = fits.getheader(folder / "downloads" / f"{product.stem}_map.fits")
    assert header["LINE"] == "Br gamma"
    drawn = window.execute_script(
        """const words = [], draw = CanvasRenderingContext2D.prototype.fillText;
        CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
            words.push(text);
            return draw.call(this, text, ...rest);
        };
        try { window.fusionReport.picture(); } finally { CanvasRenderingContext2D.prototype.fillText = draw; }
        return words;"""
    )
    for element in ("fused-low", "fused-high", "fused-unit", "nirspec-unit", "nircam-high", "spectrum-title"):
        assert window.execute_script(f"return document.getElementById('{element}').textContent") in drawn
    assert {"Fused cube", "NIRSpec cube"} <= set(drawn)
    assert any(text.startswith("NIRCam F") for text in drawn)


def test_bands(window, cube, product):
    sci = cube["SCI"]
    set_channel(window, 50)
    known = np.isfinite(sci[50])
    choose(window, "mode", "band")
    choose(window, "band", "1")
    shown = numbers(window, "window.fusionReport.view.fused").reshape(sci.shape[1:])
    with datamodels.open(product) as model:
        bandpass = np.asarray(model.report.instance["bandpasses"])[1]
    expected = np.tensordot(bandpass, np.nan_to_num(sci), axes=1)
    assert np.abs(shown - expected)[known].max() < 0.1 * np.nanmedian(cube["ERR"][50])
    for quantity in ("error", "ratio", "value"):
        choose(window, "quantity", quantity)
    for stretch in ("sqrt", "log", "asinh", "linear"):
        choose(window, "stretch", stretch)
    choose(window, "mode", "channel")
    assert [entry for entry in window.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_files_of_a_spectrum_and_of_a_view(window, cube):
    text = window.execute_script("return window.fusionReport.spectrumTable()")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines[0] == "wavelength_um,fused,fused_error,nirspec"
    table = np.array([[float(cell) for cell in line.split(",")] for line in lines[1:]])
    row, column = window.execute_script("return window.fusionReport.state.cell")
    spectrum = cube["SCI"][:, row, column]
    known = np.isfinite(spectrum)
    np.testing.assert_allclose(table[known, 1], spectrum[known], rtol=1e-2)
    address = window.execute_script("return window.fusionReport.picture().toDataURL('image/png')")
    picture = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    assert min(picture.size) > 300
    low, high = picture.convert("L").getextrema()
    assert high - low > 100


def contrast(window, element):
    """Contrast of an element's text with the page (WCAG 2.2, 1.4.3)."""

    def luminance(text):
        channels = np.array([float(part) for part in text[text.index("(") + 1 : -1].split(",")[:3]]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return linear @ (0.2126, 0.7152, 0.0722)

    colours = window.execute_script(
        "const e = document.querySelector(arguments[0]);"
        "return [getComputedStyle(e).color, getComputedStyle(document.body).backgroundColor]", element,
    )  # fmt: skip
    light, dark = sorted((luminance(colour) for colour in colours), reverse=True)
    return (light + 0.05) / (dark + 0.05), colours[1]


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, True)])
def test_page_is_readable(window, width, dark):
    resize(window, width, dark=dark)
    wait_for(window, f"return window.innerWidth === {width}")
    assert window.execute_script("return document.documentElement.scrollWidth") <= width
    papers = set()
    for element in ("h1", ".soft", "nav a", ".verdict strong", "td", "output"):
        ratio, paper = contrast(window, element)
        papers.add(paper)
        assert ratio >= 4.5, element
    (paper,) = papers
    assert (max(json.loads(f"[{paper[4:-1]}]")) < 60) is dark
    columns = window.execute_script(
        "return getComputedStyle(document.querySelector('.panels')).gridTemplateColumns.split(' ').length"
    )
    assert columns == (3 if width > 900 else 1)
    labels = window.execute_script(
        "const axis = window.fusionReport.model('spectrum-axis'); return axis.axis_label_text_color"
    )
    assert (labels == "#e6edf3") is dark
    resize(window, 1280)


def test_images_have_words_and_blink(window):
    bare = window.execute_script(
        """return [...document.querySelectorAll('img, canvas, [role=img]')].filter(
            (e) => !(e.getAttribute('alt') || e.getAttribute('aria-label'))).length"""
    )
    assert bare == 0
    told = window.execute_script("return document.getElementById('fused').getAttribute('aria-label')")
    assert "um, colours from" in told
    window.execute_script("document.querySelector('.blink-button').click()")
    wait_for(
        window,
        "return getComputedStyle(document.querySelector('.blinking .stack img + img')).opacity === '1'",
    )
    window.execute_script("document.querySelector('.blink-button').click()")
    assert window.execute_script("return document.querySelectorAll('.blinking').length") == 0
