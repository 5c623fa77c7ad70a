"""Parameter files."""

from pathlib import Path

from jwst.stpipe import Step

from jwst_fusion.exceptions import FusionError, ParameterError

__all__ = ["check_parameters"]


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
