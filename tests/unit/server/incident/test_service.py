"""The life of incidents."""

import threading

import pytest

from huoyan.errors import Conflict, InvalidQuery, NotFound
from huoyan.model.alert import Level
from huoyan.model.incident import IncidentState
from huoyan.server.incident.facts import TopFailure
from tests.servers import migrated_sqlite
from tests.unit.server.alert.scene import BURST, MAIL, PAY, START, Scene

WARNING = {**BURST, "name": "some", "threshold": 0.05, "level": "warning", "group": "failures"}
CRITICAL = {**BURST, "name": "most", "threshold": 0.5, "level": "critical", "group": "failures"}


@pytest.fixture
def url(tmp_path):
    return migrated_sqlite(tmp_path / "huoyan.db")


@pytest.fixture
def scene(url):
    return Scene(url)


def _burst(scene, labels=PAY, succeeded=4, failed=6) -> None:
    scene.runs(labels, succeeded=succeeded, failed=failed)
    scene.judge()


def _end(scene) -> None:
    """Let the burst leave its window and the alert resolve."""
    scene.pass_s(60)
    scene.runs(succeeded=20)
    scene.pass_s(16)


def test_a_firing_alert_opens_an_incident_that_says_what_is_wrong(scene):
    _burst(scene)
    incident = scene.incident()
    assert incident.title == "orders.take_payment: failure ratio 60 % (> 20 %)"
    assert (incident.state, incident.level, incident.opened_at) == (IncidentState.OPEN, Level.CRITICAL, START)
    assert incident.labels == {"service": "orders", "task": "orders.take_payment"}
    assert incident.summary == ("Failure ratio of orders.take_payment is 60 % over 1 min (> 20 %) since 21:15:03 UTC.")
    (entry,) = scene.store.incidents.timeline(incident.id or 0)
    assert (entry.kind, entry.by, entry.at) == ("opened", "huoyan", START)
    assert entry.data["value"] == 0.6
    assert entry.data["labels"]["task"] == "orders.take_payment"


def test_it_resolves_by_itself_when_its_alerts_are_over(scene):
    _burst(scene)
    _end(scene)
    incident = scene.incident()
    assert (incident.state, incident.resolved_by) == (IncidentState.RESOLVED, "huoyan")
    assert scene.kinds(incident) == ["opened", "alert_resolved", "resolved"]
    assert incident.summary == (
        "Failure ratio of orders.take_payment reached 60 % over 1 min (> 20 %) "
        "from 21:15:03 to 21:16:19 UTC (1 min 16 s)."
    )
    entry = scene.store.incidents.timeline(incident.id or 0)[-1]
    assert (entry.text, entry.by) == ("all alerts are good again, after 1 min 16 s", "huoyan")


def test_no_line_of_the_time_line_says_what_another_says(scene):
    _burst(scene)
    _end(scene)
    texts = [entry.text for entry in scene.store.incidents.timeline(scene.incident_id())]
    assert len(set(texts)) == len(texts) == 3


def test_an_incident_whose_value_went_away_is_over_but_not_called_good(scene):
    _burst(scene)
    scene.pass_s(180)
    entry = scene.store.incidents.timeline(scene.incident_id())[-1]
    assert (entry.kind, entry.text) == ("resolved", "no alert fires any more, after 2 min")


def test_alerts_of_one_task_share_an_incident_and_those_of_another_have_their_own(url):
    scene = Scene(url, {**BURST, "by": ["service", "task", "queue"]})
    _burst(scene)
    _burst(scene, {**PAY, "queue": "express"})
    _burst(scene, MAIL)
    second, first = scene.store.incidents.page().items
    assert first.labels["task"] == "orders.take_payment"
    assert second.labels["task"] == "mail.send"
    assert [len(scene.store.alerts.for_incident(incident.id or 0)) for incident in (first, second)] == [2, 1]
    assert first.title.endswith(", and 1 more")


def test_an_incident_stays_until_its_last_alert_is_over(url):
    scene = Scene(url, {**BURST, "by": ["service", "task", "queue"], "keep_firing": 0})
    _burst(scene)
    scene.clock.at += 30
    _burst(scene, {**PAY, "queue": "express"})
    scene.pass_s(31)
    scene.runs(succeeded=20)
    scene.pass_s(2)
    assert scene.incident().state is IncidentState.OPEN
    scene.pass_s(28)
    scene.runs({**PAY, "queue": "express"}, succeeded=20)
    scene.pass_s(2)
    assert scene.incident().state is IncidentState.RESOLVED


