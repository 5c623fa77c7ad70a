"""A file of the official pipeline, known by its headers, of whose arrays only windows are read."""

from contextlib import contextmanager
from io import BytesIO

import numpy as np
from asdf.util import load_yaml
from astropy.io import fits
from stdatamodels.jwst.datamodels import IFUCubeModel, ImageModel

from jwst_fusion.exceptions import InputError, one_line

__all__ = ["LazyModel", "Plane", "unbroken"]

#: Arrays that are used of a file.
PLANES = ("SCI", "ERR", "DQ", "WHT")


@contextmanager
def unbroken(file):
    """Within this context, raise an InputError for a file that ends, or breaks, while its arrays are read."""
    try:
        yield
    except (OSError, EOFError, ValueError, TypeError) as error:  # all of these are astropy's ways
        reason = one_line(error)
        raise InputError(
            f"{file}: can no longer be read to its end ({reason}): it was changed during the run; fetch "
            "the file again"
        ) from error


class Plane:
    """
    An image or a cube of a FITS file of which each window is read when it is asked for, and not kept.

    The file is not mapped into memory: what has been read of a map counts as used memory. A window has single
    precision, as the pipeline writes, for all that is no integer; a number too large for that is infinite.
    """

    def __init__(self, hdu, file):
        self._file = file
        self._section = hdu.section
        self.shape = hdu.shape
        stored = self._section.dtype
        self.dtype = np.dtype(np.float32) if stored.kind == "f" else stored
        self.ndim = len(self.shape)

    def __getitem__(self, window):
        """Read a window; raise InputError if the file has become shorter."""
        with unbroken(self._file), np.errstate(over="ignore"):
            return self._section[window].astype(self.dtype, copy=False)

    def __array__(self, dtype=None, copy=None):
        """Read all."""
        return np.asarray(self[...], dtype=dtype)


class LazyModel:
    """
    An i2d or s3d file of the official pipeline whose arrays are left on disk until they are read.

    A mosaic of NIRCam has 10 000 x 10 000 pixels and seven planes; the fusion needs a few hundred of them.
    What is used of a data model elsewhere is here under the same names, and None if the file lacks it: data,
    err, dq and wht are Planes. The first and the SCI header are in ``header``, a data model of the metadata
    alone is ``metadata``. The file is opened once, and closed with the model.
    """

    def __init__(self, path):
        file = path.rpartition("/")[2]
        self._file = fits.open(path, memmap=False)
        try:
            hdus = {}
            for hdu in self._file:  # reads the headers to the end of the file
                hdus.setdefault(hdu.name, hdu)
            planes = {name: Plane(hdu, file) for name, hdu in hdus.items() if name in PLANES and hdu.is_image}
            self.data, self.err, self.dq, self.wht = (planes.get(name) for name in PLANES)
            self.wavetable = np.array(hdus["WCS-TABLE"].data) if "WCS-TABLE" in hdus else None
            self.header = dict(self._file[0].header)
            if self.data is not None:
                self.header |= dict(hdus["SCI"].header)
            self.metadata = _metadata(self._file[0], hdus, self.data)
        except BaseException:
            self._file.close()
            raise
        self.meta = self.metadata.meta
        self.meta.filename = file

    @property
    def hdrtab(self):
        """Headers of the exposures that a cube was built from, ndarray, or None."""
        return np.array(self._file["HDRTAB"].data) if "HDRTAB" in self._file else None

    def hasattr(self, name):
        """Check whether an array is there, as data models do."""
        return getattr(self, name, None) is not None

    def close(self):
        """Close the file."""
        self._file.close()

    def __del__(self):
        """Close the file of a model that is forgotten, as data models do."""
        if hasattr(self, "_file"):
            self.close()


def _metadata(first, hdus, data):
    """Make a data model of the headers of a file's images, and of the logs of a cube."""
    bare = fits.HDUList([fits.PrimaryHDU(header=first.header)])
    for hdu in hdus.values():
        if hdu.is_image and hdu is not first:
            image = fits.ImageHDU(name=hdu.name)
            keep = [card for card in hdu.header.cards if not _is_structural(card.keyword)]
            image.header.extend(keep, update=True)
            bare.append(image)
    is_cube = data is not None and data.ndim == 3
    # what the schema does not allow, such as a filter that is none of JWST's, is judged by who uses it
    model = (IFUCubeModel if is_cube else ImageModel)(bare, pass_invalid_values=True)
    if is_cube and "ASDF" in hdus:
        model.cal_logs = load_yaml(BytesIO(hdus["ASDF"].data)).get("cal_logs", {})
    return model


def _is_structural(keyword):
    """Check whether a keyword describes the layout of an HDU."""
    known = ("XTENSION", "SIMPLE", "BITPIX", "PCOUNT", "GCOUNT", "EXTNAME", "BSCALE", "BZERO", "BLANK")
    return keyword in known or keyword.startswith("NAXIS")
