"""Whether a fusion can be believed, in words: measures against limits."""

from dataclasses import dataclass, field, fields
from itertools import combinations

import numpy as np

from jwst_fusion.coregistration.comparison import common, figures

from .criteria import LIMITS, STRUCTURE
from .metrics import largest_patch

__all__ = ["Measures", "Reason", "Verdict", "judge", "measure", "seam_departure"]

GREEN, AMBER, RED = "green", "amber", "red"
_ORDER = (GREEN, AMBER, RED)

#: Standard errors by which a departure has to exceed zero to count.
SIGNIFICANT = 2.0

#: The same where one band is looked at alone, of several.
ALONE = 3.0

#: Residual of the cube over its error from which a spaxel belongs to an area that does not fit.
CUBE_RESIDUAL = 1.5

#: Units of the report over those of the measures.
_FACTORS = {"": 1, "%": 100, "mas": 1000}


@dataclass(frozen=True)
class Measures:
    """
    Figures that tell of trouble; NaN where not known.

    Attributes
    ----------
    correlation : float
        Least correlation of both instruments' images of a band, see `~jwst_fusion.coregistration.comparison`.
    roll, magnification : float
        Displacement at the edge of the field that the measured roll, and the measured ratio of distances,
        make at least: less `SIGNIFICANT` standard errors [arcsec].
    shift : float
        Largest offset that is left after registration [arcsec].
    image_blur : float
        Standard deviation of the blur that the images have beyond their PSFs, at least: its variance less
        `SIGNIFICANT` standard errors [arcsec].
    blur_spread : float
        Standard deviation of the blur that one image has more or less than the others, at least [arcsec].
    change : float
        Largest significant relative difference of brightness over a patch.
    mismatch : float
        Largest misfit of an image in its own band over the one in another band of the cube.
    image_patch : float
        Largest connected area where an image does not fit [spaxels].
    compared : float
        Share of the images whose position angle, distances and blur could be compared with the cube's.
    outside : float
        Largest light that comes from outside the field, over the mean light in it.
    offset_error : float
        Largest error of a measured offset [arcsec].
    scale_departure, scale_ratio, scale_error : float
        Largest difference of a flux scale from one, largest ratio of two minus one, largest error of one.
    same_filter : float or None
        Largest ratio of the flux scales of two images of one filter, minus one, at least: less `SIGNIFICANT`
        standard errors; None if there is one image of each filter.
    cube_factor : float or None
        Largest ratio of the flux scales of two cubes minus one, at least: less `SIGNIFICANT` standard errors;
        None for a single cube.
    image_residual : float
        Largest root mean square of a band's residuals over its noise and the error of its PSF.
    image_noise : float
        Least root of a band's chi-squared, over its stated noise alone.
    cube_patch : float
        Largest connected area where the cube does not fit [spaxels].
    cube_residual, cube_channel, cube_spaxel : float
        Root of the mean squared residual over the noise in the median channel and, over the noise and the
        error of the PSF, in the worst channel and in the worst spaxel.
    cube_chi2 : float
        Reduced chi-squared of the cube.
    mean_spectrum : float
        Median relative difference of the mean spectra.
    used_ssim, held_out_ssim : float
        Least structural similarity of the bands used and held out.
    wiggle : float
        Relative amplitude in bright single-spaxel spectra.
    seam : float or None
        Largest relative difference of fused cubes where they meet, at least: less `SIGNIFICANT` standard
        errors; None for a single cube.
    unseen : float
        Share of the voxels at wavelengths that no image covers.
    prior_driven : float
        Share of voxels that are flagged as decided by the prior, or else that one instrument alone sees:
        without both, no data tell their detail.
    registered : bool or None
        Whether the offset was measured at all.
    converged : bool or None
        Whether the solver converged.
    warnings : str or None
        Warnings of the steps; empty if there were none.
    by_hand : str or None
        Parameters that are not the defaults; empty if all are.
    """

    warnings: str | None = None
    wiggle: float = float("nan")
    correlation: float = float("nan")
    roll: float = float("nan")
    magnification: float = float("nan")
    shift: float = float("nan")
    image_blur: float = float("nan")
    blur_spread: float = float("nan")
    change: float = float("nan")
    mismatch: float = float("nan")
    image_patch: float = float("nan")
    compared: float = float("nan")
    outside: float = float("nan")
    offset_error: float = float("nan")
    scale_departure: float = float("nan")
    scale_ratio: float = float("nan")
    same_filter: float | None = float("nan")
    cube_factor: float | None = float("nan")
    scale_error: float = float("nan")
    image_residual: float = float("nan")
    image_noise: float = float("nan")
    cube_residual: float = float("nan")
    cube_channel: float = float("nan")
    cube_patch: float = float("nan")
    cube_spaxel: float = float("nan")
    cube_chi2: float = float("nan")
    mean_spectrum: float = float("nan")
    used_ssim: float = float("nan")
    held_out_ssim: float = float("nan")
    seam: float | None = float("nan")
    unseen: float = float("nan")
    prior_driven: float = float("nan")
    registered: bool | None = None
    converged: bool | None = None
    by_hand: str | None = None


