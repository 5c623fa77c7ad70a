"""Spectra of regions on the sky, with those of the cube and the photometry of NIRCam."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from stdatamodels.jwst.datamodels import SpecModel

from jwst_fusion.datamodels.flags import DO_NOT_USE
from jwst_fusion.datamodels.notebook import html_table
from jwst_fusion.exceptions import InputError, ParameterError, one_line
from jwst_fusion.quality.diagnosis import restore_spectra

from .products import celestial_wcs
from .science import ascii_text, identity

__all__ = ["RegionSpectrum", "extraction_hdus", "read_regions", "region_spectrum"]

#: Points along each side of a cell at which it is asked whether they lie in a region.
SUBPIXELS = 10

#: Largest area of the box around a region, in those of the field. Judged.
LARGEST = 100.0

#: Frames of coordinates that a region of DS9 may begin with.
FRAMES = ("icrs", "fk4", "fk5", "j2000", "b1950", "galactic", "ecliptic", "image", "physical")

#: A region as it can be typed.
EXAMPLE = 'circle(83.83, -5.42, 0.3")'

#: 1 MJy [Jy].
MEGA = 1e6

#: Units of the columns of an x1d.
UNITS = {"WAVELENGTH": "um", "FLUX": "Jy", "FLUX_ERROR": "Jy", "SURF_BRIGHT": "MJy/sr", "SB_ERROR": "MJy/sr"}


@dataclass(frozen=True, eq=False)
class RegionSpectrum:
    """Spectrum of a region of a fused cube, beside that of the NIRSpec cube and NIRCam's photometry."""

    name: str
    text: str  # the region, as DS9 writes it
    sum: object  # Sum of the cells
    coverage: float  # share of the region that lies in the field
    wavelength: np.ndarray  # (n_wave,) [um]
    flux: np.ndarray  # (n_wave,) flux density [Jy]; NaN in channels without data
    error: np.ndarray  # its standard error [Jy]
    cube_flux: np.ndarray  # that of the NIRSpec cube, at its own resolution [Jy]; NaN where it is not known
    #: Filter and pivot [um] of each band, and fluxes [Jy] through it: of the NIRCam image over its scale
    #: (nircam), of the fused cube with the band's PSF (seen) and without (fused, fused_err).
    bands: list

    def _repr_html_(self):
        """Show the region, and its fluxes in the bands, in a notebook."""
        facts = {
            "Region": self.text,
            "Area": f"{float(self.sum.amount):.1f} cells, {100 * self.coverage:.0f} % of the region",
            "Wavelengths": f"{self.wavelength[0]:.4f} to {self.wavelength[-1]:.4f} um",
        }
        rows = [
            (
                band["filter"],
                f"{1e6 * band['nircam']:.4g}",
                f"{1e6 * band['seen']:.4g}",
                f"{1e6 * band['fused']:.4g} ± {1e6 * band['fused_err']:.2g}",
            )
            for band in self.bands
        ]
        header = ("Band", "NIRCam [uJy]", "Fused cube seen by NIRCam [uJy]", "Fused cube [uJy]")
        return html_table(f"Spectrum of {self.name}", facts, header, rows)


