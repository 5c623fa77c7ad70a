"""Base class of all products: order of the HDUs, identity, and atomic writing."""

import logging
import math
import os
import re
import warnings
from contextlib import ExitStack, contextmanager
from numbers import Integral, Real
from pathlib import Path

import numpy as np
from asdf.tags.core import HistoryEntry
from astropy.io import fits
from stdatamodels import fits_support
from stdatamodels.jwst.datamodels import IFUCubeModel

from jwst_fusion.atomic import atomic_file
from jwst_fusion.ownership import product_mark

__all__ = ["FusionModel", "cell_text"]

log = logging.getLogger(__name__)

SIGN_BIT = 2**31

BRIGHTNESS_UNIT = "MJy/sr"


class FusionModel(IFUCubeModel):
    """
    A cube with the tables and images that one step hands to the next.

    In a file it calls itself an ``IFUCubeModel`` (keyword DATAMODL), so that tools which know JWST's
    cubes open it unchanged; ``meta.fusion.model_type`` (keyword FUSMODL) holds the name of its class,
    by which `jwst_fusion.datamodels.open` finds it.
    """

    schema_url = "asdf://jwst_fusion/schemas/fusion.schema"

    hdu_order = ("SCI", "ERR", "DQ", "WMAP", "WCS-TABLE")
    """Extensions in the order in which they stand in a FITS file, before HDRTAB and ASDF."""

    _saved_as = None

    @property
    def _model_type(self):
        return "IFUCubeModel"

    def __repr__(self):
        """Name the class, the shape and the file."""
        return super().__repr__().replace(self._model_type, type(self).__name__, 1)

    def on_init(self, init):
        """Name the class of the model."""
        super().on_init(init)
        self.meta.model_type = self._model_type
        self.meta.fusion.model_type = type(self).__name__

    def on_save(self, init):
        """Complete the metadata: name of the file, units; drop what a file cannot hold."""
        if self._saved_as is not None:
            init = self._saved_as
        super().on_save(init)
        self.meta.fusion.model_type = type(self).__name__
        self._set_units()
        _make_storable(self._instance["meta"])
        _make_keywords_printable(self._instance, self._schema)

    def _set_units(self):
        """State the unit of the arrays that are surface brightness."""
        for attribute, array in (("bunit_data", "data"), ("bunit_err", "err")):
            if self.hasattr(array) and not getattr(self.meta, attribute):
                setattr(self.meta, attribute, BRIGHTNESS_UNIT)

    def set_table(self, name, **columns):
        """
        Fill a table from its columns.

        Parameters
        ----------
        name : str
            Attribute of the table, such as ``filters``.
        **columns : array_like
            Values by the name of the column, all of one length; text is cut to the column's width. A
            floating-point column that is not given becomes NaN, any other zero or empty.

        Raises
        ------
        ValueError
            If a column is not in the schema, or the lengths differ.
        """
        dtype = self.get_dtype(name)
        unknown = sorted(set(columns) - set(dtype.names))
        if unknown:
            raise ValueError(f"table {name!r} has no column {unknown}: it has {list(dtype.names)}")
        lengths = {len(np.atleast_1d(values)) for values in columns.values()}
        if len(lengths) != 1:
            raise ValueError(f"the columns for table {name!r} have different lengths: {sorted(lengths)}")
        table = np.zeros(lengths.pop(), dtype=dtype)
        for column in dtype.names:
            if column in columns:
                table[column] = columns[column]
            elif dtype[column].kind == "f":
                table[column] = np.nan
        setattr(self, name, table)

    def add_columns(self, name, **columns):
        """
        Add columns that are not in the schema to the end of a table.

        Parameters
        ----------
        name : str
            Attribute of the table, such as ``filters``.
        **columns : array_like
            Values by the name of the column.
        """
        table = np.asarray(getattr(self, name))
        dtype = table.dtype.descr + [(column, np.float64) for column in columns]
        longer = np.zeros(table.shape, dtype=dtype)
        for column in table.dtype.names:
            longer[column] = table[column]
        for column, values in columns.items():
            longer[column] = values
        setattr(self, name, longer)

    def set_fusion(self, **values):
        """
        Set entries of ``meta.fusion``; leave out what is None or not finite.

        Parameters
        ----------
        **values : object
            Values by the name of the entry; numpy's scalars are made Python's, and a character that
            FITS cannot hold a question mark.

        Raises
        ------
        ValueError
            If an entry is not in the schema.
        """
        known = self._schema["properties"]["meta"]["properties"]["fusion"]["properties"]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(f"meta.fusion has no entry {unknown}: it has {sorted(known)}")
        _make_storable(values)
        for name, value in values.items():
            if isinstance(value, str):
                value = _printable(value)
            setattr(self.meta.fusion, name, value)

    def add_history(self, text):
        """Add a line to the history, with a question mark for a character that FITS cannot hold."""
        entries = self._instance.setdefault("history", {}).setdefault("entries", [])
        entries.append(HistoryEntry({"description": _printable(text)}))

    @property
    def history_lines(self):
        """Lines of the history, list of str."""
        return [str(entry["description"]) for entry in self._instance.get("history", {}).get("entries", [])]

    def save(self, path, dir_path=None, *args, overwrite=True, **kwargs):
        """
        Save to a FITS or ASDF file, whole or not at all.

        See `jwst_fusion.atomic.atomic_file`.

        Parameters
        ----------
        path : str, path-like or callable
            Path of the file; a callable makes it from ``meta.filename``.
        dir_path : str, optional
            Folder, in place of that of ``path``.
        *args, **kwargs
            Passed on to `astropy.io.fits.HDUList.writeto` or `asdf.AsdfFile.write_to`.
        overwrite : bool, optional
            Whether a product of the same kind (FUSMODL) may be replaced. Another file never is.

        Returns
        -------
        output_path : str
            Path of the file.

        Raises
        ------
        ValueError
            If the name ends in neither .fits nor .asdf.
        InputError
            If another file of that name is there.
        OSError
            If the folder is not there, the file cannot be written, or it exists and ``overwrite`` is False.
        """
        output = _output_path(path(self.meta.filename) if callable(path) else path, dir_path)
        writers = {".fits": self.to_fits, ".asdf": self.to_asdf}
        if output.suffix not in writers:
            raise ValueError(f"unknown file type {output.suffix!r} of {output}: expected .fits or .asdf")
        self._saved_as = str(output)
        try:
            mark = product_mark(type(self).__name__) if overwrite else None
            with atomic_file(output, mark=mark) as file:
                writers[output.suffix](file, *args, **kwargs)
        finally:
            self._saved_as = None
        return str(output)

    def to_fits(self, init, *args, **kwargs):
        """Write a FITS file as stdatamodels does, its HDUs in the order of the contract."""
        self.on_save(init)
        hdulist = fits_support.to_fits(self._instance, self._schema, hdulist=self._empty_hdus())
        for hdu in hdulist:
            if isinstance(hdu, fits.BinTableHDU) and hdu.name in self.hdu_order:
                _complete_table_header(hdu, self._column_units(hdu.name))
        with warnings.catch_warnings(), ExitStack() as stack:
            warnings.filterwarnings("ignore", message="Card is too long")
            for hdu in hdulist:
                if isinstance(hdu, fits.ImageHDU):
                    stack.enter_context(_as_signed(hdu))
            hdulist.writeto(init, *args, **kwargs)

    def _array_schemas(self):
        """Attribute and schema of each array, by the name of its HDU."""
        return {
            schema["fits_hdu"]: (name, schema)
            for name, schema in self._schema["properties"].items()
            if "fits_hdu" in schema and "datatype" in schema
        }

    def _empty_hdus(self):
        """Make empty HDUs, in order, for stdatamodels to fill: it appends those that are missing."""
        schemas = self._array_schemas()
        hdulist = fits.HDUList([fits.PrimaryHDU()])
        for hdu_name in self.hdu_order:
            attribute, schema = schemas[hdu_name]
            if self._instance.get(attribute) is not None:
                is_table = isinstance(schema["datatype"], list)
                hdulist.append((fits.BinTableHDU if is_table else fits.ImageHDU)(name=hdu_name))
        return hdulist

    def _column_units(self, hdu_name):
        """Units of a table's columns, by name, from the schema."""
        schema = self._array_schemas()[hdu_name][1]
        return {field["name"]: field["unit"] for field in schema["datatype"] if "unit" in field}


