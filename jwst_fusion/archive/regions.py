"""Footprints on the sky: S_REGION in all its forms, and how far one footprint covers another."""

import re

import numpy as np
import shapely
from astropy.coordinates import SkyCoord

from jwst_fusion.exceptions import InputError

__all__ = ["Footprints", "parse_region"]

#: Sides of the polygon that stands for a circle.
CIRCLE_SIDES = 90

#: Largest distance of a vertex from the middle of its polygon [deg]: more is no field of a telescope.
MAX_RADIUS = 20.0

#: Frames of STC-S other than ICRS, and what astropy calls them. FK5 and J2000 agree with ICRS to 0.03".
FRAMES = {"GALACTIC": "galactic", "GALACTICII": "galactic", "ECLIPTIC": "barycentricmeanecliptic",
          "FK4": "fk4", "B1950": "fk4"}  # fmt: skip
IGNORED_FRAMES = {"ICRS", "FK5", "J2000", "GSC1", "UNKNOWNFRAME"}
REFERENCE_POSITIONS = {"GEOCENTER", "BARYCENTER", "HELIOCENTER", "TOPOCENTER", "LSR", "UNKNOWNREFPOS",
                       "RELOCATABLE", "SPHERICAL2", "SPHERICAL", "UNITSPHERICAL"}  # fmt: skip

_TOKEN = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[A-Za-z]\w*|[^\s,()'\"]")


def parse_region(text):
    """
    Read an S_REGION [deg] as a tuple of polygons whose union is the footprint.

    It understands POLYGON, CIRCLE and BOX, each with or without a frame, several of them one after the other
    or in a UNION, in the notations of FITS keywords, STC-S and ADQL (A. Rots, IVOA, STC 2007, STC-S 2013), in
    any case. The sides of a polygon are arcs of great circles; it is given by the unit vectors (n, 3) of its
    corners, the first not repeated. Raises InputError for a text that cannot be understood, or is no field of
    a telescope.
    """
    rings, tokens = [], _TOKEN.findall(str(text))
    common_frame, position = "icrs", 0
    while position < len(tokens):
        word = tokens[position].upper()
        position += 1
        if word != "UNION" and word not in _SHAPES:
            raise InputError(f"S_REGION {_short(text)}: {word!r} is not POLYGON, CIRCLE, BOX or UNION")
        frame = common_frame
        while position < len(tokens) and tokens[position].upper() in _FRAME_WORDS:
            frame = FRAMES.get(tokens[position].upper(), frame)
            position += 1
        if word == "UNION":
            common_frame = frame
            continue
        end = position
        while end < len(tokens) and not tokens[end][0].isalpha():
            end += 1
        try:
            numbers = np.array(tokens[position:end], dtype=np.float64)
            rings.append(_SHAPES[word](numbers, frame))
        except ValueError as error:
            raise InputError(f"S_REGION {_short(text)}: {error}") from None
        position = end
    if not rings:
        raise InputError(f"S_REGION {_short(text)}: it holds no footprint")
    return tuple(rings)


def _polygon(numbers, frame):
    """Corners of POLYGON lon lat lon lat ..."""
    if numbers.size % 2:
        raise ValueError(f"{numbers.size} coordinates of a POLYGON do not form pairs")
    corners = _vectors(numbers[0::2], numbers[1::2], frame)
    if len(corners):
        step = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1)
        corners = corners[step > 1e-12]
    if len(corners) < 3:
        raise ValueError(f"{len(corners)} different corners do not form a POLYGON")
    if (corners @ _unit(corners.mean(axis=0))).min() < np.cos(np.radians(MAX_RADIUS)):
        raise ValueError(f"the POLYGON reaches more than {MAX_RADIUS:.0f} deg from its middle")
    if np.linalg.svd(corners, compute_uv=False)[2] < 1e-12:
        raise ValueError("the corners of the POLYGON lie on one line")
    return corners


def _circle(numbers, frame):
    """Corners of a polygon with the area of CIRCLE lon lat radius."""
    if numbers.size != 3 or not 0 < numbers[2] <= MAX_RADIUS:
        raise ValueError(f"a CIRCLE has a centre and a radius to {MAX_RADIUS:.0f} deg")
    centre = _vectors(numbers[:1], numbers[1:2], frame)[0]
    angle = 2 * np.pi / CIRCLE_SIDES * np.arange(CIRCLE_SIDES)
    enlarged = np.tan(np.radians(numbers[2])) * np.sqrt(angle[1] / np.sin(angle[1]))
    return _unit(centre + enlarged * (np.stack([np.cos(angle), np.sin(angle)], 1) @ _tangents(centre)))


