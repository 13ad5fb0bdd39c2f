"""What an application counts of its own: `huoyan.counter`, `gauge`, `distribution`, `record_many`.

Everything here may be made when a module is imported, before anything is watched, in any number of processes; it costs
nothing while watching is off, and never raises.
"""

import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import time
from typing import Any, SupportsFloat, TypeVar

from huoyan.client import process
from huoyan.client.guard import guard, guarded, warn
from huoyan.client.measurements import Counter, Distribution, Family, Gauge, Measurements
from huoyan.model.labels import OTHER, clean_label_name, clean_label_value, looks_like_identifier
from huoyan.signals.metric import Across, Endpoint, Metric, MetricKind
from huoyan.signals.metrics import METRICS

MOST_DECLARED = 500
MOST_NUMBERS = 50
"""Different numbers of up to three digits that a label of one's own may hold: there are no more status codes, and ids
that count from 1 are more soon."""
_MAX_KNOWN = 2_000
_NOT_IN_NAME = re.compile(r"[^a-zA-Z0-9_:]")

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
    """A metric that the application declares, in any process and after any fork.

    Args:
        metric: The metric, with label names as Prometheus and a server allow them.
        names: Of the same labels, as the application calls them: `service` is `service_` beside the server's own.
    """

    def __init__(self, metric: Metric, names: tuple[str, ...] = ()) -> None:
        self.metric = metric
        self.names = names or metric.labels
        self.recorded = True
        self._advised: set[str] = set()
        self._numbers: dict[str, set[str]] = {}
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
        names = self.names
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

    def _given(self, name: str, given: Any, labels: dict[str, object]) -> Any:
        """Return a value that was given by position or by name, unless that is the name of a label."""
        return labels.pop(name) if name in labels and name not in self.names else given

    def _family(self, of: Measurements) -> "Family[Counter] | Family[Gauge] | Family[Distribution]":
        if self.metric.kind is MetricKind.COUNTER:
            return of.counter(self.metric)
        return of.gauge(self.metric) if self.metric.kind is MetricKind.GAUGE else of.distribution(self.metric)

    def _without_identifiers(
        self, family: "Family[Counter] | Family[Gauge] | Family[Distribution]", values: tuple[object, ...]
    ) -> tuple[object, ...]:
        """Replace ids in labels: each would be a series of its own for ever."""
        cleaned = tuple(map(clean_label_value, values))
        kinds = tuple(
            looks_like_identifier(value) or self._one_number_more(name, value)
            for name, value in zip(self.metric.labels, cleaned, strict=True)
        )
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

    def _one_number_more(self, name: str, value: str) -> str | None:
        """Return `a number` for a small number in a label that holds many different ones already."""
        if not value.isdecimal():
            return None
        numbers = self._numbers.setdefault(name, set())
        if value in numbers or len(numbers) < MOST_NUMBERS:
            numbers.add(value)
            return None
        return "a number"


class BusinessCounter(Instrument):
    """A count that only grows."""

    def add(self, n: SupportsFloat = 1.0, /, **labels: object) -> None:
        """Count `n` more, default 1. Never raises."""
        self.record(self._given("n", n, labels), labels)

    def record(self, value: Any, labels: Labels) -> None:
        """Count `value` more under the labels of a mapping. Never raises."""
        try:
            child = self._child(labels)
            if child is not None:
                child.add(float(value))
        except Exception as error:  # noqa: BLE001 - counting must not stop what is counted
            warn(f"count-{self.metric.name}", "huoyan: %s could not be counted: %s", self.metric.name, error)

    def add_many(self, items: Iterable[tuple[Labels, SupportsFloat]]) -> None:
        """Count a whole batch: pairs of labels and number. Never raises."""
        with guard("batch"):
            for item in items:
                with guard("batch item"):
                    labels, n = item
                    self.record(n, labels)


