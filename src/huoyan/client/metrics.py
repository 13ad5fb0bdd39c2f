"""What the process counts for its own `/metrics`: plain Python while it happens, Prometheus' format when it is asked
for.

prometheus-client is imported only when metrics are registered or served. Its own counters cost several times as much
per request as these (see `bench/request_overhead.py`).
"""

import threading
from collections import OrderedDict, defaultdict

from huoyan.client.examples import Examples, Kept
from huoyan.client.measurements import Counter, Distribution, Family, Measurements
from huoyan.model.event import EventKind, TaskEvent
from huoyan.model.labels import Budget, clean_label_value
from huoyan.signals.metrics.application import HTTP_REQUEST_DURATION, HTTP_REQUESTS, HTTP_REQUESTS_IN_FLIGHT

_MAX_EXCEPTIONS = 100
_MAX_PENDING = 50_000

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


class RequestSeries:
    """What is counted of one method and endpoint."""

    __slots__ = ("_requests", "duration", "endpoint", "kept", "method", "observe", "statuses")

    def __init__(self, requests: "RequestMetrics", method: str, endpoint: str) -> None:
        self._requests = requests
        self.method = method
        self.endpoint = endpoint
        self.duration = requests.durations().child((method, endpoint))
        self.observe = self.duration.observe
        self.statuses: dict[int, Counter] = {}
        self.kept: Kept = requests.examples.of(method, endpoint)

    def status(self, status: int) -> Counter:
        """Return the counter of a status."""
        found = self.statuses.get(status)
        if found is None:
            labels = (self.method, self.endpoint, str(status))
            found = self.statuses[status] = self._requests.counts().child(labels)
        return found


class RequestMetrics:
    """Requests answered by this process, by method and route template.

    Counted in the thread of the event loop, without a lock: two loops in one process may lose a count once in a while.

    Args:
        measurements: Where the figures are kept that travel to the server and to `/metrics`.
        examples: Where requests are kept that show where the time goes.
    """

    def __init__(self, measurements: Measurements, examples: Examples) -> None:
        self._measurements = measurements
        self.examples = examples
        self.series: dict[tuple[str, str], RequestSeries] = {}
        self.in_flight = 0
        self._budget = Budget("http_requests_total", ("method", "endpoint"))

    def open(self, method: str, endpoint: str) -> RequestSeries:
        """Return the series of a method and endpoint seen for the first time; too many share one."""
        method, endpoint = self._budget.admit((clean_label_value(method), clean_label_value(endpoint)))
        found = self.series.get((method, endpoint))
        return found or self.series.setdefault((method, endpoint), RequestSeries(self, method, endpoint))

    def counts(self) -> Family[Counter]:
        """Return the counter of requests, made when the first one is answered."""
        return self._measurements.counter(HTTP_REQUESTS)

    def durations(self) -> Family[Distribution]:
        """Return how long requests took, likewise."""
        return self._measurements.distribution(HTTP_REQUEST_DURATION)

    def read(self, measurements: Measurements) -> None:
        """Write down how many are being answered now, before the measurements are sent."""
        if self.series or self.in_flight:
            measurements.gauge(HTTP_REQUESTS_IN_FLIGHT).child().set(float(self.in_flight))


class TaskMetrics:
    """The task metrics of the public contract, for a process that no server speaks for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks = Budget("huoyan_task_runs_total", ("service", "task", "queue"))
        self._exceptions = Budget("huoyan_task_failures_total", ("exception",), limit=_MAX_EXCEPTIONS)
        self._pending: OrderedDict[str, float] = OrderedDict()
        # A run that moves from a schedule to the queue, or is tried again, is enqueued more than once.
        self._known: OrderedDict[str, float] = OrderedDict()
        self._running: OrderedDict[tuple[str, str], Key] = OrderedDict()
        self.runs: defaultdict[Key, int] = defaultdict(int)
        self.failures: defaultdict[Key, int] = defaultdict(int)
        self.retries: defaultdict[Key, int] = defaultdict(int)
        self.enqueued: defaultdict[Key, int] = defaultdict(int)
        self.duration: defaultdict[Key, Distribution] = defaultdict(Distribution)
        self.wait: defaultdict[Key, Distribution] = defaultdict(Distribution)

    def record(self, event: TaskEvent) -> None:
        """Count one event."""
        service, task, queue = event.service or event.framework, event.task, event.queue
        key = self._tasks.admit((clean_label_value(service), clean_label_value(task), clean_label_value(queue)))
        kind = event.kind
        execution = (event.run_id, event.execution or "")
        with self._lock:
            if kind is EventKind.QUEUED or kind is EventKind.SCHEDULED:
                if event.run_id not in self._known and (event.attempt is None or event.attempt <= 1):
                    self.enqueued[key] += 1
                    _keep(self._pending, event.run_id, event.eta if event.eta is not None else event.at)
                    _keep(self._known, event.run_id, 0.0)
            elif kind is EventKind.STARTED:
                due = self._pending.pop(event.run_id, event.eta)
                if due is not None:
                    self.wait[key].observe(event.at - due)
                self._running[execution] = key
                if len(self._running) > _MAX_PENDING:
                    self._running.popitem(last=False)
            elif kind is EventKind.RETRYING or kind in _FINAL:
                self._end(event, key, execution)

    def _end(self, event: TaskEvent, key: Key, execution: tuple[str, str]) -> None:
        kind = event.kind
        self._running.pop(execution, None)
        self._pending.pop(event.run_id, None)
        if event.duration_s is not None:
            self.duration[*key, kind.value].observe(event.duration_s)
        if kind is EventKind.RETRYING:
            self.retries[key] += 1
            return
        self.runs[*key, kind.value] += 1
        if kind is EventKind.FAILED:
            name = event.exception.type if event.exception is not None else ""
            self.failures[*key, *self._exceptions.admit((clean_label_value(name),))] += 1

    def active(self) -> dict[Key, int]:
        """Return how many runs execute now, also 0 for tasks that have run before."""
        with self._lock:
            out = {key[:3]: 0 for key in self.runs}
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

    def __init__(self, measurements: Measurements | None = None, examples: Examples | None = None) -> None:
        self.expose_tasks = True
        self.forked(measurements if measurements is not None else Measurements(), examples or Examples())

    def forked(self, measurements: Measurements, examples: Examples) -> None:
        """Count from zero: what the parent counted is the parent's."""
        self.tasks = TaskMetrics()
        self.requests = RequestMetrics(measurements, examples)
