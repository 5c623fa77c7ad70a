"""``jwst-fusion report``: the page of a fused cube, from the product alone."""

from pathlib import Path

__all__ = ["add_parser", "run"]


def add_parser(commands):
    """Describe the subcommand."""
    parser = commands.add_parser(
        "report",
        help="write the report of a fused cube from the product alone",
        description="Write the report page of a fused cube, to explore it and to judge its quality.",
        example="jwst-fusion report NAME_fused.fits --figures",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="fused cube, NAME_fused.fits or .asdf")
    parser.add_argument("--output-dir", metavar="DIR",
        help="folder to write to (default: that of the product)")  # fmt: skip
    parser.add_argument("--figures", action="store_true", help="also write the main figures as PNG files")
    parser.set_defaults(run=run)


def run(arguments):
    """Write the pages, and print their paths."""
    from jwst_fusion import adapters, datamodels
    from jwst_fusion.atomic import write_atomic
    from jwst_fusion.quality.figures import save_figures
    from jwst_fusion.quality.report import report_page

    from .products import open_product

    for file in map(Path, arguments.files):
        with open_product(file, datamodels.FusedCubeModel) as model:
            content = adapters.report_content(model, name=file.name)
        folder = Path(arguments.output_dir) if arguments.output_dir else file.parent
        page = report_page(content)
        output = folder / f"{file.stem}.html"
        write_atomic(output, page.encode("utf-8"))
        print(output)
        if arguments.figures:
            for path in save_figures(content, folder, file.stem, write_atomic):
                print(path)
