"""The default rules: silent where all is well, quick where something breaks."""

import pytest

from huoyan.model.alert import Alert
from huoyan.server.alert.defaults import DEFAULTS
from huoyan.signals.metrics.server import EVENTS_LOST, INGEST_LAG
from huoyan.signals.metrics.work import QUEUE_DEPTH, QUEUE_OLDEST_AGE, TASK_WAIT, WORKER_UP
from tests.servers import migrated_sqlite
from tests.unit.server.alert.scene import MAIL, PAY, Scene


@pytest.fixture
def scene(tmp_path):
    return Scene(migrated_sqlite(tmp_path / "huoyan.db"), *DEFAULTS)


def _healthy_second(scene, second) -> None:
    """A busy system: 20 runs a second of which 1 % fail, short queues, short waits, three workers."""
    scene.runs(PAY, succeeded=20, failed=1 if second % 5 == 0 else 0)
    if second % 30 == 0:
        # A rare task that fails now and then.
        scene.runs(MAIL, succeeded=1 if second % 60 else 0, failed=0 if second % 60 else 1)
    at = scene.clock.at
    scene.source.set(QUEUE_DEPTH, {"service": "orders", "queue": "default"}, at, float(second % 40))
    scene.source.set(QUEUE_OLDEST_AGE, {"service": "orders", "queue": "default"}, at, float(second % 7))
    scene.source.observe(TASK_WAIT, PAY, at, 0.2)
    scene.source.set(INGEST_LAG, {}, at, 0.01)
    for worker in ("a", "b", "c"):
        scene.source.set(WORKER_UP, {"worker": worker}, at, 1.0)


def _fired(scene, seconds) -> tuple[int | None, list[Alert]]:
    seen = []
    for second in range(seconds):
        seen += [kind for kind, _ in scene.pass_s(1)]
        if seen:
            return second + 1, scene.store.alerts.page().items
    return None, []


def test_a_healthy_busy_system_raises_nothing_in_five_minutes(scene):
    for second in range(300):
        _healthy_second(scene, second)
        assert scene.pass_s(1) == []


def test_five_failed_runs_of_an_idle_task_fire_at_once(scene):
    scene.runs(failed=5)
    after_s, (alert, *_) = _fired(scene, 5)
    assert after_s == 1
    assert "task-failure-burst" in {found.rule for found in scene.store.alerts.page(state=["firing"]).items}
    assert alert.labels["task"] == "orders.take_payment"


def test_four_failed_runs_alone_fire_nothing(scene):
    scene.runs(failed=4)
    assert scene.pass_s(150) == []


def test_burst_and_lasting_failures_share_one_incident_that_ends_within_minutes(scene):
    for _ in range(60):
        scene.runs(succeeded=1, failed=4)
        scene.pass_s(1)
    firing = {alert.rule for alert in scene.store.alerts.page(state=["firing"]).items}
    assert firing == {"task-failure-burst", "task-failures"}
    assert len(scene.store.incidents.page().items) == 1
    for _ in range(140):
        scene.runs(succeeded=5)
        scene.pass_s(1)
    assert not scene.incident().unresolved


def test_a_worker_that_vanished_fires_by_name_and_one_that_said_goodbye_does_not(scene):
    for worker in ("a", "b"):
        scene.source.set(WORKER_UP, {"worker": worker}, scene.clock.at, 1.0)
    assert scene.pass_s(2) == []
    scene.source.set(WORKER_UP, {"worker": "a"}, scene.clock.at, None)
    scene.source.set(WORKER_UP, {"worker": "b"}, scene.clock.at, 0.0)
    scene.pass_s(1)
    (alert,) = scene.store.alerts.page().items
    assert (alert.rule, dict(alert.labels)) == ("worker-down", {"worker": "b"})
    assert scene.incident().title == "worker b: down, it stopped reporting"
    scene.source.set(WORKER_UP, {"worker": "b"}, scene.clock.at, 1.0)
    scene.pass_s(16)
    assert not scene.incident().unresolved


def test_workers_of_one_machine_going_down_together_are_one_incident(scene):
    for worker in ("a", "b", "c"):
        scene.source.set(WORKER_UP, {"worker": worker}, scene.clock.at, 0.0)
    scene.pass_s(1)
    assert scene.incident().title == "worker a: down, it stopped reporting, and 2 more"


def test_a_message_that_waits_for_minutes_fires(scene):
    scene.source.set(QUEUE_OLDEST_AGE, {"service": "mail", "queue": "bulk"}, scene.clock.at, 301.0)
    scene.pass_s(62)
    assert scene.incident().title == "queue bulk (mail): oldest waiting message 5 min 1 s (> 5 min)"


def test_lost_events_fire(scene):
    scene.pass_s(1)
    scene.source.add(EVENTS_LOST, {}, scene.clock.at, 7)
    scene.pass_s(1)
    assert scene.incident().title == "Events lost 7 (> 0)"
