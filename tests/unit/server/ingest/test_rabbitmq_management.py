"""What a management API answers is believed when it is what was asked for, in time; a real one is asked in the
integration tests."""

import base64
import json
import socket
import threading
import time

import pytest

from huoyan.errors import ConfigurationError, Unreachable
from huoyan.server.ingest.celery_address import parse_address
from huoyan.server.ingest.rabbitmq_management import MOST_BYTES, RabbitmqManagement
from tests.servers.http import HttpSink

BROKER = parse_address("amqp://shop:p%40ss@127.0.0.2:5672/shop%2Fmail")
PATH = "/api/queues/shop%2Fmail"


def asking(url: str, timeout_s: float = 30.0) -> RabbitmqManagement:
    return RabbitmqManagement(url, BROKER, timeout_s=timeout_s)


def test_queues_are_read_with_what_they_do_not_tell(http_sink: HttpSink) -> None:
    answer = [
        {"name": "mail", "messages_ready": 2, "messages_unacknowledged": 1, "more": [{}]},
        {"name": "new"},
        {"name": "odd", "messages_ready": None},
    ]
    http_sink.pages[PATH] = "application/json", json.dumps(answer)
    management = asking(http_sink.url)
    found = management.queues()
    management.close()
    assert {name: (each.messages_ready, each.messages_unacknowledged) for name, each in found.items()} == {
        "mail": (2, 1),
        "new": (None, None),
        "odd": (None, None),
    }


@pytest.mark.parametrize(("given", "user"), [("", "shop:p@ss"), ("watch:s%40fe@", "watch:s@fe"), ("watch@", "watch:")])
def test_user_and_password_are_those_given_or_else_the_brokers(http_sink: HttpSink, given: str, user: str) -> None:
    management = asking(http_sink.url.replace("//", f"//{given}") + "/api/")
    with pytest.raises(Unreachable):
        management.queues()
    management.close()
    [request] = http_sink.requests
    assert request.path.startswith(PATH + "?")
    assert base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode() == user


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "refused"), (403, "monitoring"), (404, "virtual host"), (302, "status 302"), (500, "status 500")],
)
def test_a_refusal_says_what_to_do(http_sink: HttpSink, status: int, words: str) -> None:
    http_sink.status = status
    management = asking(http_sink.url)
    with pytest.raises(Unreachable, match=words) as told:
        management.queues()
    management.close()
    assert http_sink.url in told.value.message
    assert "p@ss" not in told.value.message


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "<html>",
        "{}",
        '["mail"]',
        '[{"messages_ready": 1}]',
        '[{"name": "mail", "messages_unacknowledged": "1"}]',
        '[{"name": "mail", "messages_unacknowledged": 1.5}]',
        '[{"name": "mail", "messages_unacknowledged": -1}]',
        "[" * 100_000,
        "[" + " " * MOST_BYTES + "]",
    ],
    ids=lambda answer: answer[:20],
)
def test_an_answer_that_is_none_is_refused(http_sink: HttpSink, answer: str) -> None:
    http_sink.pages[PATH] = "application/json", answer
    management = asking(http_sink.url)
    with pytest.raises(Unreachable, match="expected RabbitMQ's management API at"):
        management.queues()
    management.close()


@pytest.mark.parametrize("drips", [False, True])
def test_one_that_takes_too_long_is_not_waited_for(drips: bool) -> None:
    stop = threading.Event()

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            if drips:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not stop.wait(0.02):
                try:
                    connection.sendall(b" " if drips else b"")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        management = asking(f"http://127.0.0.1:{listening.getsockname()[1]}", timeout_s=0.2)
        began = time.monotonic()
        with pytest.raises(Unreachable):
            management.queues()
        # It would drip for half an hour.
        assert time.monotonic() - began < 60
        management.close()
        stop.set()
        thread.join(60)


def test_auto_is_where_the_broker_is() -> None:
    for url, base in (
        ("amqp://127.0.0.2//", "http://127.0.0.2:15672"),
        ("amqps://127.0.0.2//?ssl_cert_reqs=none", "https://127.0.0.2:15671"),
    ):
        management = RabbitmqManagement("auto", parse_address(url), timeout_s=5)
        with pytest.raises(Unreachable, match=f"at {base} "):
            management.queues()
        management.close()


@pytest.mark.parametrize(
    ("url", "got"),
    [
        ("", "another text"),
        ("127.0.0.1:15672", "another text"),
        ("amqp://geheim@h", "amqp://…"),
        ("http://", "http://…"),
        ("http://user:geheim@h:0", "http://…"),
        ("http://user:geheim@h:99999", "another text"),
        ("http://h?token=geheim", "http://…"),
        ("http://[geheim", "another text"),
    ],
)
def test_what_is_no_address_is_refused_without_its_password(url: str, got: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        asking(url)
    assert (told.value.setting, told.value.got) == ("management_url", got)
    assert "geheim" not in told.value.message


def test_only_a_rabbitmq_has_one() -> None:
    with pytest.raises(ConfigurationError, match="no RabbitMQ"):
        RabbitmqManagement("auto", parse_address("redis://127.0.0.1/0"), "celery[0].management_url")
