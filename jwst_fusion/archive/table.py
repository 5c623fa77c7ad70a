"""Tables of the archive: rows of MAST's observation table or mission search as products."""

import csv
import io
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io.votable import parse_single_table
from astropy.table import Table
from astropy.time import Time

from jwst_fusion.archive.regions import parse_region
from jwst_fusion.atomic import write_atomic
from jwst_fusion.coregistration.ranges import CUBE_RANGES
from jwst_fusion.exceptions import InputError, one_line
from jwst_fusion.optics import throughput
from jwst_fusion.ownership import MARK, is_plain_name

__all__ = ["ArchiveFile", "ArchiveProduct", "products_of_table", "read_cells", "read_table", "write_table"]

#: What each quantity is called in MAST's observation table (CAOM), its product lists and the mission
#: search, lower case, letters and digits only; the first that is there counts.
COLUMNS = {
    "name": ("obsid", "filesetname", "dataset", "productkey", "observationid"),
    "filename": ("productfilename", "filename", "file"),
    "instrument": ("instrumentname", "instrume", "instrument"),
    "exposure_type": ("exptype",),
    "filters": ("filters", "opticalelements", "opticalelement", "filter"),
    "pupil": ("pupil",),
    "grating": ("grating",),
    "target": ("targetname", "targprop", "targname", "target"),
    "moving": ("mtflag", "targtype", "targettype", "movingtarget"),
    "level": ("caliblevel", "productlevel", "level"),
    "start": ("tmin", "expstart", "datebegmjd", "datebeg", "dateobsmjd", "dateobs"),
    "end": ("tmax", "expend", "dateendmjd", "dateend"),
    "exposure_time": ("texptime", "effexptm", "duration", "exposuretime"),
    "region": ("sregion", "footprint", "region"),
    "uri": ("datauri", "dataurl", "uri"),
    "size": ("size", "filesize", "contentlength"),
    "checksum": ("checksum", "sha256", "md5", "md5sum", "contentchecksum"),
    "calibration": ("calver", "prvversion", "calibrationversion"),
    "context": ("crdsctx", "crdscontext"),
    "program": ("proposalid", "program"),
}
REQUIRED = ("name", "instrument", "region")

_SUFFIX = {"cube": "_s3d.fits", "image": "_i2d.fits"}
_NO_IMAGE = ("WFSS", "GRISM", "CORON", "TARGACQ", "TACQ", "TSGRISM", "SCIENCE GRISM")
_NO_BAND = re.compile("WL[PM]8|GRISM|GDHS|MASK|FLAT|PINHOLE|WEAK")
_MISSING = {"", "--", "nan", "none", "null", "masked"}


@dataclass(frozen=True)
class ArchiveFile:
    """A file to fetch, as far as it is known."""

    filename: str
    uri: str = ""  # mast:... or a URL
    size: int | None = None  # [byte]
    checksum: str = ""  # MD5, SHA-1 or SHA-256 in hexadecimal digits
    calibration: str = ""  # version of the calibration software that made it
    context: str = ""  # CRDS context that made it


@dataclass(frozen=True, eq=False)
class ArchiveProduct:
    """A stage-3 product that the archive holds."""

    kind: str  # cube or image
    name: str  # of the observation
    file: ArchiveFile
    setup: tuple  # grating and blocking filter of a cube; effective band of an image
    target: str = ""
    moving: bool = False
    start: float = float("nan")  # of the observation [MJD]; NaN if not stated
    end: float = float("nan")
    exposure_time: float = 0.0  # [s]; 0 if not stated
    region: tuple | None = None  # footprint, see `parse_region`; None for a moving target without one

    @property
    def filename(self):
        """Name of the file."""
        return self.file.filename

    @property
    def root(self):
        """Name of the file without its suffix."""
        return self.filename.removesuffix(_SUFFIX[self.kind])

    @property
    def epoch(self):
        """Middle of the observation [MJD]; NaN if not stated."""
        return self.start if np.isnan(self.end) else 0.5 * (self.start + self.end)


