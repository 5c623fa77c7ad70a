"""The only bridge between the files' data models and the observation that the numerics know."""

from .associations import check_association, make_association, read_member, select_members
from .estimates import refuse_too_large
from .extraction import RegionSpectrum, extraction_hdus, read_regions, region_spectrum
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
from .science import LineMaps, line_maps, map_hdus, ratio_maps, science_scene, window_of
from .sets import (
    calibrated_set,
    coregistered_set,
    grating_name,
    name_gratings,
    refuse_large_set,
    refuse_part,
    release_cubes,
    set_observations,
    store_set,
)

__all__ = [
    "Finding",
    "Inputs",
    "Optics",
    "Preflight",
    "LineMaps",
    "RegionSpectrum",
    "calibrated_set",
    "check_association",
    "coregistered_model",
    "coregistered_set",
    "cross_calibrated_model",
    "cube_product",
    "describe",
    "examine",
    "extraction_hdus",
    "fused_model",
    "grating_name",
    "image_product",
    "input_records",
    "line_maps",
    "make_association",
    "map_hdus",
    "measured_psfs",
    "name_gratings",
    "observation",
    "open_images",
    "open_inputs",
    "read_cube",
    "ratio_maps",
    "read_factors",
    "read_member",
    "read_regions",
    "refuse_large_set",
    "refuse_part",
    "release_cubes",
    "refuse_too_large",
    "region_spectrum",
    "report_content",
    "science_scene",
    "select_members",
    "set_observations",
    "store_diagnosis",
    "store_measured_psfs",
    "store_set",
    "window_of",
    "write_offsets",
]
