"""Runs from beginning to end, and how they come into a store."""

from huoyan.model.event import EventKind, ExceptionInfo, TaskEvent
from huoyan.model.run import Run
from huoyan.server.collect import Collector
from huoyan.server.store import Page, RunFilters, Store

T = 1_763_673_303.0
DAY_S = 86_400.0


class StandingClock:
    def __init__(self, at: float = T) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


def record(store: Store, events: list[TaskEvent], clock: StandingClock) -> None:
    collector = Collector(store, clock)
    done = collector.submit(events, source="http")
    collector.run_once()
    assert done.result(timeout=10) == len(events)


def queued(run_id: str, at: float, **more) -> TaskEvent:
    return TaskEvent(EventKind.QUEUED, run_id, at, **{"task": "orders.pay", "service": "orders", "queue": "q", **more})


def event_of(kind: EventKind, run_id: str, at: float, worker: str = "w1", **more) -> TaskEvent:
    return TaskEvent(kind, run_id, at, worker=worker, execution=f"0.1@{worker}#1", attempt=1, **more)


def life(
    run_id: str, at: float, end: EventKind | None = EventKind.SUCCEEDED, worker: str = "w1", **more
) -> list[TaskEvent]:
    """Return the events of a run that was queued, started a second later and ended after another one."""
    events = [queued(run_id, at, **more), event_of(EventKind.STARTED, run_id, at + 1, worker)]
    if end is not None:
        exception = ExceptionInfo("ValueError", "no such order") if end is EventKind.FAILED else None
        events.append(event_of(end, run_id, at + 2, worker, duration_s=0.9, exception=exception))
    return events


def ids_of(page: Page[Run]) -> list[str]:
    return [run.id for run in page.items]


def all_ids(store: Store, filters: RunFilters, limit: int) -> list[str]:
    """Return the ids of every page."""
    ids: list[str] = []
    cursor = None
    while True:
        page = store.runs.page(filters, limit, cursor)
        assert len(page.items) <= limit
        ids += ids_of(page)
        cursor = page.next
        if cursor is None:
            return ids
