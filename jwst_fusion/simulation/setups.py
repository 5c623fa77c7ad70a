"""The combinations of NIRSpec grating and NIRCam filters that can be simulated."""

from dataclasses import dataclass

from jwst_fusion.exceptions import ParameterError

__all__ = ["PUPIL_FILTERS", "SETUPS", "Setup", "get_setup"]

#: Filters that sit in NIRCam's pupil wheel, with what FILTER then says.
PUPIL_FILTERS = {
    "F162M": "F150W2",
    "F164N": "F150W2",
    "F323N": "F322W2",
    "F405N": "F444W",
    "F466N": "F444W",
    "F470N": "F444W",
}


@dataclass(frozen=True)
class Setup:
    """
    A grating of the NIRSpec IFU and the NIRCam filters within its range.

    Attributes
    ----------
    grating, blocking_filter : str
        NIRSpec's GRATING and FILTER.
    cube_range : tuple of float
        Wavelengths of the cube [um].
    fusion_range : tuple of float
        Wavelengths of interest [um], to which the truth is limited.
    spacing : float
        Channel width [um].
    gap : tuple of float or None
        Wavelengths lost between NIRSpec's two detectors [um].
    filters : tuple of str
        Default NIRCam filters.
    decimation_factor : int
        Truth cells per spaxel along an axis.
    """

    grating: str
    blocking_filter: str
    cube_range: tuple
    fusion_range: tuple
    spacing: float
    gap: tuple | None
    filters: tuple
    decimation_factor: int

    @property
    def channel(self):
        """NIRCam's channel, SHORT or LONG."""
        return "SHORT" if self.decimation_factor == 3 else "LONG"


_G140H_GAP, _G235H_GAP, _G395H_GAP = (1.40780, 1.48580), (2.36067, 2.49153), (4.05580, 4.18040)
_SHORT_BANDS = ("F182M", "F187N", "F200W", "F210M", "F212N")
_MIDDLE_BANDS = ("F300M", "F323N", "F335M", "F356W", "F360M")
_LONG_BANDS = ("F460M", "F466N", "F470N")

#: Setups by name; the first is the default.
SETUPS = {
    "G235H/F170LP": Setup(
        "G235H", "F170LP", (1.66, 2.52), (1.66, 2.36), 0.000396, _G235H_GAP, _SHORT_BANDS, 3
    ),
    "G140H/F070LP": Setup("G140H", "F070LP", (0.97, 1.27), (0.97, 1.27), 0.000235, None, ("F115W",), 3),
    "G140H/F100LP-blue": Setup(
        "G140H", "F100LP", (0.97, 1.89), (0.97, 1.355), 0.000235, _G140H_GAP, ("F115W",), 3
    ),
    "G140H/F100LP-red": Setup(
        "G140H", "F100LP", (0.97, 1.89), (1.49, 1.89), 0.000235, _G140H_GAP, ("F162M", "F164N"), 3
    ),
    "G395H/F290LP-blue": Setup(
        "G395H", "F290LP", (2.87, 5.27), (2.87, 3.98), 0.000665, _G395H_GAP, _MIDDLE_BANDS, 2
    ),
    "G395H/F290LP-red": Setup(
        "G395H", "F290LP", (2.87, 5.27), (4.35, 5.10), 0.000665, _G395H_GAP, _LONG_BANDS, 2
    ),
    "G140H/F100LP": Setup(
        "G140H", "F100LP", (0.97, 1.89), (0.97, 1.89), 0.000235, _G140H_GAP, ("F115W", "F162M", "F164N"), 3
    ),
    "G235H/F170LP-whole": Setup(
        "G235H", "F170LP", (1.66, 3.17), (1.66, 3.17), 0.000396, _G235H_GAP, _SHORT_BANDS, 3
    ),
    "G395H/F290LP": Setup(
        "G395H", "F290LP", (2.87, 5.27), (2.87, 5.27), 0.000665, _G395H_GAP, (*_MIDDLE_BANDS, *_LONG_BANDS), 2
    ),
    "G140M/F070LP": Setup("G140M", "F070LP", (0.90, 1.27), (0.97, 1.27), 0.000636, None, ("F115W",), 3),
    "G140M/F100LP-blue": Setup("G140M", "F100LP", (0.97, 1.89), (0.97, 1.355), 0.000636, None, ("F115W",), 3),
    "G140M/F100LP-red": Setup(
        "G140M", "F100LP", (0.97, 1.89), (1.49, 1.89), 0.000636, None, ("F162M", "F164N"), 3
    ),
    "G235M/F170LP": Setup("G235M", "F170LP", (1.66, 3.17), (1.66, 2.30), 0.00106, None, _SHORT_BANDS, 3),
    "G395M/F290LP-blue": Setup(
        "G395M", "F290LP", (2.87, 5.27), (2.87, 3.98), 0.00179, None, _MIDDLE_BANDS, 2
    ),
    "G395M/F290LP-red": Setup("G395M", "F290LP", (2.87, 5.27), (4.35, 5.10), 0.00179, None, _LONG_BANDS, 2),
    "PRISM/CLEAR-short": Setup(
        "PRISM", "CLEAR", (0.60, 5.30), (0.95, 2.35), 0.005, None, ("F115W", "F150W", "F200W"), 3
    ),
    "PRISM/CLEAR-long": Setup(
        "PRISM", "CLEAR", (0.60, 5.30), (2.30, 4.30), 0.005, None, ("F277W", "F356W"), 2
    ),
}


def get_setup(name):
    """Look up a setup, a key of `SETUPS`; a ParameterError if there is none."""
    if name not in SETUPS:
        raise ParameterError(f"setup {name!r} is not known: expected one of {', '.join(SETUPS)}")
    return SETUPS[name]
