"""HTTP and mail clients that are watched, against real servers."""

import asyncio
import smtplib
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import aiosmtplib
import httpx
import pytest
import requests
from aiosmtpd.controller import Controller

import huoyan
from huoyan.client import breakdown
from huoyan.client.process import Client
from huoyan.client.settings import Settings
from huoyan.client.transport.memory import MemoryTransport
from huoyan.signals.metrics.application import (
    HTTP_CLIENT_ERRORS,
    HTTP_CLIENT_REQUEST_DURATION,
    SMTP_SEND_DURATION,
    SMTP_SEND_ERRORS,
)
from tests.integration.watching import counted, errors, healthy, parts
from tests.servers.http import HttpSink
from tests.servers.mail import SmtpServer
from tests.servers.process import free_port
from tests.unit.client.conftest import installed


@pytest.fixture
def client() -> Iterator[Client]:
    with installed(Client(Settings(service="shop", flush_interval_s=0.01), transport=MemoryTransport())) as new:
        yield new


@pytest.fixture
def mail_server() -> Iterator[Controller]:
    """Give a mail server that takes everything but mails for `nobody@shop.example`."""

    class Handler:
        async def handle_RCPT(  # noqa: N802
            self, server: Any, session: Any, envelope: Any, address: str, options: Any
        ) -> str:
            if address.startswith("nobody@"):
                return "550 no such user"
            envelope.rcpt_tos.append(address)
            return "250 OK"

    controller = Controller(Handler(), hostname="127.0.0.1", port=free_port())
    controller.start()
    yield controller
    controller.stop()


def test_requests_by_httpx_and_requests_are_counted_by_host_and_status(client: Client, http_sink: HttpSink) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    entry = breakdown.enter("request")
    with huoyan.watch(httpx.Client()) as h, huoyan.watch(requests.Session()) as s:
        for get in (h.get, s.get):
            assert get(f"{http_sink.url}/orders/17").status_code == 200
        http_sink.status = 503
        assert h.post(f"{http_sink.url}/orders", json={}).status_code == 503
        assert s.post(f"{http_sink.url}/orders", json={}).status_code == 503
        with pytest.raises(httpx.ConnectError):
            h.get(f"http://{nobody}/")
        with pytest.raises(requests.ConnectionError):
            s.get(f"http://{nobody}/")
        with h.stream("PUT", f"{http_sink.url}/big") as response:
            response.read()
        told = parts(breakdown.leave(entry))
        assert told == {
            ("http", "GET", http_sink.address): (2, 0),
            ("http", "POST", http_sink.address): (2, 2),
            ("http", "PUT", http_sink.address): (1, 1),
            ("http", "GET", nobody): (2, 2),
        }
        assert counted(client, HTTP_CLIENT_REQUEST_DURATION) == {
            ("GET", http_sink.address, "200"): 2,
            ("POST", http_sink.address, "503"): 2,
            ("PUT", http_sink.address, "503"): 1,
            ("GET", nobody, "error"): 2,
        }
        assert errors(client, HTTP_CLIENT_ERRORS) == {
            ("POST", http_sink.address, "503"): 2,
            ("PUT", http_sink.address, "503"): 1,
            ("GET", nobody, "ConnectError"): 1,
            ("GET", nobody, "ConnectionError"): 1,
        }
        assert healthy(client) == {("http", http_sink.address)}
        for each in (h, s):
            huoyan.unwatch(each)
            assert "send" not in vars(each)


async def test_asynchronous_httpx_is_counted_in_parallel(client: Client, http_sink: HttpSink) -> None:
    async with huoyan.watch(httpx.AsyncClient()) as h:
        entry = breakdown.enter("request")
        await asyncio.gather(*(h.get(f"{http_sink.url}/{number}") for number in range(5)))
        told = breakdown.leave(entry)
        assert parts(told) == {("http", "GET", http_sink.address): (5, 0)}
        with pytest.raises(httpx.UnsupportedProtocol):
            await h.get("ftp://127.0.0.1/")
    assert counted(client, HTTP_CLIENT_REQUEST_DURATION)[("GET", http_sink.address, "200")] == 5


