"""CoregisterStep: cube and images onto one grid."""

import logging

from jwst_fusion import adapters
from jwst_fusion.coregistration.coregister import CoregistrationSettings, coregister

from .base import BaseStep

__all__ = ["CoregisterStep"]

log = logging.getLogger(__name__)


class CoregisterStep(BaseStep):
    """
    Bring a NIRSpec cube and NIRCam images onto one grid (paper, Appendix B).

    The input is a level-3 association of one ``*_s3d.fits`` and a ``*_i2d.fits`` for each filter, or a
    list of files or models. The product is a `jwst_fusion.datamodels.CoregisteredModel`, suffix
    ``coreg``.
    """

    class_alias = "coregister"
    output_suffix = "coreg"

    spec = """
        alignment = option('auto', 'wcs', 'cross_correlation', 'none', default='auto')  # How the offset between the instruments is found
        capture = float(min=0.0, max=60.0, default=2.0)  # Largest pointing error that is found [arcsec]
        decimation_factor = integer(min=1, max=8, default=None)  # Cells per spaxel along an axis; None: 3 short, 2 long channel
        margin = float(min=0.0, max=60.0, default=0.6)  # NIRCam sky kept around the footprint of the IFU [arcsec]
        wavelength_range = float_list(min=2, max=2, default=None)  # Limits [um]; None: the range shared by filters and cube
    """  # noqa: E501

    def process(self, input_data):
        """
        Co-register.

        Parameters
        ----------
        input_data : str, path-like, dict or list
            Association, files or models.

        Returns
        -------
        CoregisteredModel
            Cube and images on one grid.
        """
        inputs = adapters.open_inputs(input_data, self.make_input_path)
        settings = CoregistrationSettings(
            decimation_factor=self.decimation_factor,
            margin=self.margin,
            wavelength_range=tuple(self.wavelength_range) if self.wavelength_range else None,
            alignment=self.alignment,
            capture=self.capture,
        )
        cube = adapters.cube_product(inputs.cube)
        images = [adapters.image_product(image) for image in inputs.images]
        log.info("Read %s and %d images: %s", cube.name, len(images), ", ".join(i.filter for i in images))
        observation, noise_ratio = coregister(cube, images, settings)
        result = adapters.coregistered_model(observation, inputs.cube, noise_ratio)
        result.set_fusion(
            asn_name=inputs.association,
            cube_file=inputs.cube.meta.filename,
            image_files=", ".join(image.meta.filename or "" for image in inputs.images),
        )
        result.meta.asn.table_name = inputs.association
        result.meta.cal_step.coregister = "COMPLETE"
        owner = self.parent or self
        if owner.output_file is None:
            owner.output_file = f"{inputs.product}{owner.output_ext}"
        return result
