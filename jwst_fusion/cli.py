"""The console command ``jwst-fusion``."""

import argparse
import sys
import traceback

from jwst_fusion import __version__
from jwst_fusion.commands import (
    associate,
    batch,
    check,
    cubeviz,
    extract,
    info,
    lines,
    match,
    parameters,
    psf,
    report,
    simulate,
)
from jwst_fusion.exceptions import FusionError, one_line, user_problem
from jwst_fusion.limits import check_working_folder

__all__ = ["main"]

#: Modules of the subcommands, in the order of the help. They import what is heavy when they run.
COMMANDS = (simulate, associate, match, check, batch, info, lines, extract, cubeviz, psf, report, parameters)


def _build_parser():
    """Describe the command and its subcommands."""
    parser = argparse.ArgumentParser(
        prog="jwst-fusion", description="Fusion of JWST NIRCam images with NIRSpec IFU cubes."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    for described in commands.choices.values():
        described.add_argument("--verbose", action="store_true", help="show where an error comes from")
    return parser


def main(args=None):
    """
    Run the console command.

    Parameters
    ----------
    args : list of str, optional
        Arguments; those of the process by default.

    Returns
    -------
    int
        Exit status: 0, the subcommand's, or the error's.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # names of files need not fit the terminal
    arguments = _build_parser().parse_args(args)
    verbose = vars(arguments).pop("verbose")
    try:
        check_working_folder()
        return arguments.run(arguments) or 0
    except (FusionError, OSError, MemoryError) as error:
        if verbose:
            traceback.print_exc()
        problem = user_problem(error, getattr(arguments, "output_dir", None) or arguments.command)
        print(f"jwst-fusion: error: {one_line(problem or error)}", file=sys.stderr)
        return problem.exit_status if problem else 1
    except KeyboardInterrupt:
        print("jwst-fusion: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
