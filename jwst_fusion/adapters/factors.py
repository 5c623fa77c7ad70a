"""A table of factors that the user gives."""

from pathlib import Path

from astropy.table import Table

from jwst_fusion.crosscalib.factors import given_factors
from jwst_fusion.crosscalib.scale import BandScale
from jwst_fusion.exceptions import ParameterError, one_line

__all__ = ["read_factors"]


def read_factors(entries, make_path=str):
    """
    Read the factors, BandScale by filter, that override those measured; raise ParameterError if that fails.

    The entries are FILTER:SCALE each, or the name of one table (ECSV or CSV) with the columns filter and
    scale and, if wanted, scale_err and pedestal [MJy/sr].
    """
    entries = [str(entry).strip() for entry in entries or () if str(entry).strip() not in ("", "None")]
    if len(entries) != 1 or not Path(make_path(entries[0])).is_file():
        return given_factors(entries)
    path = Path(make_path(entries[0]))
    try:
        table = Table.read(path, format="ascii.ecsv" if path.suffix == ".ecsv" else "ascii.csv")
        names = table.colnames
        return {
            str(row["filter"]).strip().upper(): BandScale(
                scale=float(row["scale"]),
                error=float(row["scale_err"]) if "scale_err" in names else 0.0,
                pedestal=float(row["pedestal"]) if "pedestal" in names else 0.0,
            )
            for row in table
        }
    except (KeyError, ValueError, OSError) as error:
        reason = one_line(error)
        raise ParameterError(
            f"{path.name}: cannot be read as a table of factors ({reason}); give ECSV or CSV with the "
            "columns filter and scale"
        ) from error
