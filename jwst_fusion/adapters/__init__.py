"""The only bridge between the files' data models and the observation that the numerics know."""

from .fused import fused_model
from .inputs import Inputs, open_inputs
from .observations import coregistered_model, cross_calibrated_model, observation
from .offsets import write_offsets
from .products import cube_product, image_product

__all__ = [
    "Inputs",
    "coregistered_model",
    "cross_calibrated_model",
    "cube_product",
    "fused_model",
    "image_product",
    "observation",
    "open_inputs",
    "write_offsets",
]
