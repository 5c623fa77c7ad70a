"""
A trial of the verdict: spoiled observations against good ones.

``python -m tests.trial [--scenes N] [--jobs N] [--output FILE]`` (``make trial``) simulates random scenes,
spoils each in every way of `INJECTIONS`, fuses it, and prints how wrong the fused cube is, what the verdict
says, and how many of the wrong ones it catches. `tests/pipeline/test_trial.py` has the short form.
"""

import argparse
import logging
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from scipy.ndimage import gaussian_filter

from tests.files import edit

SIZE = {"fov": 2.0, "n_wave": 300, "image_field": 4.0}
DRAWS = 4

#: A result is wrong if more than this share of its voxels changes by more than three ERR, or its structure
#: by more than this.
WRONG_SHARE, WRONG_STRUCTURE = 0.01, 0.03


@dataclass(frozen=True)
class Files:
    """Paths of an observation that may be changed."""

    cube: Path
    images: tuple
    association: Path

    @classmethod
    def copied(cls, source, folder):
        """Copy the observation of a folder into another."""
        for path in (*source.glob("*_s3d.fits"), *source.glob("*_i2d.fits"), *source.glob("*_asn.json")):
            shutil.copy(path, folder)
        (cube,) = folder.glob("*_s3d.fits")
        (association,) = folder.glob("*_asn.json")
        return cls(cube, tuple(sorted(folder.glob("*_i2d.fits"))), association)


def of_images(change):
    """Change each image."""

    def spoil(files):
        for path in files.images:
            edit(path, change)

    return spoil


def of_one(change, which=0):
    """Change one image."""
    return lambda files: edit(files.images[which], change)


def of_cube(change):
    """Change the cube."""
    return lambda files: edit(files.cube, change)


def data(function, *names):
    """Replace the data of HDUs, SCI if none is named, by a function of them."""

    def change(hdus):
        for name in names or ("SCI",):
            hdus[name].data = np.asarray(function(hdus[name].data), dtype=np.float32)

    return change


def keywords(function, *names):
    """Replace keywords of the data's header by a function of them."""
    return lambda hdus: [hdus["SCI"].header.set(name, function(hdus["SCI"].header[name])) for name in names]


def turned(angle):
    """Turn the coordinates about their reference [deg]."""

    def change(hdus):
        header = hdus["SCI"].header
        names = np.array([["PC1_1", "PC1_2"], ["PC2_1", "PC2_2"]])
        cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        matrix = np.array([[cosine, -sine], [sine, cosine]]) @ [[header[n] for n in row] for row in names]
        header.update(zip(names.ravel(), matrix.ravel().tolist(), strict=True))

    return change


def blurred(sigma):
    """Blur the light of an image by a Gaussian [arcsec]; noise of the same size is added anew."""

    def change(hdus):
        cells = sigma / (3600 * abs(hdus["SCI"].header["CDELT1"]))
        values, error = hdus["SCI"].data, np.nan_to_num(hdus["ERR"].data)
        known = np.isfinite(values)
        share = np.maximum(gaussian_filter(known.astype(float), cells), 1e-3)
        smooth = gaussian_filter(np.where(known, values, 0.0), cells) / share
        noise = 0.8 * error * np.random.default_rng(1).normal(size=values.shape)
        hdus["SCI"].data = np.where(known, smooth + noise, np.nan).astype(np.float32)

    return change


def named(name, pupil="CLEAR"):
    """Say that an image is in another filter."""
    return lambda hdus: hdus[0].header.update(FILTER=name, PUPIL=pupil)


def exchanged(files):
    """Exchange the filters of the first and the last image."""
    first, last = (fits.getheader(files.images[i]) for i in (0, -1))
    for which, header in ((0, last), (-1, first)):
        edit(files.images[which], named(header["FILTER"], header["PUPIL"]))


def copied(files):
    """Give the last image the pixels of the first."""
    first = fits.getdata(files.images[0], "SCI")
    edit(files.images[-1], data(lambda _: first.copy()))


def source(factor):
    """Multiply the light of the brightest compact source near the centre of the cube in all images."""

    def spoil(files):
        with fits.open(files.cube) as hdus:
            _, ny, nx = hdus["SCI"].data.shape
            place = WCS(hdus["SCI"].header).celestial.wcs_pix2world(nx / 2, ny / 2, 0)
        found = []
        for path in files.images:
            edit(path, lambda hdus: _amplify(hdus["SCI"], place, factor, found))

    return spoil


