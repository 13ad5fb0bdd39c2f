"""The network that can be broken breaks as it says."""

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.faults.proxy import Proxy


@pytest.fixture
def echo() -> Iterator[int]:
    """Give the port of a server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection:
                while data := connection.recv(100):
                    connection.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def test_it_passes_on_stalls_cuts_and_heals(echo: int) -> None:
    with Proxy(echo) as proxy, connect(proxy) as first:
        first.sendall(b"one")
        assert first.recv(100) == b"one"

        proxy.stall()
        first.sendall(b"two")
        first.settimeout(0.2)
        with pytest.raises(TimeoutError):
            first.recv(100)
        proxy.heal()
        first.settimeout(10)
        assert first.recv(100) in {b"", b"two"}

        with connect(proxy) as second:
            second.sendall(b"three")
            assert second.recv(100) == b"three"
            proxy.cut()
            assert second.recv(100) == b""
        with connect(proxy) as third:
            assert third.recv(100) == b"", "expected new connections to be refused"


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
