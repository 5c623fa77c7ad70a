"""Fused cubes as scenes in which lines and regions are measured, and maps of lines as files."""

import re
from dataclasses import dataclass, replace

import numpy as np
from astropy.io import fits
from astropy.units import UnitConversionError
from astropy.wcs import WCS

from jwst_fusion import __version__
from jwst_fusion.crosscalib.scale import HALO_SHAPE
from jwst_fusion.datamodels.notebook import html_table
from jwst_fusion.exceptions import InputError, ParameterError, one_line
from jwst_fusion.optics.telescope import SHORT_WAVEFRONT
from jwst_fusion.ownership import MARK
from jwst_fusion.quality.diagnosis import UNKNOWN
from jwst_fusion.quality.lines import Line
from jwst_fusion.science.instrument import FWHM, line_spread
from jwst_fusion.science.leftover import Leftover
from jwst_fusion.science.lines import LineMeasurement, Window, line_window, measure_line
from jwst_fusion.science.ratios import extinction, line_ratio
from jwst_fusion.science.scene import Scene

from .products import celestial_wcs

__all__ = [
    "LineMaps",
    "identity",
    "line_maps",
    "map_hdus",
    "ratio_maps",
    "science_scene",
    "seen_at",
    "window_of",
]

#: Names of the extensions, by those of the quantities.
EXTENSIONS = {
    "flux": "FLUX",
    "continuum": "CONTINUUM",
    "velocity": "VELOCITY",
    "dispersion": "DISPERSION",
    "equivalent_width": "EW",
    "ratio": "RATIO",
    "extinction": "AV",
}


@dataclass(frozen=True, eq=False)
class LineMaps:
    """
    Maps of a line.

    Attributes
    ----------
    line : Line
        The line: name, wavelength at rest in vacuum [um] and its source.
    redshift : float
        Redshift of the systemic velocity.
    half_width : float
        Half width of the window [km/s].
    cells : LineMeasurement
        Quantities of each cell, `Quantity` with ``value``, ``error`` and ``unit``.
    total : LineMeasurement
        The same of the field as a whole.
    mask : ndarray of bool, shape (ny, nx)
        Cells whose flux is significant.
    wcs : astropy.wcs.WCS
        Coordinates of the cells.
    window : Window
        Channels of the line.
    """

    line: Line
    redshift: float
    half_width: float
    cells: LineMeasurement
    total: LineMeasurement
    mask: np.ndarray
    wcs: WCS
    window: Window

    def _repr_html_(self):
        """Show the line, and its quantities in the whole field, in a notebook."""
        known = np.isfinite(self.cells.flux.value)
        facts = {
            "Wavelength": f"{self.line.wavelength:.5f} um at rest, in vacuum ({self.line.source})",
            "Zero velocity": f"z = {self.redshift:.6g}",
            "Window": f"{self.half_width:g} km/s to either side",
            "Cells with a significant flux": f"{self.mask.sum()} of {known.sum()}",
        }
        if self.mask.any():
            low, high = np.nanpercentile(self.cells.velocity.value[self.mask], [5, 95])
            facts["Their velocities"] = f"{low:+.0f} to {high:+.0f} km/s (5 to 95 %)"
        rows = [
            (name.replace("_", " "), f"{quantity.value:.4g} ± {quantity.error:.2g} {quantity.unit}")
            for name, quantity in self.total.quantities.items()
        ]
        return html_table(f"Line {self.line.name}", facts, ("Quantity", "Whole field"), rows)

    def in_unit(self, unit):
        """
        Convert the flux to another unit.

        Parameters
        ----------
        unit : str
            A surface brightness, as `astropy.units` reads it.

        Returns
        -------
        LineMaps
            The same in that unit.

        Raises
        ------
        ParameterError
            The unit cannot be read, or is of another kind.
        """
        try:
            return replace(self, cells=replace(self.cells, flux=self.cells.flux.to(unit)))
        except (ValueError, UnitConversionError) as error:
            raise ParameterError(
                f"flux unit {unit!r} cannot be used ({one_line(error)}); give a surface brightness such as "
                f"{self.cells.flux.unit!r}"
            ) from None

    def hdus(self, model):
        """
        Put the maps into HDUs of a FITS file.

        Parameters
        ----------
        model : FusedCubeModel
            The product that they are of.

        Returns
        -------
        astropy.io.fits.HDUList
            FLUX, CONTINUUM, VELOCITY, DISPERSION and EW, each with its ``_ERR``, and MASK.
        """
        return map_hdus(
            model,
            self.cells.quantities,
            self.mask,
            self.wcs,
            LINE=(self.line.name, "Line"),
            RESTWAV=(self.line.wavelength, "[um] Wavelength at rest, in vacuum"),
            RESTSRC=(self.line.source, "Source of the wavelength"),
            REDSHIFT=(self.redshift, "Redshift of zero velocity"),
            WINDOW=(self.half_width, "[km/s] Half width of the window"),
        )