def _amplify(hdu, place, factor, found):
    """Multiply what stands out of its surroundings at the place that is found in the first image."""
    wcs, pixel = WCS(hdu.header).celestial, 3600 * abs(hdu.header["CDELT1"])
    rows, columns = np.indices(hdu.data.shape)
    values = np.nan_to_num(hdu.data)
    if not found:
        x, y = wcs.wcs_world2pix(*place, 0)
        compact = values - gaussian_filter(values, 0.15 / pixel)
        compact[np.hypot(rows - y, columns - x) * pixel > 0.7] = -np.inf
        row, column = np.unravel_index(np.argmax(compact), values.shape)
        found.append(wcs.wcs_pix2world(column, row, 0))
    x, y = wcs.wcs_world2pix(*found[0], 0)
    radius = np.hypot(rows - y, columns - x) * pixel
    level = np.median(values[(radius > 0.25) & (radius < 0.35)])
    window = np.exp(-0.5 * (radius / 0.08) ** 2)
    hdu.data = (hdu.data + (factor - 1) * window * np.maximum(values - level, 0)).astype(np.float32)


def spike(cube):
    """Put light of ten times the brightest spaxel's into 30 channels of one spaxel."""
    bright = np.nan_to_num(cube).mean(axis=0)
    row, column = np.unravel_index(np.argmax(bright), bright.shape)
    middle = len(cube) // 2
    cube[middle : middle + 30, row, column] += 10 * bright.max()
    return cube


def bad_peaks(cube):
    """Put single bad voxels, of 40 times the noise, on the peaks of the spectra of 20 bright spaxels."""
    bright = np.nan_to_num(cube).mean(axis=0)
    noise = 1.48 * np.nanmedian(np.abs(np.diff(cube, axis=0)))
    for place in np.argsort(-bright, axis=None)[:20]:
        row, column = np.unravel_index(place, bright.shape)
        cube[np.nanargmax(cube[:, row, column]), row, column] -= 40 * noise
    return cube


