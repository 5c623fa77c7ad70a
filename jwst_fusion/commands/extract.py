"""``jwst-fusion extract``: spectra of regions of a fused cube."""

from .lines import add_line_options, in_words, output_place, window_settings, write_hdus

__all__ = ["add_parser", "extract", "run"]


def add_parser(commands):
    """Describe the subcommand."""
    parser = commands.add_parser(
        "extract",
        help="extract the spectra of regions, with their errors",
        description="Write the spectra of regions to NAME_regions_x1d.fits, with the columns of the "
        "pipeline's x1d, together with the spectra of the NIRSpec cube and NIRCam photometry "
        "of the same regions.",
        example="jwst-fusion extract NAME_fused.fits --region knots.reg --line 'Pa alpha'",
    )
    parser.add_argument(
        "product", metavar="PRODUCT", nargs="+",
        help="fused cube, NAME_fused.fits or .asdf, or those of all gratings of a set",
    )  # fmt: skip
    parser.add_argument(
        "--region", nargs="+", required=True, metavar="REGION",
        help="file of regions (DS9, CASA), or one as text: 'circle(83.83, -5.42, 0.3\")'",
    )  # fmt: skip
    parser.add_argument(
        "--line",
        nargs="+",
        default=[],
        metavar="LINE",
        help="also measure these lines in each region (default: none)",
    )
    add_line_options(parser)
    parser.set_defaults(run=run)


def extract(product, *regions):
    """
    Extract the spectra of regions.

    Parameters
    ----------
    product : str, path-like or FusedCubeModel, or list of them
        The fused cube; or those of the gratings of a set, which are combined where they overlap.
    *regions : str or path-like
        Files of regions, or regions of DS9 as text.

    Returns
    -------
    list of RegionSpectrum
        Spectra of the regions.

    Raises
    ------
    FusionError
        A region cannot be read or lies outside the field, or the product has no draws of its errors.
    """
    from jwst_fusion import adapters

    from .products import opened_fused

    found = [
        (name, region, excluded)
        for included, excluded in map(adapters.read_regions, regions)
        for name, region in included
    ]
    with opened_fused(product) as model:
        scene, content = adapters.science_scene(model), adapters.report_content(model)
        return [
            adapters.region_spectrum(
                model, scene, name or f"region {number}", region, excluded, content=content
            )
            for number, (name, region, excluded) in enumerate(found, start=1)
        ]


def run(arguments):
    """Write the spectra, and print their path and a summary."""
    from jwst_fusion import adapters

    from .products import opened_fused

    folder, stem = output_place(arguments)
    path = folder / f"{stem}_regions_x1d.fits"
    with opened_fused(arguments.product) as model:
        spectra = extract(model, *arguments.region)
        measured = [line for spectrum in spectra for line in _lines(spectrum, arguments)]
        write_hdus(path, adapters.extraction_hdus(model, spectra, measured))
    print(path)
    for spectrum in spectra:
        share = f"{100 * spectrum.coverage:.0f} % in the field"
        print(f"  {spectrum.name}: {spectrum.sum.amount:.1f} cells, {share}")
    for spectrum, line, found in measured:
        print(f"  {spectrum.name}, {line.name}: {in_words(found)}")
    return 0


def _lines(spectrum, arguments):
    """Lines of a region: (RegionSpectrum, Line, LineMeasurement)."""
    import numpy as np

    from jwst_fusion import adapters
    from jwst_fusion.exceptions import ParameterError
    from jwst_fusion.quality.lines import find_line
    from jwst_fusion.science.lines import measure_line

    settings = window_settings(
        arguments.redshift, arguments.velocity, arguments.window, arguments.resolving_power
    )
    for line in map(find_line, arguments.line):
        window = adapters.window_of(spectrum.sum.scene, line, **settings)
        if not np.isfinite(spectrum.flux[window.functionals.any(axis=0) & spectrum.sum.scene.alive]).all():
            raise ParameterError(
                f"{spectrum.name}: no cube saw all of it at line {line.name}; draw a region within the field"
            )
        yield spectrum, line, measure_line(spectrum.sum, window)
