"""Throughputs of the NIRCam bands, and their weights on the channels of a cube."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import asdf
import numpy as np

from jwst_fusion.exceptions import InputError, ParameterError, one_line

if TYPE_CHECKING:
    from os import PathLike

__all__ = [
    "CHANNEL_SPLIT",
    "PUPIL_FILTERS",
    "Throughput",
    "bandpass",
    "channel",
    "effective_filter",
    "filter_names",
    "pivot_wavelength",
    "read_throughputs",
    "transmission",
]

CHANNEL_SPLIT = 2.35
"""Wavelength between NIRCam's short and long channel [um]."""

PUPIL_FILTERS = {
    "F162M": "F150W2",
    "F164N": "F150W2",
    "F323N": "F322W2",
    "F405N": "F444W",
    "F466N": "F444W",
    "F470N": "F444W",
}
"""Filters of the pupil wheel, and the wide filter that stands in the filter wheel with each."""

_GAP_FACTOR = 1.5


@dataclass(frozen=True, eq=False)
class Throughput:
    """
    Throughput of a band that a user brings.

    Attributes
    ----------
    wavelength : ndarray, shape (n,)
        Wavelengths [um], ascending.
    values : ndarray, shape (n,)
        Detected electrons per photon that reaches the telescope; only their course matters.
    """

    wavelength: np.ndarray
    values: np.ndarray


@cache
def _table():
    """Read the packaged throughputs: {filter: {"wavelength", "A", "B": array, "pivot": float}}."""
    path = resources.files("jwst_fusion") / "data" / "nircam_throughput.asdf"
    with resources.as_file(path) as name, asdf.open(name, memmap=False, lazy_load=False) as file:
        return {
            band: {
                "pivot": float(entry["pivot"]),
                **{key: _frozen(entry[key]) for key in ("wavelength", "A", "B")},
            }
            for band, entry in file["filters"].items()
        }


def _frozen(values):
    """Copy an array to float64 that cannot be written to."""
    array = np.array(values, dtype=np.float64)
    array.flags.writeable = False
    return array


def filter_names() -> tuple[str, ...]:
    """
    Name the bands with a packaged throughput.

    Returns
    -------
    tuple of str
        Effective bands, ascending in name.
    """
    return tuple(sorted(_table()))


def effective_filter(filter: str, pupil: str) -> str:
    """
    Name the band that an image was taken in.

    Six filters sit in NIRCam's pupil wheel; FILTER then names the wide filter in front of them.

    Parameters
    ----------
    filter, pupil : str
        Values of the keywords FILTER and PUPIL.

    Returns
    -------
    str
        The effective band: F162M for FILTER=F150W2, PUPIL=F162M.

    Raises
    ------
    InputError
        If FILTER, PUPIL or the pair of them is none of the imaging modes.
    """
    wide = str(filter or "").strip().upper()
    element = str(pupil or "").strip().upper()
    if wide not in _table():
        exchanged = " (are they exchanged?)" if element in _table() else ""
        raise InputError(
            f"found FILTER={filter} with PUPIL={pupil}{exchanged}, expected a filter of direct imaging "
            f"({', '.join(filter_names())}); correct the header or leave the image out"
        )
    if element in PUPIL_FILTERS:
        if wide not in (PUPIL_FILTERS[element], element):
            raise InputError(
                f"found FILTER={filter} with PUPIL={pupil}, expected FILTER={PUPIL_FILTERS[element]} with "
                "that filter of the pupil wheel; correct the header or leave the image out"
            )
        return element
    if element == "CLEAR":
        return wide
    raise InputError(
        f"found PUPIL={pupil} with FILTER={filter}, expected CLEAR or a filter of the pupil wheel "
        f"({', '.join(PUPIL_FILTERS)}); correct the header or leave out data that are not from direct imaging"
    )


def transmission(filter: str, module: str, curve: Throughput | None = None) -> tuple[np.ndarray, np.ndarray]:
    """
    Return the total system throughput of a band.

    Parameters
    ----------
    filter : str
        Effective band, see `effective_filter`.
    module : str
        NIRCam module: 'A', 'B', or 'MULTIPLE' for the mean of the two.
    curve : Throughput, optional
        The user's, in place of the packaged one.

    Returns
    -------
    wavelength : ndarray, shape (n,)
        Wavelengths [um], ascending.
    throughput : ndarray, shape (n,)
        Detected electrons per photon that reaches the telescope.

    Raises
    ------
    InputError
        If the band or the module is unknown.

    Notes
    -----
    In-flight throughputs of webbpsf_ext 2.0.1, mean of the detectors of a module. Where the table
    ends the throughput is below 1e-4 of the peak and taken as zero.
    """
    entry = _table().get(str(filter).strip().upper())
    if entry is None:
        raise InputError(f"found band {filter}, expected one of {', '.join(filter_names())}")
    if curve is not None:
        return curve.wavelength, curve.values
    return entry["wavelength"], _of_module(entry, module)