def read_table(path):
    """Read a table in CSV, ECSV or VOTable, recognised by its content; raise InputError if it is none."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a table that MAST exported (CSV, ECSV or VOTable)")
    with path.open("rb") as file:
        begin = file.read(4096).lstrip(b"\xef\xbb\xbf \r\n\t")
    try:
        if begin.startswith(b"<"):
            return parse_single_table(path, verify="ignore").to_table(use_names_over_ids=True)
        if begin.startswith(b"# %ECSV"):
            return Table.read(path, format="ascii.ecsv")
        header, rows = read_cells(path.read_text(encoding="utf-8-sig"))
        if not header:
            raise ValueError("it holds no row")
        return Table(rows=rows or None, names=header, dtype=[str] * len(header))
    except Exception as error:  # noqa: BLE001 - astropy raises all kinds for a broken table
        reason = one_line(error)[:200]
        raise InputError(
            f"{path.name}: not a readable CSV, ECSV or VOTable ({reason}); export it again"
        ) from None


def write_table(table, path):
    """Write a table in ECSV; a file of ours is replaced."""
    table.meta["made_by"] = MARK
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    write_atomic(path, text.getvalue().encode())


def read_cells(text):
    """
    Read header and rows of a CSV, or of the same with tabulators or spaces; lines with ``#`` are comments.

    Raises ValueError if a row has not the length of the header.
    """
    lines = [line for line in io.StringIO(text) if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        return [], []
    mark = next((mark for mark in "\t," if mark in lines[0]), " ")
    header, *rows = csv.reader(lines, delimiter=mark, skipinitialspace=True)
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise ValueError(f"row {number} has {len(row)} cells, the header {len(header)}")
    return [name.strip() for name in header], rows


def products_of_table(table, name="the table"):
    """
    Take the products that can be fused from a table, one for each file, and count the other rows by reason.

    The table is MAST's, with a row per observation or per product. Raises InputError, which names it, if a
    column that is needed is missing.
    """
    columns = _columns(table, name)
    products, left_out = {}, Counter()
    for row in zip(*columns.values(), strict=True):
        values = dict(zip(columns, row, strict=True))
        try:
            product = _product(values)
        except InputError as reason:
            left_out[str(reason)] += 1
            continue
        if product.filename in products:
            left_out["a second row of the same file"] += 1
        products[product.filename] = product
    return list(products.values()), left_out


def _columns(table, name):
    """Values of the known quantities as lists of str, by quantity."""
    present = {re.sub(r"[^a-z0-9]", "", column.lower()): column for column in reversed(table.colnames)}
    if "obs_id" in table.colnames:
        present["obsid"] = "obs_id"
    columns = {}
    for quantity, names in COLUMNS.items():
        column = next((present[each] for each in names if each in present), None)
        if column is not None:
            columns[quantity] = [_text(value) for value in table[column].tolist()]
        elif quantity in REQUIRED:
            raise InputError(
                f"{name}: no column {names[0]} (or {', '.join(names[1:])}) among "
                f"{', '.join(table.colnames[:8])} ...; export MAST's table of observations with all columns"
            )
        else:
            columns[quantity] = [""] * len(table)
    for quantity in ("start", "end"):
        columns[quantity] = [_date(text) for text in columns[quantity]]
    return columns


def _text(value):
    """Value of a cell as text; empty if missing."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = "" if value is None else str(value).strip()
    return "" if text.lower() in _MISSING else text


def _date(text):
    """MJD of a date that is given as MJD or in ISO 8601; NaN if missing."""
    with suppress(ValueError):
        return float(text or "nan")
    with suppress(ValueError):
        return float(Time(text.rstrip("Z").replace(" ", "T"), format="isot", scale="utc").mjd)
    return float("nan")


def _product(values):
    """Product of one row; an InputError says why it is none."""
    kind = _kind(values)
    level = values["level"][:1]
    if level.isdigit() and int(level) < 3:
        raise InputError("not of level 3")
    filename = values["filename"] or Path(values["uri"]).name
    if not filename.endswith(_SUFFIX[kind]):
        if values["filename"]:
            raise InputError(f"a file that is no *{_SUFFIX[kind]}")
        filename = f"{values['name']}{_SUFFIX[kind]}"
    if not is_plain_name(filename):
        raise InputError("a file name that is a path, hidden, not printable, or too long")
    uri = values["uri"] if values["uri"].endswith(filename) else f"mast:JWST/product/{filename}"
    moving = values["moving"].upper() in ("TRUE", "T", "1", "1.0", "MOVING", "YES", "Y")
    try:
        region = parse_region(values["region"])
    except InputError:
        if not moving:
            raise
        region = None
    size = _number(values["size"])
    stated = {name: values[name] for name in ("checksum", "calibration", "context")}
    return ArchiveProduct(
        kind=kind,
        name=values["name"],
        file=ArchiveFile(filename, uri, None if size is None else int(size), **stated),
        setup=_cube_setup(values) if kind == "cube" else (_image_band(values),),
        target=values["target"],
        moving=moving,
        start=values["start"],
        end=values["end"],
        exposure_time=_number(values["exposure_time"]) or 0.0,
        region=region,
    )


def _kind(values):
    """Classify a row: a cube of the IFU, a direct image, or neither."""
    instrument = values["instrument"].upper()
    modes = f"{instrument} {values['exposure_type'].upper()}".replace("_", " ")
    if "NIRSPEC" in instrument and ("IFU" in modes or values["filename"].endswith("_s3d.fits")):
        return "cube"
    direct = "IMAGE" in modes or values["filename"].endswith("_i2d.fits") or instrument == "NIRCAM"
    if "NIRCAM" in instrument and direct and not any(word in modes.replace(" ", "") for word in _NO_IMAGE):
        return "image"
    raise InputError("neither NIRSpec IFU nor NIRCam imaging")


def _elements(values):
    """Names of optical elements, from their columns or else from the observation's name."""
    stated = f"{values['filters']} {values['pupil']} {values['grating']}".upper()
    found = re.findall(r"[A-Z0-9]+", stated)
    return found or re.findall(r"[A-Z0-9]+", values["name"].upper())


def _cube_setup(values):
    """Grating and blocking filter of a cube."""
    elements = _elements(values)
    for grating, blocking_filter in CUBE_RANGES:
        if grating in elements and (blocking_filter in elements or grating == "PRISM"):
            return grating, blocking_filter
    raise InputError("no grating and filter of the IFU's spectra")


def _image_band(values):
    """Effective band of an image."""
    elements = _elements(values)
    if any(_NO_BAND.match(name) for name in elements):
        raise InputError("neither NIRSpec IFU nor NIRCam imaging")
    bands = [name for name in dict.fromkeys(elements) if name in throughput.filter_names()]
    wheel = [name for name in bands if name in throughput.PUPIL_FILTERS]
    if len(wheel) == 1 and set(bands) <= {wheel[0], throughput.PUPIL_FILTERS[wheel[0]]}:
        return wheel[0]
    if len(bands) == 1 and not wheel:
        return bands[0]
    raise InputError("no single NIRCam filter")


def _number(text):
    """Read the number in a cell; None if there is none."""
    try:
        return float(text) if np.isfinite(float(text)) else None
    except ValueError:
        return None
