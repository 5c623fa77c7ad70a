"""A file of the official pipeline, known by its headers alone."""

import numpy as np
from astropy.io import fits
from stdatamodels.jwst.datamodels import IFUCubeModel, ImageModel

__all__ = ["HeaderModel"]


class HeaderModel:
    """
    Metadata of an i2d or s3d file and the shape of its data, of which nothing is read.

    What is used of a data model elsewhere is here under the same names.

    Parameters
    ----------
    hdulist : astropy.io.fits.HDUList
        The opened file.
    name : str
        Its name.

    Attributes
    ----------
    meta : ObjectNode
        Metadata.
    data, wht : ndarray or None
        Zeros of the data's shape that take no memory; None if there is no SCI image, or no weights.
    wavetable : ndarray or None
        Table of the wavelengths of a cube.
    header : dict
        Keywords of the first and of the SCI header as they stand in the file.
    extensions : tuple of str
        Names of the HDUs.
    """

    def __init__(self, hdulist, name):
        self.extensions = tuple(hdu.name for hdu in hdulist)
        bare = fits.HDUList([fits.PrimaryHDU(header=hdulist[0].header)])
        self.data = self.wavetable = self.wht = None
        self.header = dict(hdulist[0].header)
        if "SCI" in self.extensions and hdulist["SCI"].is_image:
            science = hdulist["SCI"]
            self.data = np.broadcast_to(np.float32(0), science.shape)
            self.header |= dict(science.header)
            self.wht = self.data if "WHT" in self.extensions else None
            image = fits.ImageHDU(name="SCI")
            image.header.extend(
                [card for card in science.header.cards if not is_structural(card.keyword)], update=True
            )
            bare.append(image)
        if "WCS-TABLE" in self.extensions:
            self.wavetable = np.array(hdulist["WCS-TABLE"].data)
        is_cube = self.data is not None and self.data.ndim == 3
        # what the schema does not allow, such as a filter that is none of JWST's, is judged by who uses it
        self.meta = (IFUCubeModel if is_cube else ImageModel)(bare, pass_invalid_values=True).meta
        self.meta.filename = name

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


def is_structural(keyword):
    """
    Check whether a keyword describes the layout of an HDU.

    Parameters
    ----------
    keyword : str
        FITS keyword.

    Returns
    -------
    bool
        Whether it does.
    """
    known = ("XTENSION", "SIMPLE", "BITPIX", "PCOUNT", "GCOUNT", "EXTNAME", "BSCALE", "BZERO", "BLANK")
    return keyword in known or keyword.startswith("NAXIS")
