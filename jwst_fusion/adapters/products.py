"""Products of the official pipeline as the observation's sources."""

import logging
import re
from dataclasses import replace

import numpy as np
from astropy import units as u
from astropy.wcs import WCS

from jwst_fusion import datamodels
from jwst_fusion.coregistration.grid import local_frame
from jwst_fusion.datamodels.flags import DO_NOT_USE
from jwst_fusion.exceptions import InputError, one_line
from jwst_fusion.observation import CubeProduct, ImageProduct
from jwst_fusion.optics import throughput

__all__ = [
    "celestial_wcs",
    "cube_product",
    "image_filter",
    "image_product",
    "label_images",
    "native",
    "read_cube",
    "stated_keywords",
]

log = logging.getLogger(__name__)

UNIT = "MJy/sr"

#: Side of NIRCam's detector pixels [arcsec] (JWST User Documentation, NIRCam detectors).
DETECTOR_PIXEL = {"short": 0.0311, "long": 0.0630}

#: Sides that a pixel can have [arcsec], and the least share of their product that its area is.
PIXELS = (1e-3, 10.0)
MIN_AREA = 0.1

#: Step of the wavelengths over the steps beside it from which the table is doubted.
MAX_JUMP = 3.0

#: Wavelengths that a cube of NIRSpec can have [um].
WAVELENGTHS = (0.5, 6.0)

#: Fewest planes of a cube.
MIN_PLANES = 3

#: Axes of the official products.
AXES = ("RA---TAN", "DEC--TAN")

#: Keywords of a distortion of the coordinates, or of poles other than the usual.
DISTORTION = re.compile(r"[AB]P?_ORDER|C[PQ]DIS\d|D2IMDIS\d|PV[12]_\d+")

#: Angle from V3 to the y axis of the NIRSpec IFU aperture [deg] (SIAF, NRS_FULL_IFU).
IFU_ANGLE = 138.97


def cube_product(model):
    """
    Make a CubeProduct of an s3d model, its arrays not read.

    Raises InputError for a unit, coordinates or wavelengths that cannot be used.
    """
    name = model.meta.filename
    _check_unit(model, name)
    wavelength = _cube_wavelengths(model, name)
    _tell_jump(wavelength, name)
    wcs = celestial_wcs(model, name)
    pa_v3, pa_aperture = _position_angles(model, name)
    if pa_v3 is None and pa_aperture is not None:
        pa_v3 = pa_aperture - IFU_ANGLE
    if pa_v3 is None:
        pa_v3 = 0.0
        log.warning("%s: neither PA_V3 nor PA_APER: a position angle of 0 is assumed for the PSF", name)
    return CubeProduct(
        name=name,
        data=model.data,
        error=_if_alike(model, "err", model.data.shape),
        wavelength=wavelength,
        wcs=wcs,
        position_angle_v3=pa_v3,
        position_angle_aperture=pa_v3 + IFU_ANGLE if pa_aperture is None else pa_aperture,
        moving=str(model.meta.target.type).upper() == "MOVING",
    )


def read_cube(product, model):
    """Read the arrays of a cube, NaN where its flags forbid use; raise InputError if no voxel is left."""
    with datamodels.unbroken(product.name), np.errstate(over="ignore"):  # infinite is bad too
        data = native(product.data)
        error = np.full(data.shape, np.nan, np.float32) if product.error is None else native(product.error)
        bad = ~np.isfinite(data)
        quality = _if_alike(model, "dq", data.shape)
        if quality is not None:
            bad |= (np.asarray(quality).astype(np.int64) & DO_NOT_USE) != 0
    if bad.all():
        raise InputError(
            f"{product.name}: all of its voxels are NaN or flagged DO_NOT_USE; fetch the file again, or "
            "rebuild the cube with cube_build"
        )
    data[bad], error[bad] = np.nan, np.nan
    return replace(product, data=data, error=error)


def image_product(model):
    """
    Make an ImageProduct of an i2d model, its arrays not read.

    Raises InputError for a unit, a filter or coordinates that cannot be used.
    """
    name = model.meta.filename
    _check_unit(model, name)
    data = model.data
    error, weight = (_if_alike(model, attribute, data.shape) for attribute in ("err", "wht"))
    wcs = celestial_wcs(model, name)
    middle = (data.shape[1] - 1) / 2, (data.shape[0] - 1) / 2
    _, jacobian = local_frame(wcs, *middle)
    band, module = image_filter(model, name)
    pa_v3, _ = _position_angles(model, name)
    if pa_v3 is None:
        pa_v3 = float(np.degrees(np.arctan2(jacobian[0, 1], jacobian[1, 1])))
        log.warning("%s: no PA_V3: the image's y axis, %.1f deg, is taken for it", name, pa_v3)
    return ImageProduct(
        name=name,
        data=data,
        error=error,
        wcs=wcs,
        filter=band,
        module=module,
        position_angle_v3=pa_v3,
        detector_pixel=DETECTOR_PIXEL[throughput.channel(band)],
        image_pixel=float(np.sqrt(abs(np.linalg.det(jacobian)))),
        pixfrac=_image_pixfrac(model, name),
        weight=weight,
        detector=str(model.meta.instrument.detector or ""),
        date=str(model.meta.observation.date or ""),
    )


