"""What people read."""

import json

import pytest

from huoyan.model.alert import Alert, AlertState, Level
from huoyan.model.incident import EntryKind, Incident, TimelineEntry
from huoyan.server.incident.facts import TopFailure
from huoyan.server.notify.channels.email.html import render
from huoyan.server.notify.message import TOLD, Message, compose, trial
from tests.servers import migrated_sqlite
from tests.unit.server.alert.scene import BURST, PAY, Scene

TOP = TopFailure("f1", "PaymentError: provider <down> & out", 43, 45, "run-1")


@pytest.fixture
def scene(tmp_path):
    rule = {**BURST, "annotations": {"runbook": "https://wiki.example.com/pay"}}
    return Scene(migrated_sqlite(tmp_path / "huoyan.db"), rule, facts=lambda alert, now: TOP)


def _message(scene, language="en", kind=None, public_url="https://huoyan.example.com/") -> Message:
    incident = scene.incident()
    entries = [entry for entry in scene.store.incidents.timeline(incident.id) if entry.kind in TOLD]
    entry = entries[-1] if kind is None else next(entry for entry in entries if entry.kind == kind)
    alerts = scene.store.alerts.for_incident(incident.id)
    return compose(incident, entry, alerts, language=language, public_url=public_url)


def _burst(scene) -> None:
    scene.runs(PAY, succeeded=38, failed=62)
    scene.judge()


def _end(scene) -> None:
    scene.pass_s(60)
    scene.runs(PAY, succeeded=97, failed=3)
    scene.pass_s(16)


def test_the_first_message_says_what_since_when_how_much_why_and_where_to_look(scene):
    _burst(scene)
    message = _message(scene)
    assert message.title == "[critical] orders.take_payment: failure ratio 62 % (> 20 %)"
    assert message.text == (
        "A new incident.\n"
        "\n"
        "Since: 2025-11-20 21:15:03 UTC\n"
        "Value: 62 % (over 1 min; limit > 20 %)\n"
        "Top failure: PaymentError: provider <down> & out (43 of 45)\n"
        "Rule: burst\n"
        "runbook: https://wiki.example.com/pay\n"
        "\n"
        "https://huoyan.example.com/incidents/1"
    )


def test_it_is_said_in_chinese_to_those_who_read_that(scene):
    _burst(scene)
    message = _message(scene, "zh")
    assert message.title == "[严重] orders.take_payment：失败率 62 %（> 20 %）"
    assert "主要失败：PaymentError: provider <down> & out (43/45)" in message.text
    assert "统计窗口 1 分钟" in message.text


def test_the_end_says_how_long_it_lasted_and_how_bad_it_was(scene):
    _burst(scene)
    _end(scene)
    message = _message(scene)
    assert message.title == "[resolved] orders.take_payment: failure ratio (> 20 %)"
    assert message.event == "resolved"
    assert "It is over." in message.text
    assert "Ended: 2025-11-20 21:16:19 UTC (1 min 16 s)" in message.text
    assert "at worst 62 %" in message.text
    assert _message(scene, "zh").title == "[已恢复] orders.take_payment：失败率（> 20 %）"


def test_an_end_by_a_person_names_who_and_why(scene):
    _burst(scene)
    scene.incidents.resolve(scene.incident().id, "Ann", "restarted the provider")
    assert _message(scene).lead == "Resolved by Ann. restarted the provider"


def test_a_message_written_late_tells_what_it_would_have_told_in_time(scene):
    _burst(scene)
    _end(scene)
    assert _message(scene, kind="opened").title == "[critical] orders.take_payment: failure ratio 62 % (> 20 %)"


def test_without_an_address_of_the_page_there_is_no_link(scene):
    _burst(scene)
    message = _message(scene, public_url=None)
    assert "incidents/1" not in message.text
    assert message.body()["url"] is None


def test_programs_get_the_incident_and_its_alerts_as_json(scene):
    _burst(scene)
    body = json.loads(json.dumps(_message(scene).body()))
    assert (body["version"], body["event"], body["url"]) == (1, "opened", "https://huoyan.example.com/incidents/1")
    assert body["incident"]["opened_at"] == "2025-11-20T21:15:03.000000Z"
    assert body["incident"]["labels"] == {"service": "orders", "task": "orders.take_payment"}
    (alert,) = body["alerts"]
    assert (alert["rule"], alert["value"], alert["op"], alert["threshold"]) == ("burst", 0.62, ">", 0.2)


def test_a_message_comes_back_from_the_database_as_it_was(scene):
    _burst(scene)
    message = _message(scene, "zh")
    assert Message.of_data(json.loads(json.dumps(message.as_data()))) == message


def test_messages_about_one_incident_share_a_thread_and_differ_in_their_key(scene):
    _burst(scene)
    _end(scene)
    first, last = _message(scene, kind="opened"), _message(scene)
    assert first.thread == last.thread
    assert first.key != last.key


def test_html_escapes_what_came_from_outside(scene):
    _burst(scene)
    html = render(_message(scene))
    assert "provider &lt;down&gt; &amp; out" in html
    assert "<down>" not in html
    assert 'href="https://huoyan.example.com/incidents/1"' in html


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_test_message_says_that_nothing_is_wrong(language):
    message = trial(language)
    assert message.event == "test"
    assert message.lead
    assert render(message)
    assert message.body()["incident"] is None


@pytest.mark.parametrize(
    ("signal", "labels", "english", "chinese"),
    [
        ("backlog", {"service": "mail", "backlog": "emails"}, "backlog emails (mail)", "积压 emails (mail)"),
        (
            "operation_success_ratio",
            {"service": "shop", "operation": "pay"},
            "operation pay (shop)",
            "操作 pay (shop)",
        ),
        ("queue_depth", {"service": "shop", "queue": "bulk"}, "queue bulk (shop)", "队列 bulk (shop)"),
        ("value:stock_items", {"service": "shop", "shelf": "a"}, "service shop (shelf=a)", "服务 shop (shelf=a)"),
    ],
)
def test_every_kind_of_message_names_what_the_labels_of_its_alerts_point_at(signal, labels, english, chinese):
    alerts = [
        Alert(
            id=number,
            rule="r",
            signal=signal,
            level=Level.WARNING,
            state=AlertState.FIRING,
            labels=labels | more,
            op=">",
            threshold=100.0,
            value=120.0,
            pending_at=0.0,
        )
        for number, more in enumerate(({}, {"region": "eu"}), start=1)
    ]
    incident = Incident(
        id=1,
        group_key="k",
        title="",
        level=Level.WARNING,
        rule="r",
        labels={},
        opened_at=0.0,
        updated_at=0.0,
    )
    for kind in (EntryKind.OPENED, EntryKind.RESOLVED):
        entry = TimelineEntry(id=1, at=9.0, kind=kind, data={"alert_id": 1})
        for language, named in (("en", english), ("zh", chinese)):
            message = compose(incident, entry, alerts, language=language)
            mark = "：" if language == "zh" else ": "
            assert message.title.partition("] ")[2].startswith(named + mark)
            also = dict(message.facts)["Also affected" if language == "en" else "同时受影响"]
            assert "region=eu" in also
            assert message.title in message.body()["title"]
            assert named in render(message)
