"""``jwst-fusion check``: what can be said of the inputs of a fusion before it is run."""

import argparse
import json

__all__ = ["add_parser", "run"]


def add_parser(commands):
    """
    Describe the subcommand.

    Parameters
    ----------
    commands : argparse._SubParsersAction
        Where to add it.
    """
    parser = commands.add_parser(
        "check",
        help="look at the inputs of a fusion without running it",
        description="Look at the headers of all members of an association: types, units, coordinates, "
        "wavelengths, overlap, memory and disk. The exit status is that of the run: 0 if it can start, 1 for "
        "bad input, 64 if nothing overlaps.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("association", metavar="NAME_asn.json", help="association to be fused")
    parser.add_argument("--json", action="store_true", help="print JSON, not a table")
    parser.add_argument("--output_dir", default=".", help="folder of the products")
    parser.add_argument("--max_memory", type=float, metavar="GIB", help="memory that may be used [GiB]")
    parser.set_defaults(run=run)


def run(arguments):
    """
    Look, and print what was found.

    Parameters
    ----------
    arguments : argparse.Namespace
        What the user typed.

    Returns
    -------
    int
        Exit status.
    """
    from jwst_fusion.adapters import examine
    from jwst_fusion.coregistration.coregister import CoregistrationSettings
    from jwst_fusion.inversion.fuse import FusionSettings

    found = examine(
        arguments.association,
        CoregistrationSettings(),
        output_dir=arguments.output_dir,
        max_memory=arguments.max_memory,
        max_components=FusionSettings().max_components,
    )
    if arguments.json:
        lines = [
            {"file": f.file, "what": f.what, "verdict": f.verdict, "cure": f.cure} for f in found.findings
        ]
        content = {"verdict": found.verdict, "memory": found.memory, "disk": found.disk, "findings": lines}
        print(json.dumps(content, indent=1))
    else:
        print(found.table())
    return 0 if found.error is None else found.error.exit_status
