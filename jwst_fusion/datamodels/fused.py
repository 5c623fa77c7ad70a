"""The fused cube."""

import re

import numpy as np

from jwst_fusion.datamodels.base import BRIGHTNESS_UNIT, FusionModel, cell_text
from jwst_fusion.datamodels.notebook import html_table

__all__ = ["FusedCubeModel"]

#: Share of the product's planes that draws may take, and bytes of the planes for each voxel: SCI, ERR, DQ and
#: WMAP have four each.
DRAWS_SHARE = 0.08
VOXEL_BYTES = 16

#: Least number of draws that is kept.
LEAST_DRAWS = 4

#: Step of the draws, in units of the coefficients' errors.
DRAW_STEP = 1 / 1024


class FusedCubeModel(FusionModel):
    """
    A cube with NIRCam's sharpness and NIRSpec's wavelengths.

    It is an ``IFUCubeModel`` with the low-rank form of the scene, ``mean_spectrum + basis @
    coefficients``, and what there is to judge it by.

    Attributes
    ----------
    data, err : float32 array, shape (n_wave, ny, nx)
        Scene and its error [MJy/sr]; NaN where nothing is known.
    dq : uint32 array, shape (n_wave, ny, nx)
        Data quality: DO_NOT_USE (bit 0) where ``data`` is NaN or not to be used.
    weightmap : float32 array, shape (n_wave, ny, nx)
        Weight of the data.
    wavetable : table
        Wavelengths [um].
    components : table, a row per wavelength
        ``wavelength`` [um], ``mean_spectrum``, ``basis_1`` to ``basis_k``, and ``mean_noise``, the noise of
        the cube's mean spectrum [MJy/sr].
    coefficients, coefficient_errors : float32 array, shape (k, ny, nx)
        Coefficients of the basis and their errors, without dimension.
    filters : table, a row per band
        Band, scale, offset and quality of the fit.
    draws : int16 array, shape (n_draw, k, ny, nx)
        Errors of the coefficients, each as likely as any other, in steps of ``meta.fusion.draw_step`` times
        ``coefficient_errors`` (`draw_errors`). There are none where the errors are not of draws.
    spectral : table, a row per wavelength
        Mean spectra of the cube and of the fused cube, their relative difference, the width of the PSF.
    """

    schema_url = "asdf://jwst_fusion/schemas/fusedcube.schema"

    hdu_order = (*FusionModel.hdu_order, "COMPONENTS", "COEFFS", "COEFFERR", "FILTERS", "SPECTRAL", "DRAWS")

    def set_components(self, wavelength, mean_spectrum, basis, mean_noise=None):
        """
        Fill the table of components.

        Parameters
        ----------
        wavelength : array_like, shape (n_wave,)
            Wavelengths [um].
        mean_spectrum : array_like, shape (n_wave,)
            Mean spectrum [MJy/sr].
        basis : array_like, shape (n_wave, k)
            Basis spectra [MJy/sr], a column each.
        mean_noise : array_like, shape (n_wave,), optional
            Noise of the cube's mean spectrum [MJy/sr].

        Raises
        ------
        ValueError
            If the shapes do not agree.
        """
        basis = np.asarray(basis)
        shape = np.shape(wavelength)
        if basis.ndim != 2 or basis.shape[:1] != shape or np.shape(mean_spectrum) != shape:
            raise ValueError(
                f"shapes do not agree: wavelength {shape}, mean_spectrum {np.shape(mean_spectrum)}, "
                f"basis {basis.shape}; expected (n_wave,), (n_wave,), (n_wave, k)"
            )
        names = ["wavelength", "mean_spectrum", *(f"basis_{i + 1}" for i in range(basis.shape[1]))]
        table = np.zeros(len(basis), dtype=[(name, np.float64) for name in names])
        for name, column in zip(names, (wavelength, mean_spectrum, *basis.T), strict=True):
            table[name] = column
        self.components = table
        if mean_noise is not None:
            self.add_columns("components", mean_noise=mean_noise)

    def set_draws(self, draws):
        """
        Keep draws of the coefficients' errors, as many as take a small part of the product.

        Parameters
        ----------
        draws : ndarray, shape (n_draw, k, ny, nx)
            Errors, each as likely as any other; the coefficients' errors must be set.
        """
        cube = np.shape(self.data)
        most = int(DRAWS_SHARE * VOXEL_BYTES * cube[0] / (2 * draws.shape[1]))
        if min(most, len(draws)) < LEAST_DRAWS:
            return
        with np.errstate(invalid="ignore", divide="ignore"):
            steps = np.nan_to_num(draws[:most] / (DRAW_STEP * np.asarray(self.coefficient_errors)))
        limit = np.iinfo(np.int16).max
        self.draws = np.rint(np.clip(steps, -limit, limit)).astype(np.int16)
        self.set_fusion(draw_step=DRAW_STEP)

    def unfit(self):
        """
        Find what is missing, or does not fit the rest.

        Returns
        -------
        str or None
            The finding; None if the product is whole.
        """
        cube = np.shape(self.data)
        if len(cube) != 3 or not self.hasattr("components"):
            return "there is no cube, or no table of its components"
        cells = (self.basis.shape[1], *cube[1:])
        expected = {
            "err": cube, "dq": cube, "weightmap": cube, "components": cube[:1], "spectral": cube[:1],
            "coefficients": cells, "coefficient_errors": cells,
        }  # fmt: skip
        for name, shape in expected.items():
            found = np.shape(getattr(self, name)) if self.hasattr(name) else "missing"
            if found != shape:
                return f"{name} is {found}, {shape} expected for a cube of {cube}"
        if self.hasattr("draws") and np.shape(self.draws)[1:] != cells:
            return f"draws are {np.shape(self.draws)}, (n, *{cells}) expected for a cube of {cube}"
        if not (self.hasattr("filters") and len(self.filters)):
            return "filters is missing or empty"
        unit = self.meta.bunit_data
        if unit != BRIGHTNESS_UNIT:
            return f"BUNIT is {unit}, {BRIGHTNESS_UNIT} expected"
        return None if np.any(self.err) else "err is missing"  # then the model fills it with zeros

    @property
    def draw_errors(self):
        """Draws of the coefficients' errors (n_draw, k, ny, nx), zero outside the field; None without."""
        if not self.hasattr("draws"):
            return None
        step = self.meta.fusion.draw_step * np.nan_to_num(self.coefficient_errors)
        return np.asarray(self.draws, dtype=np.float32) * step

    @property
    def basis(self):
        """Basis spectra of `components` [MJy/sr], ndarray of shape (n_wave, k)."""
        names = [name for name in self.components.dtype.names if re.fullmatch(r"basis_\d+", name)]
        return np.stack([np.asarray(self.components[name], dtype=np.float64) for name in names], axis=1)

    def _repr_html_(self):
        """Show size, instrument and bands in a notebook."""
        meta, facts = self.meta, {}
        if meta.target.catalog_name:
            facts["Target"] = meta.target.catalog_name
        facts["Spectrograph"] = " ".join(
            filter(None, (meta.instrument.name, meta.instrument.grating, meta.instrument.filter))
        )
        facts["Cube"] = " x ".join(map(str, np.shape(self.data))) + " (channels, rows, columns)"
        if self.hasattr("components"):
            low, high = self.components["wavelength"][[0, -1]]
            facts["Wavelengths"] = f"{low:.4f} to {high:.4f} um"
            facts["Components"] = self.basis.shape[1]
        if meta.photometry.pixelarea_arcsecsq:
            facts["Cells"] = f'{np.sqrt(meta.photometry.pixelarea_arcsecsq):.4f}"'
        return html_table(f"Fused cube {meta.filename or ''}", facts, *self._band_rows())

    def _band_rows(self):
        """Header and rows of a table of the bands."""
        header = ("Band", "Flux scale", "Offset east, north [arcsec]", "PSNR [dB]", "Use")
        table = np.asarray(self.filters) if self.hasattr("filters") else ()
        rows = [
            (
                cell_text(row["filter"]),
                f"{row['scale']:.3f} ± {row['scale_err']:.3f}",
                f"{row['offset_east']:+.3f}, {row['offset_north']:+.3f}",
                f"{row['psnr']:.1f}",
                "held out" if row["held_out"] else "fused",
            )
            for row in table
        ]
        return header, rows

    def _column_units(self, hdu_name):
        units = super()._column_units(hdu_name)
        if hdu_name == "COMPONENTS":
            units |= {name: BRIGHTNESS_UNIT for name in self.components.dtype.names if name != "wavelength"}
        return units
