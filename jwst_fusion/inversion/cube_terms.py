"""The data terms of several cubes as one: a sum over cubes, each with its own operator."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from .objective import DataTerm

if TYPE_CHECKING:
    from .forward import CubeTerm
    from .groups import FrequencyGroups

__all__ = ["CubeTerms"]


@dataclass(frozen=True, eq=False)
class CubeTerms(DataTerm):
    """
    Data terms of several cubes of one scene, with the interface of `CubeTerm`.

    The compressed channels of all cubes stand one after the other: H is the stack of the cubes' operators,
    and W holds theirs along its diagonal.

    Attributes
    ----------
    terms : tuple of CubeTerm
        The data term of each cube, for the same coefficients on the same grid.
    """

    terms: tuple[CubeTerm, ...]

    @property
    def groups(self) -> FrequencyGroups:
        """The grid, as `FrequencyGroups`."""
        return self.terms[0].groups

    @cached_property
    def data(self) -> np.ndarray:  # type: ignore[override]
        """Compressed data of all cubes, shape (n_compressed, my, mx)."""
        return np.concatenate([term.data for term in self.terms])

    @cached_property
    def weight(self) -> np.ndarray:
        """One where any cube has data, zero elsewhere, shape (my, mx)."""
        return np.max([term.weight for term in self.terms], axis=0)

    def _each(self, values):
        """Pair each cube's term with its part of the compressed channels."""
        ends = np.cumsum([len(term.data) for term in self.terms])
        return zip(self.terms, np.split(values, ends[:-1]), strict=True)

    def predict(self, spectrum: np.ndarray) -> np.ndarray:
        """Compressed channels of a scene, as of `CubeTerm.predict`."""
        return np.concatenate([term.predict(spectrum) for term in self.terms])

    def adjoint(self, values: np.ndarray) -> np.ndarray:
        """Adjoint of `predict`."""
        return sum(term.adjoint(part) for term, part in self._each(values))

    def weigh(self, values: np.ndarray) -> np.ndarray:
        """Weigh compressed channels, (n_compressed, my, mx)."""
        return np.concatenate([term.weigh(part) for term, part in self._each(values)])

    def weighted_noise(self, rng: np.random.Generator) -> np.ndarray:
        """Draw noise, weigh it and compress it, (n_compressed, my, mx)."""
        return np.concatenate([term.weighted_noise(rng) for term in self.terms])

    def squares(self, spectrum: np.ndarray) -> np.ndarray:
        """Squared residuals of the coefficients of all spaxels with data, (n,)."""
        return np.concatenate([term.squares(spectrum).ravel() for term in self.terms])

    def chi2(self, spectrum: np.ndarray) -> float:
        """Mean squared residual of the coefficients over their variance, over the spaxels of all cubes."""
        spaxels = [term.weight.sum() for term in self.terms]
        return float(np.average([term.chi2(spectrum) for term in self.terms], weights=spaxels))

    def factor(self) -> np.ndarray:
        """
        Factors of the blocks, as of `CubeTerm.factor`, where each cube sees all of the common field.

        A cube that sees a part of it counts by that part: the blocks are the mean over the field.

        Returns
        -------
        ndarray of complex, shape (n_groups, n_compressed, k * d**2)
            One matrix for each group of frequencies.
        """
        field = self.weight.sum()
        return np.concatenate(
            [np.sqrt(term.weight.sum() / field) * term.factor() for term in self.terms], axis=1
        )
