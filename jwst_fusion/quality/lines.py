"""List of spectral lines."""

import math
import re
from dataclasses import dataclass
from difflib import get_close_matches

from jwst_fusion.exceptions import ParameterError

__all__ = ["LINES", "Line", "find_line", "lines_between"]

#: Rydberg constant of hydrogen [1/um]: CODATA 2018 with the reduced mass of the electron.
RYDBERG = 10.967758341

ROUEFF = "Roueff et al. 2019, A&A 630, A58"
KOMASA = "Komasa et al. 2011, J. Chem. Theory Comput. 7, 3105, from its energy levels"
BALMER = "Rydberg formula"
FORBIDDEN = "Aldenius & Johansson 2007, A&A 467, 753"
NIST = "NIST Atomic Spectra Database"
CARBON_MONOXIDE = "Goorvitch 1994, ApJS 95, 535"
BAND_HEADS = "Kleinmann & Hall 1986, ApJS 62, 501"
GIVEN = "given by hand"


@dataclass(frozen=True)
class Line:
    """
    A spectral line.

    Attributes
    ----------
    name : str
        Its name.
    wavelength : float
        In vacuum, at rest [um].
    source : str
        Source of the wavelength.
    """

    name: str
    wavelength: float
    source: str


def _hydrogen(name, lower, upper):
    """Line of atomic hydrogen between two principal quantum numbers."""
    return Line(name, 1 / (RYDBERG * (1 / lower**2 - 1 / upper**2)), BALMER)


LINES = (
    _hydrogen("Pa alpha", 3, 4),
    _hydrogen("Pa beta", 3, 5),
    _hydrogen("Pa gamma", 3, 6),
    _hydrogen("Pa delta", 3, 7),
    _hydrogen("Br alpha", 4, 5),
    _hydrogen("Br beta", 4, 6),
    _hydrogen("Br gamma", 4, 7),
    _hydrogen("Br delta", 4, 8),
    _hydrogen("Br epsilon", 4, 9),
    _hydrogen("Br 10", 4, 10),
    _hydrogen("Br 11", 4, 11),
    _hydrogen("Br 12", 4, 12),
    _hydrogen("Pf beta", 5, 7),
    _hydrogen("Pf gamma", 5, 8),
    _hydrogen("Pf delta", 5, 9),
    _hydrogen("Pf epsilon", 5, 10),
    Line("H2 1-0 S(0)", 2.22329, ROUEFF),
    Line("H2 1-0 S(1)", 2.12183, ROUEFF),
    Line("H2 1-0 S(2)", 2.03376, ROUEFF),
    Line("H2 1-0 S(3)", 1.95756, ROUEFF),
    Line("H2 1-0 S(4)", 1.89194, ROUEFF),
    Line("H2 1-0 S(5)", 1.83576, ROUEFF),
    Line("H2 1-0 S(7)", 1.74796, ROUEFF),
    Line("H2 1-0 Q(1)", 2.40659, ROUEFF),
    Line("H2 1-0 Q(3)", 2.42373, ROUEFF),
    Line("H2 1-0 O(3)", 2.80252, ROUEFF),
    Line("H2 1-0 O(5)", 3.23499, ROUEFF),
    Line("H2 2-1 S(1)", 2.24772, ROUEFF),
    Line("H2 2-1 S(3)", 2.07348, ROUEFF),
    Line("H2 0-0 S(9)", 4.69461, ROUEFF),
    Line("H2 0-0 S(10)", 4.40979, ROUEFF),
    Line("H2 0-0 S(11)", 4.18108, ROUEFF),
    Line("H2 0-0 S(13)", 3.84611, ROUEFF),
    Line("H2 1-0 S(6)", 1.78805, KOMASA),
    Line("H2 1-0 S(8)", 1.71474, KOMASA),
    Line("H2 1-0 S(9)", 1.68776, KOMASA),
    Line("H2 1-0 Q(2)", 2.41344, KOMASA),
    Line("H2 1-0 Q(4)", 2.43749, KOMASA),
    Line("H2 1-0 Q(5)", 2.45475, KOMASA),
    Line("H2 1-0 O(2)", 2.62688, KOMASA),
    Line("H2 1-0 O(4)", 3.00387, KOMASA),
    Line("H2 2-1 S(0)", 2.35560, KOMASA),
    Line("H2 2-1 S(2)", 2.15422, KOMASA),
    Line("H2 2-1 S(4)", 2.00411, KOMASA),
    Line("H2 2-1 S(5)", 1.94488, KOMASA),
    Line("H2 3-2 S(1)", 2.38647, KOMASA),
    Line("H2 3-2 S(3)", 2.20140, KOMASA),
    Line("[Fe II] 1.257", 1.2570, FORBIDDEN),
    Line("[Fe II] 1.644", 1.6440, FORBIDDEN),
    Line("He I 1.083", 1.0833, NIST),
    Line("He I 2.059", 2.0587, NIST),
    Line("CO 2-0", 2.2935, BAND_HEADS),
    Line("CO 3-1", 2.3227, BAND_HEADS),
    Line("CO 1-0 R(0)", 4.65749, CARBON_MONOXIDE),
    Line("CO 1-0 P(1)", 4.67415, CARBON_MONOXIDE),
    Line("CO 1-0 P(8)", 4.73587, CARBON_MONOXIDE),
)


def lines_between(low, high):
    """
    Return the lines in a range.

    Parameters
    ----------
    low, high : float
        Wavelengths [um].

    Returns
    -------
    tuple of Line
        Ascending in wavelength.
    """
    inside = [line for line in LINES if low <= line.wavelength <= high]
    return tuple(sorted(inside, key=lambda line: line.wavelength))


def find_line(text):
    """
    Find a line by its name or its wavelength.

    Parameters
    ----------
    text : str or float
        Name in the list, without regard to case, spaces, underscores and brackets (``H2_1-0S1``), or the
        wavelength at rest in vacuum [um].

    Returns
    -------
    Line
        The line. A line given by its wavelength has that as its name.

    Raises
    ------
    ParameterError
        The name is not in the list, or the number is no wavelength.
    """
    try:
        wavelength = float(text)
    except ValueError:
        known = {_plain(line.name): line for line in LINES}
        if (found := known.get(_plain(text))) is not None:
            return found
        nearest = [known[name].name for name in get_close_matches(_plain(text), known, n=3, cutoff=0.0)]
        raise ParameterError(
            f"line {text!r} is not in the list; nearest to it are {', '.join(nearest)}; give one of these, "
            "or the wavelength at rest in vacuum [um]"
        ) from None
    if not (math.isfinite(wavelength) and wavelength > 0):
        raise ParameterError(f"line {text}: a wavelength is a positive number [um]")
    return Line(f"{wavelength:g}", wavelength, GIVEN)


def _plain(name):
    """Letters and digits of a name alone."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
