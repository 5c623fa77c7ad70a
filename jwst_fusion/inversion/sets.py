"""One inversion for several cubes and all images of a scene."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import rfft2

from jwst_fusion.coregistration.mosaic import mosaic
from jwst_fusion.exceptions import OneCubeError
from jwst_fusion.observation import Observation
from jwst_fusion.optics.transfer import transfer_functions

from .boundary import periodic_shape
from .cube_terms import CubeTerms
from .forward import ImageTerm, compress_cube, image_term
from .fuse import FusionResult, solving
from .groups import FrequencyGroups
from .joint import find_gratings, join
from .measures import dropped_variance, mean_noise, resolution
from .objective import Problem
from .psf_errors import cube_weight_loss, model_errors
from .regularization import find_prior
from .settings import FusionSettings
from .solver import solve
from .subspace import Subspace
from .tuning import LEAST_VARIANCE, LOOSER, robust_variance, solve_and_weigh
from .uncertainty import blurred, posterior

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .joint import Grating

__all__ = ["FusedGrating", "check_fusion_settings", "fuse_set"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class FusedGrating:
    """
    The fused cube of one grating of a set.

    Attributes
    ----------
    members : tuple of int
        Observations whose cubes are of this grating.
    observation : Observation
        These cubes as one on the grid, with the images that look in its wavelengths.
    result : FusionResult
        The fused cube; the coefficients are those of all gratings.
    """

    members: tuple
    observation: Observation
    result: FusionResult


def check_fusion_settings(settings: FusionSettings) -> None:
    """
    Refuse settings that are for one cube only.

    Parameters
    ----------
    settings : FusionSettings
        Settings.

    Raises
    ------
    ParameterError
        One of them is set.
    """
    for name, only in (("boundary", "free"), ("weighting", "channel"), ("leave_each_out", False)):
        if getattr(settings, name) != only:
            shown = (
                "held_out_filters = each"
                if name == "leave_each_out"
                else f"{name} = {getattr(settings, name)}"
            )
            raise OneCubeError(shown)


def fuse_set(
    observations: Sequence[Observation], settings: FusionSettings | None = None
) -> list[FusedGrating]:
    """
    Fuse several cubes and all images of a scene in one inversion.

    The scene has one set of coefficients. Each grating has its own mean spectrum and basis for them (`join`),
    and each cube its own data term: its PSF, the place of its spaxels, its noise and its mask. The objective
    is that of one cube (paper, Eq. C.2) with a sum over cubes. Each image is compared with the grating that
    covers most of its bandpass.

    Parameters
    ----------
    observations : sequence of Observation
        Cubes with their images, cross-calibrated, on one grid and one flux scale.
    settings : FusionSettings, optional
        Settings.

    Returns
    -------
    list of FusedGrating
        One for each grating.

    Raises
    ------
    FusionError
        The data cannot be fused, or a setting cannot be used.
    """
    settings = settings or FusionSettings()
    check_fusion_settings(settings)
    with solving(settings):
        return _fused(observations, settings)


def _fused(observations, settings):
    """Fuse; raises a LinAlgError if rounding errors spoil the solution."""
    grid = observations[0].grid
    gratings = find_gratings(observations, settings)
    gratings, joint = join(gratings, grid.cell_size * grid.decimation_factor, f"{len(observations)} cubes")
    log.info(
        "%s spectral components of the gratings, %d in common, keep %.2f %% of the cubes' signal",
        " + ".join(str(g.subspace.n_components) for g in gratings), joint.n_components, 100 * joint.info_kept,
    )  # fmt: skip
    seen = [_as_one(observations, grating) for grating in gratings]
    homes = _homes(seen)
    shape = periodic_shape(grid)
    groups = FrequencyGroups(shape, grid.decimation_factor)
    tuned = settings.tuning == "variance_components"
    images, cubes = [], {}
    for grating, one, home in zip(gratings, seen, homes, strict=True):
        for i, cube in _cube_subspaces(grating, observations):
            part = replace(observations[i], bands=tuple(home) if i == grating.members[0] else ())
            transfer = transfer_functions(part, shape)
            if i == grating.members[0]:
                images.append(_image_term(groups, grating, transfer, one, home, tuned))
            loss = cube_weight_loss(part, cube[0]) if tuned else None
            cubes[i] = compress_cube(
                groups, cube[0], transfer.interpolation, transfer.nirspec, weight_loss=loss, mixing=cube[1]
            )
    whole = _whole(seen, homes, gratings)
    problem = Problem(
        image_term=_stacked([term for term in images if term is not None]),
        cube_term=CubeTerms(tuple(cubes[i] for i in sorted(cubes))),
        image_factor=1.0,
        cube_factor=settings.gamma or 1.0,
        prior=find_prior(whole, joint, settings, shape),
    )
    problem, first = _with_own_variances(problem, homes, settings)
    problem, solution, history = solve_and_weigh(problem, settings, first)
    return _results(observations, gratings, seen, homes, joint, problem, solution, settings, history, cubes)


def _as_one(observations, grating):
    """Observation of all cubes of a grating as one."""
    members = [observations[i] for i in grating.members]
    if len(members) == 1:
        return members[0]
    return replace(members[0], cube=mosaic([m.cube for m in members], members[0].grid.decimation_factor))


def _homes(seen):
    """Bands of each grating that are compared with it: those of which no other covers more."""
    best: dict = {}
    for g, one in enumerate(seen):
        for band in one.bands:
            if band.label not in best or band.covered_fraction > best[band.label][1]:
                best[band.label] = g, band.covered_fraction
    return [[band for band in one.bands if best[band.label][0] == g] for g, one in enumerate(seen)]


def _cube_subspaces(grating, observations):
    """Yield each cube of a grating: its index, its own subspace, and the scene's coefficients in that."""
    pooled = grating.subspace
    if len(grating.members) == 1:
        yield grating.members[0], (pooled, grating.axes)
        return
    for i, tile in zip(grating.members, grating.tiles, strict=True):
        noise = observations[i].cube.noise
        weights = np.where(np.isfinite(noise) & (noise > 0), 1.0 / noise, 0.0)
        typical = np.where(pooled.weights > 0, 1.0 / np.where(pooled.weights > 0, pooled.weights, 1.0), 0.0)
        basis, mixing = np.linalg.qr(pooled.basis * weights[:, np.newaxis])
        ratio = (weights * typical).astype(pooled.whitened.dtype)[:, np.newaxis, np.newaxis]
        own = Subspace(
            mean_spectrum=pooled.mean_spectrum,
            basis=np.divide(basis.T, weights, out=np.zeros(basis.T.shape), where=weights > 0).T,
            whitened=pooled.whitened[:, :, tile] * ratio,
            spaxels=pooled.spaxels[:, tile],
            weights=weights,
            eigenvalues=pooled.eigenvalues,
            info_kept=pooled.info_kept,
        )
        yield i, (own, mixing @ grating.axes)


