"""Several cubes of one scene, end to end: gratings, pointings, and sets that do not belong together."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates
from stdatamodels.jwst.datamodels import IFUCubeModel

import jwst_fusion
from jwst_fusion import CrossCalibStep, Fusion4Pipeline, FusionStep, datamodels
from jwst_fusion.adapters import examine
from jwst_fusion.cli import main
from jwst_fusion.coregistration.coregister import CoregistrationSettings
from jwst_fusion.exceptions import InputError, NoOverlapError, ParameterError
from jwst_fusion.quality.diagnosis import UNKNOWN
from jwst_fusion.quality.metrics import psnr
from jwst_fusion.simulation import simulate_set
from tests.console import run_command, start_command

from .commands import link, make_once, run_once

OPTIONS = {"fov": 1.0, "image_field": 2.6, "n_wave": 70, "seed": 4}
BLUE, RED = "g140h-f100lp", "g235h-f170lp"
QUICK = ("--steps.fusion.samples=4", "--steps.fusion.save_report=false")
CELLS = 3


def simulated(folder, **options):
    """Simulate a set once; its files and true parameters."""
    make_once(folder, lambda empty: simulate_set("disk", empty, name="s", **OPTIONS, **options))
    truth = json.loads((folder / "s_truth.json").read_text())
    return SimpleNamespace(
        inputs=sorted(folder.glob("*_i2d.fits"))
        + sorted(folder.glob("*_s3d.fits"))
        + [folder / "s_asn.json"],
        cubes=sorted(folder.glob("*_s3d.fits")),
        images=sorted(folder.glob("*_i2d.fits")),
        association=folder / "s_asn.json",
        truth=truth,
        folder=folder,
    )


@pytest.fixture(scope="session")
def gratings(shared):
    return simulated(
        shared / "gratings",
        setups=("G140H/F100LP", "G235H/F170LP-whole"),
        filters=("F115W", "F162M", "F200W", "F212N"),
    )


@pytest.fixture(scope="session")
def pointings(shared):
    """Two pointings, and images of two visits in one filter."""
    setups = ("G235H/F170LP",)
    return simulated(shared / "pointings", setups=setups, pointings=2, visits=2, filters=("F182M",))


@pytest.fixture(scope="session")
def fused_gratings(shared, gratings):
    """The pipeline run on two gratings by its command."""
    return run_once(
        shared / "fused_gratings", "strun", "calwebb_fusion4", "s_asn.json", "--output_dir=.",
        "--steps.fusion.output_type=multi", "--steps.coregister.save_results=true",
        "--steps.cross_calib.save_results=true", *QUICK,
        inputs=gratings.inputs, run=start_command,
    )  # fmt: skip


def compared(path, truth_path, beam=0.09, offset=(0.0, 0.0)):
    """
    Fused cube and truth at a common beam, on the cells of the fused cube where both are known.

    The offset (east, north) [arcsec] is where the truth has the sky minus where the fused cube has it.
    """
    with fits.open(path) as hdus, fits.open(truth_path) as truths:
        fused, header = hdus["SCI"].data, hdus["SCI"].header
        truth, true_header = truths[1].data, truths[1].header
        wavelength = hdus["COMPONENTS"].data["wavelength"]
    rows, columns = np.indices(fused.shape[1:])
    ra, dec = WCS(header).celestial.wcs_pix2world(columns, rows, 0)
    ra, dec = ra + offset[0] / 3600 / np.cos(np.radians(dec)), dec + offset[1] / 3600
    x, y = WCS(true_header).celestial.wcs_world2pix(ra, dec, 0)
    true_wavelength = true_header["CRVAL3"] + true_header["CDELT3"] * np.arange(len(truth))
    sigma = beam / 2.355 / (0.1 / CELLS)
    pairs = []
    for plane, length in zip(fused, wavelength, strict=True):
        known = np.isfinite(plane)
        if not known.any():
            continue
        blurred = gaussian_filter(np.where(known, plane, np.median(plane[known])), sigma)
        true = gaussian_filter(truth[np.argmin(abs(true_wavelength - length))].astype(float), sigma)
        inside = known & (gaussian_filter(known.astype(float), 2 * sigma) > 0.95)
        pairs.append((map_coordinates(true, (y[inside], x[inside]), order=3), blurred[inside]))
    return pairs


def sharpness(pairs):
    """Mean over channels of the PSNR after the flux scale, which the set has of its own, is taken out."""
    values = []
    for true, fused in pairs:
        scale = (fused @ true) / (true @ true)
        values.append(psnr(true, fused / scale))
    return np.mean(values)


def test_two_gratings_make_two_products_on_one_grid(fused_gratings):
    blue, red = (fits.open(fused_gratings.folder / f"s_{name}_fused.fits") for name in (BLUE, RED))
    with blue, red:
        for keyword in ("NAXIS1", "NAXIS2", "CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CDELT1", "PC1_1"):
            assert blue["SCI"].header[keyword] == red["SCI"].header[keyword]
        assert (blue[0].header["GRATING"], red[0].header["GRATING"]) == ("G140H", "G235H")
        both = np.isfinite(blue["COEFFS"].data) & np.isfinite(red["COEFFS"].data)
        assert both.mean() > 0.3
        np.testing.assert_array_equal(blue["COEFFS"].data[both], red["COEFFS"].data[both])
        assert blue[0].header["FUSNCUBE"] == 2
        assert blue[0].header["FUSMEMBR"] == BLUE
        assert set(blue["FILTERS"].data["filter"]) == {"F115W", "F162M"}
        assert set(red["FILTERS"].data["filter"]) == {"F200W", "F212N"}
    with datamodels.open(fused_gratings.folder / f"s_{RED}_fused.fits") as model:
        assert isinstance(model, datamodels.FusedCubeModel)


def test_one_product_has_all_wavelengths(fused_gratings):
    """A table of wavelengths that others read; channels of one grating as they are, and of two in between."""
    whole, blue, red = (
        fits.open(fused_gratings.folder / f"s_{name}fused.fits") for name in ("", f"{BLUE}_", f"{RED}_")
    )
    with whole, blue, red:
        wavelength, own, other = (
            hdus["COMPONENTS"].data["wavelength"].astype(float) for hdus in (whole, blue, red)
        )
        assert (np.diff(wavelength) > 0).all()
        header, n = whole["SCI"].header, np.arange(wavelength.size)
        assert header["CTYPE3"] == "WAVE-TAB"
        read = WCS(header, whole).pixel_to_world_values(5 + 0 * n, 7 + 0 * n, n)[2]
        np.testing.assert_allclose(read, wavelength, rtol=1e-7)
        assert WCS(header, whole).celestial.wcs.compare(WCS(blue["SCI"].header).celestial.wcs)
        planes = {name: [hdus[name].data for hdus in (whole, blue, red)] for name in ("SCI", "ERR", "DQ")}
        alone = wavelength < other[0] - 0.03
        for made, first, second in planes.values():
            np.testing.assert_array_equal(made[alone], first[: alone.sum()])
            alone_too = wavelength > own[-1] + 0.03
            np.testing.assert_array_equal(made[alone_too], second[-alone_too.sum() :])
        between = int(np.argmin(abs(wavelength - 1.78)))
        parts = [between, int(np.argmin(abs(own - wavelength[between]))), between - wavelength.size]
        scene, first, second = (data[i] for data, i in zip(planes["SCI"], parts, strict=True))
        either = np.isfinite(first) | np.isfinite(second)
        np.testing.assert_array_equal(np.isfinite(scene), either)
        both = np.isfinite(first) & np.isfinite(second)
        levels = sorted([first[both].mean(), second[both].mean()])
        assert 0.98 * levels[0] < scene[both].mean() < 1.02 * levels[1]  # their noise is 2 %
        spectra = [whole["COMPONENTS"].data[c] for c in whole["COMPONENTS"].columns.names if "basis" in c]
        model = np.tensordot(np.array(spectra).T, whole["COEFFS"].data, axes=1)
        model += whole["COMPONENTS"].data["mean_spectrum"][:, None, None]
        known = np.isfinite(planes["SCI"][0])
        np.testing.assert_allclose(planes["SCI"][0][known], model[known], rtol=1e-4, atol=1e-3)
        assert set(whole["FILTERS"].data["filter"]) == {"F115W", "F162M", "F200W", "F212N"}
    with IFUCubeModel(fused_gratings.folder / "s_fused.fits") as model:
        found = model.meta.wcs(5.0 + 0 * n, 7.0 + 0 * n, n.astype(float))[2]
        np.testing.assert_allclose(found, wavelength, rtol=1e-6)
        assert model.meta.instrument.grating == "MULTIPLE"


def test_spectra_of_spaxels_that_one_grating_saw_are_kept_as_well(fused_gratings):
    """Their projections on the components are as near to the fused cube as those that both saw."""
    with datamodels.open(fused_gratings.folder / "s_fused.fits") as model:
        kept, fused = model.report.instance, np.array(model.coefficients)
        wavelength = np.asarray(model.components["wavelength"])
    known = np.array(kept["spectra"]) != UNKNOWN
    blue, red = known[wavelength < 1.6].any(axis=0), known[wavelength > 2.0].any(axis=0)
    own = np.array(kept["spectra_coefficients"])
    k, my, mx = own.shape
    departure = own - fused.reshape(k, my, CELLS, mx, CELLS).mean(axis=(2, 4))
    assert (blue ^ red).sum() > 20
    for each in departure:
        assert np.nanstd(each[blue ^ red]) < 1.3 * np.nanstd(each[blue & red])


def test_a_line_in_the_overlap_is_measured_better_with_both(fused_gratings):
    """Pa alpha of the whole product, that of each grating, and where only one of them looks."""
    found = {}
    for name in ("", f"{RED}_"):
        (found[name],) = jwst_fusion.lines(
            fused_gratings.folder / f"s_{name}fused.fits", 1.79, window=9000.0, significance=1.0
        )
    both, red = (found[name].cells for name in ("", f"{RED}_"))
    with fits.open(fused_gratings.folder / f"s_{BLUE}_fused.fits") as hdus:
        seen = np.isfinite(red.flux.value) & np.isfinite(hdus["COEFFS"].data[0])
    np.testing.assert_array_equal(np.isfinite(both.flux.value), seen)  # its window is wider than the overlap
    assert np.median(both.flux.error[seen]) < np.median(red.flux.error[seen])
    departure = (both.flux.value - red.flux.value)[seen] / red.flux.error[seen]
    assert np.sqrt(np.mean(departure**2)) < 2
    for name, wavelength in ((f"{BLUE}_", 1.2), (f"{RED}_", 2.1)):
        (own,), (whole,) = (
            jwst_fusion.lines(fused_gratings.folder / f"s_{n}fused.fits", wavelength, window=9000.0)
            for n in (name, "")
        )
        departure = (whole.cells.flux.value - own.cells.flux.value) / own.cells.flux.error
        assert np.sqrt(np.nanmean(departure**2)) < 0.5  # the same, but for channels of the continuum
        assert whole.window.instrument == pytest.approx(own.window.instrument, rel=1e-3)


def test_the_products_of_the_gratings_together_are_as_good_as_the_whole(fused_gratings, tmp_path, capsys):
    blue, red, whole = (fused_gratings.folder / f"s_{name}fused.fits" for name in (f"{BLUE}_", f"{RED}_", ""))
    (together,), (once,) = (
        jwst_fusion.lines(product, 1.79, window=9000.0) for product in ([red, blue], whole)
    )
    for one, other in zip(together.cells.quantities.values(), once.cells.quantities.values(), strict=True):
        np.testing.assert_allclose(one.value, other.value, rtol=1e-5)
        np.testing.assert_allclose(one.error, other.error, rtol=1e-5)
    line = ["--line", "1.79", "--window", "9000", "--output-dir", str(tmp_path)]
    assert main(["lines", str(blue), str(red), *line]) == 0
    assert main(["extract", str(blue), str(red), "--region", "image; circle(21, 21, 3)", *line]) == 0
    assert sorted(path.name for path in tmp_path.glob("*.fits")) == ["s_line_1.79.fits", "s_regions_x1d.fits"]
    assert main(["info", str(blue), str(red)]) == 0
    capsys.readouterr()
    for wrong, words in (([whole, blue], "no product of one grating"), ([blue, blue], "is there twice")):
        assert main(["lines", *map(str, wrong), *line]) == 1
        assert words in capsys.readouterr().err


def test_a_region_is_extracted_over_all_wavelengths(fused_gratings):
    """Where a grating did not look at a part of it, its spectrum is not known."""
    product = fused_gratings.folder / "s_fused.fits"
    with fits.open(product) as hdus:
        seen = np.isfinite(hdus["SCI"].data)
        wavelength = hdus["COMPONENTS"].data["wavelength"]
        scene = hdus["SCI"].data
    alive = seen.any(axis=(1, 2))
    rows, columns = np.nonzero(seen[alive].all(axis=0))
    y, x = int(np.median(rows)), int(np.median(columns))
    (spectrum,) = jwst_fusion.extract(product, f"image; circle({x + 1}, {y + 1}, 1.5)")
    assert np.isfinite(spectrum.flux[alive]).all()
    inner = np.nan_to_num(scene[:, y, x])
    area = spectrum.sum.scene.cell_area / 3600**2 * np.radians(1) ** 2 * 1e6
    expected = spectrum.flux / area / spectrum.sum.amount
    assert np.corrcoef(expected[alive], inner[alive])[0, 1] > 0.8
    only = seen[np.argmin(abs(wavelength - 1.2))] & ~seen[np.argmin(abs(wavelength - 2.1))]
    y, x = np.argwhere(only)[0]
    (spectrum,) = jwst_fusion.extract(product, f"image; circle({x + 1}, {y + 1}, 0.4)")
    assert np.isfinite(spectrum.flux[(wavelength < 1.3) & alive]).all()
    assert np.isnan(spectrum.flux[wavelength > 2.0]).all()


@pytest.mark.parametrize("name", [BLUE, RED])
def test_each_grating_is_sharp(fused_gratings, gratings, name):
    pairs = compared(fused_gratings.folder / f"s_{name}_fused.fits", gratings.folder / f"s_{name}_truth.fits")
    assert sharpness(pairs) > 36
    levels = np.array([fused.mean() / true.mean() for true, fused in pairs])
    assert levels.std() < 0.025  # the noise of the cube's mean spectrum is 2 %


def test_positions_and_fluxes_are_those_of_the_simulation(fused_gratings, gratings):
    with datamodels.open(fused_gratings.folder / f"s_{RED}_fused.fits") as model:
        rows = [dict(row) for row in model.meta.fusion.instance["set_cubes"]]
        seams = [dict(row) for row in model.meta.fusion.instance["set_seams"]]
    assert [row["cube"] for row in rows] == [path.name for path in gratings.cubes]
    short = [(b["offset_east"], b["offset_north"]) for b in gratings.truth["filters"]]
    reference = np.mean(short, axis=0)
    for row, true in zip(rows, gratings.truth["cubes"], strict=True):
        offset = np.array([row["offset_east"], row["offset_north"]])
        expected = np.array([true["offset_east"], true["offset_north"]]) + reference
        np.testing.assert_allclose(offset, expected, atol=0.008)
    true = [cube["factor"] for cube in gratings.truth["cubes"]]
    assert rows[0]["factor"] / rows[1]["factor"] == pytest.approx(true[0] / true[1], rel=0.006)
    assert abs(seams[0]["cubes"]) < 4 * seams[0]["cubes_err"]
    assert abs(seams[0]["fused"]) < 0.02


def displacement(path, truth_path, reference):
    """Where the mean image of a fused cube has the scene minus where the truth has it (x, y) [arcsec]."""
    with fits.open(path) as hdus, fits.open(truth_path) as truths:
        fused, header = hdus["SCI"].data, hdus["SCI"].header
        wavelength = hdus["COMPONENTS"].data["wavelength"]
        truth, true_header = truths[1].data, truths[1].header
    true_wavelength = true_header["CRVAL3"] + true_header["CDELT3"] * np.arange(len(truth))
    live = np.isfinite(fused).any(axis=(1, 2))
    true = truth[[np.argmin(abs(true_wavelength - length)) for length in wavelength[live]]].mean(axis=0)
    image = fused[live].mean(axis=0)
    rows, columns = np.indices(image.shape)
    ra, dec = WCS(header).celestial.wcs_pix2world(columns, rows, 0)
    ra, dec = ra - reference[0] / 3600 / np.cos(np.radians(dec)), dec - reference[1] / 3600
    x, y = WCS(true_header).celestial.wcs_world2pix(ra, dec, 0)
    known, sigma = np.isfinite(image), 0.1 / 2.355 / (0.1 / CELLS)
    seen = gaussian_filter(np.where(known, image, np.nanmedian(image)), sigma)
    expected = map_coordinates(gaussian_filter(true.astype(float), sigma), (y, x), order=3, mode="nearest")
    slopes = np.gradient(expected)[::-1]
    inside = gaussian_filter(known.astype(float), 2 * sigma) > 0.95
    design = np.stack([expected[inside], *(slope[inside] for slope in slopes), np.ones(inside.sum())], axis=1)
    fit = np.linalg.lstsq(design, seen[inside], rcond=None)[0]
    return -fit[1:3] / fit[0] * 0.1 / CELLS


def test_the_fused_cubes_have_the_scene_at_the_same_place(fused_gratings, gratings):
    """Although each image is misaligned by 2 mas (rms); the noise of these short cubes is about 1 mas."""
    reference = np.mean([(b["offset_east"], b["offset_north"]) for b in gratings.truth["filters"]], axis=0)
    places = [
        displacement(
            fused_gratings.folder / f"s_{n}_fused.fits", gratings.folder / f"s_{n}_truth.fits", reference
        )
        for n in (BLUE, RED)
    ]
    np.testing.assert_allclose(places[0], places[1], atol=0.002)
    np.testing.assert_allclose(places, 0.0, atol=0.005)


def test_what_comes_after_takes_each_product(fused_gratings, tmp_path):
    product = f"s_{RED}_fused.fits"
    link(tmp_path, [fused_gratings.folder / product])
    assert run_command(tmp_path, "jwst-fusion", "report", product).status == 0
    assert (tmp_path / f"s_{RED}_fused.html").stat().st_size > 1e5
    told = run_command(tmp_path, "jwst-fusion", "lines", product, "--line", "Pa alpha", "--window", "9000")
    assert told.status == 0, told.text
    told = run_command(tmp_path, "jwst-fusion", "info", product).text
    assert "Cubes that were fused together" in told
    assert f"s_{BLUE}_s3d.fits and s_{RED}_s3d.fits from 1.6" in told


@pytest.fixture(scope="session")
def fused_pointings(pointings):
    (model,) = Fusion4Pipeline.call(
        [str(path) for path in pointings.inputs if path.suffix == ".fits"],
        steps={"fusion": {"samples": 6, "save_report": False}},
    )
    return model


def test_two_pointings_make_one_product(fused_pointings, pointings, tmp_path):
    """That is as good and as bright in the part that both see as on either side."""
    model = fused_pointings
    assert model.meta.fusion.set_size == 2
    inside = (np.asarray(model.dq)[30] & 1) == 0
    assert inside.any(axis=1).sum() * 0.1 / CELLS > 1.4
    rows = [dict(row) for row in model.meta.fusion.instance["set_cubes"]]
    assert rows[0]["factor"] == pytest.approx(rows[1]["factor"], rel=0.01)
    model.save(tmp_path / "two_fused.fits")
    pairs = compared(tmp_path / "two_fused.fits", pointings.folder / f"s_{RED}_truth.fits")
    assert sharpness(pairs) > 36
    true, fused = np.mean([np.array(pair) for pair in pairs], axis=0)
    parts = np.array_split(np.arange(true.size), 4)  # cells in the order of rows, from south to north
    levels = np.array([fused[part].mean() / true[part].mean() for part in parts])
    assert np.ptp(levels) < 0.02


@pytest.fixture(scope="session")
def visits(shared):
    """One cube with images of two visits in each filter, with the telescope turned by 40 deg."""
    return simulated(
        shared / "visits", setups=("G235H/F170LP",), visits=2, filters=("F182M", "F210M"), image_snr=15
    )


def seen_by(cube, row, ra, dec):
    """Where a cube has data, given where NIRCam has the places and the cube's offset from it."""
    with fits.open(cube) as hdus:
        known = np.isfinite(hdus["SCI"].data).mean(axis=0) > 0.5
        wcs = WCS(hdus["SCI"].header).celestial
    east, north = row["offset_east"] / 3600 / np.cos(np.radians(dec)), row["offset_north"] / 3600
    x, y = wcs.wcs_world2pix(ra - east, dec - north, 0)
    return map_coordinates(known.astype(float), (y, x), order=0) > 0.5


