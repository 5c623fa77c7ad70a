"""A small folder of data files with which the real STPSF runs."""

import numpy as np
from astropy.io import fits

from jwst_fusion.optics.pupil import pupil_amplitude
from jwst_fusion.optics.stpsf_source import DEFAULT_OPD

SIZE = 1024
SPACING = 6.603464 / SIZE
FILTERS = {
    "NIRCam": ("F200W", "F356W"),
    "NIRSpec": ("CLEAR", "F070LP", "F100LP", "F110W", "F140X", "F170LP", "F290LP"),
}


def pupil():
    """JWST's pupil, each cell open or shut, (SIZE, SIZE)."""
    fine = pupil_amplitude(spacing=SPACING / 2)
    margin = (2 * SIZE - fine.shape[0]) // 2
    fine = np.pad(fine, margin) if margin >= 0 else fine[-margin:margin, -margin:margin]
    return (fine.reshape(SIZE, 2, SIZE, 2).mean(axis=(1, 3)) > 0.5).astype(np.float32)


def coma_and_trefoil():
    """A wavefront without symmetry [um], (SIZE, SIZE)."""
    y, x = (np.indices((SIZE, SIZE)) - (SIZE - 1) / 2) / (SIZE / 2)
    coma = (3 * (x**2 + y**2) - 2) * (x * np.cos(0.6) + y * np.sin(0.6))
    return 0.15 * coma + 0.1 * (x**3 - 3 * x * y**2)


def make_data(folder, wavefront=None, version="2.1.0.1"):
    """Write the data files; the telescope is perfect if no wavefront [um] is given."""
    folder.mkdir()
    (folder / "version.txt").write_text(f"{version}\n")
    header = fits.Header({"PUPLSCAL": SPACING, "PUPLDIAM": SPACING * SIZE, "VERSION": "test"})
    open_cells = pupil()
    fits.writeto(folder / "jwst_pupil_RevW_npix1024.fits.gz", open_cells, header)
    fits.writeto(folder / "JWpupil_segments_RevW_npix1024.fits.gz", open_cells.astype(np.uint8), header)
    if wavefront is not None:
        header["BUNIT"] = "micron"
        fits.writeto(folder / DEFAULT_OPD, wavefront.astype(np.float32), header)
    else:
        (folder / "JWST_OTE_OPD_none.fits").touch()  # STPSF wants a name to list
    for instrument, names in FILTERS.items():
        (folder / instrument).mkdir()
        rows = "".join(f"{name}\t5\n" for name in names)
        (folder / instrument / "filters.tsv").write_text(f"filter\tnlambda\n{rows}")
    return folder
