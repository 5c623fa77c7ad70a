"""Compact storage of arrays, for a page that contains a whole cube."""

import base64
import zlib

import numpy as np

__all__ = ["factor_errors", "pack", "pack_floats", "unpack"]

#: Relative error of the errors of the fused cube that is not seen.
ERROR_TOLERANCE = 0.02

#: Largest number of factors of the errors, and spectra from which they are found.
MAX_FACTORS = 6
SAMPLES = 100

#: Channels from which the maps are solved.
CHANNELS = 64

#: Whole number that stands for an unknown value.
UNKNOWN = 0


def pack(values, step):
    """
    Store an array in integer steps: zigzag numbers, byte by byte, deflated, in base64.

    Parameters
    ----------
    values : ndarray
        Values; NaN where unknown.
    step : float
        Step to which values are rounded.

    Returns
    -------
    dict
        ``shape``, ``step``, ``planes`` (bytes in a number) and ``data``. Numbers are zigzag plus one, zero
        where unknown.
    """
    values = np.asarray(values, dtype=np.float64)
    known = np.isfinite(values)
    step = float(step) if np.isfinite(step) and step > 0 else 1.0
    largest = np.abs(values[known]).max() if known.any() else 0.0
    step = max(step, largest / 2.0**29)
    whole = np.round(np.where(known, values, 0.0) / step).astype(np.int64)
    zigzag = np.where(known, np.where(whole >= 0, 2 * whole, -2 * whole - 1) + 1, UNKNOWN).astype("<u4")
    planes = 1 + sum(int(zigzag.max(initial=0)) >= 256**n for n in (1, 2, 3))
    stacked = zigzag.reshape(-1, 1).view(np.uint8)[:, :planes].T
    data = base64.b64encode(zlib.compress(np.ascontiguousarray(stacked).tobytes(), 6)).decode("ascii")
    return {"shape": list(values.shape), "step": step, "planes": planes, "data": data}


def unpack(packed):
    """Read an array, within half a step, that `pack` has written."""
    stacked = np.frombuffer(zlib.decompress(base64.b64decode(packed["data"])), dtype=np.uint8)
    stacked = stacked.reshape(packed["planes"], -1).astype(np.int64)
    number = sum(plane << (8 * n) for n, plane in enumerate(stacked))
    zigzag = number - 1
    whole = np.where(zigzag % 2, -(zigzag + 1) // 2, zigzag // 2)
    values = np.where(number == UNKNOWN, np.nan, whole * packed["step"])
    return values.reshape(packed["shape"])


def pack_floats(values):
    """Write an array as float32 in base64: a dict of ``shape`` and ``data``."""
    values = np.ascontiguousarray(values, dtype="<f4")
    return {"shape": list(values.shape), "data": base64.b64encode(values.tobytes()).decode("ascii")}


def factor_errors(errors, inside, alive):
    """
    Factorise the errors of a cube into a few spectra times a few maps.

    Parameters
    ----------
    errors : ndarray, shape (n_wave, ny, nx)
        Errors [MJy/sr]; NaN where unknown.
    inside : ndarray of bool, shape (ny, nx)
        Cells of the field.
    alive : ndarray of bool, shape (n_wave,)
        Channels with data.

    Returns
    -------
    spectra : ndarray, shape (n_wave, r)
        Zero for channels without data.
    maps : ndarray, shape (r, ny, nx)
        ``spectra @ maps`` has a median relative error of at most 2 %, or r is 6. NaN outside the field.
    """
    rows, columns = np.nonzero(inside)
    channels = np.flatnonzero(alive)
    spectra = np.zeros((alive.size, 1))
    maps = np.full((1, *inside.shape), np.nan)
    if rows.size == 0 or channels.size == 0:
        return spectra, maps
    chosen = np.unique(np.linspace(0, rows.size - 1, SAMPLES).astype(int))
    few = np.asarray(errors[:, rows[chosen], columns[chosen]], dtype=np.float64)[channels]
    typical = np.nanmedian(few, axis=1, keepdims=True)
    typical = np.where(np.isfinite(typical) & (typical > 0), typical, 1.0)
    few = np.where(np.isfinite(few), few, typical) / typical
    left, values, _ = np.linalg.svd(few, full_matrices=False)
    for rank in range(1, MAX_FACTORS + 1):
        rest = few - left[:, :rank] @ (left[:, :rank].T @ few)
        if rank == len(values) or np.median(np.abs(rest)) < ERROR_TOLERANCE:
            break
    some = channels[np.unique(np.linspace(0, channels.size - 1, CHANNELS).astype(int))]
    at = np.searchsorted(channels, some)
    seen = np.asarray(errors[some][:, inside], dtype=np.float64) / typical[at]
    seen = np.where(np.isfinite(seen), seen, 1.0)
    solved = np.linalg.lstsq(left[at, :rank], seen, rcond=None)[0]
    spectra = np.zeros((alive.size, rank))
    spectra[channels] = typical * left[:, :rank]
    maps = np.full((rank, *inside.shape), np.nan)
    maps[:, inside] = solved
    return spectra, maps
