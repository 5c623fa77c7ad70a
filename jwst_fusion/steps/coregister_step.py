"""CoregisterStep: cube and images onto one grid."""

import logging
from dataclasses import replace

from jwst_fusion import adapters
from jwst_fusion.coregistration.coregister import CoregistrationSettings, coregister
from jwst_fusion.coregistration.sets import coregister_set
from jwst_fusion.exceptions import OneCubeError, ParameterError

from .base import BaseStep
from .optics import OpticsMixin

__all__ = ["CoregisterStep"]

log = logging.getLogger(__name__)

#: Limits [um] that hold all of any cube.
ANY_WAVELENGTH = (0.1, 100.0)

#: Parameters that are settings as they are.
PLAIN_SETTINGS = ("height", "width", "position_angle", "alignment", "capture", "decimation_factor", "margin",
                  "min_overlap")  # fmt: skip


class CoregisterStep(OpticsMixin, BaseStep):
    """
    Bring a NIRSpec cube and NIRCam images onto one grid (paper, Appendix B).

    The input is a level-3 association of one ``*_s3d.fits``, or several of one scene, and a ``*_i2d.fits``
    for each filter, or a list of files or models. The product is a
    `jwst_fusion.datamodels.CoregisteredModel`, suffix ``coreg``; of several cubes it is a list, with a model
    for each.
    """

    class_alias = "coregister"
    output_suffix = "coreg"

    spec = """
        center = force_list(default=None)  # Centre of the field, RA and Dec [deg or sexagesimal]; None: that of the cube
        center_spaxel = float_list(min=2, max=2, default=None)  # Centre of the field as spaxel x, y of the cube, counted from 0
        height = float(min=0.0, default=None)  # Extent of the field along y [arcsec]; None: the whole field of the IFU
        width = float(min=0.0, default=None)  # Extent of the field along x [arcsec]; None: the whole field of the IFU
        position_angle = string(default='cube')  # Position angle of the field's y axis: cube (no rotation), aperture or degrees E of N
        alignment = option('auto', 'wcs', 'cross_correlation', 'none', default='auto')  # How the offset between the instruments is measured
        capture = float(min=0.0, max=60.0, default=2.0)  # Largest pointing error that can be found [arcsec]
        decimation_factor = integer(min=1, max=8, default=None)  # Cells per spaxel along an axis; None: cells of about 0.033" (short channel) or 0.05" (long channel)
        margin = float(min=0.0, max=60.0, default=0.6)  # NIRCam sky kept around the field [arcsec]
        min_overlap = float(min=0.0, max=1.0, default=0.5)  # Smallest share of the field that an image must cover
        wavelength_range = force_list(default=None)  # symmetric (None): common to filters and cube; cube: all; or two limits [um]
        offset_file = string(default=None)  # Table to write for the offset_file parameter of cube_build
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
        CoregisteredModel or list of CoregisteredModel
            Cube and images on one grid; for each cube if there are several.
        """
        settings = self._settings()
        found = self._examine(input_data, settings)
        with found.inputs as inputs:
            owner = self.parent or self
            if owner.output_file is None:
                owner.output_file = f"{inputs.product}.fits"  # output_ext replaces the ending
            several = len(found.cubes) > 1
            results = (self._coregister_set if several else self._coregister)(found, settings)
        for result in results:
            result.meta.fusion.preflight = found.rows()
        return results if several else results[0]

    def _examine(self, input_data, settings):
        """Examine all inputs before any of them is read, and log the findings."""
        fusion = getattr(self.parent, "fusion", None)
        found = adapters.examine(
            input_data,
            settings,
            make_path=self.make_input_path,
            output_dir=self.search_attr("output_dir") or ".",
            max_memory=self.memory_allowed,
            max_components=None if fusion is None or fusion.skip else fusion.most_components,
            whole=fusion is not None and fusion.output_type == "multi",
        )
        log.info("Pre-flight: %s\n%s", found.verdict, found.table())
        if found.error is not None:
            raise found.error
        return found

    def _settings(self):
        """Make the settings of the co-registration of the parameters."""
        return CoregistrationSettings(
            center=" ".join(self.center) if self.center else None,
            center_spaxel=tuple(self.center_spaxel) if self.center_spaxel else None,
            wavelength_range=_limits(self.wavelength_range),
            **self.given(*PLAIN_SETTINGS),
        )

    def _coregister(self, found, settings):
        """Co-register a cube that has been opened; a list of its product."""
        inputs, images = found.inputs, found.images
        self.check_outputs()
        cube = adapters.read_cube(found.cube, inputs.cube)
        log.debug("Read %s and %d images: %s", cube.name, len(images), ", ".join(i.filter for i in images))
        optics = self.resolve_optics(inputs.cube, cube, images)
        cube, images = optics.attach(cube, images, inputs.cube)
        coregistration = coregister(cube, images, settings)
        if self.offset_file:
            adapters.write_offsets(self.offset_file, inputs.cube, coregistration.observation.bands)
        result = adapters.coregistered_model(coregistration, inputs.cube)
        result.set_fusion(cube_file=inputs.cube.meta.filename)
        self._record([result], inputs, optics)
        return [result]

    def _coregister_set(self, found, settings):
        """Co-register several cubes that have been opened; a product for each."""
        inputs = found.inputs
        if self.offset_file:
            raise OneCubeError("offset_file")
        products = [adapters.read_cube(*each) for each in zip(found.cubes, inputs.cubes, strict=True)]
        optics = self.resolve_optics(inputs.cube, products[0], found.images)
        images = optics.attach(products[0], found.images, inputs.cube)[1]
        products = [
            replace(product, optics=optics.of_cube(model))
            for product, model in zip(products, inputs.cubes, strict=True)
        ]
        results = adapters.coregistered_set(coregister_set(products, images, settings), inputs)
        members = [result.meta.fusion.set_member for result in results]
        self.check_outputs(members, self.fused_names(results))
        self._record(results, inputs, optics)
        return results

    def _record(self, results, inputs, optics):
        """Write the inputs and the source of the PSFs into the products."""
        records = adapters.input_records(inputs)
        for result in results:
            result.set_fusion(
                asn_name=inputs.association,
                image_files=", ".join(image.meta.filename or "" for image in inputs.images),
                inputs=records,
            )
            self.record_optics(result, optics)
            result.meta.asn.table_name = inputs.association
            result.meta.cal_step.coregister = "COMPLETE"


def _limits(words):
    """Read wavelength_range: None for what filters and cube share, else limits [um]."""
    words = [str(word).strip() for word in words or ()]
    if words in ([], ["symmetric"]):
        return None
    if words == ["cube"]:
        return ANY_WAVELENGTH
    try:
        low, high = (float(word) for word in words)
    except ValueError:
        raise ParameterError(
            f"wavelength_range = {', '.join(words)} cannot be used: use symmetric, cube or two limits [um]"
        ) from None
    return low, high
