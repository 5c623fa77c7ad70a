"""An observation through the package's own optics, channel by channel, and the truth."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.fft import irfft2, rfft2

from jwst_fusion.inversion.noise import correlated_noise, image_noise_transfer
from jwst_fusion.observation import BandImage, CubeData, FusionGrid, Observation
from jwst_fusion.optics.throughput import bandpass, pivot_wavelength
from jwst_fusion.optics.transfer import transfer_functions

N_WAVE = 80
PA_V3 = 25.0
OUTSIDE = 5
SETUPS = {
    3: {"limits": (1.70, 2.26), "filters": ("F182M", "F210M"), "pixel": 0.0311},
    2: {"limits": (2.87, 3.98), "filters": ("F300M", "F335M", "F360M"), "pixel": 0.063},
}


@dataclass(frozen=True, eq=False)
class Field:
    """An observation, the scene on its cells (n_wave, ny, nx), and the cells that the IFU saw."""

    observation: Observation
    scene: np.ndarray
    inside: np.ndarray


def spectra(wavelength):
    """Three spectra: a continuum, a line and a broad feature, (3, n_wave)."""
    at = (wavelength - wavelength[0]) / np.ptp(wavelength)
    return np.stack(
        [1 + 0.3 * at, np.exp(-0.5 * ((at - 0.31) / 0.012) ** 2), np.exp(-(((at - 0.7) / 0.15) ** 2))]
    )


def maps(shape, rng, slope=1.75, n=3):
    """Random maps (n, ny, nx), periodic, of unit variance, their power falling as frequency^(-2 slope)."""
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1]))
    frequency[0, 0] = np.inf
    layers = irfft2(frequency**-slope * rfft2(rng.normal(size=(n, *shape))), s=shape)
    return layers / layers.std(axis=(1, 2), keepdims=True)


def natural_scene(shape, rng, wavelength):
    """A bright continuum that varies, and two features that vary otherwise, (n_wave, ny, nx)."""
    lines = spectra(wavelength)
    return 4 * lines[0][:, None, None] + np.tensordot(lines.T, maps(shape, rng), axes=1)


def sample(plane, otf, d):
    """A scene's transform through an OTF, at the cells and at the spaxels' centres."""
    ny, nx = plane.shape[0], 2 * (plane.shape[1] - 1)
    phases = [np.exp(1j * np.pi * (d - 1) * f) for f in (np.fft.fftfreq(ny)[:, None], np.fft.rfftfreq(nx))]
    spaxels = irfft2(plane * otf * phases[0] * phases[1], s=(ny, nx))[::d, ::d]
    return irfft2(plane * otf, s=(ny, nx)), spaxels


def make_field(
    d=3, spaxels=(13, 12), *, noise=0.05, image_noise=0.01, margin=3, angle=33.0, seed=1, draw=None
):
    """
    A field of which NIRCam sees a margin more than the IFU, amid more of the same sky.

    The noises [MJy/sr] are those of a voxel and of a drizzled cell; the scene is 4 MJy/sr and varies by 1.
    ``draw(shape, rng)``, if given, makes another scene than the default one, (n_wave, ny, nx).
    """
    rng = np.random.default_rng(seed)
    setup = SETUPS[d]
    wavelength = np.linspace(*setup["limits"], N_WAVE)
    skirt = margin + OUTSIDE
    whole = tuple(d * 2 * int(np.ceil((n + 2 * skirt) / 2)) for n in spaxels)
    shape = tuple(d * (n + 2 * margin) for n in spaxels)
    sine, cosine = np.sin(np.radians(angle)), np.cos(np.radians(angle))
    inner = tuple(slice(margin, margin + n) for n in spaxels)
    grid = FusionGrid(shape, d, 0.1 / d * np.array([[-cosine, sine], [sine, cosine]]), field=inner)
    footprint = np.pad(np.ones(spaxels, dtype=bool), margin)
    nothing = np.full((N_WAVE, *footprint.shape), np.nan)
    cube = CubeData(nothing, nothing, wavelength, np.full(N_WAVE, noise), footprint, PA_V3, PA_V3 + 138.97)
    bands = [
        BandImage(
            name,
            "B",
            np.zeros(shape),
            np.full(shape, image_noise),
            pivot_wavelength(name, "B"),
            PA_V3,
            setup["pixel"],
            setup["pixel"],
            bandpass=bandpass(name, "B", wavelength)[0],
        )
        for name in setup["filters"]
    ]
    empty = Observation(grid, cube, tuple(bands))

    scene = draw(whole, rng) if draw else natural_scene(whole, rng, wavelength)
    cells = tuple(slice(d * OUTSIDE, d * OUTSIDE + n) for n in shape)
    seen = tuple(slice(OUTSIDE, OUTSIDE + n // d) for n in shape)
    transfer = transfer_functions(empty, whole)
    nirspec = np.tensordot(transfer.interpolation, transfer.nirspec, axes=1)
    spectrum = rfft2(scene)
    data = np.stack([sample(x, otf, d)[1][seen] for x, otf in zip(spectrum, nirspec, strict=True)])
    data = np.where(footprint, data + noise * rng.normal(size=data.shape), np.nan)
    filled = []
    for band, nodes in zip(bands, transfer.nircam, strict=True):
        otf = np.tensordot(transfer.interpolation, nodes, axes=1)
        image = sample(np.einsum("l,lyx->yx", band.bandpass, spectrum * otf), 1.0, d)[0][cells]
        shared = image_noise_transfer(band, grid.cell_size, shape)
        filled.append(replace(band, data=image + image_noise * correlated_noise(rng, shape, shared)))
    error = np.where(footprint, np.full(data.shape, noise), np.nan)
    observation = replace(empty, cube=replace(cube, data=data, error=error), bands=tuple(filled))
    inside = np.kron(footprint, np.ones((d, d), dtype=bool))
    return Field(observation, scene[:, *cells], inside)


def turn(field, change, jacobian):
    """The same sky on other axes: a change of the last two axes of all arrays, and its jacobian."""
    observation = field.observation
    cube, grid = observation.cube, observation.grid
    shape = change(np.empty(grid.shape)).shape
    inner = grid.field if shape == grid.shape else grid.field[::-1]
    return replace(
        observation,
        grid=replace(grid, shape=shape, field=inner, jacobian=grid.jacobian @ jacobian),
        cube=replace(
            cube, data=change(cube.data), error=change(cube.error), footprint=change(cube.footprint)
        ),
        bands=tuple(
            replace(band, data=change(band.data), error=change(band.error)) for band in observation.bands
        ),
    )


def fused_scene(result):
    """The fused cube, (n_wave, ny, nx)."""
    return result.mean_spectrum[:, None, None] + np.tensordot(result.basis, result.coefficients, axes=1)


def rms(values):
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def stated_error(result):
    """Error of the fused cube (n_wave, ny, nx), as the product has it."""
    posterior = np.einsum("li,ijyx,lj->lyx", result.basis, result.covariance, result.basis, optimize=True)
    return np.sqrt(posterior + result.dropped_variance[:, None, None] * result.dropped_share)


def prior_scene(noise, alpha):
    """Draw scenes of three components whose gradients are white, of mean square alpha^2 in the noise."""

    def draw(shape, rng):
        axes = np.linalg.qr(rng.normal(size=(N_WAVE, 3)))[0]
        power = sum(
            4 * np.sin(np.pi * f) ** 2 for f in (np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1]))
        )
        power[0, 0] = np.inf
        layers = irfft2(alpha / np.sqrt(power) * rfft2(rng.normal(size=(3, *shape))), s=shape)
        return 4 + np.tensordot(noise * axes, layers, axes=1)

    return draw
