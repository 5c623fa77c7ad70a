"""PSFs that STPSF computes, at nodes in wavelength only, and kept for the next time."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
import socket
import warnings
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from jwst_fusion.atomic import atomic_file
from jwst_fusion.exceptions import InputError, ParameterError, one_line
from jwst_fusion.optics.nodes import LIMITS, fixed_nodes
from jwst_fusion.optics.sampled import PsfImages
from jwst_fusion.optics.telescope import FIELD
from jwst_fusion.optics.throughput import CHANNEL_SPLIT

__all__ = ["StpsfPsf", "cache_folder", "data_version", "nircam_psf", "nirspec_psf"]

log = logging.getLogger(__name__)

#: Oldest version of STPSF's data files that its version 2.2 reads.
OLDEST_DATA = (2, 1, 0)

#: Side of a detector pixel [arcsec] and how finely it is sampled. STPSF's default of 4 is too coarse for the
#: IFU's large pixels.
SAMPLING = {"short": (0.0312, 4), "long": (0.0624, 4), "IFU": (0.104, 8)}

DEFAULT_OPD = "JWST_OTE_OPD_cycle1_example_2022-07-30.fits"

#: Time to wait for the archive of wavefronts [s].
PATIENCE = 15.0


def cache_folder() -> Path:
    """
    Return the folder where PSFs of STPSF are kept.

    Returns
    -------
    pathlib.Path
        ``jwst_fusion/psf`` in the user's cache folder: XDG_CACHE_HOME, or ``~/.cache``.
    """
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "jwst_fusion" / "psf"


def data_version() -> str:
    """
    Check STPSF's data files.

    Returns
    -------
    str
        Their version.

    Raises
    ------
    ParameterError
        STPSF_PATH is not set, or the folder has no data or too old ones.
    """
    path = os.environ.get("STPSF_PATH")
    if not path:
        raise ParameterError("STPSF_PATH is not set; set it to the folder of STPSF's data files")
    try:
        version = (Path(path) / "version.txt").read_text(encoding="utf-8").strip()
        numbers = tuple(int(part) for part in version.split(".")[:3])
    except (OSError, ValueError):
        raise ParameterError(
            f"STPSF_PATH = {path} holds no data of STPSF (no readable version.txt); install its data files"
        ) from None
    if numbers < OLDEST_DATA:
        raise ParameterError(
            f"STPSF_PATH = {path} holds data of version {version}, "
            f"{'.'.join(map(str, OLDEST_DATA))} or newer needed; install newer data files"
        )
    return version


@dataclass(frozen=True)
class StpsfPsf(PsfImages):
    """
    PSFs of STPSF, computed when they are asked for.

    Attributes
    ----------
    instrument : {'NIRCam', 'NIRSpec'}
        STPSF's class.
    detector : str
        Detector, by STPSF's name.
    channel : {'short', 'long', 'IFU'}
        NIRCam's channel, or the IFU.
    disperser, blocking_filter : str
        NIRSpec's grating and filter; empty for NIRCam.
    opd : str
        File of the telescope's wavefront; ``default`` for STPSF's, ``none`` for a perfect telescope.
    instrument_wavefront : bool
        Whether the instrument's own wavefront error is added.
    versions : tuple of str
        Versions of STPSF and of its data files, and hashes of its pupil and wavefront.
    folder : pathlib.Path
        Where PSFs are kept.
    progress : callable or None
        Called with the number of PSFs done and that of all.
    """

    instrument: str
    detector: str
    channel: str
    disperser: str = ""
    blocking_filter: str = ""
    opd: str = "default"
    instrument_wavefront: bool = True
    versions: tuple = ()
    folder: Path = field(default_factory=cache_folder, compare=False)
    progress: Any = field(default=None, compare=False)

    angle = 0.0
    includes = "telescope"

    @property
    def frame(self) -> str:
        """The telescope's frame for NIRCam, the aperture's for the IFU."""
        return "aperture" if self.channel == "IFU" else "v3"

    @property
    def pixel_scale(self) -> float:  # type: ignore[override] # the base has it as an attribute
        """Side of a pixel of the images [arcsec]."""
        pixel, oversample = SAMPLING[self.channel]
        return pixel / oversample

    @property
    def limits(self) -> tuple[float, float]:
        """Shortest and longest wavelength that STPSF computes [um]."""
        low, high = LIMITS
        return {"short": (low, CHANNEL_SPLIT), "long": (CHANNEL_SPLIT, high), "IFU": LIMITS}[self.channel]

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the PSFs in messages."""
        return f"STPSF {self.instrument} {self.detector}"

    @property
    def key(self) -> str:
        """Digest of all that the images depend on, their wavelength apart."""
        stated = {k: v for k, v in asdict(self).items() if k not in ("folder", "progress")}
        stated |= {"field": FIELD, "sampling": SAMPLING[self.channel], "format": 1}
        return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()[:16]

    def samples(self, wavelength_min: float, wavelength_max: float) -> tuple[np.ndarray, list[np.ndarray]]:
        """
        Compute the PSFs that a range of wavelengths needs, or read them where they are kept.

        Parameters
        ----------
        wavelength_min, wavelength_max : float
            Range [um].

        Returns
        -------
        wavelength : ndarray, shape (n,)
            Their wavelengths [um].
        images : list of ndarray, shape (m, m)
            PSFs.

        Raises
        ------
        ParameterError
            STPSF cannot compute them.
        """
        at = fixed_nodes(wavelength_min, wavelength_max)
        images = [self._read(wavelength) for wavelength in at]
        missing = [i for i, image in enumerate(images) if image is None]
        if missing:
            log.info("%s: computing PSFs at %d of %d wavelengths", self.name, len(missing), at.size)
            with _quiet():
                instrument = _failing_clearly(self._set_up, self.name)
                for i in missing:
                    images[i] = _failing_clearly(lambda i=i: self._compute(instrument, at[i]), self.name)
                    self._keep(at[i], images[i])
                    if self.progress is not None:
                        self.progress(at.size - sum(image is None for image in images), at.size)
        return at, images

    def _path(self, wavelength):
        """Where the PSF of a wavelength is kept."""
        return self.folder / self.key / f"{wavelength:.6f}.npy"

    def _read(self, wavelength):
        """PSF that is kept; None if there is none, or a broken one."""
        try:
            return np.load(self._path(wavelength))
        except (OSError, ValueError, EOFError):
            return None

    def _keep(self, wavelength, image):
        """Keep a PSF; a run that cannot write to the cache goes on."""
        path = self._path(wavelength)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(path, mark="") as file:  # a broken one is replaced
                np.save(file, image)
        except (OSError, InputError) as error:
            log.warning("%s: a PSF cannot be kept (%s)", path, one_line(error))

    def _set_up(self):
        """Instrument of STPSF, set as the product's."""
        with contextlib.redirect_stderr(io.StringIO()):  # pysiaf tells that it cannot reach the network
            import stpsf

        instrument = getattr(stpsf, self.instrument)()
        if self.channel == "IFU":
            instrument.detector = self.detector
            instrument.mode = "IFU"
            instrument.disperser, instrument.filter = self.disperser, self.blocking_filter
            instrument.options["ifualign_rotation"] = False
        else:
            instrument.filter = {"short": "F200W", "long": "F356W"}[self.channel]
            instrument.detector = self.detector
        instrument.pixelscale = SAMPLING[self.channel][0]
        instrument.include_si_wfe = self.instrument_wavefront
        instrument.options["jitter"] = None
        if self.opd == "none":
            instrument.pupilopd = None
        elif self.opd != "default":
            instrument.load_wss_opd(self.opd, verbose=False, plot=False)
        return instrument

    def _compute(self, instrument, wavelength):
        """PSF at a wavelength [um]."""
        hdus = instrument.calc_psf(
            monochromatic=wavelength * 1e-6,
            oversample=SAMPLING[self.channel][1],
            fov_arcsec=FIELD,
            add_distortion=False,
        )
        return hdus["OVERSAMP"].data.astype(np.float32)


