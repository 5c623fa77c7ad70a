"""Observation of a scene by the NIRSpec IFU, as a drizzled cube."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import convolve1d

from jwst_fusion.simulation.telescope import node_coefficients, wavelength_nodes

__all__ = ["SPAXEL", "CubeArrays", "CubeGrid", "add_defects", "add_noise", "observe_cube"]

SPAXEL = 0.1  # arcsec
_SLICE = 0.104  # arcsec, width of a slice and of a pixel along it
_NOISE_KERNEL = np.array([0.25, 1.0, 0.25])
_OPTIMISM = 1.4
_OUTLIER_RATE = 2e-4  # share of voxels that a cosmic ray hits


@dataclass(frozen=True)
class CubeGrid:
    """
    The cube's sky-aligned spaxels, x to the west.

    Offsets are true ones from the scene's centre [arcsec].
    """

    shape: tuple  # spaxels (ny, nx)
    east: float  # of the centre of spaxel (0, 0)
    north: float
    field_east: float  # of the centre of the IFU's field
    field_north: float
    field: float  # side of the IFU's field [arcsec]
    roll: float  # position angle of V3 [deg E of N]
    aperture_angle: float  # that of the IFU's y axis

    def aperture_offsets(self):
        """Offsets of the spaxels across and along the IFU's y axis [arcsec], each of shape (ny, nx)."""
        east = self.east - np.arange(self.shape[1])[None, :] * SPAXEL - self.field_east
        north = self.north + np.arange(self.shape[0])[:, None] * SPAXEL - self.field_north
        angle = np.radians(self.aperture_angle)
        across = east * np.cos(angle) - north * np.sin(angle)
        return across, east * np.sin(angle) + north * np.cos(angle)

    def footprint(self):
        """Spaxels whose centres the IFU saw: bool (ny, nx)."""
        across, along = self.aperture_offsets()
        return (np.abs(across) <= self.field / 2) & (np.abs(along) <= self.field / 2)

    def corners(self):
        """Sky offsets (east, north) [arcsec] of the field's corners, anticlockwise: shape (4, 2)."""
        angle = np.radians(self.aperture_angle)
        half = self.field / 2
        across, along = np.array([[half, -half], [half, half], [-half, half], [-half, -half]]).T
        east = self.field_east + across * np.cos(angle) + along * np.sin(angle)
        north = self.field_north - across * np.sin(angle) + along * np.cos(angle)
        return np.stack([east, north], axis=1)


@dataclass(frozen=True, eq=False)
class CubeArrays:
    """Arrays (n_wave, ny, nx) of the cube: surface brightness, stated error [MJy/sr], weights, flags."""

    data: np.ndarray
    error: np.ndarray
    weight: np.ndarray
    dq: np.ndarray
    noise: np.ndarray  # true noise of each channel: median over the footprint [MJy/sr]
    outliers: list  # voxels [l, y, x] hit by cosmic rays
    dead_planes: list  # without data


def _instrument_transfer(east, north, aperture_angle, stretch, blur):
    """Slice and pixel boxes along the aperture, the spaxel's box and a Gaussian, at sky frequencies."""
    sine, cosine = np.sin(np.radians(aperture_angle)), np.cos(np.radians(aperture_angle))
    across, along = east * cosine - north * sine, east * sine + north * cosine
    detector = np.sinc(stretch * _SLICE * across) * np.sinc(stretch * _SLICE * along)
    detector *= np.exp(-2 * np.pi**2 * blur**2 * (east**2 + north**2))
    return detector * np.sinc(SPAXEL * east) * np.sinc(SPAXEL * north)


def observe_cube(scene_transform, scene, telescope, cube_grid, wavelength, *, blur=0.0):
    """
    Compute the noise-free cube (n_wave, ny, nx) at the spaxels' centres [MJy/sr].

    The transform is the real FFT (k, n, n // 2 + 1) of the scene's maps; blur is the sigma of a Gaussian that
    blurs the IFU beyond its slices and pixels [arcsec].
    """
    grid = scene.grid
    cutoff = 6.62 / (wavelength[0] * 1e-6) * np.pi / 180 / 3600
    freq_x, freq_y = grid.frequencies()
    keep_x, keep_y = np.flatnonzero(freq_x <= cutoff), np.flatnonzero(np.abs(freq_y) <= cutoff)
    freq_x, freq_y = freq_x[keep_x], freq_y[keep_y]
    east, north = -freq_x[None, :], freq_y[:, None]
    step_x = (grid.east - cube_grid.east) + np.arange(cube_grid.shape[1]) * SPAXEL
    step_y = (cube_grid.north - grid.north) + np.arange(cube_grid.shape[0]) * SPAXEL
    twice = np.where(freq_x == 0, 1.0, 2.0)[:, None] / grid.size**2
    along_x = twice * np.exp(2j * np.pi * np.outer(freq_x, step_x))
    along_y = np.exp(2j * np.pi * np.outer(step_y, freq_y))
    cropped = scene_transform[:, keep_y][:, :, keep_x]
    cropped = cropped * _instrument_transfer(east, north, cube_grid.aperture_angle, telescope.stretch, blur)
    nodes = wavelength_nodes(wavelength[0], wavelength[-1])
    responses = []
    for node in nodes:
        transfer = telescope.transfer(node, east, north, cube_grid.roll)
        sampled_x = np.tensordot(cropped * transfer, along_x, 1)
        sampled = np.tensordot(along_y, sampled_x, (1, 1)).real
        responses += list(sampled.transpose(1, 0, 2).reshape(len(cropped), -1))
    channel_width = np.median(np.diff(wavelength))
    spectra = scene.evaluate_spectra(wavelength, channel_width=channel_width)
    coefficients = node_coefficients(nodes, wavelength)
    mixing = (coefficients[:, :, None] * spectra.T[:, None, :]).reshape(wavelength.size, -1)
    return (mixing @ np.array(responses)).reshape(wavelength.size, *cube_grid.shape)


