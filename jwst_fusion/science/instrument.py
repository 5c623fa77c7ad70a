"""The line spread function of the IFU."""

__all__ = ["line_spread"]

#: Full width at half maximum of the line spread function [detector pixel] (Jakobsen et al. 2022, A&A 661,
#: A80). Published.
PIXELS = 2.2

#: Width of a detector pixel, about the same along the spectrum [um].
PIXEL_WIDTH = {
    "G140H": 2.35e-4,
    "G235H": 3.96e-4,
    "G395H": 6.65e-4,
    "G140M": 6.36e-4,
    "G235M": 1.06e-3,
    "G395M": 1.79e-3,
}

#: Full width at half maximum of a Gaussian over its standard deviation. Derived.
FWHM = 2.3548200450309493


def line_spread(grating: str) -> float | None:
    """
    Get the standard deviation of the line spread function.

    Parameters
    ----------
    grating : str
        Grating of NIRSpec.

    Returns
    -------
    float or None
        Standard deviation [um]; None for an unknown grating.
    """
    width = PIXEL_WIDTH.get(grating)
    return None if width is None else PIXELS * width / FWHM
