"""The service that judges every rule each second."""

import logging

import pytest

from huoyan.model.alert import AlertState, Level
from huoyan.server.alert.service import BLINDNESS
from huoyan.signals.metrics.work import QUEUE_DEPTH, TASK_FAILURES
from tests.servers import migrated_sqlite
from tests.unit.server.alert.scene import BURST, MAIL, PAY, Scene

COUNT = {"name": "many", "signal": "task_failures", "op": ">", "threshold": 5, "window": "1m"}


@pytest.fixture
def url(tmp_path):
    return migrated_sqlite(tmp_path / "huoyan.db")


def test_a_burst_fires_and_its_alert_is_stored_with_its_incident(url):
    scene = Scene(url)
    scene.runs(succeeded=4, failed=6)
    assert scene.judge() == [("firing", "orders.take_payment")]
    (alert,) = scene.store.alerts.page().items
    assert (alert.state, alert.level, alert.value, alert.window_s) == (AlertState.FIRING, Level.CRITICAL, 0.6, 60.0)
    assert alert.labels == {"service": "orders", "task": "orders.take_payment"}
    assert alert.incident_id == scene.incident().id


def test_too_few_runs_fire_nothing(url):
    scene = Scene(url)
    scene.runs(failed=4)
    assert scene.judge() == []


def test_a_count_that_left_its_window_is_zero_and_resolves_as_good(url):
    scene = Scene(url, COUNT)
    scene.source.add(TASK_FAILURES, {**PAY, "exception": "PaymentError"}, scene.clock.at, 9)
    assert scene.judge() == [("firing", "orders.take_payment")]
    scene.pass_s(60)
    assert [alert.good_at is not None for alert in scene.alerts.active()] == [True]
    assert scene.pass_s(15)[-1] == ("resolved", "orders.take_payment")


def test_a_queue_that_vanished_resolves_its_alert(url):
    scene = Scene(url, {"name": "deep", "signal": "queue_depth", "op": ">", "threshold": 100, "for": 0, "stale": "30s"})
    labels = {"service": "mail", "queue": "bulk"}
    scene.source.set(QUEUE_DEPTH, labels, scene.clock.at, 500)
    assert scene.judge() == [("firing", "")]
    scene.source.set(QUEUE_DEPTH, labels, scene.clock.at, None)
    scene.pass_s(29)
    assert len(scene.alerts.active()) == 1
    scene.pass_s(2)
    (alert,) = scene.store.alerts.page(state=["resolved"]).items
    assert "has had no value for 30 s" in alert.reason


def test_a_restart_between_any_two_seconds_makes_no_difference(url, tmp_path):
    rule = {**BURST, "for": "10s", "keep_firing": "15s"}
    told = []
    for restarting, address in ((False, url), (True, migrated_sqlite(tmp_path / "other.db"))):
        scene = Scene(address, rule)
        seen = []
        for second in range(150):
            if second == 5:
                scene.runs(succeeded=5, failed=5)
            if second in (70, 110):
                scene.runs(succeeded=10)
            seen += [(second, *change) for change in scene.pass_s(1)]
            if restarting:
                scene.start()
        told.append(seen)
    assert told[0] == told[1]
    assert [kind for _, kind, _ in told[0]].count("resolved") == 1


def test_while_a_source_is_cut_off_nothing_resolves_and_one_alert_says_so(url):
    scene = Scene(url)
    scene.runs(succeeded=5, failed=5)
    scene.judge()
    scene.silent = ["celery redis://broker"]
    scene.pass_s(300)
    firing = {alert.rule for alert in scene.alerts.active() if alert.state is AlertState.FIRING}
    assert firing == {"burst", BLINDNESS.name}
    titles = [incident.title for incident in scene.store.incidents.page().items]
    assert "source celery redis://broker: cut off, no events come from it" in titles
    scene.silent = []
    scene.runs(succeeded=50)
    scene.pass_s(20)
    assert scene.alerts.active() == []


def test_a_source_that_is_cut_off_for_a_moment_is_nobodys_business(url):
    scene = Scene(url)
    scene.silent = ["celery redis://broker"]
    scene.pass_s(9)
    scene.silent = []
    scene.pass_s(5)
    assert scene.store.incidents.page().items == []


