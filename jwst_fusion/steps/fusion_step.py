"""FusionStep: the fused cube."""

import logging

from jwst_fusion import adapters, datamodels
from jwst_fusion.crosscalib.factors import hold_out
from jwst_fusion.crosscalib.sets import hold_out_of_set
from jwst_fusion.inversion.fuse import FusionSettings, at_beam, fuse, seen_by_ifu
from jwst_fusion.inversion.sets import check_fusion_settings, fuse_set
from jwst_fusion.quality.diagnosis import diagnose
from jwst_fusion.quality.seams import measure_seams
from jwst_fusion.quality.validation import validate

from .base import BaseStep
from .optics import OpticsMixin
from .reporting import ReportMixin, tell_failure

__all__ = ["FusionStep"]

log = logging.getLogger(__name__)

#: Parameters that are settings as they are.
SETTINGS = ("n_components", "max_components", "tuning", "mu", "gamma", "regularization", "boundary",
            "weighting", "reweightings", "samples", "rtol", "max_iterations", "beam")  # fmt: skip


class FusionStep(ReportMixin, OpticsMixin, BaseStep):
    """
    Fuse a cross-calibrated NIRSpec cube with NIRCam images (paper, Appendix C).

    The input is a ``*_xcal.fits`` or its model, the product a
    `jwst_fusion.datamodels.FusedCubeModel`, suffix ``fused``.
    """

    class_alias = "fusion"
    output_suffix = "fused"
    reference_file_types = ["fusion_psf"]  # noqa: RUF012

    spec = """
        n_components = integer(min=1, default=None)  # Number of spectral components; None: from the noise level
        max_components = integer(min=1, default=12)  # Largest number of components that is chosen from the noise level
        tuning = option('variance_components', 'empirical_bayes', 'manual', default='variance_components')  # How the weights are determined
        mu = float(min=0.0, default=None)  # Factor of the regularization (with uniform weighting: its weight); None: from the tuning
        gamma = float(min=0.0, default=None)  # Weight of NIRSpec over NIRCam, relative to inverse variances; None: from the tuning
        regularization = option('nuclear', 'edge', 'sobolev', default='nuclear')  # Penalty on the gradients: nuclear norm, squares with less weight at edges of the images, or squares
        boundary = option('free', 'symmetric', default='free')  # Surroundings of the field: an unknown scene, or the mirrored data
        weighting = option('channel', 'voxel', 'uniform', default='channel')  # Noise of each channel and band, of each voxel and pixel, or the same for all
        reweightings = integer(min=0, default=2)  # Updates of the weights from the residuals
        samples = integer(min=0, max=1000, default=12)  # Number of draws for the errors; 0: errors of a field without masks and edges
        rtol = float(min=0.0, default=3e-4)  # Tolerance of the preconditioned residual
        max_iterations = integer(min=1, default=500)  # Largest number of iterations of each solution
        output_type = option('band', 'multi', default='band')  # Products of several cubes: a fused cube for each grating; multi: also one of all wavelengths
        beam = float(min=0.0, default=None)  # FWHM of the Gaussian beam of the fused cube [arcsec], BMAJ and BMIN; None: no beam
        save_report = boolean(default=True)  # Write the report, a page to explore and judge the fused cube, beside it
        save_figures = boolean(default=False)  # Also write the main figures of the report as PNG files
        held_out_filters = force_list(default=None)  # Filters that are excluded from the fit and predicted; each: every filter, one at a time
    """  # noqa: E501

    @property
    def most_components(self):
        """Largest number of components that the parameters allow."""
        return max(self.n_components or 0, self.max_components or FusionSettings().max_components)

    def process(self, input_data):
        """
        Fuse.

        Parameters
        ----------
        input_data : str, path-like, CrossCalibratedModel or list of CrossCalibratedModel
            Product of the cross_calib step.

        Returns
        -------
        FusedCubeModel or list of FusedCubeModel
            The fused cube; for each grating if several cubes are fused.
        """
        held_out = [name.strip() for name in self.held_out_filters or ()]
        settings = FusionSettings(leave_each_out=held_out == ["each"], **self.given(*SETTINGS))
        models = self.open_products(input_data, datamodels.CrossCalibratedModel, "cross_calib")
        model = models[0]
        optics = self.resolve_optics(model)
        if len(models) > 1:
            return self._fuse_set(models, optics, settings, held_out)
        observation = adapters.observation(model, optics)
        if not settings.leave_each_out:
            observation = hold_out(observation, held_out)
        adapters.refuse_too_large(observation, self.most_components, self.memory_allowed)
        return self._product(observation, fuse(observation, settings), model, optics)

    def _product(self, observation, fused, model, optics):
        """Compare a fused cube with what it was made of, and put it into a product."""
        seen = seen_by_ifu(observation, fused)
        validation = validate(observation, fused, seen)
        diagnosis = _diagnosis(observation, fused, seen)
        del seen  # the cube is most of the memory
        fused = at_beam(fused, observation.grid.cell_size)
        result = adapters.fused_model(observation, fused, validation, model, self.search_attr("output_dir"))
        self.record_optics(result, optics)
        if diagnosis is not None:
            adapters.store_diagnosis(result, diagnosis)
        log.info("%s", validation.table())
        result.meta.cal_step.fusion = "COMPLETE"
        return result

    def _fuse_set(self, models, optics, settings, held_out):
        """Fuse several cubes in one inversion; a product for each grating."""
        check_fusion_settings(settings)
        observations = adapters.set_observations(models, optics)
        observations = hold_out_of_set(observations, held_out)
        whole = self.output_type == "multi"
        adapters.refuse_large_set(observations, self.most_components, self.memory_allowed, whole=whole)
        gratings = fuse_set(observations, settings)
        tables = adapters.set_tables(observations, models, measure_seams(observations, gratings))
        names = adapters.name_gratings(models, [each.members for each in gratings])
        adapters.release_cubes(models)
        observations.clear()  # the products need the memory
        results = []
        for name in names:
            each = gratings.pop(0)
            log.info("%s:", name)
            result = self._product(each.observation, each.result, models[each.members[0]], optics)
            sources = [models[i] for i in each.members]
            adapters.store_set(result, name, tables, sources)
            results.append(result)
        if whole and len(results) > 1:
            results.append(adapters.whole_range_model(results, self.search_attr("output_dir")))
        return results


def _diagnosis(observation, fused, seen):
    """Find what a report needs; None if that fails: the product can be made without."""
    try:
        return diagnose(observation, fused, seen)
    except Exception as error:  # noqa: BLE001 - whatever it is, the fused cube is worth more
        tell_failure("What the report shows of the residuals", error)
        return None
