"""What can be said of the inputs before any work: from their headers, in one pass."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from stdatamodels.jwst.datamodels import JwstDataModel

from jwst_fusion import datamodels
from jwst_fusion.coregistration.choice import choose_images
from jwst_fusion.coregistration.coregister import choose_decimation, cut_wavelengths
from jwst_fusion.coregistration.field import field_window, parse_centre
from jwst_fusion.coregistration.grid import local_frame, make_grid
from jwst_fusion.coregistration.ranges import MIN_COVERED
from jwst_fusion.exceptions import FusionError, InputError, LimitError, NoOverlapError, one_line
from jwst_fusion.limits import check_memory, format_size, free_disk
from jwst_fusion.observation import CubeProduct, ImageProduct
from jwst_fusion.optics import throughput

from .estimates import coregistration_memory, fusion_memory, product_on_disk, product_size
from .inputs import list_members, open_file, refuse_missing, sort_members
from .products import celestial_wcs, check_unit, cube_wavelengths, image_filter, image_pixfrac

__all__ = ["Finding", "Preflight", "examine"]

#: Points along each axis of the field at which an image is looked for.
SAMPLES = 25


@dataclass(frozen=True)
class Finding:
    """
    One line of the table.

    Attributes
    ----------
    file : str
        File, or what else it is about.
    what : str
        What was found.
    verdict : {'ok', 'warning', 'error'}
        Whether that can be used.
    cure : str
        What to do about it.
    error : FusionError or None
        The error that it makes.
    """

    file: str
    what: str
    verdict: str = "ok"
    cure: str = ""
    error: object = None

    @classmethod
    def of(cls, error, file):
        """
        Make a line of an error, whose message is ``file: finding; cure``.

        Parameters
        ----------
        error : FusionError
            The error.
        file : str
            File to name if the message names none.

        Returns
        -------
        Finding
            The line.
        """
        message = one_line(error)
        head, separator, rest = message.partition(": ")
        if separator and head == file:
            message = rest
        what, _, cure = message.rpartition("; ")
        return cls(file, what or cure, "error", cure if what else "", error)


@dataclass(frozen=True)
class Preflight:
    """
    Findings of the pre-flight.

    Attributes
    ----------
    findings : tuple of Finding
        Lines of the table.
    memory, disk : float or None
        Estimate of the memory that is needed and of the size of the fused cube [bytes]; None where the
        inputs do not tell.
    """

    findings: tuple
    memory: float | None = None
    disk: float | None = None

    @property
    def verdict(self):
        """The worst verdict."""
        return max((f.verdict for f in self.findings), key=("ok", "warning", "error").index, default="ok")

    @property
    def error(self):
        """The first error; None if there is none."""
        return next((f.error for f in self.findings if f.error is not None), None)

    def rows(self):
        """
        Format the table as plain text.

        Returns
        -------
        list of dict
            ``file``, ``what``, ``verdict`` and ``cure`` of each finding.
        """
        names = ("file", "what", "verdict", "cure")
        return [{name: str(getattr(finding, name)) for name in names} for finding in self.findings]

    def table(self):
        """
        Write the table.

        Returns
        -------
        str
            A line for each finding: file, what, verdict and cure.
        """
        rows = [
            ("file", "what", "verdict", "cure"),
            *((f.file, f.what, f.verdict, f.cure) for f in self.findings),
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return "\n".join(
            "  ".join(
                [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]
            ).rstrip()
            for row in rows
        )


def examine(source, settings, *, make_path=str, output_dir=".", max_memory=None, max_components=None):
    """
    Look at all inputs of a fusion, reading their headers only.

    Parameters
    ----------
    source : str, path-like, dict or sequence
        Association file, an association as a dict, or files or models.
    settings : CoregistrationSettings
        Settings of the co-registration.
    make_path : callable, optional
        Gives the path of an association from its name.
    output_dir : str or path-like, optional
        Folder of the products.
    max_memory : float, optional
        Memory that may be used [GiB]; by default 80 % of what is available.
    max_components : int, optional
        Largest number of components of the fusion; None: there is to be no fusion.

    Returns
    -------
    Preflight
        What was found.
    """
    try:
        _, association, members = list_members(source, make_path)
    except FusionError as error:
        return Preflight((Finding.of(error, Path(str(source)).name if _is_path(source) else "the input"),))
    where = association or "the input"
    models, findings = [], []
    for member in members:
        try:
            refuse_missing(member, association)
            is_model = isinstance(member, JwstDataModel)
            models.append(member if is_model else open_file(member, datamodels.open_headers))
        except FusionError as error:
            findings.append(Finding.of(error, association or str(member)))
    if findings:  # what else would be found, such as that there is no cube, may come of that
        return Preflight(tuple(findings))
    try:
        cube_model, image_models = sort_members(models, where)
    except FusionError as error:
        name = str(error).partition(": ")[0]
        return Preflight((Finding.of(error, name),))
    cube, found = _look(_cube, cube_model)
    findings += found
    images = []
    for model in image_models:
        image, found = _look(_image, model)
        findings += found
        images += [] if image is None else [image]
    if cube is None or len(images) < len(image_models):
        return Preflight(tuple(findings))
    return _together(cube, images, settings, where, findings, output_dir, max_memory, max_components)


def _is_path(source):
    """Check whether an input is the path of one file."""
    return isinstance(source, str | Path)


def _look(kind, model):
    """Apply `_cube` or `_image` to a model: what it gives, None if it fails; and the findings."""
    try:
        return kind(model)
    except FusionError as error:
        return None, [Finding.of(error, model.meta.filename)]


def _cube(model):
    """Take from a cube's headers what a `CubeProduct` has, its data of one spaxel; and say what it is."""
    name = model.meta.filename
    check_unit(model, name)
    wavelength = cube_wavelengths(model, name)
    wcs = celestial_wcs(model, name)
    instrument, (n_wave, my, mx) = model.meta.instrument, model.data.shape
    step = _pixel_size(wcs, (my, mx))
    what = (
        f"NIRSpec IFU cube {instrument.grating}/{instrument.filter}, {mx} x {my} spaxels of {step:.3f} "
        f"arcsec, {n_wave} planes from {wavelength[0]:.3f} to {wavelength[-1]:.3f} um"
    )
    pointing = model.meta.pointing.pa_v3, model.meta.aperture.position_angle
    cube = CubeProduct(
        name=name,
        data=np.ones((n_wave, 1, 1), dtype=np.float32),
        error=np.ones((n_wave, 1, 1), dtype=np.float32),
        wavelength=wavelength,
        wcs=wcs,
        position_angle_v3=0.0,
        position_angle_aperture=0.0,
        moving=str(model.meta.target.type).upper() == "MOVING",
    )
    unknown = () if pointing != (None, None) else (_without_angle(name, "neither PA_V3 nor PA_APER"),)
    return (cube, model.data.shape), [Finding(name, what), *unknown]


