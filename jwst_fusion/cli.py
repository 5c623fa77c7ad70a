"""The console command ``jwst-fusion``."""

import argparse
import sys

from jwst_fusion import __version__
from jwst_fusion.exceptions import FusionError

__all__ = ["main"]


def _add_simulate(commands):
    """Describe ``jwst-fusion simulate``."""
    parser = commands.add_parser(
        "simulate",
        help="simulate NIRCam images and a NIRSpec IFU cube of one scene",
        description="Simulate the stage-3 products of NIRCam and of the NIRSpec IFU for one scene, with "
        "their association and the truth.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("scene", metavar="SCENE", help="disk, titan or nebula")
    parser.add_argument("output_dir", metavar="OUTDIR", help="directory to write to")
    parser.add_argument("--seed", type=int, default=0, help="seed of all that is random")
    parser.add_argument("--name", help="product name, the scene's name if not given")
    parser.add_argument("--setup", default="G235H/F170LP", help="grating, blocking filter and range")
    parser.add_argument("--filters", nargs="+", metavar="FILTER", help="NIRCam filters, if not the setup's")
    parser.add_argument(
        "--wavelength-range", nargs=2, type=float, metavar=("LOW", "HIGH"),
        help="wavelengths of the cube [um], if not the grating's",
    )  # fmt: skip
    parser.add_argument("--n-wave", type=int, help="number of channels, if not at the grating's spacing")
    parser.add_argument("--fov", type=float, default=3.0, help="side of the IFU's field [arcsec]")
    parser.add_argument(
        "--image-field", type=float, help="side of the NIRCam exposures [arcsec], if not the scene's"
    )
    parser.add_argument("--snr", type=float, default=15.0, help="signal-to-noise ratio of a voxel")
    parser.add_argument("--image-snr", type=float, default=70.0, help="the same of a NIRCam pixel")
    parser.set_defaults(run=_simulate)


def _simulate(arguments):
    """Run ``jwst-fusion simulate``."""
    from jwst_fusion.simulation import simulate

    options = {k: v for k, v in vars(arguments).items() if k not in ("run", "command", "scene", "output_dir")}
    files = simulate(arguments.scene, arguments.output_dir, **options)
    for path in (files.association, *files.images, files.cube, files.truth, files.parameters):
        print(path)


def _build_parser():
    """Describe the command and its subcommands."""
    parser = argparse.ArgumentParser(
        prog="jwst-fusion", description="Fusion of JWST NIRCam images with NIRSpec IFU cubes."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_simulate(commands)
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
        Exit status: 0, or the error's.
    """
    arguments = _build_parser().parse_args(args)
    try:
        arguments.run(arguments)
    except FusionError as error:
        print(f"jwst-fusion: error: {error}", file=sys.stderr)
        return error.exit_status
    except OSError as error:
        print(f"jwst-fusion: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
