"""
The ground of the package's steps: stpipe without CRDS, errors in one line, no output of a failed run.

stpipe and jwst are written for the official pipeline: they ask CRDS for parameters and reference
files, know the official products only, and end any error in a traceback.
"""

import functools
import inspect
import logging
import re
from copy import deepcopy
from pathlib import Path

import jwst
from jwst.stpipe import Pipeline, Step
from stdatamodels.jwst.datamodels import JwstDataModel
from stpipe.exceptions import StpipeExitException, ValidationError

import jwst_fusion
from jwst_fusion import datamodels
from jwst_fusion.exceptions import FusionError, InputError, ParameterError

__all__ = ["BasePipeline", "BaseStep", "FusionStepMixin", "as_exit_error"]

log = logging.getLogger(__name__)

SUFFIXES = re.compile(r"^(?P<root>.+)(?P<separator>[_-])(coreg|xcal|fused|asn)$")


class FusionStepMixin:
    """
    What stands before `jwst.stpipe.Step` or `jwst.stpipe.Pipeline` in a step of this package.

    Attributes
    ----------
    output_suffix : str or None
        Ending of the names of the step's products, such as ``fused``.
    """

    prefetch_references = False
    output_suffix = None

    @classmethod
    def get_config_from_reference(cls, dataset, disable=None, crds_observatory=None):
        """
        Give no parameters: CRDS has none for these steps, and is not asked.

        Parameters
        ----------
        dataset, disable, crds_observatory : object
            As in stpipe; not used.

        Returns
        -------
        config : ConfigObj
            Empty.
        """
        return cls._empty_config()

    @classmethod
    def _get_crds_parameters(cls, dataset):
        return {}, "jwst"

    @classmethod
    def _datamodels_open(cls, init, **kwargs):
        return datamodels.open(init, **kwargs)

    @classmethod
    def from_config_section(cls, config, parent=None, name=None, config_file=None):
        """
        Create a step from its parameters.

        Parameters
        ----------
        config : ConfigObj
            Parameters.
        parent : Step, optional
            The pipeline of the step.
        name, config_file : str, optional
            Name of the step; file of the parameters.

        Returns
        -------
        step : FusionStepMixin
            The step.

        Raises
        ------
        ParameterError
            If a parameter is unknown or has a wrong value.
        """
        try:
            return super().from_config_section(config, parent=parent, name=name, config_file=config_file)
        except ValidationError as error:
            label = cls.class_alias or cls.__name__
            problem = as_exit_error(ParameterError(f"{label}: {_one_line(error)}"))
            log.error("%s", problem)
            raise problem from error

    @staticmethod
    def get_stpipe_loggers():
        """
        Get the names of the loggers that stpipe configures: the official ones and this package's.

        Returns
        -------
        loggers : tuple of str
            Names.
        """
        return (*Step.get_stpipe_loggers(), "jwst_fusion")

    def get_reference_file(self, input_file, reference_file_type):
        """
        Get a reference file: the override of the user, or none. CRDS is not asked.

        Parameters
        ----------
        input_file : object
            As in stpipe; not used.
        reference_file_type : str
            Type of the file, such as ``fusion_psf``.

        Returns
        -------
        reference_file : str or DataModel
            Path of the override, or ``"N/A"``, which stands for what the package brings.

        Raises
        ------
        ParameterError
            If the override is not a file.
        """
        override = self.get_ref_override(reference_file_type)
        if isinstance(override, str):
            override = override.strip()
        if not override or override == "N/A":
            reference, recorded = "N/A", "N/A"
        elif isinstance(override, JwstDataModel):
            reference, recorded = override, override.override_handle
        elif Path(override).is_file():
            reference, recorded = override, Path(override).name
        else:
            raise ParameterError(
                f"override_{reference_file_type}: {override} is not a file; give the path of a file, "
                "or leave the parameter out to use what the package brings"
            )
        self._reference_files_used.append((reference_file_type, recorded))
        return reference

    def finalize_result(self, result, reference_files_used):
        """
        Write versions, reference files and log into a product.

        Parameters
        ----------
        result : object
            Result of the step; changed if it is a data model.
        reference_files_used : list of tuple
            Type and name of each reference file.
        """
        if not isinstance(result, JwstDataModel):
            return
        result.meta.calibration_software_version = jwst.__version__
        result.meta.calibration_software_revision = jwst.__version_commit__ or "RELEASE"
        if isinstance(result, datamodels.FusionModel):
            result.meta.fusion.version = jwst_fusion.__version__
        for reference_type, name in reference_files_used:
            entry = getattr(result.meta.ref_file, reference_type, None)
            if entry is not None:
                entry.name = name
        if not self.class_alias:
            return
        if not hasattr(result, "cal_logs"):
            result.cal_logs = {}
        if self.parent is None or not self.parent.class_alias:
            setattr(result.cal_logs, self.class_alias, self._log_records)
        else:
            setattr(result.cal_logs, self.parent.class_alias, deepcopy(self.parent.log_records))

    def default_suffix(self):
        """
        Get the ending of the names of the products.

        Returns
        -------
        suffix : str
            `output_suffix`, or what stpipe makes of the step's name.
        """
        return self.output_suffix or super().default_suffix()

    def remove_suffix(self, name):
        """
        Remove the ending of a name of a product, so that endings do not pile up.

        Parameters
        ----------
        name : str
            Name of a file, without extension.

        Returns
        -------
        name : str
            Name without a known ending (of this package, an association or the official pipeline).
        separator : str
            What stood before the ending.
        """
        match = SUFFIXES.match(name)
        if match:
            return match["root"], match["separator"]
        return super().remove_suffix(name)

    def open_model(self, init, **kwargs):
        """
        Open a file with the data model that wrote it.

        Parameters
        ----------
        init : str, path-like or DataModel
            The input.
        **kwargs
            Passed on to the class of the model.

        Returns
        -------
        model : DataModel
            The model.

        Raises
        ------
        InputError
            If the file is not one that a data model can hold.
        """
        try:
            return super().open_model(init, **kwargs)
        except FusionError:
            raise
        except Exception as error:
            name = Path(init).name if isinstance(init, str | Path) else type(init).__name__
            raise InputError(
                f"{name}: can not be read as a JWST product ({_one_line(error)}); make it again"
            ) from error

    def prepare_output(self, init, make_copy=None, **kwargs):
        """
        Open the input with the data model that wrote it; copy it if it is a model.

        Parameters
        ----------
        init : str, path-like or DataModel
            The input.
        make_copy : bool, optional
            As in `jwst.stpipe.Step.prepare_output`.
        **kwargs
            Passed on to `jwst.stpipe.Step.prepare_output`.

        Returns
        -------
        model : DataModel
            The model, which may be changed.
        """
        is_file = isinstance(init, str | Path)
        if is_file and Path(init).suffix != ".json" and not kwargs:
            return self.open_model(str(init))
        return super().prepare_output(init, make_copy=make_copy, **kwargs)

    def open_product(self, init, model_class, step):
        """
        Open the product of the step before.

        Parameters
        ----------
        init : str, path-like or DataModel
            The input.
        model_class : type
            Class of the product.
        step : str
            Name of the step that makes it.

        Returns
        -------
        model : DataModel
            The model, which may be changed.

        Raises
        ------
        InputError
            If the input is not such a product.
        """
        is_file = isinstance(init, str | Path)
        if (is_file and Path(init).suffix != ".json") or isinstance(init, JwstDataModel):
            model = self.prepare_output(init)
            if isinstance(model, model_class):
                return model
            name = model.meta.filename or type(model).__name__
            if is_file:
                model.close()
        else:
            name = Path(init).name if is_file else type(init).__name__
        raise InputError(f"{name}: not a product of the {step} step; run {step} first")

    def record_output(self, path):
        """
        Note a file that the run has written, to be removed if the run fails in the end.

        Parameters
        ----------
        path : str or path-like
            Path of the file.
        """
        self.__dict__.setdefault("_written", set()).add(Path(path).absolute())

    def save_model(self, model, *args, **kwargs):
        """
        Save a product under the name that stpipe gives it.

        Parameters
        ----------
        model : DataModel
            The product.
        *args, **kwargs
            Passed on to `jwst.stpipe.Step.save_model`.

        Returns
        -------
        output_path : str or None
            Path of the file; None if the step does not save.
        """
        output_path = super().save_model(model, *args, **kwargs)
        if isinstance(output_path, str):
            self.record_output(output_path)
        return output_path

    def run(self, *args):
        """
        Run the step.

        Parameters
        ----------
        *args
            Input of the step: path or data model.

        Returns
        -------
        result : object
            What ``process`` returns.

        Raises
        ------
        FusionError
            If the input or the parameters can not be used. Raised by the outermost step it is a
            `stpipe.exceptions.StpipeExitException` too, so that ``strun`` shows its message, not a
            traceback.

        Notes
        -----
        An output name that ``process`` sets, and the input that names the output, hold for one run: the
        next run of the same step does not write over the product of the last.
        """
        if self.parent is not None:
            return super().run(*args)
        self._written = set()
        output_file = self.output_file
        if args:
            self._input_filename = None
        try:
            self._check_input(args)
            result = super().run(*args)
        except BaseException as error:
            self._remove_outputs()
            problem = _user_problem(error)
            if problem is None:
                raise
            exit_error = as_exit_error(problem)
            log.error("%s", exit_error)
            log.debug("The error came from here:", exc_info=True)
            raise exit_error from error
        finally:
            self.output_file = output_file
        log.info("Results used jwst_fusion version: %s", jwst_fusion.__version__)
        return result

    def _check_input(self, args):
        """Complain about an input that is not there, before stpipe stumbles over it."""
        label = self.class_alias or self.name
        required = [
            parameter
            for parameter in inspect.signature(self.process).parameters.values()
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and parameter.default is parameter.empty
        ]
        if len(args) < len(required):
            raise InputError(f"{label}: no input was given; expected {', '.join(p.name for p in required)}")
        if args and isinstance(args[0], str | Path):
            path = self.make_input_path(str(args[0]))
            if not Path(path).is_file():
                raise InputError(f"{path}: no such file; give {label} the path of its input")
        if (self.output_ext or ".fits").lstrip(".") not in ("fits", "asdf"):
            raise ParameterError(f"output_ext = {self.output_ext!r} can not be written: use .fits or .asdf")

    def _remove_outputs(self):
        """Remove what this step wrote in a run that failed."""
        for path in sorted(self._written):
            path.unlink(missing_ok=True)
            log.info("Removed %s: the run failed", path.name)
        self._written = set()


