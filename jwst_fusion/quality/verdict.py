"""Whether a fusion can be trusted, in words: measures against limits."""

from dataclasses import dataclass, field, fields

import numpy as np

__all__ = ["LIMITS", "Measures", "Reason", "Verdict", "judge", "measure"]

GREEN, AMBER, RED = "green", "amber", "red"
_ORDER = (GREEN, AMBER, RED)

#: For each measure: the value up to which it is green and the one beyond which it is red, the words for
#: what is wrong, and its unit with the factor to it. Descending limits: more is better.
LIMITS = {
    "shift": (0.015, 0.04, "offset left between NIRCam and NIRSpec", "mas", 1e3),
    "correlation": (0.9, 0.6, "correlation of NIRCam's and NIRSpec's images in a band", "", 1),
    "offset_error": (0.01, 0.05, "error of the measured offset", "mas", 1e3),
    "scale_departure": (0.25, 0.5, "departure of a band's flux scale from one", "%", 100),
    "scale_error": (0.03, 0.1, "error of a band's flux scale", "%", 100),
    "image_residual": (2.0, 4.0, "residuals of a NIRCam image over its noise", "", 1),
    "cube_residual": (1.5, 3.0, "residuals of the NIRSpec cube over its noise", "", 1),
    "mean_spectrum": (0.03, 0.1, "typical departure of the mean spectrum from the cube's", "%", 100),
    "used_ssim": (0.9, 0.7, "structural similarity of a band that was used", "", 1),
    "held_out_ssim": (0.85, 0.6, "structural similarity of a band that was held out", "", 1),
    "wiggle": (0.05, 0.15, "wiggles in the cube's single-spaxel spectra", "%", 100),
    "prior_driven": (0.2, 0.5, "share of voxels whose detail the prior decides", "%", 100),
}


@dataclass(frozen=True)
class Measures:
    """
    Figures that tell of trouble; NaN where not known.

    Attributes
    ----------
    shift : float
        Largest offset that is left after registration [arcsec].
    correlation : float
        Least correlation of both instruments' images of a band.
    offset_error : float
        Largest error of a measured offset [arcsec].
    registered : bool or None
        Whether the offset was measured at all.
    scale_departure, scale_error : float
        Largest difference of a flux scale from one, largest error of one.
    image_residual, cube_residual : float
        Largest root of a band's chi-squared, and the cube's typical one.
    mean_spectrum : float
        Median relative difference of the mean spectra.
    used_ssim, held_out_ssim : float
        Least structural similarity of the bands used and held out.
    wiggle : float
        Relative amplitude in bright single-spaxel spectra.
    prior_driven : float
        Share of voxels that are flagged as decided by the prior, or else that one instrument alone sees:
        without both, no data tell their detail.
    converged : bool or None
        Whether the solver converged.
    """

    shift: float = float("nan")
    correlation: float = float("nan")
    offset_error: float = float("nan")
    registered: bool | None = None
    scale_departure: float = float("nan")
    scale_error: float = float("nan")
    image_residual: float = float("nan")
    cube_residual: float = float("nan")
    mean_spectrum: float = float("nan")
    used_ssim: float = float("nan")
    held_out_ssim: float = float("nan")
    wiggle: float = float("nan")
    prior_driven: float = float("nan")
    converged: bool | None = None


@dataclass(frozen=True)
class Reason:
    """
    One finding.

    Attributes
    ----------
    level : {'green', 'amber', 'red'}
        How bad it is.
    text : str
        What was found, against which limit.
    """

    level: str
    text: str


@dataclass(frozen=True)
class Verdict:
    """
    The judgement of a fusion.

    Attributes
    ----------
    level : {'green', 'amber', 'red'}
        That of the worst reason.
    reasons : tuple of Reason
        All findings, the worst first.
    unknown : tuple of str
        What could not be judged.
    """

    level: str
    reasons: tuple = ()
    unknown: tuple = field(default=())

    @property
    def sentence(self):
        """The verdict in one sentence."""
        return {
            GREEN: "The fusion can be trusted: nothing speaks against it.",
            AMBER: "The fusion can be used with care: see what is said below.",
            RED: "Do not use this fusion before the cause of what is said below is found.",
        }[self.level]