class BusinessGauge(Instrument):
    """A value of this moment."""

    def set(self, value: SupportsFloat | None = None, /, **labels: object) -> None:
        """Set it; None says that it is not known any more. Never raises."""
        self.record(self._given("value", value, labels), labels)

    def record(self, value: Any, labels: Labels) -> None:
        """Set it under the labels of a mapping. Never raises."""
        try:
            child = self._child(labels)
            if child is not None:
                child.set(None if value is None else float(value))
                self._date(child)
        except Exception as error:  # noqa: BLE001
            warn(f"count-{self.metric.name}", "huoyan: %s could not be set: %s", self.metric.name, error)

    def add(self, n: SupportsFloat = 1.0, /, **labels: object) -> None:
        """Add `n`, default 1, which may be below zero. Never raises."""
        try:
            n = self._given("n", n, labels)
            child = self._child(labels)
            if child is not None:
                child.add(float(n))
                self._date(child)
        except Exception as error:  # noqa: BLE001
            warn(f"count-{self.metric.name}", "huoyan: %s could not be set: %s", self.metric.name, error)

    def _date(self, child: Gauge) -> None:
        if self.metric.across is Across.LAST:
            child.set_at = time()


class BusinessDistribution(Instrument):
    """Observations whose percentiles matter; no buckets to choose."""

    def observe(self, value: SupportsFloat | None = None, /, **labels: object) -> None:
        """Count one observation of 0 or more. Never raises."""
        self.record(self._given("value", value, labels), labels)

    def record(self, value: Any, labels: Labels) -> None:
        """Count one observation under the labels of a mapping. Never raises."""
        try:
            child = self._child(labels)
            if child is not None:
                child.observe(float(value))
        except Exception as error:  # noqa: BLE001
            warn(f"count-{self.metric.name}", "huoyan: %s could not be observed: %s", self.metric.name, error)

    def observe_many(self, items: Iterable[tuple[Labels, SupportsFloat]]) -> None:
        """Count a whole batch: pairs of labels and value. Never raises."""
        with guard("batch"):
            for item in items:
                with guard("batch item"):
                    labels, value = item
                    self.record(value, labels)


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
    make: Callable[[Metric, tuple[str, ...]], _I],
    kind: MetricKind,
    name: object,
    help_text: object,
    labels: Sequence[str],
    across: Across = Across.SUM,
) -> _I:
    clean = _NOT_IN_NAME.sub("_", str(name))[:200]
    if not clean.removesuffix("_total"):
        clean = f"unnamed{clean}"
    if clean[0].isdigit():
        clean = f"_{clean}"
    given: dict[str, str] = {}
    for each in _label_names(clean, labels):
        label = clean_label_name(each)
        # One place for the service: the server puts it in front itself.
        given.setdefault(f"{label}_" if label == "service" else label, each)
    names = tuple(given)[:20]
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
        made = make(metric, tuple(given[each] for each in names))
        taken = _clash(metric)
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
        elif taken:
            warn(f"declare-{clean}", "huoyan: %s: the name is part of the distribution %s; not recorded", clean, taken)
        elif len(_declared) >= MOST_DECLARED:
            warn("declare", "huoyan: more than %d metrics are declared; %s is not recorded", MOST_DECLARED, clean)
        else:
            _declared[clean] = made
            return made
        made.recorded = False
        return made


def _label_names(metric: str, labels: object) -> list[str]:
    """Return the names of labels as they were given; one name alone stands for itself."""
    if isinstance(labels, str):
        return [labels]
    if labels is None:
        return []
    if not isinstance(labels, Iterable):
        warn(f"labels-{metric}", "huoyan: %s: expected names of labels, got %r", metric, labels)
        return []
    return [each if isinstance(each, str) else clean_label_value(each) for each in labels]


def _clash(metric: Metric) -> str:
    """Return the distribution whose samples have the name of a metric, or among whose samples it would be; or none."""
    parts = ("_bucket", "_count", "_sum")
    if metric.kind is MetricKind.DISTRIBUTION:
        return next((metric.name for part in parts if f"{metric.name}{part}" in _declared), "")
    for whole in (metric.name.removesuffix(part) for part in parts if metric.name.endswith(part)):
        found = METRICS.get(whole) or (_declared[whole].metric if whole in _declared else None)
        if found is not None and found.kind is MetricKind.DISTRIBUTION:
            return whole
    return ""


@guarded("record_many", default=None)
def record_many(
    items: Iterable[tuple[BusinessCounter | BusinessGauge | BusinessDistribution, SupportsFloat, Labels]],
) -> None:
    """Record a batch of different metrics at once: (metric, value, labels). Never raises."""
    for item in items:
        # One that is wrong must not cost the others.
        with guard("record_many item"):
            instrument, value, labels = item
            instrument.record(value, labels)


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()


process.after_fork(_after_fork)
