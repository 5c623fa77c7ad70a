"""Quality of the fused cube over scenes, seeds and wrong PSFs, beside bicubic and the paper's setting."""

import argparse
import importlib.metadata
import logging
import tempfile
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from compare_with_truth import FAINT, bicubic
from scipy.ndimage import binary_dilation

from jwst_fusion import CoregisterStep, CrossCalibStep, adapters
from jwst_fusion.adapters.fused import cube_errors
from jwst_fusion.coregistration.grid import grid_wcs
from jwst_fusion.inversion.fuse import FusionSettings, fuse
from jwst_fusion.quality.metrics import spectral_angle
from jwst_fusion.simulation import simulate
from jwst_fusion.simulation.scenes import make_scene

SCENES = ("disk", "titan", "nebula")
CASES = ((1, 1.0), (5, 1.05), (2, 1.0), (6, 1.10))  # seed (it draws the wavefront too), width of the PSFs
SQUARE = 2.2  # arcsec, within the footprint at any angle
LINE, HALF_WIDTH = 2.1218, 0.0012  # H2 1-0 S(1) [um]
STRENGTHS = (1, 4, 16)  # of the disk's H2 lines
STAR_CELLS = 99.8  # percentile of the brightness above which a cell is taken for a star's

# The paper's code minimises 0.5 beta |images|^2 + 0.5 |cube|^2 + mu |gradient|^2 on MJy/sr.
PAPER_WEIGHTS = [(beta, mu) for beta in (100, 1000, 10000) for mu in (0.08, 0.2, 1.0)]
PUBLISHED = (1000, 0.08)


def paper_setting(beta, mu):
    """Make the settings that minimise the same as the paper's code."""
    return FusionSettings(
        n_components=3, tuning="manual", gamma=1 / beta, mu=2 * mu / beta, regularization="sobolev",
        boundary="symmetric", weighting="uniform", samples=0,
    )  # fmt: skip