def _image(model):
    """Take from an image's headers what an `ImageProduct` has, its data of no size; and say what it is."""
    name = model.meta.filename
    check_unit(model, name)
    wcs = celestial_wcs(model, name)
    image_pixfrac(model, name)
    band, module = image_filter(model, name)
    pixel = _pixel_size(wcs, model.data.shape)
    image = ImageProduct(
        name=name,
        data=np.broadcast_to(np.float32(0), model.data.shape),
        error=None,
        wcs=wcs,
        filter=band,
        module=module,
        position_angle_v3=0.0,
        detector_pixel=pixel,
        image_pixel=pixel,
    )
    what = "NIRCam image {}, module {}, {} x {} pixels of {:.4f} arcsec".format(
        band, module, *model.data.shape[::-1], pixel
    )
    unknown = () if model.meta.pointing.pa_v3 is not None else (_without_angle(name, "no PA_V3"),)
    return image, [Finding(name, what), *unknown]


def _without_angle(name, what):
    """Line for a product that does not say how the telescope was turned."""
    return Finding(name, f"{what}: the angle of the PSF is guessed", "warning", "restore the keyword")


def _pixel_size(wcs, shape):
    """Side of the pixel in the middle of an image [arcsec]."""
    _, jacobian = local_frame(wcs, (shape[1] - 1) / 2, (shape[0] - 1) / 2)
    return float(np.sqrt(abs(np.linalg.det(jacobian))))


def _together(looked, images, settings, where, findings, output_dir, max_memory, max_components):
    """Look at cube and images together: wavelengths, field, memory and disk."""
    cube, cube_shape = looked
    memory = coregistration_memory(cube_shape)
    disk = None
    try:
        choice = choose_images(
            cube,
            images,
            wavelength_range=settings.wavelength_range,
            mix_channels=settings.decimation_factor is not None,
        )
        findings += [
            Finding(image.name, reason, "warning", "the image will be left out")
            for image, reason in choice.left_out
        ]
        images = choice.kept
        d = choose_decimation(images, settings)
        cut = cut_wavelengths(cube, images, settings)
        findings += _coverage(images, cut, where)
        window = field_window(
            np.ones(cube_shape[1:], dtype=bool),
            cube.wcs,
            centre=None if settings.center is None else parse_centre(settings.center),
            centre_spaxel=settings.center_spaxel,
            height=settings.height,
            width=settings.width,
        )
        findings += _overlap(images, cube, window, settings)
        if max_components is not None:
            grid = make_grid(window, cube.wcs, d, settings.margin)
            n_wave = cut.wavelength.size
            disk = product_size(grid, n_wave) * (2 if product_on_disk(grid, n_wave) else 1)
            memory = max(memory, fusion_memory(grid, n_wave, len(images), max_components))
            findings.append(_room_on_disk(disk, output_dir))
        findings.append(_room_in_memory(memory, max_memory, cube.name))
    except FusionError as error:
        findings.append(Finding.of(error, str(error).partition(": ")[0] if ": " in str(error) else where))
    return Preflight(tuple(findings), memory, disk)


def _coverage(images, cube, where):
    """Say how much of each bandpass the cube's wavelengths cover."""
    findings, seen, usable = [], set(), 0
    low, high = cube.wavelength[[0, -1]]
    for image in images:
        if image.filter in seen:
            raise InputError(
                f"{image.name}: a second image in {image.filter}; keep one image for each filter"
            )
        seen.add(image.filter)
        covered = throughput.bandpass(image.filter, image.module, cube.wavelength)[1]
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
    """Say how much of the field each image covers, as its corners and the pointing errors allow."""
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
