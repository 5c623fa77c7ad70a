"""A small fusion problem made by the solver's own operators, without noise."""

import numpy as np
from scipy.fft import irfft2, rfft2
from scipy.ndimage import gaussian_filter

from jwst_fusion.inversion.forward import compress_cube, image_term
from jwst_fusion.inversion.groups import FrequencyGroups
from jwst_fusion.inversion.objective import Problem
from jwst_fusion.inversion.prior import Prior
from jwst_fusion.inversion.subspace import Subspace
from jwst_fusion.observation import BandImage
from jwst_fusion.optics.frequencies import make_hermitian

N_WAVE = 12
N_NODES = 4


def gaussian_otf(shape, sigma, centre=(0.0, 0.0)):
    """OTF of a Gaussian PSF that sits off the origin, so that the OTF is complex."""
    fy, fx = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])
    phase = np.exp(-2j * np.pi * (fy * centre[0] + fx * centre[1]))
    return np.exp(-2 * (np.pi * sigma) ** 2 * (fy**2 + fx**2)) * phase


class Scenario:
    """Random transfer functions, spectra and a smooth scene on a periodic grid of d x d cells per spaxel."""

    def __init__(self, d=3, spaxels=(6, 5), k=2, n_band=3, seed=1):
        rng = np.random.default_rng(seed)
        self.d, self.k = d, k
        self.shape = tuple(d * m for m in spaxels)
        self.groups = FrequencyGroups(self.shape, d)
        self.nirspec = np.stack(
            [gaussian_otf(self.shape, 1.0 + 0.1 * r, (0.3, -0.2)) for r in range(N_NODES)]
        )
        self.nircam = [
            np.stack([gaussian_otf(self.shape, 0.4 + 0.05 * r, (0.1 * f, 0.2)) for r in range(N_NODES)])
            for f in range(n_band)
        ]
        raw = rng.random((N_WAVE, N_NODES))
        self.interpolation = raw / raw.sum(axis=1, keepdims=True)
        self.sigma = rng.uniform(0.5, 2.0, N_WAVE)
        whitened_basis = np.linalg.qr(rng.normal(size=(N_WAVE, k)))[0]
        self.basis = whitened_basis * self.sigma[:, None]
        self.mean = rng.uniform(1.0, 2.0, N_WAVE)
        self.bandpass = rng.random((n_band, N_WAVE))
        self.bandpass /= self.bandpass.sum(axis=1, keepdims=True)
        noise = rng.normal(size=(k, *self.shape))
        self.coefficients = np.stack([gaussian_filter(plane, 1.2, mode="wrap") for plane in noise]) * 20
        self.cube, self.images = self.observe(self.coefficients)

    def observe(self, coefficients):
        """See a scene channel by channel, with no compression and no half-plane tricks for the cube."""
        scene = self.mean[:, None, None] + np.tensordot(self.basis, coefficients, axes=1)
        spectrum = rfft2(scene)
        ny, nx = self.shape

        def blur(otf, plane):
            return irfft2(make_hermitian(otf, nx) * plane, s=self.shape)

        phase = self.groups.sampling_phase()
        nirspec = np.tensordot(self.interpolation, self.nirspec, axes=1)
        cube = np.stack(
            [blur(h * phase, x)[:: self.d, :: self.d] for h, x in zip(nirspec, spectrum, strict=True)]
        )
        images = []
        for weights, nodes in zip(self.bandpass, self.nircam, strict=True):
            otf = np.tensordot(self.interpolation, nodes, axes=1)
            images.append(sum(w * blur(g, x) for w, g, x in zip(weights, otf, spectrum, strict=True)))
        return cube, np.stack(images)

    def problem(self, mu=1e-3, mask=None, noise=0.0, seed=0, **of_cube):
        """The objective for the data of the scenario, with so much noise [its stated size]."""
        rng = np.random.default_rng(seed)
        my, mx = self.groups.spaxel_shape
        spaxels = np.ones((my, mx), dtype=bool) if mask is None else mask
        whitened = (self.cube - self.mean[:, None, None]) / self.sigma[:, None, None]
        whitened = whitened + noise * rng.normal(size=whitened.shape)
        subspace = Subspace(
            mean_spectrum=self.mean,
            basis=self.basis,
            whitened=np.where(spaxels, whitened, 0.0),
            spaxels=spaxels,
            weights=1 / self.sigma,
            eigenvalues=np.ones(self.k),
            info_kept=1.0,
        )
        images = self.images + 0.5 * noise * rng.normal(size=self.images.shape)
        bands = [
            BandImage("F", "A", image, np.full(image.shape, 0.5), 2.0, 0.0, 0.03, 0.03, bandpass=bandpass)
            for image, bandpass in zip(images, self.bandpass, strict=True)
        ]
        return Problem(
            image_term=image_term(self.groups, subspace, self.interpolation, bands, self.nircam),
            cube_term=compress_cube(
                self.groups, subspace, self.interpolation, self.nirspec, **({"tolerance": 1e-14} | of_cube)
            ),
            image_factor=1.0,
            cube_factor=1.0,
            prior=Prior(mu * np.eye(self.k), self.shape),
        )

    def dense_solution(self, mu, mask=None):
        """Least-squares solution with explicit matrices, one column for each unknown."""
        n = self.k * np.prod(self.shape)
        zero_cube, zero_images = self.observe(np.zeros((self.k, *self.shape)))
        keep = np.ones(self.groups.spaxel_shape, dtype=bool) if mask is None else mask
        columns = []
        for unit in np.eye(n):
            coefficients = unit.reshape(self.k, *self.shape)
            cube, images = self.observe(coefficients)
            cube = ((cube - zero_cube) / self.sigma[:, None, None])[:, keep]
            gradients = [np.roll(coefficients, -1, axis) - coefficients for axis in (1, 2)]
            parts = [cube, (images - zero_images) / 0.5, *(np.sqrt(mu) * g for g in gradients)]
            columns.append(np.concatenate([part.ravel() for part in parts]))
        matrix = np.stack(columns, axis=1)
        cube = ((self.cube - zero_cube) / self.sigma[:, None, None])[:, keep]
        data = np.concatenate([cube.ravel(), ((self.images - zero_images) / 0.5).ravel(), np.zeros(2 * n)])
        return np.linalg.lstsq(matrix, data, rcond=None)[0].reshape(self.k, *self.shape)
