"""``jwst-fusion open``: a product in the Cubeviz of jdaviz."""

import subprocess
import sys
import webbrowser
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from jwst_fusion.exceptions import InputError, ParameterError

__all__ = ["add_parser", "run"]

#: First version of jdaviz whose command takes a file behind an option, and only with its format.
FILE_OPTION = 5

#: What jdaviz calls the format of a spectral cube.
CUBE_FORMAT = "3D Spectrum"


def add_parser(commands):
    """Describe the subcommand."""
    parser = commands.add_parser(
        "open",
        help="open a fused cube in Cubeviz, if jdaviz is installed",
        description="Open a fused cube in Cubeviz, a tool of jdaviz, in a browser. Ctrl-C ends it.",
        example="jwst-fusion open NAME_fused.fits",
    )
    parser.add_argument("product", metavar="PRODUCT", help="fused cube, NAME_fused.fits")
    parser.set_defaults(run=run)


def run(arguments):
    """Start Cubeviz and wait for its end, whose exit status is returned."""
    from jwst_fusion import datamodels

    from .products import open_product

    path = Path(arguments.product).absolute()
    major = _jdaviz_version()
    _find_browser()
    with open_product(path, datamodels.FusedCubeModel):
        pass
    if path.suffix.lower() != ".fits":
        raise InputError(f"{path}: Cubeviz reads only FITS files; give NAME_fused.fits")
    file = [str(path)]
    if major >= FILE_OPTION:
        file = ["--filepath", str(path), "--file_format", CUBE_FORMAT]
    return subprocess.run([sys.executable, "-m", "jdaviz.cli", "--layout=cubeviz", *file]).returncode


def _jdaviz_version():
    """Find the first number of the version of jdaviz."""
    try:
        return int(version("jdaviz").split(".")[0])
    except PackageNotFoundError:
        raise ParameterError(
            "jdaviz is not installed here; install it (pip install jdaviz), or explore the product's page, "
            "NAME_fused.html"
        ) from None


def _find_browser():
    """Make sure that there is a browser, without which jdaviz ends with a traceback."""
    try:
        webbrowser.get()
    except webbrowser.Error:
        raise ParameterError(
            "no browser was found on this machine, and Cubeviz runs in one; set the environment variable "
            "BROWSER to the command of a browser, or open the product where there is one"
        ) from None