def test_a_worse_alert_of_the_same_group_escalates(url):
    scene = Scene(url, WARNING, CRITICAL)
    _burst(scene, succeeded=18, failed=2)
    assert scene.incident().level is Level.WARNING
    _burst(scene, succeeded=0, failed=40)
    incident = scene.incident()
    assert incident.level is Level.CRITICAL
    assert scene.kinds(incident) == ["opened", "alert_added", "escalated"]
    assert incident.title == "orders.take_payment: failure ratio 70 % (> 50 %)"


def test_a_milder_alert_joins_without_escalating(url):
    scene = Scene(url, CRITICAL, WARNING)
    _burst(scene)
    assert scene.kinds(scene.incident()) == ["opened", "alert_added"]
    assert scene.incident().level is Level.CRITICAL


def test_what_fires_again_within_five_minutes_reopens_the_incident(scene):
    _burst(scene)
    scene.incidents.acknowledge(scene.incident_id(), "Ann")
    _end(scene)
    scene.pass_s(100, step_s=20)
    _burst(scene, failed=100)
    incident = scene.incident()
    assert incident.state is IncidentState.OPEN
    assert (incident.acknowledged_by, incident.resolved_at, incident.resolved_by) == ("", None, "")
    assert scene.kinds(incident)[-1] == "reopened"
    assert incident.opened_at == START


def test_what_fires_again_later_is_another_incident(scene):
    _burst(scene)
    _end(scene)
    scene.pass_s(301, step_s=50)
    _burst(scene)
    assert [incident.state.value for incident in scene.store.incidents.page().items] == ["open", "resolved"]


def test_of_two_who_acknowledge_the_second_hears_who_was_first(scene):
    _burst(scene)
    incident_id = scene.incident_id()
    scene.clock.at += 5
    acknowledged = scene.incidents.acknowledge(incident_id, "Ann", "looking")
    assert (acknowledged.state, acknowledged.acknowledged_by) == (IncidentState.ACKNOWLEDGED, "Ann")
    with pytest.raises(Conflict, match=r"expected it to be open, got acknowledged by Ann"):
        scene.incidents.acknowledge(incident_id, "Bob")
    assert scene.incident().acknowledged_by == "Ann"
    entry = scene.store.incidents.timeline(incident_id)[-1]
    assert (entry.kind, entry.by, entry.text, entry.at) == ("acknowledged", "Ann", "looking", START + 5)


