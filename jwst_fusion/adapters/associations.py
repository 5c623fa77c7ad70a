"""Associations made from files, and checked with or without them."""

import os
import re
import warnings
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from jwst_fusion.association import read_association
from jwst_fusion.coregistration.ranges import filter_sets
from jwst_fusion.exceptions import InputError
from jwst_fusion.optics import throughput
from jwst_fusion.ownership import MARK

from .inputs import kind_of, open_file, refusal
from .products import image_filter

__all__ = ["Member", "check_association", "make_association", "read_member", "select_members"]

#: Names of stage-3 products in the archive (JWST pipeline documentation, stage 3 file names).
PRODUCT_NAME = re.compile(
    r"jw\d{5}-[oca]\d{3,4}_[ts]\d{3,5}_(?P<instrument>nircam|nirspec)_(?P<elements>[a-z0-9-]+)_"
    r"(?P<suffix>i2d|s3d)\.fits"
)


@dataclass(frozen=True)
class Member:
    """
    Type of a file, from its header or its name.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    kind : {'cube', 'image'}
        NIRSpec IFU cube or NIRCam image.
    elements : tuple of str
        Grating and blocking filter of a cube, effective filter of an image.
    from_name : bool
        Whether only its name was read.
    """

    path: Path
    kind: str
    elements: tuple
    from_name: bool = False


def read_member(path):
    """
    Determine the type of a file from its header, or from its name if there is no file.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    Member
        What it is.

    Raises
    ------
    InputError
        It is neither a NIRSpec IFU cube nor a NIRCam image, or cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        return _from_name(path)
    with closing(open_file(path)) as model:
        kind, stated = kind_of(model), model.meta.instrument
        if kind == "cube":
            return Member(path, kind, (str(stated.grating), str(stated.filter)))
        if kind == "image":
            return Member(path, kind, image_filter(model, path.name)[:1])
        raise InputError(f"{path.name}: {refusal(model)}")


def _from_name(path):
    """Guess the type of a file from its name."""
    match = PRODUCT_NAME.fullmatch(path.name)
    if not match:
        raise InputError(
            f"{path}: no such file, and not the name of a stage-3 product of the archive, such as "
            "jw01288-o001_t011_nircam_clear-f182m_i2d.fits"
        )
    elements = [element.upper() for element in match["elements"].split("-")]
    if (match["instrument"], match["suffix"]) == ("nirspec", "s3d") and len(elements) >= 2:
        return Member(path, "cube", tuple(elements[:2]), from_name=True)
    known = [element for element in elements if element in throughput.filter_names()]
    if (match["instrument"], match["suffix"]) == ("nircam", "i2d") and known:
        narrow = [element for element in known if element in throughput.PUPIL_FILTERS]
        return Member(path, "image", ((narrow or known)[0],), from_name=True)
    raise InputError(f"{path.name}: no cube of the NIRSpec IFU and no image in a NIRCam filter by its name")


def select_members(members):
    """
    Choose the cube and the images that can be fused with it.

    Parameters
    ----------
    members : sequence of Member
        The files.

    Returns
    -------
    chosen : list of Member
        The images in ascending order of their filters' wavelengths, and the cube.
    left_out : list of tuple
        Member and reason [str] of each that is not used.

    Raises
    ------
    InputError
        Not exactly one cube, two images in one filter, or no image that goes with the cube.
    """
    cubes = [member for member in members if member.kind == "cube"]
    images = [member for member in members if member.kind == "image"]
    if len(cubes) != 1:
        names = ", ".join(member.path.name for member in cubes) or "none"
        raise InputError(
            f"{len(cubes)} NIRSpec IFU cubes among {len(members)} files ({names}), exactly 1 needed"
        )
    grating = "/".join(cubes[0].elements)
    sets = filter_sets(*cubes[0].elements)
    if not sets:
        raise InputError(f"{cubes[0].path.name}: no NIRCam filter can be fused with a cube in {grating}")
    best = max(sets, key=lambda names: sum(image.elements[0] in names for image in images))
    chosen, left_out = [], []
    for image in sorted(images, key=lambda m: throughput.pivot_wavelength(m.elements[0], "MULTIPLE")):
        name = image.elements[0]
        if name in [other.elements[0] for other in chosen]:
            raise InputError(f"{image.path.name}: a second image in {name}; keep one image for each filter")
        if name in best:
            chosen.append(image)
        elif any(name in names for names in sets):
            left_out.append((image, f"{name} can be fused with {grating}, but in a separate fusion"))
        else:
            left_out.append((image, f"{name} does not lie in the wavelengths of {grating}"))
    if not chosen:
        raise InputError(
            f"{cubes[0].path.name}: none of the images can be fused with {grating}, which takes "
            f"{', '.join(name for names in sets for name in names)}"
        )
    return [*chosen, cubes[0]], left_out


def make_association(members, product_name, folder):
    """
    Make a level-3 association.

    Parameters
    ----------
    members : sequence of Member
        The files.
    product_name : str
        Name of the product.
    folder : path-like
        Where the association will be.

    Returns
    -------
    str
        The association in JSON.
    """
    from jwst.associations.asn_from_list import asn_from_list
    from jwst.associations.lib.rules_level3_base import DMS_Level3_Base

    names = [os.path.relpath(member.path, folder) for member in members]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*contains path information")  # this package reads them
        association = asn_from_list(names, rule=DMS_Level3_Base, product_name=product_name)
        association["made_by"] = MARK
        return association.dump()[1]


def check_association(path):
    """
    Check an association without reading data, its members by their names where the files are not there.

    Parameters
    ----------
    path : str or path-like
        Association.

    Returns
    -------
    product : str
        Name of the product.
    chosen : list of Member
        Members that will be fused.
    left_out : list of tuple
        Member and reason [str] of each that is not used.

    Raises
    ------
    InputError
        It cannot be used.
    """
    product, members = read_association(path)
    return product, *select_members([read_member(member) for member in members])
