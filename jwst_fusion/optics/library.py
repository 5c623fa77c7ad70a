"""Files of PSFs: the package's own (ASDF), and FITS as STPSF writes it or as a star was observed."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import asdf
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_area

from jwst_fusion.atomic import atomic_file
from jwst_fusion.exceptions import InputError, one_line
from jwst_fusion.optics.sampled import FRAMES, INCLUDES, SampledPsf, check_psf
from jwst_fusion.optics.throughput import CHANNEL_SPLIT, PUPIL_FILTERS, channel, pivot_wavelength

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from .sampled import PsfImages

__all__ = [
    "LibraryEntry",
    "file_key",
    "find_entry",
    "read_library",
    "write_cube",
    "write_epsf",
    "write_library",
]

FORMAT = 1
"""Version of the format of a library."""

IFUALIGN = -90.0
"""Direction of the y axis of STPSF's IFU images, turned as ``ifualign`` cubes, from the aperture's [deg]."""

_MARK = "jwst_fusion_psf_library"

_TEXTS = ("instrument", "channel", "filter", "grating", "detector", "origin")


@dataclass(frozen=True, eq=False)
class LibraryEntry:
    """
    PSFs of one instrument.

    Attributes
    ----------
    instrument : {'NIRCAM', 'NIRSPEC'}
        Instrument.
    psf : SampledPsf
        The PSFs.
    channel : str
        NIRCam's channel, short or long; empty for NIRSpec.
    filter : str
        NIRCam band if they hold for one only, or NIRSpec's blocking filter; may be empty.
    grating : str
        NIRSpec's grating; may be empty.
    detector : str
        Detector; may be empty.
    origin : str
        Origin of the PSFs.
    error : float or None
        Error of the PSFs over their structure on the scale of 0.1", if it was measured.
    """

    instrument: str
    psf: SampledPsf
    channel: str = ""
    filter: str = ""
    grating: str = ""
    detector: str = ""
    origin: str = ""
    error: float | None = None


def file_key(path: str | PathLike) -> str:
    """
    Name a file by its content.

    Parameters
    ----------
    path : str or path-like
        File.

    Returns
    -------
    str
        Name and the start of the SHA-256 of its content.
    """
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    name = Path(path).name.encode("ascii", "replace").decode()  # what a FITS header can hold
    return f"{name} {digest[:12]}"


def write_library(path: str | PathLike, entries: Sequence[LibraryEntry]) -> None:
    """
    Write a library.

    Parameters
    ----------
    path : str or path-like
        ASDF file; a library of that name is replaced.
    entries : sequence of LibraryEntry
        PSFs.
    """
    rows = []
    for entry in entries:
        psf = entry.psf
        rows.append(
            {name: getattr(entry, name) for name in _TEXTS}
            | {"frame": psf.frame, "angle": float(psf.angle), "includes": psf.includes}
            | {"pixel_scale": float(psf.pixel_scale), "wavelength": np.array(psf.wavelength)}
            | {"psf": np.array(psf.images, dtype=np.float32)}
            | ({} if entry.error is None else {"error": float(entry.error)})
        )
    with atomic_file(path, mark=_MARK) as file:
        asdf.AsdfFile({_MARK: FORMAT, "entries": rows}).write_to(file)


def write_cube(path: str | PathLike, psf: PsfImages, limits: tuple[float, float], *, filter: str) -> None:
    """
    Write PSFs of NIRCam's telescope as a FITS cube of the form that STPSF's ``calc_datacube`` has.

    Parameters
    ----------
    path : str or path-like
        File, which must not be there.
    psf : PsfImages
        PSFs without pixels, V3 up.
    limits : tuple of float
        Range of wavelengths [um].
    filter : str
        Effective band to be named.
    """
    wavelength, images = psf.samples(*limits)
    hdu = fits.PrimaryHDU(np.array(list(images), dtype=np.float32))
    header = hdu.header
    header["EXTNAME"] = "OVERSAMP"
    header["INSTRUME"], header["FILTER"] = "NIRCam", filter
    header["PIXELSCL"] = (psf.pixel_scale, "[arcsec] side of a pixel")
    header["NWAVES"] = len(images)
    for index, length in enumerate(wavelength):
        header[f"WAVE{index}"] = (length * 1e-6, "[m]")
    header["VERSION"] = psf.name
    with atomic_file(path, mark=None) as file:
        hdu.writeto(file)


def write_epsf(
    path: str | PathLike, image: np.ndarray, oversampling: int, *, filter: str, pixel: float
) -> None:
    """
    Write the effective PSF of a band, as photutils' ``ImagePSF`` takes it.

    Parameters
    ----------
    path : str or path-like
        File, which must not be there.
    image : ndarray, shape (n, n)
        Effective PSF along the axes of the image that it was measured on; sums to ``oversampling^2``.
    oversampling : int
        Cells per pixel of that image.
    filter : str
        Effective band.
    pixel : float
        Side of a pixel of that image [arcsec].
    """
    hdu = fits.PrimaryHDU(np.asarray(image, dtype=np.float32))
    hdu.header["INSTRUME"], hdu.header["FILTER"] = "NIRCam", filter
    hdu.header["OVERSAMP"] = (oversampling, "cells per pixel: oversampling of photutils")
    hdu.header["PIXELSCL"] = (pixel / oversampling, "[arcsec] side of a cell")
    with atomic_file(path, mark=None) as file:
        hdu.writeto(file)


def read_library(path: str | PathLike) -> tuple[LibraryEntry, ...]:
    """
    Read PSFs.

    Parameters
    ----------
    path : str or path-like
        Library of `write_library` (.asdf), or FITS: a cube of STPSF's ``calc_datacube``, or a PSF that was
        observed, as an image or a cube. An observed PSF needs INSTRUME, PIXELSCL [arcsec] or a celestial
        WCS, and for a cube wavelengths: CTYPE3 = WAVE, or WAVE0, WAVE1, ... [m]. Its direction is that of
        its WCS, or else V3 is up.

    Returns
    -------
    tuple of LibraryEntry
        PSFs.

    Raises
    ------
    InputError
        It cannot be read, or holds no usable PSFs.
    """
    name = Path(path).name
    try:
        if Path(path).suffix.lower() == ".asdf":
            entries = _read_asdf(path, name)
        else:
            with fits.open(path, memmap=False) as hdus:
                entries = (_read_fits(hdus, name),)
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - asdf and astropy raise all kinds for a broken file
        reason = one_line(error)
        raise InputError(
            f"{name}: cannot be read as PSFs ({reason}); give a library of jwst-fusion psf, or FITS"
        ) from error
    for entry in entries:
        check_psf(entry.psf)
    return entries


def _read_asdf(path, name):
    """Entries of a library."""
    with asdf.open(path, memmap=False, lazy_load=False) as file:
        version = file.tree.get(_MARK)
        if version is None:
            raise InputError(f"{name}: not a library of PSFs; make one with jwst-fusion psf")
        if version != FORMAT:
            raise InputError(f"{name}: library of format {version}, {FORMAT} needed; make it again")
        entries = []
        for row in file["entries"]:
            if row["frame"] not in FRAMES or row["includes"] not in INCLUDES:
                raise InputError(f"{name}: frame {row['frame']!r} or includes {row['includes']!r} is unknown")
            psf = SampledPsf(
                wavelength=np.array(row["wavelength"], dtype=np.float64),
                images=np.asarray(row["psf"]),
                pixel_scale=float(row["pixel_scale"]),
                frame=row["frame"],
                angle=float(row["angle"]),
                includes=row["includes"],
                name=name,
            )
            texts = {text: str(row[text]) for text in _TEXTS}
            entries.append(LibraryEntry(psf=psf, error=_error(row, name), **texts))
    return tuple(entries)


def _error(row, name):
    """Error of the PSFs of an entry; None if it was not measured."""
    if "error" not in row:
        return None
    if not 0 < float(row["error"]) < 1:
        raise InputError(f"{name}: error of a PSF is {row['error']}, 0 to 1 possible; make the library again")
    return float(row["error"])


def _read_fits(hdus, name):
    """Entry of a FITS file."""
    hdu = next((h for h in hdus if h.name == "OVERSAMP"), None)
    if hdu is None and any(h.name == "DET_SAMP" for h in hdus):
        raise InputError(
            f"{name}: PSFs on the detector's pixels only (DET_SAMP); save the oversampled ones too (OVERSAMP)"
        )
    simulated = hdu is not None
    if hdu is None:
        hdu = next((h for h in hdus if h.data is not None and np.ndim(h.data) in (2, 3)), None)
    if hdu is None:
        raise InputError(f"{name}: neither an image nor a cube of PSFs")
    header = hdus[0].header.copy()
    header.update(hdu.header)
    images = np.asarray(hdu.data, dtype=np.float32)
    images = images[np.newaxis] if images.ndim == 2 else images
    instrument = str(header.get("INSTRUME", "")).upper()
    if instrument not in ("NIRCAM", "NIRSPEC"):
        raise InputError(
            f"{name}: INSTRUME is {header.get('INSTRUME')}, NIRCAM or NIRSPEC needed; correct the header"
        )
    frame, angle = _direction(header, simulated, instrument)
    band = _band(header) if instrument == "NIRCAM" else str(header.get("FILTER", ""))
    wavelength = _wavelengths(header, len(images), band if instrument == "NIRCAM" else "", name)
    psf = SampledPsf(
        wavelength=wavelength,
        images=images,
        pixel_scale=_pixel_scale(header, name),
        frame=frame,
        angle=angle,
        includes=_content(header, simulated),
        name=name,
    )
    split = "short" if wavelength.mean() < CHANNEL_SPLIT else "long"
    return LibraryEntry(
        instrument=instrument,
        psf=psf,
        channel=split if instrument == "NIRCAM" else "",
        filter="" if instrument == "NIRCAM" and len(images) > 1 else band,
        grating=_word(header, "GRATING") if instrument == "NIRSPEC" else "",
        detector=_word(header, "DET_NAME") or _word(header, "DETECTOR"),
        origin=f"STPSF {_word(header, 'VERSION')}" if simulated else "observed",
    )


def _word(header, key):
    """Value of a keyword; empty if it is absent or none."""
    value = str(header.get(key, "")).strip()
    return "" if value.upper() in ("NONE", "N/A") else value


def _band(header):
    """Effective NIRCam band of a header; empty if it states none."""
    pupil, wide = _word(header, "PUPIL").upper(), _word(header, "FILTER").upper()
    return pupil if pupil in PUPIL_FILTERS else wide


def _content(header, simulated):
    """Contents of the PSFs in words."""
    if not simulated:
        return "all"
    return "jitter" if _word(header, "JITRTYPE") else "telescope"


def _direction(header, simulated, instrument):
    """Frame of an image's y axis and its direction in it [deg]."""
    if simulated:
        if instrument == "NIRCAM":
            return "v3", 0.0
        turned = any("Rotated by 90.00 degrees" in str(line) for line in header.get("HISTORY", []))
        return "aperture", IFUALIGN if turned else 0.0
    wcs = WCS(header).celestial if "CTYPE1" in header else None
    if wcs is None or not wcs.has_celestial:
        return "v3", 0.0
    matrix = wcs.pixel_scale_matrix
    angle = float(np.degrees(np.arctan2(matrix[0, 1], matrix[1, 1])))
    if "PA_V3" in header:
        return "v3", angle - float(header["PA_V3"])
    return "sky", angle