def _position_angles(model, name):
    """PA_V3 and PA_APER of a product [deg], None for one that is not stated; an InputError for no angle."""
    stated = {"PA_V3": model.meta.pointing.pa_v3, "PA_APER": model.meta.aperture.position_angle}
    for keyword, angle in stated.items():
        if angle is not None and not (isinstance(angle, int | float) and abs(angle) <= 360):
            raise InputError(
                f"{name}: {keyword} is {angle}, an angle in degrees needed; correct the header, or take the "
                "keyword out"
            )
    return tuple(None if angle is None else float(angle) for angle in stated.values())


def label_images(images):
    """Label images by their filters; others of the same filter are numbered: F200W-2."""
    labelled, count = [], {}
    for image in images:
        count[image.filter] = count.get(image.filter, 0) + 1
        number = count[image.filter]
        labelled.append(image if number == 1 else replace(image, label=f"{image.filter}-{number}"))
    return tuple(labelled)


def _image_pixfrac(model, name):
    """PIXFRAC of an image, one if it is not stated; raise InputError for an image that was not resampled."""
    if model.meta.cal_step.resample != "COMPLETE" and not model.hasattr("wht"):
        raise InputError(
            f"{name}: it is not resampled: S_RESAMP is not COMPLETE, and there are no weights (WHT); use the "
            "pipeline's stage-3 image (*_i2d.fits)"
        )
    stated = model.meta.resample.pixfrac
    if stated is None:
        return 1.0
    if not isinstance(stated, int | float) or not 0 <= stated <= 1:
        raise InputError(
            f"{name}: PIXFRAC is {stated}, 0 to 1 needed; correct the header, or make the image again"
        )
    return float(stated)


def image_filter(model, name):
    """Effective band of an image, by FILTER and PUPIL, and its module; an InputError names the file."""
    stated = model.meta.instrument
    module = stated.module or "MULTIPLE"
    try:
        band = throughput.effective_filter(stated.filter, stated.pupil)
        throughput.transmission(band, module)
    except InputError as problem:
        raise InputError(f"{name}: {problem}") from problem
    return band, module


def _check_unit(model, name):
    """Refuse a model, by an InputError, whose data are not surface brightness in MJy/sr."""
    unit = model.meta.bunit_data
    try:
        usable = unit is not None and u.Unit(unit) == u.Unit(UNIT)
    except ValueError:
        usable = False
    if not usable:
        raise InputError(
            f"{name}: BUNIT is {unit}, {UNIT} needed; use the pipeline's stage-3 product in surface "
            "brightness"
        )


def native(array):
    """Copy an array to native float32."""
    return np.array(array, dtype=np.float32)


def _if_alike(model, attribute, shape):
    """Return an optional array of the model; None if it is missing or of another shape."""
    array = getattr(model, attribute, None) if model.hasattr(attribute) else None
    return array if array is not None and array.shape == shape else None


def stated_keywords(model):
    """Keywords of the first and the SCI header of a file; of a data model those that it has no name for."""
    header = getattr(model, "header", None)
    if header is not None:
        return header
    extra = model.instance.get("extra_fits", {})
    cards = [card for name in ("PRIMARY", "SCI") for card in extra.get(name, {}).get("header", ())]
    return {keyword: value for keyword, value, _ in cards}


def celestial_wcs(model, name):
    """Celestial WCS from the model's keywords, which have to be of the kind that the pipeline writes."""
    info = model.meta.wcsinfo
    wcs = WCS(naxis=2)
    try:
        for keyword in ("ctype1", "ctype2", "crpix1", "crpix2", "crval1", "crval2"):
            if getattr(info, keyword) is None:
                raise ValueError(f"there is no {keyword.upper()}")
        _check_axes(model)
        wcs.wcs.ctype = info.ctype1, info.ctype2
        wcs.wcs.crpix = info.crpix1, info.crpix2
        wcs.wcs.crval = info.crval1, info.crval2
        if info.cd1_1 is not None:
            wcs.wcs.cd = [[info.cd1_1, info.cd1_2], [info.cd2_1, info.cd2_2]]
        else:
            wcs.wcs.cdelt = info.cdelt1, info.cdelt2
            pc = ((info.pc1_1, info.pc1_2), (info.pc2_1, info.pc2_2))
            wcs.wcs.pc = [
                [float(i == j) if v is None else v for j, v in enumerate(row)] for i, row in enumerate(pc)
            ]
        wcs.wcs.cunit = info.cunit1 or "deg", info.cunit2 or "deg"
        wcs.wcs.set()
        ny, nx = model.data.shape[-2:]
        _check_pixel(local_frame(wcs, (nx - 1) / 2, (ny - 1) / 2)[1])
    except Exception as error:  # noqa: BLE001 - wcslib and numpy raise all kinds for bad keywords
        reason = one_line(error)
        raise InputError(
            f"{name}: no usable celestial WCS ({reason}); use the pipeline's stage-3 product"
        ) from error
    return wcs


