"""CrossCalibStep: both instruments onto one flux scale."""

from dataclasses import replace

from jwst_fusion import adapters, datamodels
from jwst_fusion.crosscalib.factors import cross_calibrate

from .base import BaseStep
from .optics import OpticsMixin, ThroughputMixin

__all__ = ["CrossCalibStep"]


class CrossCalibStep(ThroughputMixin, OpticsMixin, BaseStep):
    """
    Measure the flux scale of each NIRCam image against the cube (paper, Eqs. B.3 and B.4).

    The input is a ``*_coreg.fits`` or its model, the product a
    `jwst_fusion.datamodels.CrossCalibratedModel`, suffix ``xcal``.
    """

    class_alias = "cross_calib"
    output_suffix = "xcal"

    spec = """
    """

    def process(self, input_data):
        """
        Cross-calibrate.

        Parameters
        ----------
        input_data : str, path-like or CoregisteredModel
            Product of the coregister step.

        Returns
        -------
        CrossCalibratedModel
            The same with bandpasses and scales.
        """
        model = self.open_product(input_data, datamodels.CoregisteredModel, "coregister")
        observation, source = self.seen_through(adapters.observation(model), model)
        bands = adapters.attach_throughputs(observation.bands, self.throughputs_of(model))
        observation = cross_calibrate(replace(observation, bands=tuple(bands)))
        result = adapters.cross_calibrated_model(observation, model)
        self.record_source(result, source)
        result.meta.cal_step.cross_calib = "COMPLETE"
        return result
