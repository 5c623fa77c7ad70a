"""A synthetic table of MAST's observations, with overlaps that are known."""

import numpy as np
from astropy.table import Table

FIELD = 3.0 / 3600  # deg
SETUPS = ("F170LP;G235H", "G235M;F170LP", "CLEAR;PRISM")


def square(centre, side, shift=(0.0, 0.0), angle=0.5):
    """POLYGON of a square [deg] about a point, moved along its sides by shares of a field."""
    pole = np.array([0.0, 0.6, 0.8]) if abs(centre[2]) > 0.5 else np.array([0.0, 0.0, 1.0])
    east = np.cross(pole, centre)
    east /= np.linalg.norm(east)
    turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    plane = (np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * side / 2 + np.multiply(shift, FIELD)) @ turned
    x, y, z = (centre + np.radians(plane) @ np.stack([east, np.cross(centre, east)])).T
    pairs = zip(np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arctan2(z, np.hypot(x, y))), strict=True)
    return "POLYGON ICRS " + " ".join(f"{lon:.10f} {lat:.10f}" for lon, lat in pairs)


def circle(centre, radius):
    lon, lat = np.degrees([np.arctan2(centre[1], centre[0]) % (2 * np.pi), np.arcsin(centre[2])])
    return f"Circle J2000 {lon:.10f} {lat:.10f} {radius:.10f}"


def directions(rng, number):
    """Fields all over the sky, at both poles and at right ascension 0 h."""
    every = rng.normal(size=(number, 3))
    for first, latitude in ((0, 1), (1, -1)):
        every[first::10] = np.array([0, 0, latitude]) + 3e-3 * rng.normal(size=every[first::10].shape)
        every[first] = 0, 0, latitude
    every[2::10, 1] = 1e-6 * rng.normal(size=every[2::10].shape[0])
    return every / np.linalg.norm(every, axis=1, keepdims=True)


def images(centre):
    """Bands and footprints of the images of a field, with the share of it that each covers."""
    tiles = " ".join(square(centre, FIELD, (x, y)) for x in (-0.5, 0.5) for y in (-0.5, 0.5))
    return (
        ("F182M", square(centre, 20 * FIELD, (4.0, -7.0)), 1.0),
        ("F187N", square(centre, FIELD, (0.7, 0.0)), 0.3),
        ("F200W", square(centre, FIELD, (0.5, -0.5)), 0.25), ("F210M", circle(centre, FIELD), 1.0),
        ("F212N", circle(centre, FIELD / 4), np.pi / 16), ("F150W2;F162M", square(centre, FIELD), 1.0),
        ("F200W", tiles, 1.0), ("F182M", square(centre, 20 * FIELD, (11.0, 0)), 0.0),
    )  # fmt: skip


def archive_table(n_fields, seed=0):
    """A table as of MAST's observations, a tenth of its targets moving, and overlaps by image."""
    rows, shares = [], {}
    for number, centre in enumerate(directions(np.random.default_rng(seed), n_fields)):
        moving = number % 10 == 4
        target, begin = f"Body {number}" if moving else f"FIELD-{number}", 59800 + number
        observed = [("NIRSPEC/IFU", SETUPS[number % 3], square(centre, FIELD), 1.0)]
        observed += [("NIRCAM/IMAGE", *image) for image in images(centre)]
        for index, (instrument, filters, region, share) in enumerate(observed):
            name = f"jw{number:05d}-o{index:03d}_t001_{instrument[:7].rstrip('/').lower()}"
            rows.append(("JWST", instrument, filters, target, name, 3, begin, begin + 0.1, region, moving))
            shares[name] = share
    names = ("obs_collection", "instrument_name", "filters", "target_name", "obs_id", "calib_level", "t_min",
             "t_max", "s_region", "mtFlag")  # fmt: skip
    return Table(rows=rows, names=names), shares