def _of_module(entry, module):
    """Throughput of a module, or the mean of both."""
    name = str(module).strip().upper()
    if name == "MULTIPLE":
        return 0.5 * (entry["A"] + entry["B"])
    if name not in ("A", "B"):
        raise InputError(f"found MODULE={module}, expected A, B or MULTIPLE; correct the header")
    return entry[name]


def read_throughputs(path: str | PathLike) -> dict:
    """
    Read throughputs that a user brings.

    Parameters
    ----------
    path : str or path-like
        Text with two columns, wavelength [um] and throughput, as STScI publishes them: its name begins with
        the band's (``F182M_mean_system_throughput.txt``). Or ASDF laid out as the packaged table:
        ``filters: {F182M: {wavelength, A, B}}``, or ``{wavelength, throughput}`` for both modules.

    Returns
    -------
    dict of dict of Throughput
        By effective band and module ('A', 'B', 'MULTIPLE').

    Raises
    ------
    InputError
        The file cannot be read, names no band of NIRCam, or has no usable numbers.
    """
    name = Path(path).name
    try:
        if Path(path).suffix.lower() == ".asdf":
            with asdf.open(path, memmap=False, lazy_load=False) as file:
                rows = {
                    str(band).upper(): {key: _frozen(value) for key, value in entry.items() if key != "pivot"}
                    for band, entry in file["filters"].items()
                }
        else:
            rows = {_band_in_name(name): _two_columns(path)}
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - asdf and numpy raise all kinds for a broken file
        reason = one_line(error)[:200]
        raise InputError(
            f"{name}: cannot be read as throughputs ({reason}); give two columns, wavelength [um] and "
            "throughput, or an ASDF file of filters"
        ) from error
    return {band: _checked(band, entry, name) for band, entry in rows.items()}


def _band_in_name(name):
    """Band that the name of a file begins with."""
    match = re.match(r"(?:nircam_)?(F\d{3}(?:W2|W|M|N))(?![A-Z0-9])", name, re.IGNORECASE)
    band = match[1].upper() if match else None
    if band not in _table():
        raise InputError(
            f"{name}: its name does not contain the band; let it begin with a NIRCam filter, as in "
            "F182M_throughput.txt"
        )
    return band


def _two_columns(path):
    """Wavelength and throughput of a text file, whose first line may be a heading."""
    with open(path, encoding="utf-8") as file:
        lines = [line for line in file if line.strip() and not line.lstrip().startswith("#")]
    if lines and not re.match(r"\s*[-+.\d]", lines[0]):
        lines = lines[1:]
    table = np.loadtxt([line.replace(",", " ") for line in lines], usecols=(0, 1), ndmin=2)
    return {"wavelength": table[:, 0], "throughput": table[:, 1]}


def _checked(band, entry, name):
    """Throughputs of a band, by module."""
    if band not in _table():
        raise InputError(f"{name}: {band} is not a NIRCam filter ({', '.join(filter_names())})")
    both = entry.get("throughput")
    curves = {"A": entry.get("A", both), "B": entry.get("B", both)}
    wavelength = np.asarray(entry.get("wavelength", ()), dtype=np.float64)
    for curve in curves.values():
        fits = curve is not None and np.shape(curve) == wavelength.shape and wavelength.size >= 3
        if not (fits and np.isfinite(curve).all() and np.max(curve) > 0 and (np.diff(wavelength) > 0).all()):
            raise InputError(
                f"{name}: no usable throughput of {band}: at least 3 ascending wavelengths [um] and finite "
                "values, not all zero, are needed"
            )
    packaged = _table()[band]["pivot"]
    if not 0.8 * wavelength[0] < packaged < 1.2 * wavelength[-1]:
        raise InputError(
            f"{name}: wavelengths of {band} from {wavelength[0]:g} to {wavelength[-1]:g}, but it lies "
            f"at {packaged:.2f} um: give them in um"
        )
    curves["MULTIPLE"] = 0.5 * (np.asarray(curves["A"], dtype=float) + curves["B"])
    return {m: Throughput(wavelength, np.maximum(np.asarray(c, float), 0.0)) for m, c in curves.items()}