class BaseStep(FusionStepMixin, Step):
    """A step of this package."""


class BasePipeline(FusionStepMixin, Pipeline):
    """A pipeline of this package."""


def as_exit_error(error):
    """
    Make an error one that stpipe shows in one line.

    Parameters
    ----------
    error : FusionError
        The error.

    Returns
    -------
    exit_error : FusionError and StpipeExitException
        Of the kind of ``error``, with its message and exit status.
    """
    if isinstance(error, StpipeExitException):
        return error
    return _exit_class(type(error))(_one_line(error), error.exit_status)


@functools.cache
def _exit_class(kind):
    """Class of the errors that are of this kind and a StpipeExitException."""

    def __init__(self, message, exit_status):
        Exception.__init__(self, message)
        self._exit_status = exit_status
        self.__dict__["exit_status"] = exit_status

    def __reduce__(self):
        return _rebuild, (kind, str(self), self._exit_status)

    members = {"__init__": __init__, "__reduce__": __reduce__, "__module__": kind.__module__}
    return type(kind.__name__, (kind, StpipeExitException), members)


def _rebuild(kind, message, exit_status):
    """Make an error again after it was pickled."""
    return _exit_class(kind)(message, exit_status)


def _user_problem(error):
    """Get the FusionError that tells the user what is wrong; None for an error of the program."""
    if isinstance(error, FusionError):
        return error
    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
        return InputError(f"{error.filename}: {error.strerror}; check the path and its permissions")
    return None


def _one_line(error):
    """Text of an error without line breaks."""
    return " ".join(str(error).split())
