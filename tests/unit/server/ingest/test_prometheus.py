"""What comes of the answers of a Prometheus, of a proxy before it, and of whatever else listens there."""

import base64
import contextlib
import json
import select
import socket
import threading
from collections.abc import Iterator

import pytest

from huoyan.errors import Unreachable
from huoyan.server.ingest.prometheus import PrometheusClient, Sample
from tests.servers import HttpSink

PATH = "/api/v1/query"


@pytest.fixture
def client(http_sink: HttpSink) -> Iterator[PrometheusClient]:
    """Give one that asks `http_sink`."""
    made = PrometheusClient(f"{http_sink.url}/", timeout_s=20)
    yield made
    made.close()


def answer(*series: object, kind: str = "vector") -> str:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": list(series)}})


def test_series_come_with_their_labels_the_moment_and_the_value(http_sink: HttpSink, client: PrometheusClient) -> None:
    http_sink.pages[PATH] = ("application/json", answer({"metric": {"instance": "a:1"}, "value": [1700.5, "0.25"]}))
    assert client.query("up") == [Sample({"instance": "a:1"}, 1700.5, 0.25)]


def test_a_value_that_is_no_number_says_nothing_and_the_others_do(
    http_sink: HttpSink, client: PrometheusClient
) -> None:
    good = {"metric": {}, "value": [1, "2"]}
    odd: list[object] = [
        *({"metric": {}, "value": [1, value]} for value in ("NaN", "+Inf", "-Inf", "many", None)),
        *({"metric": {}, "value": whole} for whole in ("12", None, 12)),
        *({"metric": {}, "value": pair} for pair in ([], [1], [1, "2", 3], ["NaN", "1"])),
        *({"metric": metric, "value": [1, "2"]} for metric in (None, "x", 7)),
        {"metric": {"instance": 7}, "value": [1, "2"]},
        {"metric": [], "value": [1, "2"]},
        {"value": [1, "2"]},
        {"metric": {}, "histogram": [1, {"count": "2"}]},
        None,
        7,
        "text",
    ]
    http_sink.pages[PATH] = ("application/json", answer(*odd, good))
    assert client.query("up") == [Sample({}, 1.0, 2.0)]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<html>please log in</html>", "something that is no JSON"),
        ("", "something that is no JSON"),
        ("[" * 100_000, "something that is no JSON"),
        ('{"status": "success", "data": ', "something that is no JSON"),
        ("null", "no success"),
        ("[1, 2]", "no success"),
        ('{"status": "success"}', "no vector"),
        ('{"status": "success", "data": {"resultType": "vector", "result": {}}}', "no vector"),
        (answer(kind="matrix"), "no vector"),
        ('{"status": "error", "error": "query timed out"}', "the error 'query timed out'"),
        ('{"status": "error", "error": {"no": "text"}}', "no success"),
    ],
)
def test_what_is_no_answer_is_told_as_such(http_sink: HttpSink, client: PrometheusClient, body: str, said: str) -> None:
    http_sink.pages[PATH] = ("text/plain", body)
    with pytest.raises(Unreachable) as caught:
        client.query("up")
    assert caught.value.message == f"expected {http_sink.url} to answer a query, got {said}"


def test_an_answer_without_end_is_not_read_to_its_end(http_sink: HttpSink, client: PrometheusClient) -> None:
    http_sink.pages[PATH] = ("application/json", " " * (17 * 1024 * 1024))
    with pytest.raises(Unreachable, match="more than 16 MiB"):
        client.query("up")


def test_a_refusal_is_told_without_the_secret(http_sink: HttpSink) -> None:
    http_sink.status = 401
    with_token = PrometheusClient(http_sink.url, token="geheim-token", timeout_s=20)
    with_password = PrometheusClient(http_sink.url, username="huoyan", password="geheim", timeout_s=20)
    for client in (with_token, with_password):
        with pytest.raises(Unreachable, match=r"got status 401$"):
            client.query("up")
        client.close()
    first, second = http_sink.requests
    assert first.headers["authorization"] == "Bearer geheim-token"
    assert second.headers["authorization"] == f"Basic {base64.b64encode(b'huoyan:geheim').decode()}"
    assert first.body == b"query=up&timeout=20s"


def test_somebody_who_sends_a_byte_now_and_then_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as slow:

        def dribble() -> None:
            connection, _ = slow.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while select.select([connection], [], [], 0.05)[0] == [] or connection.recv(65536):
                    connection.sendall(b" ")

        thread = threading.Thread(target=dribble, daemon=True)
        thread.start()
        client = PrometheusClient(f"http://127.0.0.1:{slow.getsockname()[1]}", timeout_s=0.5)
        with pytest.raises(Unreachable, match=r"not all of it within 0\.5 s|timed out"):
            client.query("up")
        client.close()
        thread.join(60)
        assert not thread.is_alive()


def test_nobody_there_and_nobody_answering_are_both_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        client = PrometheusClient(address, timeout_s=0.2)
        with pytest.raises(Unreachable, match="timed out"):
            client.query("up")
    with pytest.raises(Unreachable, match="refused"):
        client.query("up")
    client.close()