def jump(hdus):
    """Turn the wavelengths into a table that jumps by 20 nm in the middle."""
    header, n = hdus["SCI"].header, len(hdus["SCI"].data)
    wavelength = header["CRVAL3"] + header["CDELT3"] * np.arange(n) + 0.02 * (np.arange(n) >= n // 2)
    hdus["WCS-TABLE"].data["wavelength"] = wavelength.astype("f4").reshape(1, n, 1)
    header.update(CTYPE3="WAVE-TAB", CRVAL3=1.0, PS3_0="WCS-TABLE", PS3_1="wavelength")
    del header["CDELT3"]


def ghost(hdus):
    """Add a fifth of an image to itself, half an arcsecond off."""
    pixels = round(0.5 / (3600 * abs(hdus["SCI"].header["CDELT1"])))
    hdus["SCI"].data += np.float32(0.2) * np.roll(np.nan_to_num(hdus["SCI"].data), pixels, axis=1)


def sliced(cube):
    """Make every other slice of the IFU brighter by a fifth."""
    cube[:, ::2] *= np.float32(1.2)
    return cube


def wavy(cube):
    """Modulate the spectrum of each spaxel by a tenth, each with a phase of its own."""
    phase = np.random.default_rng(2).uniform(0, 2 * np.pi, cube.shape[1:])
    return cube * (1 + 0.1 * np.sin(np.arange(len(cube))[:, np.newaxis, np.newaxis] / 8 + phase))


def other_sky(image):
    """Another sky of the same brightness."""
    noise = gaussian_filter(np.random.default_rng(3).normal(size=image.shape), 4)
    return np.nanmedian(image) * np.exp(noise / noise.std())


def striped(image):
    """Add stripes along the rows of an image, of a fifth of its scatter."""
    return image + 0.2 * np.nanstd(image) * (-1) ** (np.arange(len(image)) // 4)[:, np.newaxis]


def tilted(cube):
    """Make the cube fall by half from the first to the last wavelength."""
    return cube * np.linspace(1.25, 0.75, len(cube))[:, np.newaxis, np.newaxis]


def psfs_of(factor):
    """Give a library of PSFs that are as many times as wide as those of the model."""

    def spoil(files):
        from jwst_fusion.cli import main as command
        from jwst_fusion.optics.library import read_library, write_library

        path = files.cube.parent / "psfs.asdf"
        with redirect_stdout(None):
            command(["psf", str(path), "--psf-source", "analytic", "--grating", "G235H/F170LP"])
        entries = [
            replace(entry, psf=replace(entry.psf, pixel_scale=factor * entry.psf.pixel_scale))
            for entry in read_library(path)
        ]
        write_library(path, entries)
        return {"override_fusion_psf": str(path)}

    return spoil


def _pixels(factor):
    return keywords(lambda value: value * factor, "CDELT1", "CDELT2")


def _north(arcsec):
    return keywords(lambda value: value + arcsec / 3600, "CRVAL2")


def _times(factor, *names):
    return data(lambda values: values * np.float32(factor), *names)


#: Observations as good as any: the PSFs of the model are never better known than by 5 %.
GOOD = {"good": lambda files: None, "PSFs 5 % wider": psfs_of(1.05), "PSFs 5 % narrower": psfs_of(0.95)}

INJECTIONS = {
    **{f"images turned by {angle:g} deg": of_images(turned(angle)) for angle in (0.5, 2.0, 4.0, 10.0)},
    "one image turned by 2 deg": of_one(turned(2.0)),
    "pixels of the images 2 % larger": of_images(_pixels(1.02)),
    "pixels of the images 5 % larger": of_images(_pixels(1.05)),
    "pixels of the cube 10 % smaller": of_cube(_pixels(0.9)),
    "one image shifted by 30 mas": of_one(_north(0.03), -1),
    "one image shifted by 100 mas": of_one(_north(0.1), -1),
    "images blurred by 31 mas": of_images(blurred(0.031)),
    "images blurred by 62 mas": of_images(blurred(0.062)),
    "one image blurred by 62 mas": of_one(blurred(0.062)),
    "source twice as bright": source(2.0),
    "source half as bright": source(0.5),
    "source five times as bright": source(5.0),
    "errors of the images 100 times": of_images(_times(100, "ERR")),
    "errors of the images a hundredth": of_images(_times(0.01, "ERR")),
    "errors of the cube 100 times": of_cube(_times(100, "ERR")),
    "flux of one band 100 times": of_one(_times(100, "SCI", "ERR")),
    "flux of one band 1.5 times": of_one(_times(1.5, "SCI", "ERR")),
    "flux of one band 1e-300": of_one(_times(1e-300, "SCI", "ERR")),
    "flux of the cube 3 times": of_cube(_times(3, "SCI", "ERR")),
    "pedestal of half the median": of_one(data(lambda image: image + 0.5 * np.nanmedian(image))),
    "one band named F210M": of_one(named("F210M")),
    "first and last band exchanged": exchanged,
    "last band a copy of the first": copied,
    "wavelengths off by 20 nm": of_cube(keywords(lambda value: value + 0.02, "CRVAL3")),
    "wavelength steps 2 % larger": of_cube(keywords(lambda value: value * 1.02, "CDELT3")),
    "jump of 20 nm in the wavelengths": of_cube(jump),
    "30 bright voxels in one spaxel": of_cube(data(spike)),
    "bad voxels on peaks of spectra": of_cube(data(bad_peaks)),
    "stripes in one image": of_one(data(striped)),
    "PSFs twice as wide": psfs_of(2.0),
    "one image brighter on one side": of_one(
        data(lambda image: image * np.linspace(0.75, 1.25, image.shape[1]))
    ),
    "one image saturated": of_one(data(lambda image: np.minimum(image, 0.5 * np.nanmax(image)))),
    "ghosts in one image": of_one(ghost),
    "one image transposed": of_one(data(np.transpose, "SCI", "ERR")),  # but not its coordinates
    "one image of another sky": of_one(data(other_sky)),
    "cube mirrored": of_cube(data(lambda cube: cube[:, :, ::-1], "SCI", "ERR")),
    "every other slice brighter": of_cube(data(sliced)),
    "cube falls along wavelength": of_cube(data(tilted)),
    "waves in single spectra": of_cube(data(wavy)),
    "cube smeared along wavelength": of_cube(
        data(lambda cube: gaussian_filter(np.nan_to_num(cube), (6, 0, 0)))
    ),
    "errors of the cube a hundredth": of_cube(_times(0.01, "ERR")),
}


#: Words of which one is in the right reason, by words of the injection.
REASONS = {
    "turned": ("roll", "turned"),
    "pixels": ("pixel scales", "magnif"),
    "shifted": ("offset",),
    "blurred": ("blur",),
    "source": ("source",),
    "errors of the images": ("errors",),
    "errors of the cube": ("error",),
    "flux": ("scale", "mean brightness"),
    "pedestal": ("scale",),
    "named": ("filter", "scale"),
    "exchanged": ("filter",),
    "a copy": ("filter",),
    "smeared": ("residuals of the NIRSpec cube", "bad data"),
    "falls": ("flux scale",),
    "wavelength": ("wavelength",),
    "voxels": ("artefact", "bad data"),
    "PSFs": ("PSF",),
    "mirrored": ("mirrored",),
    "transposed": ("transposed",),
    "slice": ("bad data", "artefact"),
    "waves": ("bad data", "wiggles"),
    "another sky": ("another sky", "artefact", "left out", "brighten"),
    "": ("artefact", "bad data", "left out"),
}


@dataclass(frozen=True)
class Row:
    """How a spoiled observation ended: how wrong, which verdict, and its first finding or the error."""

    scene: str
    injection: str
    share: float
    structure: float
    level: str
    finding: str

    @property
    def is_wrong(self):
        """Whether the result differs from that of the good observation by more than its errors allow."""
        return not (self.share <= WRONG_SHARE and self.structure <= WRONG_STRUCTURE)

    @property
    def is_right(self):
        """Whether the first finding names the cause."""
        words = next(words for key, words in REASONS.items() if key in self.injection)
        return any(word.lower() in self.finding.lower() for word in words)


def fused(files, options=None, **fusion):
    """Fused cube of an observation and its verdict; `options` are what a way of spoiling asks for."""
    from jwst_fusion import Fusion4Pipeline, adapters
    from jwst_fusion.quality.verdict import judge, measure

    model = Fusion4Pipeline.call(
        str(files.association), steps={"fusion": fusion | (options or {})}, configure_log=False
    )
    return model, judge(measure(adapters.report_content(model, name="trial")))


def compare(model, good):
    """Share of the voxels that change by more than three ERR, and change over structure."""
    if model.data.shape != good.data.shape:
        return 1.0, 1.0
    change = np.asarray(model.data) - np.asarray(good.data)
    structure = good.data - np.nanmean(good.data, axis=(1, 2), keepdims=True)
    share = np.nanmean(np.abs(change) > 3 * np.asarray(good.err))
    return float(share), float(np.sqrt(np.nanmean(change**2) / np.nanmean(structure**2)))


def try_scene(seed):
    """Rows of all injections into one random scene, the good observation first."""
    from jwst_fusion.exceptions import FusionError
    from jwst_fusion.simulation import simulate

    logging.getLogger("jwst_fusion").addHandler(logging.NullHandler())
    rows, scene = [], f"random {seed}"
    with tempfile.TemporaryDirectory() as base:
        source_folder = Path(base, "good")
        simulate("random", source_folder, name="trial", seed=seed, **SIZE)
        good = None
        for name, spoil in (GOOD | INJECTIONS).items():
            folder = Path(base, "spoiled")
            folder.mkdir()
            files = Files.copied(source_folder, folder)
            try:
                model, verdict = fused(files, spoil(files), samples=DRAWS)
            except FusionError as error:
                rows.append(Row(scene, name, float("nan"), float("nan"), "refused", str(error)))
            else:
                good = good or model
                finding = verdict.findings[0] if verdict.findings else ""
                rows.append(Row(scene, name, *compare(model, good), verdict.level, finding))
            shutil.rmtree(folder)
    return rows


def table(rows):
    """Lines of a table, and of what it comes to."""
    yield f"{'scene':10} {'spoiled by':34} {'> 3 ERR':>8} {'structure':>9}  verdict"
    for row in rows:
        numbers = f"{100 * row.share:7.1f}% {100 * row.structure:8.1f}%"
        yield f"{row.scene:10} {row.injection:34} {numbers}  {row.level:8} {row.finding[:70]}"
    good = [row for row in rows if row.injection in GOOD]
    wrong = [row for row in rows if row.injection not in GOOD and row.is_wrong]
    caught = sum(row.level != "green" for row in wrong)
    right = sum(row.level != "green" and row.is_right for row in wrong)
    yield (
        f"wrong by more than its errors allow: {len(wrong)}, of which not green: {caught}, "
        f"with the right reason first: {right}"
    )
    for level in ("green", "amber", "red"):
        yield f"good observations {level}: {sum(row.level == level for row in good)} of {len(good)}"


def main():
    """Run the trial."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", type=int, default=4, metavar="N", help="random scenes (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="at the same time (%(default)s)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where to put the table")
    arguments = parser.parse_args()
    with ProcessPoolExecutor(arguments.jobs) as pool:
        rows = [row for found in pool.map(try_scene, range(arguments.scenes)) for row in found]
    text = "\n".join(table(rows)) + "\n"
    print(text, end="")  # noqa: T201 - the program's output
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
