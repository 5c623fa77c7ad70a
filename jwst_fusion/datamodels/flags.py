"""Bits of the data quality arrays, with the names that JWST gives them and what they mean here."""

__all__ = [
    "DO_NOT_USE",
    "INTERPOLATED",
    "MEANINGS",
    "NON_SCIENCE",
    "OUTLIER",
    "PRIOR_DRIVEN",
    "UNCONVERGED",
    "UNSEEN",
]

DO_NOT_USE = 1
OUTLIER = 16
NON_SCIENCE = 512
UNSEEN = 8192
PRIOR_DRIVEN = 16777216
INTERPOLATED = 268435456
UNCONVERGED = 1073741824

MEANINGS = {
    DO_NOT_USE: ("DO_NOT_USE", "no value, or a value that must not be used"),
    OUTLIER: ("OUTLIER", "an outlier of the cube that is not used (co-registered product)"),
    NON_SCIENCE: ("NON_SCIENCE", "outside the IFU's footprint"),
    UNSEEN: ("LOW_QE", "no NIRCam band covers this wavelength"),
    PRIOR_DRIVEN: ("UNRELIABLE_SLOPE", "the detail is determined by the regularization, not by the data"),
    INTERPOLATED: ("FLUX_ESTIMATED", "the cube has no data here, or none of the images has"),
    UNCONVERGED: ("OTHER_BAD_PIXEL", "the solution did not reach its tolerance"),
}
"""JWST's name and the meaning of each bit, by its value."""
