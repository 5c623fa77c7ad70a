"""Ways to spoil the members of an association, its text, or its folder: each is called with `work`."""

import bz2
import gzip
import json
import os
import shutil

import numpy as np
from astropy.io import fits

from tests.files import edit

ASN = "p_asn.json"
CUBE, FIRST, SECOND = "c_s3d.fits", "a_i2d.fits", "b_i2d.fits"
FAR = {"CRVAL1": 100.0, "CRVAL2": 20.0}


def write_association(work, members=(CUBE, FIRST, SECOND), product="p", copies=1):
    """Write an association of some members."""
    listed = [{"expname": name, "exptype": "science"} for name in members]
    content = {
        "asn_type": "x",
        "asn_id": "a3001",
        "products": [{"name": product, "members": listed}] * copies,
    }
    (work.folder / ASN).write_text(json.dumps(content))


def own(work, name):
    """Put a copy of a member in the place of its link."""
    path = work.folder / name
    if path.is_symlink():
        path.unlink()
        shutil.copy(work.sources[name], path)
    return path


def changed(work, name, change):
    """Change the HDUs of a member."""
    edit(own(work, name), change)


def members(*listed):
    return lambda work: write_association(work, listed)


def product(name):
    return lambda work: write_association(work, product=name)


def text(content):
    return lambda work: (work.folder / ASN).write_bytes(content)


def linked(name, source):
    """Add a member that is another name of one of the sources."""

    def spoil(work):
        (work.folder / name).symlink_to(work.sources[source])
        write_association(work, (CUBE, FIRST, name))

    return spoil


def keywords(*names, **values):
    """Change keywords of members; None takes one out."""

    def spoil(work):
        for name in names:
            with fits.open(own(work, name), mode="update") as hdus:
                for keyword, value in values.items():
                    header = hdus[0 if keyword in hdus[0].header else "SCI"].header
                    header[keyword] = value

    return spoil


def filled(*names, value):
    """Fill the data of members with one value."""

    def spoil(work):
        for name in names:
            with fits.open(own(work, name), mode="update") as hdus:
                hdus["SCI"].data[:] = value

    return spoil


def everywhere(name, change):
    """Spoil the HDUs of one member."""
    return lambda work: changed(work, name, change)


def several(*spoils):
    """Spoil in several ways."""

    def spoil(work):
        for one in spoils:
            one(work)

    return spoil


def without(name, *extensions):
    """Take HDUs out of a member."""

    def change(hdus):
        for extension in extensions:
            del hdus[extension]

    return everywhere(name, change)


def truncated(name, share):
    """Keep only the first part of a member's file."""

    def spoil(work):
        path = own(work, name)
        os.truncate(path, int(share * path.stat().st_size))

    return spoil


def compressed(name, suffix, change=lambda content: content, *, keep_name=False):
    """Compress a member, then change its bytes."""

    def spoil(work):
        compress = {".gz": gzip.compress, ".bz2": bz2.compress}[suffix]
        content = change(bytearray(compress((work.folder / name).read_bytes(), 1)))
        new = name if keep_name else name + suffix
        (work.folder / name).unlink()
        (work.folder / new).write_bytes(content)
        write_association(work, [new if each == name else each for each in (CUBE, FIRST, SECOND)])

    return spoil


def first_part(share):
    return lambda content: content[: int(share * len(content))]


def flipped(place):
    """Turn over the bits of one byte."""

    def change(content):
        content[place] ^= 0xFF
        return content

    return change


def table(work):
    """Add a member that is a table."""
    hdu = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=np.arange(3.0))])
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(work.folder / "t_x1d.fits")
    write_association(work, (CUBE, FIRST, "t_x1d.fits"))


def prose(work):
    """Add a member that is no data file."""
    (work.folder / "t_i2d.fits").write_text("no FITS file")
    write_association(work, (CUBE, FIRST, "t_i2d.fits"))


def no_coordinates(hdus):
    """Take the celestial WCS out of a header."""
    header = hdus["SCI"].header
    for keyword in ("CTYPE", "CRVAL", "CRPIX", "CDELT", "CUNIT"):
        for axis in "12":
            header.remove(f"{keyword}{axis}", ignore_missing=True)


def one_spaxel(hdus):
    data = hdus["SCI"].data
    middle = (slice(None), data.shape[1] // 2, data.shape[2] // 2)
    kept = data[middle].copy()
    data[:] = np.nan
    data[middle] = kept


def in_a_table(n_lost, factor=1.0):
    """Wavelengths in a table, in another unit, and planes lost at the end."""

    def change(hdus):
        header, n = hdus["SCI"].header, hdus["SCI"].data.shape[0]
        wavelength = factor * (header["CRVAL3"] + header["CDELT3"] * np.arange(n))
        hdus["WCS-TABLE"].data["wavelength"] = wavelength.astype("f4").reshape(1, n, 1)
        header["CTYPE3"], header["CRVAL3"] = "WAVE-TAB", 1.0
        header["PS3_0"], header["PS3_1"] = "WCS-TABLE", "wavelength"
        del header["CDELT3"]
        if n_lost:
            for name in ("SCI", "ERR", "DQ", "WMAP"):
                hdus[name].data = hdus[name].data[:-n_lost]

    return change


def window(rows=slice(None), columns=slice(None), planes=slice(None)):
    """Keep a part of a cube; its coordinates stay with its first spaxel and plane."""

    def change(hdus):
        for name in ("SCI", "ERR", "DQ", "WMAP"):
            hdus[name].data = hdus[name].data[planes, rows, columns].copy()
        header = hdus["SCI"].header
        for axis, part in ((1, columns), (2, rows), (3, planes)):
            header[f"CRPIX{axis}"] -= part.start or 0

    return change


def added(value):
    """Add a constant to the data of a member."""

    def change(hdus):
        hdus["SCI"].data += value

    return change


def in_double(share, value):
    """Store data as double precision, a share of them with one value."""

    def change(hdus):
        data = hdus["SCI"].data.astype(">f8")
        data.reshape(-1)[:: round(1 / share)] = value
        hdus["SCI"].data = data

    return change


def calibrated_only(hdus):
    """Make of an image what it was before it was resampled: flags, no weights, distortion."""
    for name in ("WHT", "CON", "HDRTAB", "ASDF"):
        del hdus[name]
    hdus.append(fits.ImageHDU(np.zeros(hdus["SCI"].data.shape, dtype=np.int32), name="DQ"))
    for keyword in ("S_RESAMP", "PIXFRAC", "PXSCLRT", "RESWHT", "NDRIZ"):
        hdus[0].header.remove(keyword, ignore_missing=True)


def brighter_body(hdus):
    """Put another body, 300 times as bright, into a corner of an image."""
    data = hdus["SCI"].data
    y, x = np.indices(data.shape)
    distance = (y - 0.85 * data.shape[0]) ** 2 + (x - 0.85 * data.shape[1]) ** 2
    data += 300 * np.nanmax(data) * np.exp(-distance / 18)
