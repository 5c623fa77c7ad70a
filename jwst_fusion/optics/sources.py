"""Sources of the PSFs: the analytic model, STPSF, measurements on stars, or a file."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jwst_fusion.exceptions import InputError, ParameterError
from jwst_fusion.optics import stpsf_source
from jwst_fusion.optics.analytic import IFUOptics, NIRCamOptics
from jwst_fusion.optics.library import file_key, find_entry, read_library
from jwst_fusion.optics.throughput import channel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from .retrieval.measure import MeasuredPsf

__all__ = ["SOURCES", "PsfSource", "choose_source", "with_measured"]

log = logging.getLogger(__name__)

SOURCES = ("auto", "measured", "stpsf", "analytic", "library")
"""Values of the parameter psf_source."""


@dataclass(frozen=True, eq=False)
class PsfSource:
    """
    A source of PSFs.

    Attributes
    ----------
    name : {'analytic', 'stpsf', 'library', 'measured'}
        What it is.
    key : str
        What tells its PSFs from others.
    nircam_optics, ifu_optics : NIRCamOptics, IFUOptics
        The optical models, which are complete for the analytic source; others put their PSFs in.
    entries : tuple of LibraryEntry
        PSFs of the file, for a library.
    path : str
        The file.
    rest : PsfSource or None
        Source for what library or measurement lack.
    measured : tuple of MeasuredPsf
        PSFs measured on stars, a channel each.
    """

    name: str
    key: str
    nircam_optics: NIRCamOptics
    ifu_optics: IFUOptics
    entries: tuple = ()
    path: str = ""
    rest: Any = None
    measured: tuple = ()

    def nircam(self, *, filter: str, module: str = "", detector: str = "", date: str = "") -> NIRCamOptics:
        """
        Return the optics of a NIRCam image.

        Parameters
        ----------
        filter : str
            Effective band.
        module, detector, date : str
            Keywords MODULE, DETECTOR and DATE-OBS; may be empty.

        Returns
        -------
        NIRCamOptics
            The optics.

        Raises
        ------
        FusionError
            The source has no PSFs for it.
        """
        if self.name == "analytic":
            return self.nircam_optics
        if self.name == "stpsf":
            psf = stpsf_source.nircam_psf(channel(filter), detector, module, date)
            return replace(self.nircam_optics, psf=psf)
        if self.name == "measured":
            found = next((m for m in self.measured if m.channel == channel(filter)), None)
            if found is None:
                return self.rest.nircam(filter=filter, module=module, detector=detector, date=date)
            return found.nircam(filter, self.nircam_optics)
        entry = find_entry(
            self.entries, instrument="NIRCAM", filter=filter, detector=detector, name=Path(self.path).name
        )
        if entry is None:
            return self.rest.nircam(filter=filter, module=module, detector=detector, date=date)
        return replace(self.nircam_optics, psf=entry.psf, psf_error=entry.error)

    def nirspec(self, *, grating: str, filter: str, detector: str = "", date: str = "") -> IFUOptics:
        """
        Return the optics of a cube of the NIRSpec IFU.

        Parameters
        ----------
        grating, filter, detector, date : str
            Keywords GRATING, FILTER, DETECTOR and DATE-OBS; the latter two may be empty.

        Returns
        -------
        IFUOptics
            The optics.

        Raises
        ------
        FusionError
            The source has no PSFs for it.
        """
        if self.name == "analytic":
            return self.ifu_optics
        if self.name == "stpsf":
            psf = stpsf_source.nirspec_psf(grating, filter, detector, date)
            return replace(self.ifu_optics, psf=psf)
        if self.name == "measured":
            return replace(self.ifu_optics, psf=self.measured[0].psf)
        entry = find_entry(
            self.entries, instrument="NIRSPEC", grating=grating, detector=detector, name=Path(self.path).name
        )
        if entry is None:
            return self.rest.nirspec(grating=grating, filter=filter, detector=detector, date=date)
        return replace(self.ifu_optics, psf=entry.psf)


def choose_source(
    psf_source: str = "auto",
    library: str | PathLike | None = None,
    *,
    wavefront_rms: float | None = None,
    ifu_blur: float | None = None,
) -> PsfSource:
    """
    Choose the source of the PSFs.

    Parameters
    ----------
    psf_source : {'auto', 'measured', 'stpsf', 'analytic', 'library'}
        ``auto``: the library if one is given, else STPSF if STPSF_PATH holds its data, else analytic. So does
        ``measured``, for what cannot be measured, see `with_measured`.
    library : str or path-like, optional
        File of PSFs, see `jwst_fusion.optics.library.read_library`.
    wavefront_rms : float, optional
        Wavefront error of the analytic model, for both instruments and channels [nm].
    ifu_blur : float, optional
        Standard deviation of a Gaussian in place of the IFU's slice, pixel and spaxel [arcsec].

    Returns
    -------
    PsfSource
        The source.

    Raises
    ------
    FusionError
        The source cannot be used, or the parameters contradict each other.
    """
    if psf_source not in SOURCES:
        raise ParameterError(f"psf_source = {psf_source!r} is unknown: use {', '.join(SOURCES)}")
    if library is not None and psf_source not in ("auto", "library"):
        raise ParameterError(
            f"psf_source = {psf_source} and override_fusion_psf = {library} contradict each other: give one "
            "of them"
        )
    models = _models(wavefront_rms, ifu_blur)
    if library is not None:
        rest = choose_source("auto", wavefront_rms=wavefront_rms, ifu_blur=ifu_blur)
        entries = read_library(library)
        _tell_what_is_lacking(entries, Path(library).name, rest)
        return PsfSource(
            "library",
            _key(file_key(library), models, rest, entries),
            models[0],
            models[1],
            entries,
            str(library),
            rest,
        )
    if psf_source == "library":
        raise ParameterError("psf_source = library needs a file: give it as override_fusion_psf")
    if psf_source == "stpsf" or (psf_source in ("auto", "measured") and _stpsf_has_data()):
        version = f"stpsf {metadata.version('stpsf')} data {stpsf_source.data_version()}"
        return PsfSource("stpsf", _key(version, models), *models)
    return PsfSource("analytic", _key("analytic", models), *models)


def with_measured(source: PsfSource, measured: Sequence[MeasuredPsf]) -> PsfSource:
    """
    Put PSFs that were measured on stars before those of a source.

    Parameters
    ----------
    source : PsfSource
        Source for what was not measured.
    measured : sequence of MeasuredPsf
        PSFs of NIRCam's channels; the wavefront of the first is the IFU's too.

    Returns
    -------
    PsfSource
        The source; as it is if nothing was measured.
    """
    if not measured:
        return source
    key = "measured " + ", ".join(f"{m.channel} {m.key}" for m in measured)
    models = source.nircam_optics, source.ifu_optics
    return PsfSource("measured", _key(key, models), *models, measured=tuple(measured), rest=source)


def _stpsf_has_data():
    """Check whether STPSF can be used; warn where it seems to be wanted but cannot."""
    if not os.environ.get("STPSF_PATH"):
        return False
    try:
        stpsf_source.data_version()
    except ParameterError as problem:
        log.warning("%s. The analytic PSFs are used", problem)
        return False
    return True


def _models(wavefront_rms, ifu_blur):
    """Optical models with the user's parameters."""
    nircam, ifu = NIRCamOptics(), IFUOptics()
    if wavefront_rms is not None:
        if not (np.isfinite(wavefront_rms) and 0 <= wavefront_rms <= 500):
            raise ParameterError(
                f"wavefront_rms = {wavefront_rms} cannot be used: it must be between 0 and 500 nm"
            )
        nircam = replace(
            nircam,
            short_wavefront=replace(nircam.short_wavefront, rms=float(wavefront_rms)),
            long_wavefront=replace(nircam.long_wavefront, rms=float(wavefront_rms)),
        )
        ifu = replace(ifu, wavefront=replace(ifu.wavefront, rms=float(wavefront_rms)))
    if ifu_blur is not None:
        if not (np.isfinite(ifu_blur) and 0 < ifu_blur <= 0.5):
            raise ParameterError(
                f"ifu_blur = {ifu_blur} cannot be used: it must be above 0 and at most 0.5 arcsec"
            )
        ifu = replace(ifu, blur="gaussian", sigma=float(ifu_blur))
    return nircam, ifu


