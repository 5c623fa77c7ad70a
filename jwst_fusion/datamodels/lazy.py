"""A large image of which only a window is read."""

from astropy.io import fits
from stdatamodels.jwst.datamodels import ImageModel

from jwst_fusion.datamodels.headers import is_structural

__all__ = ["LazyImage"]


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
    data, err, wht : ndarray, shape (ny, nx), or None
        Arrays on disk.
    """

    def __init__(self, path):
        with fits.open(path, memmap=True) as hdulist:
            headers = [hdu.header for hdu in hdulist if hdu.name in ("SCI", "ERR", "WHT")]
        scaled = any(keyword in header for header in headers for keyword in ("BSCALE", "BZERO", "BLANK"))
        self._file = fits.open(path, memmap=not scaled)
        try:
            names = [hdu.name for hdu in self._file]
            arrays = {hdu: self._file[hdu].data if hdu in names else None for hdu in ("SCI", "ERR", "WHT")}
            self.data, self.err, self.wht = arrays.values()
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
        """Close the file. Arrays that are still referred to remain readable."""
        self._model.close()
        self._file.close()
