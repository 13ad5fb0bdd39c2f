"""The ledger: what adds up, what does not, and what is said of runs that nobody has."""

from collections.abc import Collection, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huoyan.errors import Unreachable
from huoyan.model.event import EventKind, Evidence, ProcessReport, TaskEvent
from huoyan.model.run import RunState, view
from huoyan.server.collect.holdings import Holding
from huoyan.server.collect.ledger import Account, Ledger, accounts, reconcile
from tests.unit.server.collect.conftest import T

W = "celery@w"


class BrokerInHand:
    """A broker whose contents the test decides; the real ones are asked in the integration tests."""

    source = "celery redis://x/0"
    framework = "celery"
    service = ""
    names_runs = True

    def __init__(self) -> None:
        self.held: dict[str, Holding] = {"q": Holding("q", 0, 0, frozenset())}
        self.workers: dict[str, set[str]] = {W: set()}
        self.ended: list[TaskEvent] = []
        self.away = False

    def hold(self, *run_ids: str) -> None:
        self.held = {"q": Holding("q", len(run_ids), 0, frozenset(run_ids))}

    def holdings(self, queues: Iterable[str]) -> dict[str, Holding]:
        if self.away:
            raise Unreachable("connection refused")
        return self.held

    def working(self, run_ids: Collection[str]) -> dict[str, frozenset[str]]:
        return {worker: frozenset(ids) & frozenset(run_ids) for worker, ids in self.workers.items()}

    def outcomes(self, run_ids: Collection[str]) -> list[TaskEvent]:
        return [event for event in self.ended if event.run_id in run_ids]

    def close(self) -> None:
        pass


@pytest.fixture
def broker() -> BrokerInHand:
    return BrokerInHand()


@pytest.fixture
def ledger(collector, store, clock, broker) -> Ledger:
    collector.submit([], process=ProcessReport(W, framework="celery", interval_s=2.0), source="celery-events")
    tell(collector, EventKind.STARTED, "peer", worker=W, execution=f"0.1@{W}#1")
    tell(collector, EventKind.SUCCEEDED, "peer", worker=W, execution=f"0.1@{W}#1")
    return Ledger(store, clock, [broker], collector.take, listening_from=0.0)


def tell(collector, kind: EventKind, run_id: str, at: float = T, **more) -> None:
    source = more.setdefault("source", "celery-events")
    event = TaskEvent(kind, run_id, at, task="t", queue="q", framework="celery", service="s", **more)
    collector.submit([event], source=source)
    collector.run_once()


def look(ledger: Ledger, collector, clock, times: int = 1) -> None:
    for _ in range(times):
        clock.advance(15.0)
        ledger.run_once()
        collector.run_once()


def seen(store, run_id: str) -> tuple[str, str]:
    found = view(store.runs.get(run_id))
    return found.state.value, found.evidence


def test_a_waiting_run_that_nobody_has_is_dead_after_it_was_looked_for_twice(ledger, collector, store, clock, broker):
    tell(collector, EventKind.QUEUED, "gone")
    tell(collector, EventKind.QUEUED, "here")
    broker.hold("here")
    look(ledger, collector, clock, 3)
    assert seen(store, "gone") == ("queued", "reported"), "it was looked for once after it had time to settle"
    look(ledger, collector, clock)
    assert seen(store, "gone") == ("dead", "inferred")
    assert seen(store, "here") == ("queued", "reported")
    assert "no worker has it" in view(store.runs.get("gone")).reason
    assert [(one.run_id, one.kind) for one in ledger.discrepancies()] == [("gone", "vanished")]
    assert ledger.gauge() == {(("service", "s"), ("queue", "q"), ("kind", "vanished")): 1.0}
    (account,) = ledger.accounts()
    assert (account.enqueued, account.waiting, account.finished, account.dead, account.difference) == (3, 1, 1, 1, 0)


