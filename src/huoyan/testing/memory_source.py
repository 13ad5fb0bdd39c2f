"""A `Source` that keeps every observation: what signals must come to when nothing was summed up or rounded before."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from huoyan.model.histogram import Histogram
from huoyan.signals.metric import Metric, MetricKind
from huoyan.signals.metrics import METRICS
from huoyan.signals.source import Combination, Conditions, Key

_PICK: dict[Combination, Callable[[list[float]], float]] = {"sum": sum, "max": max, "min": min}


@dataclass(slots=True)
class _Entry:
    at: float
    labels: Mapping[str, str]
    value: float | None


@dataclass(slots=True)
class MemorySource:
    """Counters, distributions and gauges in memory, answered by looking at each entry. For tests, not for load.

    Labels that are left out count as empty. Times are seconds since 1970 UTC and may come in any order.
    """

    _entries: dict[str, list[_Entry]] = field(default_factory=dict)

    def add(self, metric: Metric, labels: Mapping[str, str], at: float, amount: float = 1.0) -> None:
        """Let a counter grow by `amount`."""
        self._enter(metric, MetricKind.COUNTER, at, amount, labels)

    def observe(self, metric: Metric, labels: Mapping[str, str], at: float, value: float) -> None:
        """Add an observation to a distribution."""
        self._enter(metric, MetricKind.DISTRIBUTION, at, value, labels)

    def set(self, metric: Metric, labels: Mapping[str, str], at: float, value: float | None) -> None:
        """Set a gauge from `at` on; None makes it unknown."""
        self._enter(metric, MetricKind.GAUGE, at, value, labels)

    def increase(
        self, metric: str, where: Conditions, by: tuple[str, ...], since: float, until: float
    ) -> dict[Key, float]:
        """Return by how much a counter grew in (since, until]."""
        grown: dict[Key, float] = {}
        for entry in self._matching(metric, where):
            if since < entry.at <= until and entry.value is not None:
                key = _key(entry.labels, by)
                grown[key] = grown.get(key, 0.0) + entry.value
        return grown

    def distribution(
        self, metric: str, where: Conditions, by: tuple[str, ...], since: float, until: float
    ) -> dict[Key, Histogram]:
        """Return the observations of (since, until]."""
        observed: dict[Key, Histogram] = {}
        for entry in self._matching(metric, where):
            if since < entry.at <= until and entry.value is not None:
                observed.setdefault(_key(entry.labels, by), Histogram()).observe(entry.value)
        return observed

    def gauge(
        self, metric: str, where: Conditions, by: tuple[str, ...], at: float, combine: Combination
    ) -> dict[Key, float]:
        """Return the values set last at or before `at`; the later call wins where times are equal."""
        latest: dict[tuple[tuple[str, str], ...], _Entry] = {}
        for entry in self._matching(metric, where):
            series = tuple(sorted(entry.labels.items()))
            if entry.at <= at and (series not in latest or latest[series].at <= entry.at):
                latest[series] = entry
        groups: dict[Key, list[float]] = {}
        for entry in latest.values():
            if entry.value is not None:
                groups.setdefault(_key(entry.labels, by), []).append(entry.value)
        return {key: _PICK[combine](values) for key, values in groups.items()}

    def increase_range(
        self, metric: str, where: Conditions, by: tuple[str, ...], since: float, until: float, step_s: float
    ) -> dict[Key, list[float]]:
        """Return by how much a counter grew in each step."""
        steps = [self.increase(metric, where, by, begin, end) for begin, end in _steps(since, until, step_s)]
        return {key: [step.get(key, 0.0) for step in steps] for key in _keys(steps)}

    def distribution_range(
        self, metric: str, where: Conditions, by: tuple[str, ...], since: float, until: float, step_s: float
    ) -> dict[Key, list[Histogram | None]]:
        """Return the observations of each step."""
        steps = [self.distribution(metric, where, by, begin, end) for begin, end in _steps(since, until, step_s)]
        return {key: [step.get(key) for step in steps] for key in _keys(steps)}

    def gauge_range(
        self,
        metric: str,
        where: Conditions,
        by: tuple[str, ...],
        since: float,
        until: float,
        step_s: float,
        combine: Combination,
    ) -> dict[Key, list[float | None]]:
        """Return the value known at the end of each step."""
        steps = [self.gauge(metric, where, by, end, combine) for _, end in _steps(since, until, step_s)]
        return {key: [step.get(key) for step in steps] for key in _keys(steps)}

    def _enter(
        self, metric: Metric, kind: MetricKind, at: float, value: float | None, labels: Mapping[str, str]
    ) -> None:
        if metric.kind is not kind:
            raise ValueError(f"{metric.name}: expected a {kind}, got a {metric.kind}")
        unknown = [label for label in labels if label not in metric.series_labels]
        if unknown:
            raise ValueError(f"{metric.name}: expected labels among {metric.series_labels}, got {unknown}")
        self._entries.setdefault(metric.name, []).append(_Entry(at, labels, None if value is None else float(value)))

    def _matching(self, metric: str, where: Conditions) -> Iterable[_Entry]:
        if metric not in METRICS and metric not in self._entries:
            raise ValueError(f"metric: expected a name of the public contract, or one entered here, got {metric!r}")
        for entry in self._entries.get(metric, ()):
            if all(entry.labels.get(label, "") in values for label, values in where.items()):
                yield entry


def _key(labels: Mapping[str, str], by: tuple[str, ...]) -> Key:
    return tuple(labels.get(label, "") for label in by)


def _keys(steps: Iterable[Mapping[Key, object]]) -> list[Key]:
    return sorted({key for step in steps for key in step})


def _steps(since: float, until: float, step_s: float) -> list[tuple[float, float]]:
    count = round((until - since) / step_s)
    return [(since + index * step_s, since + (index + 1) * step_s) for index in range(count)]
