"""Several cubes of one scene as products of the steps, one for each cube or grating."""

from dataclasses import asdict

import numpy as np

from jwst_fusion.exceptions import InputError
from jwst_fusion.limits import check_memory

from .estimates import BASE, set_memory
from .fused import MIN_LOOK
from .observations import coregistered_model, cross_calibrated_model, observation

__all__ = [
    "calibrated_set",
    "check_fused_set",
    "check_set",
    "coregistered_set",
    "grating_name",
    "name_gratings",
    "name_of_set",
    "refuse_large_set",
    "refuse_part",
    "release_cubes",
    "rest_of_set",
    "set_observations",
    "set_tables",
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
        "give the list of all of them, or the path of one with the others beside it"
    )


def name_of_set(path, model):
    """
    Get the name that the files of a set have in common.

    Parameters
    ----------
    path : pathlib.Path
        File of one of its products.
    model : FusionModel
        That product.

    Returns
    -------
    str
        NAME of ``NAME_MEMBER_coreg.fits``.

    Raises
    ------
    InputError
        The file has another name.
    """
    member = model.meta.fusion.set_member
    name, found, _ = path.name.rpartition(f"_{member}_")
    if not found:
        raise InputError(
            f"{path.name}: one of several cubes that are fused together, whose files are found by their "
            f"names; call it NAME_{member}_{path.name.rpartition('_')[2]}"
        )
    return name


def rest_of_set(path, model):
    """
    Find the files of the other products of a set.

    Parameters
    ----------
    path : pathlib.Path
        File of one of them.
    model : FusionModel
        That product.

    Returns
    -------
    list of pathlib.Path
        Files of all products, in the order of the set, this one included.

    Raises
    ------
    InputError
        One of them is not there.
    """
    name = name_of_set(path, model)
    rest = path.name.removeprefix(f"{name}_{model.meta.fusion.set_member}_")
    paths = [
        path.with_name(f"{name}_{member}_{rest}") for member in model.meta.fusion.instance["set_members"]
    ]
    for each in paths:
        if not each.is_file():
            raise InputError(
                f"{each}: no such file; it is fused together with {path.name}: put it there, or run "
                "calwebb_fusion4 on the association"
            )
    return paths


def check_fused_set(models):
    """
    Check that fused cubes are those of different gratings of a set, of one run.

    Parameters
    ----------
    models : sequence of FusedCubeModel
        The products.

    Raises
    ------
    InputError
        They are not.
    """
    first = models[0]
    members = [model.meta.fusion.set_member for model in models]
    for model, member in zip(models, members, strict=True):
        if member is None:
            finding = "it is no product of one grating of a set"
        elif members.count(member) > 1:
            finding = f"the product of {member} is there twice"
        elif model.meta.fusion.instance.get("set_cubes") != first.meta.fusion.instance.get(
            "set_cubes"
        ) or np.shape(model.coefficients) != np.shape(first.coefficients):
            finding = f"not of the same run as {first.meta.filename}"
        else:
            continue
        raise InputError(
            f"{model.meta.filename}: {finding}; give one fused cube, or those of the gratings of one set"
        )


def check_set(models):
    """
    Check that products are those of all cubes of a set, of one run.

    Parameters
    ----------
    models : sequence of FusionModel
        The products.

    Raises
    ------
    InputError
        They are not.
    """
    first = models[0].meta.fusion.instance
    for model, member in zip(models, first["set_members"], strict=True):
        own = model.meta.fusion.instance
        if own.get("set_member") != member or any(
            own.get(name) != first.get(name) for name in ("set_members", "inputs", "parameters")
        ):
            raise InputError(
                f"{model.meta.filename}: not of the same run as {models[0].meta.filename}, with which it "
                "would be fused; run the step before again"
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
    names = _names([grating_name(model) for model in models], "-p{}")
    for model, name in zip(models, names, strict=True):
        model.set_fusion(set_member=name, set_members=list(names))
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
    names = [model.meta.fusion.set_member for model in made]
    for model in made:
        model.set_fusion(set_cubes=[dict(row) for row in table], set_size=len(made), set_members=list(names))
    return made


def release_cubes(models):
    """Forget the arrays of products whose observations have been fused; their metadata are still needed."""
    for model in models:
        for name in ("data", "err", "images", "image_errors"):
            setattr(model, name, np.zeros((1, 1, 1), np.float32))


def set_tables(observations, models, seams):
    """
    Tabulate what each cube and each image of a set constrains, and how the cubes agree where they meet.

    Parameters
    ----------
    observations : sequence of Observation
        Cubes with their images, as they were fused.
    models : sequence of CrossCalibratedModel
        Products that they were taken of.
    seams : sequence of Seam
        Where cubes meet.

    Returns
    -------
    dict
        ``set_cubes``, ``set_images`` and ``set_seams``: rows (dict) of numbers and words.
    """
    seen = [each.cube.footprint for each in observations]
    field = np.any(seen, axis=0)
    known = {row["cube"]: dict(row) for row in models[0].meta.fusion.instance["set_cubes"]}
    cubes, images = [], {}
    for each, model, own in zip(observations, models, seen, strict=True):
        name, wavelength = model.meta.fusion.cube_file, each.cube.wavelength
        cubes.append(
            known[name]
            | {
                "low": float(wavelength[0]),
                "high": float(wavelength[-1]),
                "field": float(own.sum() / field.sum()),
                "images": ", ".join(band.label for band in each.bands if not band.held_out),
            }
        )
        for band in each.bands:
            row = images.setdefault(
                band.label, {"filter": band.label, "held_out": band.held_out, "cubes": []}
            )
            looks = wavelength[band.bandpass >= MIN_LOOK * band.bandpass.max()]
            row["cubes"].append(model.meta.fusion.set_member)
            row["low"] = min(row.get("low", np.inf), float(looks[0]))
            row["high"] = max(row.get("high", 0.0), float(looks[-1]))
            d = each.grid.decimation_factor
            cells = np.isfinite(band.data[np.kron(field, np.ones((d, d), dtype=bool))])
            row["field"] = max(row.get("field", 0.0), float(cells.mean()))
    files = [model.meta.fusion.cube_file for model in models]
    rows = [asdict(seam) | {"first": files[seam.first], "second": files[seam.second]} for seam in seams]
    return {
        "set_cubes": cubes,
        "set_images": [row | {"cubes": ", ".join(row["cubes"])} for row in images.values()],
        "set_seams": rows,
    }


def store_set(model, name, tables, sources):
    """
    Write into a fused cube what it was fused with.

    Parameters
    ----------
    model : FusedCubeModel
        The product; changed.
    name : str
        Its grating.
    tables : dict
        Those of `set_tables`.
    sources : sequence of CrossCalibratedModel
        Products of the cubes that it was made of.
    """
    model.set_fusion(
        set_member=name,
        cube_file=", ".join(source.meta.fusion.cube_file for source in sources),
        seam=max((abs(row["fused"]) for row in tables["set_seams"]), default=None),
        set_size=len(tables["set_cubes"]),
        **{key: [dict(row) for row in rows] for key, rows in tables.items()},
    )


def refuse_large_set(observations, n_components, max_memory, *, whole=False):
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
    whole : bool, optional
        Whether there is also a product of all wavelengths.

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
        whole=whole,
    )
    check_memory(needed - BASE, max_memory, f"the fusion of {len(observations)} cubes")
