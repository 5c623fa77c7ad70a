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


def of_cube(change):
    """Change the cube."""
    return lambda files: edit(files.cube, change)


def of_one(change, which=0):
    """Change one image."""
    return lambda files: edit(files.images[which], change)


def turned(angle):
    """Turn the coordinates about their reference [deg]."""

    def change(hdus):
        header = hdus["SCI"].header
        names = np.array([["PC1_1", "PC1_2"], ["PC2_1", "PC2_2"]])
        cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        matrix = np.array([[cosine, -sine], [sine, cosine]]) @ [[header[n] for n in row] for row in names]
        header.update(zip(names.ravel(), matrix.ravel().tolist(), strict=True))

    return change


def times(factor, *keywords):
    """Multiply keywords of the data's header."""

    def change(hdus):
        for keyword in keywords:
            hdus["SCI"].header[keyword] *= factor

    return change


def plus(step, keyword):
    """Add to a keyword of the data's header."""

    def change(hdus):
        hdus["SCI"].header[keyword] += step

    return change


def blurred(sigma):
    """Blur the light of an image by a Gaussian [arcsec]; noise of the same size is added anew."""

    def change(hdus):
        cells = sigma / (3600 * abs(hdus["SCI"].header["CDELT1"]))
        data, error = hdus["SCI"].data, np.nan_to_num(hdus["ERR"].data)
        known = np.isfinite(data)
        share = np.maximum(gaussian_filter(known.astype(float), cells), 1e-3)
        smooth = gaussian_filter(np.where(known, data, 0.0), cells) / share
        noise = 0.8 * error * np.random.default_rng(1).normal(size=data.shape)
        hdus["SCI"].data = np.where(known, smooth + noise, np.nan).astype(np.float32)

    return change


def scaled(factor, *names):
    """Multiply HDUs."""

    def change(hdus):
        for name in names:
            hdus[name].data *= factor

    return change


def offset(factor):
    """Add a constant, a multiple of the median."""

    def change(hdus):
        hdus["SCI"].data += np.float32(factor * np.nanmedian(hdus["SCI"].data))

    return change


def named(name):
    """Say that an image is in another filter."""

    def change(hdus):
        hdus[0].header.update(FILTER=name, PUPIL="CLEAR")

    return change


def exchanged(files):
    """Exchange the filters of the first and the last image."""
    first, last = (fits.getheader(files.images[i]) for i in (0, -1))
    for which, header in ((0, last), (-1, first)):
        edit(
            files.images[which],
            lambda hdus, h=header: hdus[0].header.update(FILTER=h["FILTER"], PUPIL=h["PUPIL"]),
        )


def copied(files):
    """Give the last image the pixels of the first."""
    data = fits.getdata(files.images[0], "SCI")
    edit(files.images[-1], lambda hdus: setattr(hdus["SCI"], "data", data.copy()))


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
    data = np.nan_to_num(hdu.data)
    if not found:
        x, y = wcs.wcs_world2pix(*place, 0)
        compact = data - gaussian_filter(data, 0.15 / pixel)
        compact[np.hypot(rows - y, columns - x) * pixel > 0.7] = -np.inf
        row, column = np.unravel_index(np.argmax(compact), data.shape)
        found.append(wcs.wcs_pix2world(column, row, 0))
    x, y = wcs.wcs_world2pix(*found[0], 0)
    radius = np.hypot(rows - y, columns - x) * pixel
    level = np.median(data[(radius > 0.25) & (radius < 0.35)])
    window = np.exp(-0.5 * (radius / 0.08) ** 2)
    hdu.data = (hdu.data + (factor - 1) * window * np.maximum(data - level, 0)).astype(np.float32)


def spike(files):
    """Put light of ten times the brightest spaxel's into 30 channels of one spaxel."""

    def change(hdus):
        data = hdus["SCI"].data
        bright = np.nan_to_num(data).mean(axis=0)
        row, column = np.unravel_index(np.argmax(bright), bright.shape)
        middle = len(data) // 2
        data[middle : middle + 30, row, column] += 10 * bright.max()

    edit(files.cube, change)