@contextmanager
def _as_signed(hdu):
    """
    Have unsigned flags written as they are stored, signed with an offset.

    astropy makes two copies to do so; here the highest bit is turned over in place, and back at the end.
    """
    flags = hdu.data
    if flags is None or flags.dtype != np.uint32 or not flags.dtype.isnative or not flags.flags.writeable:
        yield
        return
    flags ^= np.uint32(SIGN_BIT)
    try:
        hdu.data = flags.view(np.int32)
        hdu.header["BSCALE"], hdu.header["BZERO"] = 1, SIGN_BIT
        yield
    finally:
        flags ^= np.uint32(SIGN_BIT)
        hdu.data = flags


def cell_text(value):
    """Read the text in a cell of a table: FITS has it as padded bytes."""
    return (value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)).strip()


def _output_path(path, dir_path):
    """Path of a file, in the folder `dir_path` if that is given."""
    path = Path(os.fsdecode(path))
    return Path(dir_path) / path.name if dir_path else path


def _make_storable(tree):
    """Drop None and numbers that are not finite from nested dicts; make numpy's scalars Python's."""
    for key, value in list(tree.items()):
        if isinstance(value, dict):
            _make_storable(value)
        elif isinstance(value, np.bool_):
            tree[key] = bool(value)
        elif isinstance(value, Real) and not isinstance(value, bool):
            tree[key] = int(value) if isinstance(value, Integral) else float(value)
        if value is None or (isinstance(value, Real) and not math.isfinite(value)):
            log.debug("%s is %s: not stored", key, value)
            del tree[key]


def _make_keywords_printable(tree, schema):
    """Put question marks for what FITS cannot hold in the texts that become keywords."""
    for key, part in schema.get("properties", {}).items():
        value = tree.get(key)
        if isinstance(value, dict):
            _make_keywords_printable(value, part)
        elif isinstance(value, str) and "fits_keyword" in part:
            tree[key] = _printable(value)


def _printable(text):
    """Text with a question mark for each character that a FITS header cannot hold."""
    return "".join(each if " " <= each <= "~" else "?" for each in text)


def _complete_table_header(hdu, units):
    """State the units of a table's columns, and drop a TDIM of a column that is not there."""
    for column in hdu.columns:
        unit = units.get(column.name)
        if unit is not None:
            column.unit = unit
    for keyword in [key for key in hdu.header if re.fullmatch(r"TDIM\d+", key)]:
        if int(keyword[4:]) > len(hdu.columns):
            del hdu.header[keyword]