def test_there_is_no_seam_where_a_pointing_ends(fused_pointings, pointings, tmp_path):
    """Beside the border of what both see, the light differs by less than its stated error."""
    model = fused_pointings
    model.save(tmp_path / "two_fused.fits")
    wcs = WCS(fits.getheader(tmp_path / "two_fused.fits", "SCI")).celestial
    rows, columns = np.indices(model.data.shape[1:])
    ra, dec = wcs.wcs_pix2world(columns, rows, 0)
    cubes = model.meta.fusion.instance["set_cubes"]
    first, second = (seen_by(pointings.folder / dict(cube)["cube"], dict(cube), ra, dec) for cube in cubes)
    both, single = first & second, first ^ second
    assert both.sum() > 300
    assert single.sum() > 300
    live = np.isfinite(model.data).any(axis=(1, 2))
    with fits.open(pointings.folder / f"s_{RED}_truth.fits") as truths:
        truth, header = truths[1].data, truths[1].header
    length = header["CRVAL3"] + header["CDELT3"] * np.arange(len(truth))
    reference = np.mean([(b["offset_east"], b["offset_north"]) for b in pointings.truth["filters"]], axis=0)
    ra, dec = ra - reference[0] / 3600 / np.cos(np.radians(dec)), dec - reference[1] / 3600
    x, y = WCS(header).celestial.wcs_world2pix(ra, dec, 0)
    nearest = [np.argmin(abs(length - wave)) for wave in np.asarray(model.components["wavelength"])[live]]
    true = map_coordinates(truth[nearest].mean(axis=0).astype(float), (y, x), order=3)
    sigma = 0.1 / 2.355 / (0.1 / CELLS)
    fused = np.asarray(model.data)[live].mean(axis=0)
    known = np.isfinite(fused)
    fused = gaussian_filter(np.where(known, fused, np.median(fused[known])), sigma)
    ratio = fused / gaussian_filter(true, sigma)
    inner = known & (gaussian_filter(known.astype(float), 2 * sigma) > 0.95)
    here = inner & both & (distance_transform_edt(~single) < 6)
    there = inner & single & (distance_transform_edt(~both) < 6)
    step = abs(ratio[here].mean() / ratio[there].mean() - 1)
    error = np.median((np.asarray(model.err)[live] / np.asarray(model.data)[live])[:, here | there])
    assert step < error
    assert step < 0.005


