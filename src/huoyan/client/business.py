"""What an application counts of its own: `huoyan.counter`, `gauge`, `distribution`, `operation`.

Everything here may be made when a module is imported, before anything is watched, in any number of processes; it costs
nothing while watching is off, and never raises.
"""

import functools
import inspect
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from time import perf_counter, time
from types import TracebackType
from typing import Any, TypeVar

from huoyan.client import process
from huoyan.client.guard import guard, guarded, warn
from huoyan.client.measurements import Counter, Distribution, Family, Gauge, Measurements
from huoyan.model.labels import OTHER, clean_label_name, clean_label_value, looks_like_identifier
from huoyan.signals.metric import Across, Endpoint, Metric, MetricKind
from huoyan.signals.metrics import METRICS
from huoyan.signals.metrics.application import OPERATION_DURATION, OPERATIONS

MOST_DECLARED = 500
_MAX_KNOWN = 2_000
_NOT_IN_NAME = re.compile(r"[^a-zA-Z0-9_:]")
_F = TypeVar("_F", bound=Callable[..., Any])

Labels = Mapping[str, object]


def measurements_now() -> Measurements | None:
    """Return where to count, None while watching is off."""
    client = process.current() or (process.client() if process.existing() is None else None)
    if client is None or not client.settings.enabled:
        return None
    if client.emitter is not None:
        client.emitter.ensure_started()
    return client.measurements


