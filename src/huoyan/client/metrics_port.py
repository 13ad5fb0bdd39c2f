"""`/metrics` on a port of its own, answered by a thread of the process."""

import ipaddress
import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from huoyan.client import process, routes, totals
from huoyan.client.exposition import answer, register
from huoyan.client.guard import guard, warn
from huoyan.client.thread import start as start_thread
from huoyan.errors import ConfigurationError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_TIMEOUT_S = 10.0
_lock = threading.Lock()
_open: dict[tuple[str, int], "MetricsPort"] = {}


class _Handler(BaseHTTPRequestHandler):
    server: "MetricsPort"
    timeout = _TIMEOUT_S

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.rstrip("/") not in {"", "/metrics"}:
            self.send_error(404)
            return
        asked = self.headers
        status, headers, body = answer(
            self.server.registry, self.command, asked.get("Accept", ""), asked.get("Authorization", "")
        )
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the base class looks it up by this name

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Leave the host's log alone."""


class MetricsPort(ThreadingHTTPServer):
    """Serves a registry.

    Args:
        host: The address.
        port: The port; 0 takes a free one.
        registry: What is served.

    Raises:
        OSError: The port is taken.
    """

    daemon_threads = True

    def __init__(self, host: str, port: int, registry: "CollectorRegistry") -> None:
        self.registry = registry
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # Workers of one server all open it, and whichever the kernel picks speaks for all.
        self.allow_reuse_port = totals.is_one_of_several()
        super().__init__((host, port), _Handler)
        start_thread(threading.Thread(target=self.serve_forever, name="huoyan-metrics", daemon=True))

    def server_bind(self) -> None:
        """Bind, without asking a name server for the own name as HTTPServer does."""
        if self.allow_reuse_port and hasattr(socket, "SO_REUSEPORT"):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A scraper that went away is nobody's error."""


def serve_metrics(port: int | None = None, host: str | None = None, registry: "CollectorRegistry | None" = None) -> int:
    """Serve `/metrics` on a port of its own, in a thread; again on the same port changes nothing.

    Args:
        port: The port (the setting `metrics_port` by default); 0 takes a free one.
        host: The address (the setting `metrics_host` by default).
        registry: prometheus-client's default registry when None.

    Returns:
        The port; 0 when metrics are turned off, or the port could not be opened, which is logged.

    Raises:
        ConfigurationError: The port or the registry is none, or the address is not of this machine alone and there is
            no `metrics_auth`.
    """
    settings = process.client().settings
    host = settings.metrics_host if host is None else host
    given: object = settings.metrics_port if port is None else port
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= 65_535:
        raise ConfigurationError("port", "a whole number from 0 to 65,535", given)
    port = given
    registry = routes.registry({"registry": registry})
    if not _is_loopback(host) and not settings.metrics_auth:
        raise ConfigurationError(
            "metrics_host",
            "an address of this machine alone, or metrics_auth with it",
            host,
            "Set HUOYAN_METRICS_AUTH.",
        )
    if not settings.enabled or not settings.metrics:
        return 0
    with _lock:
        found = _open.get((host, port)) if port else None
        if found is None:
            try:
                found = MetricsPort(host, port, register(registry))
            except OSError as error:
                warn("metrics-port", "huoyan: /metrics is not served on %s port %d: %s", host, port, error)
                return 0
            if not _open:
                process.after_fork(_forked)
            _open[host, found.server_port] = found
        return found.server_port


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _forked() -> None:
    """Leave the port to the parent, which speaks for its children too."""
    global _lock
    _lock = threading.Lock()
    for server in _open.values():
        with guard("metrics-port"):
            server.socket.close()
    _open.clear()
