"""``jwst-fusion simulate``: files of a scene as the pipeline would have reduced them."""

import argparse
import tempfile
from pathlib import Path

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
        "simulate",
        help="simulate NIRCam images and a NIRSpec IFU cube of one scene",
        description="Simulate the stage-3 products of NIRCam and of the NIRSpec IFU for one scene, with "
        "their association and the truth.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("scene", metavar="SCENE", help="disk, titan, nebula, or random: drawn by the seed")
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
    parser.add_argument(
        "--snr", type=float, help="signal-to-noise ratio of a voxel, if not 15 or, of random, drawn"
    )
    parser.add_argument("--image-snr", type=float, help="the same of a NIRCam pixel, if not 70 or drawn")
    parser.add_argument("--psf-scale", type=float, default=1.0, help="width of the PSFs over the nominal one")
    parser.add_argument(
        "--field-stars", type=int, default=0, metavar="N", help="stars in the images around the IFU's field"
    )
    parser.add_argument("--wavefront-seed", type=int, help="seed of the telescope's wavefronts alone")
    parser.set_defaults(run=run)


def run(arguments):
    """
    Simulate, and print the paths of the files.

    Parameters
    ----------
    arguments : argparse.Namespace
        What the user typed.
    """
    from jwst_fusion.exceptions import ParameterError
    from jwst_fusion.ownership import check_own, is_plain_name
    from jwst_fusion.simulation import simulate

    options = {k: v for k, v in vars(arguments).items() if k not in ("run", "command", "scene", "output_dir")}
    name = arguments.name or arguments.scene
    if not is_plain_name(name):
        raise ParameterError(f"--name {name!r} cannot begin the names of files; choose one without folders")
    folder = Path(arguments.output_dir)
    check_own(folder / f"{name}_asn.json", folder / f"{name}_truth.json")  # the others are known when made
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".jwst-fusion-", dir=folder) as made:
        files = simulate(arguments.scene, made, **options)
        paths = [files.association, *files.images, files.cube, files.truth, files.parameters]
        check_own(*(folder / path.name for path in paths))
        for path in paths:
            path.replace(folder / path.name)
    for path in paths:
        print(folder / path.name)
