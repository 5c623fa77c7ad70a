"""
Base classes of the steps: own products, errors in one line, no output of a failed run.

stpipe and jwst are written for the official pipeline: they know the official products only, and end any
error in a traceback.
"""

import inspect
import logging
import re
import sys
from pathlib import Path

from jwst.stpipe import Pipeline, Step
from stdatamodels.jwst.datamodels import JwstDataModel
from stpipe.exceptions import ValidationError
from threadpoolctl import threadpool_info, threadpool_limits

import jwst_fusion
from jwst_fusion import adapters, datamodels
from jwst_fusion.atomic import atomic_file, together
from jwst_fusion.exceptions import FusionError, InputError, ParameterError, one_line, user_problem
from jwst_fusion.limits import available_threads, check_working_folder
from jwst_fusion.ownership import check_own, is_utf8, product_mark

from .console import fewer_lines
from .crds import WithoutCrds
from .errors import Interrupted, as_exit_error, interruptible, parameter_problem

__all__ = ["BasePipeline", "BaseStep", "FusionStepMixin"]

log = logging.getLogger(__name__)

#: Class of the product that a step writes, by the ending of its name.
PRODUCTS = {
    "coreg": datamodels.CoregisteredModel,
    "xcal": datamodels.CrossCalibratedModel,
    "fused": datamodels.FusedCubeModel,
}

SUFFIXES = re.compile(r"^(?P<root>.+)(?P<separator>[_-])(coreg|xcal|fused|asn)$")


