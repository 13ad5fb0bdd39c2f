"""Figures per task type and queue, from the signals, so that every screen and rule shows the same number."""

from collections import defaultdict
from typing import Any

from huoyan.model.histogram import Histogram
from huoyan.model.run import BAD_STATES
from huoyan.server.api.observed import observed_s
from huoyan.server.api.schemas.queue import Queue
from huoyan.server.api.schemas.task import Task
from huoyan.server.collect.ledger import Account, Ledger, accounts
from huoyan.server.store import RunFilters, Store
from huoyan.signals.catalogue import CATALOGUE
from huoyan.signals.evaluate import Filter, evaluate
from huoyan.signals.metrics.work import TASK_RUNS, TASKS_ACTIVE
from huoyan.signals.source import Combination, Conditions, Key, Moments, Source

NOW_WINDOW_S = 300.0
"""Window of shares and percentiles that are called "now": long enough for a quiet service to have some runs in it."""

RATE_WINDOW_S = 60.0
"""Window of rates that are called "now": a minute, as the charts draw it, so that both say the same."""

_BY_TASK = ("service", "task")
_BY_QUEUE = ("service", "queue")
_DATED_TASKS = 100
_FRESH_S = 60.0
"""A reading of a queue that is older says nothing of now."""


class Remembered:
    """A source that reads each thing once, for one request: three quantiles come from one distribution."""

    def __init__(self, source: Moments) -> None:
        self._source = source
        self._increases: dict[Any, dict[Key, float]] = {}
        self._distributions: dict[Any, dict[Key, Histogram]] = {}

    def increase(self, metric: str, where: Conditions, by: Key, since: float, until: float) -> dict[Key, float]:
        """Return by how much a counter grew in the window."""
        key = (metric, tuple(where.items()), by, since, until)
        if key not in self._increases:
            self._increases[key] = self._source.increase(metric, where, by, since, until)
        return self._increases[key]

    def distribution(self, metric: str, where: Conditions, by: Key, since: float, until: float) -> dict[Key, Histogram]:
        """Return the observations of the window."""
        key = (metric, tuple(where.items()), by, since, until)
        if key not in self._distributions:
            self._distributions[key] = self._source.distribution(metric, where, by, since, until)
        return self._distributions[key]

    def gauge(self, metric: str, where: Conditions, by: Key, at: float, combine: Combination) -> dict[Key, float]:
        """Return the value known at `at`."""
        return self._source.gauge(metric, where, by, at, combine)


