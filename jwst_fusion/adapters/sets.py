"""Several cubes of one scene as products of the steps, one for each cube or grating."""

from dataclasses import asdict

import numpy as np

from jwst_fusion.limits import check_memory

from .estimates import BASE, set_memory
from .observations import coregistered_model, cross_calibrated_model, observation

__all__ = [
    "calibrated_set",
    "coregistered_set",
    "grating_name",
    "name_gratings",
    "refuse_large_set",
    "refuse_part",
    "release_cubes",
    "set_observations",
    "store_set",
]


def refuse_part(model):
    """
    Say what is wrong with a product that is one of a set.

    Parameters
    ----------
    model : FusionModel
        The product of one cube.

    Returns
    -------
    str or None
        The reason that it cannot be used alone; None if it can.
    """
    size = model.meta.fusion.set_size or 1
    if size < 2:
        return None
    return (
        f"{model.meta.filename}: it is one of the products of {size} cubes, which are only fused together; "
        "run calwebb_fusion4 on the association"
    )


def coregistered_set(coregistrations, inputs):
    """
    Put co-registered cubes into models.

    Parameters
    ----------
    coregistrations : sequence of Coregistration
        Cubes and images on one grid.
    inputs : Inputs
        The opened inputs.

    Returns
    -------
    list of CoregisteredModel
        One for each cube.
    """
    sources = {model.meta.filename: model for model in inputs.cubes}
    models = []
    for each in coregistrations:
        source = sources[each.name]
        model = coregistered_model(each, source)
        shift = each.observation.cube.shift
        model.set_fusion(
            cube_file=each.name, set_size=len(coregistrations), shift_y=shift[0], shift_x=shift[1],
            set_cubes=[{"offset_east": each.offset[0], "offset_north": each.offset[1], "cube": each.name}],
        )  # fmt: skip
        models.append(model)
    for model, name in zip(models, _names([grating_name(model) for model in models], "-p{}"), strict=True):
        model.set_fusion(set_member=name)
    return models


def grating_name(model):
    """
    Name a grating and its blocking filter as file names do.

    Parameters
    ----------
    model : DataModel
        Product that states them.

    Returns
    -------
    str
        Such as ``g140h-f100lp``.
    """
    stated = model.meta.instrument
    return f"{stated.grating or 'grating'}-{stated.filter or 'unknown'}".lower()


def _names(words, pattern):
    """Add numbers to words that are there more than once."""
    names = []
    for i, word in enumerate(words):
        number = words[:i].count(word) + 1
        names.append(word + pattern.format(number) if words.count(word) > 1 else word)
    return names


def name_gratings(models, gratings):
    """
    Name the fused cubes of a set.

    Parameters
    ----------
    models : sequence of CrossCalibratedModel
        Products of the cubes.
    gratings : sequence of tuple of int
        Which of them each fused cube was made of.

    Returns
    -------
    list of str
        Names, all different.
    """
    return _names([grating_name(models[members[0]]) for members in gratings], "-{}")


def set_observations(models, optics):
    """
    Take the observations out of the products of a step.

    Parameters
    ----------
    models : sequence of CoregisteredModel or CrossCalibratedModel
        The products.
    optics : Optics
        What they were seen through.

    Returns
    -------
    list of Observation
        Cubes and images.
    """
    return [observation(model, optics) for model in models]


def calibrated_set(kept, observations, fluxes, models, method):
    """
    Put cross-calibrated cubes into models.

    Parameters
    ----------
    kept : sequence of int
        Which of the cubes are left.
    observations : sequence of Observation
        These on one flux scale, their bands with bandpass and scale.
    fluxes : sequence of CubeFlux
        Their factors.
    models : sequence of CoregisteredModel
        Products of all cubes.
    method : str
        How the scales were found.

    Returns
    -------
    list of CrossCalibratedModel
        One for each cube that is left; the offsets and factors of all are in each.
    """
    table, made = [], []
    for i, seen, flux in zip(kept, observations, fluxes, strict=True):
        model = cross_calibrated_model(seen, models[i], method)
        model.data, model.err = seen.cube.data.astype(np.float32), seen.cube.error.astype(np.float32)
        model.set_table("channels", wavelength=seen.cube.wavelength, noise=seen.cube.noise)
        row = dict(models[i].meta.fusion.set_cubes.instance[0])
        table.append(
            row | {"factor": flux.factor, "factor_err": flux.error, "member": model.meta.fusion.set_member}
        )
        made.append(model)
    for model in made:
        model.set_fusion(set_cubes=table, set_size=len(made))
    return made


def release_cubes(models):
    """
    Forget the arrays of products whose observations have been fused; their metadata are still needed.

    Parameters
    ----------
    models : sequence of CrossCalibratedModel
        The products; changed.
    """
    for model in models:
        for name in ("data", "err", "images", "image_errors"):
            setattr(model, name, np.zeros((1, 1, 1), np.float32))


def store_set(model, name, seams, sources, cubes):
    """
    Write into a fused cube what it was fused with.

    Parameters
    ----------
    model : FusedCubeModel
        The product; changed.
    name : str
        Its grating.
    seams : sequence of Seam
        How the cubes and the fused cubes of the set agree where they meet.
    sources : sequence of CrossCalibratedModel
        Products of the cubes that it was made of.
    cubes : sequence of str
        File names of all cubes of the set.
    """
    rows = [
        {
            name: cubes[value] if name in ("first", "second") else float(value)
            for name, value in asdict(s).items()
        }
        for s in seams
    ]
    model.set_fusion(
        set_member=name,
        cube_file=", ".join(source.meta.fusion.cube_file for source in sources),
        set_cubes=[dict(row) for row in sources[0].meta.fusion.instance["set_cubes"]],
        set_seams=rows,
        seam=max((abs(seam.fused) for seam in seams), default=None),
        set_size=len(cubes),
    )


def refuse_large_set(observations, n_components, max_memory):
    """
    Refuse to fuse cubes together if that needs more memory than it may have.

    Parameters
    ----------
    observations : sequence of Observation
        What is to be fused.
    n_components : int
        Largest number of components of a grating.
    max_memory : float or None
        Memory that may be used [GiB]; None: 80 % of what is available.

    Raises
    ------
    LimitError
        It needs more.
    """
    needed = set_memory(
        observations[0].grid,
        [each.cube.wavelength.size for each in observations],
        len({band.label for each in observations for band in each.bands}),
        n_components,
    )
    check_memory(needed - BASE, max_memory, f"the fusion of {len(observations)} cubes")