def test_an_alert_that_could_not_be_handed_over_is_handed_over_again(url, caplog):
    scene = Scene(url)
    handle, failures = scene.incidents.handle, iter([True, True, False])

    def sometimes(transition):
        if next(failures, False):
            raise RuntimeError("the database is away")
        return handle(transition)

    scene.alerts._on_transition = sometimes
    scene.runs(failed=9)
    with caplog.at_level(logging.CRITICAL):
        scene.judge()
        assert scene.store.incidents.page().items == []
        scene.pass_s(3)
    assert scene.kinds(scene.incident()) == ["opened"]


def test_a_rule_that_cannot_be_judged_silences_no_other_and_is_logged_once(url, caplog):
    scene = Scene(url, {**COUNT, "name": "broken"}, BURST)
    increase = scene.source.increase

    def broken(metric, *rest):
        if metric == TASK_FAILURES.name:
            raise RuntimeError("no such table")
        return increase(metric, *rest)

    object.__setattr__(scene.alerts, "_source", type("Source", (), {"increase": staticmethod(broken)}))
    scene.runs(failed=9)
    assert scene.judge() == [("firing", "orders.take_payment")]
    scene.pass_s(3)
    assert [record.getMessage() for record in caplog.records] == [
        "rule broken could not be judged; trying again every second"
    ]


def test_a_change_that_could_not_be_written_is_decided_again(url, monkeypatch):
    scene = Scene(url)
    save, failures = scene.store.alerts.save, iter([True, False])

    def sometimes(alert):
        if next(failures, False):
            raise OSError("disk full")
        return save(alert)

    monkeypatch.setattr(scene.store.alerts, "save", sometimes)
    scene.runs(failed=9)
    assert scene.judge() == []
    assert scene.alerts.active() == []
    assert scene.pass_s(1) == [("firing", "orders.take_payment")]


def test_alerts_of_a_rule_that_is_gone_are_ended(url):
    scene = Scene(url, BURST, {**BURST, "name": "later", "for": "1h"})
    scene.runs(failed=9)
    assert [kind for kind, _ in scene.judge()] == ["firing", "pending"]
    scene.rules = ()
    scene.start()
    assert [kind for kind, _ in scene.judge()] == ["resolved", "cancelled"]
    assert [alert.reason for alert in scene.store.alerts.page().items] == ["rule burst is no longer configured"]
    assert scene.incident().resolved_by == "huoyan"


def test_firing_alerts_are_counted_by_rule_and_level_and_quiet_rules_are_zero(url):
    scene = Scene(url, BURST, COUNT)
    scene.runs(failed=9)
    scene.runs(MAIL, failed=9)
    scene.judge()
    assert scene.alerts.firing_counts() == {
        ("burst", "critical"): 2,
        ("many", "warning"): 0,
        ("ingest-cut", "critical"): 0,
    }
    assert (scene.alerts.state_of("burst"), scene.alerts.state_of("many")) == ("firing", "inactive")


def test_changes_are_published_and_quiet_seconds_are_not(url):
    scene = Scene(url)
    scene.pass_s(5)
    assert scene.bus.published == []
    scene.runs(failed=9)
    scene.judge()
    topics = [topic for topic, _ in scene.bus.published]
    assert topics == ["incidents", "alerts"]
    (item,) = scene.bus.published[-1][1]["items"]
    assert (item["rule"], item["state"], item["level"]) == ("burst", "firing", "critical")


def test_where_and_by_choose_what_is_judged(url):
    scene = Scene(url, {**BURST, "where": {"service": "mail"}, "by": ["service"]})
    scene.runs(PAY, failed=9)
    scene.runs(MAIL, failed=9)
    scene.judge()
    assert [dict(alert.labels) for alert in scene.alerts.active()] == [{"service": "mail"}]


def test_a_blindness_is_one_incident_whatever_is_cut_and_other_alerts_hold_still_meanwhile(url):
    scene = Scene(url)
    scene.runs(succeeded=4, failed=6)
    assert scene.judge() == [("firing", "orders.take_payment")]
    scene.silent = ["celery redis://a/0", "rq redis://b/0"]
    # The burst has left its window long before the end, and is not taken to be over.
    scene.pass_s(120)
    incidents = {incident.rule: incident for incident in scene.store.incidents.page().items}
    assert sorted(incidents) == ["burst", "ingest-cut"]
    assert {incident.state.value for incident in incidents.values()} == {"open"}
    scene.silent = []
    scene.pass_s(120)
    again = {incident.rule: incident for incident in scene.store.incidents.page().items}
    assert {rule: incident.state.value for rule, incident in again.items()} == {
        "burst": "resolved",
        "ingest-cut": "resolved",
    }
    assert again["ingest-cut"].id == incidents["ingest-cut"].id
