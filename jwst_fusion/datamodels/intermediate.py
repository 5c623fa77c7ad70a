"""Products of the steps before the fusion."""

from jwst_fusion.datamodels.base import BRIGHTNESS_UNIT, FusionModel

__all__ = ["CoregisteredModel", "CrossCalibratedModel"]


class CoregisteredModel(FusionModel):
    """
    A NIRSpec cube and NIRCam images on one grid (suffix ``coreg``).

    Attributes
    ----------
    data, err : float32 array, shape (n_wave, my, mx)
        Cube on its spaxels and its error [MJy/sr].
    dq : uint32 array, shape (n_wave, my, mx)
        Data quality.
    images, image_errors : float32 array, shape (n_band, ny, nx)
        NIRCam images on the cells of the fusion grid and their errors [MJy/sr].
    filters : table, a row per band
        Band, module, position angle, pixels, offset and scale.
    channels : table, a row per wavelength
        ``wavelength`` [um] and ``noise`` [MJy/sr] of the cube.
    """

    schema_url = "asdf://jwst_fusion/schemas/coregistered.schema"

    hdu_order = (*FusionModel.hdu_order, "IMAGES", "IMAGERR", "FILTERS", "CHANNELS")

    def _set_units(self):
        super()._set_units()
        if self.hasattr("images"):
            self.meta.bunit_images = BRIGHTNESS_UNIT
        if self.hasattr("image_errors"):
            self.meta.bunit_image_errors = BRIGHTNESS_UNIT


class CrossCalibratedModel(CoregisteredModel):
    """
    A co-registered cube and images, and how they compare in flux (suffix ``xcal``).

    Attributes
    ----------
    bandpasses : float64 array, shape (n_band, n_wave)
        Weights of the cube's channels in each band, summing to one.
    """

    schema_url = "asdf://jwst_fusion/schemas/crosscalibrated.schema"

    hdu_order = (*CoregisteredModel.hdu_order, "BANDPASS")