def fused_visits(visits, images, **settings):
    """Fuse the cube with some of its images, the first visit before the second."""
    ordered = sorted(images, key=lambda path: "-v2" in path.name)
    return Fusion4Pipeline.call(
        [str(path) for path in (*ordered, *visits.cubes)],
        steps={"fusion": {"samples": 0, "save_report": False} | settings},
    )


@pytest.fixture(scope="session")
def two_visits(visits):
    return fused_visits(visits, visits.images)


def labels(table):
    """Names of the images in a table of a product."""
    return [row["filter"].decode() if isinstance(row["filter"], bytes) else row["filter"] for row in table]


def test_two_visits_in_a_filter_are_two_images(two_visits, visits):
    """Each with its own offset, flux scale and orientation of its PSF."""
    table = np.asarray(two_visits.filters)
    true = {}
    for band in visits.truth["filters"]:
        name = band["filter"]
        true[f"{name}-2" if name in true else name] = band
    assert set(labels(table)) == set(true)
    factor = visits.truth["cubes"][0]["factor"]
    for name, row in zip(labels(table), table, strict=True):
        assert row["scale"] == pytest.approx(true[name]["scale"] / factor, abs=3 * row["scale_err"])
        assert row["psnr"] > 33
    east = np.array([true[name]["offset_east"] for name in labels(table)])
    assert np.ptp(table["offset_east"] - east) < 0.008


