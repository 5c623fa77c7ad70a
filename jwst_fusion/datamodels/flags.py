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
    DO_NOT_USE: ("DO_NOT_USE", "no value, or one not to be used"),
    OUTLIER: ("OUTLIER", "an outlier of the cube, not used (co-registered product)"),
    NON_SCIENCE: ("NON_SCIENCE", "outside the IFU's footprint"),
    UNSEEN: ("LOW_QE", "no NIRCam band looks at this wavelength"),
    PRIOR_DRIVEN: ("UNRELIABLE_SLOPE", "the regularization, not the data, decides the detail"),
    INTERPOLATED: ("FLUX_ESTIMATED", "the cube, or all images, have no data here"),
    UNCONVERGED: ("OTHER_BAD_PIXEL", "the solution did not reach its tolerance"),
}
"""JWST's name and the meaning of each bit, by its value."""
