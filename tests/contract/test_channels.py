"""What every channel does, over real servers: it delivers, says why it could not, and keeps its secrets."""

import io
import logging
import os
import ssl
from dataclasses import dataclass
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from huoyan.errors import Undelivered
from huoyan.server.notify.message import Message, trial
from huoyan.server.notify.notifier import send_test
from huoyan.server.notify.receivers import Receiver, parse_receiver
from tests.servers.http import HttpSink
from tests.servers.mail import SmtpServer
from tests.servers.process import free_port

TOKEN = "tok/9%SECRET"

MESSAGE = Message(
    event="opened",
    title="[严重] orders.take_payment：失败率 62 %（> 20 %）",
    language="zh",
    level="critical",
    lead="新事件。",
    facts=[("数值", "62 % <b>"), ("runbook", "https://wiki.example.com/pay")],
    url="https://huoyan.example.com/incidents/5",
    thread="incident-5-1763673303",
    key="entry:7:ops",
    incident={"id": 5, "level": "critical"},
    alerts=[{"id": 9, "value": 0.62}],
)


@dataclass
class Far:
    """The other side of a channel: what a receiver needs to reach it, and ways to be in trouble."""

    kind: str
    server: SmtpServer | HttpSink
    table: dict[str, Any]
    secrets: tuple[str, ...]

    def receiver(self, **changes) -> Receiver:
        return parse_receiver({**self.table, **changes}, 0)

    def arrived(self) -> list[tuple[str, str]]:
        """Return (title, everything) of what arrived."""
        if isinstance(self.server, SmtpServer):
            return [(mail.subject, mail.text) for mail in self.server.messages]
        if self.kind == "webhook":
            return [(request.json()["title"], request.json()["text"]) for request in self.server.requests]
        return [(request.json()["title"], request.json()["message"]) for request in self.server.requests]

    def trouble(self, *, for_good) -> None:
        if isinstance(self.server, SmtpServer):
            self.server.refusal = "554 5.7.1 go away" if for_good else "451 4.3.0 try later"
        else:
            self.server.status = 410 if for_good else 503

    def recover(self) -> None:
        if isinstance(self.server, SmtpServer):
            self.server.refusal = None
        else:
            self.server.status = 200

    def elsewhere(self) -> Receiver:
        """Return a receiver at a port where nobody listens."""
        port = free_port()
        if isinstance(self.server, SmtpServer):
            return self.receiver(port=port)
        return self.receiver(url=self.table["url"].replace(self.server.address, f"127.0.0.1:{port}"))


@pytest.fixture(params=["email", "webhook", "apprise"])
def far(request):
    if request.param == "email":
        server = request.getfixturevalue("smtp_server")
        table = {
            "host": server.host,
            "port": server.port,
            "security": "starttls",
            "verify": False,
            "username": server.username,
            "password": server.password,
            "from": "Huoyan <huoyan@example.com>",
            "to": ["ops@example.com"],
        }
        return Far("email", server, {"name": "ops", "kind": "email", **table}, (server.password,))
    sink = request.getfixturevalue("http_sink")
    if request.param == "webhook":
        table = {"url": f"{sink.url}/hook/{TOKEN}?key=k-{TOKEN}", "headers": {"Authorization": f"Bearer {TOKEN}"}}
    else:
        table = {"url": f"json://user:tok9SECRET@{sink.address}/hook/tok9SECRET"}
    return Far(request.param, sink, {"name": "ops", "kind": request.param, **table}, ("SECRET",))


@pytest.fixture
def server_log():
    """Give what reaches a server's log at its most talkative."""
    text, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(text), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.setLevel(level)
    root.removeHandler(handler)


def test_a_message_arrives_whole(far):
    far.receiver().send(MESSAGE)
    ((title, text),) = far.arrived()
    assert title == MESSAGE.title
    for part in (MESSAGE.lead, "数值：62 % <b>", MESSAGE.url):
        assert part in text