def read_regions(given):
    """
    Read regions from a file of DS9, CASA or FITS, or from text such as ``circle(83.83, -5.42, 0.3")``.

    Text that names no frame is in ICRS. Returns names and regions whose spectra are wanted, and the regions
    that are cut out of them. Raises InputError if there is no such file, or no region in it.
    """
    from regions import Regions

    text = str(given)
    path = Path(text)
    is_text = "(" in text and not path.is_file()
    if not is_text and not path.is_file():
        raise InputError(f"{text}: no such file; give a file of regions, or a region such as {EXAMPLE}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if is_text:
                framed = text.lower().lstrip("-+ ").startswith(FRAMES)
                found = Regions.parse(text if framed else f"icrs; {text}", format="ds9")
            else:
                form = {".crtf": "crtf", ".fits": "fits"}.get(path.suffix.lower(), "ds9")
                found = Regions.read(path, format=form)
    except Exception as error:  # noqa: BLE001 - the parsers raise all kinds
        reason = one_line(error)
        raise InputError(f"{text}: cannot be read as regions ({reason}); write them with DS9") from error
    if not len(found):
        raise InputError(f"{text}: it contains no readable region; write one such as {EXAMPLE}")
    excluded = [region for region in found if region.meta.get("include") in (0, False, "-")]
    included = [region for region in found if not any(region is other for other in excluded)]
    names = [str(region.meta.get("text") or "") for region in included]
    return list(zip(names, included, strict=True)), excluded


def _weight(region, wcs, shape):
    """Share of each cell that lies in a region, and the share of the region that lies on the cells."""
    pixel = region.to_pixel(wcs) if hasattr(region, "to_pixel") else region
    try:
        box = pixel.bounding_box.shape
    except ValueError:  # NaN: beyond the hemisphere that the projection shows
        return np.zeros(shape), 0.0
    if np.prod([float(n) for n in box]) > LARGEST * np.prod(shape):
        raise ParameterError(
            'is far larger than the field; sizes without a unit are in degrees, and 0.3" in arcsec'
        )
    mask = pixel.to_mask(mode="subpixels", subpixels=SUBPIXELS)
    image = mask.to_image(shape)
    total = float(mask.data.sum())
    if image is None or not total:
        return np.zeros(shape), 0.0
    return image, float(image.sum()) / total


def region_spectrum(model, scene, name, region, excluded=(), *, content):
    """
    Add up the cells of a region of a scene, less the excluded regions; content is that of the report.

    Raises ParameterError if the region is no area, or does not touch the field.
    """
    wcs = celestial_wcs(model, model.meta.filename)
    shape = scene.inside.shape
    try:
        weight, on_cells = _weight(region, wcs, shape)
        for other in excluded:
            weight = weight * (1 - np.clip(_weight(other, wcs, shape)[0], 0, 1))
    except ParameterError as error:
        raise ParameterError(f"{name}: {error}") from None
    except (NotImplementedError, AttributeError, TypeError) as error:
        raise ParameterError(f"{name}: a {type(region).__name__} has no area; draw another region") from error
    inside = weight * scene.inside
    if not inside.any():
        raise ParameterError(f"{name}: lies outside the field of {model.meta.filename}; draw another region")
    added = scene.region(inside)
    spectrum, error = added.spectra()
    jansky = _jansky(scene)
    seen = np.isfinite(np.asarray(model.data)[:, inside > 0]).all(axis=1)
    dead = np.where(scene.alive & seen, 1.0, np.nan)
    return RegionSpectrum(
        name=name,
        text=region.serialize(format="ds9").strip().splitlines()[-1],
        sum=added,
        coverage=on_cells * float(inside.sum() / weight.sum()),
        wavelength=scene.wavelength,
        flux=spectrum * jansky * dead,
        error=error * jansky * dead,
        cube_flux=_cube_spectrum(content, inside) * jansky,
        bands=_photometry(content, added, inside, jansky),
    )


def _jansky(scene):
    """Flux of a cell of 1 MJy/sr [Jy]."""
    return MEGA * scene.cell_area * np.deg2rad(1 / 3600) ** 2


def _cube_spectrum(content, weight):
    """Sum of the NIRSpec cube over a region, in cells; unknown spaxels count as the known ones."""
    diagnosis = content.diagnosis
    if diagnosis.spectra is None:
        return np.full(content.wavelength.size, np.nan)
    cube = restore_spectra(diagnosis, content.mean_spectrum, content.basis)
    my, mx = cube.shape[1:]
    d = weight.shape[0] // my
    shares = weight.reshape(my, d, mx, d).sum(axis=(1, 3))
    known = np.isfinite(cube) * shares
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nansum(cube * shares, axis=(1, 2)) * shares.sum() / known.sum(axis=(1, 2))


def _photometry(content, added, weight, jansky):
    """Fluxes of a region in the bands [Jy]."""
    diagnosis, rows = content.diagnosis, []
    for i, band in enumerate(content.bands):
        row = dict.fromkeys(("nircam", "seen", "fused", "fused_err"), np.nan)
        for key, images in (("nircam", diagnosis.images), ("seen", diagnosis.predicted)):
            if images is not None:
                row[key] = float((np.where(weight > 0, images[i], 0.0) * weight).sum() * jansky)
        if diagnosis.bandpasses is not None:
            functional = np.asarray(diagnosis.bandpasses[i], dtype=float)[np.newaxis]
            row["fused"] = float(added.apply(functional)[0] * jansky)
            error = float(added.error(functional, np.ones(1)) * jansky)
            row["fused_err"] = float(np.hypot(error, added.scene.scale_error * row["fused"]))
        rows.append({"filter": band.filter, "pivot": band.pivot, **row})
    return rows


def extraction_hdus(model, spectra, lines=()):
    """
    Put spectra of regions into HDUs, as an x1d has them.

    There is an EXTRACT1D for each region with the columns of an x1d, a CUBE1D with the cube's, and the tables
    PHOTOMETRY and, of (RegionSpectrum, Line, LineMeasurement), LINES.
    """
    header = identity(model, DATAMODL=("MultiSpecModel", "Type of data model"))
    hdus = fits.HDUList([fits.PrimaryHDU(header=header)])
    for number, spectrum in enumerate(spectra, start=1):
        for hdu in (_x1d(spectrum), _cube_table(spectrum)):
            hdu.ver = number
            hdu.header["SRCNAME"] = ascii_text(spectrum.name)
            hdus.append(hdu)
    rows = [{"region": spectrum.name, **band} for spectrum in spectra for band in spectrum.bands]
    if rows:
        units = {"pivot": "um", **dict.fromkeys(("nircam", "seen", "fused", "fused_err"), "Jy")}
        hdus.append(_table("PHOTOMETRY", rows, units))
    if lines:
        hdus.append(_line_table(lines))
    return hdus


def _line_table(lines):
    """Table of the lines of regions."""
    rows, units = [], {"wavelength": "um"}
    for spectrum, line, measured in lines:
        row = {"region": spectrum.name, "line": line.name, "wavelength": line.wavelength}
        for name, quantity in measured.quantities.items():
            row |= {name: float(quantity.value), f"{name}_err": float(quantity.error)}
            units |= {name: quantity.unit, f"{name}_err": quantity.unit}
        rows.append(row | {"significance": float(measured.significance)})
    return _table("LINES", rows, units)


def _x1d(spectrum):
    """Table of a spectrum with the columns of the official pipeline's."""
    table = np.zeros(spectrum.wavelength.size, dtype=SpecModel().get_dtype("spec_table"))
    for name in table.dtype.names:
        if "_VAR_" in name or name.startswith("B"):
            table[name] = np.nan
    amount = float(spectrum.sum.amount)
    area = amount * _jansky(spectrum.sum.scene)
    table["WAVELENGTH"], table["NPIXELS"] = spectrum.wavelength, amount
    table["FLUX"], table["FLUX_ERROR"] = spectrum.flux, spectrum.error
    table["SURF_BRIGHT"], table["SB_ERROR"] = spectrum.flux / area, spectrum.error / area
    table["DQ"] = np.where(np.isfinite(spectrum.flux), 0, DO_NOT_USE)
    hdu = _with_units(fits.BinTableHDU(table, name="EXTRACT1D"), UNITS)
    hdu.header["SRCTYPE"] = ("EXTENDED", "Type of source")
    hdu.header["REGION"] = ascii_text(spectrum.text)
    hdu.header["COVERAGE"] = (round(spectrum.coverage, 6), "Share of the region with data")
    return hdu


def _cube_table(spectrum):
    """Table of the cube's spectrum."""
    columns = {"wavelength": spectrum.wavelength, "cube_flux": spectrum.cube_flux}
    rows = np.rec.fromarrays(list(columns.values()), names=list(columns))
    return _with_units(fits.BinTableHDU(rows, name="CUBE1D"), {"wavelength": "um", "cube_flux": "Jy"})


def _table(name, rows, units):
    """Table of rows that are dicts."""
    columns = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    for key, values in columns.items():
        if values.dtype.kind == "U":
            columns[key] = np.char.encode(values, "ascii", "replace")
    table = np.rec.fromarrays(list(columns.values()), names=list(columns))
    return _with_units(fits.BinTableHDU(table, name=name), units)


def _with_units(hdu, units):
    """State the units of a table's columns."""
    for key, unit in units.items():
        hdu.columns[key].unit = unit
    return hdu
