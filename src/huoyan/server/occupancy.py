"""What one server has for itself: a port to listen on, and a data directory."""

import errno
import fcntl
import os
import socket
from collections.abc import Callable
from pathlib import Path

from huoyan.errors import AlreadyRunning, ConfigurationError

_BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """Bind the port and begin to listen.

    Args:
        host: Name or address.
        port: 0 for any free one.

    Returns:
        The listening socket.

    Raises:
        AlreadyRunning: Another program listens there.
        ConfigurationError: The host is not of this machine, or the port is not for everybody.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError):
        raise ConfigurationError("server.host", "a name or address of this machine", host) from None
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise AlreadyRunning(
                f"server.port: expected a free port, got {port}, on which another program listens. "
                f"Choose another: HUOYAN_PORT={_other(port)} or --port {_other(port)}"
            ) from None
        if error.errno == errno.EACCES:
            raise ConfigurationError(
                "server.port", "a port that this user may listen on", port, "Choose one from 1024 on"
            ) from None
        raise ConfigurationError("server.host", "an address of this machine", host, error.strerror or "") from None
    return listening


def occupy(data_dir: Path) -> Callable[[], None]:
    """Make the data directory if it is missing and take it, so that no second server writes to it.

    Args:
        data_dir: The folder.

    Returns:
        A function that lets it go; so does the end of the process, however it comes.

    Raises:
        AlreadyRunning: Another server has it.
        ConfigurationError: It cannot be made or written to.
    """
    path = data_dir / "server.lock"
    try:
        # Arguments of tasks are in there: nobody else's business.
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(
            "server.data_dir", "a folder that can be written to", str(data_dir), error.strerror or ""
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(lock, 32).decode("ascii", "replace").strip()
        os.close(lock)
        raise AlreadyRunning(
            f"server.data_dir: expected a folder that no other server uses, got {str(data_dir)!r}, which process "
            f"{holder or 'of another user'} uses. Stop it, or choose another: HUOYAN_DATA_DIR=… or --data-dir …"
        ) from None
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())

    def release() -> None:
        # The file stays: removing it would let two servers lock two files of one name.
        os.close(lock)

    return release


def _other(port: int) -> int:
    return port + 1 if port < 65535 else 8650