def _image_term(groups, grating, transfer, one, home, tuned):
    """Build the data term of a grating's own images; None without any."""
    if not home:
        return None
    errors = model_errors(replace(one, bands=tuple(home))) if tuned else None
    shared = [replace(b, error=b.error * _cells_per_pixel(b, one.grid) ** 0.5) for b in home]
    return image_term(
        groups,
        grating.of_scene(),
        transfer.interpolation,
        shared,
        transfer.nircam,
        cell_size=one.grid.cell_size,
        model_errors=errors,
    )


def _cells_per_pixel(band, grid):
    """Cells that share the noise of a pixel of an image: its weight is spread over them."""
    return max(band.image_pixel**2 / grid.cell_area, 1.0)


def _stacked(terms):
    """One data term of the images of all gratings."""
    names = ("transfer", "data", "weight", "noise", "noise_transfer")
    return ImageTerm(
        terms[0].groups, **{name: np.concatenate([getattr(term, name) for term in terms]) for name in names}
    )


def _with_own_variances(problem, homes, settings):
    """
    Weigh the images of each grating by the variance of their own residuals; the solution that tells it.

    A grating whose spectra are too noisy to show as many components as it has images leaves residuals in
    these, which are not to lower the weight of the other gratings' images.
    """
    if settings.tuning != "variance_components" or sum(map(bool, homes)) < 2:
        return problem, None
    solution = solve(problem, rtol=min(LOOSER * settings.rtol, 0.1), max_iterations=settings.max_iterations)
    image, first = problem.image_term, 0
    squares = image.weight * (image.data - image.predict(rfft2(solution.coefficients))) ** 2
    weight = image.weight.copy()
    for home in filter(None, homes):
        own = slice(first, first + len(home))
        known = weight[own] > 0
        if known.any():
            parameters = known.mean() * len(home) / len(weight) * solution.blocks.image_parameters
            weight[own] /= max(robust_variance(squares[own][known], parameters), LEAST_VARIANCE)
        first = own.stop
    return replace(problem, image_term=replace(image, weight=weight)), solution


