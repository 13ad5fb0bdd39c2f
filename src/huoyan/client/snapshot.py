"""Everything that one process counts at a moment, and how several of them are added up.

As families of Prometheus, so that they can be exposed; as JSON between the processes of one machine.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from huoyan.client.measurements import Distribution, Gauge, Measurements
from huoyan.client.metrics import TaskMetrics
from huoyan.model.histogram import Histogram
from huoyan.model.labels import OTHER
from huoyan.signals.exposition import Exemplar, Family, Key
from huoyan.signals.metric import Across, Endpoint, Metric, MetricKind
from huoyan.signals.metrics import METRICS, work

_MOST_SERIES = 5_000
"""Series of one metric that are added up; those of further ones share one. Processes that come and go may each bring
other label values within their own budgets."""


def measured(measurements: Measurements) -> list[Family]:
    """Return what a process measures."""
    families = []
    for family in measurements.families():
        keys: list[Key] = []
        numbers: list[float] = []
        set_at: list[float] = []
        distributions: list[Histogram] = []
        for key, child in family.series():
            if isinstance(child, Distribution):
                distributions.append(child.histogram())
            else:
                value = child.value
                if value is None:
                    continue
                numbers.append(value)
                if isinstance(child, Gauge) and family.metric.across is Across.LAST:
                    set_at.append(child.set_at)
            keys.append(key)
        if keys:
            families.append(Family(family.metric, keys, numbers, distributions, set_at))
    return families


def tasks(counted: TaskMetrics) -> list[Family]:
    """Return what a process counts of its runs."""
    families = []
    for metric, counter in (
        (work.TASK_RUNS, counted.runs),
        (work.TASK_FAILURES, counted.failures),
        (work.TASK_RETRIES, counted.retries),
        (work.TASKS_ENQUEUED, counted.enqueued),
        (work.TASKS_ACTIVE, counted.active()),
    ):
        series = list(counter.items())
        if series:
            families.append(Family(metric, [key for key, _ in series], [float(count) for _, count in series]))
    for metric, durations in ((work.TASK_DURATION, counted.duration), (work.TASK_WAIT, counted.wait)):
        observed = list(durations.items())
        if observed:
            histograms = [distribution.histogram() for _, distribution in observed]
            families.append(Family(metric, [key for key, _ in observed], distributions=histograms))
    return families


def add_up(snapshots: Iterable[Iterable[Family]], *, over: Iterable[Iterable[Family]] = ()) -> list[Family]:
    """Add up what several processes count.

    Args:
        snapshots: Of processes that live.
        over: Of processes that are gone: what they counted counts, what they stood at and used themselves does not.

    Returns:
        Counters and distributions as sums, gauges as their metric says.
    """
    sums: dict[str, _Sum] = {}
    for gone, group in ((False, snapshots), (True, over)):
        for families in group:
            for family in families:
                if not gone or not _ends_with_its_process(family.metric):
                    whole = sums.setdefault(family.metric.name, _Sum(family.metric))
                    _add(whole, family)
                    if not gone:
                        _name(whole, family)
    added = []
    for whole in sums.values():
        numbers = [value for value in whole.series.values() if not isinstance(value, Histogram)]
        distributions = [value for value in whole.series.values() if isinstance(value, Histogram)]
        set_at = [whole.set_at[key] for key in whole.series] if whole.set_at else []
        # The writers show the last one of each bucket.
        named = {key: sorted(found, key=lambda one: one.at) for key, found in whole.exemplars.items()}
        added.append(Family(whole.metric, list(whole.series), numbers, distributions, set_at, named))
    return added


def _ends_with_its_process(metric: Metric) -> bool:
    """Tell whether nobody asks for it when the process is gone: gauges, and figures that carry its name, which would be
    series for each worker that was ever recycled."""
    return metric.kind is MetricKind.GAUGE or (metric.name in METRICS and "worker" in metric.labels)


@dataclass(slots=True)
class _Sum:
    metric: Metric
    series: dict[Key, float | Histogram] = field(default_factory=dict)
    set_at: dict[Key, float] = field(default_factory=dict)
    exemplars: dict[Key, list[Exemplar]] = field(default_factory=dict)


def _name(into: _Sum, family: Family) -> None:
    for key, exemplars in family.exemplars.items():
        if key in into.series:
            into.exemplars.setdefault(key, []).extend(exemplars)


def _add(into: _Sum, family: Family) -> None:
    metric, series = into.metric, into.series
    if metric.kind is not family.metric.kind or metric.labels != family.metric.labels:
        return  # Processes of two versions of a program declare it differently; the first one holds.
    values: Iterable[float | Histogram] = family.distributions or family.numbers
    for given, value, set_at in zip(family.keys, values, family.set_at or repeat(0.0), strict=False):
        key = given if given in series or len(series) < _MOST_SERIES else (OTHER,) * len(metric.labels)
        before = series.get(key)
        if before is None:
            series[key] = value.copy() if isinstance(value, Histogram) else value
        elif isinstance(before, Histogram) and isinstance(value, Histogram):
            before.merge(value)
        elif not isinstance(before, Histogram) and not isinstance(value, Histogram):
            series[key] = _across(metric, before, value, set_at >= into.set_at.get(key, 0.0))
        if metric.across is Across.LAST:
            into.set_at[key] = max(set_at, into.set_at.get(key, 0.0))


def _across(metric: Metric, before: float, value: float, later: bool) -> float:
    """Return what a counter or gauge of two processes is."""
    if metric.kind is MetricKind.COUNTER or metric.across is Across.SUM:
        return before + value
    if metric.across is Across.LAST:
        return value if later else before
    return max(before, value) if metric.across is Across.MAX else min(before, value)


def encode(families: Iterable[Family]) -> bytes:
    """Write families as JSON."""
    written = []
    for family in families:
        metric = family.metric
        values: Iterable[Any] = (
            [histogram.to_parts() for histogram in family.distributions] if family.distributions else family.numbers
        )
        about = [metric.name, metric.kind.value, metric.help, metric.labels, metric.unit, metric.endpoint.value]
        named = [
            [key, [[one.value, one.trace_id, one.at] for one in exemplars]]
            for key, exemplars in family.exemplars.items()
        ]
        written.append([[*about, metric.across.value], family.keys, list(values), list(family.set_at), named])
    return json.dumps(written, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def decode(data: bytes) -> list[Family]:
    """Read families that `encode` wrote.

    Raises:
        ValueError: It is something else.
    """
    try:
        return [_decoded(*one) for one in json.loads(data)]
    except (TypeError, KeyError, IndexError, AttributeError) as error:
        raise ValueError(f"expected families of a process, got {data[:40]!r}") from error


def _decoded(
    about: list[Any], keys: list[list[str]], values: list[Any], set_at: list[float], named: list[Any]
) -> Family:
    name, kind, text, labels, unit, endpoint, across = about
    metric = METRICS.get(name) or Metric(
        name, MetricKind(kind), text, tuple(labels), unit, Endpoint(endpoint), across=Across(across)
    )
    found = [tuple(key) for key in keys]
    if metric.kind is MetricKind.DISTRIBUTION:
        distributions = [Histogram.from_parts(tuple(parts)) for parts in values]
        exemplars = {tuple(key): [Exemplar(*one) for one in each] for key, each in named}
        return Family(metric, found, distributions=distributions, exemplars=exemplars)
    return Family(metric, found, [float(value) for value in values], set_at=set_at)
