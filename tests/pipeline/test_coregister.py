"""CoregisterStep on the files that archives hold: odd ones, old ones, and fields that users ask for."""

import asdf
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from jwst_fusion import CoregisterStep
from jwst_fusion.adapters.products import celestial_wcs
from jwst_fusion.exceptions import InputError, NoOverlapError, ParameterError

from .commands import fail
from .spoils import ASN, CUBE, FIRST, SECOND, changed, in_a_table, keywords

pytestmark = pytest.mark.usefixtures("work")


def run(**parameters):
    """Co-register what is in the folder."""
    return CoregisterStep.call(ASN, configure_log=False, **parameters)


@pytest.fixture(scope="module")
def reference(data, tmp_path_factory):
    """The step on the files as they are."""
    return CoregisterStep.call(str(data.association), configure_log=False)


def test_units_numbers_and_unseen_pixels_written_in_other_ways(work, reference):
    def spelled(unit, kind, unseen=np.nan):
        def change(hdus):
            data = hdus["SCI"].data.astype(kind)
            hdus["SCI"].header["BUNIT"] = unit
            hdus["SCI"].data = np.where(np.isfinite(data), data, unseen).astype(kind)

        return change

    changed(work, FIRST, spelled("MJy sr-1", ">f8", unseen=0.0))  # as old images have it, with a weight of 0
    changed(work, SECOND, spelled("MJy / sr", "<f4"))
    changed(work, CUBE, spelled("MJy sr-1", ">f8"))
    np.testing.assert_array_equal(run().images, reference.images)


@pytest.mark.parametrize("lost", [(), ("ERR",), ("DQ", "WMAP")])
def test_errors_that_are_zero_and_planes_that_are_missing(work, reference, lost):
    changed(work, FIRST, lambda hdus: hdus["ERR"].data.fill(0.0))
    changed(work, SECOND, lambda hdus: hdus.__delitem__("ERR"))
    changed(work, CUBE, lambda hdus: hdus["ERR"].data.fill(0.0))
    changed(work, CUBE, lambda hdus: [hdus.__delitem__(name) for name in lost])
    result = run()
    known = np.isfinite(result.images)
    assert (result.image_errors[known] > 0).all()
    np.testing.assert_allclose(result.images[known], np.asarray(reference.images)[known], rtol=1e-3)
    np.testing.assert_allclose(result.channels["noise"], reference.channels["noise"], rtol=0.3)
    np.testing.assert_allclose(result.filters["offset_east"], reference.filters["offset_east"], atol=2e-3)


def test_coordinates_without_a_matrix_are_upright(work, reference):
    def bare(hdus):
        header = hdus["SCI"].header
        del hdus["ASDF"]
        header["CDELT1"] *= header["PC1_1"]
        header["CDELT2"] *= header["PC2_2"]
        for keyword in ("PC1_1", "PC1_2", "PC2_1", "PC2_2"):
            del header[keyword]

    changed(work, CUBE, bare)
    np.testing.assert_allclose(run().images, reference.images, rtol=1e-4)


def test_wavelengths_in_a_table_and_a_jump_of_them(work, reference):
    changed(work, CUBE, in_a_table(0))
    result = run()
    assert result.meta.fusion.n_warnings == 0
    found, expected = (each.channels["wavelength"] for each in (result, reference))
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)
    with fits.open(work.folder / CUBE, mode="update") as hdus:
        hdus["WCS-TABLE"].data["wavelength"][0, 50:, 0] += 0.05
    assert "the wavelengths jump from" in run().meta.fusion.warnings


@pytest.mark.parametrize("right_ascension", [0.00005, 359.99995])
def test_right_ascension_across_zero(work, right_ascension, reference):
    shift = right_ascension - float(fits.getval(work.sources[CUBE], "CRVAL1", "SCI"))
    for name in (CUBE, FIRST, SECOND):
        value = (float(fits.getval(work.sources[name], "CRVAL1", "SCI")) + shift) % 360
        keywords(name, CRVAL1=value)(work)
    result = run()
    for column in ("offset_east", "offset_north"):
        np.testing.assert_allclose(result.filters[column], reference.filters[column], atol=2e-6)


