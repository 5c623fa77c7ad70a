"""Which cubes and images belong to one scene, according to their headers."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from jwst_fusion.exceptions import InputError, OneCubeError, ParameterError
from jwst_fusion.optics import throughput

from .coregister import WAVELENGTH_SLACK
from .grid import local_frame
from .ranges import MIN_COVERED, fusion_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jwst_fusion.observation import CubeProduct, ImageProduct

    from .coregister import CoregistrationSettings

__all__ = ["check_set_settings", "same_spaxels", "sight"]

#: Largest difference between the axes of the spaxels of two cubes, as a share of a spaxel: over 30 spaxels it
#: adds up to 1.5 mas. Derived.
SAME_AXES = 5e-4


def check_set_settings(settings: CoregistrationSettings) -> None:
    """Raise a ParameterError for settings that are for one cube only."""
    for name in ("center", "center_spaxel", "height", "width"):
        if getattr(settings, name) is not None:
            raise OneCubeError(name)
    if settings.position_angle != "cube":
        raise OneCubeError("position_angle")
    if settings.alignment not in ("auto", "wcs"):
        raise ParameterError(
            f"alignment = {settings.alignment} is for one cube, and there are several; use auto or wcs"
        )


def sight(
    products: Sequence[CubeProduct],
    images: Sequence[ImageProduct],
    settings: CoregistrationSettings,
    alive: Sequence[np.ndarray] | None = None,
) -> tuple[list, list[tuple[str, str]]]:
    """
    Find the images whose bands each cube covers, and the wavelengths of the set; data are not used.

    The first result has, for each cube that covers the band of an image, the cube, its channels (n_wave,) in
    the range of the set, and its images, in ascending order of wavelength; the second the file name of each
    cube and image that cannot be used, and why. Without alive all channels of the cubes count as having data.
    Raises InputError if a cube's target moves, or no cube covers the band of an image.
    """
    _refuse_moving(products)
    seen, left_out, used = [], [], set()
    for i, product in enumerate(products):
        usable = np.ones(product.wavelength.size, bool) if alive is None else alive[i]
        own = []
        for image in images:
            share = throughput.bandpass(
                image.filter, image.module, product.wavelength, usable=usable, curve=image.throughput
            )[1]
            if share >= MIN_COVERED:
                own.append(image)
                used.add(id(image))
        if own:
            seen.append((product, own))
        else:
            low, high = product.wavelength[[0, -1]]
            left_out.append(
                (
                    product.name,
                    f"no image looks in its wavelengths, {low:.3f} to {high:.3f} um, to register by",
                )
            )
    left_out += [
        (image.name, f"no cube has {100 * MIN_COVERED:.0f} % of the bandpass of {image.filter}")
        for image in images
        if id(image) not in used
    ]
    if not seen:
        raise InputError(f"{products[0].name}: {left_out[0][1]}; use filters that the cubes cover")
    ranges = [fusion_range([image.filter]) for _, own in seen for image in own]
    limits = settings.wavelength_range or (min(r[0] for r in ranges), max(r[1] for r in ranges))
    seen.sort(key=lambda pair: pair[0].wavelength[0])
    channels = [
        (p.wavelength >= limits[0] - WAVELENGTH_SLACK) & (p.wavelength <= limits[1] + WAVELENGTH_SLACK)
        for p, _ in seen
    ]
    return [(p, inside, own) for (p, own), inside in zip(seen, channels, strict=True)], left_out


def _refuse_moving(products):
    """Refuse a set in which a target moves."""
    moving = [product.name for product in products if product.moving]
    fixed = [product.name for product in products if not product.moving]
    if moving and fixed:
        raise InputError(
            f"{moving[0]}: its target moves, and that of {fixed[0]} does not; fuse them in two associations"
        )
    if moving:
        raise InputError(
            f"{moving[0]}: several cubes of a moving target cannot be fused together, for it turns between "
            "them; make an association of each cube"
        )


def same_spaxels(products: Sequence[CubeProduct]) -> None:
    """Raise an InputError for spaxels that differ in size or direction, and for a cube that occurs twice."""
    for a, b in combinations(products, 2):
        if _identity(a) == _identity(b):
            raise InputError(
                f"{b.name}: it has the coordinates and the wavelengths of {a.name}, and is the same cube; "
                "leave one of them out"
            )
    first = _axes(products[0])
    for product in products[1:]:
        axes = _axes(product)
        if np.abs(axes - first).max() > SAME_AXES * np.sqrt(abs(np.linalg.det(first))):
            size, angle = _describe(axes)
            reference = _describe(first)
            raise InputError(
                f"{product.name}: its spaxels have {size:.4f} arcsec at {angle:.2f} deg, those of "
                f"{products[0].name} {reference[0]:.4f} arcsec at {reference[1]:.2f} deg; rebuild the cubes "
                "with one scale and coord_system skyalign of cube_build"
            )


def _identity(product):
    """Identify a cube by its coordinates and wavelengths."""
    return (
        product.data.shape,
        tuple(product.wavelength),
        tuple(product.wcs.wcs.crval),
        tuple(product.wcs.wcs.crpix),
    )


def _axes(product):
    """Directions of the spaxels' axes in the middle of a cube, (2, 2) [arcsec]."""
    my, mx = product.data.shape[1:]
    return local_frame(product.wcs, (mx - 1) / 2, (my - 1) / 2)[1]


def _describe(axes):
    """Size [arcsec] and position angle [deg] of spaxels."""
    return float(np.sqrt(abs(np.linalg.det(axes)))), float(np.degrees(np.arctan2(axes[0, 1], axes[1, 1])))
