"""The only bridge between the files' data models and the observation that the numerics know."""

from .associations import check_association, read_member, select_members
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
    check_fused_set,
    check_set,
    coregistered_set,
    grating_name,
    name_gratings,
    name_of_set,
    refuse_large_set,
    refuse_part,
    release_cubes,
    rest_of_set,
    set_observations,
    set_tables,
    store_set,
)
from .whole_range import whole_range_model
