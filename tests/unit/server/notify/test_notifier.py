"""The way of a message from a line of the time line to a receiver, with channels that a test holds in its hand."""

import threading

import pytest

from huoyan.errors import Undelivered
from huoyan.model.alert import Level
from huoyan.model.notification import Notification, NotificationState
from huoyan.server.notify.message import Message
from huoyan.server.notify.notifier import NEWS_S, RETRY_S, Notifier, send_test
from huoyan.server.notify.receivers import Receiver
from tests.servers import migrated_sqlite
from tests.servers.waiting import wait_until
from tests.unit.server.alert.scene import BURST, MAIL, PAY, Scene

SECRET = "tok-1234567"


class Box:
    """A channel that keeps what it is given, or fails as told."""

    def __init__(self, failures=()) -> None:
        self.messages: list[Message] = []
        self.delivered_before: list[tuple[str, ...]] = []
        self.failures = list(failures)
        self.tries = 0

    def send(self, message, delivered=()) -> None:
        self.tries += 1
        self.delivered_before.append(tuple(delivered))
        if self.failures:
            failure = self.failures.pop(0)
            if failure is not None:
                raise failure
        self.messages.append(message)

    def secrets(self) -> tuple[str, ...]:
        return (SECRET,)

    def describe(self) -> str:
        return "a box"

    @property
    def events(self) -> list[str]:
        return [message.event for message in self.messages]


def _receiver(box, name="ops", **changes) -> Receiver:
    return Receiver(**{"name": name, "kind": "webhook", "channel": box, **changes})


class Post:
    """A scene with a notifier that sends within `run_once`."""

    def __init__(self, url, *receivers, rules=(BURST,), **settings) -> None:
        self.scene = Scene(url, *rules)
        self.receivers = receivers
        self.settings = settings
        self.start()

    def start(self) -> None:
        store = self.scene.store
        self.notifier = Notifier(
            store.notifications,
            store.incidents,
            store.alerts,
            self.receivers,
            rules=self.scene.rules,
            clock=self.scene.clock,
            public_url="https://huoyan.example.com",
            **{"threaded": False, **self.settings},
        )

    def burst(self, labels=PAY, succeeded=0, failed=10) -> None:
        self.scene.runs(labels, succeeded=succeeded, failed=failed)
        self.scene.judge()

    def end(self) -> None:
        self.scene.pass_s(76)

    def later(self, seconds) -> None:
        self.scene.clock.at += seconds
        self.notifier.run_once()

    def rows(self) -> list[Notification]:
        (incident,) = self.scene.store.incidents.page().items
        return self.scene.store.notifications.for_incident(incident.id or 0)


@pytest.fixture
def url(tmp_path):
    return migrated_sqlite(tmp_path / "huoyan.db")


def test_every_receiver_hears_of_the_beginning_and_of_the_end_once(url):
    box, other = Box(), Box()
    post = Post(url, _receiver(box), _receiver(other, "hook", language="zh"))
    post.burst()
    for _ in range(5):
        post.later(1)
    assert (box.events, other.events) == (["opened"], ["opened"])
    assert other.messages[0].title.startswith("[严重]")
    post.scene.incidents.acknowledge(post.scene.incident_id(), "Ann")
    post.scene.incidents.resolve(post.scene.incident_id(), "Ann")
    post.later(1)
    assert (box.events, other.events) == (["opened", "resolved"], ["opened", "resolved"])
    assert [row.state for row in post.rows()] == [NotificationState.SENT] * 4
    assert all(row.sent_at for row in post.rows())


def test_nothing_is_told_when_nothing_happened(url):
    box = Box()
    post = Post(url, _receiver(box))
    post.later(1)
    assert box.tries == 0


