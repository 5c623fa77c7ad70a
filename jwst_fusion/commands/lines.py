"""``jwst-fusion lines``: maps of spectral lines of a fused cube."""

__all__ = ["add_parser", "lines", "run"]

#: Default ratio of flux and error from which a line counts.
SIGNIFICANT = 3.0

#: Default half width of a line's window [km/s].
WINDOW = 500.0


def add_parser(commands):
    """Describe the subcommand."""
    parser = commands.add_parser(
        "lines",
        help="measure spectral lines: flux, velocity, dispersion and equivalent width, with their errors",
        description="Write a FITS file of maps with their errors (NAME_line_LINE.fits) and a figure for "
        "each line, and print the flux, velocity and dispersion of the whole field. "
        "Wavelengths are rest wavelengths in vacuum.",
        example="jwst-fusion lines NAME_fused.fits --line H2_1-0S1 'Pa alpha' --velocity 30",
    )
    parser.add_argument(
        "product", metavar="PRODUCT", nargs="*",
        help="fused cube, NAME_fused.fits or .asdf, or those of all gratings of a set",
    )  # fmt: skip
    parser.add_argument(
        "--line",
        nargs="+",
        default=[],
        metavar="LINE",
        help="names, as --list prints them, or wavelengths [um] (default: those of --ratio)",
    )
    parser.add_argument("--list", action="store_true", help="print the known lines with their sources")
    add_line_options(parser)
    parser.add_argument("--flux-unit", default="W m-2 arcsec-2", metavar="UNIT", help="unit of the flux maps")
    parser.add_argument(
        "--ratio",
        nargs=2,
        metavar="LINE",
        help="also map the ratio of the first line to the second (default: no map)",
    )
    parser.add_argument(
        "--intrinsic",
        type=float,
        metavar="RATIO",
        help="ratio without extinction; also map A_V [mag] (default: no map)",
    )
    parser.add_argument(
        "--significance",
        type=float,
        default=SIGNIFICANT,
        metavar="S/N",
        help="ratio of flux and error from which a cell is in the mask",
    )
    parser.set_defaults(run=run)


def add_line_options(parser):
    """
    Add the options for the measurement of lines and for the output folder.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        The parser.
    """
    systemic = parser.add_mutually_exclusive_group()
    systemic.add_argument(
        "--redshift", type=float, default=0.0, metavar="Z", help="redshift of zero velocity"
    )
    systemic.add_argument(
        "--velocity", type=float, metavar="KM/S", help="the same as c z [km/s] (default: from --redshift)"
    )
    parser.add_argument(
        "--window", type=float, default=WINDOW, metavar="KM/S", help="half width of a line's window [km/s]"
    )
    parser.add_argument(
        "--resolving-power",
        type=float,
        metavar="R",
        help="resolving power of the instrument (default: that of the grating)",
    )
    parser.add_argument(
        "--output-dir", metavar="DIR", help="folder to write to (default: that of the product)"
    )


def lines(
    product,
    *names,
    redshift=0.0,
    velocity=None,
    window=WINDOW,
    significance=SIGNIFICANT,
    resolving_power=None,
):
    """
    Measure lines in each cell of a fused cube.

    Parameters
    ----------
    product : str, path-like or FusedCubeModel, or list of them
        The fused cube; or those of the gratings of a set, which are combined where they overlap.
    *names : str or float
        Names of lines, or their wavelengths at rest in vacuum [um].
    redshift : float, optional
        Redshift at which velocities are zero.
    velocity : float, optional
        The same as ``c z`` [km/s].
    window : float, optional
        Half width of a line's window [km/s].
    significance : float, optional
        Ratio of flux and error from which a cell is in the mask.
    resolving_power : float, optional
        Resolving power of the instrument, in place of that of the grating.

    Returns
    -------
    list of LineMaps
        Maps of each line.

    Raises
    ------
    FusionError
        A line is not known or cannot be measured, or the product has no draws of its errors.
    """
    from .products import opened_fused

    with opened_fused(product) as model:
        return _measure(model, names, redshift, velocity, window, significance, resolving_power)[1]


