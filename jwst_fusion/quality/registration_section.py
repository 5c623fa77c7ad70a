"""The section of a report on the registration of the images."""

import numpy as np
from scipy.ndimage import shift as shift_image

from jwst_fusion.coregistration.comparison import Comparison

from .diagnosis import restore_spectra
from .layout import Picture, Section, Table, number
from .raster import brightness_png

__all__ = ["registration_section"]


def registration_section(content):
    """
    Show images before and after registration, to blink against the cube's, and the remaining differences.

    Parameters
    ----------
    content : ReportContent
        The content of the report.

    Returns
    -------
    Section
        The section; empty if the product lacks the data.
    """
    diagnosis = content.diagnosis
    rows = []
    compared = diagnosis.compared or [Comparison()] * len(content.bands)
    mismatches = [float("nan")] * len(content.bands) if diagnosis.mismatch is None else diagnosis.mismatch
    for row, left, mismatch in zip(content.bands, compared, mismatches, strict=False):
        rows.append((
            row.filter,
            f"{1e3 * row.offset_east:+.1f}", f"{1e3 * row.offset_north:+.1f}",
            number(1e3 * row.offset_err, 3),
            f"{1e3 * left.east:+.1f}", f"{1e3 * left.north:+.1f}", number(1e3 * left.shift_error, 3),
            number(left.correlation, 4),
            f"{left.roll:+.2f} ± {left.roll_error:.2f}",
            f"{100 * left.magnification:+.2f} ± {100 * left.magnification_error:.2f}",
            f"{1e6 * left.blur:+.0f} ± {1e6 * left.blur_error:.0f}", f"{100 * left.change:.0f}",
            number(mismatch, 3),
        ))  # fmt: skip
    head = (
        "band", "offset east (mas)", "north (mas)", "error (mas)",
        "remaining offset east (mas)", "north (mas)", "error (mas)", "correlation",
        "roll (deg)", "magnification (%)", "blur (mas^2)", "change of brightness (%)",
        "misfit ratio to the best other band",
    )  # fmt: skip
    table = Table(
        head, tuple(rows),
        "The first columns give the position of a source in NIRCam's coordinates minus its position in the "
        "cube's. The next columns give the remaining differences between the registered image and the cube: "
        "offset, position angle, magnification, variance of the cube's PSF beyond that of the model, and the "
        "largest significant difference of brightness over 3 x 3 spaxels. The correlation is that of the two "
        "images without these differences and noise. The last column is "
        "the misfit of the image with the cube in its own band, divided by the misfit in the best other "
        "band. It exceeds about one if the image is labelled with the wrong filter.",
    )  # fmt: skip
    return Section(
        "registration", "Registration",
        "NIRCam images at the resolution of the IFU, with the coordinates in their files and after "
        "registration. Blink alternates each of them with the NIRSpec cube's image of the band. After "
        f"registration nothing should move. Method: {content.settings.get('alignment', 'not known')}.",
        images=_registration_images(content), tables=(table,) if rows else (),
    )  # fmt: skip


def _registration_images(content):
    """Pictures before and after registration for each band."""
    diagnosis = content.diagnosis
    if diagnosis.matched is None or diagnosis.spectra is None or diagnosis.bandpasses is None:
        return ()
    cube = restore_spectra(diagnosis, content.mean_spectrum, content.basis)
    inverse = np.linalg.inv(np.reshape(content.frame.matrix, (2, 2)) * 3600)
    images = []
    for row, matched, bandpass in zip(content.bands, diagnosis.matched, diagnosis.bandpasses, strict=False):
        inside = bandpass > 0
        usable = np.isfinite(cube[inside]).mean(axis=(1, 2)) > 0
        weights = bandpass[inside][usable] / bandpass[inside][usable].sum()
        seen = np.tensordot(weights, cube[inside][usable], axes=1)
        block = [n // m for n, m in zip(matched.shape, seen.shape, strict=True)]
        seen = seen.repeat(block[0], axis=0).repeat(block[1], axis=1)
        blink, limits = brightness_png(seen)
        over_alt = f"NIRSpec cube seen through {row.filter}"
        before = _moved(matched, inverse @ [row.offset_east, row.offset_north])
        offset = 1e3 * np.hypot(row.offset_east, row.offset_north)
        for name, image in ((f"before, offset {offset:.0f} mas", before), ("after", matched)):
            if image is None or not np.isfinite(image).any():
                continue
            source, _ = brightness_png(np.where(content.inside, image, np.nan), limits)
            alt = f"NIRCam {row.filter} at the IFU's resolution, {name} registration"
            images.append(Picture(source, alt, f"{row.filter}, {name}", blink, over_alt))
    return tuple(images)


def _moved(image, cells):
    """Image moved by cells (x, y); None if that is more than the field."""
    if not np.isfinite(cells).all() or (np.abs(cells) >= np.array(image.shape[::-1]) / 2).any():
        return None
    known = np.isfinite(image)
    filled = np.where(known, image, np.median(image[known]) if known.any() else 0.0)
    moved = shift_image(filled, cells[::-1], order=1, mode="nearest")
    there = shift_image(known.astype(float), cells[::-1], order=1, cval=0.0) > 0.5
    return np.where(there, moved, np.nan)
