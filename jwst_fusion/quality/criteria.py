"""Limits of the measures by which a fusion is judged."""

from dataclasses import dataclass

from jwst_fusion.coregistration.sets import ALIKE

__all__ = ["LIMITS", "STRUCTURE", "Limit"]


@dataclass(frozen=True)
class Limit:
    """
    Limits of a measure. If ``red`` is smaller than ``green``, larger values are better.

    Attributes
    ----------
    green, red : float
        Value up to which the measure is green, and beyond which it is red.
    words : str
        What is measured.
    concerns : str
        What is affected by a value beyond the limits.
    look : str
        Section of the report, or file, that shows more.
    unit : str
        Unit in which the measure is reported.
    """

    green: float
    red: float
    words: str
    concerns: str
    look: str
    unit: str = ""


STRUCTURE = "structure smaller than a spaxel, at all wavelengths"
_AGREEMENT = "Agreement with NIRCam"
_SHAPES = "continuum shapes, and ratios of lines that are far apart in wavelength"

#: Limits of each measure, causes before their consequences: reasons of one level are reported in this order.
LIMITS = {
    # At least 0.997 in four good scenes; 0.968 to 0.98 with images turned by ten degrees, 0.3 to 0.96 with a
    # transposed image, a mirrored cube, or a source that is five times as bright for one instrument.
    "correlation": Limit(
        0.98, ALIKE, "correlation between the NIRCam and NIRSpec images of a band, with offset, roll, "
        "scale and blur fitted",
        "everything, because of another sky (wrong coordinates, mirrored or transposed pixels), a variable "
        "source, or an artefact of one instrument", "Registration",
    ),
    # At most 0.0125 in 64 good scenes; 0.056 to 0.060 where each spectrum was modulated by a tenth.
    "wiggle": Limit(
        0.03, 0.05, "wiggles in the cube's single-spaxel spectra",
        "spectra of single spaxels", "Residuals", "%",
    ),
    "roll": Limit(
        0.01, 0.04, "displacement at the edge of the field due to a roll of NIRCam relative to NIRSpec",
        STRUCTURE, "Registration", "mas",
    ),
    "magnification": Limit(
        0.01, 0.04, "displacement at the edge of the field due to unequal pixel scales",
        STRUCTURE, "Registration", "mas",
    ),
    "shift": Limit(
        0.015, 0.04, "remaining offset between NIRCam and NIRSpec", STRUCTURE, "Registration", "mas"
    ),
    # The IFU cannot be sharper than its telescope, slices and spaxels. In 20 good scenes the variance of its
    # excess blur was never below zero by more than 1.3 errors. 5 mas are a sixth of a cell.
    "image_blur": Limit(
        0.005, 0.04, "blur of the images beyond their PSFs, as the cube shows it",
        STRUCTURE, "Point spread functions", "mas",
    ),
    "blur_spread": Limit(
        0.02, 0.05, "difference between the blur of one image and that of the others", STRUCTURE,
        "Registration", "mas",
    ),
    "change": Limit(
        0.1, 0.3, "largest difference of brightness between the instruments over 3 x 3 spaxels",
        "everything in that area, which has a variable source or an artefact of one instrument",
        "Registration", "%",
    ),
    # At most 1.16 in 14 good random scenes, where exchanged and copied bands had 1.4 to 5, unless the scene
    # looked alike in both; at most 0.95 in 40 good scenes of another simulator.
    "mismatch": Limit(
        1.25, 2.0, "misfit of an image with the cube in its own band, over its misfit in another band",
        "everything that this image determines, as its filter may be wrong", "Registration",
    ),
    # At most 17 in 61 good scenes, most of which had less than 6.
    "image_patch": Limit(
        20, 30, "spaxels in the largest area where an image differs from the fused cube by more than three "
        "times its noise and the error of its PSF",
        "everything in that area, because of an artefact, a wrong filter, or errors that are too small",
        "Residuals",
    ),
    "compared": Limit(
        1.0, 0.0, "share of the images that could be compared with the cube", STRUCTURE, "Registration", "%"
    ),
    # At most 2.1 in 61 good scenes.
    "outside": Limit(
        3, 10, "light from outside the cube's field in its worst cell, over the field's mean brightness",
        "the edge of the field", _AGREEMENT,
    ),
    "offset_error": Limit(0.01, 0.05, "error of the measured offset", "positions", "Registration", "mas"),
    "scale_departure": Limit(
        0.25, 0.5, "deviation of a band's flux scale from one", _SHAPES, "Cross-calibration", "%"
    ),
    # Flux scales of the two instruments differ by up to 15 %.
    "scale_ratio": Limit(
        0.3, 1.0, "ratio of the flux scales of two bands, minus one",
        f"{_SHAPES}, as a filter may be wrong", "Cross-calibration",
    ),
    # NIRCam's flux calibration has to be accurate to 5 % (JWST User Documentation, Data Calibration
    # Considerations), the ratio of two images then to 7 %.
    "same_filter": Limit(
        0.07, 0.2, "ratio of the flux scales of two images of one filter, minus one, at least",
        "everything that these images determine, as the filter of one of them may be wrong",
        "Cross-calibration", "%",
    ),
    # Gratings are expected to agree to 3 %, two of them then to 4 %.
    "cube_factor": Limit(
        0.1, 0.25, "ratio of the flux scales of two NIRSpec cubes, minus one, at least",
        "all fluxes, as one of these cubes is wrongly calibrated, and the fused cubes have their mean scale",
        "Several cubes", "%",
    ),
    "scale_error": Limit(0.03, 0.1, "error of a band's flux scale", _SHAPES, "Cross-calibration", "%"),
    # At most 0.95 in 61 good scenes.
    "image_residual": Limit(
        1.25, 4.0, "residuals of a NIRCam image over its noise and the error of its PSF",
        f"{STRUCTURE}, because of an artefact, a wrong PSF, or errors that are too small", "Residuals",
    ),
    "image_noise": Limit(
        0.3, 0.1, "residuals of a NIRCam image over its noise, smallest of all bands",
        "the balance between the instruments, as its stated errors are too large", "Residuals",
    ),
    "cube_residual": Limit(
        1.5, 3.0, "residuals of the NIRSpec cube over its noise in the median channel",
        "spectra", "Residuals",
    ),
    "cube_channel": Limit(
        3.5, 7.0, "residuals of the cube over its noise and the error of its PSF, in the worst channel",
        "the lines in that channel", "Residuals",
    ),
    # At most 5 in 68 good scenes, and 13 in one with a line 800 times as bright as the noise.
    "cube_patch": Limit(
        2, 30, "spaxels in the largest area where the cube's residuals are more than 1.5 times its noise and "
        "the error of its PSF",
        "the spectra in that area, because of a change of the source or bad data of one instrument",
        "Residuals",
    ),
    "cube_spaxel": Limit(
        6.0, 12.0, "residuals of the cube over its noise and the error of its PSF, in the worst spaxel",
        "the spectra in that spaxel, because of a change of the source or bad data of one instrument",
        "Residuals",
    ),
    # 7 in good scenes of bright sources, whose fused cubes were right within their errors; 16 to 200 where
    # images and cube contradicted each other.
    "cube_chi2": Limit(10.0, 40.0, "reduced chi-squared of the NIRSpec cube", "spectra", "Residuals"),
    "mean_spectrum": Limit(
        0.03, 0.1, "typical deviation of the mean spectrum from that of the cube", "all fluxes",
        "Residuals", "%",
    ),
    # Noise alone makes it 0.9 in faint images that were fused well.
    "used_ssim": Limit(0.8, 0.5, "structural similarity of a band that was used", STRUCTURE, _AGREEMENT),
    "held_out_ssim": Limit(
        0.75, 0.5, "structural similarity of a band that was held out",
        "wavelengths that no image covers", _AGREEMENT
    ),
    # Gratings are expected to agree to 3 % before they are brought to one flux scale.
    "seam": Limit(
        0.005, 0.03, "difference of the fused cubes where they meet, minus twice its error",
        "ratios of lines in different gratings, and spectra across the wavelengths where they meet",
        "Several cubes", "%",
    ),
    "unseen": Limit(
        0.7, 0.9, "share of the wavelengths that no image covers", STRUCTURE, "Throughputs", "%"
    ),
    # At most 0.09 in five good scenes; 0.69 and 0.79 with PSFs that are twice as wide.
    "prior_driven": Limit(
        0.5, 1.0, "share of voxels whose detail is determined by the regularization",
        f"{STRUCTURE}, as the images have little weight or the PSFs are too wide", "Errors", "%",
    ),
}  # fmt: skip
