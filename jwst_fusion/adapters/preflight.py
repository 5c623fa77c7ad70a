"""Check of the inputs before any work, in one pass over their headers."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jwst_fusion.coregistration.coregister import choose_data, choose_grid
from jwst_fusion.coregistration.grid import local_frame
from jwst_fusion.coregistration.ranges import MIN_COVERED
from jwst_fusion.exceptions import FusionError, InputError, LimitError, NoOverlapError, one_line
from jwst_fusion.limits import check_memory, format_size, free_disk
from jwst_fusion.optics import throughput

from .estimates import (
    BASE,
    coregistration_memory,
    fusion_memory,
    product_on_disk,
    product_size,
    set_memory,
)
from .inputs import open_inputs
from .preflight_sets import together
from .products import cube_product, image_product, label_images

__all__ = ["Finding", "Preflight", "examine"]

#: Points along each axis of the field at which an image is looked for.
SAMPLES = 25


@dataclass(frozen=True)
class Finding:
    """One line of the table; it keeps the error that it comes from."""

    file: str  # or what else it is about
    what: str
    verdict: str = "ok"  # ok, warning or error
    cure: str = ""
    error: object = None

    @classmethod
    def of(cls, error, file):
        """Make a line of an error, ``file: finding; cure``; the file is for one that names none."""
        named, separator, message = one_line(error).partition(": ")
        if separator:
            file = named
        else:
            message = named
        what, _, cure = message.rpartition("; ")
        return cls(file, what or cure, "error", cure if what else "", error)


@dataclass(frozen=True)
class Preflight:
    """Findings of the pre-flight, and the inputs that it has opened, their arrays not read."""

    findings: tuple
    inputs: object = None  # None if one of them has an error
    cubes: tuple = ()
    images: tuple = ()
    memory: float | None = None  # that is needed [bytes], if known
    disk: float | None = None  # size of the fused cube [bytes], if known

    @property
    def cube(self):
        """The first cube, and in most cases the only one; None if there is an error in one of the inputs."""
        return self.cubes[0] if self.cubes else None

    @property
    def verdict(self):
        """The worst verdict."""
        return max((f.verdict for f in self.findings), key=("ok", "warning", "error").index, default="ok")

    @property
    def error(self):
        """The first error; None if there is none."""
        return next((f.error for f in self.findings if f.error is not None), None)

    def rows(self):
        """List file, what, verdict and cure of each finding as text, a dict each."""
        names = ("file", "what", "verdict", "cure")
        return [{name: str(getattr(finding, name)) for name in names} for finding in self.findings]

    def table(self):
        """Write the table: a line for what is right with a file, and one for each problem."""
        right = {f.file: "" for f in self.findings if f.verdict == "ok"}
        for finding in self.findings:
            if finding.verdict == "ok":
                right[finding.file] += f"{'; ' if right[finding.file] else ''}{finding.what}"
        rows = [
            ("file", "what", "verdict", "cure"),
            *((file, what, "ok", "") for file, what in right.items()),
            *((f.file, f.what, f.verdict, f.cure) for f in self.findings if f.verdict != "ok"),
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return "\n".join(
            "  ".join(
                [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]
            ).rstrip()
            for row in rows
        )


def examine(
    source, settings, *, make_path=str, output_dir=".", max_memory=None, max_components=None, whole=False
):
    """
    Examine all inputs of a fusion, reading their headers only; errors become findings.

    The source is that of `open_inputs`, the settings those of the co-registration. Memory [GiB] is 80 % of
    what is available unless it is given; without max_components there is to be no fusion;
    whole asks for the product of all wavelengths of several cubes too.
    """
    findings = []

    def add(error):
        findings.append(Finding.of(error, "the input"))

    inputs = None
    try:
        inputs = open_inputs(source, make_path, add)
    except FusionError as error:
        add(error)
    if inputs is None:
        return Preflight(tuple(findings))
    cubes = tuple(_look(cube_product, model, _tell_cube, findings) for model in inputs.cubes)
    images = tuple(_look(image_product, model, _tell_image, findings) for model in inputs.images)
    if None in cubes or None in images:
        return Preflight(tuple(findings))
    images = label_images(images)
    memory, disk = sum(coregistration_memory(cube.data.shape) - BASE for cube in cubes) + BASE, None
    try:
        if len(cubes) > 1:
            grid, n_waves, n_bands = _set_together(cubes, images, settings, findings)
        else:
            where = inputs.association or "the input"
            grid, n_wave, n_bands = _together(cubes[0], images, settings, where, findings)
            n_waves = [n_wave]
        if max_components is not None:
            made = [*n_waves, sum(n_waves)] if whole and len(cubes) > 1 else n_waves
            disk = sum(product_size(grid, n) * (2 if product_on_disk(grid, n) else 1) for n in made)
            if len(cubes) > 1:
                needed = set_memory(grid, n_waves, n_bands, max_components, whole=whole)
            else:
                needed = fusion_memory(grid, n_waves[0], n_bands, max_components)
            memory = max(memory, needed)
            findings.append(_room_on_disk(disk, output_dir))
        findings.append(_room_in_memory(memory, max_memory, cubes[0].name))
    except FusionError as error:
        add(error)
    return Preflight(tuple(findings), inputs, cubes, images, memory, disk)


def _set_together(cubes, images, settings, findings):
    """Examine several cubes and images together: the grid, and the numbers of wavelengths and of images."""
    lines, overlaps, grid, n_waves, n_bands = together(cubes, images, settings, _overlap)
    findings += [Finding(*line) for line in lines]
    findings += overlaps
    return grid, n_waves, n_bands


def _look(take, model, tell, findings):
    """Take a product out of a model and add its findings; None if that fails."""
    try:
        product = take(model)
    except FusionError as error:
        findings.append(Finding.of(error, model.meta.filename))
        return None
    findings += tell(product, model.meta)
    return product


def _tell_cube(cube, meta):
    """Describe a cube."""
    n_wave, my, mx = cube.data.shape
    what = (
        f"NIRSpec IFU cube {meta.instrument.grating}/{meta.instrument.filter}, {mx} x {my} spaxels of "
        f"{_pixel_size(cube.wcs, (my, mx)):.3f} arcsec, {n_wave} planes from {cube.wavelength[0]:.3f} to "
        f"{cube.wavelength[-1]:.3f} um"
    )
    stated = (meta.pointing.pa_v3, meta.aperture.position_angle) != (None, None)
    unknown = () if stated else (_without_angle(cube.name, "neither PA_V3 nor PA_APER"),)
    return Finding(cube.name, what), *unknown


def _tell_image(image, meta):
    """Describe an image."""
    what = "NIRCam image {}, module {}, {} x {} pixels of {:.4f} arcsec".format(
        image.filter, image.module, *image.data.shape[::-1], image.image_pixel
    )
    unknown = () if meta.pointing.pa_v3 is not None else (_without_angle(image.name, "no PA_V3"),)
    return Finding(image.name, what), *unknown


def _without_angle(name, what):
    """Line for a product that does not say how the telescope was turned."""
    return Finding(name, f"{what}: the angle of the PSF is guessed", "warning", "restore the keyword")


def _pixel_size(wcs, shape):
    """Side of the pixel in the middle of an image [arcsec]."""
    _, jacobian = local_frame(wcs, (shape[1] - 1) / 2, (shape[0] - 1) / 2)
    return float(np.sqrt(abs(np.linalg.det(jacobian))))


def _together(cube, images, settings, where, findings):
    """Examine cube and images together: the grid, and the numbers of wavelengths and of images on it."""
    choice, channels = choose_data(cube, images, settings, np.ones(cube.wavelength.size, dtype=bool))
    findings += [
        Finding(image.name, reason, "warning", "the image will be left out")
        for image, reason in choice.left_out
    ]
    findings += _coverage(choice.kept, cube.wavelength[channels], where)
    window, grid = choose_grid(np.ones(cube.data.shape[1:], dtype=bool), cube.wcs, choice.kept, settings)
    findings += _overlap(choice.kept, cube, window, settings)
    return grid, channels.sum(), len(choice.kept)


def _coverage(images, wavelength, where):
    """Find how much of each bandpass the cube's wavelengths cover."""
    findings, seen, usable = [], set(), 0
    low, high = wavelength[[0, -1]]
    for image in images:
        seen.add(image.filter)
        covered = throughput.bandpass(image.filter, image.module, wavelength)[1]
        good = covered >= MIN_COVERED
        usable += good
        what = f"{100 * covered:.0f} % of {image.filter} within {low:.3f} to {high:.3f} um"
        cure = "" if good else f"{100 * MIN_COVERED:.0f} % needed: the image will be left out"
        findings.append(Finding(image.name, what, "ok" if good else "warning", cure))
    if not usable:
        raise InputError(
            f"{where}: none of {', '.join(sorted(seen))} has {100 * MIN_COVERED:.0f} % of its bandpass in "
            f"the cube's wavelengths from {low:.3f} to {high:.3f} um; use filters that the cube covers"
        )
    return findings


