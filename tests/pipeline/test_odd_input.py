"""Files as archives hold them, odd ones and bad ones: a good fused cube, or one line that tells the cure."""

import os
import resource
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import shift as shift_plane

from jwst_fusion import Fusion4Pipeline, datamodels
from jwst_fusion.exceptions import LimitError
from tests.files import contents

from .commands import fail, names_in
from .conftest import QUICK
from .spoils import (
    ASN,
    CUBE,
    FAR,
    FIRST,
    SECOND,
    changed,
    compressed,
    everywhere,
    in_a_table,
    in_double,
    keywords,
    several,
    without,
    write_association,
)

pytestmark = pytest.mark.usefixtures("work")
IMAGES = (FIRST, SECOND)
ALONE = QUICK | {"save_report": False}


def fuse(source=ASN, **coregister):
    """Run the pipeline with quick settings: the fused cube."""
    steps = {"coregister": coregister, "fusion": QUICK}
    return Fusion4Pipeline.call(source, steps=steps, configure_log=False)


def on_cells(model):
    """Scene of a fused cube with its usable voxels only."""
    data = np.asarray(model.data)
    assert np.isfinite(data).any(axis=0).sum() > 100
    assert ((np.asarray(model.dq) & 1) > 0)[~np.isfinite(data)].all()
    assert np.isfinite(np.asarray(model.err)[np.isfinite(data)]).all()
    return data


@pytest.fixture(scope="module")
def reference(data):
    """Scene of the product of the files as they are, of which there is nothing to warn."""
    usual = fuse(str(data.association))
    assert (usual.meta.fusion.n_warnings, usual.meta.fusion.warnings) == (0, None)
    return on_cells(usual)


def assert_close(data, reference, rtol=0.03, share=0.95):
    """Compare the brightness of two cubes of one field where both know it, which is a share of all."""
    assert data.shape == reference.shape
    both = np.isfinite(data) & np.isfinite(reference)
    assert both.sum() > share * np.isfinite(reference).sum()
    difference = np.sqrt(np.mean((data[both] - reference[both]) ** 2))
    assert difference < rtol * np.sqrt(np.mean(reference[both] ** 2))


def whole_numbers(hdus):
    """Store an image as scaled 16 bit numbers."""
    data = hdus["SCI"].data
    hdus["WHT"].data[~np.isfinite(data)] = 0
    hdus["SCI"].data = np.nan_to_num(data)
    hdus["SCI"].scale("int16", bscale=np.nanmax(np.abs(data)) / 30000)


def flags_as_numbers(hdus):
    """Store quality flags as floating point numbers, as arithmetic on them leaves them."""
    hdus["DQ"].data = hdus["DQ"].data.astype(np.float64)


def dead_planes(hdus):
    """Every eighth plane without data, as NaN and as zero with a flag."""
    hdus["SCI"].data[::8] = np.nan
    hdus["SCI"].data[4::16] = 0.0
    hdus["DQ"].data[4::16] |= 1


def eaten_core(hdus):
    """The brightest spaxels flagged and taken out of a fourth of the planes."""
    data = hdus["SCI"].data
    bright = np.nan_to_num(data).mean(axis=0)
    core = bright >= np.percentile(bright, 97)
    for plane, dq in zip(data[::4], hdus["DQ"].data[::4], strict=True):
        plane[core] = np.nan
        dq[core] |= 513


def off_the_slices(hdus):
    """Values as cube_build has left where no slice looks."""
    data = hdus["SCI"].data
    footprint = np.isfinite(data).mean(axis=0) > 0.5
    rows, columns = np.nonzero(footprint)
    data[:, rows[:2], columns[:2]] = 1e11


def chromatic(hdus):
    """Each plane shifted by up to 0.02 arcsec more along x."""
    data = hdus["SCI"].data
    for plane, step in zip(data, np.linspace(0, 0.2, len(data)), strict=True):
        known = np.isfinite(plane)
        if known.any():
            filled = np.nan_to_num(plane, nan=np.nanmedian(plane))
            plane[:] = np.where(known, shift_plane(filled, (0, step), order=3, mode="nearest"), np.nan)


