"""NIRCam products: calibrated exposures, and the image that the pipeline drizzles from them."""

import jwst
import numpy as np
from astropy import coordinates as coord
from astropy import units as u
from astropy.modeling.models import Pix2Sky_TAN
from gwcs import WCS, Step
from gwcs import coordinate_frames as cf
from gwcs.fitswcs import FITSImagingWCSTransform
from jwst.assign_mtwcs.moving_target_wcs import add_mt_frame
from jwst.resample import ResampleStep
from stdatamodels.jwst.datamodels import ImageModel

from jwst_fusion.optics.throughput import PUPIL_FILTERS
from jwst_fusion.ownership import MARK
from jwst_fusion.simulation.sky import polygon, shift_position

__all__ = ["drizzle", "exposure_model"]

_V2_REF = {"SHORT": -127.40, "LONG": -89.39}
_V3_REF = {"SHORT": -492.70, "LONG": -491.44}
_DETECTOR = {"SHORT": "NRCB1", "LONG": "NRCBLONG"}
_MJD = 59832.25
_EXPOSURE_TIME = 311.366


def _image_wcs(position, roll, pixel, size):
    """Build the gwcs of an undistorted detector with V3 up and V2 to the left."""
    sine, cosine = np.sin(np.radians(roll)), np.cos(np.radians(roll))
    centre = (size - 1) / 2
    transform = FITSImagingWCSTransform(
        Pix2Sky_TAN(),
        crpix=(centre, centre),
        crval=position,
        cdelt=(pixel / 3600, pixel / 3600),
        pc=np.array([[-cosine, sine], [sine, cosine]]),
    )
    detector = cf.Frame2D(name="detector", axes_order=(0, 1), unit=(u.pix, u.pix))
    sky = cf.CelestialFrame(name="world", reference_frame=coord.ICRS(), unit=(u.deg, u.deg))
    wcs = WCS([Step(detector, transform), Step(sky, None)])
    wcs.bounding_box = ((-0.5, size - 0.5), (-0.5, size - 0.5))
    wcs.array_shape = (size, size)
    return wcs


def _fill_wcs(model, band, pointing, position, moving):
    """Set the model's gwcs and the metadata that go with it."""
    size = pointing.size
    wcs = _image_wcs(position, pointing.roll, band.pixel, size)
    info = model.meta.wcsinfo
    info.ra_ref, info.dec_ref = position
    info.v2_ref, info.v3_ref = _V2_REF[band.channel], _V3_REF[band.channel]
    info.roll_ref, info.v3yangle, info.vparity = pointing.roll, 0.0, -1
    info.wcsaxes, info.ctype1, info.ctype2 = 2, "RA---TAN", "DEC--TAN"
    info.cunit1 = info.cunit2 = "deg"
    info.crval1, info.crval2 = position
    info.crpix1 = info.crpix2 = (size + 1) / 2
    info.cdelt1 = info.cdelt2 = band.pixel / 3600
    (info.pc1_1, info.pc1_2), (info.pc2_1, info.pc2_2) = wcs.forward_transform.pc.value.tolist()
    edge = size - 0.5
    corners = [wcs(x, y) for x, y in ((-0.5, -0.5), (edge, -0.5), (edge, edge), (-0.5, edge))]
    info.s_region = polygon(corners)
    if moving is not None:
        info.mt_ra, info.mt_dec = info.mt_avra, info.mt_avdec = moving
        bounding_box = wcs.bounding_box
        wcs = add_mt_frame(wcs, *moving, *moving)
        wcs.bounding_box = bounding_box
        wcs.array_shape = (size, size)
        model.meta.cal_step.assign_mtwcs = "COMPLETE"
    model.meta.wcs = wcs
    model.meta.pointing.pa_v3 = pointing.roll
    model.meta.aperture.position_angle = pointing.roll
    model.meta.pointing.ra_v1, model.meta.pointing.dec_v1 = shift_position(position, 0.0, 490.0)
    model.meta.photometry.pixelarea_arcsecsq = band.pixel**2
    model.meta.photometry.pixelarea_steradians = float(np.radians(band.pixel / 3600) ** 2)


