"""Associations made from files, and checked with or without them."""

import os
import re
import warnings
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
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
    Choose the cubes that can be fused, and the images that can be fused with them.

    Of a single cube, these are the images of one range of its wavelengths and of one channel.

    Parameters
    ----------
    members : sequence of Member
        The files.

    Returns
    -------
    chosen : list of Member
        The images in ascending order of their filters' wavelengths, and the cubes.
    left_out : list of tuple
        Member and reason [str] of each that is not used.

    Raises
    ------
    InputError
        There is no cube, there are two images in one filter, or no image goes with a cube.
    """
    cubes = [member for member in members if member.kind == "cube"]
    images = [member for member in members if member.kind == "image"]
    if not cubes:
        raise InputError(f"0 NIRSpec IFU cubes among {len(members)} files, at least 1 needed")
    images.sort(key=lambda member: throughput.pivot_wavelength(member.elements[0], "MULTIPLE"))
    _refuse_two_images(images)
    bands = {image.elements[0] for image in images}
    sets = {cube: filter_sets(*cube.elements) for cube in cubes}
    used = [cube for cube in cubes if bands & {name for names in sets[cube] for name in names}]
    if not used:
        raise InputError(_nothing_to_fuse(cubes[0], sets[cubes[0]]))
    if len(used) == 1:
        best = max(sets[used[0]], key=lambda names: len(bands & set(names)))
    else:
        best = [name for cube in used for names in sets[cube] for name in names]
    gratings = ", ".join(dict.fromkeys("/".join(cube.elements) for cube in used))
    left_out = [
        (cube, f"none of the images lies in the wavelengths of {'/'.join(cube.elements)}")
        for cube in cubes
        if cube not in used
    ]
    for image in images:
        name = image.elements[0]
        if name not in best:
            apart = any(name in names for names in sets[used[0]])
            left_out.append((image, f"{name} can be fused with {gratings}, but in a separate fusion" if apart
                             else f"{name} does not lie in the wavelengths of {gratings}"))  # fmt: skip
    return [*(image for image in images if image.elements[0] in best), *used], left_out


def _refuse_two_images(images):
    """Refuse two images in one filter; they are in the order of their wavelengths."""
    for image, other in pairwise(images):
        if image.elements == other.elements:
            name = image.elements[0]
            raise InputError(f"{other.path.name}: a second image in {name}; keep one image for each filter")


def _nothing_to_fuse(cube, sets):
    """Say that no image goes with a cube."""
    grating = "/".join(cube.elements)
    if not sets:
        return f"{cube.path.name}: no NIRCam filter can be fused with a cube in {grating}"
    names = ", ".join(name for names in sets for name in names)
    return f"{cube.path.name}: none of the images can be fused with {grating}, which takes {names}"


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
