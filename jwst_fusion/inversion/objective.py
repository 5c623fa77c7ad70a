"""The objective of the fusion (paper, Eq. C.2): data terms and a prior."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft2, rfft2

if TYPE_CHECKING:
    from .forward import CubeTerm, ImageTerm
    from .groups import FrequencyGroups
    from .prior import Prior

__all__ = ["DataTerm", "Problem"]


class DataTerm(ABC):
    """
    A data term ``|data - H c|^2_W`` of the objective (paper, Eq. C.2).

    H is the operator `predict`, with the transpose `adjoint`; W are the weights, `weigh`. Coefficients c are
    passed as their half plane, ``rfft2(c)``.

    Attributes
    ----------
    data : ndarray, shape (n, ...)
        The data minus the contribution of the mean spectrum; zero where unknown.
    """

    data: np.ndarray

    @abstractmethod
    def predict(self, spectrum: np.ndarray) -> np.ndarray:
        """Apply H to coefficients."""

    @abstractmethod
    def adjoint(self, values: np.ndarray) -> np.ndarray:
        """Apply the transpose of H to data."""

    @abstractmethod
    def weigh(self, values: np.ndarray) -> np.ndarray:
        """Apply W to data."""

    @abstractmethod
    def weighted_noise(self, rng: np.random.Generator) -> np.ndarray:
        """Draw noise of the data and apply W to it."""

    def weighted_data(self) -> np.ndarray:
        """Apply W to the data."""
        return self.weigh(self.data)

    def normal(self, spectrum: np.ndarray) -> np.ndarray:
        """Apply the normal matrix ``H^T W H`` to coefficients."""
        return self.adjoint(self.weigh(self.predict(spectrum)))

    def energy(self, spectrum: np.ndarray) -> float:
        """Weighted sum of squared residuals of coefficients."""
        residual = self.data - self.predict(spectrum)
        return float((residual * self.weigh(residual)).sum())


@dataclass(frozen=True, eq=False)
class Problem:
    """
    The quadratic objective of the fusion (paper, Eq. C.2, with a weight for each datum).

    ``J(c) = image_factor * image_term(c) + cube_factor * cube_term(c) + prior(c)``

    Attributes
    ----------
    image_term, cube_term : ImageTerm, CubeTerm
        The data terms.
    image_factor, cube_factor : float
        Inverse of the variance of each instrument's residuals in units of its stated noise.
    prior : Prior
        The penalty of the gradients.
    """

    image_term: ImageTerm
    cube_term: CubeTerm
    image_factor: float
    cube_factor: float
    prior: Prior

    @property
    def groups(self) -> FrequencyGroups:
        """The grid, as `FrequencyGroups`."""
        return self.cube_term.groups

    @property
    def data_terms(self) -> tuple[tuple[float, DataTerm], ...]:
        """Factors and data terms: those of the cube, and those of the images."""
        return (self.cube_factor, self.cube_term), (self.image_factor, self.image_term)

    def right_hand_side(self) -> np.ndarray:
        """Right-hand side of the normal equations, shape (k, ny, nx)."""
        half_plane = sum(factor * term.adjoint(term.weighted_data()) for factor, term in self.data_terms)
        return irfft2(half_plane, s=self.groups.shape)

    def data_normal(self, coefficients: np.ndarray) -> np.ndarray:
        """Apply the normal matrix of the data terms alone to coefficients of shape (k, ny, nx)."""
        spectrum = rfft2(coefficients)
        half_plane = sum(factor * term.normal(spectrum) for factor, term in self.data_terms)
        return irfft2(half_plane, s=self.groups.shape)

    def normal(self, coefficients: np.ndarray) -> np.ndarray:
        """Apply the normal matrix to coefficients of shape (k, ny, nx)."""
        return self.data_normal(coefficients) + self.prior.apply(coefficients)

    def noise(self, rng: np.random.Generator, variances: tuple[float, float]) -> np.ndarray:
        """
        Draw the right-hand side of noise alone.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness.
        variances : tuple of float
            Variances of the images' and of the cube's noise, in units of the stated ones.

        Returns
        -------
        ndarray, shape (k, ny, nx)
            The solution with it is the error that the noise makes.
        """
        half_plane = sum(
            factor * np.sqrt(variance) * term.adjoint(term.weighted_noise(rng))
            for (factor, term), variance in zip(self.data_terms, reversed(variances), strict=True)
        )
        return irfft2(half_plane, s=self.groups.shape)

    def terms(self, coefficients: np.ndarray) -> tuple[float, float, float]:
        """
        Objective's terms at a solution.

        Parameters
        ----------
        coefficients : ndarray, shape (k, ny, nx)
            The solution.

        Returns
        -------
        images, cube, regularization : float
            Weighted sums of squares. The cube's is that of its compressed channels.
        """
        spectrum = rfft2(coefficients)
        cube, images = (factor * term.energy(spectrum) for factor, term in self.data_terms)
        return images, cube, self.prior.energy(coefficients)