def _box(numbers, frame):
    """Corners of BOX lon lat width height: arcs through the middle's east, west, north and south."""
    if numbers.size != 4 or not (0 < numbers[2:]).all() or not (numbers[2:] <= 2 * MAX_RADIUS).all():
        raise ValueError("a BOX has a centre, a width and a height")
    centre = _vectors(numbers[:1], numbers[1:2], frame)[0]
    half = np.tan(np.radians(numbers[2:] / 2))
    return _unit(centre + (np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * half) @ _tangents(centre))


_SHAPES = {"POLYGON": _polygon, "CIRCLE": _circle, "BOX": _box}
_FRAME_WORDS = IGNORED_FRAMES | FRAMES.keys() | REFERENCE_POSITIONS


def _vectors(longitude, latitude, frame):
    """Return the unit vectors (n, 3) in ICRS of coordinates [deg]."""
    if not (np.isfinite(longitude).all() and (np.abs(latitude) <= 90).all()):
        raise ValueError("coordinates out of range")
    if frame != "icrs":
        sky = SkyCoord(longitude, latitude, unit="deg", frame=frame).icrs
        longitude, latitude = sky.ra.deg, sky.dec.deg
    longitude, latitude = np.radians(longitude), np.radians(latitude)
    cosine = np.cos(latitude)
    return np.stack([cosine * np.cos(longitude), cosine * np.sin(longitude), np.sin(latitude)], axis=1)


def _tangents(centre):
    """Two orthogonal unit vectors (2, 3) in the plane that touches the sphere at a point: east, north."""
    east = _unit(np.cross((0, 0, 1) if abs(centre[2]) < 0.999999 else (0, 1, 0), centre))
    return np.array([east, np.cross(centre, east)])


def _unit(vectors):
    """Scale vectors (..., 3) to length one."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _short(text):
    """Begin of a text, for messages."""
    text = " ".join(str(text).split())
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


class Footprints:
    """Many footprints, as `parse_region` reads them, to be asked which of them cover a field."""

    def __init__(self, regions):
        self._rings = [ring for region in regions for ring in region]
        self._owner = np.repeat(np.arange(len(regions)), [len(region) for region in regions])
        self._centres, self._radii = _caps(self._rings)

    def shares(self, field):
        """
        Find the footprints that touch a field (indices, ascending), and the share of it that each covers.

        Areas are those of the gnomonic projection about the middle of the field, in which arcs of great
        circles are straight (0.05 % off at 1 deg from the middle).
        """
        centres, radii = _caps(field)
        middle = _unit(centres.mean(axis=0))
        reach = (_angle(centres, middle) + radii).max()
        near = np.flatnonzero(_angle(self._centres, middle) <= reach + self._radii + 1e-9)
        if not near.size:
            return np.empty(0, dtype=int), np.empty(0)
        target = shapely.union_all(_project(field, middle))
        shapely.prepare(target)
        pieces = _project([self._rings[ring] for ring in near], middle)
        touching = shapely.intersects(target, pieces)
        common, every = shapely.intersection(target, pieces[touching]), self._owner[near[touching]]
        owners = np.unique(every)
        areas = np.array([shapely.area(shapely.union_all(common[every == owner])) for owner in owners])
        shares = np.minimum(areas / shapely.area(target), 1.0)
        return owners[shares > 0], shares[shares > 0]


def _caps(rings):
    """Caps that enclose polygons: unit vectors (n, 3) of their middles, and radii (n,) [rad]."""
    centres = np.array([_unit(ring.mean(axis=0)) for ring in rings]).reshape(-1, 3)
    pairs = zip(rings, centres, strict=True)
    return centres, np.array([_angle(ring, centre).max() for ring, centre in pairs])


def _angle(vectors, vector):
    """Angles [rad] of unit vectors (n, 3) with another."""
    return np.arccos(np.clip(vectors @ vector, -1.0, 1.0))


def _project(rings, middle):
    """Polygons of rings in the gnomonic projection about a point."""
    vectors = np.concatenate(rings)
    plane = vectors @ _tangents(middle).T / (vectors @ middle)[:, None]
    lengths = [len(ring) for ring in rings]
    polygons = shapely.polygons(shapely.linearrings(plane, indices=np.repeat(np.arange(len(rings)), lengths)))
    for index in np.flatnonzero(~shapely.is_valid(polygons)):
        parts = shapely.get_parts(shapely.make_valid(polygons[index]))
        polygons[index] = shapely.union_all(parts[shapely.get_dimensions(parts) == 2])
    return polygons
