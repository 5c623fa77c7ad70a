"""The page as text: what it holds, what it leaves out, what it escapes."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from bokeh.resources import Resources

from jwst_fusion.quality.content import BandRow, LineErrors
from jwst_fusion.quality.diagnosis import Diagnosis
from jwst_fusion.quality.explorer import explorer_data, explorer_figures
from jwst_fusion.quality.packing import unpack
from jwst_fusion.quality.report import report_page
from jwst_fusion.quality.sections import quality_sections
from jwst_fusion.quality.verdict import judge, measure

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&\"'{{ 7*7 }}"


class Elements(HTMLParser):
    """Elements of a page and the words between them."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.words = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


def test_errors_of_lines_are_kept_in_the_page(content):
    rng = np.random.default_rng(3)
    root = rng.normal(size=(2, 2, *content.inside.shape)) * np.array([1e-3, 2.0]).reshape(2, 1, 1, 1)
    covariance = np.einsum("imyx,jmyx->ijyx", root, root)
    leverage = np.where(content.inside, 1.5, np.nan)
    noise = np.full(content.wavelength.size, 0.2)
    gaps = np.array([4]), np.ones((1, 3)), np.full((1, 3, 3), 0.1)
    line_errors = LineErrors(covariance, leverage, noise, 0.01, *gaps)
    packed = explorer_data(replace(content, line_errors=line_errors))
    errors = packed["lineErrors"]
    deviation = np.sqrt(np.einsum("iiyx->iyx", covariance))
    for kept, (i, j) in zip(errors["covariance"], [(0, 0), (1, 0), (1, 1)], strict=True):
        unit = np.median(deviation[i, content.inside]) * np.median(deviation[j, content.inside])
        off = np.abs(unpack(kept) - covariance[i, j])[content.inside] / unit
        assert off.max() < 0.01
        assert np.isnan(unpack(kept)[~content.inside]).all()
    np.testing.assert_allclose(unpack(errors["leverage"]), leverage, rtol=0.01)
    assert errors["scale"] == 0.01
    assert (errors["gaps"], errors["gapSpectra"]) == ([4], [[1.0, 1.0, 1.0]])
    assert explorer_data(content)["lineErrors"] is None


def test_all_sections_are_there(content):
    keys = [section.key for section in quality_sections(content)]
    assert keys == [
        "preflight", "footprints", "registration", "calibration", "throughputs", "optics", "subspace",
        "tuning-section", "residuals", "bands", "resolution", "errors", "provenance",
    ]  # fmt: skip
    page = report_page(content)
    for key in keys:
        assert f'id="{key}"' in page


def test_the_page_begins_with_the_explorer_and_tells_checks_file_by_file(content):
    """Tests that were passed are folded; the columns of the checks are not in the order of the alphabet."""
    page = report_page(content)
    assert "<details open" not in page
    assert re.findall(r"<th[^>]*>(file|what|verdict|cure)</th>", page)[:4] == [
        "file",
        "what",
        "verdict",
        "cure",
    ]


def test_sections_without_data_are_left_out(bare):
    keys = [section.key for section in quality_sections(bare)]
    assert keys == ["footprints", "registration", "calibration", "subspace", "bands", "errors", "provenance"]
    page = report_page(bare)
    assert "does not contain the cube's spectra" in page
    assert "Not judged" in page


@pytest.mark.parametrize("group", range(5))
def test_page_can_be_made_without_any_arrays(content, group):
    missing = [name for name in Diagnosis.__dataclass_fields__ if name != "spectra_step"][group::5]
    fewer = replace(content.diagnosis, **dict.fromkeys(missing))
    if not {"spectra_coefficients", "channels_averaged"}.isdisjoint(missing):
        fewer = replace(fewer, spectra=None)
    less = replace(content, diagnosis=fewer)
    assert len(quality_sections(less)) > 8
    assert explorer_data(less)["shape"] == [24, 24]
    assert "fused" in explorer_figures(less)


def test_page_is_made_without_bands_and_of_one_channel(content):
    assert "</html>" in report_page(replace(content, bands=(), diagnosis=Diagnosis()))
    one = replace(
        content, wavelength=content.wavelength[:1], mean_spectrum=content.mean_spectrum[:1],
        basis=content.basis[:1], alive=content.alive[:1], error_spectra=content.error_spectra[:1],
        spectral={}, diagnosis=Diagnosis(),
    )  # fmt: skip
    assert "</html>" in report_page(one)


def test_nothing_is_fetched(content):
    page = report_page(content)
    for tag, attributes in Elements(page).elements:
        assert tag not in ("iframe", "object", "embed", "base")
        for name in ("src", "href", "srcset", "action", "data"):
            assert re.match(r"data:|#", attributes.get(name) or "#"), (tag, attributes)
    assert "default-src 'none'" in page
    assert "url(" not in re.search(r"<style>(.*?)</style>", page, re.S)[1]