def pivot_wavelength(filter: str, module: str, curve: Throughput | None = None) -> float:
    """
    Compute the pivot wavelength of a band.

    For a photon-counting throughput T it is sqrt(int T l dl / int T / l dl).

    Parameters
    ----------
    filter, module : str
        Effective band, and module 'A', 'B' or 'MULTIPLE'.
    curve : Throughput, optional
        The user's, in place of the packaged one.

    Returns
    -------
    float
        Pivot wavelength [um].

    Raises
    ------
    InputError
        If the band or the module is unknown.
    """
    wavelength, throughput = transmission(filter, module, curve)
    above = np.trapezoid(throughput * wavelength, wavelength)
    below = np.trapezoid(throughput / wavelength, wavelength)
    return float(np.sqrt(above / below))


def channel(filter: str) -> str:
    """
    Find NIRCam's channel of a band.

    Parameters
    ----------
    filter : str
        Effective band.

    Returns
    -------
    {'short', 'long'}
        Channel below and above 2.35 um.

    Raises
    ------
    InputError
        If the band is unknown.
    """
    return "short" if pivot_wavelength(filter, "MULTIPLE") < CHANNEL_SPLIT else "long"


def bandpass(
    filter: str,
    module: str,
    wavelength: np.ndarray,
    *,
    usable: np.ndarray | None = None,
    curve: Throughput | None = None,
) -> tuple[np.ndarray, float]:
    """
    Weigh the channels of a cube to match a band image in surface brightness.

    An image in MJy/sr is the photon-weighted mean of the scene's spectrum:
    ``image = sum_l weights[l] * scene[l]`` with weights T(l) dl / l. The throughput is integrated
    over each channel, not sampled at its centre.

    Parameters
    ----------
    filter, module : str
        Effective band, and module 'A', 'B' or 'MULTIPLE'.
    wavelength : ndarray, shape (n_wave,)
        Wavelengths of the channels [um], strictly ascending; spacing may vary. A channel reaches half
        way to its neighbours, but not into a gap (more than 1.5 times the spacing on both sides of it).
    usable : ndarray of bool, shape (n_wave,), optional
        Channels with data; the others get no weight and count as missing.
    curve : Throughput, optional
        The user's, in place of the packaged one.

    Returns
    -------
    weights : ndarray, shape (n_wave,)
        Weights, summing to one; all zero where no usable channel lies within the band.
    covered_fraction : float
        Share of the band's int T dl / l within the usable channels.

    Raises
    ------
    InputError
        If the band or the module is unknown.
    ParameterError
        If the wavelengths are not ascending or `usable` does not match them.
    """
    lower, upper = _channel_edges(wavelength)
    grid, throughput = transmission(filter, module, curve)
    fine = np.unique(np.concatenate([grid, lower, upper]))
    rate = np.interp(fine, grid, throughput, left=0.0, right=0.0) / fine
    cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (rate[1:] + rate[:-1]) * np.diff(fine))])
    weights = np.interp(upper, fine, cumulative) - np.interp(lower, fine, cumulative)
    if usable is not None:
        keep = np.asarray(usable, dtype=bool)
        if keep.shape != weights.shape:
            raise ParameterError(
                f"found a mask of shape {keep.shape}, expected {weights.shape}, one value per channel"
            )
        weights = np.where(keep, weights, 0.0)
    inside = weights.sum()
    if inside <= 0:
        return np.zeros_like(weights), 0.0
    total = np.trapezoid(throughput / grid, grid)
    return weights / inside, float(min(inside / total, 1.0))


def _channel_edges(wavelength):
    """Lower and upper edges [um] of channels, each (n_wave,), that do not reach into gaps."""
    centre = np.asarray(wavelength, dtype=np.float64)
    if centre.ndim != 1 or centre.size < 2:
        raise ParameterError(f"found wavelengths of shape {centre.shape}, expected at least two channels")
    step = np.diff(centre)
    if not (np.all(step > 0) and centre[0] > 0 and np.isfinite(centre[-1])):
        raise ParameterError("found wavelengths that do not ascend, expected positive and ascending ones")
    reach = step.copy()
    if step.size > 1:
        padded = np.concatenate([[0.0], step, [0.0]])
        beside = np.maximum(padded[:-2], padded[2:])
        reach = np.where(step > _GAP_FACTOR * beside, beside, step)
    lower = centre - 0.5 * np.concatenate([reach[:1], reach])
    upper = centre + 0.5 * np.concatenate([reach, reach[-1:]])
    return lower, upper