@dataclass(frozen=True)
class Reason:
    """
    One finding.

    Attributes
    ----------
    level : {'green', 'amber', 'red'}
        How bad it is.
    text : str
        What was found, against which limit, and if it is beyond it what it spoils and where to look.
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
        found = sum(reason.level != GREEN for reason in self.reasons)
        return {
            GREEN: f"All {len(self.reasons)} tests were passed.",
            AMBER: f"Use it with care: {found} of {len(self.reasons)} tests found a problem.",
            RED: "Do not use this fused cube until the cause of the problems below has been found.",
        }[self.level]

    @property
    def findings(self):
        """What is not green, tuple of str, the worst first."""
        return tuple(reason.text for reason in self.reasons if reason.level != GREEN)


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
        Red if any figure is beyond its second limit; amber if any is beyond its first, the images were not
        registered, or the solver did not converge; green otherwise, with all figures as reasons.
    """
    reasons, unknown = [], []
    for entry in fields(measures):
        value = getattr(measures, entry.name)
        if value is None:
            continue
        if entry.name in ("warnings", "by_hand"):
            reasons.append(_warned(value) if entry.name == "warnings" else _by_hand(value))
        elif entry.name in _YES_OR_NO:
            good, bad = _YES_OR_NO[entry.name]
            reasons.append(Reason(GREEN, good) if value else Reason(AMBER, bad))
        elif not np.isfinite(value):
            unknown.append(LIMITS[entry.name].words)
        else:
            reasons.append(_compare(value, LIMITS[entry.name]))
    reasons.sort(key=lambda reason: -_ORDER.index(reason.level))
    return Verdict(reasons[0].level if reasons else AMBER, tuple(reasons), tuple(unknown))


#: What is said of a measure that holds or does not.
_YES_OR_NO = {
    "registered": (
        "The offset between the instruments was measured.",
        "The offset between the instruments was not measured: their coordinates were used as they are. This "
        f"affects {STRUCTURE}; see Registration.",
    ),
    "converged": ("The solver converged.", "The solver did not converge: raise max_iterations."),
}


def _warned(warnings):
    """Say that the steps warned, or did not."""
    if not warnings:
        return Reason(GREEN, "The steps issued no warnings.")
    return Reason(AMBER, f"The steps issued warnings: {warnings}. See the log.")


def _by_hand(parameters):
    """Say which parameters were set; that is no fault."""
    if not parameters:
        return Reason(GREEN, "All parameters have their default values.")
    text = f"Set by hand: {parameters}. The limits of these tests were determined with the defaults."
    return Reason(GREEN, text)


def _compare(value, limit):
    """Compare one figure with its limits."""
    sign = 1 if limit.red >= limit.green else -1
    if sign * value <= sign * limit.green:
        level, bound = GREEN, limit.green
    elif sign * value <= sign * limit.red:
        level, bound = AMBER, limit.green
    else:
        level, bound = RED, limit.red
    unit = f" {limit.unit}" if limit.unit else ""
    found, allowed = (f"{_FACTORS[limit.unit] * number:.3g}{unit}" for number in (value, bound))
    relation = "at most" if sign > 0 else "at least"
    text = f"{limit.words[0].upper()}{limit.words[1:]}: {found} ({relation} {allowed})."
    if level != GREEN:
        text += f" This affects {limit.concerns}; see {limit.look}."
    return Reason(level, text)


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
    bands, diagnosis, settings = content.bands, content.diagnosis, content.settings
    used = [band for band in bands if not band.held_out]
    compared = diagnosis.compared
    radius = np.hypot(*np.ptp(np.nonzero(content.inside), axis=1)) / 2 * content.frame.cell
    flags = dict(content.flags)
    residual = content.spectral.get("relative_error", np.array([np.nan]))
    alignment = settings.get("alignment")
    return Measures(
        correlation=-_most([-each.correlation for each in compared]),
        roll=radius * np.radians(_departure(compared, "roll")),
        magnification=radius * _departure(compared, "magnification"),
        shift=_most([np.hypot(each.east, each.north) for each in compared]),
        image_blur=_image_blur(settings),
        blur_spread=np.sqrt(_spread(compared, "blur")),
        change=_most([each.change for each in compared]),
        mismatch=_most([] if diagnosis.mismatch is None else diagnosis.mismatch),
        image_patch=_most([] if diagnosis.patch is None else diagnosis.patch),
        compared=float(np.mean([np.isfinite(each.roll) for each in compared])) if compared else float("nan"),
        outside=_most([] if diagnosis.outside is None else diagnosis.outside),
        offset_error=_most([band.offset_err for band in used]),
        scale_departure=_most([abs(band.scale - 1) for band in used]),
        scale_ratio=_most([band.scale for band in used]) / -_most([-band.scale for band in used]) - 1,
        same_filter=_same_filter(used),
        cube_factor=_cube_factor(content.set_cubes) if content.set_cubes else None,
        scale_error=_most([band.scale_err for band in used]),
        image_residual=_most([] if diagnosis.misfit is None else diagnosis.misfit),
        image_noise=-_most(-np.sqrt([band.chi2 for band in used])),
        cube_residual=_typical([] if diagnosis.residual_rms is None else diagnosis.residual_rms),
        cube_channel=_most([] if diagnosis.channel_misfit is None else diagnosis.channel_misfit),
        cube_patch=_cube_patch(diagnosis.cube_misfit),
        cube_spaxel=_most([] if diagnosis.cube_misfit is None else diagnosis.cube_misfit),
        cube_chi2=float(settings.get("chi2_cube", np.nan)),
        mean_spectrum=_typical(np.abs(residual)),
        used_ssim=-_most([-band.ssim for band in used]),
        held_out_ssim=-_most([-(band.ssim if band.held_out else band.ssim_unseen) for band in bands]),
        wiggle=float("nan") if diagnosis.wiggle is None else float(diagnosis.wiggle),
        seam=_most([seam_departure(row) for row in content.set_seams]) if content.set_cubes else None,
        unseen=_unseen(diagnosis),
        prior_driven=flags.get("PRIOR_DRIVEN", content.seen_by_one),
        registered=None if alignment is None else alignment not in ("wcs", "none"),
        converged=settings.get("converged"),
        warnings=(settings.get("warnings") or "") if "n_warnings" in settings else None,
        by_hand=(settings.get("set_by_hand") or "") if "n_warnings" in settings else None,
    )