def _fill_observation(model, band, scene, number):
    """Set the model's instrument, exposure and target."""
    meta = model.meta
    meta.telescope = "JWST"
    meta.calibration_software_version = jwst.__version__
    meta.instrument.name, meta.instrument.module = "NIRCAM", "B"
    meta.instrument.channel, meta.instrument.detector = band.channel, _DETECTOR[band.channel]
    meta.instrument.filter = PUPIL_FILTERS.get(band.filter, band.filter)
    meta.instrument.pupil = band.filter if band.filter in PUPIL_FILTERS else "CLEAR"
    meta.exposure.type = "NRC_IMAGE"
    meta.exposure.readpatt, meta.exposure.nints, meta.exposure.ngroups = "RAPID", 1, 29
    meta.exposure.exposure_time = meta.exposure.measurement_time = _EXPOSURE_TIME
    meta.exposure.effective_exposure_time = meta.exposure.elapsed_exposure_time = _EXPOSURE_TIME
    meta.exposure.duration = _EXPOSURE_TIME
    start = _MJD + number * 0.006
    meta.exposure.start_time, meta.exposure.end_time = start, start + _EXPOSURE_TIME / 86400
    meta.observation.date, meta.observation.time = "2022-09-10", "06:00:00.000"
    meta.observation.program_number, meta.observation.observation_number = "01288", "001"
    meta.program.title = MARK
    meta.observation.visit_number, meta.observation.visit_group = "001", "02"
    meta.observation.sequence_id, meta.observation.activity_id = "1", "01"
    meta.observation.exposure_number = f"{number + 1:05d}"
    meta.dither.position_number, meta.dither.total_points = number + 1, 2
    meta.target.catalog_name = meta.target.proposer_name = scene.target
    meta.target.type = "MOVING" if scene.moving else "FIXED"
    meta.coordinates.reference_frame = "ICRS"
    meta.bunit_data = meta.bunit_err = "MJy/sr"
    meta.cal_step.assign_wcs = meta.cal_step.flat_field = meta.cal_step.photom = "COMPLETE"


def exposure_model(exposure, band, scene, sky_centre, number):
    """
    Wrap an exposure as the pipeline's stage 2 writes it, an ImageModel.

    The exposure's WCS puts the scene's centre at sky_centre, (ra, dec) [deg]. The number counts exposures
    from 0.
    """
    pointing = exposure.pointing
    model = ImageModel(data=exposure.data.astype(np.float32))
    variance = exposure.var_rnoise + exposure.var_poisson + exposure.var_flat
    model.err = np.sqrt(variance).astype(np.float32)
    model.dq = exposure.bad.astype(np.uint32)
    model.var_rnoise = exposure.var_rnoise.astype(np.float32)
    model.var_poisson = exposure.var_poisson.astype(np.float32)
    model.var_flat = exposure.var_flat.astype(np.float32)
    _fill_observation(model, band, scene, number)
    position = shift_position(sky_centre, pointing.east, pointing.north)
    _fill_wcs(model, band, pointing, position, sky_centre if scene.moving else None)
    model.meta.target.ra, model.meta.target.dec = sky_centre
    model.meta.target.proposer_ra, model.meta.target.proposer_dec = sky_centre
    model.meta.filename = f"jw01288001001_02101_{number + 1:05d}_{_DETECTOR[band.channel].lower()}_cal.fits"
    return model


def drizzle(models, path):
    """Combine exposures by the pipeline's own resample step, and save the image (``*_i2d.fits``)."""
    step = ResampleStep()
    step.save_results = False
    result = step.run(models)
    result.meta.cal_step.outlier_detection = "COMPLETE"
    result.save(str(path))
    result.close()