def test_two_visits_are_better_than_one(two_visits, visits, tmp_path):
    """By most of what twice the exposure tells; a wrong orientation of the PSF would spoil that."""
    single = fused_visits(visits, [path for path in visits.images if "-v2" not in path.name])
    cube, quality = visits.truth["cubes"][0], []
    offset = cube["offset_east"], cube["offset_north"]
    for number, model in enumerate((single, two_visits)):
        path = tmp_path / f"v{number}_fused.fits"
        model.save(path)
        pairs = compared(path, visits.folder / f"s_{RED}_truth.fits", offset=offset)
        quality.append(sharpness(pairs))
    assert quality[1] > quality[0] + 0.7


def test_a_held_out_filter_is_held_out_in_all_its_images(visits):
    table = np.asarray(fused_visits(visits, visits.images, held_out_filters=["F210M"]).filters)
    assert dict(zip(labels(table), table["held_out"].astype(bool), strict=True)) == {
        "F182M": False,
        "F182M-2": False,
        "F210M": True,
        "F210M-2": True,
    }


def spoilt(gratings, folder, change, which=1):
    """A copy of the set in which one cube is changed."""
    folder.mkdir(exist_ok=True)
    link(folder, [path for path in gratings.inputs if path != gratings.cubes[which]])
    with fits.open(gratings.cubes[which]) as hdus:
        change(hdus)
        hdus.writeto(folder / gratings.cubes[which].name)
    return folder / gratings.association.name


