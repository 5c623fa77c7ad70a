"""Queries of MAST through astroquery, which is imported only when it is needed."""

import warnings

from jwst_fusion.exceptions import InputError, NoOverlapError, ParameterError, one_line

__all__ = ["observations", "query_table"]

_INSTRUMENTS = ["NIRSPEC/IFU", "NIRCAM/IMAGE"]


def observations():
    """Get astroquery's access to MAST's observations; raise ParameterError if it is not installed."""
    try:
        from astroquery.mast import Observations
    except ImportError:
        raise ParameterError(
            "astroquery is needed to query MAST and is not installed: pip install 'jwst_fusion[mast]'"
        ) from None
    return Observations


def query_table(criteria):
    """
    Ask MAST for the level-3 NIRSpec IFU cubes and NIRCam images that meet criteria; return its table.

    Criteria are such as ``proposal_id=1288``, ``target_name=ORI*`` or ``radius=0.05 deg``, several values
    separated by commas. Raises NoOverlapError if nothing meets them, InputError if MAST does not answer,
    ParameterError for a criterion that is not of this form, or unknown.
    """
    chosen = {}
    for criterion in criteria:
        key, equals, value = criterion.partition("=")
        if not (key and equals and value):
            raise ParameterError(f"query {criterion!r}: not of the form proposal_id=1288")
        values = [each.strip() for each in value.split(",")]
        chosen[key.strip()] = values if len(values) > 1 else values[0]
    chosen.setdefault("instrument_name", _INSTRUMENTS)
    question = observations().query_criteria
    from astroquery.exceptions import InvalidQueryError, NoResultsWarning, RemoteServiceError
    from requests.exceptions import RequestException

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NoResultsWarning)
            table = question(obs_collection="JWST", calib_level=[3, 3], **chosen)
    except InvalidQueryError as error:
        raise ParameterError(f"MAST does not understand the query: {one_line(error)}") from None
    except (RequestException, RemoteServiceError, OSError, TimeoutError) as error:
        reason = one_line(error)[:200]
        raise InputError(f"MAST does not answer ({reason}); export a table from its portal instead") from None
    if not len(table):
        raise NoOverlapError(f"MAST has no level-3 products for {' '.join(criteria)}; widen the query")
    return table