def _pixel_scale(header, name):
    """Side of a pixel [arcsec]."""
    if "PIXELSCL" in header:
        return float(header["PIXELSCL"])
    wcs = WCS(header).celestial if "CTYPE1" in header else None
    if wcs is None or not wcs.has_celestial:
        raise InputError(f"{name}: neither PIXELSCL [arcsec] nor a celestial WCS; add PIXELSCL to the header")
    return float(3600 * np.sqrt(proj_plane_pixel_area(wcs)))


def _wavelengths(header, number, band, name):
    """Wavelengths [um] of the images."""
    stated = {
        int(match[2]): 1e6 * float(value)
        for key, value in header.items()
        if (match := re.fullmatch(r"(WAVE|WAV|WVLN|WAVELN|WVL)(\d+)", key))
    }
    if number > 1 and len(stated) == number:
        return np.array([stated[index] for index in sorted(stated)])
    if number > 1 and str(header.get("CTYPE3", "")).startswith("WAVE") and "CDELT3" in header:
        factor = {"m": 1e6, "um": 1.0, "nm": 1e-3}.get(str(header.get("CUNIT3", "um")), np.nan)
        plane = np.arange(number) + 1 - float(header.get("CRPIX3", 1.0))
        return factor * (float(header["CRVAL3"]) + plane * float(header["CDELT3"]))
    if number == 1 and "WAVELEN" in header:
        return np.array([1e6 * float(header["WAVELEN"])])
    if number == 1 and band:
        return np.array([pivot_wavelength(band, "MULTIPLE")])
    if number == 1:
        return np.array([2.0])
    raise InputError(
        f"{name}: {len(stated)} wavelengths for {number} PSFs; state WAVE0, WAVE1, ... [m] in the header"
    )


