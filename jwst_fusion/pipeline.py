"""Fusion4Pipeline: the order of the steps, nothing else."""

import logging

from jwst_fusion.steps.base import BasePipeline
from jwst_fusion.steps.coregister_step import CoregisterStep
from jwst_fusion.steps.cross_calib_step import CrossCalibStep
from jwst_fusion.steps.fusion_step import FusionStep
from jwst_fusion.steps.optics import shared_optics
from jwst_fusion.steps.reporting import ReportMixin

__all__ = ["Fusion4Pipeline"]

log = logging.getLogger(__name__)


class Fusion4Pipeline(ReportMixin, BasePipeline):
    """
    Fuse NIRCam images and a NIRSpec IFU cube of one field: a stage 4 of the pipeline.

    The input is a level-3 association of one ``*_s3d.fits`` and a ``*_i2d.fits`` for each filter, or a
    list of files or models. The product is a `jwst_fusion.datamodels.FusedCubeModel`, suffix ``fused``.
    """

    class_alias = "calwebb_fusion4"
    output_suffix = "fused"

    spec = """
    """

    step_defs = {  # noqa: RUF012
        "coregister": CoregisterStep,
        "cross_calib": CrossCalibStep,
        "fusion": FusionStep,
    }

    def process(self, input_data):
        """
        Run the steps.

        Parameters
        ----------
        input_data : str, path-like, dict or list
            Association, files or models.

        Returns
        -------
        FusedCubeModel
            The fused cube.
        """
        log.info("Starting calwebb_fusion4")
        with shared_optics((self.coregister, self.cross_calib, self.fusion)):
            coregistered = self.coregister.run(input_data)
            cross_calibrated = self.cross_calib.run(coregistered)
            fused = self.fusion.run(cross_calibrated)
        ran = [step for step in (self.coregister, self.cross_calib, self.fusion) if not step.skip]
        if ran and self.suffix == self.output_suffix:
            self.suffix = ran[-1].output_suffix
        log.info("Ending calwebb_fusion4")
        return fused

    def report_options(self):
        """
        Tell what is to be written beside the product: what the fusion step says.

        Returns
        -------
        save_report, save_figures : bool
            Whether to write the page, and the figures.
        """
        return self.fusion.report_options()