def test_calls_without_a_client_of_ones_own_are_counted_by_the_class_and_each_once(
    client: Client, http_sink: HttpSink
) -> None:
    originals = httpx.Client.send, requests.Session.send
    own, session = huoyan.watch(httpx.Client()), huoyan.watch(requests.Session())
    huoyan.watch(httpx.Client)
    huoyan.watch(requests.Session)
    try:
        for get in (httpx.get, requests.get, own.get, session.get):
            assert get(f"{http_sink.url}/orders").status_code == 200
        assert counted(client, HTTP_CLIENT_REQUEST_DURATION) == {("GET", http_sink.address, "200"): 4}
    finally:
        for each in (httpx.Client, requests.Session, own, session):
            huoyan.unwatch(each)
    assert (httpx.Client.send, requests.Session.send) == originals
    own.close()
    session.close()


async def test_asynchronous_clients_are_counted_by_their_class(client: Client, http_sink: HttpSink) -> None:
    huoyan.watch(httpx.AsyncClient)
    try:
        async with httpx.AsyncClient() as h:
            await h.get(f"{http_sink.url}/orders")
    finally:
        huoyan.unwatch(httpx.AsyncClient)
    assert counted(client, HTTP_CLIENT_REQUEST_DURATION) == {("GET", http_sink.address, "200"): 1}


def test_a_redirect_is_part_of_its_request(client: Client, http_sink: HttpSink) -> None:
    class Redirecting(requests.Session):
        """Answers each request once with a redirect, as a server would."""

        def get_redirect_target(self, resp: requests.Response) -> str | None:
            return f"{http_sink.url}/new" if resp.url.endswith("/old") else None

    with huoyan.watch(Redirecting()) as session:
        answer = session.get(f"{http_sink.url}/old")
        assert [response.url[-4:] for response in (*answer.history, answer)] == ["/old", "/new"]
    assert counted(client, HTTP_CLIENT_REQUEST_DURATION) == {("GET", http_sink.address, "200"): 1}


def test_an_answer_that_the_program_makes_an_error_of_keeps_its_status(client: Client, http_sink: HttpSink) -> None:
    def refuse(response: httpx.Response | requests.Response, *_: object, **__: object) -> None:
        response.raise_for_status()

    with httpx.Client(event_hooks={"response": [refuse]}) as h, requests.Session() as s:
        s.hooks["response"].append(refuse)
        for get in (huoyan.watch(h).get, huoyan.watch(s).get):
            for status in (404, 503):
                http_sink.status = status
                with pytest.raises((httpx.HTTPStatusError, requests.HTTPError)):
                    get(f"{http_sink.url}/orders")
    assert counted(client, HTTP_CLIENT_REQUEST_DURATION) == {
        ("GET", http_sink.address, "404"): 2,
        ("GET", http_sink.address, "503"): 2,
    }
    assert errors(client, HTTP_CLIENT_ERRORS) == {("GET", http_sink.address, "503"): 2}


def test_what_another_session_is_asked_within_a_request_counts_by_itself(client: Client, http_sink: HttpSink) -> None:
    with huoyan.watch(requests.Session()) as session, huoyan.watch(requests.Session()) as other:

        def fetch_token(response: requests.Response, *_: object, **__: object) -> None:
            other.put(f"{http_sink.url}/token")

        session.get(f"{http_sink.url}/orders", hooks={"response": fetch_token})
    assert counted(client, HTTP_CLIENT_REQUEST_DURATION) == {
        ("GET", http_sink.address, "200"): 1,
        ("PUT", http_sink.address, "200"): 1,
    }