class Instrument:
    """A metric that the application declares, in any process and after any fork."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.recorded = True
        self._advised: set[str] = set()
        self._of: Measurements | None = None
        self._known: dict[tuple[object, ...], Any] = {}

    def _child(self, labels: Labels) -> Any:
        """Return the series of these labels in this process; None while nothing is measured."""
        if not self.recorded:
            return None
        client = process.current()
        of = client.measurements if client is not None else measurements_now()
        if of is None:
            return None
        if of is not self._of:
            of = measurements_now() or of
            self._of, self._known = of, {}
        names = self.metric.labels
        if len(labels) != len(names) or not all(name in labels for name in names):
            raise ValueError(f"{self.metric.name}: expected the labels {names}, got {tuple(labels)}")
        values = tuple(labels[name] for name in names)
        try:
            known = self._known.get(values)
        except TypeError:
            known, values = None, tuple(map(clean_label_value, values))
        if known is not None:
            return known
        family = self._family(of)
        child = family.child(self._without_identifiers(family, values))
        if len(self._known) < _MAX_KNOWN:
            self._known[values] = child
        return child

    def _family(self, of: Measurements) -> "Family[Counter] | Family[Gauge] | Family[Distribution]":
        if self.metric.kind is MetricKind.COUNTER:
            return of.counter(self.metric)
        return of.gauge(self.metric) if self.metric.kind is MetricKind.GAUGE else of.distribution(self.metric)

    def _without_identifiers(
        self, family: "Family[Counter] | Family[Gauge] | Family[Distribution]", values: tuple[object, ...]
    ) -> tuple[object, ...]:
        """Replace ids in labels: each would be a series of its own for ever."""
        cleaned = tuple(map(clean_label_value, values))
        kinds = tuple(map(looks_like_identifier, cleaned))
        if not any(kinds):
            return values
        family.budget.refuse(cleaned)
        for name, value, kind in zip(self.metric.labels, cleaned, kinds, strict=True):
            if kind and name not in self._advised:
                self._advised.add(name)
                warn(
                    f"identifier-{self.metric.name}-{name}",
                    "huoyan: %s: label %s=%r looks like %s and counts as %r: a label holds one of few values. "
                    "Give what it belongs to (a kind, a region, a plan), and keep the id for logs and traces",
                    self.metric.name,
                    name,
                    value,
                    kind,
                    OTHER,
                )
        return tuple(OTHER if kind else value for value, kind in zip(cleaned, kinds, strict=True))


class BusinessCounter(Instrument):
    """A count that only grows."""

    def add(self, n: float = 1.0, **labels: object) -> None:
        """Count `n` more, default 1. Never raises."""
        try:
            child = self._child(labels)
            if child is not None:
                child.add(n)
        except Exception as error:  # noqa: BLE001 - counting must not stop what is counted
            warn(f"count-{self.metric.name}", "huoyan: %s could not be counted: %s", self.metric.name, error)

    def add_many(self, items: Iterable[tuple[Labels, float]]) -> None:
        """Count a whole batch: pairs of labels and number. Never raises."""
        for labels, n in _listed(items):
            self.add(n, **labels)


class BusinessGauge(Instrument):
    """A value of this moment."""

    def set(self, value: float | None, **labels: object) -> None:
        """Set it; None says that it is not known any more. Never raises."""
        try:
            child = self._child(labels)
            if child is not None:
                child.set(None if value is None else float(value))
                self._date(child)
        except Exception as error:  # noqa: BLE001
            warn(f"count-{self.metric.name}", "huoyan: %s could not be set: %s", self.metric.name, error)

    def add(self, n: float = 1.0, **labels: object) -> None:
        """Add `n`, default 1, which may be below zero. Never raises."""
        try:
            child = self._child(labels)
            if child is not None:
                child.add(n)
                self._date(child)
        except Exception as error:  # noqa: BLE001
            warn(f"count-{self.metric.name}", "huoyan: %s could not be set: %s", self.metric.name, error)

    def _date(self, child: Gauge) -> None:
        if self.metric.across is Across.LAST:
            child.set_at = time()


class BusinessDistribution(Instrument):
    """Observations whose percentiles matter; no buckets to choose."""

    def observe(self, value: float, **labels: object) -> None:
        """Count one observation of 0 or more. Never raises."""
        try:
            child = self._child(labels)
            if child is not None:
                child.observe(float(value))
        except Exception as error:  # noqa: BLE001
            warn(f"count-{self.metric.name}", "huoyan: %s could not be observed: %s", self.metric.name, error)

    def observe_many(self, items: Iterable[tuple[Labels, float]]) -> None:
        """Count a whole batch: pairs of labels and value. Never raises."""
        for labels, value in _listed(items):
            self.observe(value, **labels)


_lock = threading.Lock()
_declared: dict[str, Instrument] = {}
_I = TypeVar("_I", bound=Instrument)


def counter(name: str, help: str = "", labels: Sequence[str] = ()) -> BusinessCounter:  # noqa: A002
    """Declare a counter, again harmlessly.

    Args:
        name: Its name in Prometheus; `_total` is added where it is missing.
        help: What it counts, one sentence.
        labels: Names of its labels, each with few different values.
    """
    full = name if str(name).endswith("_total") else f"{name}_total"
    return _declare(BusinessCounter, MetricKind.COUNTER, full, help, labels)


def gauge(name: str, help: str = "", labels: Sequence[str] = (), combine: str | None = None) -> BusinessGauge:  # noqa: A002
    """Declare a gauge, again harmlessly.

    Args:
        name: Its name in Prometheus.
        help: What it tells, one sentence.
        labels: Names of its labels, each with few different values.
        combine: What it is when several processes of the service set it: `sum` of all that live (the default), `max`
            (the default of names that end in `_timestamp_seconds`), `min`, or `last`, the value that was set last.
    """
    known = [each.value for each in Across]
    if combine is not None and combine not in known:
        warn(f"combine-{name}", "huoyan: gauge %s: combine: expected one of %s, got %r", name, known, combine)
        combine = None
    if combine is None:
        combine = Across.MAX if str(name).endswith("_timestamp_seconds") else Across.SUM
    return _declare(BusinessGauge, MetricKind.GAUGE, name, help, labels, Across(combine))


def distribution(name: str, help: str = "", labels: Sequence[str] = ()) -> BusinessDistribution:  # noqa: A002
    """Declare a distribution, again harmlessly; arguments as for `counter`. End the name with its unit, `_seconds`."""
    return _declare(BusinessDistribution, MetricKind.DISTRIBUTION, name, help, labels)


def _declare(
    make: Callable[[Metric], _I],
    kind: MetricKind,
    name: object,
    help_text: object,
    labels: Sequence[str],
    across: Across = Across.SUM,
) -> _I:
    clean = _NOT_IN_NAME.sub("_", str(name))[:200] or "unnamed"
    if clean[0].isdigit():
        clean = f"_{clean}"
    # One place for the service: the server puts it in front itself.
    names = tuple(dict.fromkeys(f"{n}_" if n == "service" else n for n in map(clean_label_name, labels)))[:20]
    unit = next((unit for unit in ("seconds", "bytes") if clean.endswith(f"_{unit}")), "")
    metric = Metric(clean, kind, str(help_text)[:500] or clean, names, unit, Endpoint.APPLICATION, across=across)
    with _lock:
        known = _declared.get(clean)
        if known is not None and known.metric.kind is kind and known.metric.labels == names:
            if known.metric.across is not across:
                warn(
                    f"combine-{clean}",
                    "huoyan: %s: expected combine %s, as declared before, got %s; that before holds",
                    clean,
                    known.metric.across,
                    across,
                )
            return known  # type: ignore[return-value]
        made = make(metric)
        if clean in METRICS:
            warn(f"declare-{clean}", "huoyan: the name %s belongs to Huoyan and is not recorded here", clean)
        elif known is not None:
            warn(
                f"declare-{clean}",
                "huoyan: %s: expected a %s with the labels %s, as declared before, got a %s with %s; not recorded",
                clean,
                known.metric.kind,
                known.metric.labels,
                kind,
                names,
            )
        elif len(_declared) >= MOST_DECLARED:
            warn("declare", "huoyan: more than %d metrics are declared; %s is not recorded", MOST_DECLARED, clean)
        else:
            _declared[clean] = made
            return made
        made.recorded = False
        return made


@guarded("record_many", default=None)
def record_many(items: Iterable[tuple[Instrument, float, Labels]]) -> None:
    """Record a batch of different metrics at once: (metric, value, labels). Never raises."""
    for instrument, value, labels in items:
        if isinstance(instrument, BusinessDistribution):
            instrument.observe(value, **labels)
        elif isinstance(instrument, BusinessGauge):
            instrument.set(value, **labels)
        elif isinstance(instrument, BusinessCounter):
            instrument.add(value, **labels)


def _listed(items: Iterable[tuple[Labels, float]]) -> list[tuple[dict[str, Any], float]]:
    with guard("batch"):
        return [(dict(labels), value) for labels, value in items]
    return []


_running: ContextVar[tuple[tuple["Operation", float, list[bool]], ...]] = ContextVar("huoyan_operations", default=())


class Operation:
    """Times a named operation and counts how it ended: a context manager and a decorator, in threads and tasks."""

    def __init__(self, name: str) -> None:
        self.name = clean_label_value(name)

    def __call__(self, function: _F) -> _F:
        """Decorate a function or coroutine function: every call is one operation."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def call_later(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await function(*args, **kwargs)

            return call_later  # type: ignore[return-value]

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return call  # type: ignore[return-value]

    def __enter__(self) -> "Operation":
        # What is open is kept by the context, so one object may be used in many threads and tasks at once.
        _running.set((*_running.get(), (self, perf_counter(), [False])))
        return self

    def fail(self) -> None:
        """Count the operation that is under way as a failure although nothing is raised."""
        for operation, _, failed in reversed(_running.get()):
            if operation is self:
                failed[0] = True
                return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with guard("operation"):
            stack = _running.get()
            place = next((i for i in range(len(stack) - 1, -1, -1) if stack[i][0] is self), None)
            if place is None:
                return
            _, began, failed = stack[place]
            _running.set(stack[:place])
            measurements = measurements_now()
            if measurements is None:
                return
            measurements.distribution(OPERATION_DURATION).child((self.name,)).observe(perf_counter() - began)
            # What was cancelled from outside is neither a success nor a failure.
            if kind is None or issubclass(kind, Exception):
                outcome = "failure" if failed[0] or kind is not None else "success"
                measurements.counter(OPERATIONS).child((self.name, outcome)).add()


def operation(name: str) -> Operation:
    """Measure a named operation: `with huoyan.operation("take_payment"):` or as a decorator, also of `async def`.

    Args:
        name: One of few names, never with an id in it.
    """
    return Operation(name)


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()


process.after_fork(_after_fork)
