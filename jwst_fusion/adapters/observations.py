"""Products of the steps from, and back to, the observation that the numerics know."""

import logging
import warnings
from dataclasses import fields, replace

import numpy as np
from stdatamodels.exceptions import ValidationWarning

from jwst_fusion import datamodels
from jwst_fusion.coregistration.grid import cube_footprint, local_frame
from jwst_fusion.datamodels.flags import DO_NOT_USE, NON_SCIENCE, OUTLIER
from jwst_fusion.observation import BandImage, CubeData, FusionGrid, Observation

from .products import celestial_wcs, native

__all__ = ["band_columns", "coregistered_model", "cross_calibrated_model", "observation"]

log = logging.getLogger(__name__)

#: Attributes of `BandImage`, and the columns of the table of the bands that have another name.
BAND = {attribute.name for attribute in fields(BandImage)}
COLUMNS = {"pivot": "pivot_wavelength", "pa_v3": "position_angle_v3", "covered": "covered_fraction"}

#: Entries of ``meta.fusion`` that hold `CubeData.excess`.
EXCESS = ("ifu_excess_x", "ifu_excess_y", "ifu_excess_wavefront")


def coregistered_model(coregistration, cube_model):
    """Put a co-registration into a CoregisteredModel, with the metadata of the cube's model."""
    observation, pointing = coregistration.observation, coregistration.pointing
    grid, cube = observation.grid, observation.cube
    model = datamodels.CoregisteredModel(data=cube.data.astype(np.float32), err=cube.error.astype(np.float32))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=ValidationWarning)  # a product has what its schema allows
        model.update(getattr(cube_model, "metadata", cube_model))
    unknown = ~np.isfinite(cube.data)
    model.dq = np.where(unknown, DO_NOT_USE, 0).astype(np.uint32)
    model.dq[:, ~cube.footprint] |= NON_SCIENCE
    model.dq[coregistration.outliers] |= OUTLIER
    _set_celestial(model.meta.wcsinfo, coregistration.wcs, grid.origin)
    datamodels.set_wavelengths(model, cube.wavelength)
    datamodels.assign_wcs(model)
    model.images = np.stack([band.data for band in observation.bands]).astype(np.float32)
    model.image_errors = np.stack([band.error for band in observation.bands]).astype(np.float32)
    model.set_table("channels", wavelength=cube.wavelength, noise=cube.noise)
    rows, columns = grid.field
    model.set_fusion(
        decimation_factor=grid.decimation_factor,
        alignment=observation.alignment,
        noise_ratio=coregistration.noise_ratio,
        pa_v3_cube=cube.position_angle_v3,
        pa_aperture_cube=cube.position_angle_aperture,
        crop_x=grid.origin[1],
        crop_y=grid.origin[0],
        field_x=columns.start,
        field_y=rows.start,
        field_nx=columns.stop - columns.start,
        field_ny=rows.stop - rows.start,
        n_outliers=int(coregistration.outliers.sum()),
        ifu_excess_x=pointing.excess[0],
        ifu_excess_y=pointing.excess[1],
        ifu_excess_err=pointing.excess_error,
        offset_trend_east=pointing.trend[0],
        offset_trend_north=pointing.trend[1],
        offset_trend_err=pointing.trend_error,
    )
    model.set_table("filters", **band_columns(model, observation.bands))
    return model


def _set_celestial(info, wcs, origin):
    """Write a celestial WCS, its first pixel at another origin (y, x), as keywords with PC and CDELT."""
    matrix, step = wcs.wcs.get_pc(), wcs.wcs.get_cdelt()
    scale = np.sqrt(abs(np.linalg.det(matrix * step[:, np.newaxis])))
    matrix = matrix * step[:, np.newaxis] / scale
    for i in (1, 2):
        setattr(info, f"ctype{i}", wcs.wcs.ctype[i - 1])
        setattr(info, f"cunit{i}", "deg")
        setattr(info, f"crval{i}", float(wcs.wcs.crval[i - 1]))
        setattr(info, f"crpix{i}", float(wcs.wcs.crpix[i - 1]) - origin[2 - i])
        setattr(info, f"cdelt{i}", float(scale))
        for j in (1, 2):
            setattr(info, f"pc{i}_{j}", float(matrix[i - 1, j - 1]))
            setattr(info, f"cd{i}_{j}", None)


