"""What a worker has not any more has ended, what it has goes on; who does not answer is asked again, and then left."""

import pytest

from huoyan.errors import Unreachable
from huoyan.model.event import EventKind, Evidence, TaskEvent
from huoyan.model.run import view
from huoyan.server.collect import Collector
from huoyan.server.ingest.celery_doubts import MOST_QUESTIONS, SETTLE_S, CeleryDoubts
from huoyan.server.store import Store
from tests.unit.server.collect.conftest import SettableClock, T, clock, collector, store  # noqa: F401
from tests.unit.server.collect.test_ledger import BrokerInHand, W


class AskedBroker(BrokerInHand):
    """One that counts how often it is asked, and may not answer."""

    asked = 0
    silent = False

    def working(self, run_ids):
        self.asked += 1
        if self.silent:
            raise Unreachable("connection refused")
        return super().working(run_ids)


@pytest.fixture
def broker() -> AskedBroker:
    return AskedBroker()


@pytest.fixture
def doubts(collector: Collector, store: Store, broker: AskedBroker, clock: SettableClock) -> CeleryDoubts:  # noqa: F811
    for run_id in ("ended", "goes-on"):
        tell(collector, EventKind.STARTED, run_id)
    clock.advance(10.0)
    tell(collector, EventKind.STARTED, "later", T + 10)
    return CeleryDoubts(store, broker, collector.take, clock)


def tell(collector: Collector, kind: EventKind, run_id: str, at: float = T) -> None:  # noqa: F811
    event = TaskEvent(kind, run_id, at, worker=W, execution=f"0.1@{W}#1", attempt=1, source="celery-events")
    collector.submit([event], source="celery-events")
    collector.run_once()


def ask(doubts: CeleryDoubts, collector: Collector, clock: SettableClock) -> None:  # noqa: F811
    clock.advance(SETTLE_S)
    doubts.run_once()
    collector.run_once()


def seen(store: Store, run_id: str) -> tuple[str, str]:  # noqa: F811
    run = store.runs.get(run_id)
    assert run is not None
    found = view(run)
    return found.state.value, found.evidence


def test_what_a_worker_does_not_have_twice_ended_unheard(doubts, collector, store, clock, broker):  # noqa: F811
    store.gaps.note(f"worker {W}", T + 1, T + 5, "it had lost its broker, and what it said at that time is gone")
    broker.workers = {W: {"goes-on", "later"}}
    doubts.doubt([W], until=T + 5)
    doubts.run_once()
    assert broker.asked == 0, "what it said may be on its way"
    ask(doubts, collector, clock)
    assert seen(store, "ended") == ("started", "reported")
    ask(doubts, collector, clock)
    assert seen(store, "ended") == ("lost", "unknown")
    assert view(store.runs.get("ended")).reason == (
        f"worker {W} executes it no longer; how it ended was not heard while nothing could be heard "
        f"(worker {W}: it had lost its broker, and what it said at that time is gone)"
    )
    assert (seen(store, "goes-on"), seen(store, "later")) == (("started", "reported"), ("started", "reported"))
    assert store.runs.get("goes-on").executions[f"0.1@{W}#1"].seen_at > T + 5
    ask(doubts, collector, clock)
    assert broker.asked == 2, "it is settled"


def test_an_end_that_arrives_meanwhile_is_believed(doubts, collector, store, clock, broker):  # noqa: F811
    broker.workers = {W: {"goes-on"}}
    doubts.doubt([W], until=T + 5)
    ask(doubts, collector, clock)
    tell(collector, EventKind.SUCCEEDED, "ended", T + 4)
    ask(doubts, collector, clock)
    assert seen(store, "ended") == ("succeeded", "reported")


def test_the_result_backend_knows_how_it_ended(doubts, collector, store, clock, broker):  # noqa: F811
    broker.ended = [TaskEvent(EventKind.SUCCEEDED, "ended", T + 3, worker=W, evidence=Evidence.INFERRED)]
    broker.workers = {W: {"goes-on"}}
    doubts.doubt([W], until=T + 5)
    ask(doubts, collector, clock)
    ask(doubts, collector, clock)
    assert seen(store, "ended") == ("succeeded", "inferred")


def test_who_does_not_answer_is_asked_some_times_and_nothing_follows(doubts, collector, store, clock, broker):  # noqa: F811
    broker.silent = True
    doubts.doubt([W], until=T + 5)
    for _ in range(3 * MOST_QUESTIONS):
        ask(doubts, collector, clock)
    assert broker.asked == MOST_QUESTIONS
    assert seen(store, "ended") == ("started", "reported")
