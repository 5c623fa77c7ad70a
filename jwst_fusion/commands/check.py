"""``jwst-fusion check``: what can be said of the inputs of a fusion before it is run."""

import json

__all__ = ["add_parser", "run"]


def add_parser(commands):
    """Describe the subcommand."""
    parser = commands.add_parser(
        "check",
        help="check the inputs of a fusion without running it",
        description="Read the headers of all members of an association and check types, units, coordinates, "
        "wavelengths, overlap, memory and disk space. The exit status is the one that the run would have: 0 "
        "if it can start, 1 for bad input, 64 if nothing overlaps.",
        example="jwst-fusion check NAME_asn.json --max-memory 16",
    )
    parser.add_argument("association", metavar="NAME_asn.json", help="association to be fused")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--output-dir", default=".", metavar="DIR", help="folder for the products")
    parser.add_argument("--max-memory", type=float, metavar="GIB",
        help="memory that may be used [GiB] (default: 80 %% of what is available)")  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments):
    """Look, and print what was found."""
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
