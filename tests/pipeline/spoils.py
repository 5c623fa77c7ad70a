"""Ways to spoil the members of an association, its text, or its folder: each is called with `work`."""

import bz2
import gzip
import json
import os
import shutil
from itertools import cycle

import numpy as np
from astropy.io import fits

from tests.files import edit

ASN = "p_asn.json"
CUBE, FIRST, SECOND = "c_s3d.fits", "a_i2d.fits", "b_i2d.fits"
FAR = {"CRVAL1": 100.0, "CRVAL2": 20.0}
ADVICE = "give one NIRSpec IFU cube"


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


def few_voxels(hdus):
    """Leave data in a part of each channel, another one each time."""
    data = hdus["SCI"].data
    data[np.random.default_rng(1).random(data.shape) < 0.97] = np.nan


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


#: How each input is spoilt; the file that is named, what is found, the cure; the exit status if it is not 1.
BAD = {
    # members
    "no cube": (members(FIRST, SECOND), ASN, "no NIRSpec IFU cube among 2", ADVICE),
    "a cube twice": (linked("d_s3d.fits", CUBE), "d_s3d.fits", f"wavelengths of {CUBE}", "leave one"),
    "no image": (members(CUBE), ASN, "no NIRCam image", ADVICE),
    "no member": (members(), ASN, "no NIRSpec IFU cube among 0", ADVICE),
    "missing": (members(CUBE, "gone.fits"), ASN, "gone.fits is not there", "fetch"),
    "another machine": (members(CUBE, "/nowhere/a_i2d.fits"), ASN, "not there", "fetch"),
    "itself": (members(CUBE, ASN), ASN, "cannot be read as a JWST product (it is an association)", "fetch"),
    "table": (table, "t_x1d.fits", "neither", ADVICE),
    "prose": (prose, "t_i2d.fits", "cannot be read", "fetch"),
    # text of the association
    "half a JSON": (text(b'{"products": ['), ASN, "not a readable", "asn_from_list"),
    "empty JSON": (text(b""), ASN, "not a readable", "asn_from_list"),
    "binary JSON": (text(bytes(range(256))), ASN, "not a readable", "asn_from_list"),
    "another JSON": (text(b"[1, 2]"), ASN, "names no product", "asn_from_list"),
    "without end": (text(b"[" * 200_000), ASN, "not a readable association", "asn_from_list"),
    "another member": (
        text(b'{"products": [{"name": "p", "members": [{"a": 1}]}]}'), ASN, "no expname", "asn_from_list",
    ),
    "two products": (lambda work: write_association(work, copies=2), ASN, "2 products", "make an asso"),
    # other instruments and modes
    "MIRI image": (
        keywords(FIRST, INSTRUME="MIRI", EXP_TYPE="MIR_IMAGE", FILTER="F770W"),
        FIRST, "MIRI, EXP_TYPE MIR_IMAGE", ADVICE,
    ),
    "MIRI cube": (keywords(CUBE, INSTRUME="MIRI", EXP_TYPE="MIR_MRS"), CUBE, "MIRI, EXP_TYPE MIR", ADVICE),
    "NIRISS image": (keywords(FIRST, INSTRUME="NIRISS", EXP_TYPE="NIS_IMAGE"), FIRST, "NIRISS", ADVICE),
    "no INSTRUME": (keywords(FIRST, INSTRUME=None), FIRST, "data of None, EXP_TYPE NRC_IMAGE", ADVICE),
    "internal lamp": (keywords(CUBE, EXP_TYPE="NRS_LAMP"), CUBE, "NRS_LAMP", ADVICE),
    "fixed slit": (keywords(CUBE, EXP_TYPE="NRS_FIXEDSLIT"), CUBE, "NRS_FIXEDSLIT", ADVICE),
    "target acquisition": (keywords(FIRST, EXP_TYPE="NRC_TACQ"), FIRST, "NRC_TACQ", ADVICE),
    "fused cube": (keywords(CUBE, FUSMODL="FusedCubeModel"), CUBE, "is a product of this package", ADVICE),
    "not resampled": (everywhere(FIRST, calibrated_only), FIRST, "not resampled", "use the pipeline's"),
    "no SCI in the cube": (without(CUBE, "SCI"), CUBE, "neither a NIRSpec", ADVICE),
    "no SCI in an image": (without(FIRST, "SCI"), FIRST, "neither", ADVICE),
    # filters
    **{
        f"{wide} and {element}": (
            keywords(FIRST, FILTER=wide, PUPIL=element), FIRST, f"found {found}", "correct the header",
        )
        for wide, element, found in (
            ("CLEAR", "F182M", "FILTER=CLEAR with PUPIL=F182M (are they exchanged?)"),
            ("CLEAR", "CLEAR", "FILTER=CLEAR with PUPIL=CLEAR, expected a filter of direct imaging"),
            ("WLP4", "CLEAR", "FILTER=WLP4 with PUPIL=CLEAR, expected a filter of direct imaging"),
            ("WLP4", "F212N", "FILTER=WLP4 with PUPIL=F212N"),
            (None, "CLEAR", "FILTER=None"),
            ("F999W", "CLEAR", "FILTER=F999W"),
            ("F182M", None, "PUPIL=None"),
            ("F182M", "WLP8", "PUPIL=WLP8 with FILTER=F182M, expected CLEAR"),
            ("F182M", "MASKRND", "PUPIL=MASKRND"),
            ("F182M", "GRISMR", "PUPIL=GRISMR"),
            ("F070W", "F162M", "FILTER=F070W with PUPIL=F162M, expected FILTER=F150W2"),
        )
    },
    "unknown module": (keywords(FIRST, MODULE="C"), FIRST, "MODULE=C, expected A, B", "correct the header"),
    "filter outside the cube": (
        keywords(FIRST, SECOND, FILTER="F115W"), CUBE, "F115W look: the cube has 1.660 to 2", "use filters",
    ),
    **{
        f"PIXFRAC {value}": (
            keywords(FIRST, PIXFRAC=value), FIRST, f"PIXFRAC is {value}, 0 to 1", "correct the header",
        )
        for value in (-3.0, 1.5, 400.0, "square")
    },
    # units
    **{
        f"unit {unit} of {name}": (
            keywords(name, BUNIT=unit), name, f"BUNIT is {unit}, MJy/sr needed", "use the pipeline's stage-3",
        )
        for name, unit in ((FIRST, "DN/s"), (FIRST, "MJy"), (FIRST, None), (CUBE, "Jy"), (CUBE, "Jy/sr"))
    },
    # position angles
    **{
        f"{keyword} {value}": (
            keywords(name, **{keyword: value}), name, f"{keyword} is {value}, an angle", "correct the header",
        )
        for name, keyword, value in (
            (CUBE, "PA_V3", "north"), (CUBE, "PA_APER", 1e9), (FIRST, "PA_V3", 400.0),
        )
    },
    # wavelengths
    "no step": (keywords(CUBE, CDELT3=None), CUBE, "CDELT3 is None, a number", "rebuild"),
    "frequencies": (keywords(CUBE, CTYPE3="FREQ"), CUBE, "CTYPE3 is FREQ, WAVE", "rebuild"),
    "unit of time": (keywords(CUBE, CUNIT3="Hz"), CUBE, "CUNIT3 is Hz, um needed", "rebuild"),
    "one channel": (everywhere(CUBE, window(planes=slice(0, 1))), CUBE, "1 planes, at least 3", "use a cube"),
    "two channels": (everywhere(CUBE, window(planes=slice(40, 42))), CUBE, "2 planes", "use a cube"),
    "three channels": (everywhere(CUBE, window(planes=slice(40, 43))), ASN, "80 % of its band", "use "),
    "Angstrom not stated": (
        keywords(CUBE, CRVAL3=16600.0, CDELT3=64.6, CUNIT3=None),
        CUBE, "wavelengths from 16600 to 22995.4 um", "state the unit",
    ),
    "metres not stated": (
        keywords(CUBE, CRVAL3=1.66e-6, CDELT3=6.46e-9, CUNIT3=None), CUBE, "from 1.66e-06", "state the unit",
    ),
    "table in metres": (everywhere(CUBE, in_a_table(0, 1e-6)), CUBE, "from 1.66e-06 to 2.3e-06", "rebuild"),
    "table in Angstrom": (everywhere(CUBE, in_a_table(0, 1e4)), CUBE, "from 16600 to 23000 um", "rebuild"),
    "descending": (keywords(CUBE, CDELT3=-0.006), CUBE, "not ascending", "rebuild"),
    "all the same": (keywords(CUBE, CDELT3=0.0), CUBE, "not ascending", "rebuild"),
    "trimmed planes": (everywhere(CUBE, in_a_table(5)), CUBE, "100 wavelengths for 95 planes", "rebuild"),
    "table lost": (
        several(everywhere(CUBE, in_a_table(0)), without(CUBE, "WCS-TABLE")),
        CUBE, "there is no WCS-TABLE", "rebuild",
    ),
    # values
    "NaN cube": (filled(CUBE, value=np.nan), CUBE, "all of its voxels are NaN", "rebuild"),
    "cube of 1e300": (everywhere(CUBE, in_double(1, 1e300)), CUBE, "all of its voxels are NaN", "rebuild"),
    "images of 1e300": (
        several(*(everywhere(name, in_double(1, 1e300)) for name in (FIRST, SECOND))),
        SECOND, "no image covers the field", "use images of the same target", 64,
    ),
    "NaN images": (
        filled(FIRST, SECOND, value=np.nan), SECOND, "no image covers the field", "use images of the", 64,
    ),
    "dark images": (filled(FIRST, SECOND, value=0.0), "F182M", "MJy/sr", "use "),
    "negative flux": (
        several(*(everywhere(name, added(-1e4)) for name in (CUBE, FIRST, SECOND))), "F182M", "MJy", "use ",
    ),
    "a few voxels": (everywhere(CUBE, few_voxels), CUBE, "no spaxel has data in half", "rebuild"),
    "one valid spaxel": (everywhere(CUBE, one_spaxel), CUBE, "1 spaxel with data", "rebuild"),
    "one spaxel": (everywhere(CUBE, window(slice(7, 8), slice(7, 8))), CUBE, "1 spaxel with data", "rebuild"),
    "a brighter body": (
        several(
            keywords(CUBE, FIRST, SECOND, TARGTYPE="MOVING"),
            *(everywhere(name, brighter_body) for name in (FIRST, SECOND)),
        ),
        "F182M", "no band can be used",
        "check that the brightest source in the images is the one in the cube",
    ),
    # place
    "another field": (keywords(FIRST, SECOND, **FAR), SECOND, "about RA 83.83", "use images of the same", 64),
    "the other side of the sky": (
        keywords(FIRST, SECOND, CRVAL1=263.0, CRVAL2=5.4), SECOND, "0 %", "use images of the same", 64,
    ),
    # coordinates, of the cube and of an image in turn
    **{
        f"{values}": (
            everywhere(name, no_coordinates) if values is None else keywords(name, **values),
            name, f"no usable celestial WCS ({found}", "use the pipeline's",
        )
        for name, (values, found) in zip(
            cycle((CUBE, FIRST)),
            (
                (None, "there is no CTYPE1"),
                ({"CTYPE1": None}, "there is no CTYPE1"),
                ({"CTYPE1": "LINEAR"}, "axes LINEAR and DEC--TAN"),
                ({"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP"}, "axes RA---TAN-SIP and DEC"),
                ({"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN"}, "axes GLON-TAN and GLAT-TAN, RA"),
                ({"CTYPE1": "DEC--TAN", "CTYPE2": "RA---TAN"}, "axes DEC--TAN and RA---TAN"),
                ({"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN"}, "axes RA---SIN and DEC--SIN"),
                ({"A_ORDER": 2, "A_2_0": 1e-5}, "A_ORDER indicates distortion"),
                ({"PV2_1": 0.1}, "PV2_1 indicates distortion"),
                ({"LONPOLE": 90.0}, "LONPOLE is 90.0, 180 needed"),
                ({"RADESYS": "FK4", "EQUINOX": 1950.0}, "RADESYS is FK4 of equinox 1950.0, ICRS needed"),
                ({"RADESYS": "FK5", "EQUINOX": 1975.0}, "RADESYS is FK5 of equinox 1975.0, ICRS needed"),
                ({"PC1_1": 0.0, "PC1_2": 0.0}, ""),
                ({"CDELT1": 0.0}, ""),
                ({"CDELT1": 1e300}, "pixels of"),
                ({"CRPIX1": 1e300}, "pixels of"),
                ({"CRVAL1": 1e300}, "pixels of"),
                ({"CRVAL2": 95.0}, ""),
            ),
            strict=False,
        )
    },
    # files that are not whole
    **{
        f"{share} of {name}": (truncated(name, share), name, "cannot be read", "fetch")
        for name in (CUBE, FIRST)
        for share in (0, 0.5, 0.9, 0.99 if name == CUBE else 0.95)
    },
    **{
        f"{what} of {name}{suffix}": (
            compressed(name, suffix, change),
            f"{name}{suffix}", f"cannot be read as a JWST product ({found}", "fetch",
        )
        for name, suffix, wrong in ((CUBE, ".gz", "CRC check failed"), (FIRST, ".bz2", "Invalid data stream"))
        for what, change, found in (
            ("half", first_part(0.5), "Compressed file ended"),
            ("most", first_part(0.999), "Compressed file ended"),
            ("checksum", flipped(-6), wrong),
        )
    },
    "compressed without saying so": (
        compressed(FIRST, ".gz", first_part(0.999), keep_name=True), FIRST, "Compressed file ended", "fetch",
    ),
}  # fmt: skip
