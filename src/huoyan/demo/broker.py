"""Whether a Redis can be had for the Celery worker, and how."""

import os
import shutil
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from huoyan.demo.ports import HOST
from huoyan.errors import ConfigurationError

VARIABLE = "HUOYAN_DEMO_REDIS_URL"
_STANDARD_PORT = 6379
_OUR_DATABASE = 15
_TIMEOUT_S = 0.5


@dataclass(frozen=True)
class Redis:
    """A Redis for the demonstration. `program`: start it; `url`: one that runs already. Neither: there is none."""

    program: str | None = None
    url: str | None = None

    @property
    def found(self) -> bool:
        """Whether there is one."""
        return self.program is not None or self.url is not None


def find_redis() -> Redis:
    """Look for a Redis: the one that HUOYAN_DEMO_REDIS_URL names, the program, one that runs on this machine.

    The last is used under database 15, which hardly anybody else uses.

    Raises:
        ConfigurationError: HUOYAN_DEMO_REDIS_URL is no address, or nobody answers there.
    """
    named = os.environ.get(VARIABLE, "").strip()
    if named:
        try:
            parts = urlsplit(named)
            host, port = parts.hostname, parts.port or _STANDARD_PORT
        except ValueError:
            host, port = None, 0
        if host is None or not named.startswith(("redis://", "rediss://")):
            raise ConfigurationError(VARIABLE, "an address such as redis://127.0.0.1:6379/0", named)
        if not _listens(host, port):
            raise ConfigurationError(VARIABLE, "a Redis that answers", f"{host}:{port}", "Start it, or unset this")
        return Redis(url=named)
    program = shutil.which("redis-server")
    if program is not None:
        return Redis(program=program)
    if answers_ping(HOST, _STANDARD_PORT):
        return Redis(url=f"redis://{HOST}:{_STANDARD_PORT}/{_OUR_DATABASE}")
    return Redis()


def answers_ping(host: str, port: int) -> bool:
    """Tell whether a Redis that asks for no password answers at an address."""
    try:
        with socket.create_connection((host, port), timeout=_TIMEOUT_S) as connection:
            connection.settimeout(_TIMEOUT_S)
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=2.0):
            return True
    except OSError:
        return False
