"""``jwst-fusion info``: what a product is, where it comes from, and how good it is."""

__all__ = ["add_parser", "run"]


def add_parser(commands):
    """Describe the subcommand."""
    parser = commands.add_parser(
        "info",
        help="print what a product is, where it comes from and how good it is",
        description="Print the contents, steps, inputs, parameters and figures of merit of a product of "
        "jwst_fusion (*_coreg, *_xcal or *_fused, FITS or ASDF).",
        example="jwst-fusion info NAME_fused.fits --log",
    )
    parser.add_argument("file", metavar="FILE", nargs="+", help="products of jwst_fusion")
    parser.add_argument("--log", action="store_true", help="also print the log of the runs that made it")
    parser.set_defaults(run=run)


def run(arguments):
    """Print the information."""
    from jwst_fusion import adapters, datamodels

    from .products import open_product

    for file in arguments.file:
        with open_product(file, datamodels.FusionModel) as model:
            for title, lines in adapters.describe(model, log=arguments.log):
                print(f"{title}:")
                print("\n".join(f"  {line}" for line in lines))
