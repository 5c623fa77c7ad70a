"""Agreement of a fused cube with its input data, and with data held out."""

from dataclasses import dataclass

import numpy as np

from .metrics import band_scores

__all__ = ["Validation", "mean_spectra", "validate"]


@dataclass(frozen=True, eq=False)
class Validation:
    """
    Figures of merit of a fused cube (paper, Appendix E).

    Attributes
    ----------
    filters : tuple of str
        The bands.
    scales, scale_errors : tuple of float
        NIRCam image over the cube's synthetic photometry, and its error.
    held_out : tuple of bool
        Whether the fusion has not seen the band.
    scores : tuple of BandScore
        The fused cube seen through each band against the image.
    unseen : tuple of BandScore, or None
        The same for each band as predicted from all other data.
    cube_chi2 : float
        Mean squared residual of the cube over its variance.
    cube_mean, fused_mean, relative_error : ndarray, shape (n_wave,)
        Mean spectra of the cube and of the fused cube at its resolution, as `mean_spectra` gives them.
    """

    filters: tuple
    scales: tuple
    scale_errors: tuple
    held_out: tuple
    scores: tuple
    unseen: tuple | None
    cube_chi2: float
    cube_mean: np.ndarray
    fused_mean: np.ndarray
    relative_error: np.ndarray

    def summary(self):
        """
        Reduce to what stands in the header.

        Returns
        -------
        dict
            Entries of ``meta.fusion``; NaN where there is nothing to tell.
        """
        used = [score for score, out in zip(self.scores, self.held_out, strict=True) if not out]
        unseen = self.unseen or [s for s, out in zip(self.scores, self.held_out, strict=True) if out]
        return {
            "psnr_min": min(score.psnr for score in used),
            "ssim_min": min(score.ssim for score in used),
            "psnr_unseen": min((score.psnr for score in unseen), default=float("nan")),
            "ssim_unseen": min((score.ssim for score in unseen), default=float("nan")),
            "held_out": ", ".join(self._held_out_names()) or "none",
            "spectrum_error": _median(self.relative_error),
            "chi2_images": float(np.mean([score.chi2 for score in used])),
            "chi2_cube": self.cube_chi2,
        }

    def _held_out_names(self):
        """Name the filters that the fusion has not seen; ``each`` if all were left out in turn."""
        if self.unseen:
            return ["each"]
        return [name for name, out in zip(self.filters, self.held_out, strict=True) if out]

    def table(self):
        """
        Write all figures as one table.

        Returns
        -------
        str
            The table, a line for each band, and the mean spectrum below.
        """
        lines = [
            "Fused cube against its input:",
            f"{'band':6} {'':8} {'scale':>7} {'error':>7} {'PSNR [dB]':>9} {'SSIM':>7} {'chi2':>9}"
            + (f" {'unseen: PSNR':>13} {'SSIM':>7}" if self.unseen else ""),
        ]
        for f, name in enumerate(self.filters):
            score = self.scores[f]
            line = (
                f"{name:6} {'held out' if self.held_out[f] else '':8} {self.scales[f]:7.4f} "
                f"{self.scale_errors[f]:7.4f} {score.psnr:9.2f} {score.ssim:7.4f} {score.chi2:9.3g}"
            )
            if self.unseen:
                line += f" {self.unseen[f].psnr:13.2f} {self.unseen[f].ssim:7.4f}"
            lines.append(line)
        worst = float(np.nanmax(np.abs(self.relative_error), initial=0.0))
        lines.append(
            f"cube: chi2 {self.cube_chi2:.3g}; mean spectrum: median error "
            f"{100 * _median(self.relative_error):.3f} %, largest {100 * worst:.2f} %"
        )
        return "\n".join(lines)


def validate(observation, result, seen):
    """
    Compare a fused cube with the images and the cube.

    Parameters
    ----------
    observation : Observation
        What was fused.
    result : FusionResult
        The fused cube.
    seen : ndarray, shape (n_wave, my, mx)
        The fused cube through the IFU, as `~jwst_fusion.inversion.fuse.seen_by_ifu` gives it.

    Returns
    -------
    Validation
        The figures of merit.
    """
    bands = observation.bands
    unseen = result.unseen_images
    box = (slice(None), *observation.grid.field)
    cube_mean, fused_mean, relative_error = mean_spectra(observation.cube.data[box], seen[box])
    return Validation(
        filters=tuple(band.label for band in bands),
        scales=tuple(band.scale for band in bands),
        scale_errors=tuple(band.scale_err for band in bands),
        held_out=tuple(band.held_out for band in bands),
        scores=band_scores(observation, result.predicted_images),
        unseen=None if unseen is None else band_scores(observation, unseen),
        cube_chi2=float(result.cube_chi2),
        cube_mean=cube_mean,
        fused_mean=fused_mean,
        relative_error=relative_error,
    )


def mean_spectra(cube, seen):
    """
    Mean spectra of the cube and of the fused cube at its resolution (paper, Appendix E.2).

    Compared like with like: light that the IFU's PSF carries out of the field is missing in both.

    Parameters
    ----------
    cube, seen : ndarray, shape (n_wave, my, mx)
        The cube, NaN where unknown, and the fused cube through the IFU.

    Returns
    -------
    cube_mean, fused_mean, relative_error : ndarray, shape (n_wave,)
        Means over the voxels known in both, and their ratio minus one; NaN where there are none.
    """
    known = np.isfinite(cube) & np.isfinite(seen)
    count = known.sum(axis=(1, 2))
    count = np.where(count > 0, count, np.nan)
    cube_mean, fused_mean = (
        np.where(known, values, 0).sum(axis=(1, 2), dtype=np.float64) / count for values in (cube, seen)
    )
    relative = np.divide(fused_mean, cube_mean, out=np.full(count.size, np.nan), where=cube_mean != 0) - 1
    return cube_mean, fused_mean, relative


def _median(relative_error):
    """Median of the absolute values; NaN if there are none."""
    known = np.abs(relative_error[np.isfinite(relative_error)])
    return float(np.median(known)) if known.size else float("nan")
