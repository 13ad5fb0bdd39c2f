"""What the store promises about alerts, incidents and messages, on SQLite and PostgreSQL alike."""

import threading
from dataclasses import replace

import pytest
from sqlalchemy.exc import IntegrityError

from huoyan.errors import InvalidQuery
from huoyan.model.alert import Alert, AlertState, Level
from huoyan.model.incident import EntryKind, Incident, IncidentState, TimelineEntry
from huoyan.model.notification import Notification, NotificationState
from huoyan.server.store import Store
from tests.servers import migrated_sqlite

T = 1_763_673_303.25


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    if request.param == "sqlite":
        url = migrated_sqlite(tmp_path / "huoyan.db")
    else:
        url = request.getfixturevalue("migrated_postgres")
    opened = Store.open(url)
    yield opened
    opened.close()


def _alert(**changes) -> Alert:
    whole = {
        "rule": "burst",
        "signal": "task_failure_ratio",
        "level": Level.CRITICAL,
        "state": AlertState.FIRING,
        "labels": {"service": "orders", "task": "支付"},
        "op": ">",
        "threshold": 0.2,
        "pending_at": T,
        "window_s": 60.0,
        "value": 0.62,
        "worst": 0.9,
        "fired_at": T + 1,
        "last_value_at": T + 2,
        "good_at": T + 3,
        "absent_at": T + 4,
        "reason": "failure ratio is 62 %",
        "annotations": {"runbook": "https://example.com"},
    }
    return Alert(**{**whole, **changes})


def _incident(**changes) -> Incident:
    whole = {
        "group_key": "burst{}",
        "title": "orders.take_payment: failure ratio 62 %",
        "level": Level.WARNING,
        "rule": "burst",
        "labels": {"service": "orders"},
        "opened_at": T,
        "updated_at": T,
        "summary": "Failure ratio is 62 %.",
    }
    return Incident(**{**whole, **changes})


def _entry(kind=EntryKind.OPENED, **changes) -> TimelineEntry:
    return TimelineEntry(**{"at": T, "kind": kind, "text": "a", "data": {"value": 0.62}, **changes})


def _message(key, **changes) -> Notification:
    whole = {
        "receiver": "ops",
        "event": "opened",
        "title": "[critical] a",
        "body": "b",
        "dedup_key": key,
        "created_at": T,
        "next_at": T,
        "data": {"entry_id": 1, "delivered": ["a"]},
    }
    return Notification(**{**whole, **changes})


def test_an_alert_comes_back_as_it_was_saved(store):
    saved = store.alerts.save(_alert())
    assert saved.id is not None
    assert store.alerts.get(saved.id) == saved
    assert store.alerts.load_active() == [saved]


def test_an_alert_is_written_anew_and_leaves_the_active_ones_when_resolved(store):
    saved = store.alerts.save(_alert())
    resolved = replace(saved, state=AlertState.RESOLVED, resolved_at=T + 9, value=None, good_at=None)
    assert store.alerts.save(resolved) == resolved
    assert store.alerts.load_active() == []
    assert store.alerts.page().items == [resolved]


def test_writing_an_alert_anew_leaves_its_incident_alone(store):
    saved = store.alerts.save(_alert())
    incident = store.incidents.create(_incident(), [_entry()], [saved.id])
    store.alerts.save(replace(saved, value=0.7))
    assert store.alerts.get(saved.id).incident_id == incident.id


def test_only_an_alert_without_incident_is_deleted(store):
    alone, kept = store.alerts.save(_alert(state=AlertState.PENDING)), store.alerts.save(_alert())
    store.incidents.create(_incident(), [], [kept.id])
    store.alerts.delete(alone.id)
    store.alerts.delete(kept.id)
    assert [alert.id for alert in store.alerts.page().items] == [kept.id]


