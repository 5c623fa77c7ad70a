"""Parameters and reference files by which a step learns of PSFs and throughputs."""

import logging
from contextlib import contextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from jwst_fusion import adapters
from jwst_fusion.exceptions import ParameterError
from jwst_fusion.optics import stpsf_source
from jwst_fusion.optics.retrieval.measure import measure_psf
from jwst_fusion.optics.sources import choose_source, with_measured
from jwst_fusion.optics.throughput import channel, read_throughputs

__all__ = ["OpticsMixin", "shared_optics"]

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
    """Mixin of a step that needs PSFs and throughputs."""

    reference_file_types = ["fusion_psf", "fusion_throughput"]  # noqa: RUF012

    spec = """
        psf_source = option('auto', 'measured', 'stpsf', 'analytic', 'library', default='auto')  # Source of the PSFs; auto: the library of override_fusion_psf, else measured on stars of the images, else STPSF if STPSF_PATH has its data, else analytic
        wavefront_rms = float(min=0.0, default=None)  # Wavefront error of the analytic PSFs [nm]; None: 69.6 short, 95.7 long channel
        ifu_blur = float(min=0.0, default=None)  # Sigma of a Gaussian for the IFU's slices, pixels and spaxels [arcsec]; None: boxes
    """  # noqa: E501

    _resolved = None  # what the steps of a running pipeline share

    def resolve_optics(self, model, cube=None, images=None):
        """
        Find the optics of the products, and log their source; in a pipeline the first step does so for all.

        The model states the grating. PSFs are measured on cube and images, which are whole products, if they
        are given, and else taken from what a step before has measured. Raises FusionError if they cannot be
        used.
        """
        given = {kind: self.get_reference_file(model, kind) for kind in self.reference_file_types}
        given = {kind: path for kind, path in given.items() if path != "N/A"}
        if self._resolved:
            return self._resolved[0]
        source = choose_source(
            self.psf_source or "auto",
            given.get("fusion_psf"),
            wavefront_rms=self.wavefront_rms,
            ifu_blur=self.ifu_blur,
        )
        if "fusion_psf" not in given and self.psf_source in ("auto", "measured", None):
            measured = adapters.measured_psfs(model) if images is None else _measure(images, cube, source)
            source = with_measured(source, measured)
        optics = adapters.Optics(source, _throughputs(given.get("fusion_throughput")))
        if source.name == "stpsf":
            optics = replace(
                optics, source=replace(source, key=f"{source.key}, {optics.of_cube(model).psf.key}")
            )
        log.info("PSFs: %s (%s)", optics.source.name, optics.source.key)
        if self._resolved is not None:
            self._resolved.append(optics)
        return optics

    @staticmethod
    def record_optics(result, optics):
        """Write the source of the PSFs into a product."""
        source = optics.source
        result.set_fusion(psf_source=source.name, psf_key=source.key)
        adapters.store_measured_psfs(result, source.measured)
        if source.name == "stpsf":
            result.set_fusion(
                stpsf_version=metadata.version("stpsf"), stpsf_data_version=stpsf_source.data_version()
            )


def _measure(images, cube, source):
    """Measure PSFs on the stars of whole images, channel by channel."""
    channels = {}
    for image in images:
        channels.setdefault(channel(image.filter), []).append(image)
    measured = [
        measure_psf(part, source.nircam_optics, moving=cube.moving, cube=cube) for part in channels.values()
    ]
    return [m for m in measured if m is not None]


def _throughputs(path):
    """Read the throughputs of a user's file; none without one."""
    if path is None:
        return {}
    throughputs = read_throughputs(path)
    log.info("Throughputs of %s from %s", ", ".join(throughputs), Path(path).name)
    return throughputs


@contextmanager
def shared_optics(steps):
    """
    Let the PSFs and throughputs that one step is given hold for all while they run, and be resolved once.

    Raises ParameterError if two steps are given different values.
    """
    before = []
    for name, none in SHARED.items():
        takers = [step for step in steps if hasattr(step, name)]
        given = {str(getattr(step, name)): getattr(step, name) for step in takers}
        given = {text: value for text, value in given.items() if value not in (none, None, "", "N/A")}
        if len(given) > 1:
            raise ParameterError(
                f"{name} = {' and '.join(given)}: all steps must use the same; give it to only one of them"
            )
        for value in given.values():
            before += [(step, name, getattr(step, name)) for step in takers]
            for step in takers:
                setattr(step, name, value)
    resolved = []
    for step in steps:
        step._resolved = resolved
    try:
        yield
    finally:
        for step in steps:
            step._resolved = None
        for step, name, value in before:
            setattr(step, name, value)
