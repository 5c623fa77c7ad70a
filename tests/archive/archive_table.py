"""A synthetic table of MAST's observations, and a brute-force check of overlaps on the sphere."""

import numpy as np
from astropy.table import Table

SETUPS = ("G140H;F070LP", "F100LP;G140H", "F170LP;G235H", "F290LP;G395H", "F100LP;G140M", "F170LP;G235M",
          "F290LP;G395M", "CLEAR;PRISM")  # fmt: skip
BANDS = ("F115W", "F150W", "F150W2;F162M", "F182M", "F187N", "F200W", "F212N", "F300M", "F335M", "F356W",
         "F444W", "F444W;F470N", "F444W;F405N", "F480M")  # fmt: skip
FIELD = 3.0 / 3600  # deg


def unit(lon, lat):
    """Unit vector of a direction [deg]."""
    lon, lat = np.radians(lon), np.radians(lat)
    return np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def lonlat(vectors):
    """Directions [deg] of vectors (n, 3)."""
    x, y, z = np.asarray(vectors).T
    return np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arctan2(z, np.hypot(x, y)))


def square(centre, side, angle, shift=(0.0, 0.0)):
    """Corners (4, 3), unit vectors, of a square about a point moved by a shift [deg]."""
    pole = np.array([0.0, 0.6, 0.8]) if abs(centre[2]) > 0.5 else np.array([0.0, 0.0, 1.0])
    east = np.cross(pole, centre)
    east /= np.linalg.norm(east)
    north = np.cross(centre, east)
    turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    plane = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * side / 2 @ turned + shift
    corners = centre + np.radians(plane) @ np.stack([east, north])
    return corners / np.linalg.norm(corners, axis=1, keepdims=True)


def polygon_text(rng, corners):
    """S_REGION of a polygon, in one of its forms."""
    pairs = " ".join(f"{lon:.9f} {lat:.9f}" for lon, lat in zip(*lonlat(corners), strict=True))
    return f"{rng.choice(['POLYGON ICRS', 'POLYGON', 'Polygon J2000', 'polygon  ICRS '])} {pairs}"


def directions(rng, number):
    """Fields all over the sky, at both poles and at right ascension 0 h."""
    every = rng.normal(size=(number, 3))
    every[0::10] = np.array([0, 0, 1]) + 1e-4 * rng.normal(size=every[0::10].shape)
    every[1::10] = np.array([0, 0, -1]) + 1e-5 * rng.normal(size=every[1::10].shape)
    every[2::10, 1] = 1e-6 * rng.normal(size=every[2::10].shape[0])
    return every / np.linalg.norm(every, axis=1, keepdims=True)


def archive_table(n_rows, seed=0):
    """
    Make a table with fields that hold a few cubes and images, among other rows.

    Returns
    -------
    table : astropy.table.Table
        As MAST's observation table.
    shapes : dict
        Convex polygons and circles of each row: lists of (n, 3) corners or (centre, radius [rad]).
    """
    rng = np.random.default_rng(seed)
    rows, shapes = [], {}
    per_field = 20
    for number, centre in enumerate(directions(rng, n_rows // per_field)):
        moving = number % 10 == 4
        for index in range(per_field):
            cube = index % 4 == 0
            if cube:
                instrument, filters = "NIRSPEC/IFU", str(rng.choice(SETUPS))
                parts = [square(centre, FIELD, rng.uniform(0, 6), rng.uniform(-1, 1, 2) * 20 / 3600)]
            else:
                instrument, filters = "NIRCAM/IMAGE", str(rng.choice(BANDS))
                kind = index % 3
                shift = rng.uniform(-1, 1, 2) * 60 / 3600
                if kind == 0:
                    parts = [square(centre, 64 / 3600, rng.uniform(0, 6), shift)]
                elif kind == 1:
                    tiles = [shift + np.array([x, y]) * 66 / 3600 for x in (-0.5, 0.5) for y in (-0.5, 0.5)]
                    parts = [square(centre, 64 / 3600, 0.0, tile) for tile in tiles]
                else:
                    middle = square(centre, 1e-9, 0.0, shift)[0]
                    parts = [(middle, np.radians(40 / 3600))]
            name = f"jw{number:05d}-o{index:03d}_t001_{instrument[:7].rstrip('/').lower()}"
            if len(parts) > 1:
                region = " ".join(polygon_text(rng, part) for part in parts)
            elif isinstance(parts[0], tuple):
                lon, lat = lonlat(parts[0][0][None])
                region = f"CIRCLE ICRS {lon[0]:.9f} {lat[0]:.9f} {np.degrees(parts[0][1]):.9f}"
            else:
                region = polygon_text(rng, parts[0])
            begin = 59800 + number % 300 + rng.uniform(0, 5)
            target = f"Body {number}" if moving else f"FIELD-{number}"
            obs_id = f"{name}_{filters.replace(';', '-').lower()}"
            kind = "cube" if cube else "image"
            rows.append(("JWST", instrument, filters, target, obs_id, kind, 3, begin, begin + 0.1, 1000.0,
                         region, moving))  # fmt: skip
            shapes[obs_id] = parts
    names = ("obs_collection", "instrument_name", "filters", "target_name", "obs_id", "dataproduct_type",
             "calib_level", "t_min", "t_max", "t_exptime", "s_region", "mtFlag")  # fmt: skip
    return Table(rows=rows, names=names), shapes


def inside(points, parts):
    """Whether points (n, 3) lie in one of the convex polygons or circles."""
    found = np.zeros(len(points), dtype=bool)
    for part in parts:
        if isinstance(part, tuple):
            found |= points @ part[0] >= np.cos(part[1])
            continue
        sides = np.stack(
            [points @ np.cross(a, b) for a, b in zip(part, np.roll(part, -1, axis=0), strict=True)]
        )
        here = points @ part.mean(axis=0) > 0
        found |= here & ((sides >= 0).all(axis=0) | (sides <= 0).all(axis=0))
    return found


def share_by_points(rng, field, image, number=40000):
    """Share of a field (4, 3) in an image, by random points on the sphere."""
    middle = field.mean(axis=0)
    middle /= np.linalg.norm(middle)
    radius = np.arccos((field @ middle).min())
    height = 1 - rng.uniform(0, 1 - np.cos(radius), number)
    angle = rng.uniform(0, 2 * np.pi, number)
    side = np.cross(middle, [0.6, 0.0, 0.8] if abs(middle[1]) > 0.5 else [0.0, 1.0, 0.0])
    side /= np.linalg.norm(side)
    other = np.cross(middle, side)
    ring = np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * other
    points = height[:, None] * middle + np.sqrt(1 - height**2)[:, None] * ring
    points = points[inside(points, [field])]
    return inside(points, image).mean()
