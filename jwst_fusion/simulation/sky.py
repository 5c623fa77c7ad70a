"""Positions on the celestial sphere."""

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

__all__ = ["offset_between", "polygon", "shift_position"]


def shift_position(position, east, north):
    """Move a sky position (ra, dec) [deg] by tangent-plane offsets [arcsec]."""
    x, y = np.radians(east / 3600), np.radians(north / 3600)
    start = SkyCoord(*position, unit="deg")
    moved = start.directional_offset_by(np.arctan2(x, y) * u.rad, np.arctan(np.hypot(x, y)) * u.rad)
    return float(moved.ra.deg), float(moved.dec.deg)


def offset_between(start, end):
    """
    Measure the offset (east, north) [arcsec] of a sky position (ra, dec) [deg] from another.

    It is in the frame of the first, as cube_build takes it back in its offset file.
    """
    east, north = SkyCoord(*start, unit="deg").spherical_offsets_to(SkyCoord(*end, unit="deg"))
    return float(east.arcsec), float(north.arcsec)


def polygon(positions):
    """Write sky positions (ra, dec) [deg] as an S_REGION."""
    return "POLYGON ICRS  " + " ".join(f"{ra:.9f} {dec:.9f}" for ra, dec in positions)