def test_a_receiver_of_critical_incidents_hears_of_an_escalation_and_its_end_alone(url):
    box = Box()
    rules = (
        {**BURST, "name": "some", "threshold": 0.05, "level": "warning", "group": "g"},
        {**BURST, "name": "most", "threshold": 0.5, "group": "g"},
    )
    post = Post(url, _receiver(box, level=Level.CRITICAL), rules=rules)
    post.burst(succeeded=18, failed=2)
    post.later(1)
    assert box.events == []
    post.burst(failed=50)
    post.later(1)
    post.scene.incidents.resolve(post.scene.incident_id(), "Ann")
    post.later(1)
    assert box.events == ["escalated", "resolved"]


def test_a_rule_that_names_receivers_is_told_to_those(url):
    ops, dev = Box(), Box()
    post = Post(url, _receiver(ops), _receiver(dev, "dev"), rules=({**BURST, "receivers": ["dev"]},))
    post.burst()
    post.later(1)
    assert (ops.events, dev.events) == ([], ["opened"])


def test_what_did_not_arrive_is_tried_again_with_growing_pauses_until_it_does(url):
    box = Box([Undelivered("connection refused")] * 3)
    post = Post(url, _receiver(box))
    post.burst()
    post.later(0)
    assert [row.state for row in post.rows()] == [NotificationState.FAILED]
    for tries, pause_s in enumerate(RETRY_S[:3], start=1):
        post.later(pause_s - 0.1)
        assert box.tries == tries
        post.later(0.1)
        assert box.tries == tries + 1
    (row,) = post.rows()
    assert (row.state, row.attempts, row.error) == (NotificationState.SENT, 4, "")
    assert box.events == ["opened"]


def test_a_refusal_for_good_is_not_tried_again_and_its_reason_is_kept_without_secrets(url):
    box = Box([Undelivered(f"403 the key {SECRET} is unknown", retryable=False)])
    post = Post(url, _receiver(box))
    post.burst()
    for _ in range(10):
        post.later(600)
    (row,) = post.rows()
    assert box.tries == 1
    assert (row.state, row.attempts, row.error) == (NotificationState.DEAD, 1, "403 the key *** is unknown")


def test_it_is_given_up_after_so_many_tries(url, caplog):
    box = Box([Undelivered("down")] * 50)
    post = Post(url, _receiver(box), tries=4)
    post.burst()
    for _ in range(20):
        post.later(600)
    (row,) = post.rows()
    assert (row.state, row.attempts, box.tries) == (NotificationState.DEAD, 4, 4)
    assert "given up" in caplog.text


def test_a_channel_that_breaks_in_its_own_way_is_tried_again_and_shows_no_secret(url, caplog):
    box = Box([ValueError(f"bad {SECRET}")])
    post = Post(url, _receiver(box))
    post.burst()
    post.later(0)
    assert post.rows()[0].error == "ValueError: bad ***"
    post.later(1)
    assert box.events == ["opened"]
    assert SECRET not in caplog.text


def test_nobody_hears_of_the_end_before_the_beginning(url):
    box = Box([Undelivered("down"), Undelivered("down")])
    post = Post(url, _receiver(box))
    post.burst()
    post.later(0)
    post.scene.incidents.resolve(post.scene.incident_id(), "Ann")
    post.later(1)
    assert box.events == []
    post.later(5)
    assert box.events == ["opened", "resolved"]


def test_a_message_that_was_given_up_does_not_hold_up_the_next(url):
    box = Box([Undelivered("no", retryable=False)])
    post = Post(url, _receiver(box))
    post.burst()
    post.later(0)
    post.scene.incidents.resolve(post.scene.incident_id(), "Ann")
    post.later(1)
    assert box.events == ["resolved"]


def test_those_who_have_it_already_are_named_to_the_next_try(url):
    box = Box([Undelivered("b is unknown", delivered=("a@example.com",))])
    post = Post(url, _receiver(box))
    post.burst()
    post.later(0)
    post.later(1)
    assert box.delivered_before == [(), ("a@example.com",)]


