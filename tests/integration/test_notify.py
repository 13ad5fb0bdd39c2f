"""From the first failures to the mail and back, with real threads, a real database, a real mail and web server."""

import time
from typing import Any

import pytest

from huoyan.clock import SYSTEM_CLOCK
from huoyan.errors import Conflict
from huoyan.model.incident import Incident
from huoyan.model.notification import Notification
from huoyan.server.alert.rules import parse_rules
from huoyan.server.alert.service import AlertService
from huoyan.server.incident.service import IncidentService
from huoyan.server.notify.notifier import Notifier
from huoyan.server.notify.receivers import parse_receivers
from huoyan.server.periodic import Schedule
from huoyan.server.store import Store
from huoyan.signals.metrics.work import QUEUE_DEPTH, TASK_RUNS
from huoyan.testing.memory_source import MemorySource
from tests.servers.migrated import migrated_sqlite
from tests.servers.process import free_port
from tests.servers.waiting import wait_until

WITHIN_S = 5.0
"""How soon people hear of a condition that holds."""

PAY = {"service": "orders", "task": "orders.take_payment", "queue": "default"}
BURST = {
    "name": "burst",
    "signal": "task_failure_ratio",
    "op": ">",
    "threshold": 0.2,
    "for": 0,
    "min_samples": 5,
    "level": "critical",
    "keep_firing": "1s",
}
DEEP = {"name": "deep", "signal": "queue_depth", "op": ">", "threshold": 100, "for": 0, "keep_firing": 0}
MAIL_QUEUE = {"service": "mail", "queue": "bulk"}


class Line:
    """The line from signals to people, running at its real pace."""

    def __init__(self, url, receivers, rules=(BURST, DEEP)) -> None:
        self.source = MemorySource()
        self.store = Store.open(url)
        self.receivers = parse_receivers(receivers)
        self.rules = parse_rules(rules)
        self.notifier = Notifier(
            self.store.notifications,
            self.store.incidents,
            self.store.alerts,
            self.receivers,
            rules=self.rules,
            public_url="https://huoyan.example.com",
        )
        self.incidents = IncidentService(self.store.incidents, self.store.alerts, on_entry=self.notifier.wake)
        self.alerts = AlertService(self.store.alerts, self.source, self.rules, on_transition=self.incidents.handle)
        self.schedule = Schedule([self.alerts, self.incidents, self.notifier])
        self.schedule.start()

    def stop(self) -> None:
        self.schedule.stop()
        self.notifier.stop()
        self.store.close()

    def burst(self) -> float:
        """Let runs fail; return the moment from which the condition holds."""
        now = SYSTEM_CLOCK.now()
        self.source.add(TASK_RUNS, {**PAY, "state": "succeeded"}, now, 38)
        self.source.add(TASK_RUNS, {**PAY, "state": "failed"}, now, 62)
        return time.monotonic()

    def recover(self) -> float:
        """Let so many runs succeed that the ratio is good; return the moment."""
        self.source.add(TASK_RUNS, {**PAY, "state": "succeeded"}, SYSTEM_CLOCK.now(), 2000)
        return time.monotonic()

    def queue(self, depth) -> None:
        self.source.set(QUEUE_DEPTH, MAIL_QUEUE, SYSTEM_CLOCK.now(), depth)

    def incident(self) -> Incident:
        (incident,) = wait_until(lambda: self.store.incidents.page().items, 10)
        return incident

    def messages(self) -> list[Notification]:
        return self.store.notifications.for_incident(self.incident().id or 0)


@pytest.fixture
def line(tmp_path):
    lines = []

    def start(*receivers, **changes):
        lines.append(Line(migrated_sqlite(tmp_path / "huoyan.db"), receivers, **changes))
        return lines[-1]

    yield start
    for started in lines:
        started.stop()


def _mail(server, **changes) -> dict[str, Any]:
    return {
        "name": "ops",
        "kind": "email",
        "host": server.host,
        "port": server.port,
        "security": "starttls",
        "verify": False,
        "username": server.username,
        "password": server.password,
        "from": "huoyan@example.com",
        "to": ["ops@example.com"],
        **changes,
    }


def _hook(sink, **changes) -> dict[str, Any]:
    return {"name": "hook", "kind": "webhook", "url": f"{sink.url}/hook", **changes}