def cross_calibrated_model(observation, coregistered, method):
    """Put a cross-calibrated observation into a copy of the model that it came from; method names the fit."""
    model = datamodels.CrossCalibratedModel(coregistered)
    model.bandpasses = np.stack([band.bandpass for band in observation.bands])
    model.images = np.stack([band.data for band in observation.bands]).astype(np.float32)
    model.image_errors = np.stack([band.error for band in observation.bands]).astype(np.float32)
    model.set_fusion(
        scale_method=method,
        flux_reference=observation.reference,
        **dict(zip(EXCESS, observation.cube.excess, strict=True)),
    )
    model.set_table("filters", **band_columns(model, observation.bands))
    return model


def band_columns(model, bands):
    """Take the columns, a list each, of a model's table of the bands from the bands."""
    names = {column: COLUMNS.get(column, column) for column in model.get_dtype("filters").names}
    return {column: [getattr(band, name) for band in bands] for column, name in names.items() if name in BAND}


def observation(model, optics):
    """
    Take the observation out of the product of a step, with its optics; bandpasses if it is cross-calibrated.

    Blurs that were measured against other PSFs are dropped. Raises FusionError if there are no PSFs for it.
    """
    fusion = model.meta.fusion
    same = fusion.psf_key in (None, optics.source.key)
    if not same:
        log.warning(
            "The images were aligned with the PSFs %s, but this step uses %s: the blurs measured then are "
            "not used. Use the same PSFs in all steps",
            fusion.psf_key, optics.source.key,
        )  # fmt: skip
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
        field=(
            slice(int(fusion.field_y), int(fusion.field_y) + int(fusion.field_ny)),
            slice(int(fusion.field_x), int(fusion.field_x) + int(fusion.field_nx)),
        ),
    )
    cube = CubeData(
        data=data,
        error=native(model.err),
        wavelength=np.array(model.channels["wavelength"], dtype=np.float64),
        noise=np.array(model.channels["noise"], dtype=np.float64),
        footprint=cube_footprint(data),
        position_angle_v3=float(fusion.pa_v3_cube),
        position_angle_aperture=float(fusion.pa_aperture_cube),
        excess=tuple(float(getattr(fusion, name) or 0.0) for name in EXCESS) if same else (0.0, 0.0, 0.0),
        optics=optics.of_cube(model),
        shift=(float(fusion.shift_y or 0.0), float(fusion.shift_x or 0.0)),
    )
    bandpasses = model.bandpasses if isinstance(model, datamodels.CrossCalibratedModel) else None
    bands = [
        _band(row, image, error, bandpass, optics)
        for row, image, error, bandpass in zip(
            np.asarray(model.filters),
            model.images,
            model.image_errors,
            [None] * len(model.images) if bandpasses is None else bandpasses,
            strict=True,
        )
    ]
    if not same:
        bands = [replace(band, excess_blur=0.0) for band in bands]
    return Observation(
        grid=grid,
        cube=cube,
        bands=tuple(bands),
        alignment=fusion.alignment,
        reference=fusion.flux_reference or "nirspec",
    )


def _band(row, image, error, bandpass, optics):
    """Take one band out of its row of the table and its arrays."""
    values = {COLUMNS.get(column, column): _plain(row[column]) for column in row.dtype.names}
    seen = optics.of_image(**{name: values[name] for name in ("filter", "module", "detector", "date")})
    return BandImage(
        data=np.array(image, dtype=np.float64),
        error=np.array(error, dtype=np.float64),
        bandpass=None if bandpass is None else np.array(bandpass, dtype=np.float64),
        **{name: value for name, value in values.items() if name in BAND},
        **seen,
    )


def _plain(value):
    """Make text, number or truth of an entry of a table."""
    if isinstance(value, bytes | str):
        return datamodels.cell_text(value)
    return bool(value) if np.issubdtype(type(value), np.integer) else float(value)
