"""Draw a fused cube of a simulated scene beside its inputs."""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from compare_with_truth import load
from scipy.ndimage import map_coordinates

LINES = (("Pa $\\alpha$ 1.8756 um", 1.8756, "f187n"), ("H$_2$ 2.1218 um", 2.1218, "f212n"))


def nircam_image(stem, band, header, shape, offset):
    """NIRCam image at the cells of the fused cube, its pointing corrected by the measured offset."""
    with fits.open(next(Path(stem).parent.glob(f"{Path(stem).name}_*{band}_i2d.fits"))) as file:
        image, image_wcs = np.nan_to_num(file["SCI"].data), WCS(file["SCI"].header)
    rows, columns = np.indices(shape)
    ra, dec = WCS(header).celestial.wcs_pix2world(columns.ravel(), rows.ravel(), 0)
    ra = ra + offset[0] / 3600 / np.cos(np.radians(dec))
    x, y = image_wcs.wcs_world2pix(ra, dec + offset[1] / 3600, 0)
    return map_coordinates(image, (y, x), order=3).reshape(shape)


def main():
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stem", help="folder and name of the products, such as demo/disk")
    parser.add_argument("picture", help="file to write, such as disk.png")
    arguments = parser.parse_args()
    stem = arguments.stem
    fused, truth, _, filters, spectral, parameters = load(stem)
    header = fits.getheader(f"{stem}_fused.fits", "SCI")
    cube_file = next(Path(stem).parent.glob(f"{Path(stem).name}_*_s3d.fits"))
    with fits.open(cube_file) as file:
        cube, cube_header = np.array(file["SCI"].data), file["SCI"].header
    d = parameters["decimation_factor"]
    column, row = WCS(cube_header).celestial.wcs_world2pix(*WCS(header).celestial.wcs_pix2world(0, 0, 0), 0)
    first = [round(float(at) + 0.5 - 0.5 / d) for at in (row, column)]
    cube = cube[:, first[0] : first[0] + fused.shape[1] // d, first[1] : first[1] + fused.shape[2] // d]
    offsets = {r["filter"].lower(): (r["offset_east"], r["offset_north"]) for r in filters}
    inside = np.isfinite(fused).any(axis=0)

    figure, axes = plt.subplots(2, 4, figsize=(13, 6.6), constrained_layout=True)
    titles = (
        "NIRCam image: sharp, one band",
        "NIRSpec cube: one of 1600 channels",
        "fused cube, same channel",
        "truth",
    )
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=10)
    for panels, (label, wavelength, band) in zip(axes, LINES, strict=True):
        plane = int(np.argmin(np.abs(spectral["wavelength"] - wavelength)))
        cube_plane = int(round((wavelength - cube_header["CRVAL3"]) / cube_header["CDELT3"]))
        image = nircam_image(stem, band, header, fused.shape[1:], offsets[band])
        shown = (image, cube[cube_plane], fused[plane], truth[plane])
        limits = np.nanpercentile(np.where(inside, truth[plane], np.nan), (0.5, 99.5))
        for axis, values in zip(panels, shown, strict=True):
            values = np.where(inside, values, np.nan) if values.shape == inside.shape else values
            own = np.nanpercentile(values, (0.5, 99.5)) if values is shown[0] or axis is panels[0] else limits
            axis.imshow(
                values, origin="lower", cmap="inferno", vmin=own[0], vmax=own[1], interpolation="nearest"
            )
            axis.set_xticks([])
            axis.set_yticks([])
        panels[0].set_ylabel(label, fontsize=10)
    figure.savefig(arguments.picture, dpi=90)


if __name__ == "__main__":
    main()