def science_scene(model):
    """
    Read the scene with the draws of its errors from a product.

    Parameters
    ----------
    model : FusedCubeModel
        The product.

    Returns
    -------
    Scene
        The scene; ``instrument_width`` is NaN for a grating whose line spread function is not known.

    Raises
    ------
    InputError
        The product has no draws.
    """
    draws = model.draw_errors
    if draws is None or "mean_noise" not in model.components.dtype.names:
        raise InputError(
            f"{model.meta.filename}: has no draws of its errors (extension DRAWS), which the errors of "
            "lines and regions need; make the fused cube again with this version, and with samples not 0"
        )
    table = {
        name: np.asarray(model.components[name], dtype=np.float64)
        for name in ("wavelength", "mean_spectrum", "mean_noise")
    }
    width = line_spread(str(model.meta.instrument.grating).upper())
    if "line_spread" in model.spectral.dtype.names:  # of several gratings
        width = np.asarray(model.spectral["line_spread"], dtype=np.float64)
    filters = model.filters
    with np.errstate(invalid="ignore", divide="ignore"):
        scale_errors = np.asarray(filters["scale_err"] / filters["scale"], dtype=float)
    fitted = np.asarray(filters["held_out"]) == 0
    known = scale_errors[np.isfinite(scale_errors) & fitted]
    offsets = np.asarray(filters["offset_err"], dtype=float)[fitted]
    offsets = offsets[np.isfinite(offsets)]
    light, size = SHORT_WAVEFRONT.halo(float(np.median(table["wavelength"])))  # the IFU's too
    return Scene(
        wavelength=table["wavelength"],
        mean_spectrum=table["mean_spectrum"],
        basis=model.basis,
        coefficients=np.asarray(model.coefficients, dtype=np.float64),
        errors=np.asarray(model.coefficient_errors, dtype=np.float64),
        draws=draws,
        alive=np.isfinite(table["mean_noise"]),
        cell_area=float(model.meta.photometry.pixelarea_arcsecsq),
        instrument_width=np.nan if width is None else width,
        spectral_noise=np.nan_to_num(table["mean_noise"]),
        scale_error=float(min(known, default=0.0)),
        offset_error=float(np.median(offsets)) if offsets.size else 0.0,
        halo_error=HALO_SHAPE * light,
        halo_size=size,
        leftover=_leftover(model),
    ).without_gaps()


def _leftover(model):
    """Read the signal that the components do not represent from the report's data; None if it is missing."""
    kept = dict(model.report.instance) if model.hasattr("report") else {}
    steps, step = (np.asarray(kept.get(name, ())) for name in ("spectra", "spectra_step"))
    n_wave, ny, nx = np.shape(model.data)
    if steps.ndim != 3 or steps.shape[0] != n_wave or step.shape != (n_wave,):
        return None  # none, or of channels that are averaged
    my, mx = steps.shape[1:]
    if ny % my or nx % mx or ny // my != nx // mx:
        return None
    return Leftover(steps, UNKNOWN, step.astype(np.float64))


def line_maps(model, cells, line, *, redshift, half_width, significance, resolving_power=None):
    """
    Measure a line in each cell of a product and in its field as a whole.

    Parameters
    ----------
    model : FusedCubeModel
        The product.
    cells : Sum
        Its cells, of `science_scene`.
    line : Line
        The line.
    redshift : float
        Redshift of the systemic velocity.
    half_width : float
        Half width of the window [km/s].
    significance : float
        Ratio of flux and error from which a cell counts.
    resolving_power : float, optional
        Resolving power at the line, in place of that of the grating.

    Returns
    -------
    LineMaps
        The maps.

    Raises
    ------
    ParameterError
        The line cannot be measured.
    """
    scene = cells.scene
    window = window_of(scene, line, redshift, half_width, resolving_power)
    seen = seen_at(model, scene, window)
    if (scene.inside & ~seen).any():
        cells = replace(scene, coefficients=np.where(seen, scene.coefficients, np.nan)).cells()
    maps = measure_line(cells, window)
    total = measure_line(scene.region(seen.astype(float)), window)
    with np.errstate(invalid="ignore"):
        mask = np.abs(maps.significance) >= significance
    wcs = celestial_wcs(model, model.meta.filename)
    return LineMaps(line, redshift, half_width, maps, total, mask, wcs, window)


def seen_at(model, scene, window):
    """
    Select the cells that a cube saw at a line: of several gratings in one product not all see all cells.

    Parameters
    ----------
    model : FusedCubeModel
        The product.
    scene : Scene
        Its scene.
    window : Window
        Channels of the line.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        The cells.
    """
    used = np.flatnonzero(window.functionals.any(axis=0) & scene.alive)
    return np.isfinite(np.asarray(model.data)[used[[0, -1]]]).all(axis=0)


