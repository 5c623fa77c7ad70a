"""``jwst-fusion psf --from-images``: PSFs measured on the stars of images."""

from functools import partial

__all__ = ["measure"]


def measure(files, path):
    """
    Measure PSFs on the stars of NIRCam images, write them beside and into the library, and print the paths.

    Raises InputError if none could be measured; raise ParameterError if a file is there already.
    """
    from jwst_fusion import adapters
    from jwst_fusion.atomic import together
    from jwst_fusion.exceptions import InputError, ParameterError
    from jwst_fusion.optics.library import write_library
    from jwst_fusion.optics.retrieval.measure import measure_psf
    from jwst_fusion.optics.throughput import channel

    if path.suffix.lower() != ".asdf":
        raise ParameterError(f"{path}: a library is an .asdf file; give it another name")
    with adapters.open_images(files) as models:
        images = [adapters.image_product(model) for model in models]
        bands = [image.filter for image in images]
        twice = next((image for image in images if bands.count(image.filter) > 1), None)
        if twice is not None:
            raise ParameterError(
                f"{twice.name}: one of {bands.count(twice.filter)} images of {twice.filter}; give "
                "one image of each band"
            )
        parts = {}
        for image in images:
            parts.setdefault(channel(image.filter), []).append(image)
        moving = any(str(model.meta.target.type).upper() == "MOVING" for model in models)
        measured = {split: measure_psf(part, moving=moving) for split, part in parts.items()}
        found = {split: result for split, result in measured.items() if result is not None}
        if not found:
            raise InputError(
                f"{', '.join(image.name for image in images)}: no PSF can be measured on their stars; use "
                "images of a wider field, or the PSFs of STPSF"
            )
        outputs = _outputs(path, found, parts)
        there = [output for output in (path, *outputs) if output.exists()]
        if there:
            raise ParameterError(f"{there[0]}: exists already; give the library another name")
        with together():
            write_library(path, [entry for split in found for entry in _entries(found[split], parts[split])])
            for output, write in outputs.items():
                write(output)
        print(path, *outputs, sep="\n")


def _outputs(path, found, parts):
    """Files to write beside the library, each with the function that does it."""
    from jwst_fusion.optics.analytic import NIRCamOptics
    from jwst_fusion.optics.library import write_cube, write_epsf
    from jwst_fusion.optics.retrieval.measure import OVERSAMPLING, band_psf

    outputs = {}
    for split, measured in found.items():
        bands = {}
        for image in parts[split]:
            seen = measured.nircam(image.filter, NIRCamOptics())
            psf, assumed = (band_psf(image, optics) for optics in (seen, NIRCamOptics()))
            bands[image.filter] = psf, assumed, image.image_pixel / OVERSAMPLING
            name = f"{path.stem}_{image.filter.lower()}"
            outputs[path.with_name(f"{name}_epsf.fits")] = partial(
                write_epsf, image=psf, oversampling=OVERSAMPLING, filter=image.filter, pixel=image.image_pixel
            )
            outputs[path.with_name(f"{name}_psf.fits")] = partial(
                write_cube, psf=seen.psf, limits=_limits(image), filter=image.filter
            )
        outputs[path.with_name(f"{path.stem}_{split}.png")] = partial(_draw, measured=measured, bands=bands)
    return outputs


def _limits(image):
    """Range of wavelengths of a band [um]."""
    from jwst_fusion.optics.throughput import transmission

    return tuple(transmission(image.filter, image.module)[0][[0, -1]])


def _draw(path, measured, bands):
    """Write the picture of a channel."""
    from jwst_fusion.atomic import atomic_file
    from jwst_fusion.quality.star_figure import star_figure

    with atomic_file(path, mark=None) as file:
        star_figure(measured, bands).savefig(file, format="png", dpi=120)


def _entries(measured, images):
    """PSFs of each band, pixels included, and those of the telescope for the IFU."""
    import numpy as np

    from jwst_fusion.optics.analytic import NIRCamOptics, nircam_otf
    from jwst_fusion.optics.library import LibraryEntry
    from jwst_fusion.optics.nodes import fixed_nodes
    from jwst_fusion.optics.psf import psf_image
    from jwst_fusion.optics.retrieval.measure import FIELD, OVERSAMPLING
    from jwst_fusion.optics.sampled import SampledPsf

    origin = f"measured on stars, {measured.key}"
    entries = []
    for image in images:
        optics = measured.nircam(image.filter, NIRCamOptics())
        otf = partial(
            nircam_otf,
            position_angle_v3=0.0,
            detector_pixel=image.detector_pixel,
            image_pixel=image.image_pixel,
            pixfrac=image.pixfrac,
            channel=measured.channel,
            parameters=optics,
        )
        cell = image.image_pixel / OVERSAMPLING
        side = 2 * round(FIELD / cell / 2) + 1
        wavelength = fixed_nodes(*_limits(image))
        psfs = np.stack([psf_image(otf, length, (side, side), cell) for length in wavelength])
        psf = SampledPsf(wavelength, psfs.astype(np.float32), cell, includes="all")
        entries.append(
            LibraryEntry(
                "NIRCAM",
                psf,
                channel=measured.channel,
                filter=image.filter,
                origin=origin,
                error=optics.psf_error,
            )
        )
    low, high = (f([w for image in images for w in _limits(image)]) for f in (min, max))
    wavelength, psfs = measured.psf.samples(low, high)
    telescope = SampledPsf(wavelength, np.stack(psfs), measured.psf.pixel_scale)
    entries.append(LibraryEntry("NIRSPEC", telescope, origin=origin))
    return entries
