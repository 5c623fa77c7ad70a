"""``jwst-fusion associate``: an association of the files of one fusion, made or checked."""

import os
from os.path import commonprefix
from pathlib import Path

from jwst_fusion.exceptions import InputError, ParameterError
from jwst_fusion.ownership import is_plain_name

__all__ = ["add_parser", "run"]


def add_parser(commands):
    """Describe the subcommand."""
    parser = commands.add_parser(
        "associate",
        help="make the association of a fusion from files, or check one",
        description="Select the NIRCam images that can be fused with a NIRSpec IFU cube, or with several "
        "cubes of one field, and write their association. With --check, check associations and "
        "parameter files. Products of the archive that have not been fetched are judged by their names.",
        example="jwst-fusion associate -n d203-506 *_i2d.fits *_s3d.fits",
    )
    parser.add_argument("files", metavar="FILE", nargs="+",
        help="*_i2d.fits and *_s3d.fits, or files to check")  # fmt: skip
    parser.add_argument("-n", "--name", help="name of the product (default: that of the cube)")
    parser.add_argument("-o", "--output", metavar="FILE",
        help="association to write (default: NAME_asn.json)")  # fmt: skip
    parser.add_argument("--check", action="store_true",
        help="check associations (.json) and parameters (.asdf)")  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments):
    """Make or check associations, and print what was found."""
    for path in arguments.files if arguments.check else ():
        _check(path)
    if not arguments.check:
        _make(arguments)


def _make(arguments):
    """Write an association beside the cube."""
    from jwst_fusion import adapters
    from jwst_fusion.association import make_association
    from jwst_fusion.atomic import write_atomic

    for path in arguments.files:
        if not Path(path).is_file():
            raise InputError(f"{path}: no such file")
    members = [adapters.read_member(path) for path in arguments.files]
    chosen, left_out = adapters.select_members(members)
    cubes = [member for member in chosen if member.kind == "cube"]
    name = arguments.name or _name([cube.path.stem.removesuffix("_s3d") for cube in cubes])
    if not is_plain_name(name):
        raise ParameterError(f"--name {name!r} cannot begin the names of files; choose one without folders")
    if len(cubes) > 1:
        _check_sky(chosen)
    output = Path(arguments.output or f"{name}_asn.json")
    if output.suffix != ".json":
        raise ParameterError(f"{output}: strun knows an association by .json; give it another name")
    text = make_association([os.path.relpath(member.path, output.parent) for member in chosen], name)
    write_atomic(output, text.encode())
    _tell(chosen, left_out)
    print(output)


def _name(roots):
    """Name a fusion by what the names of its cubes begin with."""
    return roots[0] if len(roots) == 1 else commonprefix(roots).rpartition("_")[0] or roots[0]


def _check_sky(members):
    """Refuse cubes that do not show the same sky, or cannot be fused together for another reason."""
    from jwst_fusion import adapters
    from jwst_fusion.coregistration.coregister import CoregistrationSettings

    found = adapters.examine([str(member.path) for member in members], CoregistrationSettings())
    if found.error is not None:
        raise found.error


def _check(path):
    """Check one association or parameter file."""
    from jwst_fusion import adapters

    if str(path).endswith(".asdf"):
        from jwst_fusion.steps.parameters import check_parameters

        print(f"{path}: parameters of {check_parameters(path)}")
        return
    product, chosen, left_out = adapters.check_association(path)
    print(f"{path}: product {product}")
    _tell(chosen, left_out)


def _tell(chosen, left_out):
    """Print the members."""
    for member in chosen:
        missing = " (not here; judged by its name)" if member.from_name else ""
        print(f"  {member.kind:5}  {'/'.join(member.elements):12}  {member.path.name}{missing}")
    for member, reason in left_out:
        print(f"  left out: {member.path.name}: {reason}")
