"""``jwst-fusion psf``: a library of PSFs, built once or measured on stars, and a picture of it."""

import sys
from pathlib import Path

__all__ = ["add_parser", "run"]


def add_parser(commands):
    """Describe the subcommand."""
    parser = commands.add_parser(
        "psf",
        help="build a library of PSFs, or draw it",
        description="Build a library of PSFs for a grating and a channel of NIRCam, for "
        "--steps.fusion.override_fusion_psf. PSFs that the library already contains are kept. "
        "PSFs of STPSF are stored in the user's cache folder, so that an interrupted run "
        "resumes where it stopped.",
        example="jwst-fusion psf lib.asdf --grating G235H/F170LP --channel short --plot",
    )
    parser.add_argument(
        "library", nargs="?", metavar="LIBRARY",
        help="file to write (.asdf) or to draw (default: named after the grating and the first filter)",
    )  # fmt: skip
    parser.add_argument(
        "--grating", default="G235H/F170LP",
        help="grating and blocking filter of the cube: G140M or G140H with F070LP or F100LP, G235M or G235H "
        "with F170LP, G395M or G395H with F290LP, PRISM with CLEAR",
    )  # fmt: skip
    parser.add_argument("--channel", choices=("short", "long"),
        help="NIRCam's channel (default: that of the filters)")  # fmt: skip
    parser.add_argument("--filters", nargs="+", metavar="FILTER",
        help="NIRCam's filters (default: all that go with the grating)")  # fmt: skip
    parser.add_argument("--module", choices=("A", "B"), default="B", help="module of NIRCam")
    parser.add_argument("--detector", default="",
        help="detector of NIRCam (default: the first of the module)")  # fmt: skip
    parser.add_argument("--date", default="",
        help="date of the wavefront, YYYY-MM-DD (default: STPSF's own wavefront)")  # fmt: skip
    parser.add_argument("--psf-source", choices=("auto", "stpsf", "analytic"), default="auto",
        help="source of the PSFs")  # fmt: skip
    parser.add_argument("--wavefront-rms", type=float, metavar="NM",
        help="wavefront error of the analytic PSFs [nm] (default: that of the channel)")  # fmt: skip
    parser.add_argument(
        "--from-images",
        nargs="+",
        default=[],
        metavar="FILE",
        help="measure the PSFs on the stars of these *_i2d.fits instead, and also write FITS files and a "
        "picture (default: none)",
    )
    parser.add_argument(
        "--add", nargs="+", default=[], metavar="FILE",
        help="put the PSFs of these files into the library instead of building any (default: none)",
    )  # fmt: skip
    parser.add_argument(
        "--plot", nargs="?", const="", metavar="PNG",
        help="draw PSFs, widths, encircled energies and throughputs (default of PNG: named after LIBRARY)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments):
    """Build, draw, and print the paths of the files."""
    from jwst_fusion.exceptions import ParameterError
    from jwst_fusion.optics.library import read_library, write_library

    if arguments.from_images:
        from .psf_from_images import measure

        return measure(arguments.from_images, Path(arguments.library or "psf_measured.asdf"))
    grating, filters = _choose_filters(arguments)
    path = Path(arguments.library or f"psf_{grating[0]}_{'_'.join(filters[:1])}.asdf".lower())
    if arguments.plot and Path(arguments.plot).suffix.lower() != ".png":
        raise ParameterError(
            f"--plot {arguments.plot}: a picture is a .png file; give the library before --plot"
        )
    if path.suffix.lower() != ".asdf" and (arguments.plot is None or not path.is_file()):
        raise ParameterError(f"{path}: a library is an .asdf file; give it another name")
    entries = list(read_library(path)) if path.is_file() else []
    if arguments.library is None or not entries or path.suffix.lower() == ".asdf":
        new = _build(arguments, grating, filters, entries)
        if new:
            entries += new
            write_library(path, entries)
            print(path)
        else:
            print(f"{path} is complete")
    if arguments.plot is not None:
        from jwst_fusion.atomic import atomic_file
        from jwst_fusion.ownership import MARK
        from jwst_fusion.quality.psf_figure import psf_figure

        picture = Path(arguments.plot or path.with_suffix(".png"))
        with atomic_file(picture) as file:
            figure = psf_figure(entries, filters)
            figure.savefig(file, format="png", dpi=120, bbox_inches="tight", metadata={"Software": MARK})
        print(picture)


def _choose_filters(arguments):
    """Grating with blocking filter, and the NIRCam filters that the library is for."""
    from jwst_fusion.coregistration.ranges import CUBE_RANGES, filter_sets
    from jwst_fusion.exceptions import ParameterError
    from jwst_fusion.optics import throughput

    grating = tuple(arguments.grating.upper().split("/"))
    if grating not in CUBE_RANGES:
        known = ", ".join("/".join(pair) for pair in CUBE_RANGES)
        raise ParameterError(f"--grating {arguments.grating} is unknown: expected one of {known}")
    sets = [tuple(name.upper() for name in arguments.filters)] if arguments.filters else filter_sets(*grating)
    fitting = [
        names for names in sets if arguments.channel in (None, *(throughput.channel(name) for name in names))
    ]
    if not fitting:
        raise ParameterError(
            f"no filters of NIRCam's {arguments.channel} channel can be fused with {arguments.grating}"
        )
    return grating, fitting[0]


def _build(arguments, grating, filters, entries):
    """Entries that the library lacks."""
    from jwst_fusion.coregistration.ranges import CUBE_RANGES
    from jwst_fusion.optics.build import build_nircam, build_nirspec
    from jwst_fusion.optics.library import read_library
    from jwst_fusion.optics.sources import choose_source
    from jwst_fusion.optics.throughput import channel

    if arguments.add:
        return [entry for file in arguments.add for entry in read_library(file)]
    source = choose_source(arguments.psf_source, wavefront_rms=arguments.wavefront_rms)
    low, high = (f([w for stretch in CUBE_RANGES[grating] for w in stretch]) for f in (min, max))
    new = []
    if not any(e.instrument == "NIRCAM" and e.channel == channel(filters[0]) for e in entries):
        new.append(
            build_nircam(
                source,
                filters=filters,
                module=arguments.module,
                detector=arguments.detector,
                date=arguments.date,
                progress=_Bar(f"NIRCam {channel(filters[0])}"),
            )  # fmt: skip
        )
    if not any(e.instrument == "NIRSPEC" and e.grating == grating[0] for e in entries):
        # cubes reach some per cent beyond the wavelengths that are recorded by all slices
        limits = max(0.97 * low, 0.6), min(1.04 * high, 5.3)
        new.append(
            build_nirspec(
                source,
                grating=grating[0],
                filter=grating[1],
                limits=limits,
                date=arguments.date,
                progress=_Bar(f"NIRSpec {grating[0]}"),
            )  # fmt: skip
        )
    return new


class _Bar:
    """A progress bar, or where nobody looks a line at each tenth."""

    def __init__(self, label):
        self.label, self.shown = label, -1

    def __call__(self, done, total):
        """Show how many of how many are done."""
        if sys.stderr.isatty():
            full = 30 * done // total
            end = "\n" if done == total else ""
            text = f"\r{self.label:16s} [{'#' * full}{'.' * (30 - full)}] {done}/{total}"
            print(text, end=end, file=sys.stderr, flush=True)
        elif 10 * done // total != self.shown:
            self.shown = 10 * done // total
            print(f"{self.label}: {done} of {total} PSFs", file=sys.stderr, flush=True)
