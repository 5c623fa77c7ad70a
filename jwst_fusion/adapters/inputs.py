"""Inputs of a user: an association, files or models, sorted into cubes and images."""

import warnings
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from stdatamodels.exceptions import NoTypeWarning, ValidationWarning
from stdatamodels.jwst.datamodels import JwstDataModel

from jwst_fusion import datamodels
from jwst_fusion.association import product_members, read_association
from jwst_fusion.exceptions import InputError, one_line

from .products import stated_keywords

__all__ = ["Inputs", "kind_of", "open_file", "open_images", "open_inputs", "refusal"]

ADVICE = (
    "give one NIRSpec IFU cube (*_s3d.fits), or several of one scene, and one NIRCam image (*_i2d.fits) for "
    "each filter"
)


@dataclass(frozen=True, eq=False)
class Inputs:
    """The models of one fusion; a context that closes the files that were opened."""

    cubes: tuple
    images: tuple
    product: str  # name: the association's, else the cube's file name without its suffix
    association: str | None = None  # file name
    files: dict = field(default_factory=dict)  # path of each opened model's file, by the model's id

    @property
    def cube(self):
        """The first NIRSpec IFU cube, and in most cases the only one."""
        return self.cubes[0]

    def __enter__(self):
        """Enter the context."""
        return self

    def __exit__(self, *_):
        """Close the files."""
        for model in (*self.cubes, *self.images):
            if id(model) in self.files:
                model.close()


def open_inputs(source, make_path=str, on_error=None):
    """
    Open the members of a fusion, reading their headers only, and separate cubes from images.

    The source is the path of an association, an association as a dict, or files or models. Members are
    distinguished by their model and EXP_TYPE, not by the association's exptype. Raises InputError for a
    member that cannot be opened, and for members without a cube or an image. With on_error, that is called
    with the error of each member that cannot be opened, and the result is None.
    """
    product, association, members = _list_members(source, make_path)
    models, files, failed = [], {}, False
    with ExitStack() as stack:
        for member in members:
            try:
                _refuse_missing(member, association)
                model = member if isinstance(member, JwstDataModel) else open_file(member)
            except InputError as error:
                if on_error is None:
                    raise
                on_error(error)
                failed = True
                continue
            models.append(model)
            if model is not member:
                stack.enter_context(closing(model))
                files[id(model)] = Path(member)
        if failed:  # what else would be found, such as that there is no cube, may come of that
            return None
        cubes, images = _sort_members(models, association or "the input")
        stack.pop_all()
    product = product or Path(cubes[0].meta.filename or "fusion").stem.removesuffix("_s3d")
    return Inputs(tuple(cubes), tuple(images), product, association, files)


@contextmanager
def open_images(paths):
    """Open NIRCam images and close them at the end; raise InputError for a file that is none."""
    with ExitStack() as stack:
        models = []
        for path in paths:
            _refuse_missing(path, None)
            models.append(stack.enter_context(closing(open_file(path))))
            if kind_of(models[-1]) != "image":
                raise InputError(
                    f"{Path(path).name}: {_description(models[-1])} is not a NIRCam image; give "
                    "*_i2d.fits files"
                )
        yield models


def _list_members(source, make_path=str):
    """Names of product and association, if there are such, and paths or models of the members."""
    if isinstance(source, str | Path):
        path = Path(make_path(str(source)))
        if path.suffix.lower() != ".json":
            raise InputError(
                f"{path.name}: one file is not enough to fuse; {ADVICE}, in an association (*_asn.json)"
            )
        product, members = read_association(path)
        return product, path.name, members
    if isinstance(source, dict):
        product, members = product_members(source, Path("."), "the association")
        return product, None, members
    if isinstance(source, JwstDataModel):
        raise InputError(f"{_name(source)}: one model is not enough to fuse; {ADVICE}")
    return None, None, list(source)


def _sort_members(models, where):
    """Separate the cubes from the images; raise InputError if that is not what the members are."""
    cubes = [model for model in models if kind_of(model) == "cube"]
    images = [model for model in models if kind_of(model) == "image"]
    for model in models:
        if _is_product(model):
            raise InputError(f"{_name(model)}: is a product of this package and not an input; {ADVICE}")
        if kind_of(model) is None:
            raise InputError(f"{_name(model)}: {refusal(model)}")
    if not cubes:
        raise InputError(
            f"{where}: no NIRSpec IFU cube among {len(models)} members, at least 1 needed; {ADVICE}"
        )
    if not images:
        raise InputError(f"{where}: no NIRCam image among {len(models)} members, at least 1 needed; {ADVICE}")
    return cubes, images


def _refuse_missing(member, association):
    """Raise an InputError for the path of a member that is not there."""
    if isinstance(member, JwstDataModel) or Path(member).is_file():
        return
    path = Path(member)
    if association is None:
        raise InputError(f"{path}: no such file; {ADVICE}")
    raise InputError(
        f"{association}: its member {path.name} is not there ({path}); fetch it or correct the association"
    )


def open_file(path):
    """Open a member's file as a model; raise InputError if it cannot be read."""
    path = Path(path)
    try:
        with warnings.catch_warnings(), np.errstate(over="ignore"):
            for category in (NoTypeWarning, ValidationWarning):  # judged where the values are used
                warnings.filterwarnings("ignore", category=category)
            return datamodels.open_member(str(path))
    except Exception as error:  # noqa: BLE001 - astropy, asdf and stdatamodels raise all kinds for a broken file
        reason = one_line(error)
        raise InputError(
            f"{path.name}: cannot be read as a JWST product ({reason}); fetch the file again"
        ) from error


def kind_of(model):
    """Classify a product: a NIRSpec IFU cube, a NIRCam image, or neither."""
    instrument = str(model.meta.instrument.name).upper()
    exposure = str(model.meta.exposure.type).upper()
    data = getattr(model, "data", None)
    dimensions = data.ndim if data is not None else 0
    if instrument == "NIRSPEC" and exposure == "NRS_IFU" and dimensions == 3:
        return "cube"
    if instrument == "NIRCAM" and exposure == "NRC_IMAGE" and dimensions == 2:
        return "image"
    return None


def _is_product(model):
    """Check for a product of this package, which calls itself an IFU cube too."""
    return isinstance(model, datamodels.FusionModel) or "FUSMODL" in stated_keywords(model)


def _description(model):
    """Describe a model in a few words."""
    shape = getattr(getattr(model, "data", None), "shape", None)
    instrument, exposure = model.meta.instrument.name, model.meta.exposure.type
    return f"data of {instrument}, EXP_TYPE {exposure}, shape {shape},"


def refusal(model):
    """Explain why a model is no input, and what would be."""
    return f"{_description(model)} is neither a NIRSpec IFU cube nor a NIRCam image; {ADVICE}"


def _name(model):
    """File name of a model."""
    return model.meta.filename or repr(model)