def window_of(scene, line, redshift, half_width, resolving_power=None):
    """
    Choose the channels of a line, and name the line if that fails.

    Parameters
    ----------
    scene : Scene
        The scene.
    line : Line
        The line.
    redshift, half_width, resolving_power : float
        As in `line_maps`.

    Returns
    -------
    Window
        The channels.

    Raises
    ------
    ParameterError
        The line cannot be measured.
    """
    wavelength = line.wavelength * (1 + redshift)
    width = wavelength / resolving_power / FWHM if resolving_power else scene.line_spread(wavelength)
    if not np.isfinite(width):
        raise ParameterError("the grating's line spread function is not known: give resolving_power")
    try:
        return line_window(scene, wavelength, half_width, instrument_width=width)
    except ParameterError as problem:
        raise ParameterError(f"line {line.name} at {wavelength:.5f} um: {problem}") from problem


def ratio_maps(cells, above, below, *, intrinsic=None):
    """
    Divide the flux of one line by that of another, and find the extinction.

    Parameters
    ----------
    cells : Sum
        Cells of the product's scene.
    above, below : LineMaps
        The lines.
    intrinsic : float, optional
        Ratio without extinction.

    Returns
    -------
    dict of Quantity
        ``ratio``, and ``extinction`` if the ratio without is given.

    Raises
    ------
    ParameterError
        Extinction cannot be found from these lines.
    """
    quantities = {"ratio": line_ratio(cells, above.window, below.window)}
    if intrinsic is not None:
        wavelengths = above.line.wavelength, below.line.wavelength
        quantities["extinction"] = extinction(quantities["ratio"], intrinsic, wavelengths)
    seen = np.isfinite(above.cells.flux.value) & np.isfinite(below.cells.flux.value)
    return {
        name: replace(q, value=np.where(seen, q.value, np.nan), error=np.where(seen, q.error, np.nan))
        for name, q in quantities.items()
    }


def map_hdus(model, quantities, mask, wcs, **keywords):
    """
    Put maps with their errors into HDUs of a FITS file.

    Parameters
    ----------
    model : FusedCubeModel
        The product that they are of.
    quantities : dict of Quantity
        Maps by the names of `EXTENSIONS`.
    mask : ndarray of bool, shape (ny, nx)
        Where they are significant.
    wcs : astropy.wcs.WCS
        Coordinates of the cells.
    **keywords
        Keywords of the primary header, each a tuple of value and comment.

    Returns
    -------
    astropy.io.fits.HDUList
        A primary header, two HDUs for each quantity, and MASK.
    """
    hdus = fits.HDUList([fits.PrimaryHDU(header=identity(model, **keywords))])
    coordinates = wcs.to_header()
    for name, quantity in quantities.items():
        for suffix, values in (("", quantity.value), ("_ERR", quantity.error)):
            hdu = fits.ImageHDU(values.astype(np.float32), coordinates, name=EXTENSIONS[name] + suffix)
            hdu.header["BUNIT"] = quantity.unit
            hdus.append(hdu)
    hdus.append(fits.ImageHDU(mask.astype(np.uint8), coordinates, name="MASK"))
    return hdus


def identity(model, **keywords):
    """
    Write the primary header of a file of measurements in a fused cube.

    Parameters
    ----------
    model : FusedCubeModel
        The product.
    **keywords
        Further keywords, each a tuple of value and comment; what is None or not finite is left out.

    Returns
    -------
    astropy.io.fits.Header
        The header.
    """
    meta = model.meta
    known = {
        "CREATOR": (f"jwst_fusion {__version__}", MARK),
        "FUSED": (meta.filename, "Fused cube" if len(str(meta.filename)) < 40 else ""),
        "TELESCOP": (meta.telescope, "Telescope"),
        "INSTRUME": (meta.instrument.name, "Instrument"),
        "GRATING": (meta.instrument.grating, "Grating"),
        "FILTER": (meta.instrument.filter, "Blocking filter"),
        "PROGRAM": (meta.observation.program_number, "Program"),
        "TARGNAME": (meta.target.catalog_name, "Target"),
        "SPECSYS": (meta.wcsinfo.specsys, "Frame of velocities"),
    }
    header = fits.Header()
    for keyword, (value, comment) in (known | keywords).items():
        if value is not None and not (isinstance(value, float) and not np.isfinite(value)):
            header[keyword] = (ascii_text(value) if isinstance(value, str) else value, comment)
    return header


def ascii_text(text):
    """Text that a FITS header can hold: what is not ASCII is a question mark."""
    return re.sub(r"[^ -~]", "?", text)
