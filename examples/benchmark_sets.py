"""Fuse several gratings of a simulated scene together and one by one, and compare both with the truth."""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from scipy.ndimage import gaussian_filter, map_coordinates

from jwst_fusion.adapters.inputs import open_inputs
from jwst_fusion.adapters.products import cube_product, image_product, read_cube
from jwst_fusion.coregistration.grid import grid_wcs
from jwst_fusion.coregistration.sets import coregister_set
from jwst_fusion.crosscalib.sets import cross_calibrate_set
from jwst_fusion.inversion.fuse import FusionSettings, fuse
from jwst_fusion.inversion.sets import fuse_set
from jwst_fusion.optics.throughput import channel
from jwst_fusion.simulation import simulate_set

#: Ranges of wavelength [um] and beams [arcsec] at which the cubes are compared, by grating.
RANGES = {
    "g140h": [(0.98, 1.35, 0.08), (1.36, 1.48, 0.08), (1.49, 1.88, 0.08)],
    "g235h": [(1.67, 2.29, 0.08), (2.32, 2.86, 0.10)],
    "g395h": [(2.88, 3.97, 0.13), (4.00, 4.30, 0.13), (4.35, 5.10, 0.13)],
}

#: Every so many channels are compared.
STEP = 40

#: Share of a blurred mask from which a cell is compared: nearer to the edge the blur reaches beyond the data.
INSIDE = 0.97


def observe(folder):
    """Co-registered and cross-calibrated observations, and the names of their gratings."""
    with open_inputs(str(next(folder.glob("*_asn.json")))) as inputs:
        cubes = [read_cube(cube_product(model), model) for model in inputs.cubes]
        images = [image_product(model) for model in inputs.images]
        placed = coregister_set(cubes, images)
        names = [each.name for each in placed]
        kept, observations, _ = cross_calibrate_set([each.observation for each in placed], names)
    return observations, [names[i].split("_")[1] for i in kept]


def compare(observation, result, truth_path, reference, limits):
    """Mean over channels of the PSNR at a beam [dB], a scale for each taken out; NaN without channels."""
    low, high, beam = limits
    grid, wavelength = observation.grid, observation.cube.wavelength
    with fits.open(truth_path, memmap=True) as truths:
        truth, header = truths[1].data, truths[1].header
        rows, columns = np.indices(grid.shape)
        ra, dec = grid_wcs(grid).wcs_pix2world(columns, rows, 0)
        ra, dec = ra - reference[0] / 3600 / np.cos(np.radians(dec)), dec - reference[1] / 3600
        x, y = WCS(header).celestial.wcs_world2pix(ra, dec, 0)
        lengths = header["CRVAL3"] + header["CDELT3"] * np.arange(len(truth))
        sigma = beam / np.sqrt(8 * np.log(2)) / grid.cell_size
        d = grid.decimation_factor
        known = np.kron(observation.cube.footprint, np.ones((d, d)))
        inside = gaussian_filter(known, 2 * sigma) > INSIDE
        values = []
        use = (wavelength > low) & (wavelength < high) & np.isfinite(observation.cube.noise)
        for i in np.flatnonzero(use)[::STEP]:
            plane = truth[np.argmin(np.abs(lengths - wavelength[i]))].astype(float)
            true = map_coordinates(gaussian_filter(plane, sigma), (y[inside], x[inside]), order=3)
            scene = result.mean_spectrum[i] + np.tensordot(result.basis[i], result.coefficients, axes=1)
            fused = gaussian_filter(scene, sigma)[inside]
            error = np.mean((fused / ((fused @ true) / (true @ true)) - true) ** 2)
            values.append(10 * np.log10(true.max() ** 2 / error))
    return np.mean(values) if values else np.nan


def main():
    """Simulate or read a set, fuse it, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with a simulated set (default: it is simulated)")
    parser.add_argument("--fov", type=float, default=3.0, help="side of the IFU's field [arcsec]")
    parser.add_argument("--n-wave", type=int, help="channels of each cube (default: those of the grating)")
    parser.add_argument("--without", nargs="*", default=[], help="filters whose images are not used")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = arguments.data or Path(made)
        if arguments.data is None:
            simulate_set("disk", folder, fov=arguments.fov, n_wave=arguments.n_wave)
        truth = json.loads(next(folder.glob("*_truth.json")).read_text())
        observations, names = observe(folder)
        offsets = [
            (band["offset_east"], band["offset_north"])
            for band in truth["filters"]
            if channel(band["filter"]) == "short"
        ]
        observations = [
            replace(o, bands=tuple(b for b in o.bands if b.filter not in arguments.without))
            for o in observations
        ]
        settings, start = FusionSettings(samples=0), time.process_time()
        together = {i: each.result for each in fuse_set(observations, settings) for i in each.members}
        print(f"fused together in {time.process_time() - start:.0f} s of processor time")
        print("range (um)    grating  together (dB)  separately (dB)")
        for i, (observation, name) in enumerate(zip(observations, names, strict=True)):
            alone = fuse(observation, settings)
            path = next(folder.glob(f"*_{name}_truth.fits"))
            for limits in RANGES[name[:5]]:
                scores = [
                    compare(observation, result, path, np.mean(offsets, axis=0), limits)
                    for result in (together[i], alone)
                ]
                words = f"{limits[0]:.2f} to {limits[1]:.2f}  {name[:5].upper()}"
                print(f"{words}  {scores[0]:13.2f}  {scores[1]:15.2f}", flush=True)


if __name__ == "__main__":
    main()
