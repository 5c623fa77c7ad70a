"""A large image of which only a window is read."""

from contextlib import contextmanager

import numpy as np
from astropy.io import fits
from stdatamodels.jwst.datamodels import ImageModel

from jwst_fusion.datamodels.headers import is_structural
from jwst_fusion.exceptions import InputError, one_line

__all__ = ["LazyImage", "Plane", "unbroken"]


@contextmanager
def unbroken(file):
    """
    Refuse a file that ends, or breaks, while its arrays are read.

    Parameters
    ----------
    file : str
        Name of the file.

    Yields
    ------
    None

    Raises
    ------
    InputError
        It does.
    """
    try:
        yield
    except (OSError, EOFError, ValueError, TypeError) as error:  # all of these are astropy's ways
        reason = one_line(error)
        raise InputError(
            f"{file}: cannot be read to its end any more ({reason}): it was changed meanwhile; fetch the "
            "file again"
        ) from error


class Plane:
    """
    An image of a FITS file of which each window is read when it is asked for, and not kept.

    Parameters
    ----------
    hdu : `astropy.io.fits.ImageHDU`
        Of a file that is not mapped into memory: what has been read of a map counts as used memory.
    file : str
        Name of the file.

    Attributes
    ----------
    shape : tuple of int
        Shape of the image.
    dtype : numpy.dtype
        Type of what a window gives: single precision, as the pipeline writes, for all that is no integer; a
        number that is too large for that becomes infinite.
    ndim : int
        Number of dimensions.
    """

    def __init__(self, hdu, file):
        self._file = file
        self._section = hdu.section
        self.shape = hdu.shape
        stored = self._section.dtype
        self.dtype = np.dtype(np.float32) if stored.kind == "f" else stored
        self.ndim = len(self.shape)

    def __getitem__(self, window):
        """Read a window; an InputError if the file has become shorter."""
        with unbroken(self._file), np.errstate(over="ignore"):
            return self._section[window].astype(self.dtype, copy=False)

    def __array__(self, dtype=None, copy=None):
        """Read all."""
        return np.asarray(self[...], dtype=dtype)


class LazyImage:
    """
    Metadata and arrays of an i2d file, the arrays left on disk until they are read.

    A mosaic of NIRCam has 10 000 x 10 000 pixels and seven planes; the fusion needs a few hundred of
    them. What is used of an ``ImageModel`` elsewhere is here under the same names.

    Parameters
    ----------
    path : str
        FITS file.

    Attributes
    ----------
    meta : ObjectNode
        Metadata of an ``ImageModel``.
    header : dict
        Keywords of the first and of the SCI header as they stand in the file.
    data, err, wht : Plane, shape (ny, nx), or None
        Arrays on disk.
    """

    def __init__(self, path):
        file = path.rpartition("/")[2]
        self._file = fits.open(path, memmap=False)
        try:
            planes = {hdu.name: Plane(hdu, file) for hdu in self._file if hdu.name in ("SCI", "ERR", "WHT")}
            self.data, self.err, self.wht = (planes.get(name) for name in ("SCI", "ERR", "WHT"))
            bare = fits.ImageHDU(name="SCI")
            self.header = dict(self._file[0].header) | dict(self._file["SCI"].header)
            keep = [card for card in self._file["SCI"].header.cards if not is_structural(card.keyword)]
            bare.header.extend(keep, update=True)
            hdus = fits.HDUList([fits.PrimaryHDU(header=self._file[0].header), bare])
            self._model = ImageModel(hdus, pass_invalid_values=True)  # judged by who uses them
        except BaseException:
            self._file.close()
            raise
        self.meta = self._model.meta
        self.meta.filename = file

    def hasattr(self, name):
        """
        Check whether an array is there.

        Parameters
        ----------
        name : str
            Attribute.

        Returns
        -------
        bool
            Whether it is not None.
        """
        return getattr(self, name, None) is not None

    def close(self):
        """Close the file."""
        self._model.close()
        self._file.close()
