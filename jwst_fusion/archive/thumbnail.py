"""What the summary shows of a product: a small picture and the verdict of its report."""

import logging

import numpy as np
from astropy.io import fits
from PIL import Image

__all__ = ["describe_product"]

log = logging.getLogger(__name__)

SIZE = 96  # pixels
CHANNELS = 32

#: Keywords of the primary header that hold the verdict, and what makes it amber or red.
VERDICT, REASONS = "FUSVERD", "FUSVREAS"


def describe_product(folder):
    """
    Describe what a run has written.

    Parameters
    ----------
    folder : pathlib.Path
        Its outputs. A picture, ``thumbnail.png``, is added if there is a fused cube in FITS.

    Returns
    -------
    dict of str
        Names of product, report and thumbnail, the verdict and the reason for it; empty texts for what is not
        there.
    """
    product = next((path for path in sorted(folder.iterdir()) if path.stem.endswith("_fused")
                    and path.suffix in (".fits", ".asdf")), None)  # fmt: skip
    report = next(iter(sorted(folder.glob("*_fused.html"))), None)
    found = {"product": product.name if product else "", "report": report.name if report else ""}
    found.update(thumbnail="", verdict="", reason="")
    if product is None or product.suffix != ".fits":
        return found
    try:
        with fits.open(product, memmap=True) as hdus:
            header, cube = hdus[0].header, hdus["SCI"].data
            picture = np.asarray(cube[:: max(len(cube) // CHANNELS, 1)], dtype=np.float64)
            found.update(verdict=str(header.get(VERDICT, "")), reason=str(header.get(REASONS, "")))
        Image.fromarray(_stretch(picture)).save(folder / "thumbnail.png")
        found["thumbnail"] = "thumbnail.png"
    except (OSError, KeyError, TypeError, ValueError) as error:
        log.warning("%s: no thumbnail: %s", product.name, error)
    return found


def _stretch(cube):
    """Grey levels (ny, nx) of the mean over wavelength, enlarged by whole numbers to about `SIZE`."""
    known = np.isfinite(cube)
    mean = np.where(known, cube, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    seen = known.any(axis=0)
    low, high = np.percentile(mean[seen], [1, 99.5]) if seen.any() else (0.0, 1.0)
    scaled = np.clip((mean - low) / max(high - low, 1e-30), 0, 1)
    grey = np.where(seen, 255 * np.arcsinh(10 * scaled) / np.arcsinh(10), 0).astype(np.uint8)[::-1]
    step, factor = max(max(grey.shape) // SIZE, 1), max(SIZE // max(grey.shape), 1)
    return np.repeat(np.repeat(grey[::step, ::step], factor, axis=0), factor, axis=1)