def find_entry(
    entries: Sequence[LibraryEntry],
    *,
    instrument: str,
    filter: str = "",
    grating: str = "",
    detector: str = "",
    name: str,
) -> LibraryEntry | None:
    """
    Choose the PSFs of a product.

    Parameters
    ----------
    entries : sequence of LibraryEntry
        A library.
    instrument : {'NIRCAM', 'NIRSPEC'}
        Instrument.
    filter : str
        NIRCam's effective band.
    grating, detector : str
        NIRSpec's grating; detector, to choose between PSFs that fit otherwise.
    name : str
        File name of the library, for messages.

    Returns
    -------
    LibraryEntry or None
        The PSFs; None if the library has nothing of the instrument.

    Raises
    ------
    InputError
        The library has PSFs of the instrument, but of other gratings, channels or filters.
    """
    own = [entry for entry in entries if entry.instrument == instrument]
    if not own:
        return None
    if instrument == "NIRCAM":
        split = channel(filter)
        fitting = [e for e in own if e.filter.upper() == filter.upper()]
        fitting = fitting or [e for e in own if not e.filter and e.channel == split]
        wanted, has = filter, sorted({e.filter or f"{e.channel} channel" for e in own})
    else:
        fitting = [e for e in own if e.grating.upper() in ("", grating.upper())]
        wanted, has = grating, sorted({e.grating for e in own})
    if not fitting:
        raise InputError(
            f"{name}: PSFs of {instrument} for {', '.join(has)}, {wanted} needed; build a library for it "
            "with jwst-fusion psf"
        )
    return next((entry for entry in fitting if entry.detector == detector), fitting[0])
