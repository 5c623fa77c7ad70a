"""What each product was seen through: PSFs of a source, and throughputs of a user's file."""

from dataclasses import asdict, replace

import numpy as np

from jwst_fusion.optics.retrieval.measure import MeasuredPsf
from jwst_fusion.optics.telescope import Wavefront

__all__ = ["attach_optics", "attach_throughputs", "measured_psfs", "store_measured_psfs"]


def store_measured_psfs(model, measured):
    """
    Put PSFs that were measured on stars into a product, for the steps that follow.

    Parameters
    ----------
    model : FusionModel
        The product.
    measured : sequence of MeasuredPsf
        What was measured, a channel each.
    """
    rows = [asdict(m) | {"amplitudes": m.amplitudes.tolist(), "pictures": {}} for m in measured]
    for row in rows:
        row["excess"] = {band: list(moments) for band, moments in row["excess"].items()}
    model.meta.fusion.psf_measured = rows


def measured_psfs(model):
    """
    Take PSFs that were measured on stars out of a product.

    Parameters
    ----------
    model : FusionModel
        The product of a step.

    Returns
    -------
    list of MeasuredPsf
        What was measured, a channel each.
    """
    found = []
    for stored in model.meta.fusion.instance.get("psf_measured") or ():
        row = dict(stored)
        row["statistics"] = Wavefront(**row["statistics"])
        row["amplitudes"] = np.array(row["amplitudes"], dtype=float)
        row["excess"] = {band: tuple(moments) for band, moments in row["excess"].items()}
        found.append(MeasuredPsf(**row))
    return found


def attach_optics(cube, images, model, source):
    """
    Attach the optics to a cube and images.

    Parameters
    ----------
    cube : CubeProduct or CubeData
        The cube.
    images : sequence of ImageProduct or BandImage
        The images.
    model : DataModel
        Model that states the cube's grating, filter, detector and date.
    source : jwst_fusion.optics.sources.PsfSource
        Source of the PSFs.

    Returns
    -------
    cube : CubeProduct or CubeData
        The cube with its optics.
    images : list of ImageProduct or BandImage
        The images with theirs.

    Raises
    ------
    FusionError
        The source has no PSFs for one of them.
    """
    stated = model.meta.instrument
    optics = source.nirspec(
        grating=stated.grating or "",
        filter=stated.filter or "",
        detector=stated.detector or "",
        date=model.meta.observation.date or "",
    )
    seen = [
        replace(
            image,
            optics=source.nircam(
                filter=image.filter, module=image.module, detector=image.detector, date=image.date
            ),
        )
        for image in images
    ]
    return replace(cube, optics=optics), seen


def attach_throughputs(images, throughputs):
    """
    Attach the throughputs of a user's file to the images.

    Parameters
    ----------
    images : sequence of ImageProduct or BandImage
        The images.
    throughputs : dict of dict of Throughput
        What `jwst_fusion.optics.throughput.read_throughputs` gives.

    Returns
    -------
    list of ImageProduct or BandImage
        The images; those of other bands as they are.
    """
    return [
        replace(image, throughput=throughputs[image.filter][image.module.strip().upper()])
        if image.filter in throughputs
        else image
        for image in images
    ]