def message(to: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "shop@shop.example", to, "Your order"
    mail.set_content("It is on its way.")
    return mail


def test_mails_by_smtplib_are_counted(client: Client, mail_server: Controller) -> None:
    originals = smtplib.SMTP.sendmail, smtplib.SMTP.connect
    huoyan.watch(smtplib.SMTP)
    huoyan.watch(smtplib.SMTP)
    try:
        entry = breakdown.enter("request")
        with smtplib.SMTP("127.0.0.1", mail_server.port) as connection:
            connection.send_message(message("ada@shop.example"))
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                connection.send_message(message("nobody@shop.example"))
        with smtplib.SMTP() as later:
            later.connect("127.0.0.1", mail_server.port)
            later.send_message(message("eve@shop.example"))
        with pytest.raises(ConnectionRefusedError):
            smtplib.SMTP("localhost", free_port())
        assert parts(breakdown.leave(entry)) == {
            ("smtp", "CONNECT", "127.0.0.1"): (2, 0),
            ("smtp", "SEND", "127.0.0.1"): (3, 1),
            ("smtp", "CONNECT", "localhost"): (1, 1),
        }
    finally:
        huoyan.unwatch(smtplib.SMTP)
    assert (smtplib.SMTP.sendmail, smtplib.SMTP.connect) == originals
    assert counted(client, SMTP_SEND_DURATION) == {("127.0.0.1",): 3}
    assert errors(client, SMTP_SEND_ERRORS) == {("127.0.0.1",): 1, ("localhost",): 1}
    assert healthy(client) == {("smtp", "127.0.0.1")}


async def test_mails_by_aiosmtplib_are_counted(client: Client, mail_server: Controller) -> None:
    huoyan.watch(aiosmtplib.SMTP)
    try:
        entry = breakdown.enter("request")
        await aiosmtplib.send(message("ada@shop.example"), hostname="127.0.0.1", port=mail_server.port)
        assert parts(breakdown.leave(entry)) == {
            ("smtp", "CONNECT", "127.0.0.1"): (1, 0),
            ("smtp", "SEND", "127.0.0.1"): (1, 0),
        }
    finally:
        huoyan.unwatch(aiosmtplib.SMTP)
    one = huoyan.watch(aiosmtplib.SMTP(hostname="127.0.0.1", port=mail_server.port))
    async with one:
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
            await one.send_message(message("nobody@shop.example"))
    assert counted(client, SMTP_SEND_DURATION) == {("127.0.0.1",): 2}
    assert errors(client, SMTP_SEND_ERRORS) == {("127.0.0.1",): 1}


async def test_a_login_or_certificate_that_fails_is_an_error_of_the_mail_server_told_once(
    client: Client, smtp_server: SmtpServer
) -> None:
    trusting = ssl.create_default_context(cafile=smtp_server.certificate_path)
    huoyan.watch(smtplib.SMTP)
    huoyan.watch(aiosmtplib.SMTP)
    try:
        entry = breakdown.enter("request")
        with huoyan.watch(smtplib.SMTP(smtp_server.host, smtp_server.port)) as connection:
            connection.starttls(context=trusting)
            with pytest.raises(smtplib.SMTPAuthenticationError):
                connection.login(smtp_server.username, "wrong")
            connection.login(smtp_server.username, smtp_server.password)
            connection.send_message(message("ada@shop.example"))
        assert parts(breakdown.leave(entry)) == {
            ("smtp", "CONNECT", smtp_server.host): (1, 0),
            ("smtp", "STARTTLS", smtp_server.host): (1, 0),
            ("smtp", "LOGIN", smtp_server.host): (2, 1),
            ("smtp", "SEND", smtp_server.host): (1, 0),
        }
        with smtplib.SMTP(smtp_server.host, smtp_server.port) as connection, pytest.raises(ssl.SSLError):
            connection.starttls(context=ssl.create_default_context())
        assert errors(client, SMTP_SEND_ERRORS) == {(smtp_server.host,): 2}
        entry = breakdown.enter("request")
        with pytest.raises(aiosmtplib.SMTPAuthenticationError):
            await aiosmtplib.send(
                message("ada@shop.example"),
                hostname=smtp_server.host,
                port=smtp_server.port,
                start_tls=True,
                tls_context=trusting,
                username=smtp_server.username,
                password="wrong",
            )
        assert parts(breakdown.leave(entry)) == {("smtp", "CONNECT", smtp_server.host): (1, 1)}
    finally:
        huoyan.unwatch(smtplib.SMTP)
        huoyan.unwatch(aiosmtplib.SMTP)
    assert errors(client, SMTP_SEND_ERRORS) == {(smtp_server.host,): 3}
    assert counted(client, SMTP_SEND_DURATION) == {(smtp_server.host,): 1}
