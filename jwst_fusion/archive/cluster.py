"""The workers of a batch: those of a running scheduler of Dask, or threads of this process."""

import asyncio
import socket
from contextlib import contextmanager

from jwst_fusion.exceptions import InputError, one_line

__all__ = ["cluster"]

TIMEOUT = 20  # s for a scheduler to answer


@contextmanager
def cluster(settings):
    """
    Connect to a running scheduler of Dask, or start one in this process.

    Parameters
    ----------
    settings : BatchSettings
        What the user asks for.

    Yields
    ------
    client : distributed.Client
        Access to the scheduler.
    slots : int
        Targets that run at the same time.

    Raises
    ------
    InputError
        If the address is none, or nothing answers there.
    """
    from distributed import Client, LocalCluster

    if settings.scheduler is not None:
        _check_scheduler(settings.scheduler)
        with Client(settings.scheduler, timeout=TIMEOUT, set_as_default=False) as client:
            yield client, max(sum(client.nthreads().values()), 1)
        return
    slots = settings.slots
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=slots,
            processes=False,
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
        ) as local,
        Client(local, set_as_default=False) as client,
    ):
        yield client, slots


def _check_scheduler(address):
    """
    Check the address of a scheduler, and that Dask answers there; an InputError says what is wrong.

    A client of Dask that cannot connect prints a traceback when it is deleted: none is made before.
    """
    from distributed.comm import connect
    from distributed.comm.addressing import get_address_host_port
    from distributed.security import Security

    try:
        host, port = get_address_host_port(address)
        scheme = address.partition("://")[0] if "://" in address else "tcp"
        if not host or not 0 < port < 65536:
            raise ValueError("host or port missing")
        options = Security().get_connection_args("client")
        if scheme in ("tls", "wss") and not options.get("ssl_context"):
            raise ValueError("no certificate in Dask's configuration, distributed.comm.tls")
        socket.create_connection((host, port), timeout=TIMEOUT).close()
        asyncio.run(asyncio.wait_for(_greet(connect, address, options), TIMEOUT))
    except (OSError, ValueError) as error:
        reason = one_line(error) or "no answer"
        raise InputError(
            f"no Dask scheduler at {address!r} ({reason}); start one and give its address, such as "
            "tcp://host:8786"
        ) from None


async def _greet(connect, address, options):
    """Connect to Dask as its clients do, and hang up."""
    comm = await connect(address, timeout=TIMEOUT, **options)
    await comm.close()
