"""Fusion4Pipeline: the order of the steps, nothing else."""

import logging
from pathlib import Path
from time import monotonic

from jwst_fusion import datamodels
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

    The input is a level-3 association of one ``*_s3d.fits``, or several of one scene, and a ``*_i2d.fits``
    for each filter, or a list of files or models; or the product of one of the steps (``*_coreg.fits``,
    ``*_xcal.fits``), after which the run is resumed. The product is a
    `jwst_fusion.datamodels.FusedCubeModel`, suffix ``fused``; of several cubes a list, one for each grating.
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
        input_data : str, path-like, dict, list or DataModel
            Association, files or models; or the product of a step, after which the run is resumed.

        Returns
        -------
        FusedCubeModel or list of FusedCubeModel
            The fused cube; for each grating if there are several cubes.
        """
        steps = [self.coregister, self.cross_calib, self.fusion]
        result, done = self._resume(input_data)
        times = []
        with shared_optics(steps):
            for step in steps[done:]:
                start = monotonic()
                result = step.run(result)
                times.append(f"{step.name} {monotonic() - start:.0f} s")
        ran = [step for step in steps[done:] if not step.skip]
        if ran and self.suffix == self.output_suffix:
            self.suffix = ran[-1].output_suffix
        log.info("calwebb_fusion4 is done: %s", ", ".join(times))
        return result

    def report_options(self):
        """Return the options of the fusion step."""
        return self.fusion.report_options()

    def _resume(self, input_data):
        """Open the input if it is a step's product; return it and how many of the steps it has behind it."""
        if isinstance(input_data, str | Path) and Path(input_data).suffix in (".fits", ".asdf"):
            model = self.open_model(str(input_data))
        elif isinstance(input_data, datamodels.FusionModel):
            model = input_data
        else:
            return input_data, 0
        for done, product in ((2, datamodels.CrossCalibratedModel), (1, datamodels.CoregisteredModel)):
            if isinstance(model, product):
                log.info("Resuming after %s", "cross_calib" if done == 2 else "coregister")
                is_file = isinstance(input_data, str | Path)
                return (self.whole_set(input_data, model) if is_file else model), done
        return input_data, 0