def test_alerts_are_paged_newest_first_without_gaps_or_repeats(store):
    for index in range(7):
        store.alerts.save(_alert(pending_at=T + index // 2, rule=f"r{index}"))
    seen, cursor = [], None
    while True:
        page = store.alerts.page(limit=2, cursor=cursor)
        seen += [alert.rule for alert in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert seen == ["r6", "r5", "r4", "r3", "r2", "r1", "r0"]
    with pytest.raises(InvalidQuery):
        store.alerts.page(cursor="nonsense")


def test_alerts_are_filtered_by_state_time_and_rule(store):
    store.alerts.save(_alert(state=AlertState.PENDING, pending_at=T))
    store.alerts.save(_alert(rule="other", pending_at=T + 10))
    assert [alert.rule for alert in store.alerts.page(state=["firing"]).items] == ["other"]
    assert [alert.rule for alert in store.alerts.page(since=T + 10).items] == ["other"]
    assert [alert.rule for alert in store.alerts.page(rule="burst").items] == ["burst"]
    assert len(store.alerts.page(state=["firing", "pending"]).items) == 2


def test_an_incident_is_created_with_its_lines_and_alerts(store):
    alerts = [store.alerts.save(_alert()) for _ in range(2)]
    incident = store.incidents.create(_incident(), [_entry(), _entry(EntryKind.ESCALATED)], [a.id for a in alerts])
    assert store.incidents.get(incident.id) == incident
    assert [entry.kind for entry in store.incidents.timeline(incident.id)] == ["opened", "escalated"]
    assert store.incidents.timeline(incident.id)[0].data == {"value": 0.62}
    assert [alert.id for alert in store.alerts.for_incident(incident.id)] == [alert.id for alert in alerts]
    by_incident = store.alerts.for_incidents([incident.id, 77])
    assert [alert.id for alert in by_incident[incident.id]] == [alert.id for alert in alerts]
    assert by_incident[77] == []
    assert store.alerts.for_incidents([]) == {}


def test_the_failure_behind_an_incident_is_kept_and_taken_back(store):
    failure = {"fingerprint": "f1", "title": "ProviderDown: 无应答", "count": 43}
    incident = store.incidents.create(_incident(failure=failure), [_entry()])
    assert store.incidents.get(incident.id).failure == failure
    assert store.incidents.update(replace(incident, failure=None), [IncidentState.OPEN])
    assert store.incidents.get(incident.id).failure is None


def test_the_last_line_of_each_kind_is_found_for_many_incidents_at_once(store):
    first = store.incidents.create(_incident(), [_entry(text="a"), _entry(EntryKind.ALERT_ADDED, text="b")])
    second = store.incidents.create(_incident(group_key="other{}"), [_entry(text="c")])
    for text in ("d", "e"):
        store.incidents.append_timeline(first.id, _entry(EntryKind.ALERT_ADDED, text=text))
        store.incidents.append_timeline(first.id, _entry(EntryKind.COMMENTED, text=text))
    found = store.incidents.last_lines([first.id, second.id, 77], [EntryKind.OPENED, EntryKind.ALERT_ADDED])
    assert {number: [entry.text for entry in lines] for number, lines in found.items()} == {
        first.id: ["a", "e"],
        second.id: ["c"],
        77: [],
    }
    assert store.incidents.last_lines([], [EntryKind.OPENED]) == {}


def test_an_incident_with_an_unknown_alert_is_still_created_whole_or_not_at_all(store):
    with pytest.raises((IntegrityError, AttributeError)):
        store.incidents.create(_incident(), [_entry(), None])
    assert store.incidents.page().items == []


def test_an_update_happens_only_from_the_states_expected(store):
    incident = store.incidents.create(_incident(), [_entry()])
    taken = replace(incident, state=IncidentState.ACKNOWLEDGED, acknowledged_by="Ann", acknowledged_at=T)
    line = _entry(EntryKind.ACKNOWLEDGED, by="Ann")
    assert store.incidents.update(taken, [IncidentState.OPEN], [line])
    assert not store.incidents.update(replace(taken, acknowledged_by="Bob"), [IncidentState.OPEN], [line])
    assert store.incidents.get(incident.id).acknowledged_by == "Ann"
    assert len(store.incidents.timeline(incident.id)) == 2


def test_of_many_updates_at_once_exactly_one_happens(store):
    incident = store.incidents.create(_incident(), [])
    outcomes, ready = [], threading.Barrier(6)

    def acknowledge(name):
        ready.wait()
        changed = replace(incident, state=IncidentState.ACKNOWLEDGED, acknowledged_by=name)
        outcomes.append(store.incidents.update(changed, [IncidentState.OPEN], [_entry(EntryKind.ACKNOWLEDGED)]))

    threads = [threading.Thread(target=acknowledge, args=(f"p{index}",)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == [False] * 5 + [True]
    assert len(store.incidents.timeline(incident.id)) == 1


def test_the_incident_of_a_group_is_its_newest(store):
    assert store.incidents.open_for("burst{}") is None
    old = store.incidents.create(_incident(state=IncidentState.RESOLVED, resolved_at=T, resolved_by="Ann"), [])
    assert store.incidents.open_for("burst{}") is None
    assert store.incidents.last_for("burst{}") == old
    new = store.incidents.create(_incident(opened_at=T + 1), [])
    store.incidents.create(_incident(group_key="other"), [])
    assert store.incidents.open_for("burst{}") == new
    assert [incident.group_key for incident in store.incidents.unresolved()] == ["burst{}", "other"]


def test_incidents_are_paged_and_filtered(store):
    for index in range(5):
        level = Level.CRITICAL if index % 2 else Level.WARNING
        state = IncidentState.RESOLVED if index < 2 else IncidentState.OPEN
        store.incidents.create(_incident(title=f"i{index}", opened_at=T + index, level=level, state=state), [])
    first = store.incidents.page(limit=3)
    assert [incident.title for incident in first.items] == ["i4", "i3", "i2"]
    assert [incident.title for incident in store.incidents.page(cursor=first.next).items] == ["i1", "i0"]
    assert [i.title for i in store.incidents.page(state=["open", "acknowledged"]).items] == ["i4", "i3", "i2"]
    assert [i.title for i in store.incidents.page(level="critical").items] == ["i3", "i1"]
    assert [i.title for i in store.incidents.page(since=T + 4).items] == ["i4"]
    assert store.incidents.open_counts() == {"warning": 2, "critical": 1}


def test_lines_after_a_line_are_found_by_kind_and_age(store):
    incident = store.incidents.create(_incident(), [_entry(at=T - 100), _entry(EntryKind.COMMENTED), _entry()])
    store.incidents.append_timeline(incident.id, _entry(EntryKind.RESOLVED, at=T + 5))
    kinds = [EntryKind.OPENED, EntryKind.RESOLVED]
    found = store.incidents.entries_after(0, kinds, since=T)
    assert [entry.kind for entry in found] == ["opened", "resolved"]
    assert store.incidents.entries_after(found[0].id, kinds, since=T) == [found[1]]
    assert store.incidents.get(incident.id).updated_at == T + 5


def test_old_incidents_go_with_all_that_belongs_to_them_and_open_ones_stay(store):
    alert = store.alerts.save(_alert())
    old = store.incidents.create(_incident(state=IncidentState.RESOLVED, resolved_at=T), [_entry()], [alert.id])
    kept = store.incidents.create(_incident(), [_entry()])
    store.notifications.enqueue([_message("k", incident_id=old.id, alert_id=alert.id)])
    assert store.incidents.delete_before(T + 1) == 1
    assert store.incidents.delete_before(T + 1) == 0
    assert [incident.id for incident in store.incidents.page().items] == [kept.id]
    assert store.alerts.get(alert.id) is None
    assert store.notifications.last() is None


def test_a_message_is_stored_once(store):
    assert store.notifications.enqueue([_message("a"), _message("b"), _message("a")]) == 2
    assert store.notifications.enqueue([_message("b")]) == 0
    assert store.notifications.counts() == {"queued": 2, "sending": 0, "sent": 0, "failed": 0, "dead": 0}


def test_a_message_that_cannot_be_stored_for_another_reason_is_not_passed_over(store):
    with pytest.raises(IntegrityError):
        store.notifications.enqueue([_message("a", incident_id=12345)])


def test_a_due_message_is_taken_once_and_given_back(store):
    store.notifications.enqueue([_message("a"), _message("later", next_at=T + 60)])
    assert store.notifications.receivers_due(T) == ["ops"]
    (taken,) = store.notifications.claim_due(T, 10, "me")
    assert (taken.dedup_key, taken.attempts, taken.claimed_by) == ("a", 1, "me")
    assert store.notifications.claim_due(T, 10, "you") == []
    assert store.notifications.receivers_due(T) == []
    assert not store.notifications.finish(taken.id, NotificationState.SENT, claimed_by="you", at=T)
    assert store.notifications.finish(
        taken.id, NotificationState.FAILED, claimed_by="me", at=T, error="down", retry_at=T + 5, data={"delivered": []}
    )
    assert store.notifications.claim_due(T + 4.9, 10, "you") == []
    (again,) = store.notifications.claim_due(T + 5, 10, "you")
    assert (again.attempts, again.error, again.data) == (2, "down", {"delivered": []})
    assert store.notifications.finish(again.id, NotificationState.SENT, claimed_by="you", at=T + 6)
    assert store.notifications.counts()["sent"] == 1


def test_of_many_who_take_each_message_goes_to_one(store):
    store.notifications.enqueue([_message(f"k{index}") for index in range(20)])
    taken, ready = [], threading.Barrier(4)

    def take(name):
        ready.wait()
        taken.extend(store.notifications.claim_due(T, 20, name))

    threads = [threading.Thread(target=take, args=(f"t{index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    keys = [message.dedup_key for message in taken]
    assert sorted(keys) == sorted(set(keys))
    rest = store.notifications.claim_due(T, 20, "last")
    assert len(keys) + len(rest) == 20


def test_messages_about_one_incident_to_one_receiver_go_in_order(store):
    incident = store.incidents.create(_incident(), [])
    store.notifications.enqueue(
        [
            _message("opened", incident_id=incident.id),
            _message("resolved", incident_id=incident.id),
            _message("other", incident_id=incident.id, receiver="dev"),
        ]
    )
    taken = store.notifications.claim_due(T, 10, "me")
    assert [message.dedup_key for message in taken] == ["opened", "other"]
    store.notifications.finish(taken[0].id, NotificationState.FAILED, claimed_by="me", at=T, retry_at=T + 60)
    assert store.notifications.claim_due(T, 10, "me") == []
    (again,) = store.notifications.claim_due(T + 60, 10, "me")
    store.notifications.finish(again.id, NotificationState.DEAD, claimed_by="me", at=T + 60, error="no")
    assert [message.dedup_key for message in store.notifications.claim_due(T + 60, 10, "me")] == ["resolved"]
    assert [message.state for message in store.notifications.for_incident(incident.id)] == [
        "dead",
        "sending",
        "sending",
    ]


def test_what_was_taken_and_never_given_back_is_taken_again_after_the_lease(store):
    store.notifications.enqueue([_message("a")])
    store.notifications.claim_due(T, 10, "a process that ended")
    assert store.notifications.claim_due(T + 299, 10, "me") == []
    assert store.notifications.receivers_due(T + 300) == ["ops"]
    (again,) = store.notifications.claim_due(T + 300, 10, "me")
    assert (again.attempts, again.claimed_by) == (2, "me")


def test_one_receivers_messages_can_be_taken_alone(store):
    store.notifications.enqueue([_message("a"), _message("b", receiver="dev")])
    assert [m.dedup_key for m in store.notifications.claim_due(T, 10, "me", receiver="dev")] == ["b"]
