"""The console command ``jwst-fusion``."""

import logging
import shlex
import sys
import time
import traceback
from contextlib import contextmanager

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
from jwst_fusion.commands.parser import Parser
from jwst_fusion.exceptions import FusionError, one_line, user_problem
from jwst_fusion.limits import check_working_folder

__all__ = ["main"]

log = logging.getLogger(__name__)

#: Modules of the subcommands, in the order of the help. They import what is heavy when they run.
COMMANDS = (simulate, associate, match, check, batch, info, lines, extract, cubeviz, psf, report, parameters)


def _build_parser():
    """Describe the command and its subcommands."""
    parser = Parser(
        prog="jwst-fusion",
        description="Fusion of JWST NIRCam images with NIRSpec IFU cubes. The pipeline itself runs under "
        "strun. jwst-fusion COMMAND --help describes a command.",
        example="jwst-fusion simulate disk demo --fov 1.5",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    for described in commands.choices.values():
        described.add_argument("--verbose", action="store_true", help="print more of the log")
        described.add_argument(
            "--traceback", action="store_true", help="print where in the program an error comes from"
        )
    parser.pairs.update(name for name in commands.choices if " " in name)
    return parser


@contextmanager
def _logged(verbose):
    """Print the package's log to the terminal, if asked to."""
    if not verbose:
        yield
        return
    package = logging.getLogger("jwst_fusion")
    handler, level = logging.StreamHandler(), package.level
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    package.addHandler(handler)
    package.setLevel(logging.DEBUG)
    begin = time.monotonic()
    try:
        yield
    finally:
        log.debug("%.1f s", time.monotonic() - begin)
        package.setLevel(level)
        package.removeHandler(handler)


def main(args=None):
    """Run the console command with arguments (default: the process's); return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # names of files need not fit the terminal
    arguments = _build_parser().parse_args(args)
    try:
        check_working_folder()
        with _logged(arguments.verbose):
            log.debug("jwst_fusion %s: %s", __version__, shlex.join(sys.argv[1:] if args is None else args))
            return arguments.run(arguments) or 0
    except (FusionError, OSError, MemoryError) as error:
        if arguments.traceback:
            traceback.print_exc()
        problem = user_problem(error, getattr(arguments, "output_dir", None) or arguments.command)
        print(f"jwst-fusion: error: {one_line(problem or error)}", file=sys.stderr)
        return problem.exit_status if problem else 1
    except KeyboardInterrupt:
        print("jwst-fusion: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