def test_a_receiver_in_trouble_keeps_no_other_waiting(url):
    stuck, free = threading.Event(), Box()

    class Stuck(Box):
        def send(self, message, delivered=()) -> None:
            stuck.wait(300)
            super().send(message, delivered)

    slow = Stuck()
    post = Post(url, _receiver(slow, "a-slow"), _receiver(free, "b-free"), threaded=True)
    try:
        post.burst()
        post.notifier.run_once()
        wait_until(lambda: free.events == ["opened"], 60)
        post.burst(MAIL)
        post.notifier.run_once()
        wait_until(lambda: free.events == ["opened", "opened"], 60)
        assert slow.events == []
        stuck.set()
        wait_until(lambda: slow.events == ["opened", "opened"], 60)
    finally:
        stuck.set()
        post.notifier.stop()


def test_a_wake_sends_without_waiting_for_the_next_round(url):
    box = Box()
    post = Post(url, _receiver(box), threaded=True)
    try:
        post.scene.incidents._on_entry = post.notifier.wake
        post.burst()
        wait_until(lambda: box.events == ["opened"], 60)
    finally:
        post.notifier.stop()
    post.notifier.wake()
    assert box.events == ["opened"]


def test_a_line_written_before_a_crash_is_told_after_the_restart_once(url):
    box = Box()
    post = Post(url, _receiver(box))
    post.burst()
    post.start()
    post.later(1)
    post.start()
    post.later(1)
    assert box.events == ["opened"]


def test_a_crash_between_two_receivers_leaves_neither_out(url, monkeypatch):
    ops, dev = Box(), Box()
    post = Post(url, _receiver(ops), _receiver(dev, "dev"))
    post.burst()
    store = post.scene.store.notifications
    insert, left = store._insert, iter([True])

    def crash(message):
        if next(left, False):
            return insert(message)
        raise SystemExit

    with monkeypatch.context() as crashing:
        crashing.setattr(store, "_insert", crash)
        with pytest.raises(SystemExit):
            post.later(1)
    post.start()
    post.later(1)
    assert (ops.events, dev.events) == (["opened"], ["opened"])


def test_a_message_taken_by_a_process_that_ended_is_sent_after_its_lease(url):
    box = Box()
    post = Post(url, _receiver(box))
    post.burst()
    post.notifier._write(post.scene.clock.at)
    (taken,) = post.scene.store.notifications.claim_due(post.scene.clock.at, 5, "a process that ended")
    assert taken.state is NotificationState.SENDING
    post.later(299)
    assert box.events == []
    post.later(2)
    assert box.events == ["opened"]
    assert post.rows()[0].attempts == 2


def test_old_news_is_not_told(url):
    box = Box()
    post = Post(url, _receiver(box))
    post.burst()
    post.later(NEWS_S + 1)
    assert box.events == []


def test_messages_to_a_receiver_that_is_gone_are_given_up_with_that_reason(url):
    box = Box([Undelivered("down")])
    post = Post(url, _receiver(box))
    post.burst()
    post.later(0)
    post.receivers = (_receiver(box, "other"),)
    post.start()
    post.later(1)
    row = next(row for row in post.rows() if row.receiver == "ops")
    assert (row.state, row.error) == (NotificationState.DEAD, "this receiver is no longer configured")


def test_a_stopped_notifier_starts_nothing(url):
    box = Box()
    post = Post(url, _receiver(box))
    post.burst()
    post.notifier.stop()
    post.later(1)
    assert box.tries == 0


def test_a_test_message_arrives_or_says_why_not_without_secrets():
    box = Box()
    send_test(_receiver(box))
    assert box.events == ["test"]
    with pytest.raises(Undelivered, match=r"bad \*\*\*$"):
        send_test(_receiver(Box([Undelivered(f"bad {SECRET}")])))
    with pytest.raises(Undelivered, match=r"KeyError: '\*\*\*'"):
        send_test(_receiver(Box([KeyError(SECRET)])))