def judge(measures):
    """
    Hold measures against `LIMITS`.

    Parameters
    ----------
    measures : Measures
        The figures.

    Returns
    -------
    Verdict
        Red if any figure is beyond its second limit, or the images were not registered; amber if any is
        beyond its first, or the solver did not converge; green otherwise, with all figures as reasons.
    """
    reasons, unknown = [], []
    for entry in fields(measures):
        value = getattr(measures, entry.name)
        if entry.name == "converged":
            if value is not None:
                text = (
                    "The solver converged." if value else "The solver did not converge: raise max_iterations."
                )
                reasons.append(Reason(GREEN if value else AMBER, text))
        elif entry.name == "registered":
            if value is False:
                text = "The offset between the instruments was not measured: their coordinates were believed."
                reasons.append(Reason(AMBER, text))
        elif not np.isfinite(value):
            unknown.append(LIMITS[entry.name][2])
        else:
            reasons.append(_compare(value, *LIMITS[entry.name]))
    reasons.sort(key=lambda reason: -_ORDER.index(reason.level))
    return Verdict(reasons[0].level if reasons else AMBER, tuple(reasons), tuple(unknown))


def _compare(value, good, bad, words, unit, factor):
    """Compare one figure with its limits."""
    sign = 1 if bad > good else -1
    level = GREEN if sign * value <= sign * good else AMBER if sign * value <= sign * bad else RED
    limit = good if level == GREEN else good if level == AMBER else bad
    relation = "limit" if level != GREEN else "within"
    numbers = [f"{factor * number:.3g}{' ' + unit if unit else ''}" for number in (value, limit)]
    return Reason(level, f"{words[0].upper()}{words[1:]}: {numbers[0]} ({relation} {numbers[1]}).")


def measure(content):
    """
    Take the figures out of a report's content.

    Parameters
    ----------
    content : ReportContent
        The content.

    Returns
    -------
    Measures
        The figures, NaN where the product does not hold them.
    """
    bands, diagnosis = content.bands, content.diagnosis
    used = [band for band in bands if not band.held_out]
    shifts = np.zeros((0, 4)) if diagnosis.shifts is None else np.asarray(diagnosis.shifts, dtype=float)
    flags = dict(content.flags)
    residual = content.spectral.get("relative_error", np.array([np.nan]))
    alignment = content.settings.get("alignment")
    return Measures(
        shift=_most(np.hypot(shifts[:, 0], shifts[:, 1])),
        correlation=-_most(-shifts[:, 3]),
        offset_error=_most([band.offset_err for band in used]),
        registered=None if alignment is None else alignment not in ("wcs", "none"),
        scale_departure=_most([abs(band.scale - 1) for band in used]),
        scale_error=_most([band.scale_err for band in used]),
        image_residual=_most(np.sqrt([band.chi2 for band in used])),
        cube_residual=_typical([] if diagnosis.residual_rms is None else diagnosis.residual_rms),
        mean_spectrum=_typical(np.abs(residual)),
        used_ssim=-_most([-band.ssim for band in used]),
        held_out_ssim=-_most([-(band.ssim if band.held_out else band.ssim_unseen) for band in bands]),
        wiggle=float("nan") if diagnosis.wiggle is None else float(diagnosis.wiggle),
        prior_driven=flags.get("PRIOR_DRIVEN", content.seen_by_one),
        converged=content.settings.get("converged"),
    )


def _most(values):
    """Largest finite value; NaN if there is none."""
    values = np.asarray(values, dtype=float)
    known = values[np.isfinite(values)]
    return float(known.max()) if known.size else float("nan")


def _typical(values):
    """Median of the finite values; NaN if there are none."""
    values = np.asarray(values, dtype=float)
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")
