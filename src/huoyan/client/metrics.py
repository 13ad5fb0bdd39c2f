"""What the process counts for its own `/metrics`: plain Python while it happens, Prometheus' format when it is asked
for.

prometheus-client is imported only when metrics are registered or served. Its own counters cost several times as much
per request as these (see `bench/request_overhead.py`), so it does the exposition alone, through one collector.
"""

import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable
from itertools import accumulate
from math import inf
from typing import Generic, TypeVar

from huoyan.client.guard import warn
from huoyan.model.event import EventKind, TaskEvent
from huoyan.model.grid import DEFAULT_CLASSIC_BOUNDS_S

OTHER = "other"
"""Label value that takes in what exceeds the bound on distinct values."""

MAX_SERIES = 1000
_MAX_EXCEPTIONS = 100
_MAX_PENDING = 50_000
REQUEST_BOUNDS_S = tuple(bound for bound in DEFAULT_CLASSIC_BOUNDS_S if bound <= 64)
TASK_BOUNDS_S = DEFAULT_CLASSIC_BOUNDS_S

_FINAL = frozenset(
    {
        EventKind.SUCCEEDED,
        EventKind.FAILED,
        EventKind.REVOKED,
        EventKind.REJECTED,
        EventKind.LOST,
        EventKind.DEAD,
    }
)

Key = tuple[str, ...]


class Distribution:
    """Counts between fixed bounds, in the unit of the bounds."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value; negative ones count as zero."""
        if value < 0.0:
            value = 0.0
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[float, int]]:
        """Return (upper bound, count up to there), the last one for infinity."""
        return list(zip((*self.bounds, inf), accumulate(self.counts), strict=True))


class RequestSeries:
    """What is counted of one method and endpoint."""

    __slots__ = ("duration", "statuses")

    def __init__(self) -> None:
        self.duration = Distribution(REQUEST_BOUNDS_S)
        self.statuses: dict[int, int] = {}


class RequestMetrics:
    """Requests answered by this process, by method and route template.

    Counted in the thread of the event loop, without a lock: two loops in one process may lose a count once in a while.
    """

    def __init__(self) -> None:
        self.series: dict[tuple[str, str], RequestSeries] = {}
        self.in_flight = 0

    def open(self, method: str, endpoint: str) -> RequestSeries:
        """Return the series of a method and endpoint seen for the first time; too many share one."""
        key = (method, endpoint)
        if key not in self.series and len(self.series) >= MAX_SERIES:
            warn("series", "huoyan: more than %d endpoints; further ones count as endpoint=%r", MAX_SERIES, OTHER)
            key = (method, OTHER)
        return self.series.setdefault(key, RequestSeries())


_T = TypeVar("_T")


class _Bounded(Generic[_T]):
    """A dictionary by label values that folds what exceeds its bound into one entry."""

    def __init__(self, make: Callable[[], _T], bound: int = MAX_SERIES) -> None:
        self.items: dict[Key, _T] = {}
        self._make = make
        self._bound = bound

    def at(self, key: Key, folded: Key) -> _T:
        found = self.items.get(key)
        if found is None:
            if len(self.items) >= self._bound:
                warn("series", "huoyan: more than %d series of tasks; further ones count as %r", self._bound, OTHER)
                key = folded
            found = self.items.setdefault(key, self._make())
        return found


class Count:
    """A number that grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


class TaskMetrics:
    """The task metrics of the public contract, for a process that no server speaks for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: OrderedDict[str, float] = OrderedDict()
        # A run that moves from a schedule to the queue, or is tried again, is enqueued more than once.
        self._known: OrderedDict[str, float] = OrderedDict()
        self._running: OrderedDict[tuple[str, str], Key] = OrderedDict()
        self._exceptions: set[str] = set()
        self.runs = _Bounded(Count)
        self.failures = _Bounded(Count)
        self.retries = _Bounded(Count)
        self.enqueued = _Bounded(Count)
        self.duration = _Bounded(lambda: Distribution(TASK_BOUNDS_S))
        self.wait = _Bounded(lambda: Distribution(TASK_BOUNDS_S))

    def record(self, event: TaskEvent) -> None:
        """Count one event."""
        key = (text(event.service or event.framework), text(event.task), text(event.queue))
        folded = (key[0], OTHER, OTHER)
        kind = event.kind
        execution = (event.run_id, event.execution or "")
        with self._lock:
            if kind is EventKind.QUEUED or kind is EventKind.SCHEDULED:
                if event.run_id not in self._known and (event.attempt is None or event.attempt <= 1):
                    self.enqueued.at(key, folded).value += 1
                    _keep(self._pending, event.run_id, event.eta if event.eta is not None else event.at)
                    _keep(self._known, event.run_id, 0.0)
            elif kind is EventKind.STARTED:
                due = self._pending.pop(event.run_id, event.eta)
                if due is not None:
                    self.wait.at(key, folded).observe(event.at - due)
                self._running[execution] = key
                if len(self._running) > _MAX_PENDING:
                    self._running.popitem(last=False)
            elif kind is EventKind.RETRYING or kind in _FINAL:
                self._end(event, key, folded, execution)

    def _end(self, event: TaskEvent, key: Key, folded: Key, execution: tuple[str, str]) -> None:
        kind = event.kind
        state = kind.value
        self._running.pop(execution, None)
        self._pending.pop(event.run_id, None)
        if event.duration_s is not None:
            self.duration.at((*key, state), (*folded, state)).observe(event.duration_s)
        if kind is EventKind.RETRYING:
            self.retries.at(key, folded).value += 1
            return
        self.runs.at((*key, state), (*folded, state)).value += 1
        if kind is EventKind.FAILED:
            name = text(event.exception.type) if event.exception is not None else ""
            if name not in self._exceptions:
                if len(self._exceptions) >= _MAX_EXCEPTIONS:
                    name = OTHER
                else:
                    self._exceptions.add(name)
            self.failures.at((*key, name), (*folded, name)).value += 1

    def active(self) -> dict[Key, int]:
        """Return how many runs execute now, also 0 for tasks that have run before."""
        with self._lock:
            out = {key[:3]: 0 for key in self.runs.items}
            for key in self._running.values():
                out[key] = out.get(key, 0) + 1
            return out


def _keep(records: OrderedDict[str, float], run_id: str, value: float) -> None:
    records[run_id] = value
    if len(records) > _MAX_PENDING:
        records.popitem(last=False)


class Metrics:
    """All that one process counts. `expose_tasks` says whether `huoyan_task_*` are exposed here; with a server they are
    there."""

    def __init__(self) -> None:
        self.expose_tasks = True
        self.forked()

    def forked(self) -> None:
        """Count from zero: what the parent counted is the parent's."""
        self.tasks = TaskMetrics()
        self.requests = RequestMetrics()


def text(value: object) -> str:
    """Return a label value: always a string, valid UTF-8, at most 200 characters."""
    value = value if type(value) is str else str(value)
    if len(value) > 200:
        value = value[:199] + "…"
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