class FusionStepMixin(WithoutCrds):
    """
    Mixin of the steps and pipelines of this package, placed before stpipe's class.

    ``output_suffix`` is the ending of the names of the step's products, such as ``fused``.
    """

    spec = """
        max_memory = float(min=0.0, default=None)  # Memory that may be used [GiB]; None: four fifths of what is available
    """  # noqa: E501

    output_suffix = None
    _input_path = None

    @classmethod
    def _datamodels_open(cls, init, **kwargs):
        return datamodels.open(init, **kwargs)

    @classmethod
    def from_config_section(cls, config, parent=None, name=None, config_file=None):
        """Create a step as stpipe does; parameters that cannot be used are a ParameterError."""
        try:
            with fewer_lines():
                return super().from_config_section(config, parent=parent, name=name, config_file=config_file)
        except (ValidationError, AttributeError, TypeError) as error:
            label = cls.class_alias or cls.__name__
            reason = parameter_problem(error)
            cure = f"correct it; strun {label} --help lists the parameters"
            problem = as_exit_error(ParameterError(f"{label}: {reason}; {cure}"))
            log.error("%s", problem)
            raise problem from error

    def default_suffix(self):
        """Get the ending of the products' names: `output_suffix`, or what stpipe makes of the step's name."""
        return self.output_suffix or super().default_suffix()

    def remove_suffix(self, name):
        """Remove a known ending, of this package or the official pipeline: endings do not pile up."""
        match = SUFFIXES.match(name)
        if match:
            return match["root"], match["separator"]
        return super().remove_suffix(name)

    def open_model(self, init, **kwargs):
        """Open a file as stpipe does; raise InputError for one that no data model can hold."""
        try:
            return super().open_model(init, **kwargs)
        except FusionError:
            raise
        except Exception as error:
            name = Path(init).name if isinstance(init, str | Path) else type(init).__name__
            raise InputError(
                f"{name}: cannot be read as a JWST product ({one_line(error)}); make it again"
            ) from error

    def prepare_output(self, init, make_copy=None, **kwargs):
        """Open the input with the data model that wrote it; copy it, as stpipe does, if it is a model."""
        is_file = isinstance(init, str | Path)
        if is_file and Path(init).suffix != ".json" and not kwargs:
            return self.open_model(str(init))
        return super().prepare_output(init, make_copy=make_copy, **kwargs)

    def open_product(self, init, model_class, step):
        """Open the product of the step before, which may be changed; raise InputError if it is none."""
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

    def open_products(self, init, model_class, step):
        """
        Open the product of the step before, or the list of those of several cubes: a list of models.

        Raises InputError if one is not such a product, or one of several that belong together.
        """
        if isinstance(init, str | Path):
            init = self.whole_set(init, self.open_product(init, model_class, step))
        if not isinstance(init, list | tuple) or not init:
            init = [init]
        models = [self.open_product(each, model_class, step) for each in init]
        if len(models) != (models[0].meta.fusion.set_size or 1):
            raise InputError(adapters.refuse_part(models[0]) or f"{step}: one product at a time")
        if len(models) > 1:
            adapters.check_set(models)
        return models

    def whole_set(self, path, model):
        """
        Open what is fused together with a product: it and those of the other cubes, in files beside it.

        The product of a single cube is returned itself, several as a list, and they name the output. Raises
        InputError if one is missing, or of another run.
        """
        if (model.meta.fusion.set_size or 1) < 2:
            return model
        path = Path(self.make_input_path(str(path)))
        paths = adapters.rest_of_set(path, model)
        models = [model if each == path else self.open_model(str(each)) for each in paths]
        adapters.check_set(models)
        log.info("Together with %s", ", ".join(each.name for each in paths if each != path))
        owner = self.parent or self
        if owner.output_file is None:
            owner.output_file = f"{adapters.name_of_set(path, model)}.fits"
        self.check_outputs([each.meta.fusion.set_member for each in models], self.fused_names(models))
        return models

    def save_model(self, model, *args, **kwargs):
        """Save a product; one of several is named by its grating."""
        return super().save_model(model, *args, **self.named_by_grating(model, kwargs))

    @staticmethod
    def named_by_grating(model, options):
        """Put the grating of a product that is one of several in place of its number in the options."""
        if options.get("idx") is None or not isinstance(model, datamodels.FusionModel):
            return options
        return options | {"idx": model.meta.fusion.set_member}

    def given(self, *names):
        """Parameters by name; null in a parameter file, which stpipe does not check, is the default."""
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def export_config(self, filename, include_metadata=False, mark="class: jwst_fusion\\."):
        """Write the step's parameters as stpipe does, but whole or not at all (see `atomic_file`)."""
        with atomic_file(filename, mark=mark) as file:
            super().export_config(file, include_metadata=include_metadata)

    def check_outputs(self, members=(None,), gratings=(None,)):
        """
        Raise an InputError if an output would replace the input or what this package did not make.

        The products of several cubes are named by members, and the fused cubes by gratings.
        """
        outer = self.parent if isinstance(self.parent, FusionStepMixin) else self
        steps = [getattr(outer, name) for name in getattr(outer, "step_defs", {})]
        for step in (outer, *(step for step in steps if not step.skip)):
            if not (step.save_results or step.output_file) or step.output_suffix not in PRODUCTS:
                continue
            suffix = step.suffix or step.output_suffix  # a step that has not run would have its pipeline's
            for member in gratings if step.output_suffix == "fused" else members:
                path = Path(step.make_output_path(basepath=step.output_file, suffix=suffix, idx=member))
                if outer._input_path is not None and path.exists() and path.samefile(outer._input_path):
                    raise InputError(f"{path}: is the input and is not replaced; choose another output_file")
                check_own(path, mark=product_mark(PRODUCTS[step.output_suffix].__name__))
                if step.output_suffix == "fused" and step.report_options()[0]:
                    check_own(path.with_suffix(".html"))

    def fused_names(self, models):
        """
        Name the fused cubes that are made of the products of several cubes, by their gratings.

        None stands for the product of all wavelengths, and for that of one grating.
        """
        names = sorted({adapters.grating_name(model) for model in models})
        outer = self.parent if isinstance(self.parent, FusionStepMixin) else self
        fusion = getattr(outer, "fusion", outer)
        if len(names) == 1:
            return [None]
        return [*names, None] if getattr(fusion, "output_type", "band") == "multi" else names

    def run(self, *args):
        """
        Run the step on its input: path or data model.

        A FusionError that the outermost step raises is a `stpipe.exceptions.StpipeExitException` too, so that
        ``strun`` shows its message, not a traceback. Ctrl-C is a KeyboardInterrupt, at the command line exit
        status 130. An output name that ``process`` sets, and the input that names the output, hold for one
        run: the next run of the same step does not write over the product of the last.
        """
        if self.parent is not None:
            return super().run(*args)
        output_file = self.output_file
        if args:
            self._input_filename = None
        try:
            self._check_input(args)
            with fewer_lines(), _threads_as_granted(), together(), interruptible():
                result = super().run(*args)
        except KeyboardInterrupt as error:
            log.error("%s: interrupted; nothing was written", self.class_alias or self.name)
            if hasattr(sys, "ps1"):  # a prompt is to stay
                raise
            raise Interrupted(130) from error
        except BaseException as error:
            problem = user_problem(error)
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

    @property
    def memory_allowed(self):
        """Memory that may be used [GiB]: the step's ``max_memory``, or its pipeline's; None if not given."""
        own = self.max_memory
        return self.parent.memory_allowed if own is None and self.parent is not None else own

    def _check_input(self, args):
        """Check that the input is there, which stpipe reports with a traceback only."""
        label = self.class_alias or self.name
        check_working_folder()
        _check_text(self.get_pars())
        required = [
            parameter
            for parameter in inspect.signature(self.process).parameters.values()
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and parameter.default is parameter.empty
        ]
        if len(args) < len(required):
            raise InputError(f"{label}: no input was given; expected {', '.join(p.name for p in required)}")
        self._input_path = None
        if args and isinstance(args[0], str | Path):
            path = self._input_path = Path(self.make_input_path(str(args[0])))
            if not path.is_file():
                raise InputError(f"{path}: no such file; give {label} the path of its input")
        if (self.output_ext or ".fits").lstrip(".") not in ("fits", "asdf"):
            raise ParameterError(f"output_ext = {self.output_ext!r} cannot be written: use .fits or .asdf")
        if self._input_path is not None and self._input_path.suffix != ".json":
            self.set_primary_input(args[0])
            self.check_outputs()


class BaseStep(FusionStepMixin, Step):
    """A step of this package."""


class BasePipeline(FusionStepMixin, Pipeline):
    """A pipeline of this package."""


def _threads_as_granted():
    """Hold numerical libraries to the threads that this process is granted; more than they use is not."""
    threads = available_threads()
    return threadpool_limits(
        {pool["prefix"]: min(threads, pool["num_threads"]) for pool in threadpool_info()}
    )


def _check_text(parameters, path=""):
    """Check that a step's parameters, and those of its own steps, can be written into a product."""
    for name, value in parameters.items():
        if isinstance(value, dict):
            _check_text(value, f"{path}{name}.")
        elif isinstance(value, str) and not is_utf8(value):
            raise ParameterError(
                f"{path}{name} = {value!a} is not UTF-8 and cannot be stored in a header; choose another"
            )