def test_part_of_the_field_covered(work, caplog):
    def half(hdus):
        wcs = WCS(hdus["SCI"].header)
        cube = WCS(fits.getheader(work.sources[CUBE], "SCI")).celestial
        column = wcs.wcs_world2pix(*cube.wcs_pix2world(5.0, 5.0, 0), 0)[0]
        hdus["SCI"].data[:, int(column) :] = np.nan

    for name in (FIRST, SECOND):
        changed(work, name, half)
    error = fail(CoregisterStep, ASN, caplog, min_overlap=0.9, alignment="wcs")
    assert isinstance(error, NoOverlapError)
    assert error.exit_status == 64
    assert "90 % needed" in str(error)
    assert run(min_overlap=0.1, alignment="wcs").images.shape[0] == 2


def test_one_image_without_data_is_left_out(work):
    changed(work, SECOND, lambda hdus: hdus["SCI"].data.fill(np.nan))
    result = run()
    assert len(result.images) == 1
    assert [row["filter"] for row in result.filters] == ["F182M"]


def test_a_field_that_the_user_asks_for(reference):
    middle = [(n - 1) / 2 for n in reference.data.shape[:0:-1]]
    ra, dec = (float(value) for value in celestial_wcs(reference, "x").wcs_pix2world(*middle, 0))
    result = run(center=[f"{ra:.8f}", f"{dec:.8f}"], height=0.5, width=0.3)
    fusion = result.meta.fusion
    assert (fusion.field_ny, fusion.field_nx) in [(5, 3), (6, 4), (5, 4), (6, 3)]
    turned = run(height=0.5, width=0.3, position_angle="aperture")
    pc = turned.meta.wcsinfo
    assert np.degrees(np.arctan2(pc.pc1_2, pc.pc2_2)) % 360 == pytest.approx(
        turned.meta.fusion.pa_aperture_cube % 360, abs=1e-3
    )


def test_fields_and_tables_that_can_not_be(caplog):
    for parameters, kind, words in (
        ({"center": ["12", "80"], "height": 1.0, "width": 1.0}, NoOverlapError, ("correct center",)),
        ({"center": ["here"]}, ParameterError, ("center = 'here'", "use")),
        ({"position_angle": "north"}, ParameterError, ("position_angle = 'north'", "aperture")),
        ({"wavelength_range": [3.0, 4.0]}, InputError, (CUBE, "no data between 3.000 and 4.000")),
        ({"offset_file": "offsets.asdf"}, InputError, (CUBE, "HDRTAB", "leave the parameter out")),
    ):
        caplog.clear()
        error = fail(CoregisterStep, ASN, caplog, **parameters)
        assert isinstance(error, kind)
        assert all(word in str(error) for word in words)


def test_offsets_are_written_for_cube_build(work, tmp_path):
    from jwst.cube_build import cube_build_step

    def exposures(hdus):
        column = fits.Column("FILENAME", "40A", array=np.array(["a_cal.fits", "b_cal.fits"]))
        hdus.append(fits.BinTableHDU.from_columns([column], name="HDRTAB"))

    changed(work, CUBE, exposures)
    result = run(offset_file=str(tmp_path / "offsets.asdf"))
    schema = cube_build_step.__file__.replace("cube_build_step.py", "ifuoffset.schema.yaml")
    with asdf.open(tmp_path / "offsets.asdf", custom_schema=schema) as table:
        assert table["filename"] == ["a_cal.fits", "b_cal.fits"]
        assert table["raoffset"] == pytest.approx([np.mean(result.filters["offset_east"])] * 2, abs=2e-3)
        assert table["decoffset"] == pytest.approx([np.mean(result.filters["offset_north"])] * 2, abs=2e-3)


def test_outliers_are_marked_and_not_used(reference, data):
    marked = (np.asarray(reference.dq) & 16) > 0
    assert np.isnan(np.asarray(reference.data)[marked]).all()
    fusion = reference.meta.fusion
    assert fusion.n_outliers == marked.sum()
    places = np.array(data.truth["outliers"]) - (0, fusion.crop_y, fusion.crop_x)
    inside = np.all((places >= 0) & (places < marked.shape), axis=1)
    assert marked[tuple(places[inside].T)].mean() > 0.7


def test_wavelength_range_in_words_and_numbers():
    step = CoregisterStep()
    for words, limits in (
        (None, None), (["symmetric"], None), (["cube"], (0.1, 100.0)), (["1.7", "2.2"], (1.7, 2.2)),
        ([1.7, 2.2], (1.7, 2.2)),
    ):  # fmt: skip
        step.wavelength_range = words
        assert step._settings().wavelength_range == limits
    for words in (["luck"], ["1.7"], ["1.7", "2.0", "2.2"], ["cube", "2.0"]):
        step.wavelength_range = words
        with pytest.raises(ParameterError, match="symmetric, cube or two limits"):
            step._settings()
