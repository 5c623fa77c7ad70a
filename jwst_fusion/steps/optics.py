"""Parameters and reference files by which a step learns of PSFs and throughputs."""

import logging
from contextlib import contextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from jwst_fusion import adapters
from jwst_fusion.datamodels import CoregisteredModel
from jwst_fusion.exceptions import ParameterError
from jwst_fusion.optics import stpsf_source
from jwst_fusion.optics.retrieval.measure import measure_psf
from jwst_fusion.optics.sources import choose_source, with_measured
from jwst_fusion.optics.throughput import channel, read_throughputs

__all__ = ["OpticsMixin", "ThroughputMixin", "shared_optics"]

log = logging.getLogger(__name__)

#: Parameters that have to be the same in all steps, with the value that stands for not given.
SHARED = {
    "psf_source": "auto",
    "wavefront_rms": None,
    "ifu_blur": None,
    "override_fusion_psf": None,
    "override_fusion_throughput": None,
}


class OpticsMixin:
    """Mixin of a step that needs PSFs."""

    reference_file_types = ["fusion_psf"]  # noqa: RUF012

    spec = """
        psf_source = option('auto', 'measured', 'stpsf', 'analytic', 'library', default='auto')  # Source of the PSFs; auto: the library of override_fusion_psf, else measured on stars of the images, else STPSF if STPSF_PATH has its data, else analytic
        wavefront_rms = float(min=0.0, default=None)  # Wavefront error of the analytic PSFs [nm]; None: 69.6 short, 95.7 long channel
        ifu_blur = float(min=0.0, default=None)  # Sigma of a Gaussian for the IFU's slices, pixels and spaxels [arcsec]; None: boxes
    """  # noqa: E501

    def attach_optics(self, cube, images, model):
        """
        Choose the source of the PSFs, tell, and give cube and images the optics that they were seen through.

        Parameters
        ----------
        cube : CubeProduct or CubeData
            The cube.
        images : sequence of ImageProduct or BandImage
            The images.
        model : DataModel
            Model of the cube, input of the step.

        Returns
        -------
        cube : CubeProduct or CubeData
            The cube with its optics.
        images : list of ImageProduct or BandImage
            The images with theirs.
        source : PsfSource
            The source; its key tells the cube's PSFs from others.

        Raises
        ------
        FusionError
            The source cannot be used.
        """
        library = self.get_reference_file(model, "fusion_psf")
        source = choose_source(
            self.psf_source or "auto",
            None if library == "N/A" else library,
            wavefront_rms=self.wavefront_rms,
            ifu_blur=self.ifu_blur,
        )
        if library == "N/A" and self.psf_source in ("auto", "measured", None):
            source = with_measured(source, self._measured(cube, images, model, source))
        cube, images = adapters.attach_optics(cube, images, model, source)
        if source.name == "stpsf":
            source = replace(source, key=f"{source.key}, {cube.optics.psf.key}")
        log.info("PSFs: %s (%s)", source.name, source.key)
        return cube, images, source

    @staticmethod
    def _measured(cube, images, model, source):
        """PSFs measured on stars: by the step before, or of whole images now."""
        if isinstance(model, CoregisteredModel):
            return adapters.measured_psfs(model)
        moving = str(model.meta.target.type).upper() == "MOVING"
        channels = {}
        for image in images:
            channels.setdefault(channel(image.filter), []).append(image)
        measured = [
            measure_psf(part, source.nircam_optics, moving=moving, cube=cube) for part in channels.values()
        ]
        return [m for m in measured if m is not None]

    def seen_through(self, observation, model):
        """
        Attach the optics to an observation.

        Parameters
        ----------
        observation : Observation
            Taken from the product of a step.
        model : CoregisteredModel
            That product.

        Returns
        -------
        observation : Observation
            With optics. Blurs that were measured against other PSFs are not kept.
        source : PsfSource
            Source of the PSFs.

        Raises
        ------
        FusionError
            The source cannot be used.
        """
        cube, bands, source = self.attach_optics(observation.cube, observation.bands, model)
        before = model.meta.fusion.psf_key
        if before is not None and before != source.key:
            log.warning(
                "The images were aligned with the PSFs %s, and here they are %s: blurs as measured "
                "then are not used. Give all steps the same PSFs",
                before, source.key,
            )  # fmt: skip
            cube = replace(cube, excess_blur=(0.0, 0.0))
            bands = [replace(band, excess_blur=0.0) for band in bands]
        return replace(observation, cube=cube, bands=tuple(bands)), source

    @staticmethod
    def record_source(result, source):
        """
        Write the source of the PSFs into a product.

        Parameters
        ----------
        result : FusionModel
            The product.
        source : PsfSource
            Source of the PSFs.
        """
        result.set_fusion(psf_source=source.name, psf_key=source.key)
        adapters.store_measured_psfs(result, source.measured)
        if source.name == "stpsf":
            result.set_fusion(
                stpsf_version=metadata.version("stpsf"), stpsf_data_version=stpsf_source.data_version()
            )


class ThroughputMixin:
    """Mixin of a step that also needs throughputs."""

    reference_file_types = ["fusion_psf", "fusion_throughput"]  # noqa: RUF012

    def throughputs_of(self, model):
        """
        Read the user's throughputs.

        Parameters
        ----------
        model : DataModel
            Input of the step.

        Returns
        -------
        dict of dict of Throughput
            By band and module; empty if the user gives none.

        Raises
        ------
        InputError
            The file cannot be used.
        """
        path = self.get_reference_file(model, "fusion_throughput")
        if path == "N/A":
            return {}
        throughputs = read_throughputs(path)
        log.info("Throughputs of %s from %s", ", ".join(throughputs), Path(path).name)
        return throughputs


@contextmanager
def shared_optics(steps):
    """
    Let what one step is given of PSFs and throughputs hold for all, while they run.

    Parameters
    ----------
    steps : sequence of Step
        Steps of a pipeline.

    Raises
    ------
    ParameterError
        Two steps are given different values.
    """
    before = []
    for name, none in SHARED.items():
        takers = [step for step in steps if hasattr(step, name)]
        given = {str(getattr(step, name)): getattr(step, name) for step in takers}
        given = {text: value for text, value in given.items() if value not in (none, None, "", "N/A")}
        if len(given) > 1:
            raise ParameterError(
                f"{name} = {' and '.join(given)}: the steps have to use the same; give it to one of them"
            )
        for value in given.values():
            before += [(step, name, getattr(step, name)) for step in takers]
            for step in takers:
                setattr(step, name, value)
    try:
        yield
    finally:
        for step, name, value in before:
            setattr(step, name, value)
