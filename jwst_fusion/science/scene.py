"""Low-rank form of a fused cube with its errors, in which lines and regions are measured."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product

import numpy as np
from scipy.ndimage import gaussian_filter

from jwst_fusion.exceptions import ParameterError

from .gaps import fill_gaps
from .halo import halo_change
from .leftover import Leftover

__all__ = ["Scene", "Sum", "cell_covariance"]

#: Standard deviation of the Gaussian over which products of draws are averaged [cells], as for ERR. Judged.
SMOOTHING = 1.5

#: How far a region is moved over the draws, each way [cells]. The covariance of its sum is the mean over
#: these places, as that of a cell is a mean over its neighbours. Judged.
MOVE = 3

#: Smallest share of a region that has to lie in the field at such a place. Judged.
LEAST_INSIDE = 0.9


@dataclass(frozen=True, eq=False)
class Scene:
    """
    A fused cube, ``amount * mean_spectrum + basis @ coefficients``, with the draws of its errors.

    Attributes
    ----------
    wavelength : ndarray, shape (n_wave,)
        Ascending, in vacuum [um].
    mean_spectrum : ndarray, shape (n_wave,)
        [MJy/sr].
    basis : ndarray, shape (n_wave, k)
        [MJy/sr].
    coefficients, errors : ndarray, shape (k, ny, nx)
        Coefficients of the basis and their errors; NaN outside the field.
    draws : ndarray, shape (n_draw, k, ny, nx)
        Errors of the coefficients, each as likely as any other; zero outside the field.
    alive : ndarray of bool, shape (n_wave,)
        Channels with data.
    cell_area : float
        Area of a cell [arcsec^2].
    instrument_width : float or ndarray, shape (n_wave,)
        Standard deviation of the instrument's line spread function [um].
    spectral_noise : ndarray, shape (n_wave,)
        Noise of the cube's mean spectrum [MJy/sr], which gives that of the components.
    scale_error : float
        Relative error of the flux scale between the instruments.
    offset_error : float
        Error of the position of the images in the cube's coordinates, along east and north [arcsec].
    halo_error : float
        Error of the light that the halo of the IFU's PSF takes from its core, as a share of all light.
    halo_size : float
        Length s of the OTF of that halo, ``exp(-s * frequency)`` [arcsec].
    gaps : ndarray of int, shape (n,)
        Channels without data in which mean spectrum and basis were interpolated.
    gap_errors : ndarray, shape (n, 3, 1 + k)
        Parts of the errors of mean spectrum and basis there (`fill_gaps`).
    leftover : Leftover, optional
        Signal of the NIRSpec cube that the components do not represent.
    """

    wavelength: np.ndarray
    mean_spectrum: np.ndarray
    basis: np.ndarray
    coefficients: np.ndarray
    errors: np.ndarray
    draws: np.ndarray
    alive: np.ndarray
    cell_area: float
    instrument_width: float | np.ndarray
    spectral_noise: np.ndarray
    scale_error: float = 0.0
    offset_error: float = 0.0
    halo_error: float = 0.0
    halo_size: float = 0.0
    gaps: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))
    gap_errors: np.ndarray | None = None
    leftover: Leftover | None = None

    def without_gaps(self) -> Scene:
        """
        Interpolate mean spectrum and basis in short gaps (`fill_gaps`), with the error of the interpolation.

        Returns
        -------
        Scene
            The scene; longer gaps are left as they are.
        """
        spectra, gaps, errors = fill_gaps(np.column_stack([self.mean_spectrum, self.basis]), self.alive)
        return replace(self, mean_spectrum=spectra[:, 0], basis=spectra[:, 1:], gaps=gaps, gap_errors=errors)

    def line_spread(self, wavelength: float) -> float:
        """
        Get the width of the line spread function.

        Parameters
        ----------
        wavelength : float
            Where it is wanted [um].

        Returns
        -------
        float
            Standard deviation [um]; NaN if it is not known.
        """
        widths = np.broadcast_to(self.instrument_width, self.wavelength.shape)
        return float(np.interp(wavelength, self.wavelength, widths))

    def leverage(self, amount: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """
        Compute the contribution of the components' noise to a spectrum.

        Each channel of the mean spectrum and of the basis is, to first order, a linear regression of that
        channel of all spaxels on their coefficients. Its noise enters a spectrum by the leverage of that
        regression (Hoaglin and Welsch 1978), with the same sign in all cells.

        Parameters
        ----------
        amount : ndarray, shape (...)
            Number of cells added up.
        coefficients : ndarray, shape (k, ...)
            Sums of their coefficients.

        Returns
        -------
        ndarray, shape (...)
            Variance in units of that of the mean spectrum.
        """
        vector = np.concatenate([np.asarray(amount)[np.newaxis], coefficients])
        return (vector * np.tensordot(self._inverse_products, vector, axes=1)).sum(axis=0)

    @cached_property
    def _inverse_products(self):
        """Inverse of the mean product of amount and coefficients over the field."""
        known = self.coefficients[:, self.inside]
        known = np.concatenate([np.ones((1, known.shape[1])), known])
        return np.linalg.pinv(known @ known.T / known.shape[1], hermitian=True)

    @cached_property
    def _relative_draws(self):
        """Draws over the errors, mirrored at the edges, ndarray of shape (n_draw, k, ny + 2 m, nx + 2 m)."""
        errors = np.where(self.inside & (self.errors > 0), self.errors, np.inf).astype(np.float32)
        margin = (MOVE, MOVE)
        return np.pad(self.draws / errors, ((0, 0), (0, 0), margin, margin), mode="reflect")

    @cached_property
    def _inside_mirrored(self):
        """Cells of the field, mirrored at the edges as the draws are."""
        return np.pad(self.inside, MOVE, mode="reflect")

    @property
    def inside(self) -> np.ndarray:
        """Cells of the field, ndarray of bool of shape (ny, nx)."""
        return np.isfinite(self.coefficients).all(axis=0)

    @cached_property
    def _changes(self):
        """Changes of the coefficients by errors that all cells share, ndarray of shape (3, k, ny, nx)."""
        cell = np.sqrt(self.cell_area)
        displaced = np.stack(np.gradient(self.coefficients, axis=(2, 1))) * (self.offset_error / cell)
        scattered = self.halo_error * halo_change(self.coefficients, self.halo_size / cell)
        return np.nan_to_num(np.concatenate([displaced, scattered[np.newaxis]]))

    def cells(self) -> Sum:
        """Sum of a single cell, for every cell."""
        inside = self.inside
        covariance = cell_covariance(self.draws, np.where(inside, self.errors, 0.0))
        for change in self._changes:
            covariance += change[:, np.newaxis] * change
        return Sum(self, np.where(inside, 1.0, np.nan), self.coefficients.astype(np.float64), covariance)

    def region(self, weight: np.ndarray) -> Sum:
        """
        Add up the cells of a region, with their correlated errors.

        Parameters
        ----------
        weight : ndarray, shape (ny, nx)
            Share of each cell that lies in the region.

        Returns
        -------
        Sum
            Of shape ().

        Raises
        ------
        ParameterError
            No cell with data lies in the region.
        """
        weight = np.where(self.inside, weight, 0.0)
        if not weight.any():
            raise ParameterError("no cell with data lies in it")
        whole = weight
        rows, columns = (np.flatnonzero(weight.any(axis=axis)) for axis in (1, 0))
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        weight, known = weight[box], self.inside[box]
        coefficients = np.where(known, self.coefficients[(slice(None), *box)], 0.0)
        weighted = np.where(known, self.errors[(slice(None), *box)], 0.0) * weight
        products: list[np.ndarray] = []
        for place in product((MOVE, 0, 2 * MOVE), repeat=2):  # its own first
            moved = tuple(slice(b.start + at, b.stop + at) for b, at in zip(box, place, strict=True))
            if products and (self._inside_mirrored[moved] * weight).sum() < LEAST_INSIDE * weight.sum():
                continue
            relative = self._relative_draws[(slice(None), slice(None), *moved)]
            added = np.einsum("piyx,iyx->pi", relative, weighted, optimize=True)
            products.append(added.T @ added / len(added))
        covariance = np.mean(products, axis=0)
        changes = np.einsum("siyx,yx->si", self._changes[(slice(None), slice(None), *box)], weight)
        covariance += changes.T @ changes
        total = np.einsum("iyx,yx->i", coefficients, weight)
        return Sum(self, np.asarray(weight.sum()), total, covariance, whole)


@dataclass(frozen=True, eq=False)
class Sum:
    """
    Single cells of a scene, or the sum over a region.

    Attributes
    ----------
    scene : Scene
        The scene.
    amount : ndarray, any shape
        Number of cells in each sum.
    coefficients : ndarray, shape (k, ...)
        Sums of their coefficients.
    covariance : ndarray, shape (k, k, ...)
        Covariance of their errors.
    weight : ndarray, shape (ny, nx), optional
        Share of each cell in a region; None for single cells.
    """

    scene: Scene
    amount: np.ndarray
    coefficients: np.ndarray
    covariance: np.ndarray
    weight: np.ndarray | None = None

    @cached_property
    def leverage(self) -> np.ndarray:
        """Variance due to the noise of the components, in units of that of the mean spectrum."""
        return self.scene.leverage(self.amount, self.coefficients)

    def spectra(self) -> tuple[np.ndarray, np.ndarray]:
        """
        Compute the spectra and their errors.

        Returns
        -------
        spectra, errors : ndarray, shape (n_wave, ...)
            [MJy/sr], times the number of cells.
        """
        scene = self.scene
        mean = np.multiply.outer(scene.mean_spectrum, self.amount)
        spectra = mean + np.tensordot(scene.basis, self.coefficients, axes=1)
        squares = np.einsum("li,ij...,lj->l...", scene.basis, self.covariance, scene.basis, optimize=True)
        squares += np.multiply.outer(scene.spectral_noise**2, self.leverage)
        return spectra, np.sqrt(squares + (scene.scale_error * spectra) ** 2)

    def apply(self, functionals: np.ndarray) -> np.ndarray:
        """
        Apply linear functionals to the spectra.

        Parameters
        ----------
        functionals : ndarray, shape (n, n_wave)
            Weights of the channels.

        Returns
        -------
        ndarray, shape (n, ...)
            Their values.
        """
        mean = np.multiply.outer(functionals @ self.scene.mean_spectrum, self.amount)
        return mean + np.tensordot(functionals @ self.scene.basis, self.coefficients, axes=1)

    def lost(self, functional: np.ndarray) -> float:
        """
        Estimate the variance of a line's flux due to signal that the components do not represent.

        Parameters
        ----------
        functional : ndarray, shape (n_wave,)
            Weights of the channels.

        Returns
        -------
        float
            Variance (`Leftover.variance`).
        """
        leftover = self.scene.leftover
        if leftover is None:
            return 0.0
        if self.weight is None:
            return leftover.variance(functional)
        my, mx = leftover.steps.shape[1:]
        d = self.weight.shape[0] // my
        amount = self.weight.reshape(my, d, mx, d).sum(axis=(1, 3))
        rows, columns = (np.flatnonzero(amount.any(axis=axis)) for axis in (1, 0))
        return leftover.variance(functional, amount[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])

    def error(self, functionals: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """
        Propagate the errors to a function of linear functionals, without that of the flux scale.

        Parameters
        ----------
        functionals : ndarray, shape (n, n_wave)
            Weights of the channels.
        gradient : ndarray, shape (n, ...)
            Derivatives of the function by the functionals.

        Returns
        -------
        ndarray, shape (...)
            Standard error due to the coefficients, the noise of the components, and the interpolation of
            channels without data.
        """
        components = functionals @ self.scene.basis
        squares = _quadratic(np.tensordot(components.T, gradient, axes=1), self.covariance)
        noise = (functionals * self.scene.spectral_noise**2) @ functionals.T
        noise = noise.reshape(*noise.shape, *(1,) * (gradient.ndim - 1))
        squares = squares + self.leverage * _quadratic(gradient, noise)
        return np.sqrt(squares + self._gaps(functionals, gradient))

    def _gaps(self, functionals, gradient):
        """Variance due to the interpolation of channels without data."""
        scene = self.scene
        used = functionals[:, scene.gaps].any(axis=0)
        if not used.any():
            return 0.0
        vector = np.concatenate([np.asarray(self.amount)[np.newaxis], self.coefficients])
        errors = np.tensordot(scene.gap_errors[used], vector, axes=1)  # gap, part, cells
        weight = np.tensordot(functionals[:, scene.gaps[used]].T, gradient, axes=1)
        return ((weight[:, np.newaxis] * errors) ** 2).sum(axis=(0, 1))


def cell_covariance(draws: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """
    Compute the covariance of each cell's coefficients from draws.

    The correlations come from the products of the draws, averaged over neighbouring cells, and the variances
    from the stated errors.

    Parameters
    ----------
    draws : ndarray, shape (n_draw, k, ny, nx)
        Errors, each as likely as any other.
    errors : ndarray, shape (k, ny, nx)
        Standard errors.

    Returns
    -------
    ndarray, shape (k, k, ny, nx)
        Covariance.
    """
    k = draws.shape[1]
    relative = draws / np.where(errors > 0, errors, np.inf).astype(np.float32)
    covariance = np.empty((k, k, *errors.shape[1:]))
    for i in range(k):
        for j in range(i + 1):
            products = np.einsum("pyx,pyx->yx", relative[:, i], relative[:, j])
            covariance[i, j] = covariance[j, i] = gaussian_filter(products, SMOOTHING)
    root = np.sqrt(np.einsum("iiyx->iyx", covariance))
    scale = errors / np.where(root > 0, root, np.inf)
    covariance *= scale[:, np.newaxis] * scale
    return covariance


def _quadratic(gradient, covariance):
    """Variance of a quantity with derivatives (k, ...) by parameters with a covariance (k, k, ...)."""
    return np.maximum((gradient * (covariance * gradient).sum(axis=1)).sum(axis=0), 0.0)
