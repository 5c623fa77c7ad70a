"""Associations as this package makes and reads them: one product, whose members need not be there."""

import json
import warnings
from pathlib import Path

from jwst_fusion.exceptions import InputError, one_line
from jwst_fusion.ownership import MARK, is_plain_name, is_utf8

__all__ = ["make_association", "product_members", "read_association"]

CURE = "make one with asn_from_list"


def make_association(members, product):
    """Make a level-3 association of files and the name of their product, in JSON, by ``asn_from_list``."""
    from jwst.associations.asn_from_list import asn_from_list

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*contains path information")  # this package reads them
        association = asn_from_list([str(member) for member in members], product_name=product)
        association["made_by"] = MARK
        return association.dump()[1]


def read_association(path):
    """
    Read the product's name and the members' paths of an association.

    Raises InputError unless it has one product.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the path of an association (*_asn.json)") from None
    except (ValueError, OSError, RecursionError) as error:
        reason = one_line(error)
        raise InputError(f"{path.name}: not a readable association ({reason}); {CURE}") from None
    return product_members(content, path.parent, path.name)


def product_members(content, folder, name):
    """Find product and members in what JSON made of an association; relative paths start at a folder."""
    products = content.get("products") if isinstance(content, dict) else None
    if not isinstance(products, list) or not products or not isinstance(products[0], dict):
        raise InputError(f"{name}: not an association: it names no product; {CURE}")
    if len(products) > 1:
        raise InputError(
            f"{name}: {len(products)} products, exactly 1 needed; make an association for each fusion"
        )
    product, members = products[0].get("name"), products[0].get("members")
    if not is_plain_name(product):
        raise InputError(f"{name}: product name {product!r} cannot name a file; {CURE}")
    if not isinstance(members, list) or not all(
        isinstance(member, dict) and isinstance(member.get("expname"), str) for member in members
    ):
        raise InputError(f"{name}: its members have no expname; {CURE}")
    paths = [folder / member["expname"] for member in members]
    for path in map(str, paths):
        if "\0" in path or not is_utf8(path):
            raise InputError(f"{name}: the member {path!r} cannot name a file; {CURE}")
    return product, paths
