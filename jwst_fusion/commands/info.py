"""``jwst-fusion info``: what a product is, where it comes from, and how good it is."""

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
        "info",
        help="print what a product is, where it comes from and how good it is",
        description="Print the contents, steps, inputs, parameters and figures of merit of a product of "
        "jwst_fusion (*_coreg, *_xcal or *_fused, FITS or ASDF).",
    )
    parser.add_argument("file", metavar="FILE", help="product of jwst_fusion")
    parser.add_argument("--log", action="store_true", help="print the log of the runs that made it too")
    parser.set_defaults(run=run)


def run(arguments):
    """
    Print the information.

    Parameters
    ----------
    arguments : argparse.Namespace
        What the user typed.
    """
    from pathlib import Path

    from jwst_fusion import adapters, datamodels
    from jwst_fusion.exceptions import InputError

    path = Path(arguments.file)
    if not path.is_file():
        raise InputError(f"{path}: no such file; give the path of a product of jwst_fusion")
    try:
        model = datamodels.open(str(path))
    except Exception as error:  # noqa: BLE001 - astropy, asdf and stdatamodels raise all kinds for a broken file
        reason = " ".join(str(error).split())
        raise InputError(f"{path.name}: can not be read ({reason}); make it again") from error
    with model:
        if not isinstance(model, datamodels.FusionModel):
            raise InputError(
                f"{path.name}: {type(model).__name__} is not a product of jwst_fusion; give a *_coreg, "
                "*_xcal or *_fused file"
            )
        for title, lines in adapters.describe(model, log=arguments.log):
            print(f"{title}:")
            print("\n".join(f"  {line}" for line in lines))