def moving(hdus):
    hdus[0].header["TARGTYPE"] = "MOVING"


def elsewhere(hdus):
    hdus["SCI"].header["CRVAL2"] += 0.01


def far_away(hdus):
    hdus["SCI"].header["CRVAL1"], hdus["SCI"].header["CRVAL2"] = 263.8, 5.4


def turned(hdus):
    header = hdus["SCI"].header
    header["PC1_1"], header["PC1_2"], header["PC2_1"], header["PC2_2"] = -0.9, 0.43589, 0.43589, 0.9


def finer(hdus):
    header = hdus["SCI"].header
    header["CDELT1"], header["CDELT2"] = header["CDELT1"] / 2, header["CDELT2"] / 2


def mirrored(hdus):
    for name in ("SCI", "ERR", "DQ"):
        hdus[name].data = hdus[name].data[:, ::-1].copy()


def test_a_cube_that_shows_another_sky_than_its_images_is_left_out(gratings, tmp_path, caplog):
    """Of two cubes that leaves one, which is no set."""
    association = spoilt(gratings, tmp_path / "set", mirrored)
    with pytest.raises(InputError, match="of all cubes only this can be fused"):
        Fusion4Pipeline.call(str(association), output_dir=str(tmp_path))
    assert f"{gratings.cubes[1].name} left out: it does not show the sky of its images" in caplog.text


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (moving, InputError, "its target moves, and that of"),
        (elsewhere, NoOverlapError, "no other cube shows the same sky"),
        (far_away, NoOverlapError, "no other cube shows the same sky"),
        (turned, InputError, "rebuild the cubes with one scale"),
        (finer, InputError, "its spaxels have 0.0500 arcsec at"),
    ],
)
def test_what_does_not_belong_together_is_refused(gratings, tmp_path, change, error, words):
    found = examine(spoilt(gratings, tmp_path / "set", change), CoregistrationSettings())
    assert isinstance(found.error, error)
    assert words in str(found.error)
    assert gratings.cubes[1].name in str(found.error) or gratings.cubes[0].name in str(found.error)