def _measure(model, names, redshift, velocity, window, significance, resolving_power):
    """Cells of an open product, and maps of lines."""
    from jwst_fusion import adapters
    from jwst_fusion.quality.lines import find_line

    found = [find_line(name) for name in names]
    settings = window_settings(redshift, velocity, window, resolving_power)
    settings["significance"] = positive("significance", significance)
    cells = adapters.science_scene(model).cells()
    return cells, [adapters.line_maps(model, cells, line, **settings) for line in found]


def window_settings(redshift, velocity, window, resolving_power):
    """
    Check the parameters of the windows of lines.

    Parameters
    ----------
    redshift, velocity, window, resolving_power : float
        As in `lines`.

    Returns
    -------
    dict
        ``redshift``, ``half_width`` and ``resolving_power``, None if it is that of the grating.

    Raises
    ------
    ParameterError
        One cannot be used.
    """
    return {
        "resolving_power": None if resolving_power is None else positive("resolving_power", resolving_power),
        "redshift": systemic_redshift(redshift, velocity),
        "half_width": positive("window", window),
    }


def positive(name, value):
    """
    Refuse a parameter that is not a positive number.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : float
        Its value.

    Returns
    -------
    float
        The value.

    Raises
    ------
    ParameterError
        It is not positive, or not finite.
    """
    from math import isfinite

    from jwst_fusion.exceptions import ParameterError

    if not (isfinite(value) and value > 0):
        raise ParameterError(f"{name} = {value} cannot be used: a positive number is needed")
    return float(value)


def systemic_redshift(redshift, velocity):
    """
    Get the redshift at which velocities are zero.

    Parameters
    ----------
    redshift : float
        The redshift.
    velocity : float or None
        The same as ``c z`` [km/s], which counts if given.

    Returns
    -------
    float
        Redshift.

    Raises
    ------
    ParameterError
        It is not above -1, or not finite.
    """
    from math import isfinite

    from jwst_fusion.exceptions import ParameterError
    from jwst_fusion.science.lines import LIGHT_SPEED

    value = float(redshift) if velocity is None else float(velocity) / LIGHT_SPEED
    if not (isfinite(value) and value > -1):
        raise ParameterError(f"redshift = {value:g} cannot be used: a number above -1 is needed")
    return value


def run(arguments):
    """Write the maps, and print their paths and the measurement of the whole field."""
    from jwst_fusion.atomic import together
    from jwst_fusion.exceptions import ParameterError

    from .products import opened_fused

    if arguments.list:
        return _print_list()
    if not arguments.product or not (arguments.line or arguments.ratio):
        raise ParameterError(
            "give a fused cube and --line LINE, or --ratio LINE LINE; --list prints the known lines"
        )
    if arguments.intrinsic is not None and not arguments.ratio:
        raise ParameterError("--intrinsic needs --ratio LINE LINE")
    folder, stem = output_place(arguments)
    names = [*arguments.line, *(arguments.ratio or ())]
    options = ("redshift", "velocity", "window", "significance", "resolving_power")
    with opened_fused(arguments.product) as model, together():
        cells, measured = _measure(model, names, *(getattr(arguments, name) for name in options))
        told = [_write_line(model, maps, arguments.flux_unit, folder, stem) for maps in measured]
        if arguments.ratio:
            told.append(_write_ratio(model, cells, measured[-2:], arguments.intrinsic, folder, stem))
    print("\n".join(told))
    return 0


def output_place(arguments):
    """
    Get the folder and the beginning of the names of the output.

    Parameters
    ----------
    arguments : argparse.Namespace
        With ``product`` and ``output_dir``.

    Returns
    -------
    folder : pathlib.Path
        The folder.
    stem : str
        NAME of ``NAME_fused.fits``; of several what their names begin with.
    """
    from os.path import commonprefix
    from pathlib import Path

    products = [Path(product) for product in arguments.product]
    folder = Path(arguments.output_dir) if arguments.output_dir else products[0].parent
    stems = [product.stem.removesuffix("_fused") for product in products]
    return folder, stems[0] if len(stems) == 1 else commonprefix(stems).rpartition("_")[0] or stems[0]