def test_of_many_who_acknowledge_at_once_exactly_one_does(scene):
    _burst(scene)
    incident_id = scene.incident_id()
    outcomes, ready = [], threading.Barrier(8)

    def acknowledge(name):
        ready.wait()
        try:
            scene.incidents.acknowledge(incident_id, name)
            outcomes.append(name)
        except Conflict:
            outcomes.append(None)

    threads = [threading.Thread(target=acknowledge, args=(f"person-{index}",)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    winners = [name for name in outcomes if name is not None]
    assert len(outcomes) == 8
    assert winners == [scene.incident().acknowledged_by]
    assert scene.kinds(scene.incident()).count("acknowledged") == 1


def test_a_person_resolves_and_nobody_does_so_twice(scene):
    _burst(scene)
    incident_id = scene.incident_id()
    resolved = scene.incidents.resolve(incident_id, "Ann", "restarted the provider")
    assert (resolved.state, resolved.resolved_by) == (IncidentState.RESOLVED, "Ann")
    for again in (scene.incidents.resolve, scene.incidents.acknowledge):
        with pytest.raises(Conflict, match="got resolved by Ann"):
            again(incident_id, "Bob")


def test_an_incident_resolved_by_hand_whose_alerts_still_fire_reopens_after_five_minutes(scene):
    _burst(scene)
    scene.incidents.resolve(scene.incident_id(), "Ann")
    for _ in range(299):
        scene.runs(failed=1)
        scene.pass_s(1)
        scene.incidents.run_once()
    assert scene.incident().state is IncidentState.RESOLVED
    scene.pass_s(1)
    scene.incidents.run_once()
    incident = scene.incident()
    assert incident.state is IncidentState.OPEN
    entry = scene.store.incidents.timeline(incident.id or 0)[-1]
    assert entry.kind == "reopened"
    assert "still firing 5 min after it was resolved" in entry.text


def test_an_incident_whose_alerts_ended_unheard_is_ended_by_the_sweep(scene):
    _burst(scene)
    scene.alerts._on_transition = None
    _end(scene)
    assert scene.incident().state is IncidentState.OPEN
    scene.incidents.run_once()
    assert scene.incident().state is IncidentState.RESOLVED


def test_the_sweep_leaves_what_still_fires_alone(scene):
    _burst(scene)
    scene.incidents.run_once()
    assert scene.incident().state is IncidentState.OPEN


def test_a_comment_is_kept_in_any_state(scene):
    _burst(scene)
    incident_id = scene.incident_id()
    scene.incidents.resolve(incident_id, "Ann")
    scene.incidents.comment(incident_id, " Bob ", "cause: expired card")
    entry = scene.store.incidents.timeline(incident_id)[-1]
    assert (entry.kind, entry.by, entry.text) == ("commented", "Bob", "cause: expired card")
    assert scene.incident().state is IncidentState.RESOLVED


def test_nobody_and_nothing_are_refused(scene):
    _burst(scene)
    incident_id = scene.incident_id()
    with pytest.raises(InvalidQuery, match="by: expected a name"):
        scene.incidents.acknowledge(incident_id, "  ")
    with pytest.raises(InvalidQuery, match="by: expected a name of at most 200"):
        scene.incidents.resolve(incident_id, "x" * 201)
    with pytest.raises(InvalidQuery, match="text: expected at most 10000"):
        scene.incidents.comment(incident_id, "Ann", "x" * 10_001)
    with pytest.raises(InvalidQuery, match="text: expected a text"):
        scene.incidents.comment(incident_id, "Ann", " ")
    with pytest.raises(NotFound, match="expected the number of an incident, got 99"):
        scene.incidents.acknowledge(99, "Ann")


def test_the_failure_behind_most_is_named(url):
    top = TopFailure("f1", "PaymentError: provider down", 43, 45, "run-1")
    scene = Scene(url, facts=lambda alert, now: top)
    _burst(scene)
    incident = scene.incident()
    assert incident.summary.endswith("; 43 of 45 failures are PaymentError: provider down.")
    assert incident.failure == top.as_data()
    assert scene.store.incidents.timeline(incident.id or 0)[0].data["failure"]["run_id"] == "run-1"


def test_an_incident_opens_even_when_the_failure_behind_it_cannot_be_found(url, caplog):
    def broken(alert, now):
        raise RuntimeError("no such table")

    scene = Scene(url, facts=broken)
    _burst(scene)
    assert scene.incident().state is IncidentState.OPEN
    assert "could not be found" in caplog.text


def test_the_summary_follows_the_value_while_it_fires(scene):
    _burst(scene)
    scene.runs(failed=30)
    scene.pass_s(6)
    assert "is 90 % over 1 min" in scene.incident().summary


def test_the_summary_leads_with_the_worst_value_when_it_is_better_now(scene):
    _burst(scene, succeeded=0, failed=10)
    scene.pass_s(6)
    scene.runs(succeeded=10)
    scene.pass_s(1)
    assert scene.incident().summary == (
        "Failure ratio of orders.take_payment reached 100 % over 1 min (> 20 %), now 50 %, since 21:15:03 UTC."
    )


def test_open_incidents_are_counted_by_level(url):
    scene = Scene(url, WARNING, {**CRITICAL, "group": "apart"})
    assert scene.incidents.open_counts() == {"warning": 0, "critical": 0}
    _burst(scene)
    assert scene.incidents.open_counts() == {"warning": 1, "critical": 1}
    for incident in scene.store.incidents.page().items:
        scene.incidents.resolve(incident.id or 0, "Ann")
    assert scene.incidents.open_counts() == {"warning": 0, "critical": 0}


def test_people_are_to_be_told_of_beginnings_escalations_and_ends_alone(url):
    told: list[str] = []
    line: Scene = Scene(url, WARNING, CRITICAL, on_entry=lambda: told.append(line.kinds(line.incident())[-1]))
    _burst(line, succeeded=18, failed=2)
    _burst(line, failed=40)
    incident_id = line.incident_id()
    line.incidents.acknowledge(incident_id, "Ann")
    line.incidents.comment(incident_id, "Ann", "hm")
    line.incidents.resolve(incident_id, "Ann")
    assert told == ["opened", "escalated", "resolved"]
