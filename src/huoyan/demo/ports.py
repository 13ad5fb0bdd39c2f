"""Which ports the demonstration listens on: neighbours of the page's port where they are free."""

import socket
from collections.abc import Collection, Iterable

from huoyan.errors import AlreadyRunning

HOST = "127.0.0.1"
DEFAULT_PORT = 8650
_TRIES = 300


def is_free(port: int) -> bool:
    """Tell whether nothing listens on a loopback port."""
    with socket.socket() as probe:
        # Connections of an earlier demonstration that still linger are no reason to refuse.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except (OSError, OverflowError):
            return False
    return True


def allot(first: int, names: Iterable[str], taken: Collection[int] = ()) -> dict[str, int]:
    """Give each name a free port of its own.

    Args:
        first: Where to begin; ports in use are passed over.
        names: Who needs one.
        taken: Ports that are not to be given out.

    Raises:
        AlreadyRunning: Hardly anything is free.
    """
    given: dict[str, int] = {}
    port = first
    for name in names:
        while True:
            if port > 65535:
                port = 20000
            if port - first > _TRIES and port >= first:
                raise AlreadyRunning(f"expected free ports from {first} on, the next {_TRIES} are taken")
            candidate, port = port, port + 1
            if candidate not in taken and is_free(candidate):
                given[name] = candidate
                break
    return given