def add_noise(clean, footprint, *, rng, snr, level):
    """
    Add noise that neighbouring spaxels share, as drizzled cubes have it.

    The signal-to-noise ratio is that of a voxel at the scene's typical level [MJy/sr]. Returns the cube, the
    noise's true standard deviation, both (n_wave, ny, nx), and its median in each channel [MJy/sr].
    """
    n_wave = clean.shape[0]
    from_centre = np.linspace(-1, 1, n_wave)
    base = (level / snr) * (0.9 + 0.35 * from_centre**2 + 0.04 * rng.standard_normal(n_wave))
    signal = np.clip(clean, 0, None) / level
    sigma = base[:, None, None] * np.sqrt(0.5 + 0.5 * signal)
    kernel = _NOISE_KERNEL / np.sqrt((_NOISE_KERNEL**2).sum())
    white = rng.standard_normal(clean.shape, dtype=np.float32)
    white = convolve1d(convolve1d(white, kernel, axis=1, mode="wrap"), kernel, axis=2, mode="wrap")
    noise = np.median(sigma[:, footprint], axis=1)
    return clean + sigma * white, sigma, noise


def _hits(rng, valid):
    """Choose voxels hit by cosmic rays, a third of them with a neighbour: list of (l, y, x), fraction."""
    candidates = np.flatnonzero(valid)
    chosen = rng.choice(candidates, size=rng.poisson(_OUTLIER_RATE * candidates.size), replace=False)
    hits = {}
    for voxel in np.stack(np.unravel_index(np.sort(chosen), valid.shape), axis=1).tolist():
        hits[tuple(voxel)] = 1.0
        if rng.random() < 0.35:
            axis = rng.integers(3)
            voxel[axis] += rng.choice([-1, 1])
            inside = all(0 <= i < n for i, n in zip(voxel, valid.shape, strict=True))
            if inside and valid[tuple(voxel)]:
                hits.setdefault(tuple(voxel), 0.5)
    return hits


def _valid_voxels(cube_grid, wavelength, gap, dead_planes):
    """Voxels with data: within the footprint, outside the ragged detector gap, not in a dead plane."""
    valid = np.broadcast_to(cube_grid.footprint(), (wavelength.size, *cube_grid.shape)).copy()
    if gap is not None:
        across, along = cube_grid.aperture_offsets()
        shift = 0.0013 * along / cube_grid.field + 0.0004 * np.sin(across / SPAXEL)
        column = wavelength[:, None, None]
        valid &= (column < gap[0] + shift) | (column > gap[1] + shift)
    valid[dead_planes] = False
    return valid


def add_defects(data, sigma, noise, cube_grid, wavelength, *, rng, gap):
    """
    Apply footprint, detector gap [um], dead planes, surviving outliers and optimistic errors to a cube.

    The cube and its true noise are in MJy/sr.
    """
    n_wave = wavelength.size
    number = 3 if n_wave >= 200 else 1
    dead_planes = sorted(rng.choice(np.arange(1, n_wave - 1), size=number, replace=False).tolist())
    valid = _valid_voxels(cube_grid, wavelength, gap, dead_planes)
    data = data.copy()
    hits = _hits(rng, valid)
    for voxel, fraction in hits.items():
        data[voxel] += fraction * 20.0 * rng.uniform(0.8, 1.6) * sigma[voxel]
    weight = valid * (1.0 + 0.3 * rng.random(cube_grid.shape))
    return CubeArrays(
        data=np.where(valid, data, np.nan).astype(np.float32),
        error=np.where(valid, sigma / _OPTIMISM, np.nan).astype(np.float32),
        weight=weight.astype(np.float32),
        dq=np.where(valid, 0, 513).astype(np.uint32),
        noise=noise,
        outliers=[list(map(int, voxel)) for voxel in hits],
        dead_planes=dead_planes,
    )
