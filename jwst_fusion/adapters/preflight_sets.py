"""The pre-flight of several cubes: who constrains what, and which do not belong together."""

from dataclasses import replace
from itertools import combinations

import numpy as np

from jwst_fusion.coregistration.grid import local_frame, make_grid
from jwst_fusion.coregistration.members import check_set_settings, same_spaxels, sight
from jwst_fusion.exceptions import InputError, NoOverlapError
from jwst_fusion.optics import throughput

__all__ = ["together"]


def together(cubes, images, settings, overlap):
    """
    Look at several cubes and the images together, their arrays not read; FusionError if they cannot be fused.

    The function overlap tells how much of a cube's field each of its images covers. The results are lines of
    file, finding, verdict and cure; the findings of overlap; an estimate of the grid; the number of
    wavelengths of each cube; and the number of images.
    """
    check_set_settings(settings)
    same_spaxels(cubes)
    seen, left_out = sight(cubes, images, settings)
    lines = [(name, reason, "warning", "it will be left out") for name, reason in left_out]
    if len(seen) < 2:
        raise InputError(
            f"{left_out[0][0]}: {left_out[0][1]}; add images that look at it, or leave the cube out"
        )
    used = {id(image): image for _, _, own in seen for image in own}
    kept = _sharing([product for product, _, _ in seen], settings.capture)
    for product, _, _ in seen:
        if not any(product is each for each in kept):
            reason = "it has no sky in common with the other cubes"
            lines.append((product.name, reason, "warning", "it will be left out; fuse it by itself"))
    if len(kept) < 2:
        raise NoOverlapError(
            f"{cubes[0].name}: no other cube shows the same sky; make an association of each cube"
        )
    seen = [each for each in seen if any(each[0] is product for product in kept)]
    findings = []
    for product, channels, own in seen:
        low, high = product.wavelength[channels][[0, -1]]
        bands = ", ".join(image.label for image in own)
        lines.append((product.name, f"fused from {low:.3f} to {high:.3f} um, where {bands} look", "ok", ""))
        window = tuple(slice(0, n) for n in product.data.shape[1:])
        findings += overlap(own, product, window, settings)
    grid = _grid([product for product, _, _ in seen], used.values(), settings)
    return lines, findings, grid, [int(channels.sum()) for _, channels, _ in seen], len(used)


def _sharing(cubes, capture):
    """Cubes whose fields may share sky, as far as coordinates and pointing errors tell: the most of them."""
    n = len(cubes)
    linked = np.eye(n, dtype=bool)
    for i, j in combinations(range(n), 2):
        linked[i, j] = linked[j, i] = _close(cubes[i], cubes[j], capture)
    for _ in range(n):
        linked = linked @ linked
    best = int(np.argmax(linked.sum(axis=1)))
    return [cubes[i] for i in np.flatnonzero(linked[best])]


def _close(a, b, capture):
    """Whether the arrays of two cubes come closer than the pointing errors that can be found."""
    (my, mx), (ny, nx) = a.data.shape[1:], b.data.shape[1:]
    ra, dec = b.wcs.wcs_pix2world([-0.5, nx - 0.5, nx - 0.5, -0.5], [-0.5, -0.5, ny - 0.5, ny - 0.5], 0)
    x, y = a.wcs.wcs_world2pix(ra, dec, 0)
    if not np.isfinite([x, y]).all():  # on the other side of the sky
        return False
    _, jacobian = local_frame(a.wcs, (mx - 1) / 2, (my - 1) / 2)
    reach = capture / np.sqrt(abs(np.linalg.det(jacobian)))
    return all(-0.5 - reach < max(v) and min(v) < n - 0.5 + reach for v, n in ((x, mx), (y, my)))


def _grid(cubes, images, settings):
    """Estimate the grid: the box about all arrays."""
    first = cubes[0]
    my, mx = first.data.shape[1:]
    low, high = np.zeros(2), np.array([my, mx], dtype=float)
    for cube in cubes[1:]:
        ny, nx = cube.data.shape[1:]
        x, y = first.wcs.wcs_world2pix(*cube.wcs.wcs_pix2world([-0.5, nx - 0.5], [-0.5, ny - 0.5], 0), 0)
        low, high = np.minimum(low, [min(y), min(x)]), np.maximum(high, [max(y), max(x)])
    short = any(throughput.channel(image.filter) == "short" for image in images)
    window = tuple(slice(0, int(np.ceil(b - a))) for a, b in zip(low, high, strict=True))
    grid = make_grid(window, first.wcs, settings.decimation_factor or (3 if short else 2), settings.margin)
    return replace(grid, origin=(0, 0))
