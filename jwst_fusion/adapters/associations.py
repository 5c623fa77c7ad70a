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
    Choose the cube and the images that can be fused with it.

    Returns the members, images by wavelength and the cube last, and a list of (member, reason) of those left
    out. Raises InputError unless there is one cube, and an image for it, and no filter occurs twice.
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


def check_association(path):
    """Check an association without reading data: its product, and members as `select_members` sorts them."""
    product, members = read_association(path)
    return product, *select_members([read_member(member) for member in members])
