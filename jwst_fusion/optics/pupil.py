"""The telescope's entrance pupil and its autocorrelation."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import NamedTuple

import numpy as np
from scipy import fft, ndimage

from jwst_fusion.exceptions import ParameterError

__all__ = ["Autocorrelation", "autocorrelation", "evaluate", "pupil_amplitude", "pupil_autocorrelation"]

SPACING = 3.2e-3
"""Side of a cell of the pupil raster [m]."""

_BLOCK = 64
_ROUNDING = 1e-6


class Autocorrelation(NamedTuple):
    """
    Autocorrelation of a real pupil, one at zero baseline.

    Attributes
    ----------
    values : ndarray of float32, shape (n, 2 n - 1)
        Values at baselines (row * spacing, (column - n + 1) * spacing) along (V3, V2); the other half
        plane follows from R(-D) = R(D).
    spacing : float
        Spacing of the baselines [m].
    """

    values: np.ndarray
    spacing: float


@cache
def _geometry():
    """Read the packaged pupil: circumscribed diameter [m], segments and struts as vertices (V2, V3) [m]."""
    path = resources.files("jwst_fusion") / "data" / "jwst_pupil.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    polygons = [
        tuple(np.array(polygon, dtype=np.float64) for polygon in content[key].values())
        for key in ("segments", "struts")
    ]
    return float(content["circumscribed_diameter"]), *polygons


def pupil_amplitude(*, spacing: float = SPACING, frame: np.ndarray | None = None) -> np.ndarray:
    """
    Raster the telescope's pupil with grey edges.

    Parameters
    ----------
    spacing : float, optional
        Side of a cell [m].
    frame : ndarray, shape (2, 2), optional
        Directions of x and y in (V2, V3), its columns, orthogonal and of length one; by default x is along
        V2 and y along V3.

    Returns
    -------
    ndarray of float32, shape (n, n)
        Open share of each cell, 0 to 1; x and y ascend, the centre is in the middle.

    Raises
    ------
    ParameterError
        If the spacing is not between 0.5 mm and 0.2 m.

    Notes
    -----
    Segments and struts of stpsf.constants. The share of each polygon in a cell is exact; where a strut
    crosses a segment's edge they are taken as independent.
    """
    if not 5e-4 <= spacing <= 0.2:
        raise ParameterError(f"found a pupil spacing of {spacing} m, expected 0.0005 to 0.2 m")
    diameter, segments, struts = _geometry()
    axes = np.eye(2) if frame is None else frame
    half = int(np.ceil(0.5 * diameter / spacing))
    edges = np.arange(-half, half + 1) * spacing
    mirror = np.zeros((2 * half, 2 * half), dtype=np.float32)
    shade = np.zeros_like(mirror)
    for polygon in segments:
        window, share = _coverage(polygon @ axes, edges)
        mirror[window] += share
    for polygon in struts:
        window, share = _coverage(polygon @ axes, edges)
        np.maximum(shade[window], share, out=shade[window])
    np.minimum(mirror, 1.0, out=mirror)
    np.subtract(1.0, shade, out=shade)
    mirror *= shade
    return mirror


def _coverage(polygon, edges):
    """
    Window of cells around a simple polygon, and the share of each cell within it.

    Each side is cut at the lines of the grid. A piece that rises by dy leaves dy times the part of its
    cell to the right of it in that cell, and dy in all cells further right: a cumulative sum along x.
    """
    vertices = (polygon - edges[0]) / (edges[1] - edges[0])
    low = np.floor(vertices.min(axis=0)).astype(int)
    columns, rows = np.ceil(vertices.max(axis=0)).astype(int) - low
    cover = np.zeros((rows, columns + 1))
    for start, end in zip(vertices - low, np.roll(vertices - low, -1, axis=0), strict=True):
        points = _cut(start, end)
        middle = 0.5 * (points[1:] + points[:-1])
        rise = np.diff(points[:, 1])
        column = np.clip(middle[:, 0].astype(int), 0, columns - 1)
        row = np.clip(middle[:, 1].astype(int), 0, rows - 1)
        left = middle[:, 0] - column
        np.add.at(cover, (row, column), rise * (1 - left))
        np.add.at(cover, (row, column + 1), rise * left)
    window = np.s_[low[1] : low[1] + rows, low[0] : low[0] + columns]
    return window, np.abs(np.cumsum(cover, axis=1)[:, :-1])


def _cut(start, end):
    """Points (n, 2) along a side from start to end, at its ends and where it meets a line of the grid."""
    fractions = [[0.0, 1.0]]
    for begin, finish in zip(start, end, strict=True):
        if begin != finish:
            lines = np.arange(np.ceil(min(begin, finish)), max(begin, finish))
            fractions.append((lines - begin) / (finish - begin))
    along = np.sort(np.clip(np.concatenate(fractions), 0, 1))
    return start + along[:, np.newaxis] * (end - start)


def autocorrelation(amplitude: np.ndarray, spacing: float) -> Autocorrelation:
    """
    Autocorrelate a real pupil.

    Parameters
    ----------
    amplitude : ndarray, shape (n, n)
        Amplitude on cells, V2 ascending along x and V3 along y.
    spacing : float
        Side of a cell [m].

    Returns
    -------
    Autocorrelation
        The autocorrelation over the pupil's area, the sum of the amplitude.

    Notes
    -----
    Only at zero baseline does a grey edge, being squared, differ from the open area; there the value is
    the exact one. Dividing by the sum of squares instead would raise the whole OTF.
    """
    n = amplitude.shape[0]
    size = fft.next_fast_len(2 * n - 1, real=True)
    rows = fft.rfft(np.asarray(amplitude, dtype=np.float32), n=size, axis=1)
    for start in range(0, rows.shape[1], _BLOCK):
        block = np.s_[:, start : start + _BLOCK]
        columns = fft.fft(rows[block].T, n=size, axis=1)
        power = columns.real**2 + columns.imag**2
        rows[block] = fft.ihfft(power, axis=1)[:, :n].T
    plane = fft.irfft(rows, n=size, axis=1)
    del rows, columns, power
    values = np.concatenate([plane[:, size - n + 1 :], plane[:, :n]], axis=1)
    values /= amplitude.sum(dtype=np.float64)
    values[(values > -_ROUNDING) & (values < _ROUNDING)] = 0.0
    values[0, n - 1] = 1.0
    values.flags.writeable = False
    return Autocorrelation(values, float(spacing))


@cache
def pupil_autocorrelation() -> Autocorrelation:
    """
    Autocorrelate the telescope's pupil, once per process.

    Returns
    -------
    Autocorrelation
        Values and the spacing of their baselines [m].
    """
    return autocorrelation(pupil_amplitude(), SPACING)


def evaluate(pupil: Autocorrelation, baseline_v2: np.ndarray, baseline_v3: np.ndarray) -> np.ndarray:
    """
    Interpolate an autocorrelation linearly.

    Parameters
    ----------
    pupil : Autocorrelation
        The autocorrelation.
    baseline_v2, baseline_v3 : ndarray
        Baselines [m], of one shape.

    Returns
    -------
    ndarray
        Values, of that shape; zero beyond the pupil's diameter.
    """
    column = baseline_v2 / pupil.spacing
    row = baseline_v3 / pupil.spacing
    sign = np.where(row < 0, -1.0, 1.0)
    centre = pupil.values.shape[0] - 1
    coordinates = np.stack([(row * sign).ravel(), (column * sign + centre).ravel()])
    values = ndimage.map_coordinates(
        pupil.values, coordinates, order=1, mode="constant", cval=0.0, output=np.float64
    )
    return values.reshape(sign.shape)
