"""Quality of the untouched defaults on random scenes, beside bicubic upsampling and the paper's setting."""

import argparse
import hashlib
import importlib.metadata
import json
import logging
import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import date
from pathlib import Path

import numpy as np
from astropy.io import fits
from compare_with_truth import load
from scipy.ndimage import binary_erosion, gaussian_filter

import jwst_fusion
from jwst_fusion import CoregisterStep, CrossCalibStep, FusionStep
from jwst_fusion.simulation import simulate
from jwst_fusion.simulation.shapes import LINES

OTHERS = ("disk", "titan", "nebula")
RANGE = (1.66, 2.36)  # um
FIELD = 2.4  # arcsec
BEAM = 0.065  # arcsec, FWHM: the imager's at 2 um
SPAXEL = 0.1  # arcsec
LIGHT = 299792.458  # km/s
HALF = 0.0025  # um, half of the window of a line; its continuum is within four times that
SHIFTS = 20.0  # km/s, rms over the field above which a line is one that shifts
MOST = 300.0  # km/s, at which errors of velocity are cut
ABOVE = 5.0  # standard deviations of a spaxel's line flux that are above the noise

# The paper's code minimises 0.5 beta |images|^2 + 0.5 |cube|^2 + mu |gradient|^2 on MJy/sr.
PAPER = [
    {"n_components": 3, "tuning": "manual", "gamma": 1 / beta, "mu": 2 * 0.08 / beta,
     "regularization": "sobolev", "boundary": "symmetric", "weighting": "uniform", "samples": 0}
    for beta in (1000, 10000)
]  # fmt: skip

# Columns of the table: key, title, format, and what the worst is.
COLUMNS = (
    ("snr", "SNR", "5.0f", None),
    ("bands", "bands", "6.0f", None),
    ("bicubic", "bicubic", "8.2f", min),
    ("paper", "paper", "8.2f", min),
    ("fused", "fused", "8.2f", min),
    ("gain", "over paper", "11.2f", min),
    ("velocity", "velocity", "9.2f", max),
    ("line", "line", "6.2f", max),
    ("channel", "channel", "8.2f", max),
    ("within1", "1 ERR", "6.2f", lambda values: max(values, key=lambda value: abs(value - 0.683))),
    ("within2", "2 ERR", "6.2f", lambda values: max(values, key=lambda value: abs(value - 0.954))),
    ("seconds", "seconds", "8.1f", max),
)
LEGEND = f"""\
bicubic, paper, fused: PSNR [dB] against the truth at a beam of {BEAM}", mean over the channels: of the cube
upsampled (as it is), of the better of two weights of the paper's setting, and of the fused cube (blurred).
velocity, line: rms error of the velocity map (of the brightest line that shifts) and of the line map (of the
brightest line) over those of the cube upsampled; for lines without a neighbour, in cells {ABOVE:g} sigma of a
spaxel above the noise. channel: the worst channel's rms error over that of the same channel upsampled.
1 ERR, 2 ERR: share of the true voxels within. seconds: the three steps with the defaults, two at a time.
"""


def call(step, data, **options):
    """Run a step without its log."""
    return step.call(data, configure_log=False, **options)


def rms(difference, good):
    """Root mean square of each channel over good cells."""
    return np.sqrt(
        (np.where(good, difference, 0.0) ** 2).sum(axis=(1, 2)) / np.maximum(good.sum(axis=(1, 2)), 1)
    )


def blurred(cube, good, cell):
    """Blur a cube to the beam, from its good cells."""
    sigma = (0, BEAM / 2.3548 / cell, BEAM / 2.3548 / cell)
    share = gaussian_filter(good.astype(np.float32), sigma)
    return gaussian_filter(np.where(good, cube, 0).astype(np.float32), sigma) / np.maximum(share, 1e-3)


def moments(cube, wavelength, centre):
    """Flux of a line over its continuum, and its velocity [km/s]."""
    distance = np.abs(wavelength - centre)
    line = cube[distance < HALF] - np.median(cube[(distance > 1.3 * HALF) & (distance < 4 * HALF)], axis=0)
    flux = line.sum(axis=0)
    place = np.tensordot(wavelength[distance < HALF], line, 1) / np.where(flux == 0, 1, flux)
    return flux, (place / centre - 1) * LIGHT


