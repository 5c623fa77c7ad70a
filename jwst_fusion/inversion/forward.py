"""Forward models of both data sets for the coefficients: the two data terms and their adjoints."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft2, rfft2

from jwst_fusion.exceptions import InputError
from jwst_fusion.optics.frequencies import make_hermitian

from .cells import within
from .groups import FrequencyGroups
from .noise import correlated_noise, cube_noise_transfer, image_noise_transfer, relative_noise
from .objective import DataTerm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jwst_fusion.observation import BandImage

    from .subspace import Subspace

__all__ = ["CubeTerm", "ImageTerm", "compress_cube", "image_term"]

#: Singular values below this share of the largest are dropped, of the OTFs and of the channels. Judged.
COMPRESSION_TOLERANCE = 3e-4


@dataclass(frozen=True, eq=False)
class CubeTerm(DataTerm):
    """
    The NIRSpec data term, compressed along wavelength.

    With ``whitened_basis[l, i]``, the interpolation ``c[l, r]`` between the nodes of the OTF and the
    singular value decomposition ``whitened_basis[l, i] c[l, r] = sum_q u[l, q] s[q, i, r]``, the sum of
    squares over all channels equals, but for a constant, the one over the few channels
    ``sum_l u[l, q] whitened[l]``. That is exact for weights that are a product of a channel's
    weight and a spaxel's.

    Attributes
    ----------
    groups : FrequencyGroups
        The grid.
    transfer : ndarray of complex, shape (n_groups, n_compressed, k * d**2)
        Transfer functions from the cube's coefficients to the compressed channels.
    data : ndarray, shape (n_compressed, my, mx)
        Compressed data, with unit noise.
    weight : ndarray, shape (my, mx)
        One where there are data, zero elsewhere.
    projection : ndarray, shape (k, n_compressed)
        From compressed channels to the coefficients of the whitened basis.
    noise : ndarray, shape (my, mx)
        Noise of each spaxel over the typical one, as the spectra outside the subspace show it.
    noise_transfer : ndarray, shape (my, mx // 2 + 1)
        Square root of the noise's power spectrum (`cube_noise_transfer`).
    voxel_weight, whitened : ndarray, shape (n_wave, my, mx), or None
        Weight of each voxel relative to its channel's, with the data that they weigh; None for weights
        that are the same in all channels.
    channels : ndarray, shape (n_wave, n_compressed), or None
        From compressed channels to whitened channels.
    weight_loss : ndarray, shape (k, k, my, mx), or None
        Matrices L by which the weights of the coefficients of a spaxel are lower, ``1 - L``; None: zero.
        Weights of each voxel take no account of it.
    mixing : ndarray, shape (k, n), or None
        From the coefficients of the scene to those of the cube, if several cubes have these in common; None:
        they are the same.
    """

    groups: FrequencyGroups
    transfer: np.ndarray
    data: np.ndarray
    weight: np.ndarray
    projection: np.ndarray
    noise: np.ndarray
    noise_transfer: np.ndarray
    voxel_weight: np.ndarray | None = None
    whitened: np.ndarray | None = None
    channels: np.ndarray | None = None
    weight_loss: np.ndarray | None = None
    mixing: np.ndarray | None = None

    def weigh(self, values: np.ndarray) -> np.ndarray:
        """Weigh compressed channels, (n_compressed, my, mx)."""
        if self.voxel_weight is None:
            return self.weight * self._less(values)
        full = np.tensordot(self.channels, values, axes=1)
        return np.tensordot(self.channels.T, self.voxel_weight * full, axes=1)

    def _less(self, values):
        """Subtract from compressed channels the loss of weight of their coefficients."""
        if self.weight_loss is None:
            return values
        return values - np.tensordot(self.projection.T, self._lost(self.project(values)), axes=1)

    def _lost(self, coefficients):
        """Apply the loss of weight to coefficients, (k, my, mx)."""
        return np.einsum("ijyx,jyx->iyx", self.weight_loss, coefficients)

    def project(self, values: np.ndarray) -> np.ndarray:
        """Project compressed channels on the whitened basis, (k, my, mx)."""
        return np.tensordot(self.projection, values, axes=1)

    def residual(self, spectrum: np.ndarray) -> np.ndarray:
        """Residual of the coefficients for a scene's transform, with unit noise, (k, my, mx)."""
        return self.project(self.data - self.predict(spectrum))

    def squares(self, spectrum: np.ndarray) -> np.ndarray:
        """Squared residuals of the coefficients of the spaxels with data, (k, n)."""
        return (self.residual(spectrum) ** 2)[:, self.weight > 0]

    def chi2(self, spectrum: np.ndarray) -> float:
        """Mean squared residual of the coefficients over their variance, with the error of the PSF."""
        residual = self.residual(spectrum)
        counted = residual if self.weight_loss is None else residual - self._lost(residual)
        return float((self.weight * residual * counted).sum() / (self.weight.sum() * len(residual)))

    def weighted_data(self) -> np.ndarray:
        """Weigh the data and compress them, (n_compressed, my, mx)."""
        if self.voxel_weight is None:
            return self.weigh(self.data)
        return np.tensordot(self.channels.T, self.voxel_weight * self.whitened, axes=1)

    def weighted_noise(self, rng: np.random.Generator) -> np.ndarray:
        """Draw noise, weigh it and compress it, (n_compressed, my, mx)."""
        if self.voxel_weight is None:
            noise = correlated_noise(rng, self.data.shape, self.noise_transfer)
            return self.weight * self._less(self.noise * noise)
        noise = correlated_noise(rng, self.voxel_weight.shape, self.noise_transfer)
        noise *= self.voxel_weight * self.noise
        return np.tensordot(self.channels.T, noise, axes=1)

    def predict(self, spectrum: np.ndarray) -> np.ndarray:
        """
        Compressed channels of a scene (paper, Eq. B.2).

        Parameters
        ----------
        spectrum : ndarray of complex, shape (k, ny, nx // 2 + 1)
            `numpy.fft.rfft2` of the coefficients.

        Returns
        -------
        ndarray, shape (n_compressed, my, mx)
            Noise-free data.
        """
        groups = self.groups
        if self.mixing is not None:
            spectrum = np.tensordot(self.mixing, spectrum, axes=1)
        members = groups.gather(spectrum).transpose(1, 0, 2).reshape(groups.n_groups, -1, 1)
        folded = (self.transfer @ members)[..., 0].T / groups.decimation_factor**2
        folded = folded.reshape(-1, *groups.spaxel_half_shape)
        return irfft2(folded, s=groups.spaxel_shape)

    def adjoint(self, values: np.ndarray) -> np.ndarray:
        """
        Adjoint of `predict`.

        Parameters
        ----------
        values : ndarray, shape (n_compressed, my, mx)
            Compressed channels.

        Returns
        -------
        ndarray of complex, shape (k, ny, nx // 2 + 1)
            Transform of the coefficients.
        """
        groups = self.groups
        folded = rfft2(values).reshape(values.shape[0], groups.n_groups).T[:, np.newaxis]
        members = (folded.conj() @ self.transfer).conj()
        members = members.reshape(groups.n_groups, -1, groups.decimation_factor**2)
        spectrum = groups.scatter(members.transpose(1, 0, 2))
        return spectrum if self.mixing is None else np.tensordot(self.mixing.T, spectrum, axes=1)

    def factor(self) -> np.ndarray:
        """
        Factors F of the data term's blocks ``F^H F`` where all spaxels have data.

        Returns
        -------
        ndarray of complex, shape (n_groups, n_compressed, k * d**2)
            One matrix for each group of frequencies.
        """
        d = self.groups.decimation_factor
        factor = self.transfer / d
        if self.weight_loss is not None:
            metric = np.eye(self.projection.shape[1])
            loss = self.weight_loss[..., self.weight > 0].mean(axis=-1)
            values, axes = np.linalg.eigh(metric - self.projection.T @ loss @ self.projection)
            factor = (np.sqrt(np.maximum(values, 0))[:, None] * axes.T) @ factor
        if self.mixing is None:
            return factor
        own = factor.reshape(*factor.shape[:2], -1, d**2)
        return (self.mixing.T @ own).reshape(*factor.shape[:2], -1)


@dataclass(frozen=True, eq=False)
class ImageTerm(DataTerm):
    """
    The NIRCam data term.

    Attributes
    ----------
    groups : FrequencyGroups
        The grid.
    transfer : ndarray of complex, shape (n_band, k, ny, nx // 2 + 1)
        Transfer functions from the coefficients to the images.
    data : ndarray, shape (n_band, ny, nx)
        Images less the mean spectrum's, on the cube's flux scale [MJy/sr]; zero where unknown.
    weight : ndarray, shape (n_band, ny, nx)
        Inverse variance [(MJy/sr)^-2]; zero where unknown.
    noise : ndarray, shape (n_band, ny, nx)
        Stated error of each pixel on the cube's flux scale [MJy/sr].
    noise_transfer : ndarray, shape (n_band, ny, nx // 2 + 1), or None
        Square root of the noise's power spectrum (`image_noise_transfer`); None: white noise.
    """

    groups: FrequencyGroups
    transfer: np.ndarray
    data: np.ndarray
    weight: np.ndarray
    noise: np.ndarray
    noise_transfer: np.ndarray | None = None

    @cached_property
    def seen(self) -> np.ndarray:
        """Cells at which an image has data, bool (ny, nx)."""
        return np.asarray((self.weight > 0).any(axis=0))

    def weigh(self, values: np.ndarray) -> np.ndarray:
        """Weigh images, (n_band, ny, nx)."""
        return self.weight * values

    def weighted_noise(self, rng: np.random.Generator) -> np.ndarray:
        """Draw noise and weigh it, (n_band, ny, nx)."""
        return self.weight * self.noise * correlated_noise(rng, self.noise.shape, self.noise_transfer)

    def predict(self, spectrum: np.ndarray) -> np.ndarray:
        """
        Images of a scene (paper, Eq. B.1).

        Parameters
        ----------
        spectrum : ndarray of complex, shape (k, ny, nx // 2 + 1)
            `numpy.fft.rfft2` of the coefficients.

        Returns
        -------
        ndarray, shape (n_band, ny, nx)
            Noise-free images [MJy/sr].
        """
        return irfft2(np.einsum("fkyx,kyx->fyx", self.transfer, spectrum), s=self.groups.shape)

    def adjoint(self, values: np.ndarray) -> np.ndarray:
        """
        Adjoint of `predict`.

        Parameters
        ----------
        values : ndarray, shape (n_band, ny, nx)
            Images.

        Returns
        -------
        ndarray of complex, shape (k, ny, nx // 2 + 1)
            Transform of the coefficients.
        """
        return np.einsum("fkyx,fyx->kyx", self.transfer, rfft2(values).conj()).conj()

    def chi2(self, predicted: np.ndarray) -> np.ndarray:
        """Mean squared residual of each image over its stated variance, (n_band,); NaN without weight."""
        known = self.weight > 0
        squares = known * ((self.data - predicted) / np.where(known, self.noise, 1.0)) ** 2
        count = known.sum(axis=(1, 2))
        return squares.sum(axis=(1, 2)) / np.where(count, count, np.nan)

    def power(self) -> np.ndarray:
        """
        Hermitian k x k matrices of the data term where all cells have data.

        Returns
        -------
        ndarray of complex, shape (k, k, ny, nx // 2 + 1)
            One matrix for each frequency.
        """
        weight = self.weight.max(axis=(1, 2))
        return np.einsum("f,fiyx,fjyx->ijyx", weight, self.transfer.conj(), self.transfer, optimize=True)


def compress_cube(
    groups: FrequencyGroups,
    subspace: Subspace,
    interpolation: np.ndarray,
    nirspec_otf: np.ndarray,
    *,
    weight_loss: np.ndarray | None = None,
    voxel_weight: np.ndarray | None = None,
    mixing: np.ndarray | None = None,
    tolerance: float = COMPRESSION_TOLERANCE,
) -> CubeTerm:
    """
    Build the NIRSpec data term.

    Parameters
    ----------
    groups : FrequencyGroups
        The grid, which may be larger than the data.
    subspace : Subspace
        Basis and whitened data, at the grid's lower left corner.
    interpolation : ndarray, shape (n_wave, n_nodes)
        OTF of a channel from those at the nodes; rows sum to one.
    nirspec_otf : ndarray, shape (n_nodes, ny, nx // 2 + 1)
        OTF of the IFU at the nodes, spaxel included.
    weight_loss : ndarray, shape (k, k, my, mx), optional
        Matrices by which the weights of a spaxel's coefficients are lower than one.
    voxel_weight : ndarray, shape (n_wave, my, mx), optional
        Weight of each voxel of the observation relative to its channel's.
    mixing : ndarray, shape (r, k), optional
        From the scene's coefficients to those of the subspace, if they are not the same: several cubes have
        coefficients in common.
    tolerance : float, optional
        Singular values below this share of the largest are dropped.

    Returns
    -------
    CubeTerm
        The data term.
    """
    whitened_basis = subspace.whitened_basis
    k, d2 = whitened_basis.shape[1], groups.decimation_factor**2
    rows = np.ascontiguousarray(nirspec_otf).reshape(len(nirspec_otf), -1)
    node_modes, modes = _principal(rows.view(np.float64), tolerance)
    modes = modes.view(rows.dtype).reshape(-1, *groups.half_shape)
    n_modes = len(modes)
    in_modes = interpolation @ node_modes
    channels = (whitened_basis[:, :, np.newaxis] * in_modes[:, np.newaxis, :]).reshape(len(in_modes), -1)
    shares, left = _principal(channels.T, tolerance)
    shares, left = shares.T, left.T

    otf = make_hermitian(modes * groups.sampling_phase(), groups.shape[1])
    members = groups.gather(otf).reshape(n_modes, -1)
    transfer = shares.reshape(-1, n_modes) @ members
    transfer = transfer.reshape(-1, k, groups.n_groups, d2).transpose(2, 0, 1, 3)

    my, mx = subspace.spaxels.shape
    data = np.zeros((left.shape[1], *groups.spaxel_shape))
    data[:, :my, :mx] = np.tensordot(left.T, subspace.whitened, axes=1)
    weight = np.zeros(groups.spaxel_shape)
    weight[:my, :mx] = subspace.spaxels
    full = {}
    if voxel_weight is not None:
        margins = [(0, 0), *((0, n - m) for n, m in zip(groups.spaxel_shape, (my, mx), strict=True))]
        padded = (np.pad(a, margins) for a in (voxel_weight * subspace.spaxels, subspace.whitened))
        full = dict(zip(("voxel_weight", "whitened"), padded, strict=True), channels=left)
    return CubeTerm(
        groups=groups,
        transfer=np.ascontiguousarray(transfer.reshape(groups.n_groups, -1, k * d2)),
        data=data,
        weight=weight,
        projection=whitened_basis.T @ left,
        noise=relative_noise(subspace, groups.spaxel_shape),
        noise_transfer=cube_noise_transfer(subspace, groups.spaxel_shape),
        weight_loss=None if weight_loss is None else within(weight_loss, groups.spaxel_shape, 0.0),
        mixing=mixing,
        **full,
    )


def _principal(rows, tolerance):
    """Factors of real ``rows = weights @ modes`` with orthonormal modes, weak ones dropped."""
    left, values, modes = np.linalg.svd(rows, full_matrices=False)
    kept = values > tolerance * values[0]
    return left[:, kept] * values[kept], np.ascontiguousarray(modes[kept])


def image_term(
    groups: FrequencyGroups,
    subspace: Subspace,
    interpolation: np.ndarray,
    bands: Sequence[BandImage],
    nircam_otf: Sequence[np.ndarray],
    *,
    cell_size: float | None = None,
    model_errors: Sequence[np.ndarray] | None = None,
    each_pixel: bool = False,
) -> ImageTerm:
    """
    Build the NIRCam data term.

    Parameters
    ----------
    groups : FrequencyGroups
        The grid, which may be larger than the data.
    subspace : Subspace
        Mean spectrum and basis.
    interpolation : ndarray, shape (n_wave, n_nodes)
        OTF of a channel from those at the nodes; rows sum to one.
    bands : sequence of BandImage
        Cross-calibrated images, at the grid's lower left corner. Those held out get no weight.
    nircam_otf : sequence of ndarray, shape (n_nodes, ny, nx // 2 + 1)
        OTF of each band's image at the nodes.
    cell_size : float, optional
        Side of a cell [arcsec], which tells how the cells of a drizzled image share noise; None: they do not.
    model_errors : sequence of ndarray, shape (my, mx), optional
        Error that the model of each band's image has beside the image's own [MJy/sr].
    each_pixel : bool, optional
        Weigh each pixel by its own stated error, not all by the typical one.

    Returns
    -------
    ImageTerm
        The data term.
    """
    shape = (len(bands), *groups.shape)
    transfer = np.empty((len(bands), subspace.n_components, *groups.half_shape), dtype=complex)
    data, weight, noise = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for f, (band, otf) in enumerate(zip(bands, nircam_otf, strict=True)):
        mixing = np.einsum("l,li,lr->ir", band.bandpass, subspace.basis, interpolation, optimize=True)
        transfer[f] = make_hermitian(np.tensordot(mixing, otf, axes=1), groups.shape[1])
        ny, nx = band.data.shape
        known = np.isfinite(band.data)
        mean = band.bandpass @ subspace.mean_spectrum
        data[f, :ny, :nx] = np.where(known, band.data / band.scale - mean, 0.0)
        typical = _typical_error(band)
        error = np.where(band.error > 0, band.error, typical)
        noise[f, :ny, :nx] = error / band.scale
        sigma = error if each_pixel else typical
        if model_errors is not None:
            sigma = np.hypot(sigma, model_errors[f])
        weight[f, :ny, :nx] = (known & ~np.bool_(band.held_out)) * (band.scale / sigma) ** 2
    shared = None
    if cell_size is not None:
        shared = np.stack([image_noise_transfer(band, cell_size, groups.shape) for band in bands])
    return ImageTerm(groups, transfer, data, weight, noise, shared)


def _typical_error(band):
    """Median of the positive errors of a band [MJy/sr]."""
    stated = band.error[np.isfinite(band.data) & (band.error > 0)]
    if stated.size == 0:
        raise InputError(
            f"{band.filter}: the image has no pixel with a positive error in the field; repair its ERR"
        )
    return np.median(stated)
