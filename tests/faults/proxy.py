"""A network that can be broken: a TCP proxy on the loopback interface, in threads of the tests."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 64 * 1024


class Proxy:
    """Passes connections on to a port of this machine until it is told otherwise.

    Args:
        port: Where to.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._flowing = threading.Event()
        self._flowing.set()
        self._refusing = False
        threading.Thread(target=self._accept, daemon=True).start()

    def stall(self) -> None:
        """Let nothing through any more, in either direction, without a word: a black hole."""
        self._flowing.clear()

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        self._refusing = True
        self._reset()

    def heal(self) -> None:
        """Let everything through again. What was stalled is reset, as after a change of route."""
        stalled = not self._flowing.is_set()
        self._refusing = False
        self._flowing.set()
        if stalled:
            self._reset()

    def close(self) -> None:
        """End it."""
        self._refusing = True
        self._flowing.set()
        self._listener.close()
        self._reset()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _reset(self) -> None:
        with self._lock:
            connections, self._open = self._open, set()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._refusing:
                near.close()
                continue
            threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        self._flowing.wait()
        try:
            far = socket.create_connection(("127.0.0.1", self._target), timeout=5.0)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        with self._lock:
            self._open |= {near, far}
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK_BYTES):
                # What was read while nothing flows is lost with the connection.
                self._flowing.wait()
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open.discard(source)
        source.close()