def lines_above(truth, good, wavelength, noise):
    """Yield flux, centre, channels, cells above the noise and spread of velocity of each usable line."""
    known = np.array(sorted(line for family in LINES.values() for line in family))
    for centre in known[(known > wavelength[0] + 4 * HALF) & (known < wavelength[-1] - 4 * HALF)]:
        if np.sum(np.abs(known - centre) < 2 * HALF) > 1:
            continue
        window = np.flatnonzero((np.abs(wavelength - centre) < 4 * HALF) & good.any(axis=(1, 2)))
        flux, velocity = moments(truth[window], wavelength[window], centre)
        inside = np.abs(wavelength[window] - centre) < HALF
        error = np.sqrt((noise[window][inside] ** 2).sum())
        bright = good[window].all(axis=0) & (flux > ABOVE * error)
        if inside.sum() > 8 and bright.mean() > 0.01:
            yield flux[bright].sum(), centre, window, bright, velocity[bright].std()


def line_errors(fused, upsampled, truth, good, wavelength, noise):
    """Errors of the velocity map and of the line map over those of the cube upsampled, if lines allow."""
    found = sorted(lines_above(truth, good, wavelength, noise), key=lambda line: -line[0])
    ratios = {}
    for key, usable in (("line", found), ("velocity", [line for line in found if line[-1] > SHIFTS])):
        if not usable:
            continue
        _, centre, window, bright, _ = usable[0]
        field = bright if key == "velocity" else good[window].all(axis=0)
        maps = [moments(cube[window], wavelength[window], centre) for cube in (fused, upsampled, truth)]
        sharp, blunt, true = (pair[key == "velocity"] for pair in maps)
        most = MOST if key == "velocity" else np.inf
        errors = [np.mean(np.clip(seen - true, -most, most)[field] ** 2) for seen in (sharp, blunt)]
        ratios |= {
            key: float(np.sqrt(errors[0] / errors[1])),
            f"{key}_of": [float(x) for x in (centre, *errors)],
        }
    return ratios


def figures(stem, error, dq, papers):
    """Figures of a fused cube against its truth."""
    fused, truth, upsampled, filters, spectral, parameters = load(stem)
    wavelength = np.asarray(spectral["wavelength"], dtype=float)
    noise = np.interp(wavelength, parameters["wavelength"], parameters["noise"])
    good = np.isfinite(fused) & np.isfinite(upsampled) & ((dq & 1) == 0)
    pull = np.abs(fused - truth)[good] / error[good]
    d = parameters["decimation_factor"]
    cell, channels = SPAXEL / d, np.array(parameters["wavelength"])
    without = np.abs(wavelength[:, None] - channels[parameters["dead_planes"]]).min(axis=1) < 1e-4
    good[without] = False  # the cube has nothing there
    good &= binary_erosion(good.any(axis=0), iterations=2 * d)  # bicubic interpolation knows no beyond
    used = good.any(axis=(1, 2))
    seen = gaussian_filter(truth, (0, BEAM / 2.3548 / cell, BEAM / 2.3548 / cell))
    peak = np.where(good, seen, 0).max(axis=(1, 2))[used]
    sharp = blurred(fused, good, cell)
    errors = {"bicubic": rms(upsampled - seen, good)[used], "fused": rms(sharp - seen, good)[used]}
    of_paper = [rms(blurred(paper, good, cell) - seen, good)[used] for paper in papers]
    psnr = {key: float(np.mean(20 * np.log10(peak / value))) for key, value in errors.items()}
    paper = max(float(np.mean(20 * np.log10(peak / value))) for value in of_paper)
    return {
        **psnr, "paper": paper, "gain": psnr["fused"] - paper,
        "channel": float((errors["fused"] / errors["bicubic"]).max()),
        "within1": float((pull < 1).mean()), "within2": float((pull < 2).mean()),
        "bands": len(filters), "snr": parameters["cube_snr"],
        "what": " ".join([*parameters["components"], f"{len(parameters['stars'])} stars"]),
        **line_errors(sharp, np.nan_to_num(upsampled), seen, good, wavelength, noise),
    }  # fmt: skip


