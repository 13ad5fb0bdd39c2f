"""A small HTTP server that keeps what is posted to it and serves pages it is given."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import pytest


@dataclass(frozen=True)
class ReceivedRequest:
    """One request as it arrived; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class HttpSink:
    """Takes webhooks, and plays the part of a scraped application or a web site.

    `pages` maps a path to its content type and text. Other paths are answered with `status`; set it to 500 to play a
    receiver in trouble.
    """

    def __init__(self) -> None:
        """Bind a free port; requests are answered from `__enter__` on."""
        self.status = 200
        self.pages: dict[str, tuple[str, str]] = {}
        self._requests: list[ReceivedRequest] = []
        self._arrival = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def address(self) -> str:
        """The host:port."""
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        """The base address, without a slash at its end."""
        return f"http://{self.address}"

    @property
    def requests(self) -> list[ReceivedRequest]:
        """What arrived so far, oldest first; requests for `pages` do not count."""
        with self._arrival:
            return list(self._requests)

    def wait_for(
        self, predicate: Callable[[ReceivedRequest], bool] = lambda request: True, timeout_s: float = 10.0
    ) -> ReceivedRequest:
        """Return the first request that fits, as soon as it has arrived.

        Raises:
            AssertionError: None fits before the deadline; the text names those that did arrive.
        """

        def find() -> ReceivedRequest | None:
            return next((request for request in self._requests if predicate(request)), None)

        with self._arrival:
            found = self._arrival.wait_for(find, timeout_s)
            if found is None:
                raise AssertionError(f"expected a fitting request within {timeout_s:g} s, got {self._requests}")
            return found

    def keep(self, request: ReceivedRequest) -> None:
        """Keep a request for the test."""
        with self._arrival:
            self._requests.append(request)
            self._arrival.notify_all()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler_for(sink: HttpSink) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            page = sink.pages.get(self.path.split("?", 1)[0])
            if page is None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                sink.keep(ReceivedRequest(self.command, self.path, headers, body))
                self._answer(sink.status, "application/json", "{}")
            else:
                self._answer(200, *page)

        do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815

        def _answer(self, status: int, content_type: str, text: str) -> None:
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            """Stay quiet; tests look at `requests`."""

    return Handler


@pytest.fixture
def http_sink() -> Iterator[HttpSink]:
    """Give an HTTP server that keeps what is posted to it."""
    with HttpSink() as sink:
        yield sink
