"""The files: the fused cube, and the products of the steps before it."""

from jwst_fusion.datamodels.access import open, open_member
from jwst_fusion.datamodels.base import FusionModel, cell_text
from jwst_fusion.datamodels.fused import FusedCubeModel
from jwst_fusion.datamodels.intermediate import CoregisteredModel, CrossCalibratedModel
from jwst_fusion.datamodels.lazy import LazyModel, unbroken
from jwst_fusion.datamodels.wcs import assign_wcs, set_wavelengths