@pytest.mark.parametrize(
    "case", ["a worker has it", "a worker does not answer", "broker away", "no names", "other app"]
)
def test_a_waiting_run_is_left_alone_when(case, ledger, collector, store, clock, broker):
    tell(collector, EventKind.QUEUED, "a")
    if case == "a worker has it":
        broker.workers = {W: {"a"}}
    elif case == "a worker does not answer":
        broker.workers = {}
    elif case == "broker away":
        broker.away = True
    elif case == "no names":
        broker.held = {"q": Holding("q", 7)}
    else:
        # Its producer is heard, but nothing of its queue and service ever came over this broker.
        ledger._streamed.clear()
        event = TaskEvent(EventKind.QUEUED, "b", T, task="t", queue="q", framework="celery", service="elsewhere")
        collector.submit([event])
        collector.run_once()
        broker.hold("a")
    look(ledger, collector, clock, 6)
    for run_id in ("a", "b") if case == "other app" else ("a",):
        assert seen(store, run_id) == ("queued", "reported")


@pytest.mark.parametrize(
    ("waiting", "running", "broker", "held", "difference"),
    [
        # Nothing that runs is held (early acknowledgement), all of it (late), or some.
        (5, 2, 2, 3, 0),
        (5, 2, 2, 5, 0),
        (5, 2, 2, 4, 0),
        # One that waits is nowhere; one is there that nobody told us of.
        (5, 2, 2, 2, 1),
        (5, 2, 2, 6, -1),
        (5, 2, 6, 0, -1),
        (5, 0, 2, 4, -1),
        (5, 2, 2, None, None),
    ],
)
def test_without_names_the_difference_is_the_least_that_any_acknowledgement_allows(
    waiting, running, broker, held, difference
):
    account = Account("celery", "q", (), waiting=waiting, running=running)
    found = reconcile(account, [Holding("q", broker, held, untold="" if held is not None else "refused")], {}, T)
    assert (found.difference, found.why_absent) == (difference, "" if held is not None else "refused")


def test_figures_of_a_broker_that_is_away_are_absent_and_not_zero(ledger, collector, clock, broker):
    tell(collector, EventKind.QUEUED, "a")
    broker.away = True
    look(ledger, collector, clock)
    (account,) = ledger.accounts()
    assert (account.waiting, account.held_by_broker, account.held_by_workers, account.difference) == (
        1,
        None,
        None,
        None,
    )
    assert account.why_absent == "connection refused"
    broker.away = False
    broker.hold("a")
    look(ledger, collector, clock)
    assert ledger.accounts()[0].difference == 0


def test_a_run_whose_time_is_over_has_expired_and_one_lost_in_a_cut_is_unknown(ledger, collector, store, clock, broker):
    tell(collector, EventKind.QUEUED, "expired", expires=T + 20)
    tell(collector, EventKind.QUEUED, "cut")
    store.gaps.open(broker.source, T + 1, "refused")
    store.gaps.close(broker.source, T + 2)
    look(ledger, collector, clock, 5)
    assert seen(store, "cut") == ("queued", "reported"), "late news gets its time"
    look(ledger, collector, clock, 2)
    assert seen(store, "expired") == ("dead", "inferred")
    assert "expired" in view(store.runs.get("expired")).reason
    assert seen(store, "cut") == ("dead", "unknown")
    assert "refused" in view(store.runs.get("cut")).reason


def test_a_run_from_before_the_server_was_started_may_have_been_executed_unheard(
    ledger, collector, store, clock, broker
):
    tell(collector, EventKind.QUEUED, "old")
    clock.advance(1.0)
    restarted = Ledger(store, clock, [broker], collector.take)
    look(restarted, collector, clock, 4)
    assert seen(store, "old") == ("queued", "reported"), "late news gets its time"
    look(restarted, collector, clock, 2)
    assert seen(store, "old") == ("dead", "unknown")


