"""The only bridge between the files' data models and the observation that the numerics know."""

from .estimates import refuse_too_large
from .fused import fused_model
from .inputs import Inputs, open_inputs
from .observations import coregistered_model, cross_calibrated_model, observation
from .offsets import write_offsets
from .optics import attach_optics, attach_throughputs
from .preflight import Finding, Preflight, examine
from .products import cube_product, image_product
from .report import report_content, store_diagnosis

__all__ = [
    "Finding",
    "Inputs",
    "Preflight",
    "attach_optics",
    "attach_throughputs",
    "coregistered_model",
    "cross_calibrated_model",
    "cube_product",
    "examine",
    "fused_model",
    "image_product",
    "observation",
    "open_inputs",
    "refuse_too_large",
    "report_content",
    "store_diagnosis",
    "write_offsets",
]
