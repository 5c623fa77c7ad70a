"""Pairs of NIRSpec cubes and NIRCam images that see the same field, and the fusions to make of them."""

import re
from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
from astropy.table import Table

from jwst_fusion.archive.regions import Footprints
from jwst_fusion.archive.table import ArchiveProduct
from jwst_fusion.coregistration.ranges import filter_sets
from jwst_fusion.exceptions import ParameterError

__all__ = ["MatchSettings", "Pair", "find_fusions", "find_pairs", "pair_table"]


@dataclass(frozen=True)
class MatchSettings:
    """Conditions for an image to be fused with a cube."""

    min_overlap: float = 0.5  # least share of the IFU's field that the image's footprint covers
    max_gap: float = float("inf")  # longest time between the middles of the two observations [day]
    max_gap_moving: float = 2.0  # of moving targets, which turn

    def __post_init__(self):
        if not 0 < self.min_overlap <= 1:
            raise ParameterError(
                f"min_overlap = {self.min_overlap} cannot be used: it must be above 0 and at most 1"
            )
        for name in ("max_gap", "max_gap_moving"):
            if not getattr(self, name) >= 0:
                raise ParameterError(
                    f"{name} = {getattr(self, name)} cannot be used: 0 days or more are needed"
                )


@dataclass(frozen=True, eq=False)
class Pair:
    """A cube and an image whose band lies in the cube's range, of one field or of one moving target."""

    cube: ArchiveProduct
    image: ArchiveProduct
    filters: tuple  # bands of the fusion that the image's band belongs to
    overlap: float  # share of the IFU's field within the image's footprint; NaN for a moving target
    gap: float  # middle of the image's observation minus that of the cube's [day]; NaN if not stated
    reason: str = ""  # why the image is not used
    beaten: bool = False  # whether that is only for another image in its band, which is better

    @property
    def band(self):
        """Effective band of the image."""
        return self.image.setup[0]


def find_pairs(products, settings=None):
    """
    Pair each cube with all images whose band it covers and which see its field.

    Fixed targets are paired by footprint, moving ones by name and epoch, never by position. The pairs are
    ordered by cube and wavelength; those not used say why. One image is used for each band: the one that
    covers most, then the nearest in time, then the longest exposure.
    """
    settings = settings or MatchSettings()
    cubes = [product for product in products if product.kind == "cube"]
    images = [product for product in products if product.kind == "image"]
    fixed = [image for image in images if not image.moving]
    moving = defaultdict(list)
    for image in images:
        if image.moving and _plain(image.target):
            moving[_plain(image.target)].append((image, float("nan")))
    footprints = {}
    pairs = []
    for cube in sorted(cubes, key=lambda each: each.filename):
        for filters in filter_sets(*cube.setup):
            if cube.moving:
                seen = moving.get(_plain(cube.target), [])
            else:
                if filters not in footprints:
                    members = [image for image in fixed if image.setup[0] in filters]
                    footprints[filters] = members, Footprints([image.region for image in members])
                members, covers = footprints[filters]
                seen = [(members[i], share) for i, share in zip(*covers.shares(cube.region), strict=True)]
            by_band = defaultdict(list)
            for image, overlap in seen:
                by_band[image.setup[0]].append((image, float(overlap)))
            for band in filters:
                pairs.extend(_judge(cube, filters, by_band[band], settings))
    return pairs


def _judge(cube, filters, seen, settings):
    """Pairs of a cube with the images in one band, the one to be used first."""
    longest = settings.max_gap_moving if cube.moving else settings.max_gap
    pairs = []
    for image, overlap in seen:
        gap, reason = image.epoch - cube.epoch, ""
        if overlap < settings.min_overlap:
            reason = f"covers {100 * overlap:.0f} % of the field, {100 * settings.min_overlap:.0f} % needed"
        elif abs(gap) > longest:
            reason = f"{abs(gap):.1f} days apart, {longest:g} allowed"
        elif cube.moving and np.isnan(gap):
            reason = "a moving target without dates"
        pairs.append(Pair(cube, image, filters, overlap, gap, reason))
    if all(pair.reason for pair in pairs):
        return pairs
    pairs.sort(key=_preference)
    best, *others = pairs
    beaten = f"{best.image.filename} covers more, is nearer in time or longer exposed"
    return [
        best,
        *(replace(p, reason=p.reason or beaten, beaten=not p.reason) for p in others),
    ]


def _preference(pair):
    """Key that sorts the better image of a band first."""
    overlap = 1.0 if np.isnan(pair.overlap) else round(pair.overlap, 2)
    gap = np.inf if np.isnan(pair.gap) else abs(pair.gap)
    return bool(pair.reason), -overlap, gap, -pair.image.exposure_time, pair.image.filename


def _plain(target):
    """Write a target's name in capitals and digits, so that spellings agree; None has no name."""
    return re.sub(r"[^A-Z0-9]", "", target.upper()) or None


def find_fusions(pairs):
    """
    Gather the used pairs of a cube and of a stretch of wavelengths into fusions, lists by the product's name.

    The name is that of the cube, with its bands from first to last; pairs ascend in wavelength.
    """
    groups = defaultdict(list)
    for pair in pairs:
        if not pair.reason:
            groups[pair.cube.filename, pair.filters].append(pair)
    fusions = {}
    for (_, filters), members in groups.items():
        members.sort(key=lambda pair: filters.index(pair.band))
        bands = dict.fromkeys((members[0].band.lower(), members[-1].band.lower()))
        fusions[f"{members[0].cube.root}_{'-'.join(bands)}"] = members
    return dict(sorted(fusions.items()))


def pair_table(pairs):
    """Tabulate pairs for a person to look at, a row per pair."""
    rows = [
        (
            pair.cube.target, pair.cube.filename, "/".join(pair.cube.setup), pair.band, pair.image.filename,
            pair.overlap, pair.gap, pair.cube.moving, not pair.reason, pair.reason,
        )
        for pair in pairs
    ]  # fmt: skip
    names = ("target", "cube", "grating", "filter", "image", "overlap", "gap", "moving", "use", "reason")
    kinds = (str, str, str, str, str, float, float, bool, bool, str)
    table = Table(rows=rows or None, names=names, dtype=kinds)
    table["gap"].unit = "d"
    table["overlap"].info.format = ".3f"
    table["gap"].info.format = ".2f"
    return table