def test_the_result_backend_knows_better(ledger, collector, store, clock, broker):
    tell(collector, EventKind.QUEUED, "a")
    broker.ended = [TaskEvent(EventKind.SUCCEEDED, "a", T + 3, evidence=Evidence.INFERRED, source="result-backend")]
    look(ledger, collector, clock, 4)
    assert seen(store, "a") == ("succeeded", "inferred")
    assert ledger.discrepancies() == []


def test_a_run_that_its_worker_no_longer_executes_ended_unheard(ledger, collector, store, clock, broker):
    for run_id in ("ended", "busy"):
        tell(collector, EventKind.STARTED, run_id, worker=W, execution=f"0.1@{W}#1", attempt=1)
    broker.workers = {W: {"busy"}}
    look(ledger, collector, clock, 4)
    assert seen(store, "ended") == ("lost", "unknown")
    assert seen(store, "busy") == ("started", "reported")
    tell(collector, EventKind.SUCCEEDED, "ended", clock.at, worker=W, execution=f"0.1@{W}#1", attempt=1)
    assert seen(store, "ended") == ("succeeded", "reported")


def test_a_scheduled_run_is_not_missed_before_it_is_due(ledger, collector, store, clock, broker):
    tell(collector, EventKind.SCHEDULED, "later", eta=T + 120)
    look(ledger, collector, clock, 7)
    assert seen(store, "later") == ("scheduled", "reported")
    look(ledger, collector, clock, 3)
    assert seen(store, "later") == ("dead", "inferred")


def test_a_run_thought_dead_that_is_heard_of_again_is_corrected(ledger, collector, store, clock):
    tell(collector, EventKind.QUEUED, "a")
    look(ledger, collector, clock, 4)
    assert seen(store, "a") == ("dead", "inferred")
    tell(collector, EventKind.STARTED, "a", clock.at, worker=W, execution=f"0.1@{W}#1", attempt=1)
    assert seen(store, "a") == ("started", "reported")
    assert [(one.before, one.after) for one in store.truth.history("a")] == [("queued", "dead"), ("dead", "started")]
    assert ledger.discrepancies() == []


def test_whoever_enqueues_without_a_word_is_named(ledger, collector, clock, broker):
    broker.hold("nobody told us")
    look(ledger, collector, clock)
    (account,) = ledger.accounts()
    assert (account.difference, account.unannounced) == (-1, ("nobody told us",))


def test_whether_a_message_will_be_delivered_again_is_known_from_the_broker(ledger, collector, clock, broker):
    assert ledger.holds("celery", "a") is None
    broker.hold("a")
    look(ledger, collector, clock)
    assert (ledger.holds("celery", "a"), ledger.holds("celery", "b"), ledger.holds("rq", "a")) == (True, False, None)


STATES = st.sampled_from([state.value for state in RunState])


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=3), STATES, max_size=30), st.data())
def test_every_account_adds_up_and_its_difference_is_what_is_missing_less_what_nobody_told_of(states, data):
    """Property: whatever the states, the four figures make the whole; lost and unannounced messages give the
    difference."""
    books = [("s", "celery", "q", state, 1) for state in states.values()]
    account = accounts(books).get(("celery", "q"), Account("celery", "q", ()))
    assert account.enqueued == len(states)
    waiting = sorted(i for i, state in states.items() if state in ("queued", "scheduled", "retrying"))
    vanished = data.draw(st.sets(st.sampled_from(waiting))) if waiting else set()
    strangers = data.draw(st.sets(st.text("xyz", min_size=1, max_size=2)))
    running = {i for i, state in states.items() if state == "started"}
    ids = (set(waiting) - vanished) | strangers | running
    there = Holding("q", len(ids) - len(running), len(running), frozenset(ids))
    found = reconcile(account, [there], {i: states[i] for i in ids if i in states}, T)
    assert found.difference == len(vanished) - len(strangers)
    assert set(found.unannounced) <= strangers