def task_figures(
    store: Store, origin: Source, now: float, window_s: float, services: tuple[str, ...], tasks: tuple[str, ...]
) -> list[Task]:
    """Return the figures of every task type that ended a run in the window or executes one now, busiest first.

    Args:
        store: Knows when a task ran last.
        origin: What the signals read.
        now: End of the window, seconds since 1970 UTC.
        window_s: Its length in seconds.
        services: Only these services; empty: all.
        tasks: Only these tasks; empty: all.
    """
    source = Remembered(origin)
    where: dict[str, tuple[str, ...]] = {}
    if services:
        where["service"] = services
    observed = observed_s(origin, TASK_RUNS.name, dict(where), now, window_s)
    if tasks:
        where["task"] = tasks
    ended: dict[tuple[str, ...], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    queues: dict[tuple[str, ...], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    by = (*_BY_TASK, "queue", "state")
    for (service, task, queue, state), count in source.increase(TASK_RUNS.name, where, by, now - window_s, now).items():
        ended[(service, task)][state] += count
        queues[(service, task)][queue] += count
    active = source.gauge(TASKS_ACTIVE.name, where, _BY_TASK, now, "sum")
    ratio, p50, p95, p99, wait = (
        values(source, signal_id, now, window_s, where, _BY_TASK)
        for signal_id in (
            "task_failure_ratio",
            "task_duration_p50",
            "task_duration_p95",
            "task_duration_p99",
            "task_wait_p95",
        )
    )
    bad = {state.value for state in BAD_STATES}
    keys = sorted({*ended, *(key for key, count in active.items() if count)}, key=lambda k: -sum(ended[k].values()))
    figures = []
    for position, key in enumerate(keys):
        service, task = key
        states = ended[key]
        by_queue = queues[key]
        last = None
        if position < _DATED_TASKS:
            newest = store.runs.page(RunFilters(task=(task,), service=(service,)), 1).items
            last = newest[0].last_at if newest else None
        figures.append(
            Task(
                task=task,
                service=service,
                queue=max(by_queue, key=lambda queue: by_queue[queue]) if by_queue else "",
                runs=round(sum(states.values())),
                succeeded=round(states.get("succeeded", 0.0)),
                failed=round(sum(count for state, count in states.items() if state in bad)),
                failure_ratio=ratio.get(key),
                runs_per_minute=sum(states.values()) * 60.0 / observed.get(service, window_s),
                p50_s=p50.get(key),
                p95_s=p95.get(key),
                p99_s=p99.get(key),
                wait_p95_s=wait.get(key),
                active=round(active.get(key, 0.0)),
                last_run_at=last,
            )
        )
    return figures


def queue_figures(store: Store, source: Moments, now: float, ledger: Ledger | None = None) -> list[Queue]:
    """Return every queue that a broker or a run spoke of, deepest first; an old reading counts as none.

    Args:
        store: Knows the readings and the books.
        source: What the signals read.
        now: Seconds since 1970 UTC.
        ledger: Holds the books against brokers; default they are left out.
    """
    readings = {(reading.service, reading.queue): reading for reading in store.queues.list()}
    active = source.gauge(TASKS_ACTIVE.name, {}, _BY_QUEUE, now, "sum")
    ended = source.increase(TASK_RUNS.name, {}, _BY_QUEUE, now - RATE_WINDOW_S, now)
    heard = {queue for (_, queue), reading in readings.items() if now - reading.read_at <= _FRESH_S}
    books: dict[tuple[str, ...], Account] = {}
    for entry in store.truth.books() if ledger is not None else ():
        (account,) = accounts([entry]).values()
        name = (entry[0], entry[2])
        books[name] = account if name not in books else books[name].plus(account)
    whole: dict[str, list[Account]] = defaultdict(list)
    for account in ledger.accounts() if ledger is not None else ():
        whole[account.queue].append(account)
    figures = []
    for key in {*readings, *active, *ended}:
        service, queue = key
        reading = readings.get((service, queue))
        if not queue:
            continue
        fresh = reading is not None and now - reading.read_at <= _FRESH_S
        if queue in heard and not fresh and key not in active and key not in ended:
            # The queue has since become known as that of another service, which is listed.
            continue
        figures.append(
            Queue(
                queue=queue,
                service=service,
                depth=reading.depth if reading is not None and fresh else None,
                oldest_age_s=reading.oldest_age_s if reading is not None and fresh else None,
                active=round(active.get(key, 0.0)),
                runs_per_minute=ended.get(key, 0.0) * 60.0 / RATE_WINDOW_S,
                read_at=reading.read_at if reading is not None else None,
                **_books_of(books.get(key), whole.get(queue, [])),
            )
        )
    figures.sort(key=lambda figure: (-(figure.depth or 0), figure.service, figure.queue))
    return figures


def _books_of(account: Account | None, whole: list[Account]) -> dict[str, Any]:
    # A name that queues of two frameworks share says nothing of either.
    there = whole[0] if len(whole) == 1 else None
    return {
        "enqueued": 0 if account is None else account.enqueued,
        "waiting": 0 if account is None else account.waiting,
        "finished": 0 if account is None else account.finished,
        "dead": 0 if account is None else account.dead,
        "held": None if there is None else there.held_by_workers,
        "difference": None if there is None else there.difference,
    }


def values(
    source: Moments, signal_id: str, now: float, window_s: float | None, where: Filter, by: tuple[str, ...]
) -> dict[tuple[str, ...], float]:
    """Return the known values of a signal by its labels, without a minimum of samples: figures are no alarms."""
    measured = evaluate(CATALOGUE[signal_id], source, now, window_s=window_s, where=where, by=by, min_samples=1)
    return {tuple(v.labels[label] for label in by): v.value for v in measured if v.value is not None}
