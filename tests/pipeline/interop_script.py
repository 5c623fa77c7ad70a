"""Opens a fused cube in tools that need an environment of their own; run by test_interop.py."""

import json
import sys

import numpy as np


def cubeviz(path):
    """Names, shapes and components of what Cubeviz has loaded."""
    from jdaviz import Cubeviz

    viz = Cubeviz()
    viz.load(path, format="3D Spectrum")
    loaded = {data.label: data for data in viz._app.data_collection}
    spectrum = viz.get_data(next(label for label in loaded if "[" not in label and "sum" not in label))
    return {
        "shapes": {label: list(data.shape) for label, data in loaded.items()},
        "unit": str(spectrum.flux.unit),
        "total": float(np.nansum(spectrum.flux.value)),
        "uncertainty": spectrum.uncertainty is not None,
    }


def q3dfit(path):
    """Shape, wavelengths and flags as q3dfit reads them by HDU number."""
    from q3dfit.readcube import Cube

    cube = Cube(path, fluxunit_in="MJy/sr", fluxunit_out="MJy/sr", quiet=True)
    return {"shape": list(cube.dat.shape), "wave": cube.wave.tolist(), "dq": cube.dq.dtype.kind}


def spectral_cube(path):
    """Shape, and place and wavelength of a voxel of a slice."""
    from astropy.io import fits
    from astropy.wcs import WCS
    from spectral_cube import SpectralCube

    with fits.open(path) as hdus:
        cube = SpectralCube(hdus["SCI"].data, WCS(hdus["SCI"].header))
        part = cube[10:20, 5:15, 8:20]
        wavelength, dec, ra = part.world[3, 2, 1]
        return {"shape": list(part.shape), "place": [ra.value, dec.value, wavelength.to_value("um")]}


if __name__ == "__main__":
    tool, path = sys.argv[1:]
    print(json.dumps({"cubeviz": cubeviz, "q3dfit": q3dfit, "spectral_cube": spectral_cube}[tool](path)))