def nircam_psf(channel: str, detector: str, module: str, date: str, **options) -> StpsfPsf:
    """
    Set up STPSF for a NIRCam image.

    Parameters
    ----------
    channel : {'short', 'long'}
        NIRCam's channel.
    detector, module : str
        Keywords DETECTOR and MODULE of the image; of a mosaic of several, the first detector is taken.
    date : str
        Date of the observation, for the wavefront of that day.
    **options
        Passed on to `StpsfPsf`.

    Returns
    -------
    StpsfPsf
        The PSFs.
    """
    name = str(detector or "").upper().replace("LONG", "5")
    if name not in {f"NRC{m}{n}" for m in "AB" for n in (range(1, 5) if channel == "short" else [5])}:
        name = f"NRC{'B' if str(module).upper() == 'B' else 'A'}{1 if channel == 'short' else 5}"
    return StpsfPsf(
        "NIRCam", name, channel, **(_telescope(str(date or ""), os.environ.get("STPSF_PATH")) | options)
    )


def nirspec_psf(grating: str, blocking_filter: str, detector: str, date: str, **options) -> StpsfPsf:
    """
    Set up STPSF for a cube of the NIRSpec IFU.

    Parameters
    ----------
    grating, blocking_filter, detector : str
        Keywords GRATING, FILTER and DETECTOR of the cube.
    date : str
        Date of the observation, for the wavefront of that day.
    **options
        Passed on to `StpsfPsf`.

    Returns
    -------
    StpsfPsf
        The PSFs.
    """
    detector = "NRS2" if str(detector).upper() == "NRS2" else "NRS1"
    names = {"disperser": str(grating).upper(), "blocking_filter": str(blocking_filter).upper()}
    return StpsfPsf(
        "NIRSpec",
        detector,
        "IFU",
        **(names | _telescope(str(date or ""), os.environ.get("STPSF_PATH")) | options),
    )


