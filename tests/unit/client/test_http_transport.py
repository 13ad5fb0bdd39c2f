"""Batches over HTTP: what is sent, and what each answer means."""

import gzip
import http.server
import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest

from huoyan.client.delivery import Answer, Batch
from huoyan.client.transport.http import HttpTransport
from tests.servers.process import free_port

NOW = 1_795_000_000.0


class Endpoint:
    """An HTTP server that answers as it is told and keeps what came."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body: Any = {"accepted": 0, "rejected": []}
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.connections = 0
        self.hang_up_after_answer = False
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                endpoint.connections += 1
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                answer = json.dumps(endpoint.body).encode()
                self.send_response(endpoint.status)
                for name, value in {"Content-Length": str(len(answer)), **endpoint.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)
                # Without "Connection: close": the client finds out when it uses the connection again.
                self.close_connection = endpoint.hang_up_after_answer

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Give a server that answers as the test tells it."""
    started = Endpoint()
    yield started
    started.server.shutdown()
    started.server.server_close()


_opened: list[HttpTransport] = []


@pytest.fixture(autouse=True)
def _close_transports() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def transport_to(url: str, token: str = "") -> HttpTransport:
    _opened.append(HttpTransport(url, token, lambda: NOW, "1.2.3"))
    return _opened[-1]


BATCH = Batch([b'{"kind":"queued","run_id":"r1","at":1.0}'])


def test_a_batch_is_posted_as_json_with_the_token(endpoint: Endpoint) -> None:
    receipt = transport_to(endpoint.url + "/base", "s3cret").send(BATCH, 5)
    path, headers, body = endpoint.requests[0]
    assert path == "/base/api/v1/events"
    assert headers["authorization"] == "Bearer s3cret"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == "huoyan/1.2.3"
    assert json.loads(body) == {"sent_at": NOW, "events": [{"kind": "queued", "run_id": "r1", "at": 1.0}]}
    assert receipt.answer is Answer.STORED


def test_without_a_token_no_authorization_is_sent(endpoint: Endpoint) -> None:
    transport_to(endpoint.url).send(BATCH, 5)
    assert "authorization" not in endpoint.requests[0][1]


def test_large_batches_are_compressed_and_small_ones_are_not(endpoint: Endpoint) -> None:
    transport = transport_to(endpoint.url)
    large = Batch([BATCH.events[0]] * 1000)
    transport.send(BATCH, 5)
    transport.send(large, 5)
    assert "content-encoding" not in endpoint.requests[0][1]
    assert endpoint.requests[1][1]["content-encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(endpoint.requests[1][2]))["events"]) == 1000


def test_one_connection_serves_many_batches(endpoint: Endpoint) -> None:
    transport = transport_to(endpoint.url)
    for _ in range(5):
        assert transport.send(BATCH, 5).answer is Answer.STORED
    assert endpoint.connections == 1


def test_a_connection_closed_while_idle_is_opened_again_without_a_failure(endpoint: Endpoint) -> None:
    endpoint.hang_up_after_answer = True
    transport = transport_to(endpoint.url)
    assert [transport.send(BATCH, 5).answer for _ in range(3)] == [Answer.STORED] * 3
    assert len(endpoint.requests) == 3


def test_rejected_events_are_counted_and_the_first_reason_is_told(endpoint: Endpoint) -> None:
    rejected = [{"index": 0, "field": "events[0].at", "expected": "a time", "got": "now"}, {"index": 3}]
    endpoint.body = {"accepted": 8, "rejected": rejected}
    receipt = transport_to(endpoint.url).send(BATCH, 5)
    assert (receipt.answer, receipt.rejected) == (Answer.STORED, 2)
    assert receipt.reason == "events[0].at: expected a time, got now"


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (401, Answer.REFUSED),
        (403, Answer.REFUSED),
        (404, Answer.REFUSED),
        (422, Answer.REFUSED),
        (302, Answer.REFUSED),
        (413, Answer.TOO_LARGE),
        (408, Answer.LATER),
        (429, Answer.LATER),
        (500, Answer.LATER),
        (503, Answer.LATER),
    ],
)
def test_what_each_status_means(endpoint: Endpoint, status: int, answer: Answer) -> None:
    endpoint.status = status
    endpoint.body = {"title": "No", "detail": "because of this"}
    receipt = transport_to(endpoint.url).send(BATCH, 5)
    assert receipt.answer is answer
    assert str(status) in receipt.reason
    assert "because of this" in receipt.reason


