"""A small HTTP server on loopback for the demonstration's own pages: plain text, HTML and JSON, nothing else."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from huoyan.demo.ports import HOST

MAX_BODY_BYTES = 10_000


@dataclass(frozen=True)
class Request:
    """What was asked. `body` is the JSON object that came with it, empty without one."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What to answer; `content` is HTML when it is a text, JSON otherwise."""

    status: int
    content: Any


class WebServer:
    """Serves on its own threads until it is closed.

    Only pages that came from here may post: otherwise any web page that is open in the browser could turn faults on.

    Args:
        port: Where to listen, on loopback.
        answer: Called with each request, from several threads.
    """

    def __init__(self, port: int, answer: Callable[[Request], Answer]) -> None:
        self.address = f"http://{HOST}:{port}"
        self._server = ThreadingHTTPServer((HOST, port), _handler(answer, port))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving and give the port back."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


def _handler(answer: Callable[[Request], Answer], port: int) -> type[BaseHTTPRequestHandler]:
    names = frozenset(f"{host}:{port}" for host in (HOST, "localhost"))
    origins = frozenset(f"http://{name}" for name in names)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10.0

        def _serve(self) -> None:
            try:
                reply = self._reply()
            except Exception as error:  # noqa: BLE001 - whoever asks learns of it, and the next one is served
                reply = Answer(500, {"error": f"{type(error).__name__}: {error}"})
            text = reply.content if isinstance(reply.content, str) else json.dumps(reply.content, ensure_ascii=False)
            kind = "text/html" if isinstance(reply.content, str) else "application/json"
            data = text.encode()
            self.send_response(reply.status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_HEAD = do_POST = _serve  # noqa: N815

        def _reply(self) -> Answer:
            if self.headers.get("Host", "") not in names:
                return Answer(403, {"error": f"expected the host {HOST}:{port}"})
            if self.command == "POST" and self.headers.get("Origin", next(iter(origins))) not in origins:
                return Answer(403, {"error": "expected a request from this page"})
            length = int(self.headers.get("Content-Length") or 0)
            if length > MAX_BODY_BYTES:
                self.close_connection = True
                return Answer(413, {"error": f"expected at most {MAX_BODY_BYTES} bytes"})
            raw = self.rfile.read(length)
            try:
                body = json.loads(raw) if raw else {}
            except ValueError:
                body = None
            if not isinstance(body, dict):
                return Answer(400, {"error": "expected a JSON object"})
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            method = "GET" if self.command == "HEAD" else self.command
            return answer(Request(method, parts.path, query, body))

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            """Stay quiet: the terminal shows what counts."""

    return Handler
