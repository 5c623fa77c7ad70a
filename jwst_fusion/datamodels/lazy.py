"""A large image of which only a window is read."""

import numpy as np
from astropy.io import fits
from stdatamodels.jwst.datamodels import ImageModel

from jwst_fusion.datamodels.headers import is_structural

__all__ = ["LazyImage", "Plane"]


class Plane:
    """
    An image of a FITS file of which each window is read when it is asked for, and not kept.

    Parameters
    ----------
    hdu : `astropy.io.fits.ImageHDU`
        Of a file that is not mapped into memory: what has been read of a map counts as used memory.

    Attributes
    ----------
    shape : tuple of int
        Shape of the image.
    dtype : numpy.dtype
        Type of what a window gives.
    ndim : int
        Number of dimensions.
    """

    def __init__(self, hdu):
        self._section = hdu.section
        self.shape = hdu.shape
        self.dtype = self._section.dtype
        self.ndim = len(self.shape)

    def __getitem__(self, window):
        """Read a window."""
        return self._section[window]

    def __array__(self, dtype=None, copy=None):
        """Read all."""
        return np.asarray(self._section[...], dtype=dtype)


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
    data, err, wht : Plane, shape (ny, nx), or None
        Arrays on disk.
    """

    def __init__(self, path):
        self._file = fits.open(path, memmap=False)
        try:
            names = [hdu.name for hdu in self._file]
            arrays = (Plane(self._file[name]) if name in names else None for name in ("SCI", "ERR", "WHT"))
            self.data, self.err, self.wht = arrays
            bare = fits.ImageHDU(name="SCI")
            keep = [card for card in self._file["SCI"].header.cards if not is_structural(card.keyword)]
            bare.header.extend(keep, update=True)
            self._model = ImageModel(fits.HDUList([fits.PrimaryHDU(header=self._file[0].header), bare]))
        except BaseException:
            self._file.close()
            raise
        self.meta = self._model.meta
        self.meta.filename = path.rpartition("/")[2]

    def hasattr(self, name):
        """
        Tell whether an array is there.

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