def test_every_image_has_words(content):
    for tag, attributes in Elements(report_page(content)).elements:
        if tag == "img":
            assert attributes["alt"].strip()
        if tag == "canvas" or attributes.get("role") == "img":
            assert attributes["aria-label"].strip()
        if tag in ("select", "input"):
            assert attributes["id"]


def test_provenance_tells_inputs_and_parameters(content):
    section = quality_sections(content)[-1]
    assert section.key == "provenance"
    assert [table.caption for table in section.tables] == ["", "Inputs", "Parameters"]
    assert section.tables[1].rows == (("a_i2d.fits", "0123abcd"), ("b_s3d.fits", ""))
    assert section.tables[2].rows == (("fusion.mu", "None"),)


def test_names_in_the_page_are_unique(content):
    names = [
        attributes["id"] for _, attributes in Elements(report_page(content)).elements if "id" in attributes
    ]
    assert len(set(names)) == len(names)


def test_bands_predicted_from_all_others_are_told(content):
    rows = tuple(replace(row, psnr_unseen=31.5, ssim_unseen=0.7) for row in content.bands)
    told = replace(content, bands=rows)
    (section,) = [section for section in quality_sections(told) if section.key == "bands"]
    assert section.tables[0].head[-1] == "SSIM if held out"
    assert section.tables[0].rows[0][-2:] == ("31.5", "0.7")
    assert measure(told).held_out_ssim == 0.7
    assert judge(measure(told)).level == "amber"


def test_a_set_tells_who_constrains_what_and_how_the_cubes_agree(content):
    cube = {
        "low": 1.0, "high": 1.9, "field": 0.5, "images": "F115W", "offset_east": 0.1, "offset_north": -0.2,
        "factor": 1.01, "factor_err": 0.002,
    }  # fmt: skip
    image = {"filter": "F115W", "low": 1.0, "high": 1.27, "cubes": "g140h", "field": 1.0, "held_out": False}
    seam = {"first": "a", "second": "b", "low": 1.7, "high": 1.9, "cubes": 0.01, "cubes_err": 0.004,
            "fused": -0.0071, "fused_err": 0.0012}  # fmt: skip
    told = replace(
        content, set_cubes=({"cube": HOSTILE, **cube}, {"cube": "b", **cube}), set_images=(image,),
        set_seams=(seam, seam | {"fused": 0.006}),
    )  # fmt: skip
    (section,) = [section for section in quality_sections(told) if section.key == "set"]
    cubes, images, seams = section.tables
    assert cubes.rows[1] == ("b", "1.000 to 1.900", "50 %", "F115W", "+100.0", "-200.0", "1.0100 +- 0.0020")
    assert images.rows[0] == ("F115W", "1.000 to 1.270", "g140h", "100 %", "used")
    assert seams.rows[0][3:] == ("+1.00 +- 0.40", "-0.71 +- 0.12", "0.5 (within)")
    assert judge(measure(told)).level == "green"
    seams = replace(told, set_seams=(seam | {"fused_err": 0.0003},))
    assert quality_sections(seams)[1].tables[2].rows[0][-1] == "0.5 (beyond)"
    page = report_page(told)
    assert 'id="set-ranges"' in page
    assert HOSTILE not in page
    apart = quality_sections(replace(told, set_seams=()))[1].tables[2]
    assert "No two cubes share wavelengths and sky" in apart.caption


def test_what_the_product_says_is_escaped(content):
    hostile = replace(
        content, name=HOSTILE, target=HOSTILE, settings={**content.settings, "asn_name": HOSTILE},
        provenance=((HOSTILE, HOSTILE),),
        inputs=({HOSTILE: HOSTILE}, {}), parameters=((HOSTILE, HOSTILE),),
        flags=((HOSTILE, 0.1),), log=(HOSTILE,),
        preflight=({HOSTILE: HOSTILE},), bands=(BandRow(HOSTILE, 2.1), content.bands[1]),
    )  # fmt: skip
    kind = [(tag, sorted(attributes)) for tag, attributes in Elements(report_page(content)).elements]
    page = report_page(hostile)
    found = [(tag, sorted(attributes)) for tag, attributes in Elements(page).elements]
    assert [tag for tag, _ in found].count("script") == [tag for tag, _ in kind].count("script")
    assert {tag for tag, _ in found} == {tag for tag, _ in kind}
    assert not any("onerror" in attributes for _, attributes in found)
    assert "alert(1)</script>" not in page
    assert "{{ 7*7 }}" in page  # shown as it is, not computed


def test_packed_cube_is_the_cube(content):
    data = explorer_data(content)
    coefficients = np.stack([unpack(packed) for packed in data["coefficients"]])
    error = np.nanmedian(content.coefficient_errors)
    assert np.nanmax(np.abs(coefficients - content.coefficients)) <= error / 32 * (1 + 1e-9)
    np.testing.assert_array_equal(np.isnan(coefficients), np.isnan(content.coefficients))


def test_library_is_small():
    size = sum(len(part) for part in Resources(mode="inline", components=["bokeh"], minified=True).js_raw)
    assert size < 2e6