def test_a_burst_is_told_within_seconds_is_acknowledged_and_its_end_is_told_as_well(line, smtp_server, http_sink):
    started = line(_mail(smtp_server), _hook(http_sink))
    began = started.burst()
    mail = smtp_server.wait_for(lambda mail: "[critical]" in mail.subject, WITHIN_S)
    assert time.monotonic() - began <= WITHIN_S
    assert mail.subject == "[critical] orders.take_payment: failure ratio 62 % (> 20 %)"
    incident = started.incident()
    assert f"https://huoyan.example.com/incidents/{incident.id}" in mail.text
    post = http_sink.wait_for(lambda request: request.json()["event"] == "opened", WITHIN_S).json()
    assert post["incident"]["id"] == incident.id

    started.incidents.acknowledge(incident.id, "Ann", "on it")
    with pytest.raises(Conflict, match="acknowledged by Ann"):
        started.incidents.acknowledge(incident.id, "Bob")

    ended = started.recover()
    over = smtp_server.wait_for(lambda mail: "[resolved]" in mail.subject, 1 + WITHIN_S)
    assert time.monotonic() - ended <= 1 + WITHIN_S
    assert over.message["References"] == mail.message["References"]
    http_sink.wait_for(lambda request: request.json()["event"] == "resolved", WITHIN_S)
    wait_until(lambda: {message.state.value for message in started.messages()} == {"sent"}, 10)
    assert len(smtp_server.messages) == 2
    assert len(http_sink.requests) == 2
    assert [entry.kind.value for entry in started.store.incidents.timeline(incident.id)] == [
        "opened",
        "acknowledged",
        "alert_resolved",
        "resolved",
    ]


def test_a_mail_server_that_is_down_gets_the_mail_later_and_once_and_the_webhook_does_not_wait(
    line, smtp_server, http_sink
):
    smtp_server.refusal = "451 4.3.0 try later"
    started = line(_mail(smtp_server), _hook(http_sink))
    began = started.burst()
    http_sink.wait_for(lambda request: request.json()["event"] == "opened", WITHIN_S)
    assert time.monotonic() - began <= WITHIN_S
    waiting = wait_until(
        lambda: next((m for m in started.messages() if m.receiver == "ops" and m.state == "failed"), None), 10
    )
    assert "451 4.3.0 try later" in waiting.error
    wait_until(lambda: smtp_server.refused_count >= 2, 10)
    smtp_server.refusal = None
    smtp_server.wait_for(lambda mail: "[critical]" in mail.subject, 15)
    sent = wait_until(
        lambda: next((m for m in started.messages() if m.receiver == "ops" and m.state == "sent"), None), 10
    )
    assert sent.attempts >= 3
    assert sent.error == ""
    started.recover()
    smtp_server.wait_for(lambda mail: "[resolved]" in mail.subject, 10)
    assert [mail.subject.split("]")[0] for mail in smtp_server.messages] == ["[critical", "[resolved"]


def test_a_mail_server_that_does_not_answer_is_tried_again(line, smtp_server):
    started = line(_mail(smtp_server, port=free_port()))
    started.burst()
    message = wait_until(lambda: next((m for m in started.messages() if m.attempts >= 2), None), 15)
    failed = wait_until(lambda: next((m for m in started.messages() if m.error), None), 10)
    assert message.receiver == "ops"
    assert "Connection refused" in failed.error


def test_a_wrong_password_shows_on_the_message_without_the_password(line, smtp_server):
    started = line(_mail(smtp_server, password="wrong-SECRET-horse"))
    started.burst()
    message = wait_until(lambda: next((m for m in started.messages() if m.state == "dead"), None), 10)
    assert "535" in message.error
    assert "SECRET" not in message.error
    assert message.attempts == 1
    assert smtp_server.messages == []


def test_a_restart_between_the_alert_and_its_mail_loses_and_doubles_nothing(line, smtp_server):
    first = line(_mail(smtp_server))
    first.notifier.stop()
    first.burst()
    wait_until(lambda: first.store.incidents.page().items, 10)
    first.schedule.stop()
    assert smtp_server.messages == []
    second = line(_mail(smtp_server))
    smtp_server.wait_for(lambda mail: "[critical]" in mail.subject, WITHIN_S)
    wait_until(lambda: {message.state.value for message in second.messages()} == {"sent"}, 10)
    second.stop()
    third = line(_mail(smtp_server))
    third.queue(500)
    smtp_server.wait_for(lambda mail: "queue bulk" in mail.subject, WITHIN_S)
    assert len(smtp_server.messages) == 2


def test_people_are_told_in_their_language(line, smtp_server):
    started = line(_mail(smtp_server, language="zh", to=["a@example.com", "b@example.com"]))
    started.queue(500)
    for address in ("a@example.com", "b@example.com"):
        mail = smtp_server.wait_for(lambda mail, address=address: mail.recipients == (address,), WITHIN_S)
        assert mail.subject == "[警告] 队列 bulk (mail)：队列积压 500（> 100）"
        assert "新事件。" in mail.text
    started.queue(3)
    over = smtp_server.wait_for(lambda mail: "[已恢复]" in mail.subject, WITHIN_S)
    assert "已自行恢复。" in over.text
