"""The only bridge between the files' data models and the observation that the numerics know."""

from .associations import check_association, make_association, read_member, relative_to, select_members
from .estimates import refuse_too_large
from .factors import read_factors
from .fused import fused_model
from .information import describe
from .inputs import Inputs, open_images, open_inputs
from .observations import coregistered_model, cross_calibrated_model, observation
from .offsets import write_offsets
from .optics import Optics, measured_psfs, store_measured_psfs
from .preflight import Finding, Preflight, examine
from .products import cube_product, image_product, read_cube
from .provenance import input_records
from .report import report_content, store_diagnosis

__all__ = [
    "Finding",
    "Inputs",
    "Optics",
    "Preflight",
    "check_association",
    "coregistered_model",
    "cross_calibrated_model",
    "cube_product",
    "describe",
    "examine",
    "fused_model",
    "image_product",
    "input_records",
    "make_association",
    "measured_psfs",
    "observation",
    "open_images",
    "open_inputs",
    "read_cube",
    "read_factors",
    "read_member",
    "refuse_too_large",
    "relative_to",
    "report_content",
    "select_members",
    "store_diagnosis",
    "store_measured_psfs",
    "write_offsets",
]
