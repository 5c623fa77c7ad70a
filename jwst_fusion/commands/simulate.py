"""``jwst-fusion simulate``: files of a scene as the pipeline would have reduced them."""

import tempfile
from pathlib import Path

from jwst_fusion.exceptions import ParameterError
from jwst_fusion.ownership import check_own, is_plain_name

__all__ = ["add_parser", "run"]

#: What the console command puts among the arguments of all subcommands.
COMMON = ("command", "verbose", "traceback")

#: Options that a simulation of several cubes does not have, and their defaults.
NOT_FOR_SETS = {"wavelength_range": None, "psf_scale": 1.0, "field_stars": 0, "wavefront_seed": None}


def add_parser(commands):
    """Describe the subcommand."""
    parser = commands.add_parser(
        "simulate",
        help="simulate NIRCam images and a NIRSpec IFU cube of one scene",
        description="Simulate the stage-3 products of NIRCam and of the NIRSpec IFU for one scene, with "
        "their association and the truth.",
        example="jwst-fusion simulate random demo --seed 7 --fov 1.5",
    )
    parser.add_argument("scene", metavar="SCENE",
        help="disk, titan, nebula, galaxy, or random (drawn by --seed)")  # fmt: skip
    parser.add_argument("output_dir", metavar="OUTDIR", help="folder to write to")
    _add_observation(parser)
    parser.set_defaults(run=run)


def _add_observation(parser):
    """Add the options of the observation."""
    parser.add_argument("--seed", type=int, default=0, help="seed of everything that is random")
    parser.add_argument("--name", help="name of the product (default: that of the scene)")
    parser.add_argument(
        "--setup", nargs="+", default=["G235H/F170LP"], metavar="SETUP",
        help="grating, blocking filter and range: G140M or G140H/F070LP, G140M or G140H/F100LP-blue or -red, "
        "G235H or G235M/F170LP, G395M or G395H/F290LP-blue or -red, PRISM/CLEAR-short or -long; several, "
        "such as G140H/F100LP G235H/F170LP-whole G395H/F290LP, for a cube of each",
    )  # fmt: skip
    parser.add_argument("--pointings", type=int, default=1, metavar="N",
        help="pointings of the IFU with each grating, half a field apart")  # fmt: skip
    parser.add_argument("--visits", type=int, default=1, metavar="N",
        help="images in each filter, of visits with the telescope turned")  # fmt: skip
    parser.add_argument("--filters", nargs="+", metavar="FILTER",
        help="NIRCam filters (default: those of the setup)")  # fmt: skip
    parser.add_argument("--wavelength-range", nargs=2, type=float, metavar=("LOW", "HIGH"),
        help="wavelengths of the cube [um] (default: those of the grating)")  # fmt: skip
    parser.add_argument("--n-wave", type=int, metavar="N",
        help="number of channels (default: from the spacing of the grating)")  # fmt: skip
    parser.add_argument("--fov", type=float, default=3.0, metavar="ARCSEC",
        help="side of the IFU's field [arcsec]")  # fmt: skip
    parser.add_argument("--image-field", type=float, metavar="ARCSEC",
        help="side of the NIRCam exposures [arcsec] (default: that of the scene)")  # fmt: skip
    parser.add_argument("--snr", type=float,
        help="signal-to-noise ratio of a voxel (default: 15; drawn for random)")  # fmt: skip
    parser.add_argument("--image-snr", type=float, metavar="SNR",
        help="signal-to-noise ratio of a NIRCam pixel (default: 70; drawn for random)")  # fmt: skip
    parser.add_argument("--psf-scale", type=float, default=1.0, metavar="RATIO",
        help="width of the PSFs over the nominal width")  # fmt: skip
    parser.add_argument("--field-stars", type=int, default=0, metavar="N",
        help="stars in the images around the IFU's field")  # fmt: skip
    parser.add_argument("--wavefront-seed", type=int, metavar="SEED",
        help="seed of the telescope's wavefronts alone (default: from --seed)")  # fmt: skip


def _options_of_set(options):
    """Options of the simulation of several cubes; others than those must have their defaults."""
    for name, default in NOT_FOR_SETS.items():
        if options.pop(name) != default:
            raise ParameterError(
                f"--{name.replace('_', '-')} cannot be combined with several cubes or visits (--setup, "
                "--pointings, --visits); leave it out"
            )
    return options


def run(arguments):
    """Simulate, and print the paths of the files."""
    from jwst_fusion.simulation import simulate, simulate_set

    options = {k: v for k, v in vars(arguments).items() if k not in ("run", "scene", "output_dir", *COMMON)}
    setups = options.pop("setup")
    several = {name: options.pop(name) for name in ("pointings", "visits")}
    is_set = len(setups) > 1 or set(several.values()) != {1}
    if is_set:
        options = _options_of_set(options) | {"setups": setups} | several
    else:
        options["setup"] = setups[0]
    name = arguments.name or arguments.scene
    if not is_plain_name(name):
        raise ParameterError(f"--name {name!r} cannot begin the names of files; choose one without folders")
    folder = Path(arguments.output_dir)
    check_own(folder / f"{name}_asn.json", folder / f"{name}_truth.json")  # the others are known when made
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".jwst-fusion-", dir=folder) as made:
        files = (simulate_set if is_set else simulate)(arguments.scene, made, **options)
        paths = files.paths
        check_own(*(folder / path.name for path in paths))
        for path in paths:
            path.replace(folder / path.name)
    for path in paths:
        print(folder / path.name)
