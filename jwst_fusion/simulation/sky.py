"""Positions on the celestial sphere."""

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

__all__ = ["offset_between", "polygon", "shift_position"]


def shift_position(position, east, north):
    """
    Move a sky position by tangent-plane offsets.

    Parameters
    ----------
    position : (float, float)
        Right ascension and declination [deg].
    east, north : float
        Offset [arcsec].

    Returns
    -------
    (float, float)
        Right ascension and declination [deg].
    """
    x, y = np.radians(east / 3600), np.radians(north / 3600)
    start = SkyCoord(*position, unit="deg")
    moved = start.directional_offset_by(np.arctan2(x, y) * u.rad, np.arctan(np.hypot(x, y)) * u.rad)
    return float(moved.ra.deg), float(moved.dec.deg)


def offset_between(start, end):
    """
    Measure the offset of a sky position from another.

    Parameters
    ----------
    start, end : (float, float)
        Right ascension and declination [deg].

    Returns
    -------
    (float, float)
        East, the difference in right ascension times the cosine of the start's declination, and north
        [arcsec].
    """
    difference = (end[0] - start[0] + 180.0) % 360.0 - 180.0
    return difference * np.cos(np.radians(start[1])) * 3600, (end[1] - start[1]) * 3600


def polygon(positions):
    """Write sky positions (ra, dec) [deg] as an S_REGION."""
    return "POLYGON ICRS  " + " ".join(f"{ra:.9f} {dec:.9f}" for ra, dec in positions)
