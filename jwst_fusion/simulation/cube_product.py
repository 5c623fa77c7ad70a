"""The NIRSpec product: the cube as the pipeline's cube_build writes it."""

import jwst
import numpy as np
from jwst.assign_wcs import pointing
from stdatamodels.jwst.datamodels import IFUCubeModel

from jwst_fusion.ownership import MARK
from jwst_fusion.simulation.nirspec import SPAXEL
from jwst_fusion.simulation.sky import polygon, shift_position

__all__ = ["cube_model"]

_V2_REF, _V3_REF = 300.2961, -497.9000
_V3_ANGLE = 138.97


def _fill_wcs(meta, cube_grid, wavelength, crval):
    """Write the WCS as cube_build does."""
    info = meta.wcsinfo
    info.crval1, info.crval2 = crval
    info.crpix1, info.crpix2 = (cube_grid.shape[1] + 1) / 2, (cube_grid.shape[0] + 1) / 2
    info.cdelt1 = info.cdelt2 = SPAXEL / 3600
    info.crval3, info.crpix3 = float(wavelength[0]), 1.0
    info.cdelt3 = float((wavelength[-1] - wavelength[0]) / (wavelength.size - 1))
    info.ctype1, info.ctype2, info.ctype3 = "RA---TAN", "DEC--TAN", "WAVE"
    info.cunit1, info.cunit2, info.cunit3, info.wcsaxes = "deg", "deg", "um", 3
    info.pc1_1, info.pc1_2, info.pc1_3 = -1.0, 0.0, 0
    info.pc2_1, info.pc2_2, info.pc2_3 = 0.0, 1.0, 0
    info.pc3_1, info.pc3_2, info.pc3_3 = 0, 0, 1
    info.v2_ref, info.v3_ref, info.vparity, info.v3yangle = _V2_REF, _V3_REF, -1, _V3_ANGLE
    info.ra_ref, info.dec_ref = crval
    info.roll_ref = cube_grid.roll
    info.velosys, info.specsys = -12345.678, "BARYCENT"
    info.dispersion_direction = 1
    info.waverange_start, info.waverange_end = float(wavelength[0]), float(wavelength[-1])
    meta.coordinates.reference_frame = "ICRS"
    meta.pointing.pa_v3 = cube_grid.roll
    meta.aperture.position_angle = cube_grid.aperture_angle
    meta.photometry.pixelarea_arcsecsq = SPAXEL**2
    meta.photometry.pixelarea_steradians = SPAXEL**2 * 2.3504e-11


def _fill_observation(meta, setup, scene, sky_centre):
    """Write the instrument, exposure, target and processing."""
    meta.telescope = "JWST"
    meta.calibration_software_version = jwst.__version__
    meta.instrument.name, meta.instrument.detector = "NIRSPEC", "NRS1"
    meta.instrument.grating, meta.instrument.filter = setup.grating, setup.blocking_filter
    meta.exposure.type = "NRS_IFU"
    meta.exposure.readpatt, meta.exposure.nints, meta.exposure.ngroups = "NRSIRS2RAPID", 1, 5
    meta.exposure.exposure_time = meta.exposure.duration = 350.133
    meta.exposure.effective_exposure_time = 350.133
    meta.exposure.start_time, meta.exposure.end_time = 59842.1, 59842.11
    meta.observation.date, meta.observation.time = "2022-09-20", "02:24:00.000"
    meta.observation.program_number, meta.observation.observation_number = "01288", "007"
    meta.program.title = MARK
    meta.target.catalog_name = meta.target.proposer_name = scene.target
    meta.target.type = "MOVING" if scene.moving else "FIXED"
    meta.target.ra, meta.target.dec = meta.target.proposer_ra, meta.target.proposer_dec = sky_centre
    if scene.moving:
        meta.wcsinfo.mt_ra, meta.wcsinfo.mt_dec = sky_centre
    meta.bunit_data = meta.bunit_err = "MJy/sr"
    meta.ifu.flux_extension, meta.ifu.error_extension, meta.ifu.error_type = "SCI", "ERR", "ERR"
    meta.ifu.dq_extension, meta.ifu.weighting = "DQ", "drizzle"
    meta.ifu.weight_power = meta.ifu.roi_wave = meta.ifu.roi_spatial = 0
    for step in ("assign_wcs", "flat_field", "photom", "pathloss", "extract_2d", "cube_build"):
        setattr(meta.cal_step, step, "COMPLETE")
    meta.cal_step.outlier_detection = "COMPLETE"
    if scene.moving:
        meta.cal_step.assign_mtwcs = "COMPLETE"


def cube_model(arrays, cube_grid, wavelength, setup, scene, sky_centre):
    """
    Wrap the arrays of a cube as the pipeline's stage 3 writes it, an IFUCubeModel.

    The wavelengths [um] are evenly spaced. The cube's WCS puts the scene's centre at sky_centre, (ra, dec)
    [deg].
    """
    n_wave, ny, nx = arrays.data.shape
    column = wavelength.astype(np.float32)
    table = np.array([(column[None].T,)], dtype=[("wavelength", "<f4", (n_wave, 1))])
    model = IFUCubeModel(
        data=arrays.data, err=arrays.error, dq=arrays.dq, weightmap=arrays.weight, wavetable=table
    )
    middle_east = cube_grid.east - (nx - 1) / 2 * SPAXEL
    middle_north = cube_grid.north + (ny - 1) / 2 * SPAXEL
    _fill_wcs(model.meta, cube_grid, wavelength, shift_position(sky_centre, middle_east, middle_north))
    _fill_observation(model.meta, setup, scene, sky_centre)
    corners = [shift_position(sky_centre, east, north) for east, north in cube_grid.corners()]
    model.meta.wcsinfo.s_region = polygon(corners)
    model.meta.wcs = pointing.create_fitswcs(model)
    model.meta.wcs.bounding_box = ((0, nx - 1), (0, ny - 1), (0, n_wave - 1))
    return model
