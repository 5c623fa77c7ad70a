"""Compare a fused cube of a simulated scene with the truth, and with bicubic upsampling of the cube."""

import argparse
import json
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from scipy.ndimage import map_coordinates

from jwst_fusion.quality.metrics import psnr, spectral_angle, ssim

#: Brightness, over that of the brightest cells, below which a spectrum is mostly noise.
FAINT = 0.05


def cells_on_truth(fused_header, truth_header):
    """Whole-cell position (row, column) of the fused cube's first cell in the truth."""
    ra, dec = WCS(fused_header).celestial.wcs_pix2world(0, 0, 0)
    column, row = WCS(truth_header).celestial.wcs_world2pix(ra, dec, 0)
    place = np.array([row, column], dtype=float)
    if np.abs(place - np.round(place)).max() > 0.01:
        raise SystemExit("the cells of the fused cube and of the truth do not coincide")
    return np.round(place).astype(int)


def bicubic(cube, place, shape, d):
    """Upsample a cube bicubically, channel by channel, at cells of the truth's grid."""
    rows, columns = (((np.arange(n) + p) - (d - 1) / 2) / d for n, p in zip(shape, place, strict=True))
    grid = np.meshgrid(rows, columns, indexing="ij")
    known = np.isfinite(cube)
    result = np.empty((cube.shape[0], *shape), dtype=np.float32)
    for plane, good, image in zip(cube, known, result, strict=True):
        level = np.median(plane[good]) if good.any() else 0.0
        image[:] = map_coordinates(np.where(good, plane, level), grid, order=3, mode="nearest")
    return result


def load(stem):
    """Fused cube, truth, bicubically upsampled cube (NaN where the fused cube is), and the true factors."""
    with fits.open(f"{stem}_fused.fits") as fused_file:
        fused, header = fused_file["SCI"].data, fused_file["SCI"].header
        filters, spectral = fused_file["FILTERS"].data, fused_file["SPECTRAL"].data
    with fits.open(f"{stem}_truth.fits") as truth_file:
        truth, truth_header = truth_file["SCI"].data, truth_file["SCI"].header
    with fits.open(next(Path(stem).parent.glob(f"{Path(stem).name}_*_s3d.fits"))) as cube_file:
        cube, cube_header = cube_file["SCI"].data, cube_file["SCI"].header
    parameters = json.loads(Path(f"{stem}_truth.json").read_text(encoding="utf-8"))
    place = cells_on_truth(header, truth_header)
    step = cube_header["CDELT3"]
    planes = [round((header["CRVAL3"] - h["CRVAL3"]) / step) for h in (truth_header, cube_header)]
    n_wave, ny, nx = fused.shape
    truth = truth[planes[0] : planes[0] + n_wave, place[0] : place[0] + ny, place[1] : place[1] + nx]
    cube = cube[planes[1] : planes[1] + n_wave]
    upsampled = bicubic(cube, place, (ny, nx), parameters["decimation_factor"])
    upsampled[np.isnan(fused)] = np.nan
    return fused, truth, upsampled, filters, spectral, parameters


def main():
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stem", help="folder and name of the products, such as demo/disk")
    stem = parser.parse_args().stem
    fused, truth, upsampled, filters, _, parameters = load(stem)

    mean = truth.mean(axis=0)
    bright = np.isfinite(fused).any(axis=0) & (mean > FAINT * np.percentile(mean, 99))
    print(f"\n{'against the truth':<28}{'fused':>10}{'bicubic':>10}")
    values = [f"{psnr(truth, cube):8.2f}" for cube in (fused, upsampled)]
    print(f"{'PSNR [dB]':<28}{values[0]:>10}{values[1]:>10}")
    values = [f"{spectral_angle(truth[:, bright], cube[:, bright]):8.4f}" for cube in (fused, upsampled)]
    print(f"{'spectral angle [rad]':<28}{values[0]:>10}{values[1]:>10}")
    planes = np.flatnonzero(np.isfinite(fused).any(axis=(1, 2)))[::40]
    values = [f"{np.mean([ssim(truth[i], cube[i]) for i in planes]):8.4f}" for cube in (fused, upsampled)]
    print(f"{'SSIM':<28}{values[0]:>10}{values[1]:>10}")

    true = {row["filter"]: row for row in parameters["filters"]}
    print(f"\n{'band':<8}{'scale':>9}{'true':>9}{'offset east, north [mas]':>28}{'true':>18}")
    for row in filters:
        what = true[row["filter"]]
        offset, sky = (
            f"{1e3 * e:+9.1f}{1e3 * n:+9.1f}"
            for e, n in (
                (row["offset_east"], row["offset_north"]),
                (what["offset_east"], what["offset_north"]),
            )
        )
        print(f"{row['filter']:<8}{row['scale']:9.4f}{what['scale']:9.4f}{offset:>28}{sky:>18}")
    print(f"\nProducts: {stem}_fused.fits, the inputs and the truth beside it")


if __name__ == "__main__":
    main()
