"""Parameter files."""

from importlib import resources
from pathlib import Path

from jwst.stpipe import Step

from jwst_fusion.exceptions import FusionError, ParameterError

__all__ = ["check_parameters", "packaged_parameters", "write_parameters"]


def check_parameters(path):
    """
    Check a parameter file without running anything.

    Parameters
    ----------
    path : str or path-like
        ASDF file, as ``--save-parameters`` writes it.

    Returns
    -------
    str
        Alias of the step or pipeline that it is for.

    Raises
    ------
    ParameterError
        It can not be read, or a parameter is unknown or has a wrong value.
    """
    if not Path(path).is_file():
        raise ParameterError(f"{path}: no such file; give the path of a parameter file (*.asdf)")
    try:
        step = Step.from_config_file(str(path))
    except FusionError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ParameterError(f"{Path(path).name}: not a usable parameter file ({reason})") from error
    return step.class_alias


def packaged_parameters():
    """
    Name the parameter files that come with the package.

    Returns
    -------
    dict
        Path of each by its name.
    """
    folder = resources.files("jwst_fusion") / "data"
    return {
        path.name.removesuffix(".asdf"): Path(str(path))
        for path in sorted(folder.iterdir(), key=lambda path: path.name)
        if path.name.startswith("calwebb_fusion4") and path.name.endswith(".asdf")
    }


def write_parameters(name, path):
    """
    Write a packaged parameter file out, with the value of each parameter.

    Parameters
    ----------
    name : str
        A key of `packaged_parameters`.
    path : str or path-like
        File to write.

    Raises
    ------
    ParameterError
        There is no such file in the package.
    FileExistsError
        The file is there: somebody may have edited it.
    """
    packaged = packaged_parameters()
    if name not in packaged:
        raise ParameterError(f"parameters {name!r} are not packaged: there are {', '.join(packaged)}")
    Step.from_config_file(str(packaged[name])).export_config(str(path), mark=None)