def test_associate_takes_several_cubes(gratings, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = [path.name for path in (*gratings.cubes, *gratings.images)]
    link(tmp_path, gratings.inputs)
    assert main(["associate", *names, "-o", "made_asn.json"]) == 0
    capsys.readouterr()
    assert main(["associate", "--check", "made_asn.json"]) == 0
    told = capsys.readouterr().out
    assert "made_asn.json: product s\n" in told
    assert told.count("  cube ") == 2 and told.count("  image ") == 4
    product = json.loads((tmp_path / "made_asn.json").read_text())["products"][0]
    assert sorted(member["expname"] for member in product["members"]) == sorted(names)
    (tmp_path / "far").mkdir()
    spoilt(gratings, tmp_path / "far", elsewhere)
    monkeypatch.chdir(tmp_path / "far")
    assert main(["associate", *names]) == 64
    assert "no other cube shows the same sky" in capsys.readouterr().err
    without = [name for name in names if "f115w" not in name and "f162m" not in name]
    assert main(["associate", *without, "-o", "one_asn.json"]) == 0
    assert f"left out: {gratings.cubes[0].name}: none of the images lies" in capsys.readouterr().out


def test_the_same_cube_twice_is_refused(gratings, tmp_path):
    copy = tmp_path / "copy_s3d.fits"
    copy.symlink_to(gratings.cubes[0])
    found = examine([*map(str, gratings.images), str(gratings.cubes[0]), str(copy)], CoregistrationSettings())
    assert "is the same cube; leave one of them out" in str(found.error)


def test_a_cube_that_no_image_looks_at_cannot_be_registered(gratings):
    images = [str(path) for path in gratings.images if "f115w" in path.name or "f162m" in path.name]
    found = examine([*images, *map(str, gratings.cubes)], CoregistrationSettings())
    assert str(found.error).startswith(f"{gratings.cubes[1].name}: no image looks in its wavelengths, 1.660")


def test_the_preflight_says_who_constrains_what(gratings):
    found = examine(gratings.association, CoregistrationSettings())
    assert found.verdict == "ok"
    assert "where F115W, F162M look" in found.table()
    assert "where F200W, F212N look" in found.table()


@pytest.mark.parametrize(
    "option",
    ["coregister.height=0.5", "coregister.position_angle=aperture", "cross_calib.reference=nircam",
     "fusion.boundary=symmetric", "fusion.held_out_filters=each", "coregister.offset_file=o.asdf"],
)  # fmt: skip
def test_parameters_for_one_cube_are_refused(gratings, tmp_path, option):
    step, _, setting = option.partition(".")
    name, _, value = setting.partition("=")
    value = {"height": 0.5, "held_out_filters": [value]}.get(name, value)
    with pytest.raises(ParameterError, match="is for one cube, and there are several"):
        Fusion4Pipeline.call(str(gratings.association), steps={step: {name: value}}, output_dir=str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_each_step_goes_on_from_the_files_of_the_one_before(fused_gratings, tmp_path, monkeypatch):
    """Given one of them, it finds the others; the results are the same bits as in one run."""
    monkeypatch.chdir(tmp_path)
    link(tmp_path, [fused_gratings.folder / f"s_{name}_coreg.fits" for name in (BLUE, RED)])
    done = run_command(tmp_path, "strun", "cross_calib", f"s_{RED}_coreg.fits")
    assert done.status == 0, done.text
    xcal, fused = ({f"s_{name}_{end}.fits" for name in (BLUE, RED)} for end in ("xcal", "fused"))
    assert {path.name for path in tmp_path.glob("*_xcal.fits")} == xcal
    done = run_command(tmp_path, "strun", "calwebb_fusion4", f"s_{BLUE}_xcal.fits", *QUICK)
    assert done.status == 0, done.text
    assert {path.name for path in tmp_path.glob("*_fused.fits")} == fused
    for name in (*xcal, *fused):
        with fits.open(tmp_path / name) as again, fits.open(fused_gratings.folder / name) as before:
            for extension in ("SCI", "ERR"):
                np.testing.assert_array_equal(again[extension].data, before[extension].data)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [("missing", "no such file; it is fused together with"), ("other", "not of the same run as"),
     ("renamed", "call it NAME_g140h-f100lp_coreg.fits")],
)  # fmt: skip
def test_a_product_of_a_set_without_the_others_is_refused(
    fused_gratings, tmp_path, monkeypatch, spoil, words
):
    monkeypatch.chdir(tmp_path)
    blue, red = (f"s_{name}_coreg.fits" for name in (BLUE, RED))
    given = "x_coreg.fits" if spoil == "renamed" else blue
    (tmp_path / given).symlink_to(fused_gratings.folder / blue)
    if spoil != "missing":
        with datamodels.open(fused_gratings.folder / red) as model:
            if spoil == "other":
                model.meta.fusion.parameters.coregister.margin = 0.9
            model.save(tmp_path / red)
    told = run_command(tmp_path, "strun", "cross_calib", given)
    assert told.status == 1
    assert words in told.text
    assert not list(tmp_path.glob("*_xcal.fits"))
    with pytest.raises(InputError, match="not a product of the cross_calib step"):
        FusionStep.call(given)
    with (
        datamodels.open(fused_gratings.folder / blue) as model,
        pytest.raises(InputError, match="give the list of all of them"),
    ):
        CrossCalibStep.call(model)