def bad_peaks(files):
    """Put single bad voxels, of 40 times the noise, on the peaks of the spectra of 20 bright spaxels."""

    def change(hdus):
        data = hdus["SCI"].data
        bright = np.nan_to_num(data).mean(axis=0)
        noise = 1.48 * np.nanmedian(np.abs(np.diff(data, axis=0)))
        for place in np.argsort(-bright, axis=None)[:20]:
            row, column = np.unravel_index(place, bright.shape)
            data[np.nanargmax(data[:, row, column]), row, column] -= 40 * noise

    edit(files.cube, change)


def jump(hdus):
    """Turn the wavelengths into a table that jumps by 20 nm in the middle."""
    header, n = hdus["SCI"].header, len(hdus["SCI"].data)
    wavelength = header["CRVAL3"] + header["CDELT3"] * np.arange(n) + 0.02 * (np.arange(n) >= n // 2)
    hdus["WCS-TABLE"].data["wavelength"] = wavelength.astype("f4").reshape(1, n, 1)
    header.update(CTYPE3="WAVE-TAB", CRVAL3=1.0, PS3_0="WCS-TABLE", PS3_1="wavelength")
    del header["CDELT3"]


def sloped(hdus):
    """Make one side of an image brighter than the other by half."""
    data = hdus["SCI"].data
    data *= np.linspace(0.75, 1.25, data.shape[1], dtype=np.float32)


def saturated(hdus):
    """Cut the brightest hundredth of an image's pixels off at half of the peak."""
    data = hdus["SCI"].data
    hdus["SCI"].data = np.minimum(data, np.float32(0.5 * np.nanmax(data)))


def ghost(hdus):
    """Add a fifth of an image to itself, half an arcsecond off."""
    header, data = hdus["SCI"].header, hdus["SCI"].data
    pixels = round(0.5 / (3600 * abs(header["CDELT1"])))
    data += np.float32(0.2) * np.roll(np.nan_to_num(data), pixels, axis=1)


def transposed(hdus):
    """Exchange the axes of an image but not its coordinates."""
    for name in ("SCI", "ERR"):
        hdus[name].data = hdus[name].data.T.copy()


def mirrored(hdus):
    """Turn the x axis of the cube round but not its coordinates."""
    for name in ("SCI", "ERR"):
        hdus[name].data = hdus[name].data[:, :, ::-1].copy()


def sliced(hdus):
    """Make every other slice of the IFU brighter by a fifth."""
    hdus["SCI"].data[:, ::2] *= np.float32(1.2)


def tilted(hdus):
    """Make the cube fall by half from the first to the last wavelength."""
    data = hdus["SCI"].data
    data *= np.linspace(1.25, 0.75, len(data), dtype=np.float32)[:, np.newaxis, np.newaxis]


def wavy(hdus):
    """Modulate the spectrum of each spaxel by a tenth, each with a phase of its own."""
    data = hdus["SCI"].data
    phase = np.random.default_rng(2).uniform(0, 2 * np.pi, data.shape[1:])
    data *= (1 + 0.1 * np.sin(np.arange(len(data))[:, np.newaxis, np.newaxis] / 8 + phase)).astype(np.float32)


def smeared(hdus):
    """Smooth the cube along wavelength by six channels, and leave its errors."""
    hdus["SCI"].data = gaussian_filter(np.nan_to_num(hdus["SCI"].data), (6, 0, 0))


def other_sky(hdus):
    """Replace an image by another sky of the same brightness."""
    data = hdus["SCI"].data
    noise = gaussian_filter(np.random.default_rng(3).normal(size=data.shape), 4)
    hdus["SCI"].data = (np.nanmedian(data) * np.exp(noise / noise.std())).astype(np.float32)


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


def striped(hdus):
    """Add stripes along the rows of an image, of a fifth of its scatter."""
    data = hdus["SCI"].data
    data += np.float32(0.2 * np.nanstd(data)) * (-1) ** (np.arange(len(data)) // 4)[:, np.newaxis]


#: Observations as good as any: the PSFs of the model are never better known than by 5 %.
GOOD = {"good": lambda files: None, "PSFs 5 % wider": psfs_of(1.05), "PSFs 5 % narrower": psfs_of(0.95)}

INJECTIONS = {
    "images turned by 0.5 deg": of_images(turned(0.5)),
    "images turned by 2 deg": of_images(turned(2.0)),
    "images turned by 4 deg": of_images(turned(4.0)),
    "images turned by 10 deg": of_images(turned(10.0)),
    "one image turned by 2 deg": of_one(turned(2.0)),
    "pixels of the images 2 % larger": of_images(times(1.02, "CDELT1", "CDELT2")),
    "pixels of the images 5 % larger": of_images(times(1.05, "CDELT1", "CDELT2")),
    "pixels of the cube 10 % smaller": of_cube(times(0.9, "CDELT1", "CDELT2")),
    "one image shifted by 30 mas": of_one(plus(30 / 3.6e6, "CRVAL2"), -1),
    "one image shifted by 100 mas": of_one(plus(100 / 3.6e6, "CRVAL2"), -1),
    "images blurred by 31 mas": of_images(blurred(0.031)),
    "images blurred by 62 mas": of_images(blurred(0.062)),
    "one image blurred by 62 mas": of_one(blurred(0.062)),
    "source twice as bright": source(2.0),
    "source half as bright": source(0.5),
    "source five times as bright": source(5.0),
    "errors of the images 100 times": of_images(scaled(100, "ERR")),
    "errors of the images a hundredth": of_images(scaled(0.01, "ERR")),
    "errors of the cube 100 times": of_cube(scaled(100, "ERR")),
    "flux of one band 100 times": of_one(scaled(100, "SCI", "ERR")),
    "flux of one band 1.5 times": of_one(scaled(1.5, "SCI", "ERR")),
    "flux of one band 1e-300": of_one(scaled(1e-300, "SCI", "ERR")),
    "flux of the cube 3 times": of_cube(scaled(3, "SCI", "ERR")),
    "pedestal of half the median": of_one(offset(0.5)),
    "one band named F210M": of_one(named("F210M")),
    "first and last band exchanged": exchanged,
    "last band a copy of the first": copied,
    "wavelengths off by 20 nm": of_cube(plus(0.02, "CRVAL3")),
    "wavelength steps 2 % larger": of_cube(times(1.02, "CDELT3")),
    "jump of 20 nm in the wavelengths": of_cube(jump),
    "30 bright voxels in one spaxel": spike,
    "bad voxels on peaks of spectra": bad_peaks,
    "stripes in one image": of_one(striped),
    "PSFs twice as wide": psfs_of(2.0),
    "one image brighter on one side": of_one(sloped),
    "one image saturated": of_one(saturated),
    "ghosts in one image": of_one(ghost),
    "one image transposed": of_one(transposed),
    "one image of another sky": of_one(other_sky),
    "cube mirrored": of_cube(mirrored),
    "every other slice brighter": of_cube(sliced),
    "cube falls along wavelength": of_cube(tilted),
    "waves in single spectra": of_cube(wavy),
    "cube smeared along wavelength": of_cube(smeared),
    "errors of the cube a hundredth": of_cube(scaled(0.01, "ERR")),
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
    "named": ("second image",),
    "exchanged": ("filter",),
    "a copy": ("filter",),
    "smeared": ("residuals of the NIRSpec cube", "bad data"),
    "falls": ("flux scale",),
    "wavelength": ("wavelength",),
    "voxels": ("artefact", "bad data"),
    "PSFs": ("PSF",),
    "mirrored": ("mirrored",),
    "transposed": ("transposed",),
    "slice": ("bad data",),
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