class Case:
    """A simulated observation, its truth on the cells of a square in the field, and ways to fuse it."""

    def __init__(self, scene, seed, width, folder):
        scene = make_scene(scene, seed=seed) if isinstance(scene, str) else scene
        files = simulate(scene, folder / f"{scene.name}_{seed}", name=scene.name, seed=seed, psf_scale=width)
        self.files = files
        model = CrossCalibStep.call(
            CoregisterStep.call(str(files.association), configure_log=False), configure_log=False
        )
        self.observation = adapters.observation(model)
        square = CoregisterStep.call(str(files.association), height=SQUARE, width=SQUARE, configure_log=False)
        self.square = adapters.observation(CrossCalibStep.call(square, method="ratio", configure_log=False))
        self.known = np.isfinite(self.square.cube.noise)
        self.truth = self._truth()[self.known]
        mean = self.truth.mean(axis=0)
        self.bright = mean > FAINT * np.percentile(mean, 99)
        self.peak = float(self.truth.max())
        self.away = ~binary_dilation(mean > np.percentile(mean, STAR_CELLS), iterations=4)

    def _truth(self):
        """Read the true scene on the cells of the square, (n_wave, ny, nx)."""
        grid = self.square.grid
        place = self._place(grid)
        ra, dec = grid_wcs(grid).wcs_pix2world(place[1].start, place[0].start, 0)
        with fits.open(self.files.truth) as file:
            truth, header = file["SCI"].data, file["SCI"].header
        column, row = np.round(WCS(header).celestial.wcs_world2pix(ra, dec, 0)).astype(int)
        first = round((self.square.cube.wavelength[0] - header["CRVAL3"]) / header["CDELT3"])
        ny, nx = (at.stop - at.start for at in place)
        n_wave = self.square.cube.wavelength.size
        return truth[first : first + n_wave, row : row + ny, column : column + nx]

    def _place(self, grid):
        """Cells of the field on a grid."""
        d = grid.decimation_factor
        return tuple(slice(at.start * d, at.stop * d) for at in grid.field)

    def cells(self, observation):
        """Where the square lies on an observation's cells."""
        d = observation.grid.decimation_factor
        shift = [s - o for s, o in zip(self.square.grid.origin, observation.grid.origin, strict=True)]
        place = self._place(self.square.grid)
        return tuple(slice(at.start + d * n, at.stop + d * n) for at, n in zip(place, shift, strict=True))

    def fuse(self, observation, settings):
        """Fuse; the result, and its scene on the square's cells."""
        result = fuse(observation, settings)
        coefficients = result.coefficients[(slice(None), *self.cells(observation))]
        scene = np.tensordot(result.basis[self.known], coefficients, axes=1)
        return result, scene + result.mean_spectrum[self.known, None, None]

    def upsampled(self):
        """Cube upsampled bicubically."""
        d = self.square.grid.decimation_factor
        place = self._place(self.square.grid)
        data = self.square.cube.data[self.known]
        shape = [at.stop - at.start for at in place]
        return bicubic(data, [at.start for at in place], shape, d)

    def figures(self, scene):
        """PSNR [dB], spectral angle [rad], rms error of the line map, and away from stars [MJy/sr]."""
        psnr = 10 * np.log10(self.peak**2 / np.mean((scene - self.truth) ** 2, dtype=float))
        angle = spectral_angle(self.truth[:, self.bright], scene[:, self.bright])
        squares = (self.line(scene) - self.line(self.truth)) ** 2
        return psnr, angle, np.sqrt(squares.mean()), np.sqrt(squares[self.away].mean())

    def line(self, scene):
        """Line map less its continuum."""
        wavelength = self.square.cube.wavelength[self.known]
        distance = np.abs(wavelength - LINE)
        inside, beside = distance <= HALF_WIDTH, (distance > 0.003) & (distance < 0.008)
        return scene[inside].sum(axis=0) - inside.sum() * scene[beside].mean(axis=0)

    def coverage(self, observation, result, scene):
        """Share of true values within one and two errors, over voxels without any flag."""
        cells = self.cells(observation)
        inside = np.ones(scene.shape[1:], dtype=bool)
        errors = cube_errors(observation, result, cells, inside)[self.known]
        pull = np.abs(scene - self.truth) / errors
        return (pull < 1).mean(), (pull < 2).mean()

    def edge_ratio(self, scene):
        """Rms error in the outer three cells over that inside."""
        squares = ((scene - self.truth) ** 2).mean(axis=0)
        edge = np.ones(squares.shape, dtype=bool)
        edge[3:-3, 3:-3] = False
        return np.sqrt(squares[edge].mean() / squares[~edge].mean())


PARTS = (
    ("defaults", {}),
    ("weights from the images' edges", {"regularization": "edge"}),
    ("squared gradients everywhere", {"regularization": "sobolev"}),
    ("weights from the stated noise", {"reweightings": 0}),
    ("the paper's rule", {"tuning": "empirical_bayes"}),
)


def measure(case):
    """Figures of one case as a dict."""
    rows = {"bicubic": case.figures(case.upsampled())}
    start = time.perf_counter()
    result, scene = case.fuse(case.observation, FusionSettings())
    seconds = time.perf_counter() - start
    rows["defaults"] = case.figures(scene)
    figures = {"seconds": seconds, "k": result.basis.shape[1], "gamma": result.gamma, "rows": rows}
    figures["coverage"] = case.coverage(case.observation, result, scene)
    for name, changes in PARTS[1:]:
        rows[name] = case.figures(case.fuse(case.observation, FusionSettings(samples=0, **changes))[1])
    _, inner = case.fuse(case.square, FusionSettings(samples=0))
    rows["free boundary, the square only"] = case.figures(inner)
    figures["edge"] = case.edge_ratio(inner)
    paper = {weights: case.fuse(case.square, paper_setting(*weights))[1] for weights in PAPER_WEIGHTS}
    rows["the paper's setting, published"] = case.figures(paper[PUBLISHED])
    figures["edge_paper"] = case.edge_ratio(paper[PUBLISHED])
    of_paper = [case.figures(scene) for scene in paper.values()]
    rows["the paper's setting, best of nine"] = (
        max(f[0] for f in of_paper),
        *(min(f[i] for f in of_paper) for i in (1, 2, 3)),
    )
    best = []
    for mu in (0.1, 0.3, 1.0):
        for gamma in (0.1, 1.0, 10.0):
            settings = FusionSettings(mu=mu, gamma=gamma * result.gamma, samples=0)
            best.append(case.figures(case.fuse(case.observation, settings)[1])[0])
    figures["oracle"] = max(best)
    return figures