def write_hdus(path, hdus):
    """
    Write a FITS file completely or not at all.

    Parameters
    ----------
    path : pathlib.Path
        Its path.
    hdus : astropy.io.fits.HDUList
        Its content.
    """
    from jwst_fusion.atomic import atomic_file

    with atomic_file(path) as file:
        hdus.writeto(file)


def short_name(name):
    """
    Write the name of a line, or of a region, as a part of a file's name.

    Parameters
    ----------
    name : str
        The name.

    Returns
    -------
    str
        Letters, digits, points, signs and underscores.
    """
    import re

    return re.sub(r"[^A-Za-z0-9.+-]+", "_", re.sub(r"[()\[\]]", "", name)).strip("_.").lower()


def _print_list():
    """Print the known lines."""
    from jwst_fusion.quality.lines import LINES

    for line in sorted(LINES, key=lambda line: line.wavelength):
        print(f"{line.wavelength:9.5f} um  {line.name:14s}  {line.source}")
    return 0


def _write_line(model, maps, unit, folder, stem):
    """Write the maps of a line and their picture; return what is to be printed."""
    from jwst_fusion.atomic import atomic_file
    from jwst_fusion.ownership import MARK
    from jwst_fusion.quality.line_figure import line_figure
    from jwst_fusion.quality.lines import GIVEN

    maps = maps.in_unit(unit)
    name = f"{stem}_line_{short_name(maps.line.name)}"
    path, picture = folder / f"{name}.fits", folder / f"{name}.png"
    write_hdus(path, maps.hdus(model))
    known = "" if maps.line.source == GIVEN else f"{maps.line.name}, "
    title = f"{model.meta.filename}, {known}{maps.line.wavelength:.5f} um at rest"
    with atomic_file(picture) as file:
        line_figure(maps, title).savefig(file, format="png", metadata={"Software": MARK})
    total = maps.total
    return (
        f"{path}\n{picture}\n"
        f"  {maps.line.name}: {maps.mask.sum()} cells significant; the field has {in_words(total)}"
    )


def in_words(measured):
    """
    Describe the line of a region.

    Parameters
    ----------
    measured : LineMeasurement
        The line of the region.

    Returns
    -------
    str
        Flux, and if that is significant velocity and dispersion, with their errors.
    """
    flux, velocity, dispersion = measured.flux, measured.velocity, measured.dispersion
    words = f"{flux.value:.4g} +- {flux.error:.2g} {flux.unit}"
    if abs(measured.significance) < SIGNIFICANT:
        return f"{words}, not significant"
    return (
        f"{words}, velocity {velocity.value:.1f} +- {velocity.error:.1f} km/s, dispersion "
        f"{dispersion.value:.1f} +- {dispersion.error:.1f} km/s"
    )


def _write_ratio(model, cells, pair, intrinsic, folder, stem):
    """Write the map of a ratio; return what is to be printed."""
    from jwst_fusion import adapters

    above, below = pair
    quantities = adapters.ratio_maps(cells, above, below, intrinsic=intrinsic)
    names = [maps.line.name for maps in pair]
    path = folder / f"{stem}_ratio_{'_'.join(map(short_name, names))}.fits"
    mask = above.mask & below.mask
    hdus = adapters.map_hdus(
        model,
        quantities,
        mask,
        above.wcs,
        LINE1=(names[0], "Line above"),
        LINE2=(names[1], "Line below"),
        INTRINS=(intrinsic, "Ratio without extinction"),
    )
    write_hdus(path, hdus)
    return f"{path}\n  {names[0]} over {names[1]}: {mask.sum()} cells significant"
