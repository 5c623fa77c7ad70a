"""Steps without CRDS, which stpipe asks for parameters and reference files: they are the user's, or none."""

from copy import deepcopy
from pathlib import Path

import jwst
from jwst.stpipe import Pipeline, Step
from stdatamodels.jwst.datamodels import JwstDataModel

import jwst_fusion
from jwst_fusion import datamodels
from jwst_fusion.exceptions import ParameterError

from .provenance import record_parameters, record_warnings

__all__ = ["WithoutCrds"]


class WithoutCrds:
    """Mixin of a step or pipeline, placed before stpipe's class, in place of what that does by CRDS."""

    prefetch_references = False

    @classmethod
    def get_config_from_reference(cls, dataset, disable=None, crds_observatory=None):
        """Return no parameters: CRDS has none for these steps and is not queried."""
        return cls._empty_config()

    @classmethod
    def _get_crds_parameters(cls, dataset):
        return {}, "jwst"

    @staticmethod
    def get_stpipe_loggers():
        """Name the loggers that stpipe configures: the official ones and this package's."""
        return (*Step.get_stpipe_loggers(), "jwst_fusion")

    def get_reference_file(self, input_file, reference_file_type):
        """Get the override of the user, which has to be a file, or ``"N/A"`` for what the package brings."""
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
                "or leave the parameter out to use the packaged one"
            )
        self._reference_files_used.append((reference_file_type, recorded))
        return reference

    def finalize_result(self, result, reference_files_used):
        """Write versions, reference files and log into a product."""
        if not isinstance(result, JwstDataModel):
            return
        result.meta.calibration_software_version = jwst.__version__
        result.meta.calibration_software_revision = jwst.__version_commit__ or "RELEASE"
        if isinstance(result, datamodels.FusionModel):
            result.meta.fusion.version = jwst_fusion.__version__
            record_warnings(result, (self.parent or self)._log_records)
            if not (self.skip or isinstance(self, Pipeline)):
                record_parameters(result, self)
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