def seam_departure(seam):
    """
    Get the difference of two fused cubes where they meet that their errors do not explain.

    Parameters
    ----------
    seam : dict
        Row of ``ReportContent.set_seams``.

    Returns
    -------
    float
        Relative difference.
    """
    return max(abs(seam["fused"]) - SIGNIFICANT * seam["fused_err"], 0.0)


def _departure(compared, name):
    """Least size, after its errors, of a departure that all bands share or that one has; NaN if unknown."""
    values, errors = figures(compared, name)
    value, error = common(compared, name)
    alone = _most(np.abs(values) - ALONE * errors)
    return float(np.maximum(np.fmax(abs(value) - SIGNIFICANT * error, alone), 0.0))


def _spread(compared, name):
    """Least size, after its errors, of the departure of one band from the others; NaN if unknown."""
    values, errors = figures(compared, name)
    if not values.size:
        return float("nan")
    return _most(np.maximum(np.abs(values - np.median(values)) - ALONE * errors, 0.0))


def _image_blur(settings):
    """Blur of the images beyond their PSFs [arcsec]: an IFU that seems sharper than its model."""
    *excess, error = (settings.get(f"ifu_excess_{name}") for name in ("x", "y", "err"))
    if None in excess or error is None:
        return float("nan")
    return float(np.sqrt(max(-min(excess) - SIGNIFICANT * error, 0.0)))


def _same_filter(bands):
    """Ratio of the flux scales of two images of one filter minus one, less its error; None without two."""
    pairs = [pair for pair in combinations(bands, 2) if len({_filter(band) for band in pair}) == 1]
    if not pairs:
        return None
    return _most([_apart(*((band.scale, band.scale_err) for band in pair)) for pair in pairs])


def _cube_factor(cubes):
    """Ratio of the flux scales of two cubes of a set minus one, less its error; NaN if unknown."""
    factors = [(row["factor"], row["factor_err"]) for row in cubes if "factor" in row]
    return _most([_apart(*pair) for pair in combinations(factors, 2)])


def _apart(*scales):
    """Ratio of two scales with their errors minus one, less its error; zero if that is larger."""
    (low, low_err), (high, high_err) = sorted(scales)
    error = high / low * np.hypot(high_err / high, low_err / low)
    return max(high / low - 1 - SIGNIFICANT * error, 0.0)


def _filter(band):
    """Filter of a band: its label, without the number of one of several images."""
    return band.filter.partition("-")[0]


def _cube_patch(misfit):
    """Largest connected area of spaxels whose spectra do not fit; NaN if unknown."""
    return float("nan") if misfit is None else largest_patch(misfit, 1, CUBE_RESIDUAL)


def _unseen(diagnosis):
    """Share of the channels that are in no bandpass."""
    if diagnosis.bandpasses is None:
        return float("nan")
    seen = (diagnosis.bandpasses > 0.01 * diagnosis.bandpasses.max(axis=1, keepdims=True)).any(axis=0)
    return float(1 - seen.mean())


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
