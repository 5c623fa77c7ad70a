"""Sets of cubes that show the same sky, to be fused together: gratings, and pointings of a mosaic."""

import re
from collections import defaultdict
from dataclasses import replace

import numpy as np
from scipy.sparse.csgraph import connected_components

from jwst_fusion.archive.regions import Footprints
from jwst_fusion.optics import throughput

__all__ = ["find_sets", "pairs_with_sets"]

#: Share of the smaller of two fields that has to lie in the other one. A field of 3 arcsec then has 3 x 30
#: spaxels in common with the other, whatever the pointing errors of 0.2 arcsec. Judged.
LEAST_SHARED = 0.1

#: Program, and kind of association (o: an observation; c: several), in the name of a product of the archive.
ORIGIN = re.compile(r"(jw\d{5})-([co])\d+_")


def find_sets(products, pairs, settings):
    """
    Find sets of two cubes or more that can be fused together: their pairs by the product's name.

    Cubes belong together if their footprints share sky, directly or through other cubes. A cube of one
    observation is left out if its exposures are in a cube of several observations. Each band has one image
    for all cubes. The second result has the cubes that share sky with others and are not used, and why.
    """
    cubes = [each for each in products if each.kind == "cube" and not each.moving and each.region]
    cubes.sort(key=lambda each: each.filename)
    sets, left_out = {}, []
    for group in _groups(cubes, settings):
        members, repeated = _without_repeats(group)
        left_out += repeated
        images = _images(members, pairs)
        seen = [cube for cube in members if any(pair.cube is cube for pair in images)]
        left_out += [(cube, "no image of the set covers it in its wavelengths")
                     for cube in members if cube not in seen]  # fmt: skip
        for used in _groups(seen, settings):
            name = _name(used)
            number = sum(re.fullmatch(rf"{re.escape(name)}(-\d+)?", other) is not None for other in sets)
            own = [pair for pair in images if pair.cube in used]
            sets[f"{name}-{number + 1}" if number else name] = own
    return sets, left_out


def pairs_with_sets(pairs, sets):
    """Replace the pairs of cubes that are fused together by those of their sets; those not used say why."""
    chosen = {(pair.cube, pair.image): pair for members in sets.values() for pair in members}
    together = {cube for cube, _ in chosen}
    other = "the set has another image in its band"
    return [
        chosen.get((pair.cube, pair.image), replace(pair, reason=pair.reason or other))
        if pair.cube in together
        else pair
        for pair in pairs
    ]


def _groups(cubes, settings):
    """Cubes that share sky, in groups of two or more."""
    linked = np.eye(len(cubes), dtype=bool)
    footprints = Footprints([cube.region for cube in cubes])
    for i, cube in enumerate(cubes):
        for j, share in zip(*footprints.shares(cube.region), strict=True):
            apart = abs(cube.epoch - cubes[j].epoch)
            linked[i, j] |= share >= LEAST_SHARED and not apart > settings.max_gap
    count, labels = connected_components(linked | linked.T, directed=False)
    groups = [[cubes[i] for i in np.flatnonzero(labels == label)] for label in range(count)]
    return [group for group in groups if len(group) > 1]


def _without_repeats(group):
    """Cubes of a group, and those whose exposures are in another cube of it."""
    kept, repeated = [], []
    origins = [ORIGIN.match(cube.filename) for cube in group]
    for cube, origin in zip(group, origins, strict=True):
        combined = [
            other.filename
            for other, its in zip(group, origins, strict=True)
            if origin and its and other.setup == cube.setup
            and origin[2] == "o" and its[2] == "c" and origin[1] == its[1]
        ]  # fmt: skip
        if combined:
            repeated.append((cube, f"its exposures are in {combined[0]} as well"))
        else:
            kept.append(cube)
    return kept, repeated


def _images(cubes, pairs):
    """Pairs of cubes with one image for each band, that which covers most of the cubes."""
    own = [pair for pair in pairs if pair.cube in cubes and (not pair.reason or pair.beaten)]
    by_band = defaultdict(lambda: defaultdict(list))
    for pair in own:
        by_band[pair.band][pair.image].append(pair)
    chosen = []
    for band in sorted(by_band, key=lambda name: throughput.pivot_wavelength(name, "MULTIPLE")):
        best = min(by_band[band].items(), key=_preference)[1]
        chosen += [replace(pair, reason="", beaten=False) for pair in best]
    return chosen


def _preference(image_and_pairs):
    """Key that sorts the better image of a band first."""
    image, pairs = image_and_pairs
    gaps = [abs(pair.gap) for pair in pairs if np.isfinite(pair.gap)]
    gap = float(np.mean(gaps)) if gaps else np.inf
    return -round(sum(pair.overlap for pair in pairs), 2), gap, -image.exposure_time, image.filename


def _name(cubes):
    """Name of a set: that of its first cube, with the gratings of all."""
    first = re.sub(r"_[^_]*$", "", cubes[0].root) or cubes[0].root
    gratings = dict.fromkeys(cube.setup[0].lower() for cube in cubes)
    return f"{first}_{'-'.join(gratings)}-set"
