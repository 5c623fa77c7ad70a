"""Build a library of PSFs: those of a source, at the nodes that a range of wavelengths needs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.optics.library import LibraryEntry
from jwst_fusion.optics.nodes import LIMITS, fixed_nodes
from jwst_fusion.optics.psf import psf_image
from jwst_fusion.optics.sampled import SampledPsf
from jwst_fusion.optics.stpsf_source import SAMPLING, StpsfPsf
from jwst_fusion.optics.telescope import FIELD, telescope_otf
from jwst_fusion.optics.throughput import CHANNEL_SPLIT, channel, transmission

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .sources import PsfSource

__all__ = ["build_nircam", "build_nirspec"]

#: How far PSFs reach beyond the shortest and longest wavelength of the bands: the nodes about a band, too,
#: weigh in it.
MARGIN = 0.88


def build_nircam(
    source: PsfSource,
    *,
    filters: Sequence[str],
    module: str = "B",
    detector: str = "",
    date: str = "",
    progress: Callable | None = None,
) -> LibraryEntry:
    """
    Build the PSFs of NIRCam for filters of one channel.

    Parameters
    ----------
    source : PsfSource
        Source of the PSFs.
    filters : sequence of str
        Effective bands, whose wavelengths are to be covered.
    module, detector, date : str
        Keywords MODULE, DETECTOR and DATE-OBS of the images; may be empty.
    progress : callable, optional
        Called with the number of PSFs done and that of all.

    Returns
    -------
    LibraryEntry
        The PSFs.

    Raises
    ------
    FusionError
        The filters are of different channels, or the source cannot give their PSFs.
    """
    channels = {channel(name) for name in filters}
    if len(channels) != 1:
        raise ParameterError(f"{', '.join(filters)} are of both channels of NIRCam: build a library for each")
    (split,) = channels
    supports = [transmission(name, "MULTIPLE")[0] for name in filters]
    low, high = MARGIN * min(s[0] for s in supports), max(s[-1] for s in supports) / MARGIN
    low, high = (low, min(high, CHANNEL_SPLIT)) if split == "short" else (max(low, CHANNEL_SPLIT), high)
    optics = source.nircam(filter=filters[0], module=module, detector=detector, date=date)
    wavefront = optics.short_wavefront if split == "short" else optics.long_wavefront
    psf, origin = _images(source, optics.psf, wavefront, split, (low, high), progress)
    return LibraryEntry("NIRCAM", psf, channel=split, detector=detector, origin=origin)


def build_nirspec(
    source: PsfSource,
    *,
    grating: str,
    filter: str,
    limits: tuple[float, float],
    detector: str = "",
    date: str = "",
    progress: Callable | None = None,
) -> LibraryEntry:
    """
    Build the PSFs of the NIRSpec IFU for a grating.

    Parameters
    ----------
    source : PsfSource
        Source of the PSFs.
    grating, filter : str
        Keywords GRATING and FILTER of the cube.
    limits : tuple of float
        Range of wavelengths [um].
    detector, date : str
        Keywords DETECTOR and DATE-OBS of the cube; may be empty.
    progress : callable, optional
        Called with the number of PSFs done and that of all.

    Returns
    -------
    LibraryEntry
        The PSFs.

    Raises
    ------
    FusionError
        The source cannot give them.
    """
    optics = source.nirspec(grating=grating, filter=filter, detector=detector, date=date)
    psf, origin = _images(source, optics.psf, optics.wavefront, "IFU", limits, progress)
    return LibraryEntry("NIRSPEC", psf, filter=filter, grating=grating, detector=detector, origin=origin)


def _images(source, psf, wavefront, channel, limits, progress):
    """PSFs over a range, of STPSF, a file or the analytic model's telescope, and their origin."""
    low, high = np.clip(limits, *LIMITS)
    if psf is None:
        return _analytic(wavefront, channel, fixed_nodes(low, high), progress), source.key
    if isinstance(psf, StpsfPsf):
        psf = replace(psf, progress=progress)
    wavelength, images = psf.samples(low, high)
    taken = SampledPsf(
        np.array(wavelength), np.stack(images), psf.pixel_scale, psf.frame, psf.angle, psf.includes, psf.name
    )
    return taken, source.key


def _analytic(wavefront, channel, wavelength, progress):
    """PSFs of the telescope alone by the analytic model."""
    pixel, oversample = SAMPLING[channel]
    scale = pixel / oversample
    side = 2 * round(FIELD / scale / 2) + 1
    wide = 2 * side + 1
    images = np.empty((wavelength.size, side, side), dtype=np.float32)
    start = wide // 2 - side // 2
    for index, length in enumerate(wavelength):
        otf = partial(telescope_otf, position_angle_v3=0.0, wavefront=wavefront)
        whole = psf_image(otf, length, (wide, wide), scale)
        images[index] = whole[start : start + side, start : start + side]
        if progress is not None:
            progress(index + 1, wavelength.size)
    return SampledPsf(wavelength, images, scale)