@cache
def _telescope(date, path):
    """Wavefronts available for a date, and versions; determined and logged once per process."""
    version = data_version()
    folder = Path(path)
    instrument_wavefront = (folder / "si_zernikes_isim_cv3.fits").is_file()
    if not instrument_wavefront:
        log.warning("STPSF_PATH has no wavefront errors of the instruments: they are left out")
    # the wavefront of a day was measured through an instrument, whose part has to be known
    opd = _find_opd(date if instrument_wavefront else "", folder)
    files = [*sorted(folder.glob("jwst_pupil_RevW_npix1024.fits*"))[:1]]
    files += [folder / DEFAULT_OPD] if opd == "default" else []
    files += [Path(opd)] if opd not in ("default", "none") else []
    digests = tuple(hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in files)
    return {
        "opd": opd,
        "instrument_wavefront": instrument_wavefront,
        "versions": (metadata.version("stpsf"), version, *digests),
    }


def _find_opd(date, folder):
    """File of the wavefront measured closest to a date; default, or none, if it cannot be had."""
    if not (folder / DEFAULT_OPD).is_file():
        log.warning("STPSF_PATH has no wavefront of the telescope (%s): taken as perfect", DEFAULT_OPD)
        return "none"
    if not date:
        return "default"
    try:
        with _quiet(), _patient():
            from stpsf import mast_wss

            return str(mast_wss.get_opd_at_time(f"{date[:10]}T00:00:00", choice="closest"))
    except Exception as error:  # noqa: BLE001 - astroquery, requests and astropy raise all kinds without network
        reason = one_line(error)[:120]
        log.warning("No wavefront of %s is available (%s): STPSF's default is used", date[:10], reason)
        return "default"


def _failing_clearly(call, name):
    """Call STPSF; raise its failure as a ParameterError."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - STPSF and poppy raise all kinds for data that are not there
        reason = one_line(error)[:200]
        raise ParameterError(
            f"{name}: STPSF fails ({reason}); install its data files anew, or set psf_source = analytic"
        ) from error


@contextlib.contextmanager
def _quiet():
    """Suppress output and warnings of STPSF and its libraries."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _patient():
    """Limit the time to wait for an answer of the network."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
