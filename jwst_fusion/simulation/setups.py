"""The combinations of NIRSpec grating and NIRCam filters that can be simulated."""

from dataclasses import dataclass

from jwst_fusion.exceptions import ParameterError

__all__ = ["SETUPS", "Setup", "get_setup"]


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


_SHORT_BANDS = ("F182M", "F187N", "F200W", "F210M", "F212N")
_MIDDLE_BANDS = ("F300M", "F323N", "F335M", "F356W", "F360M")
_LONG_BANDS = ("F460M", "F466N", "F470N")
_RED_BANDS = ("F162M", "F164N")

#: Grating and filter: wavelengths of the cube, channel width, and the gap between the detectors [um].
_CUBES = {
    "G140H/F070LP": ((0.97, 1.27), 0.000235, None),
    "G140H/F100LP": ((0.97, 1.89), 0.000235, (1.40780, 1.48580)),
    "G235H/F170LP": ((1.66, 3.17), 0.000396, (2.36067, 2.49153)),
    "G395H/F290LP": ((2.87, 5.27), 0.000665, (4.05580, 4.18040)),
    "G140M/F070LP": ((0.90, 1.27), 0.000636, None), "G140M/F100LP": ((0.97, 1.89), 0.000636, None),
    "G235M/F170LP": ((1.66, 3.17), 0.00106, None), "G395M/F290LP": ((2.87, 5.27), 0.00179, None),
    "PRISM/CLEAR": ((0.60, 5.30), 0.005, None),
}  # fmt: skip

#: Setup: wavelengths of interest [um], NIRCam filters, and truth cells per spaxel along an axis.
_FUSIONS = {
    "G235H/F170LP": ((1.66, 2.36), _SHORT_BANDS, 3), "G140H/F070LP": ((0.97, 1.27), ("F115W",), 3),
    "G140H/F100LP-blue": ((0.97, 1.355), ("F115W",), 3), "G140H/F100LP-red": ((1.49, 1.89), _RED_BANDS, 3),
    "G395H/F290LP-blue": ((2.87, 3.98), _MIDDLE_BANDS, 2), "G395H/F290LP-red": ((4.35, 5.10), _LONG_BANDS, 2),
    "G140H/F100LP": ((0.97, 1.89), ("F115W", *_RED_BANDS), 3),
    "G235H/F170LP-whole": ((1.66, 3.17), _SHORT_BANDS, 3),
    "G395H/F290LP": ((2.87, 5.27), (*_MIDDLE_BANDS, *_LONG_BANDS), 2),
    "G140M/F070LP": ((0.97, 1.27), ("F115W",), 3), "G140M/F100LP-blue": ((0.97, 1.355), ("F115W",), 3),
    "G140M/F100LP-red": ((1.49, 1.89), _RED_BANDS, 3), "G235M/F170LP": ((1.66, 2.30), _SHORT_BANDS, 3),
    "G395M/F290LP-blue": ((2.87, 3.98), _MIDDLE_BANDS, 2), "G395M/F290LP-red": ((4.35, 5.10), _LONG_BANDS, 2),
    "PRISM/CLEAR-short": ((0.95, 2.35), ("F115W", "F150W", "F200W"), 3),
    "PRISM/CLEAR-long": ((2.30, 4.30), ("F277W", "F356W"), 2),
}  # fmt: skip


def _setup(name, fusion_range, filters, decimation_factor):
    """Make a setup; the default one, of one fusion, has a cube of the wavelengths that its filters see."""
    grating, blocking_filter = name.partition("-")[0].split("/")
    cube_range, spacing, gap = _CUBES[f"{grating}/{blocking_filter}"]
    cube_range = (1.66, 2.52) if name == "G235H/F170LP" else cube_range
    return Setup(grating, blocking_filter, cube_range, fusion_range, spacing, gap, filters, decimation_factor)


#: Setups by name; the first is the default.
SETUPS = {name: _setup(name, *values) for name, values in _FUSIONS.items()}


def get_setup(name):
    """Look up a setup, a key of `SETUPS`; raise ParameterError if there is none."""
    if name not in SETUPS:
        raise ParameterError(f"setup {name!r} is not known: expected one of {', '.join(SETUPS)}")
    return SETUPS[name]
