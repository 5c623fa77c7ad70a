"""Memory and disk that a fusion needs, estimated before anything is allocated."""

import numpy as np

from jwst_fusion.limits import check_memory
from jwst_fusion.scratch import on_disk

__all__ = [
    "BASE",
    "coregistration_memory",
    "fusion_memory",
    "product_on_disk",
    "product_size",
    "refuse_too_large",
    "set_memory",
]

#: Python with the libraries of the official pipeline [bytes] (measured: 0.31 GiB).
BASE = 0.35 * 2**30

#: Bytes for each voxel of the cube (measured on fields of 6 and 17 arcsec): while it is read and its outliers
#: are found; held while it is fused; and needed to fuse it and to compute its residuals.
READ_VOXEL = 62
HELD_VOXEL = 24
WORK_VOXEL = 52

#: Bytes for each voxel of the fused cube: SCI, ERR, DQ and WMAP, four each; and some planes.
PLANES_OF_PRODUCT = 4
PRODUCT_VOXEL = 4 * PLANES_OF_PRODUCT
PLANES = 1.06

#: Compressed channels of the cube for each component.
COMPRESSED = 3

#: Draws of the errors that are held in single precision, twice for a moment.
DRAWS = 2 * 13

#: Nodes of the OTFs along wavelength, and cells that the padded grid has for each of the data's.
NODES = 40
PADDING = 1.5


def coregistration_memory(cube_shape):
    """Estimate the memory [bytes] that the co-registration of a cube (n_wave, my, mx) takes at most."""
    return BASE + READ_VOXEL * float(np.prod(cube_shape, dtype=float))


def fusion_memory(grid, n_wave, n_bands, n_components):
    """Estimate the memory [bytes] that a fusion with at most n_components takes."""
    d = grid.decimation_factor
    cells, spaxels = float(np.prod(grid.shape, dtype=float)), float(np.prod(grid.spaxel_shape, dtype=float))
    held = HELD_VOXEL * n_wave * spaxels
    solver = PADDING * (
        16 * cells / 2 * (NODES * (1 + n_bands) + n_components * n_bands)  # OTFs
        + 16 * spaxels / 2 * 2 * (n_components * d) ** 2  # blocks: of the images, and their inverses
        + 16 * spaxels / 2 * 4 * COMPRESSED * (n_components * d) ** 2  # of the cube, and their factors
        + 2 * 8 * cells * 2 * n_components**2  # the prior's matrices
        + 4 * cells * DRAWS * n_components
    )
    work = WORK_VOXEL * n_wave * spaxels
    product = 0.0 if product_on_disk(grid, n_wave) else PLANES * product_size(grid, n_wave)
    return BASE + held + max(solver, work, product)


def set_memory(grid, n_waves, n_bands, n_components, *, whole=False):
    """
    Estimate the memory [bytes] that the fusion of cubes with these numbers of wavelengths takes at most.

    The common components are assumed to be as many as those of two gratings: more than one, for each has
    spectra of its own, but fewer than all.
    """
    together = min(len(n_waves), 2) * n_components
    solver = fusion_memory(grid, 0, n_bands, together) - BASE
    held = HELD_VOXEL * sum(n_waves) * float(np.prod(grid.spaxel_shape, dtype=float))
    made = [*n_waves, sum(n_waves)] if whole else n_waves
    products = PLANES * sum(product_size(grid, n) for n in made if not product_on_disk(grid, n))
    return BASE + held + max(solver, products)  # measured on three gratings of 3 arcsec: 3.7 GiB


def refuse_too_large(observation, n_components, max_memory):
    """
    Raise a LimitError for a fusion that needs more than max_memory [GiB].

    Without max_memory the limit is 80 % of what is available.
    """
    grid, n_wave = observation.grid, observation.cube.wavelength.size
    ny, nx = ((at.stop - at.start) * grid.decimation_factor for at in grid.field)
    needed = fusion_memory(grid, n_wave, len(observation.bands), n_components) - BASE
    check_memory(needed, max_memory, f"the fusion of {n_wave} x {ny} x {nx} cells")


def product_size(grid, n_wave):
    """Compute the size of the fused cube's file [bytes], but for its tables."""
    rows, columns = grid.field
    spaxels = (rows.stop - rows.start) * (columns.stop - columns.start)
    return float(PRODUCT_VOXEL) * n_wave * spaxels * grid.decimation_factor**2


def product_on_disk(grid, n_wave):
    """Check whether the fused cube is in a file, not in memory, until it is written."""
    return on_disk(product_size(grid, n_wave) / PLANES_OF_PRODUCT)
