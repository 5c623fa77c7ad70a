"""Optics of each product: PSFs of a source, and throughputs of a user's file."""

from dataclasses import asdict, dataclass, field, replace

import numpy as np

from jwst_fusion.optics.retrieval.measure import MeasuredPsf
from jwst_fusion.optics.sources import PsfSource
from jwst_fusion.optics.telescope import Wavefront

__all__ = ["Optics", "measured_psfs", "store_measured_psfs"]


def store_measured_psfs(model, measured):
    """Put the PSFs that were measured on stars, one for each channel, into a product."""
    rows = [asdict(m) | {"amplitudes": m.amplitudes.tolist(), "pictures": {}} for m in measured]
    for row in rows:
        row["excess"] = {band: list(moments) for band, moments in row["excess"].items()}
    model.meta.fusion.psf_measured = rows


def measured_psfs(model):
    """Take the PSFs that were measured on stars, a list of MeasuredPsf, out of a product."""
    found = []
    for stored in model.meta.fusion.instance.get("psf_measured") or ():
        row = dict(stored)
        row["statistics"] = Wavefront(**row["statistics"])
        row["amplitudes"] = np.array(row["amplitudes"], dtype=float)
        row["excess"] = {band: tuple(moments) for band, moments in row["excess"].items()}
        found.append(MeasuredPsf(**row))
    return found


@dataclass(frozen=True, eq=False)
class Optics:
    """Optics of the products of one fusion, resolved once and carried from step to step."""

    source: PsfSource  # of the PSFs, identified by its key
    throughputs: dict = field(default_factory=dict)  # those of a user's file, a Throughput by band and module

    def of_cube(self, model):
        """Find the IFUOptics of what a model states; raise FusionError if the source has no PSFs for it."""
        stated = model.meta.instrument
        return self.source.nirspec(
            grating=stated.grating or "",
            filter=stated.filter or "",
            detector=stated.detector or "",
            date=model.meta.observation.date or "",
        )

    def of_image(self, *, filter, module, detector, date):
        """Find ``optics`` and ``throughput`` of an image; raise FusionError if the source has no PSFs."""
        curves = self.throughputs.get(filter)
        return {
            "optics": self.source.nircam(filter=filter, module=module, detector=detector, date=date),
            "throughput": None if curves is None else curves[module.strip().upper()],
        }

    def attach(self, cube, images, model):
        """Return a copy of the cube and a list of copies of the images, with their optics."""
        seen = [
            replace(i, **self.of_image(filter=i.filter, module=i.module, detector=i.detector, date=i.date))
            for i in images
        ]
        return replace(cube, optics=self.of_cube(model)), seen