def test_two_messages_in_a_row_are_not_held_up(far):
    """Apprise makes one service object wait between messages; an escalation must not wait for that."""
    receiver = far.receiver()
    receiver.send(MESSAGE)
    receiver.send(MESSAGE)
    assert len(far.arrived()) == 2


def test_a_temporary_refusal_may_be_tried_again_and_then_arrives(far):
    receiver = far.receiver()
    far.trouble(for_good=False)
    with pytest.raises(Undelivered) as refused:
        receiver.send(MESSAGE)
    assert refused.value.retryable
    assert "451" in str(refused.value) or "503" in str(refused.value)
    far.recover()
    before = len(far.arrived())
    receiver.send(MESSAGE, refused.value.delivered)
    assert len(far.arrived()) == before + 1


def test_a_refusal_for_good_is_told_as_such(far):
    far.trouble(for_good=True)
    with pytest.raises(Undelivered) as refused:
        far.receiver().send(MESSAGE)
    assert not refused.value.retryable
    assert "554" in str(refused.value) or "410" in str(refused.value)


def test_nobody_listening_may_be_tried_again_and_says_so(far):
    with pytest.raises(Undelivered) as refused:
        far.elsewhere().send(MESSAGE)
    assert refused.value.retryable
    assert "refused" in str(refused.value) or "onnection" in str(refused.value)


def test_no_secret_shows_in_errors_logs_or_descriptions(far, server_log):
    receiver = far.receiver()
    shown = [repr(receiver), repr(receiver.channel), receiver.describe()]
    send_test(receiver)
    far.trouble(for_good=True)
    for troubled in (receiver, far.elsewhere()):
        with pytest.raises(Undelivered) as refused:
            send_test(troubled)
        shown.append(f"{refused.value} {refused.value!r}")
    shown.append(server_log.getvalue())
    for secret in far.secrets:
        assert secret not in " ".join(shown)


def test_a_test_message_arrives(far):
    send_test(far.receiver())
    ((title, _),) = far.arrived()
    assert title == trial().title


def test_a_wrong_password_is_for_good_and_named_without_the_password(smtp_server, server_log):
    with pytest.raises(Undelivered) as refused:
        send_test(_mail(smtp_server, password="wrong-SECRET-horse"))
    assert not refused.value.retryable
    assert "535" in str(refused.value)
    assert "SECRET" not in f"{refused.value} {server_log.getvalue()}"


def test_a_certificate_that_nobody_vouches_for_is_refused_unless_asked_otherwise(smtp_server):
    with pytest.raises(Undelivered, match="CERTIFICATE_VERIFY_FAILED"):
        send_test(_mail(smtp_server, verify=True))
    assert smtp_server.messages == []


def test_a_certificate_that_the_machine_trusts_is_accepted(smtp_server, monkeypatch):
    monkeypatch.setitem(os.environ, "SSL_CERT_FILE", str(smtp_server.certificate_path))
    send_test(_mail(smtp_server, verify=True))
    assert len(smtp_server.messages) == 1


def test_a_server_that_insists_on_starttls_takes_nothing_in_the_plain(smtp_server):
    with pytest.raises(Undelivered) as refused:
        send_test(_mail(smtp_server, security="plain"))
    assert smtp_server.messages == []
    assert "STARTTLS" in str(refused.value) or "AUTH" in str(refused.value)


def test_a_login_of_any_characters_reaches_the_server_as_written(smtp_server):
    smtp_server.username, smtp_server.password = "huoyan@example.com", "p@ss:w/%41 rd&?#+"
    send_test(_mail(smtp_server))
    assert len(smtp_server.messages) == 1


def test_mail_goes_over_tls_from_the_first_byte_where_that_is_asked_for(smtp_server):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(smtp_server.certificate_path, smtp_server.certificate_path.with_name("key.pem"))
    kept: list[bytes] = []

    class Keep:
        async def handle_DATA(self, server, session, envelope):  # noqa: N802
            kept.append(envelope.content)
            return "250 kept"

    controller = Controller(Keep(), hostname="127.0.0.1", port=free_port(), ssl_context=context)
    controller.start()
    try:
        table = {"name": "o", "kind": "email", "host": "127.0.0.1", "port": controller.port, "security": "tls"}
        send_test(parse_receiver({**table, "verify": False, "from": "a@example.com", "to": "b@example.com"}, 0))
    finally:
        controller.stop()
    assert len(kept) == 1


