"""``jwst-fusion parameters``: a parameter file to edit and run."""

__all__ = ["add_parser", "run"]


def add_parser(commands):
    """Describe the subcommand."""
    parser = commands.add_parser(
        "parameters",
        help="write a parameter file to edit and run",
        description="Write the parameters of all steps into a file for strun: the defaults "
        "(calwebb_fusion4) or those of the paper's symmetric fusion (calwebb_fusion4_syfu).",
        example="jwst-fusion parameters calwebb_fusion4 --output mine.asdf",
    )
    parser.add_argument("name", metavar="NAME", nargs="?", default="calwebb_fusion4",
        help="calwebb_fusion4 or calwebb_fusion4_syfu")  # fmt: skip
    parser.add_argument("-o", "--output", metavar="FILE", help="file to write (default: NAME.asdf)")
    parser.set_defaults(run=run)


def run(arguments):
    """Write the file, and print its path."""
    from jwst_fusion.steps.parameters import write_parameters

    output = arguments.output or f"{arguments.name}.asdf"
    write_parameters(arguments.name, output)
    print(output)