@pytest.mark.parametrize("body", [{}, {"accepted": 1}, {"taken": True}])
def test_a_server_that_takes_events_need_not_say_more(endpoint: Endpoint, body: Any) -> None:
    endpoint.status, endpoint.body = 200, body
    assert transport_to(endpoint.url).send(BATCH, 5).answer is Answer.STORED


@pytest.mark.parametrize(
    ("status", "body", "answer"),
    [
        (200, "<!doctype html>", Answer.LATER),
        (200, ["a", "list"], Answer.LATER),
        (404, {}, Answer.REFUSED),
        (405, {}, Answer.REFUSED),
    ],
)
def test_an_address_of_something_else_is_named_and_nothing_counts_as_stored(
    endpoint: Endpoint, status: int, body: Any, answer: Answer
) -> None:
    endpoint.status, endpoint.body = status, body
    receipt = transport_to(endpoint.url).send(BATCH, 5)
    assert receipt.answer is answer
    assert receipt.reason.endswith(". Expected the address of a Huoyan server in HUOYAN_URL")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("999999", 300.0),
        (format_datetime(datetime.fromtimestamp(NOW + 20, UTC), usegmt=True), 20.0),
        (format_datetime(datetime.fromtimestamp(NOW - 20, UTC), usegmt=True), 0.0),
        ("soon", None),
        ("nan", None),
        ("", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(endpoint: Endpoint, header: str, seconds: float | None) -> None:
    endpoint.status = 503
    endpoint.headers = {"Retry-After": header}
    assert transport_to(endpoint.url).send(BATCH, 5).retry_after_s == seconds


def test_nobody_listening_means_later() -> None:
    receipt = transport_to(f"http://127.0.0.1:{free_port()}").send(BATCH, 5)
    assert receipt.answer is Answer.LATER
    assert "ConnectionRefusedError" in receipt.reason


def test_a_name_that_does_not_resolve_means_later() -> None:
    assert transport_to("http://huoyan.invalid:1").send(BATCH, 5).answer is Answer.LATER


def test_a_server_that_never_answers_means_later_after_the_timeout() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        receipt = transport_to(f"http://127.0.0.1:{listener.getsockname()[1]}").send(BATCH, 0.1)
    assert receipt.answer is Answer.LATER
    assert "timed out" in receipt.reason


def test_a_server_that_talks_nonsense_means_later() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def talk() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        threading.Thread(target=talk, daemon=True).start()
        receipt = transport_to(f"http://127.0.0.1:{listener.getsockname()[1]}").send(BATCH, 5)
    assert receipt.answer is Answer.LATER


def test_no_reason_contains_the_token_or_a_password_in_the_url(endpoint: Endpoint) -> None:
    endpoint.status = 401
    url = endpoint.url.replace("http://", "http://user:hunter2@")
    receipt = transport_to(url, "s3cret").send(BATCH, 5)
    assert "hunter2" not in receipt.reason
    assert "s3cret" not in receipt.reason


def test_forgetting_leaves_the_connection_of_the_parent_open(endpoint: Endpoint) -> None:
    transport = transport_to(endpoint.url)
    transport.send(BATCH, 5)
    assert transport._connection is not None
    parents = transport._connection.sock.dup()
    transport.forget()
    parents.sendall(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
    assert parents.recv(12) == b"HTTP/1.1 200"
    parents.close()
    assert transport.send(BATCH, 5).answer is Answer.STORED
    assert endpoint.connections == 2