def test_a_mail_has_both_forms_and_the_headers_that_keep_an_incident_together(smtp_server):
    _mail(smtp_server).send(MESSAGE)
    (mail,) = smtp_server.messages
    assert mail.sender == "huoyan@example.com"
    assert mail.recipients == ("ops@example.com",)
    assert str(mail.message["From"]) == "Huoyan <huoyan@example.com>"
    assert mail.message["References"] == "<huoyan-incident-5-1763673303@example.com>"
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert mail.message["X-Huoyan-Key"] == "entry:7:ops"
    assert [part.get_content_type() for part in mail.message.iter_parts()] == ["text/plain", "text/html"]
    html = mail.message.get_body(preferencelist=("html",))
    assert html is not None
    assert "62 % &lt;b&gt;" in html.get_content()


def test_each_address_gets_a_mail_of_its_own_and_a_retry_sends_only_to_those_without(smtp_server):
    receiver = _mail(smtp_server, to=["a@example.com", "b@example.com", "c@example.com"])
    receiver.send(MESSAGE)
    assert sorted(mail.recipients for mail in smtp_server.messages) == [
        ("a@example.com",),
        ("b@example.com",),
        ("c@example.com",),
    ]
    smtp_server.clear()
    receiver.send(MESSAGE, ["a@example.com", "c@example.com"])
    assert [mail.recipients for mail in smtp_server.messages] == [("b@example.com",)]


def test_an_address_that_fails_leaves_the_others_delivered_and_named(smtp_server, monkeypatch):
    receiver = _mail(smtp_server, to=["a@example.com", "b@example.com"])
    accept = smtp_server.accept

    def picky(mail):
        return "550 5.1.1 unknown" if mail.recipients == ("b@example.com",) else accept(mail)

    monkeypatch.setattr(smtp_server, "accept", picky)
    with pytest.raises(Undelivered, match=r"^b@example\.com: .*550") as refused:
        receiver.send(MESSAGE)
    assert refused.value.delivered == ("a@example.com",)
    assert [mail.recipients for mail in smtp_server.messages] == [("a@example.com",)]


def test_a_webhook_gets_our_own_json_with_incident_and_alerts(http_sink):
    parse_receiver({"name": "h", "kind": "webhook", "url": f"{http_sink.url}/x", "headers": {"X-Key": "k"}}, 0).send(
        MESSAGE
    )
    (request,) = http_sink.requests
    assert (request.method, request.path) == ("POST", "/x")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-key"] == "k"
    assert request.headers["idempotency-key"] == "entry:7:ops"
    assert request.json() == {
        "version": 1,
        "event": "opened",
        "key": "entry:7:ops",
        "title": MESSAGE.title,
        "text": MESSAGE.text,
        "incident": {"id": 5, "level": "critical"},
        "alerts": [{"id": 9, "value": 0.62}],
        "url": MESSAGE.url,
    }


@pytest.mark.parametrize(("status", "retryable"), [(301, False), (400, False), (408, True), (429, True), (500, True)])
def test_a_webhooks_answer_decides_whether_to_try_again(http_sink, status, retryable):
    http_sink.status = status
    with pytest.raises(Undelivered, match=str(status)) as refused:
        parse_receiver({"name": "h", "kind": "webhook", "url": http_sink.url}, 0).send(MESSAGE)
    assert refused.value.retryable is retryable


def _mail(server, **changes) -> Receiver:
    table = {
        "name": "ops",
        "kind": "email",
        "host": server.host,
        "port": server.port,
        "username": server.username,
        "password": server.password,
        "from": "huoyan@example.com",
        "to": "ops@example.com",
        "verify": False,
        **changes,
    }
    return parse_receiver(table, 0)