def table(name, figures):
    """Lines of text for one case."""
    lines = [name, "-" * len(name), ""]
    lines.append(f"{'':<36}{'PSNR [dB]':>10}{'angle':>9}{'H2 map':>9}{'no stars':>10}")
    for label, (psnr, angle, line, away) in figures["rows"].items():
        lines.append(f"{label:<36}{psnr:10.2f}{angle:9.4f}{line:9.2f}{away:10.2f}")
    lines.append(f"{'best of a grid of (gamma, mu)':<36}{figures['oracle']:10.2f}")
    one, two = figures["coverage"]
    lines.append(
        f"k = {figures['k']}, gamma = {figures['gamma']:.3g}; "
        f"within 1 and 2 ERR: {100 * one:.1f} %, {100 * two:.1f} %; "
        f"rms error at the edge over inside: {figures['edge']:.2f} (paper {figures['edge_paper']:.2f}); "
        f"{figures['seconds']:.1f} s"
    )
    return [*lines, ""]


def brighten(spectrum, factor):
    """Multiply the lines of a spectrum."""
    return replace(spectrum, lines=tuple((wavelength, factor * peak) for wavelength, peak in spectrum.lines))


def strengths(folder):
    """Lines of text: how much better than bicubic the line map is as the disk's H2 lines grow."""
    lines = ["The disk's H2 map, rms error of bicubic over that of the fused cube", ""]
    lines.append(f"{'H2 lines brighter by':<36}{'peak':>10}{'all':>9}{'no stars':>10}")
    scene = make_scene("disk", seed=CASES[0][0])
    for strength in STRENGTHS:
        brighter = tuple(
            replace(c, spectrum=brighten(c.spectrum, strength)) if c.name in ("molecular", "wind") else c
            for c in scene.components
        )
        case = Case(replace(scene, name=f"disk{strength}", components=brighter), *CASES[0], folder)
        _, fused = case.fuse(case.observation, FusionSettings(samples=0))
        _, _, *blunt = case.figures(case.upsampled())
        _, _, *sharp = case.figures(fused)
        peak = case.line(case.truth).max()
        lines.append(f"{strength:<36}{peak:10.0f}{blunt[0] / sharp[0]:9.2f}{blunt[1] / sharp[1]:10.2f}")
    return [*lines, ""]


def main():
    """Print the tables, and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, help="file to write to as well")
    parser.add_argument("--scenes", nargs="+", default=SCENES)
    parser.add_argument("--cases", type=int, default=len(CASES), help="how many seeds and PSFs of each scene")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("jwst_fusion", "jwst", "numpy", "scipy")
    )
    lines = [f"Quality on simulated scenes, {date.today()}, {versions}", ""]
    with tempfile.TemporaryDirectory() as folder:
        for scene in arguments.scenes:
            for seed, width in CASES[: arguments.cases]:
                case = Case(scene, seed, width, Path(folder))
                new = table(f"{scene}, seed {seed}, PSFs {100 * (width - 1):.0f} % wider", measure(case))
                print("\n".join(new), flush=True)
                lines += new
        new = strengths(Path(folder))
        print("\n".join(new))
        lines += new
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
