"""A log that fits on a screen: stpipe's lines about its steps are kept in the product only."""

import logging
from contextlib import contextmanager

__all__ = ["fewer_lines"]

#: Messages of stpipe that a run repeats for each step, or that have a line for each parameter.
REPEATED = (
    "%s instance created.",
    "Step %s running with args %s.",
    "Step %s parameters are:%s",
    "Step %s done",
)


def _demote(record):
    """Lower the level of a record of stpipe's; the console shows INFO and more, the product keeps all."""
    if record.msg in REPEATED:
        record.levelno, record.levelname = logging.DEBUG, "DEBUG"
    return True


@contextmanager
def fewer_lines():
    """Lower stpipe's lines about each step to the level DEBUG; ``strun --verbose`` shows them."""
    logger = logging.getLogger("stpipe.step")
    if _demote in logger.filters:  # within another step
        yield
        return
    logger.addFilter(_demote)
    try:
        yield
    finally:
        logger.removeFilter(_demote)