def _tell_what_is_lacking(entries, name, rest):
    """Refuse a library without PSFs of either instrument; warn of one that lacks those of one."""
    known = {entry.instrument for entry in entries}
    lacking = [instrument for instrument in ("NIRCAM", "NIRSPEC") if instrument not in known]
    if len(lacking) == 2:
        raise InputError(
            f"{name}: PSFs of {', '.join(sorted(known)) or 'nothing'}, of NIRCAM or NIRSPEC needed; build a "
            "library with jwst-fusion psf, or correct INSTRUME"
        )
    for instrument in lacking:
        log.warning("%s: no PSFs of %s: those of the source %s are used", name, instrument, rest.name)


def _key(name, models, rest=None, entries=()):
    """Identify a source in one line."""
    nircam, ifu = models
    words = [name]
    if name == "analytic":
        rms = [w.rms for w in (nircam.short_wavefront, nircam.long_wavefront, ifu.wavefront)]
        words.append("wavefront " + "/".join(f"{r:g}" for r in rms) + " nm")
    words.append(f"IFU {ifu.sigma:g}" if ifu.blur == "gaussian" else "IFU boxes")
    if {entry.instrument for entry in entries} == {"NIRCAM"}:
        words.append(f"NIRSpec by {rest.key}")
    elif {entry.instrument for entry in entries} == {"NIRSPEC"}:
        words.append(f"NIRCam by {rest.key}")
    return ", ".join(words)
