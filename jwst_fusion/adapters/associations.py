"""Members of associations, from files or from their names alone."""

import re
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from jwst_fusion.association import read_association
from jwst_fusion.coregistration.ranges import filter_sets
from jwst_fusion.exceptions import InputError
from jwst_fusion.optics import throughput

from .inputs import kind_of, open_file, refusal
from .products import image_filter

__all__ = ["Member", "check_association", "read_member", "select_members"]

#: Names of stage-3 products in the archive (JWST pipeline documentation, stage 3 file names).
PRODUCT_NAME = re.compile(
    r"jw\d{5}-[oca]\d{3,4}_[ts]\d{3,5}_(?P<instrument>nircam|nirspec)_(?P<elements>[a-z0-9-]+)_"
    r"(?P<suffix>i2d|s3d)\.fits"
)


@dataclass(frozen=True)
class Member:
    """A file of a fusion, by its header or its name."""

    path: Path
    kind: str  # cube or image
    elements: tuple  # grating and blocking filter of a cube, effective filter of an image
    from_name: bool = False  # only its name was read


def read_member(path):
    """
    Classify a file as cube or image by its header, or by its name if it is not there.

    Raises InputError if it is neither.
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
    """Classify a file as cube or image by its name."""
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

    Returns the members, images by wavelength and the cubes last, and a list of (member, reason) of those left
    out. Raises InputError unless there is a cube, and an image for it.
    """
    cubes = [member for member in members if member.kind == "cube"]
    images = [member for member in members if member.kind == "image"]
    if not cubes:
        raise InputError(f"0 NIRSpec IFU cubes among {len(members)} files, at least 1 needed")
    images.sort(key=lambda member: throughput.pivot_wavelength(member.elements[0], "MULTIPLE"))
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


def _nothing_to_fuse(cube, sets):
    """Say that no image goes with a cube."""
    grating = "/".join(cube.elements)
    if not sets:
        return f"{cube.path.name}: no NIRCam filter can be fused with a cube in {grating}"
    names = ", ".join(name for names in sets for name in names)
    return f"{cube.path.name}: none of the images can be fused with {grating}, which takes {names}"


def check_association(path):
    """Check an association without reading data: its product, and members as `select_members` sorts them."""
    product, members = read_association(path)
    return product, *select_members([read_member(member) for member in members])