def _overlap(images, cube, window, settings):
    """Find how much of the field each image covers, as its corners and the pointing errors allow."""
    rows, columns = window
    if cube.moving or settings.alignment in ("cross_correlation", "none"):
        return [Finding(cube.name, "the target moves, or coordinates are not used: overlap is found later")]
    y, x = (np.linspace(at.start - 0.5, at.stop - 0.5, SAMPLES) for at in (rows, columns))
    ra, dec = cube.wcs.wcs_pix2world(*(axis.ravel() for axis in np.meshgrid(x, y)), 0)
    findings, best = [], (-1.0, None)
    for image in images:
        reach = (settings.capture if settings.alignment == "auto" else 0.0) / image.image_pixel
        px, py = image.wcs.wcs_world2pix(ra, dec, 0)
        ny, nx = image.data.shape
        with np.errstate(invalid="ignore"):
            inside = (
                (px > -0.5 - reach) & (px < nx - 0.5 + reach) & (py > -0.5 - reach) & (py < ny - 0.5 + reach)
            )
        share = float(inside.mean())
        best = max(best, (share, image.name))
        good = share >= settings.min_overlap
        what = f"its corners enclose {100 * share:.0f} % of the field"
        cure = "" if good else f"left out if it has less than {100 * settings.min_overlap:.0f} % of the data"
        findings.append(Finding(image.name, what, "ok" if good else "warning", cure))
    if best[0] <= 0:
        ra, dec = local_frame(cube.wcs, *((at.start + at.stop - 1) / 2 for at in (columns, rows)))[0]
        raise NoOverlapError(
            f"{best[1]}: no image covers the field about RA {ra:.5f}, Dec {dec:+.5f}: the best covers 0 %, "
            f"{100 * settings.min_overlap:.0f} % needed; use images of the same target"
        )
    return findings


def _room_on_disk(size, output_dir):
    """Compare the size of the product with the space on the disk."""
    free = free_disk(output_dir)
    what = f"the fused cube takes {format_size(size)} of the {format_size(free)} free on the disk"
    name = str(output_dir)
    if size > free:
        error = LimitError(
            f"{name}: the fused cube takes {format_size(size)}, the disk has {format_size(free)}; free "
            "some space or choose another output folder"
        )
        return Finding.of(error, name)
    folder = Path(output_dir)
    if folder.is_dir() and not os.access(folder, os.W_OK):
        return Finding.of(InputError(f"{name}: Permission denied; check the path and its permissions"), name)
    return Finding(name, what)


def _room_in_memory(needed, max_memory, name):
    """Compare the memory that is needed with what may be used."""
    check_memory(needed, max_memory, f"{name}: it")
    return Finding(name, f"needs about {format_size(needed)} of memory")
