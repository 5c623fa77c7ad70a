"""Settings of the fusion."""

from dataclasses import dataclass

import numpy as np

from jwst_fusion.exceptions import ParameterError

__all__ = ["CHOICES", "FusionSettings"]

#: What can be chosen, by setting.
CHOICES = {
    "tuning": ("variance_components", "empirical_bayes", "manual"),
    "regularization": ("nuclear", "sobolev"),
    "boundary": ("free", "symmetric"),
    "weighting": ("channel", "voxel", "uniform"),
}

#: Largest number of draws for the errors: the scatter of the errors is then 2 %. Derived.
MOST_SAMPLES = 1000


@dataclass(frozen=True)
class FusionSettings:
    """
    Settings of the fusion.

    Attributes
    ----------
    n_components : int or None
        Dimension k of the subspace; None: from the noise level.
    max_components : int
        Largest k chosen from the noise level.
    tuning : {'variance_components', 'empirical_bayes', 'manual'}
        How the weights of the instruments and of the regularization are found: from the residuals; by
        the paper's rule, the inverse variances and ``1 / alpha_i^2`` (Appendix C); or given.
    mu : float or None
        Factor of the regularization; with uniform weighting its weight itself. None: chosen by the
        tuning.
    gamma : float or None
        Weight of NIRSpec over NIRCam, relative to their inverse variances; with uniform weighting their
        ratio itself. None: chosen by the tuning.
    regularization : {'nuclear', 'sobolev'}
        Penalty of the gradients' length, by which components change together in the cube (``nuclear``;
        Holt 2014), or of their squares (paper).
    boundary : {'free', 'symmetric'}
        What surrounds the data: an unknown scene, or their mirror image (paper).
    weighting : {'channel', 'voxel', 'uniform'}
        Weights of the data: from the noise of each channel and band; from the stated error of each voxel
        and pixel too; or the same for all [MJy/sr] (paper).
    reweightings : int
        Updates of the instruments' weights from the residuals.
    samples : int
        Draws from the posterior for the errors; 0: those of a field without masks and edges.
    rtol : float
        Tolerance of the preconditioned residual.
    max_iterations : int
        Largest number of conjugate gradient iterations of a solution.
    leave_each_out : bool
        Whether to predict each image also from all other data.
    beam : float or None
        FWHM of the Gaussian beam at which the scene is given, and its errors with it [arcsec]; None: the
        scene itself.
    """

    n_components: int | None = None
    max_components: int = 12
    tuning: str = "variance_components"
    mu: float | None = None
    gamma: float | None = None
    regularization: str = "nuclear"
    boundary: str = "free"
    weighting: str = "channel"
    reweightings: int = 2
    samples: int = 12
    rtol: float = 3e-4
    max_iterations: int = 500
    leave_each_out: bool = False
    beam: float | None = None

    def __post_init__(self):
        """Refuse values that cannot be used."""
        for name in ("mu", "gamma", "rtol", "beam"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise ParameterError(f"{name} = {value} cannot be used: a positive number is needed")
        for name, least in (
            ("n_components", 1), ("max_components", 1), ("max_iterations", 1), ("reweightings", 0),
            ("samples", 0),
        ):  # fmt: skip
            value = getattr(self, name)
            if value is None and name == "n_components":
                continue
            if not isinstance(value, int) or value < least:
                raise ParameterError(
                    f"{name} = {value} cannot be used: a whole number from {least} is needed"
                )
        if self.samples > MOST_SAMPLES:
            raise ParameterError(
                f"samples = {self.samples} cannot be used: it must be at most {MOST_SAMPLES}"
            )
        if self.rtol is None:
            raise ParameterError("rtol = None cannot be used: a positive number is needed")
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise ParameterError(f"{name} = {value!r} cannot be used: use one of {', '.join(choices)}")
        if self.beam is not None and not self.samples:
            raise ParameterError("beam needs draws for its errors, and samples = 0; leave one of them out")
        if self.tuning == "manual" and None in (self.mu, self.gamma):
            raise ParameterError("tuning = manual needs both mu and gamma; give them or leave tuning out")
        if self.weighting == "uniform" and self.tuning != "manual":
            raise ParameterError(
                f"weighting = uniform goes with tuning = manual only, not with {self.tuning}; give tuning = "
                "manual, mu and gamma"
            )
