"""Parameter files."""

from importlib import resources
from pathlib import Path

import asdf
import yaml
from configobj.validate import Validator
from jwst.stpipe import Step
from stpipe import config_parser
from stpipe.exceptions import ValidationError

import jwst_fusion
from jwst_fusion.exceptions import FusionError, ParameterError, one_line
from jwst_fusion.integration import get_steps

from .errors import parameter_problem

__all__ = ["check_parameters", "packaged_parameters", "write_parameters"]

#: Largest parameter file that is read [bytes]; those of this package have 5000.
LARGEST = 200_000


def check_parameters(path):
    """
    Check a parameter file without running or importing anything that it names, and without making folders.

    Returns the alias of the step or pipeline that it is for. Raises ParameterError if it cannot be read, or a
    parameter is unknown or has a wrong value.
    """
    if not Path(path).is_file():
        raise ParameterError(f"{path}: no such file; give the path of a parameter file (*.asdf)")
    name = Path(path).name
    try:
        _check_readable(path)
        config = config_parser.load_config_file(str(path))
        step = _known_step(config.get("class"), name)
        config = step.merge_config(config, str(path))
        for key in ("class", "name"):
            config.pop(key, None)
        config_parser.validate(config, step.load_spec_file(), validator=_harmless_validator())
    except FusionError:
        raise
    except ValidationError as error:
        raise ParameterError(
            f"{name}: {one_line(error)}; correct it, or write a new one with jwst-fusion parameters"
        ) from error
    except Exception as error:
        raise ParameterError(
            f"{name}: not a usable parameter file ({parameter_problem(error)}); write one with jwst-fusion "
            "parameters"
        ) from error
    return step.class_alias


def _check_readable(path):
    """Raise a ParameterError for what takes long to read, or is read as something else by stpipe."""
    with Path(path).open("rb") as file:
        content = file.read(LARGEST + 1)
    cure = "write one with jwst-fusion parameters"
    if len(content) > LARGEST:
        raise ParameterError(f"{path}: more than {LARGEST} bytes, not a parameter file; {cure}")
    if not content.strip():
        raise ParameterError(f"{path}: the file is empty; {cure}")
    if not content.startswith(b"#ASDF"):
        return
    text = content.partition(b"\n...")[0].decode("utf-8", errors="replace")
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise ParameterError(f"{path}: has YAML aliases, which parameters do not need; {cure}")
        with asdf.open(path) as file:
            tree = file.tree
            if not isinstance(tree.get("class"), str) or not isinstance(tree.get("parameters"), dict):
                raise ParameterError(f"{path}: has no class or no parameters; {cure}")
    except (yaml.YAMLError, ValueError, asdf.exceptions.ValidationError) as error:
        raise ParameterError(f"{path}: not a whole ASDF file ({one_line(error)}); {cure}") from error


def _known_step(name, file):
    """Find a step of this package by the name of its class or its alias; nothing is imported by that name."""
    known = {}
    for dotted, alias, _ in get_steps():
        step = getattr(jwst_fusion, dotted.rpartition(".")[2])
        places = (step.__module__, "jwst_fusion", "jwst_fusion.steps")
        known |= dict.fromkeys((alias, *(f"{place}.{step.__name__}" for place in places)), step)
    if not isinstance(name, str) or name not in known:
        raise ParameterError(
            f"{file}: parameters of {name}, which is not a step of this package; write one with jwst-fusion "
            "parameters"
        )
    return known[name]


def _harmless_validator():
    """Make a validator that takes paths as text: stpipe's own makes the folders that they name."""
    validator = Validator()
    paths = ("input_file", "output_file", "is_datamodel", "is_string_or_datamodel")
    validator.functions.update(dict.fromkeys(paths, str))
    return validator


def packaged_parameters():
    """Find the paths of the parameter files that come with the package, by name."""
    folder = resources.files("jwst_fusion") / "data"
    return {
        path.name.removesuffix(".asdf"): Path(str(path))
        for path in sorted(folder.iterdir(), key=lambda path: path.name)
        if path.name.startswith("calwebb_fusion4") and path.name.endswith(".asdf")
    }


def write_parameters(name, path):
    """
    Write a packaged parameter file out, with the value of each parameter.

    Raises ParameterError if there is none of this name, FileExistsError if the file is there: it may have
    been edited.
    """
    packaged = packaged_parameters()
    if name not in packaged:
        raise ParameterError(f"parameters {name!r} are not packaged: there are {', '.join(packaged)}")
    Step.from_config_file(str(packaged[name])).export_config(str(path), mark=None)
