"""Products of the steps from, and back to, the observation that the numerics know."""

import numpy as np

from jwst_fusion import datamodels
from jwst_fusion.coregistration.grid import cube_footprint, local_frame
from jwst_fusion.observation import BandImage, CubeData, FusionGrid, Observation

from .products import celestial_wcs, native

__all__ = ["coregistered_model", "cross_calibrated_model", "observation"]

DO_NOT_USE = 1
NON_SCIENCE = 512


def coregistered_model(observation, cube_model, noise_ratio):
    """
    Put a co-registered observation into a model.

    Parameters
    ----------
    observation : Observation
        Cube and images on one grid.
    cube_model : IFUCubeModel
        Source of the metadata.
    noise_ratio : float
        Noise of the cube over its stated error.

    Returns
    -------
    CoregisteredModel
        All that the next step needs.
    """
    grid, cube = observation.grid, observation.cube
    model = datamodels.CoregisteredModel(data=cube.data.astype(np.float32), err=cube.error.astype(np.float32))
    model.update(cube_model)
    unknown = ~np.isfinite(cube.data)
    model.dq = np.where(unknown, DO_NOT_USE, 0).astype(np.uint32)
    model.dq[:, ~cube.footprint] |= NON_SCIENCE
    info = model.meta.wcsinfo
    info.crpix1 -= grid.origin[1]
    info.crpix2 -= grid.origin[0]
    datamodels.set_wavelengths(model, cube.wavelength)
    datamodels.assign_wcs(model)
    model.images = np.stack([band.data for band in observation.bands]).astype(np.float32)
    model.image_errors = np.stack([band.error for band in observation.bands]).astype(np.float32)
    model.set_table("channels", wavelength=cube.wavelength, noise=cube.noise)
    model.set_fusion(
        decimation_factor=grid.decimation_factor,
        alignment=observation.alignment,
        noise_ratio=noise_ratio,
        pa_v3_cube=cube.position_angle_v3,
        pa_aperture_cube=cube.position_angle_aperture,
        crop_x=grid.origin[1],
        crop_y=grid.origin[0],
    )
    _set_filters(model, observation.bands)
    return model


def cross_calibrated_model(observation, coregistered):
    """
    Put a cross-calibrated observation into a model.

    Parameters
    ----------
    observation : Observation
        Its bands have bandpass and scale.
    coregistered : CoregisteredModel
        The model that it came from.

    Returns
    -------
    CrossCalibratedModel
        All that the fusion needs.
    """
    model = datamodels.CrossCalibratedModel(coregistered)
    model.bandpasses = np.stack([band.bandpass for band in observation.bands])
    model.set_fusion(scale_method="ratio of means")
    _set_filters(model, observation.bands)
    return model


def _set_filters(model, bands):
    """Write the table of the bands."""
    model.set_table(
        "filters",
        filter=[band.filter for band in bands],
        module=[band.module for band in bands],
        pivot=[band.pivot_wavelength for band in bands],
        pa_v3=[band.position_angle_v3 for band in bands],
        detector_pixel=[band.detector_pixel for band in bands],
        image_pixel=[band.image_pixel for band in bands],
        pixfrac=[band.pixfrac for band in bands],
        offset_east=[band.offset_east for band in bands],
        offset_north=[band.offset_north for band in bands],
        offset_err=[band.offset_err for band in bands],
        scale=[band.scale for band in bands],
        scale_err=[band.scale_err for band in bands],
        covered=[band.covered_fraction for band in bands],
    )


def observation(model):
    """
    Take the observation out of the product of a step.

    Parameters
    ----------
    model : CoregisteredModel or CrossCalibratedModel
        The product.

    Returns
    -------
    Observation
        Cube and images; with bandpasses from a cross-calibrated product.
    """
    fusion = model.meta.fusion
    d = int(fusion.decimation_factor)
    data = native(model.data)
    ny, nx = model.images.shape[1:]
    wcs = celestial_wcs(model, model.meta.filename)
    centre, jacobian = local_frame(wcs, (nx / d - 1) / 2, (ny / d - 1) / 2)
    grid = FusionGrid(
        shape=(ny, nx),
        decimation_factor=d,
        jacobian=jacobian / d,
        centre=centre,
        origin=(int(fusion.crop_y), int(fusion.crop_x)),
    )
    cube = CubeData(
        data=data,
        error=native(model.err),
        wavelength=np.array(model.channels["wavelength"], dtype=np.float64),
        noise=np.array(model.channels["noise"], dtype=np.float64),
        footprint=cube_footprint(data),
        position_angle_v3=float(fusion.pa_v3_cube),
        position_angle_aperture=float(fusion.pa_aperture_cube),
    )
    bandpasses = model.bandpasses if isinstance(model, datamodels.CrossCalibratedModel) else None
    bands = []
    for f, row in enumerate(np.asarray(model.filters)):
        bands.append(
            BandImage(
                filter=_text(row["filter"]),
                module=_text(row["module"]),
                data=np.array(model.images[f], dtype=np.float64),
                error=np.array(model.image_errors[f], dtype=np.float64),
                pivot_wavelength=float(row["pivot"]),
                position_angle_v3=float(row["pa_v3"]),
                detector_pixel=float(row["detector_pixel"]),
                image_pixel=float(row["image_pixel"]),
                pixfrac=float(row["pixfrac"]),
                offset_east=float(row["offset_east"]),
                offset_north=float(row["offset_north"]),
                offset_err=float(row["offset_err"]),
                scale=float(row["scale"]),
                scale_err=float(row["scale_err"]),
                covered_fraction=float(row["covered"]),
                bandpass=None if bandpasses is None else np.array(bandpasses[f], dtype=np.float64),
            )
        )
    return Observation(grid=grid, cube=cube, bands=tuple(bands), alignment=fusion.alignment)


def _text(value):
    """Decode a table's text."""
    return value.decode("ascii").strip() if isinstance(value, bytes) else str(value).strip()
