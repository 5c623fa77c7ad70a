"""Steps that do little, for the tests of what all steps share."""

import logging
import os
import signal
import weakref
from pathlib import Path
from typing import ClassVar

import numpy as np

from jwst_fusion.atomic import write_atomic
from jwst_fusion.datamodels import FusedCubeModel
from jwst_fusion.exceptions import InputError, NoOverlapError
from jwst_fusion.steps.base import BasePipeline, BaseStep

log = logging.getLogger("jwst_fusion.dummy")


class Finalized:
    """What goes at once."""


class DummyStep(BaseStep):
    """Make a cube of a constant value."""

    class_alias = "dummy"
    output_suffix = "fused"
    reference_file_types: ClassVar = ["fusion_psf"]

    spec = """
    value = float(default=1.0) # Value of the cube
    fail = string(default='') # How to fail
    """

    def process(self, input_data):
        """Make the cube, or fail as asked."""
        log.info("The dummy is at work")
        reference = self.get_reference_file(input_data, "fusion_psf")
        log.info("Reference: %s", reference)
        if self.fail == "input":
            raise InputError(f"{input_data}: found nothing,\nexpected something")
        if self.fail == "overlap":
            raise NoOverlapError(f"{input_data}: the cube and the images do not overlap")
        if self.fail == "bug":
            raise RuntimeError("a bug")
        if self.fail == "named":
            self.output_file = f"{Path(input_data).stem}.1.fits"
        model = FusedCubeModel(data=np.full((2, 3, 4), self.value, dtype=np.float32))
        if self.fail == "late":
            self.save_model(model, output_file="extra.fits", force=True)
            write_atomic("report_fused.html", b"<html>")
            raise InputError("failed at the end")
        if self.fail == "interrupted":
            self.save_model(model, output_file="extra.fits", force=True)
            os.kill(os.getpid(), signal.SIGINT)
        if self.fail == "interrupted in a finalizer":
            weakref.finalize(Finalized(), lambda: os.kill(os.getpid(), signal.SIGINT))
        return model


class DummyPipeline(BasePipeline):
    """Run the step."""

    class_alias = "dummy_pipeline"
    output_suffix = "fused"
    step_defs: ClassVar = {"dummy": DummyStep}

    spec = """
    """

    def process(self, input_data):
        """Run the step."""
        return self.dummy.run(input_data)
