"""Content of a report, plain arrays and words from a product."""

from dataclasses import dataclass, field

import numpy as np

from .diagnosis import Diagnosis

__all__ = ["BandRow", "LineErrors", "ReportContent", "SkyFrame"]


@dataclass(frozen=True)
class SkyFrame:
    """
    Tangential projection of the cells.

    Attributes
    ----------
    ra, dec : float
        Point of reference [deg].
    x, y : float
        The same in cells, counted from 0.
    matrix : tuple of float
        Change of the standard coordinates (xi, eta) [deg] with cell x and y: xi_x, xi_y, eta_x, eta_y.
    """

    ra: float
    dec: float
    x: float
    y: float
    matrix: tuple

    @property
    def cell(self):
        """Side of a cell [arcsec]."""
        a, b, c, d = self.matrix
        return 3600 * float(np.sqrt(abs(a * d - b * c)))


@dataclass(frozen=True, eq=False)
class LineErrors:
    """
    Parts of the errors of a line's flux and velocity in each cell.

    Attributes
    ----------
    covariance : ndarray, shape (k, k, ny, nx)
        Covariance of the errors of a cell's coefficients.
    leverage : ndarray, shape (ny, nx)
        Variance of a cell by the noise of the components, in units of that of the mean spectrum.
    spectral_noise : ndarray, shape (n_wave,)
        Noise of the mean spectrum [MJy/sr].
    scale_error : float
        Relative error of the flux scale between the instruments.
    gaps : ndarray of int, shape (n,)
        Channels without data that are interpolated.
    gap_spectra : ndarray, shape (n, 1 + k)
        Mean spectrum and basis there [MJy/sr].
    gap_errors : ndarray, shape (n, 3, 1 + k)
        Parts of their errors [MJy/sr].
    """

    covariance: np.ndarray
    leverage: np.ndarray
    spectral_noise: np.ndarray
    scale_error: float
    gaps: np.ndarray
    gap_spectra: np.ndarray
    gap_errors: np.ndarray


@dataclass(frozen=True)
class BandRow:
    """
    Row of the product's table of bands; NaN where not known.

    Attributes
    ----------
    filter : str
        Band.
    pivot : float
        Pivot wavelength [um].
    scale, scale_err : float
        NIRCam image over synthetic photometry.
    offset_east, offset_north, offset_err : float
        Position of a source in NIRCam's coordinates minus that in the cube's [arcsec].
    psnr, ssim, chi2 : float
        Agreement of the fused cube with the image: [dB], similarity, mean squared residual over variance.
    psnr_unseen, ssim_unseen : float
        The same for the band as predicted from all other data.
    held_out : bool
        Whether the band was left out of the fit.
    """

    filter: str
    pivot: float
    scale: float = float("nan")
    scale_err: float = float("nan")
    offset_east: float = float("nan")
    offset_north: float = float("nan")
    offset_err: float = float("nan")
    psnr: float = float("nan")
    ssim: float = float("nan")
    chi2: float = float("nan")
    psnr_unseen: float = float("nan")
    ssim_unseen: float = float("nan")
    held_out: bool = False


@dataclass(frozen=True, eq=False)
class ReportContent:
    """
    All that a report shows.

    Attributes
    ----------
    name, target : str
        File name of the product; its target.
    wavelength, mean_spectrum : ndarray, shape (n_wave,)
        [um], [MJy/sr].
    basis : ndarray, shape (n_wave, k)
        [MJy/sr].
    coefficients, coefficient_errors : ndarray, shape (k, ny, nx)
        NaN outside the field.
    alive : ndarray of bool, shape (n_wave,)
        Channels with data.
    error_spectra : ndarray, shape (n_wave, r)
        With ``error_maps`` the errors of the fused cube: ``error_spectra @ error_maps`` [MJy/sr].
    error_maps : ndarray, shape (r, ny, nx)
        See ``error_spectra``.
    frame : SkyFrame
        Coordinates of the cells.
    pixel_area : float
        Solid angle of a cell [sr].
    bands : tuple of BandRow
        The bands.
    spectral : dict of ndarray, shape (n_wave,)
        Columns of the product's table of wavelengths.
    settings : dict
        ``meta.fusion`` of the product.
    provenance : tuple of (str, str)
        Names and values: versions, inputs, date.
    inputs : tuple of dict
        Input files with their checksums and versions.
    parameters : tuple of (str, str)
        Parameters of the steps, and their values.
    flags : tuple of (str, float)
        Data quality flags and the share of the voxels inside the footprint that carry them.
    seen_by_one : float
        Share of the voxels with data that only one instrument sees.
    preflight : tuple of dict
        Rows of the table of the checks before the run.
    set_cubes, set_images, set_seams : tuple of dict
        Of several cubes that were fused together: each cube and each image with what it constrains, and how
        the cubes agree where they meet (`~jwst_fusion.quality.seams.Seam`).
    log : tuple of str
        Lines of the run's log.
    diagnosis : Diagnosis
        Arrays that the fusion computed for the report.
    line_errors : LineErrors or None
        Errors of lines; none if the product has no draws of its errors.
    """

    name: str
    target: str
    wavelength: np.ndarray
    mean_spectrum: np.ndarray
    basis: np.ndarray
    coefficients: np.ndarray
    coefficient_errors: np.ndarray
    alive: np.ndarray
    error_spectra: np.ndarray
    error_maps: np.ndarray
    frame: SkyFrame
    pixel_area: float
    bands: tuple
    spectral: dict
    settings: dict
    provenance: tuple = ()
    inputs: tuple = ()
    parameters: tuple = ()
    flags: tuple = ()
    seen_by_one: float = float("nan")
    preflight: tuple = ()
    set_cubes: tuple = ()
    set_images: tuple = ()
    set_seams: tuple = ()
    log: tuple = ()
    diagnosis: Diagnosis = field(default_factory=Diagnosis)
    line_errors: LineErrors | None = None

    @property
    def inside(self):
        """Cells of the field, ndarray of bool of shape (ny, nx)."""
        return np.isfinite(self.coefficients[0])

    def plane(self, weights):
        """
        Combine channels of the fused cube.

        Parameters
        ----------
        weights : ndarray, shape (n_wave,)
            Weight of each channel.

        Returns
        -------
        ndarray, shape (ny, nx)
            Weighted sum; NaN outside the field.
        """
        return weights @ self.mean_spectrum + np.tensordot(weights @ self.basis, self.coefficients, axes=1)

    def spectrum(self, row, column):
        """
        Return the spectrum of a cell.

        Parameters
        ----------
        row, column : int
            The cell.

        Returns
        -------
        spectrum, error : ndarray, shape (n_wave,)
            [MJy/sr].
        """
        spectrum = self.mean_spectrum + self.basis @ self.coefficients[:, row, column]
        error = self.error_spectra @ self.error_maps[:, row, column]
        return np.where(self.alive, spectrum, np.nan), np.where(self.alive, error, np.nan)