def _check_axes(model):
    """Raise a ValueError if the coordinates are not tangential, undistorted, north up and of the ICRS."""
    info, keywords = model.meta.wcsinfo, stated_keywords(model)
    axes = tuple(str(axis).strip() for axis in (info.ctype1, info.ctype2))
    if axes != AXES:
        raise ValueError(f"axes {' and '.join(axes)}, {' and '.join(AXES)} needed")
    distorted = next((key for key in keywords if DISTORTION.fullmatch(key)), None)
    if distorted is not None:
        raise ValueError(f"{distorted} indicates distortion, which cannot be used")
    pole = keywords.get("LONPOLE", 180.0)
    if pole != 180.0:
        raise ValueError(f"LONPOLE is {pole}, 180 needed")
    frame = keywords.get("RADESYS") or model.meta.coordinates.reference_frame or "ICRS"
    equinox = keywords.get("EQUINOX", 2000.0)
    if frame not in ("ICRS", "FK5") or (frame == "FK5" and equinox != 2000.0):
        raise ValueError(f"RADESYS is {frame} of equinox {equinox}, ICRS needed")


def _check_pixel(jacobian):
    """Raise a ValueError if the axes of the middle pixel [arcsec] are not those of an image."""
    sides = np.hypot(*jacobian)
    with np.errstate(invalid="ignore"):
        area = abs(np.linalg.det(jacobian))
    if not (PIXELS[0] < sides.min() and sides.max() < PIXELS[1] and area > MIN_AREA * sides.prod()):
        raise ValueError(f"pixels of {sides[0]:.3g} x {sides[1]:.3g} arcsec in the middle")


def _cube_wavelengths(model, name):
    """Wavelengths [um] of a cube's planes; raise InputError for those that cannot be used."""
    wavelength, n_planes = _wavelengths(model, name), model.data.shape[0]
    if n_planes < MIN_PLANES:
        raise InputError(
            f"{name}: {n_planes} planes, at least {MIN_PLANES} needed; use a cube that covers the filters"
        )
    if wavelength.size != n_planes or not (np.diff(wavelength) > 0).all():
        raise InputError(
            f"{name}: {wavelength.size} wavelengths for {n_planes} planes, or not ascending; rebuild "
            "the cube with cube_build"
        )
    low, high = wavelength[[0, -1]]
    if not WAVELENGTHS[0] < low < high < WAVELENGTHS[1]:
        raise InputError(
            f"{name}: wavelengths from {low:.6g} to {high:.6g} um by CTYPE3 {model.meta.wcsinfo.ctype3} and "
            f"CUNIT3 {model.meta.wcsinfo.cunit3}, NIRSpec has 0.6 to 5.3 um; state the unit that they have "
            "in CUNIT3, or rebuild the cube with cube_build"
        )
    return wavelength


def _tell_jump(wavelength, name):
    """Warn of planes between which the wavelength steps by far more than between their neighbours."""
    steps = np.diff(wavelength)
    around = np.pad(steps, 1, mode="reflect")
    ratio = steps / np.maximum(around[:-2], around[2:])
    at = int(np.argmax(ratio))
    if ratio[at] > MAX_JUMP:
        log.warning(
            "%s: the wavelengths jump from %.4f to %.4f um, %.1f times the neighbouring steps; compare them "
            "with those of the pipeline's cube",
            name, wavelength[at], wavelength[at + 1], ratio[at],
        )  # fmt: skip


def _wavelengths(model, name):
    """Wavelengths [um] by CTYPE3: a linear axis or a table."""
    info = model.meta.wcsinfo
    if info.ctype3 == "WAVE-TAB":
        if not model.hasattr("wavetable"):
            raise InputError(
                f"{name}: CTYPE3 is WAVE-TAB but there is no WCS-TABLE; rebuild the cube with cube_build"
            )
        return np.asarray(model.wavetable["wavelength"], dtype=np.float64).ravel()
    if info.ctype3 != "WAVE":
        raise InputError(
            f"{name}: CTYPE3 is {info.ctype3}, WAVE or WAVE-TAB needed; rebuild the cube with cube_build"
        )
    for keyword in ("crval3", "cdelt3", "crpix3"):
        value = getattr(info, keyword)
        if not isinstance(value, int | float):
            raise InputError(
                f"{name}: {keyword.upper()} is {value}, a number needed; rebuild the cube with cube_build"
            )
    factor = {"um": 1.0, "micron": 1.0, "m": 1e6, "nm": 1e-3, "Angstrom": 1e-4}.get(info.cunit3 or "um")
    if factor is None:
        raise InputError(f"{name}: CUNIT3 is {info.cunit3}, um needed; rebuild the cube with cube_build")
    plane = np.arange(model.data.shape[0]) + 1 - info.crpix3
    return factor * (info.crval3 + plane * info.cdelt3)
