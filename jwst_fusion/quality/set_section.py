"""The section of a report on the cubes that were fused together."""

from .criteria import LIMITS
from .curves import bars
from .layout import Section, Table
from .verdict import seam_departure

__all__ = ["set_section"]


def set_section(content):
    """
    Show what each cube and image of a set constrains, and how the cubes agree where they meet.

    Parameters
    ----------
    content : ReportContent
        The content of the report.

    Returns
    -------
    Section
        The section; empty for a single cube.
    """
    if not content.set_cubes:
        return Section("set", "Several cubes")
    return Section(
        "set", "Several cubes",
        f"This fused cube is one result of the fusion of {len(content.set_cubes)} cubes and "
        f"{len(content.set_images)} images. All fused cubes of the set have the same grid and the same "
        "coefficient maps.",
        curves=(_ranges(content),), tables=(_cubes(content), _images(content), _seams(content)),
    )  # fmt: skip


def _ranges(content):
    """Draw the wavelengths of cubes and images as bars."""
    rows = {row["cube"]: row for row in content.set_cubes}
    rows |= {row["filter"]: row for row in sorted(content.set_images, key=lambda row: row["low"])}
    return bars(
        "set-ranges", "Wavelengths of the cubes, and of the images within them.",
        {name: (row["low"], row["high"]) for name, row in rows.items()},
        x_label="wavelength [um]", alt="Wavelengths of cubes and images, as in the tables below",
    )  # fmt: skip


def _cubes(content):
    """Table of the cubes."""
    head = (
        "cube", "wavelengths (um)", "share of the field", "images in its wavelengths",
        "offset east (mas)", "north (mas)", "flux factor",
    )  # fmt: skip
    rows = tuple(
        (
            row["cube"], f"{row['low']:.3f} to {row['high']:.3f}", f"{100 * row['field']:.0f} %",
            row["images"] or "none", f"{1e3 * row['offset_east']:+.1f}", f"{1e3 * row['offset_north']:+.1f}",
            f"{row['factor']:.4f} +- {row['factor_err']:.4f}",
        )
        for row in content.set_cubes
    )  # fmt: skip
    caption = (
        "Offsets are the position of a source in the coordinates of NIRCam minus its position in those of "
        "the cube. Each cube was divided by its flux factor."
    )
    return Table(head, rows, caption)


def _images(content):
    """Table of the images."""
    rows = tuple(
        (
            row["filter"], f"{row['low']:.3f} to {row['high']:.3f}", row["cubes"],
            f"{100 * row['field']:.0f} %", "held out" if row["held_out"] else "used",
        )
        for row in content.set_images
    )  # fmt: skip
    head = (
        "image",
        "wavelengths in the cubes (um)",
        "cubes it constrains",
        "share of the field",
        "in the fit",
    )
    return Table(head, rows, "Images")


def _seams(content):
    """Table of the seams; it says so if there are none."""
    limit = LIMITS["seam"].green
    rows = tuple(
        (
            row["first"], row["second"], f"{row['low']:.3f} to {row['high']:.3f}",
            _percent(row["cubes"], row["cubes_err"]), _percent(row["fused"], row["fused_err"]),
            f"{100 * limit:g} ({'within' if seam_departure(row) <= limit else 'beyond'})",
        )
        for row in content.set_seams
    )  # fmt: skip
    head = (
        "cube", "other cube", "wavelengths (um)", "difference of the cubes (%)",
        "difference of the fused cubes (%)", "limit (%)",
    )  # fmt: skip
    if not rows:
        return Table(
            head, (), "No two cubes share wavelengths and sky. How they agree could not be measured."
        )
    caption = (
        "Relative difference of the mean brightness where two cubes meet, with its standard error, after "
        "both were divided by their flux factors. A seam is beyond the limit if its difference minus twice "
        "its error is. Two pointings with one grating have one fused cube; the difference is then that of "
        "the cubes."
    )
    return Table(head, rows, caption)


def _percent(value, error):
    """Write a share and its error in per cent."""
    return f"{100 * value:+.2f} +- {100 * error:.2f}"
