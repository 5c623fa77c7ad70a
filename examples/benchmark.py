"""Time and memory of the solver against the size of the problem, and of a whole run, part by part."""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

SIZES = (10, 14, 30)
N_WAVE, K, N_BAND, D = 1616, 3, 5, 3
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def synthetic_observation(n_spaxels):
    """Make a noisy observation of random smooth maps and spectra, n x n spaxels and five bands."""
    import numpy as np
    from scipy.ndimage import gaussian_filter

    from jwst_fusion.inversion.cells import upsample
    from jwst_fusion.observation import BandImage, CubeData, FusionGrid, Observation
    from jwst_fusion.optics import throughput

    rng = np.random.default_rng(1)
    wavelength = np.linspace(1.66, 2.30, N_WAVE)
    spectra = rng.random((4, 1)) + np.stack([np.sin(wavelength * f) for f in (3, 7, 15, 31)])
    maps = np.stack([gaussian_filter(rng.normal(size=(n_spaxels,) * 2), 1.5) for _ in spectra]) * 30
    scene = np.tensordot(spectra.T, maps, axes=1) + 50
    shape = (n_spaxels, n_spaxels)
    cube = CubeData(
        data=(scene + rng.normal(size=scene.shape)).astype(np.float32),
        error=np.ones(scene.shape, dtype=np.float32),
        wavelength=wavelength,
        noise=np.ones(N_WAVE),
        footprint=np.ones(shape, dtype=bool),
        position_angle_v3=20.0,
        position_angle_aperture=158.97,
    )
    cell = 0.1 / D
    grid = FusionGrid(tuple(D * n for n in shape), D, np.array([[-cell, 0.0], [0.0, cell]]))
    bands = []
    for name in ("F182M", "F187N", "F200W", "F210M", "F212N"):
        bandpass, covered = throughput.bandpass(name, "B", wavelength)
        image = upsample(np.tensordot(bandpass, scene, axes=1)[np.newaxis], D)[0]
        image += rng.normal(size=image.shape)
        pivot = throughput.pivot_wavelength(name, "B")
        bands.append(
            BandImage(
                name,
                "B",
                image,
                np.ones(image.shape),
                pivot,
                60.0,
                0.0311,
                0.0311,
                covered_fraction=covered,
                bandpass=bandpass,
            )  # fmt: skip
        )
    return Observation(grid, cube, tuple(bands))


def solver_figures(n_spaxels):
    """Seconds of the subspace, the OTFs, and the set-up with the exact solution; peak memory [GiB]."""
    import numpy as np

    from jwst_fusion.inversion.forward import compress_cube, image_term
    from jwst_fusion.inversion.groups import FrequencyGroups
    from jwst_fusion.inversion.objective import Problem
    from jwst_fusion.inversion.prior import Prior
    from jwst_fusion.inversion.regularization import smoothness_matrix
    from jwst_fusion.inversion.solver import solve
    from jwst_fusion.inversion.subspace import find_subspace
    from jwst_fusion.optics.transfer import transfer_functions

    observation = synthetic_observation(n_spaxels)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    clock = [time.perf_counter()]
    subspace = find_subspace(observation.cube, n_components=K)
    clock.append(time.perf_counter())
    transfer = transfer_functions(observation, observation.grid.shape)
    clock.append(time.perf_counter())
    groups = FrequencyGroups(observation.grid.shape, D)
    problem = Problem(
        image_term=image_term(groups, subspace, transfer.interpolation, observation.bands, transfer.nircam),
        cube_term=compress_cube(groups, subspace, transfer.interpolation, transfer.nirspec),
        image_factor=1.0,
        cube_factor=1.0,
        prior=Prior(smoothness_matrix(observation, subspace), observation.grid.shape),
    )
    solution = solve(problem)
    clock.append(time.perf_counter())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    names = ("subspace", "otfs", "setup_and_solution")
    figures = dict(zip(names, np.diff(clock).round(3).tolist(), strict=True))
    gib = 2**20
    return figures | {
        "peak_gib": round(peak / gib, 3),
        "solver_gib": round((peak - before) / gib, 3),
        "iterations": solution.iterations,
    }


def print_solver():
    """Run each size in a process of its own, on one thread, three times; print the medians."""
    print(f"Solver: {N_WAVE} channels, {N_BAND} filters, k = {K}, d = {D}, all spaxels known, one thread")
    print(f"{'spaxels':<10}{'subspace':>10}{'OTFs':>10}{'set-up + exact solution':>26}{'peak memory':>14}")
    environment = os.environ | dict.fromkeys(THREADS, "1")
    for size in SIZES:
        command = [sys.executable, __file__, "--solver", str(size)]
        runs = []
        for _ in range(3):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            runs.append(json.loads(done.stdout))
        middle = {name: sorted(run[name] for run in runs)[1] for name in runs[0]}
        print(
            f"{size:>3} x {size:<4}{middle['subspace']:>8.2f} s{middle['otfs']:>8.2f} s"
            f"{middle['setup_and_solution']:>24.3f} s{middle['peak_gib']:>10.2f} GiB"
        )


def print_run(folder):
    """Simulate the disk unless it is there, run the pipeline, and print where the time goes."""
    binaries = Path(sys.executable).parent
    association = folder / "disk_asn.json"
    if not association.exists():
        subprocess.run(
            [binaries / "jwst-fusion", "simulate", "disk", folder], check=True, stdout=subprocess.DEVNULL
        )
    start = datetime.now()
    command = [binaries / "strun", "calwebb_fusion4", association, f"--output_dir={folder}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    total = (datetime.now() - start).total_seconds()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    stamp = r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) - .*"
    marks = (
        ("start-up", "Starting calwebb_fusion4"),
        ("reading", "Read "),
        ("coregister", "Step coregister done"),
        ("cross_calib", "Step cross_calib done"),
        ("fusion", "Step fusion done"),
        ("report", "Made the report"),
        ("writing", "Saved model in"),
    )
    print(f"\nstrun calwebb_fusion4 on {folder.name}/disk_asn.json")
    previous = start
    for name, text in marks:
        line = re.search(stamp + re.escape(text), done.stderr, flags=re.MULTILINE)
        moment = datetime.strptime(line.group(1), "%Y-%m-%d %H:%M:%S,%f")
        print(f"{name:<14}{(moment - previous).total_seconds():8.2f} s")
        previous = moment
    print(f"{'in all':<14}{total:8.2f} s{peak:10.2f} GiB at the peak")


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--solver", type=int, metavar="SPAXELS", help="figures of one size, as JSON")
    parser.add_argument(
        "--folder", type=Path, help="folder of the simulated disk; a temporary one by default"
    )
    arguments = parser.parse_args()
    if arguments.solver:
        print(json.dumps(solver_figures(arguments.solver)))
        return
    print_solver()
    if arguments.folder:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        print_run(arguments.folder)
    else:
        with tempfile.TemporaryDirectory() as folder:
            print_run(Path(folder))


if __name__ == "__main__":
    main()
