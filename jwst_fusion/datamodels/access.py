"""Open a file with the data model that wrote it."""

import bz2
import gzip
import lzma
import os
import warnings
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import asdf
from astropy.io import fits
from stdatamodels import filetype
from stdatamodels.jwst import datamodels as jwst_models
from stdatamodels.jwst.datamodels import JwstDataModel

from jwst_fusion.datamodels.fused import FusedCubeModel
from jwst_fusion.datamodels.intermediate import CoregisteredModel, CrossCalibratedModel
from jwst_fusion.datamodels.lazy import LazyModel

__all__ = ["open", "open_member"]

#: How compressed files begin, and what reads them to the end, where their checksum is.
COMPRESSED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}

MODELS = {model.__name__: model for model in (FusedCubeModel, CoregisteredModel, CrossCalibratedModel)}


def open(init, **kwargs):  # noqa: A001
    """
    Open a file, or a model, with the class that its FUSMODL names.

    Parameters
    ----------
    init : str, path-like or `stdatamodels.jwst.datamodels.JwstDataModel`
        File or model. A model is not copied.
    **kwargs
        Passed on to the class of the model.

    Returns
    -------
    model : `stdatamodels.jwst.datamodels.JwstDataModel`
        A model of jwst_fusion, or for files of other origin what `stdatamodels.jwst.datamodels.open`
        gives.

    Raises
    ------
    Warning
        If a FITS file ends too early (astropy's warning as an error).
    """
    if isinstance(init, Path):
        init = str(init)
    name, file_type = None, filetype.check(init) if isinstance(init, str) else None
    if file_type == "fits":
        with _broken_files_refused(), fits.open(init, memmap=False) as hdulist:
            len(hdulist)  # reads the headers to the end of the file
            name = hdulist[0].header.get("FUSMODL")
            if name in MODELS:
                return MODELS[name](hdulist, **kwargs)
    elif file_type == "asdf":
        meta = asdf.util.load_yaml(init).get("meta", {})
        name = meta.get("fusion", {}).get("model_type") if isinstance(meta, dict) else None
    elif isinstance(init, JwstDataModel):
        name = init.meta.instance.get("fusion", {}).get("model_type")
    model_class = MODELS.get(name)
    if model_class is None or isinstance(init, model_class):
        return jwst_models.open(init, **kwargs)
    return model_class(init, **kwargs)


def open_member(path):
    """
    Open a file of the official pipeline, of which nothing but its headers and tables is read (LazyModel).

    A file that is not FITS is opened as a model. A FITS file that ends too early, or a broken compressed one,
    is a Warning, OSError or EOFError.
    """
    if filetype.check(path) != "fits":
        return open(path)
    _check_stream(path)
    with _broken_files_refused():
        return LazyModel(path)


def _check_stream(path):
    """Read a compressed file to its end, once: what astropy reads of it may stop before a break is seen."""
    state = os.stat(path)
    _read_to_end(path, state.st_size, state.st_mtime_ns)


@lru_cache
def _read_to_end(path, size, modified):
    """Read a compressed file of this size and time to its end; an OSError or EOFError if it is broken."""
    with Path(path).open("rb") as file:
        start = file.read(8)
    for magic, opener in COMPRESSED.items():
        if start.startswith(magic):
            with opener(path) as stream:
                while stream.read(2**20):
                    pass


@contextmanager
def _broken_files_refused():
    """Make errors of astropy's warnings that a FITS file ends too early."""
    with warnings.catch_warnings():
        for message in ("truncated: actual file length", "the file is corrupted"):
            warnings.filterwarnings("error", message=f"(?s).*{message}")
        yield
