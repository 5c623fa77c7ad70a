"""Choice of the images of an association that can be fused with its cube in one fusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jwst_fusion.optics import throughput

from .ranges import MIN_COVERED, fusion_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jwst_fusion.observation import ImageProduct

__all__ = ["Choice", "choose_images"]

#: Smallest number of channels in which a bandpass is evaluated. Judged.
MIN_CHANNELS = 3


@dataclass(frozen=True)
class Choice:
    """Images to be fused together, and the others."""

    kept: tuple  # of ImageProduct
    left_out: tuple = ()  # of (ImageProduct, str), each with the reason


def choose_images(
    wavelength: np.ndarray,
    images: Sequence[ImageProduct],
    alive: np.ndarray,
    *,
    wavelength_range: tuple[float, float] | None = None,
    mix_channels: bool = False,
) -> Choice:
    """
    Choose the images whose bands lie in the cube, in one range of wavelengths and one channel of NIRCam.

    Bands whose ranges (`fusion_range`) touch are fused together. Of several such sets the one with the most
    bands is chosen, and of equally large sets the one at the shortest wavelengths. All images are kept if no
    band lies in the cube's channels with data (alive). With a wavelength_range [um] all bands within it are
    combined, with mix_channels those of both channels.
    """
    if wavelength_range is not None:
        alive = alive & (wavelength >= wavelength_range[0]) & (wavelength <= wavelength_range[1])
    if alive.sum() < MIN_CHANNELS:
        return Choice(tuple(images))
    covered, left_out = [], []
    low, high = wavelength[alive][[0, -1]]
    for image in images:
        share = throughput.bandpass(
            image.filter, image.module, wavelength, usable=alive, curve=image.throughput
        )[1]
        if share >= MIN_COVERED:
            covered.append(image)
        else:
            left_out.append(
                (
                    image,
                    f"{100 * share:.0f} % of the bandpass of {image.filter} lie in the cube's data from "
                    f"{low:.3f} to {high:.3f} um, {100 * MIN_COVERED:.0f} % needed",
                )
            )
    if not covered:
        return Choice(tuple(images))
    sets = _sets(covered, wavelength_range, mix_channels)
    best = max(sets, key=lambda members: len({image.filter for image in members}))
    for members in sets:
        if members is not best:
            left_out += [(image, _apart(image, members, best)) for image in members]
    return Choice(tuple(image for image in images if any(image is b for b in best)), tuple(left_out))


def _sets(images, wavelength_range, mix_channels):
    """Sort images into sets that can be fused together, by channel and range, ascending in wavelength."""
    channels = {}
    for image in images:
        key = "both" if mix_channels else throughput.channel(image.filter)
        channels.setdefault(key, []).append(image)
    if wavelength_range is not None:
        return list(channels.values())
    sets = []
    for name in sorted(channels, reverse=True):  # short before long
        reached = -np.inf
        for image in sorted(channels[name], key=lambda image: fusion_range([image.filter])):
            low, high = fusion_range([image.filter])
            if low > reached:
                sets.append([])
            sets[-1].append(image)
            reached = max(reached, high)
    return sets


def _apart(image, members, best):
    """Reason for which an image is not fused, with the remedy."""
    names = ", ".join(sorted({other.filter for other in best}))
    low, high = fusion_range([other.filter for other in members])
    channel = throughput.channel(image.filter)
    if channel != throughput.channel(best[0].filter):
        return (
            f"{image.filter} is of NIRCam's {channel} channel, {names} not, and their pixels differ; fuse it "
            "in an association of its own"
        )
    return (
        f"{image.filter} is fused from {low:.3f} to {high:.3f} um, apart from {names}; set wavelength_range "
        f"to {low:.3f}, {high:.3f} to fuse it instead"
    )
