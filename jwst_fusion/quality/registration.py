"""What is left of the offset between two images of one field."""

import numpy as np

__all__ = ["measure_shift"]

#: Spaxels known to both below which nothing is measured, for each unknown.
FEWEST = 5


def measure_shift(sharp, blunt, decimation_factor, jacobian):
    """
    Measure a small shift between a NIRCam image at the IFU's resolution and the cube's band image.

    To first order a shifted image differs by its gradient; scale and pedestal are fitted with it. The
    result is a check of a registration, not a registration: a shift of more than half the PSF is too
    small here, but far from zero.

    Parameters
    ----------
    sharp : ndarray, shape (ny, nx)
        NIRCam image at the IFU's resolution, on cells; NaN where unknown.
    blunt : ndarray, shape (my, mx)
        Image of the cube in the same band, on spaxels; NaN where unknown.
    decimation_factor : int
        Cells per spaxel along an axis.
    jacobian : ndarray, shape (2, 2)
        Sky displacement (east, north) [arcsec] for one cell step along (x, y).

    Returns
    -------
    east, north, error, correlation : float
        Where the NIRCam image has a source less where the cube has it [arcsec], the error of either
        coordinate, and the correlation coefficient of the two images. NaN where too few spaxels are known.
    """
    d = decimation_factor
    middle = [slice((d - 1) // 2, None, d), slice(d // 2, None, d)]
    along_y, along_x = np.gradient(sharp)
    image, slope_x, slope_y = (
        np.mean([values[rows, columns] for rows in middle for columns in middle], axis=0)
        for values in (sharp, along_x, along_y)
    )
    known = np.isfinite(image) & np.isfinite(slope_x) & np.isfinite(slope_y) & np.isfinite(blunt)
    if known.sum() < 4 * FEWEST or np.ptp(image[known]) == 0 or np.ptp(blunt[known]) == 0:
        return (float("nan"),) * 4
    y = blunt[known]
    correlation = float(np.corrcoef(image[known], y)[0, 1])
    design = np.stack([image[known], slope_x[known], slope_y[known], np.ones(y.size)], axis=1)
    norms = np.linalg.norm(design, axis=0)
    if not (norms > 0).all():
        return (*(float("nan"),) * 3, correlation)
    normal = design / norms
    fit, _, rank, _ = np.linalg.lstsq(normal, y, rcond=1e-10)
    if rank < 4 or fit[0] <= 0:
        return (*(float("nan"),) * 3, correlation)
    scatter = np.var(y - normal @ fit) * y.size / max(y.size - 4, 1)
    covariance = np.linalg.inv(normal.T @ normal) * scatter
    scale = fit[0] / norms[0]
    # blunt(p) = scale * sharp(p + shift): the image has its source at + shift
    shift = jacobian @ (fit[1:3] / norms[1:3] / scale)
    cells = np.sqrt(np.diag(covariance)[1:3]) / norms[1:3] / scale
    error = float(np.sqrt((cells**2).mean() * abs(np.linalg.det(jacobian))))
    return float(shift[0]), float(shift[1]), error, correlation