def _whole(seen, homes, gratings):
    """All images on the grid, their bandpasses over the channels of all gratings one after the other."""
    sizes = [len(grating.subspace.mean_spectrum) for grating in gratings]
    begins = np.cumsum([0, *sizes])
    bands = []
    for g, home in enumerate(homes):
        for band in home:
            bandpass = np.zeros(begins[-1])
            bandpass[begins[g] : begins[g + 1]] = band.bandpass
            bands.append(replace(band, bandpass=bandpass))
    return replace(seen[0], bands=tuple(bands))


def _results(observations, gratings, seen, homes, joint, problem, solution, settings, history, cubes):
    """Cut the solution to the grid; a result for each grating."""
    grid = observations[0].grid
    ny, nx = grid.shape
    spectrum = rfft2(solution.coefficients)
    image = problem.image_term
    predicted = image.predict(spectrum)
    bands = [band for home in homes for band in home]
    shared = np.array([_cells_per_pixel(band, grid) for band in bands])
    chi2 = shared * image.chi2(predicted)
    names = [band.label for band in bands]
    means = [
        band.bandpass @ g.subspace.mean_spectrum
        for g, home in zip(gratings, homes, strict=True)
        for band in home
    ]
    predicted = predicted[:, :ny, :nx] + np.array(means)[:, np.newaxis, np.newaxis]
    errors = posterior(
        problem,
        solution,
        settings.samples,
        absolute=settings.tuning == "variance_components",
        blur=partial(blurred, beam=settings.beam, cell_size=grid.cell_size),
    )
    common = {
        "coefficients": solution.coefficients[:, :ny, :nx],
        "covariance": errors.covariance[..., :ny, :nx],
        "draws": None if errors.draws is None else errors.draws[..., :ny, :nx],
        "prior_share": errors.prior_share[:ny, :nx],
        "info_kept": joint.info_kept,
        "regularization": problem.prior.matrix,
        "gamma": problem.cube_factor / problem.image_factor,
        "settings": settings,
        "gamma_history": np.array(history),
        "objective": problem.terms(solution.coefficients),
        "iterations": solution.iterations,
        "converged": solution.converged,
    }
    fused = []
    for grating, one in zip(gratings, seen, strict=True):
        at = [names.index(band.label) for band in one.bands]
        own = _of_grating(grating, one, solution, settings, [cubes[i] for i in grating.members], spectrum)
        fused.append(
            FusedGrating(
                grating.members,
                one,
                FusionResult(**common, **own, predicted_images=predicted[at], image_chi2=chi2[at]),
            )
        )
    return fused


def _of_grating(grating: Grating, one, solution, settings, terms, spectrum):
    """Collect what differs from grating to grating."""
    kept = grating.kept()
    dropped, share = dropped_variance(kept, one.grid)
    return {
        "mean_spectrum": grating.subspace.mean_spectrum,
        "basis": grating.basis,
        "dropped_variance": dropped,
        "dropped_share": _on_cells(share, grating, one.grid.decimation_factor),
        "mean_noise": mean_noise(kept),
        "cube_chi2": CubeTerms(tuple(terms)).chi2(spectrum),
        "eigenvalues": grating.subspace.eigenvalues,
        "resolution": resolution(grating.of_scene(), solution.blocks, one, settings.beam),
    }


def _on_cells(share, grating, d):
    """Share of the dropped variance on the grid: the mean of those of the cubes that see a cell."""
    if len(grating.tiles) == 1:
        return share
    total, count = 0.0, 0
    for tile in grating.tiles:
        known = np.kron(grating.subspace.spaxels[:, tile], np.ones((d, d), dtype=bool))
        total = total + np.where(known, share[:, tile.start * d : tile.stop * d], 0.0)
        count = count + known
    return np.where(count > 0, total / np.maximum(count, 1), 1.0)
