"""CrossCalibStep: both instruments onto one flux scale."""

from jwst_fusion import adapters, datamodels
from jwst_fusion.crosscalib.factors import CrossCalibrationSettings, cross_calibrate
from jwst_fusion.crosscalib.sets import cross_calibrate_set

from .base import BaseStep
from .optics import OpticsMixin

__all__ = ["CrossCalibStep"]


class CrossCalibStep(OpticsMixin, BaseStep):
    """
    Measure the flux scale of each NIRCam image against the cube (paper, Eqs. B.3 and B.4).

    The image, blurred to the IFU's resolution, is fitted to the cube seen through the band, over all good
    spaxels: scale, pedestal, and what the IFU's PSF has over its model.

    The input is a ``*_coreg.fits`` or its model, the product a
    `jwst_fusion.datamodels.CrossCalibratedModel`, suffix ``xcal``.
    """

    class_alias = "cross_calib"
    output_suffix = "xcal"

    spec = """
        method = option('fit', 'ratio', default='fit')  # Joint fit of scale, pedestal and PSF, or the ratio of means
        pedestal = option('auto', 'fit', 'none', default='auto')  # Constant background of an image: fitted if significant, always, or never
        band_policy = option('drop', 'keep', 'fail', default='drop')  # Treatment of a band with an implausible factor or insufficient coverage
        factors = force_list(default=None)  # List of FILTER:SCALE, or a table with the columns filter and scale; None: measured
        reference = option('nirspec', 'nircam', default='nirspec')  # Instrument whose flux scale the fused cube has
    """  # noqa: E501

    def process(self, input_data):
        """
        Cross-calibrate.

        Parameters
        ----------
        input_data : str, path-like, CoregisteredModel or list of CoregisteredModel
            Product of the coregister step.

        Returns
        -------
        CrossCalibratedModel or list of CrossCalibratedModel
            The same with bandpasses and scales.
        """
        models = self.open_products(input_data, datamodels.CoregisteredModel, "coregister")
        settings = CrossCalibrationSettings(
            factors=adapters.read_factors(self.factors, self.make_input_path),
            **self.given("method", "pedestal", "band_policy", "reference"),
        )
        optics = self.resolve_optics(models[0])
        if len(models) > 1:
            names = [model.meta.fusion.cube_file for model in models]
            calibrated = cross_calibrate_set(adapters.set_observations(models, optics), names, settings)
            results = adapters.calibrated_set(*calibrated, models, settings.method)
        else:
            observation = cross_calibrate(adapters.observation(models[0], optics), settings)
            results = [adapters.cross_calibrated_model(observation, models[0], settings.method)]
        for result in results:
            self.record_optics(result, optics)
            result.meta.cal_step.cross_calib = "COMPLETE"
        return results if len(models) > 1 else results[0]