def measure(scene, seed):
    """Simulate and fuse a scene; its row of the table."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        files = simulate(scene, folder, seed=seed, wavelength_range=RANGE, fov=FIELD)
        start = time.perf_counter()
        made = call(CrossCalibStep, call(CoregisterStep, str(files.association)))
        fused = call(FusionStep, made, save_report=False)
        seconds = time.perf_counter() - start
        papers = [call(FusionStep, made, save_report=False, **options).data for options in PAPER]
        stem = str(files.association).removesuffix("_asn.json")
        fused.save(f"{stem}_fused.fits")
        with fits.open(f"{stem}_fused.fits") as file:
            error, dq = file["ERR"].data, file["DQ"].data
        row = figures(stem, error, dq, papers)
    return {"scene": scene, "seed": seed, "seconds": seconds, **row}


def attempt(scene, seed):
    """Measure a scene, or say how it failed: a row either way."""
    try:
        return measure(scene, seed)
    except Exception as error:  # noqa: BLE001  one that fails is a result, the others go on
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return {"scene": scene, "seed": seed, "what": f"FAILED, {reason}", "failed": True}


def cells(values):
    """Write values under the table's titles; a dash for one that is missing."""
    return "".join(
        f"{values[key]:{form}}" if key in values else f"{'-':>{form.split('.')[0]}}"
        for key, _, form, _ in COLUMNS
    )


def table(rows):
    """Lines of text: the means and the worst of the random scenes, and a row for each scene."""
    chosen = sorted((row for row in rows if row["scene"] == "random"), key=lambda row: row["seed"])
    others = sorted((row for row in rows if row["scene"] != "random"), key=lambda row: row["scene"])
    heads = "".join(f"{title:>{form.split('.')[0]}}" for _, title, form, _ in COLUMNS)
    lines = [f"{'':<12}{heads}"]
    values = {key: [row[key] for row in chosen if key in row] for key, *_ in COLUMNS}
    for name, summary in (("mean", [np.mean] * len(COLUMNS)), ("worst", [worst for *_, worst in COLUMNS])):
        pairs = zip(COLUMNS, summary, strict=True)
        found = {key: take(values[key]) for (key, *_), take in pairs if take and values[key]}
        lines.append(f"{name:<12}{cells(found)}")
    failures = sum("failed" in row for row in chosen)
    lines.append(f"over {len(chosen) - failures} random scenes; {failures} more failed")
    for group in filter(None, (chosen, others)):
        lines.append("")
        lines += [f"{row['scene'] + ' ' + str(row['seed']):<12}{cells(row)}  {row['what']}" for row in group]
    return lines


def fingerprint():
    """Digest of the package's and this file's code: rows of other code are not those of this one."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted(Path(jwst_fusion.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def finished(path, code):
    """Rows of this code that an earlier run left."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines if line.endswith("}")]
    return [row for row in rows if row["code"] == code and "failed" not in row]


def main():
    """Measure what is missing, a line of JSON for each scene, and print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, help="file to write the table to as well")
    parser.add_argument(
        "--rows", type=Path, default=Path("build/quality.jsonl"), help="figures, to go on from"
    )
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 24), help="first, and one past the last")
    parser.add_argument("--scenes", nargs="*", default=OTHERS, help="scenes besides, at seed 1")
    parser.add_argument("--jobs", type=int, default=2, help="scenes at a time")
    arguments = parser.parse_args()
    work = [("random", seed) for seed in range(*arguments.seeds)] + [(name, 1) for name in arguments.scenes]
    code = fingerprint()
    arguments.rows.parent.mkdir(parents=True, exist_ok=True)
    rows = [row for row in finished(arguments.rows, code) if (row["scene"], row["seed"]) in work]
    done = {(row["scene"], row["seed"]) for row in rows}
    os.environ["OMP_NUM_THREADS"] = "1"  # a scene a core
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.jobs, spawn) as pool, arguments.rows.open("a") as file:
        for future in as_completed(pool.submit(attempt, *item) for item in work if item not in done):
            rows.append(future.result() | {"code": code})
            print(json.dumps(rows[-1]), file=file, flush=True)
            print(table(rows[-1:])[-1], flush=True)
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("jwst_fusion", "jwst", "numpy", "scipy")
    )
    title = f"Quality on {len(rows)} simulated scenes, {date.today()}, {versions}"
    lines = [title, "", *table(rows), "", *LEGEND.splitlines()]
    print("\n".join(lines))
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