def turned(hdus):
    """The cube on spaxels turned by 90 degrees, as another drizzle would have laid them."""
    header = hdus["SCI"].header
    nx = header["NAXIS1"]
    for name in ("SCI", "ERR", "DQ", "WMAP"):
        if name in hdus:
            hdus[name].data = np.ascontiguousarray(np.rot90(hdus[name].data, axes=(1, 2)))
    # the new row is the old column counted from the end, the new column the old row
    pc = [[header[f"PC{i}_{j}"] for j in (1, 2)] for i in (1, 2)]
    for i in (1, 2):
        header[f"PC{i}_1"], header[f"PC{i}_2"] = pc[i - 1][1], -pc[i - 1][0]
    header["CRPIX1"], header["CRPIX2"] = header["CRPIX2"], nx + 1 - header["CRPIX1"]


def subtracted(hdus):
    """Take the background off, so that a part of the data is negative."""
    data = hdus["SCI"].data
    for plane in data if data.ndim == 3 else [data]:
        if np.isfinite(plane).any():
            plane -= np.nanpercentile(plane, 20)


def cut_out(size):
    """Keep a subarray about the middle of an image."""

    def change(hdus):
        header = hdus["SCI"].header
        first = [(header[f"NAXIS{axis}"] - size) // 2 for axis in (1, 2)]
        for hdu in hdus[1:]:
            if hdu.is_image and hdu.data is not None and hdu.data.ndim >= 2:
                hdu.data = hdu.data[..., first[1] : first[1] + size, first[0] : first[0] + size].copy()
        for axis in (1, 2):
            header[f"CRPIX{axis}"] -= first[axis - 1]

    return change


def absolute(work):
    write_association(work, [str(work.folder / name) for name in work.sources])


def far_names(work):
    """Members in a folder whose name has spaces and letters that are not ASCII."""
    folder = work.folder / "Ordner mit Ä und 'λ'"
    folder.mkdir()
    for name in work.sources:
        (work.folder / name).rename(folder / f"ein {name}")
    write_association(work, [f"{folder.name}/ein {name}" for name in work.sources], product="Zwei Wörter μ")


#: Odd files that tell the same; oddities that have nothing to do with each other are in the same files.
SAME = {
    "areas, regions, absolute paths, whole numbers, no ASDF, flags as numbers": several(
        everywhere(CUBE, flags_as_numbers),
        absolute,
        keywords(FIRST, SECOND, PIXAR_A2=1.0, PIXAR_SR=1e-9),
        keywords(FIRST, CUBE, S_REGION="UNION ICRS (POLYGON 1 2 3 4)"),
        everywhere(FIRST, whole_numbers),
        *(without(name, "ASDF") for name in (CUBE, *IMAGES)),
    ),
    "wavelengths in a table, errors too small": several(
        everywhere(CUBE, in_a_table(0)),
        everywhere(CUBE, lambda hdus: np.multiply(hdus["ERR"].data, 0.1, out=hdus["ERR"].data)),
    ),
    "core of a star eaten, 1e11 off the slices": several(
        everywhere(CUBE, eaten_core), everywhere(CUBE, off_the_slices)
    ),
    "module MULTIPLE, gzip": several(keywords(FIRST, SECOND, MODULE="MULTIPLE"), compressed(CUBE, ".gz")),
    "keywords in other words, no weights, spaces and letters": several(
        keywords(FIRST, FILTER="f182m", PUPIL="clear", PIXFRAC=1),
        keywords(SECOND, LONPOLE=180.0, PIXFRAC=None),
        keywords(CUBE, RADESYS="FK5", EQUINOX=2000.0),
        *(without(name, "WHT") for name in IMAGES),
        far_names,
    ),
    "Angstrom, bzip2, numbers beyond single precision": several(
        everywhere(CUBE, in_double(1e-3, 1e300)),
        everywhere(SECOND, in_double(5e-4, -1e300)),
        keywords(CUBE, CRVAL3=16600.0, CDELT3=6400 / 99, CUNIT3="Angstrom"),
        compressed(FIRST, ".bz2"),
    ),
}


@pytest.mark.parametrize("spoil", SAME.values(), ids=SAME.keys())
def test_odd_files_give_the_same_cube(work, reference, spoil):
    spoil(work)
    assert_close(on_cells(fuse()), reference)


def test_dead_planes_and_coordinates_that_drift_with_wavelength(work, reference):
    changed(work, CUBE, dead_planes)
    changed(work, CUBE, chromatic)
    data = on_cells(fuse())
    assert np.isnan(data[::8]).all()
    assert np.isnan(data[4::16]).all()
    assert_close(data, reference, rtol=0.1, share=0.78)


def test_a_cube_on_turned_spaxels(work, reference):
    changed(work, CUBE, turned)
    result = fuse()
    assert_close(np.rot90(on_cells(result), -1, axes=(1, 2)), reference)


def test_near_the_pole_a_small_subarray_without_the_background(work, reference):
    for name in (CUBE, *IMAGES):
        near = float(fits.getval(work.sources[name], "CRVAL2", "SCI")) % 0.001 + 89.99
        keywords(name, CRVAL2=near)(work)
        changed(work, name, subtracted)
    for name in IMAGES:
        changed(work, name, cut_out(40))
    assert on_cells(fuse(min_overlap=0.3)).shape == reference.shape


def test_an_error_of_the_guide_star(work, reference):
    for name in IMAGES:
        moved = float(fits.getval(work.sources[name], "CRVAL2", "SCI")) + 1.5 / 3600
        keywords(name, CRVAL2=moved)(work)
    result = fuse()
    assert_close(on_cells(result), reference)
    truth = np.asarray(result.filters["offset_north"])
    assert (truth > 1.2).all()


def test_filters_of_the_pupil_wheel(work):
    n_wave = fits.getval(work.sources[CUBE], "NAXIS3", "SCI")
    keywords(CUBE, CRVAL3=1.49, CDELT3=0.4 / (n_wave - 1))(work)
    keywords(FIRST, FILTER="F150W2", PUPIL="F162M")(work)
    keywords(SECOND, FILTER="F150W2", PUPIL="F164N")(work)
    result = fuse()
    assert [str(name).strip() for name in result.filters["filter"]] == ["F162M", "F164N"]
    on_cells(result)


def test_an_association_elsewhere_whose_product_has_an_odd_name(
    work,
    tmp_path_factory,
    monkeypatch,
    reference,
):
    """The name is what a shell, a template or a format would take for more than text."""
    name = "$(touch owned) {0} %s `id` <b>"
    write_association(work, product=name)
    before = contents(work.folder)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    saving = {"save_results": True, "output_dir": "out", "configure_log": False}
    result = Fusion4Pipeline.call(str(work.folder / ASN), steps={"fusion": QUICK}, **saving)
    assert_close(on_cells(result), reference)
    assert names_in(".") == [os.path.join(".", "out", f"{name}_fused.{kind}") for kind in ("fits", "html")]
    page = Path("out", f"{name}_fused.html").read_text(encoding="utf-8")
    assert "%s `id` <b>" not in page
    assert "`id` &lt;b&gt;" in page
    assert contents(work.folder) == before


def test_an_output_that_exists_is_replaced_by_a_success_only(work, reference, caplog):
    path = work.folder / "p_fused.fits"
    datamodels.FusedCubeModel(data=np.ones((2, 3, 4), dtype=np.float32)).save(path)
    before = path.read_bytes()
    fail(Fusion4Pipeline, ASN, caplog, steps={"fusion": {"n_components": 100000}})
    assert path.read_bytes() == before
    caplog.clear()
    Fusion4Pipeline.call(ASN, steps={"fusion": ALONE}, configure_log=False, save_results=True)
    assert path.read_bytes() != before
    with datamodels.open(path) as model:
        assert_close(on_cells(model), reference)
    path.write_text("precious")
    assert "p_fused.fits: not made by jwst-fusion" in str(fail(Fusion4Pipeline, ASN, caplog))
    assert path.read_text() == "precious"


def test_a_disk_that_is_full_is_told_and_nothing_is_left(work, caplog, monkeypatch):
    """A file may not grow beyond a size: what the system says then is what it says of a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    original = datamodels.FusionModel.save

    def save(*args, **kwargs):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
        try:
            return original(*args, **kwargs)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    monkeypatch.setattr(datamodels.FusionModel, "save", save)
    error = fail(Fusion4Pipeline, ASN, caplog, steps={"fusion": ALONE})
    assert isinstance(error, LimitError)
    assert "p_fused.fits: No space left on device; free some space or choose another" in str(error)


def test_warnings_are_keywords_of_the_product(work, tmp_path):
    keywords(FIRST, **FAR)(work)
    result = fuse()
    assert result.meta.fusion.n_warnings >= 1
    path = result.save(str(tmp_path / "x_fused.fits"))
    header = fits.getheader(path)
    assert header["FUSNWARN"] == result.meta.fusion.n_warnings
    assert FIRST in header["FUSWARN"]
    assert "left out" in header["FUSWARN"]
