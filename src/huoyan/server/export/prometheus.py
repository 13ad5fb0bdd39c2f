"""`/metrics`: what the collector counted, in the text formats of Prometheus.

Label strings are escaped once and then only joined: writing them anew for each scrape is what makes large pages slow.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from operator import itemgetter
from typing import Protocol

from prometheus_client import ProcessCollector

from huoyan.model.histogram import DEFAULT_CLASSIC_BOUNDS_S, Histogram
from huoyan.server.export.negotiation import TextFormat, negotiate
from huoyan.signals.metrics import (
    BUILD_INFO,
    METRICS,
    TASK_RETRIES,
    TASK_RUNS,
    TASKS_ACTIVE,
    TASKS_ENQUEUED,
    Metric,
    MetricKind,
)

_KINDS = {MetricKind.COUNTER: "counter", MetricKind.GAUGE: "gauge", MetricKind.DISTRIBUTION: "histogram"}
Key = tuple[str, ...]

_SPARE = 1000
"""Label strings that may be kept for series which are gone, before they are forgotten."""


class Sample(Protocol):
    """One series: its labels and its value now. The collector's samples are such."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Every label of the metric."""
        ...

    @property
    def value(self) -> float | Histogram:
        """A number, or the distribution so far."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """A sample made from what the server reads elsewhere."""

    value: float | Histogram
    labels: Mapping[str, str] = field(default_factory=dict)


class Exposition:
    """Writes `/metrics`. Keep one for the life of the server; it may be used from several threads.

    Args:
        version: Version of Huoyan, for `huoyan_build_info`.
        bounds_s: Upper bounds of the classic buckets in seconds, without infinity.
    """

    def __init__(self, version: str, bounds_s: Sequence[float] = DEFAULT_CLASSIC_BOUNDS_S) -> None:
        self._bounds_s = [*bounds_s, math.inf]
        # After the label strings, which end in "{" or ",".
        self._closings = [f'le="{"+Inf" if bound == math.inf else float(bound)}"}} ' for bound in self._bounds_s]
        self._labels: dict[str, dict[Key, str]] = {name: {} for name in METRICS}
        self._buckets: dict[str, dict[Key, tuple[tuple[int, float], list[int]]]] = {name: {} for name in METRICS}
        self._process = ProcessCollector(registry=None)
        self._build = Reading(1, {"version": version})

    def render(self, samples: Mapping[str, Iterable[Sample]], accept: str | None = None) -> tuple[bytes, str]:
        """Write every metric.

        Args:
            samples: Name of the metric to its series, as the collector gives them, and what is known elsewhere.
                Unknown values are left out.
            accept: The `Accept` header of the request.

        Returns:
            The body and its content type.

        Raises:
            ValueError: A metric that is not in the vocabulary.
        """
        text_format = negotiate(accept)
        known = {name: list(series) for name, series in samples.items()}
        known.setdefault(BUILD_INFO.name, [self._build])
        unknown = known.keys() - METRICS.keys()
        if unknown:
            raise ValueError(f"samples: expected metrics of huoyan.signals.metrics, got {sorted(unknown)}")
        keys = {name: list(map(_KEYS[name], series)) for name, series in known.items()}
        lines: list[str] = []
        for name, metric in METRICS.items():
            zeros = _unseen(metric, keys)
            series = known.get(name, [])
            if not series and not zeros:
                continue
            _head(lines, metric.name, _KINDS[metric.kind], metric.help, metric.unit, text_format)
            found = keys.get(name, [])
            openings = self._openings(metric, [*found, *zeros])
            if metric.kind is MetricKind.DISTRIBUTION:
                for key, sample in zip(found, series, strict=True):
                    self._write_buckets(lines, metric, key, openings[key], sample.value)
                continue
            numbers = [float(sample.value) for sample in series if not isinstance(sample.value, Histogram)]
            if len(numbers) != len(series):
                raise ValueError(f"{name}: expected numbers, got a distribution")
            lines.extend([openings[key] + repr(number) for key, number in zip(found, numbers, strict=True)])
            lines.extend([openings[key] + "0.0" for key in zeros])
        self._write_process(lines, text_format)
        if text_format is TextFormat.OPENMETRICS:
            lines.append("# EOF")
        lines.append("")
        return "\n".join(lines).encode(), text_format.value

    def _openings(self, metric: Metric, keys: list[Key]) -> dict[Key, str]:
        """Return for each series the part of its lines that never changes."""
        openings = self._labels[metric.name]
        if len(openings) > 2 * len(keys) + _SPARE:
            openings = self._labels[metric.name] = {}
            self._buckets[metric.name] = {}
        for key in keys:
            if key not in openings:
                openings[key] = _opening(metric, key)
        return openings

    def _write_buckets(
        self, lines: list[str], metric: Metric, key: Key, labels: str, histogram: float | Histogram
    ) -> None:
        if not isinstance(histogram, Histogram):
            raise ValueError(f"{metric.name}: expected a histogram, got {histogram!r}")
        counts = self._counts(metric, key, histogram)
        opening = f"{metric.name}_bucket{{{labels}," if labels else f"{metric.name}_bucket{{"
        lines.extend([opening + closing + str(count) for closing, count in zip(self._closings, counts, strict=True)])
        braces = f"{{{labels}}}" if labels else ""
        lines.append(f"{metric.name}_sum{braces} {histogram.sum!r}")
        # The count is that of the last bucket even if an observation came in between.
        lines.append(f"{metric.name}_count{braces} {counts[-1]}")

    def _counts(self, metric: Metric, key: Key, histogram: Histogram) -> list[int]:
        """Return the counts of the classic buckets, worked out anew only when there are new observations.

        Most tasks of a large system do nothing between two scrapes, and this is most of the work.
        """
        state = (histogram.count, histogram.sum)
        before = self._buckets[metric.name].get(key)
        if before is not None and before[0] == state:
            return before[1]
        counts = histogram.classic(self._bounds_s)
        self._buckets[metric.name][key] = (state, counts)
        return counts

    def _write_process(self, lines: list[str], text_format: TextFormat) -> None:
        for family in self._process.collect():
            counter = family.type == "counter"
            name = f"{family.name}_total" if counter else family.name
            _head(lines, name, family.type, family.documentation, "", text_format)
            lines.extend(f"{sample.name} {sample.value!r}" for sample in family.samples)


def _head(lines: list[str], name: str, kind: str, help_text: str, unit: str, text_format: TextFormat) -> None:
    help_text = help_text.replace("\\", "\\\\").replace("\n", "\\n")
    if text_format is TextFormat.OPENMETRICS:
        # OpenMetrics names the family without the suffix that its samples have.
        name = name.removesuffix("_total") if kind == "counter" else name
        help_text = help_text.replace('"', '\\"')
    lines.append(f"# HELP {name} {help_text}")
    lines.append(f"# TYPE {name} {kind}")
    if unit and text_format is TextFormat.OPENMETRICS:
        lines.append(f"# UNIT {name} {unit}")


def _opening(metric: Metric, key: Key) -> str:
    """Return what stands before the value; of a distribution, whose lines differ in name and `le`, only the labels."""
    text = ",".join(f'{label}="{_escaped(value)}"' for label, value in zip(metric.labels, key, strict=True))
    if metric.kind is MetricKind.DISTRIBUTION:
        return text
    return f"{metric.name}{{{text}}} " if text else f"{metric.name} "


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _unseen(metric: Metric, keys: Mapping[str, list[Key]]) -> list[Key]:
    """Return the series that will come to be and are zero until then.

    A series that appears with its first failure has no increase that Prometheus could see. The tasks are known from the
    moment they are asked for or started, so the series are there before anything ends.
    """
    found = keys.get(metric.name)
    open_labels = len(metric.labels) - len(metric.closed)
    groups: set[Key] = set()
    if metric is TASK_RUNS or metric is TASK_RETRIES:
        for source in (TASK_RUNS, TASKS_ENQUEUED, TASKS_ACTIVE):
            groups.update([key[:open_labels] for key in keys.get(source.name, ())])
    elif metric.closed and found is not None:
        # Where every label is closed, all series are known as soon as the metric is given at all.
        groups.update([key[:open_labels] for key in found] if open_labels else [()])
    endings = list(product(*(values for _, values in metric.closed)))
    expected = {group + ending for group in groups for ending in endings}
    return sorted(expected.difference(found or ()))


def _keyed(metric: Metric) -> Callable[[Sample], Key]:
    """Return a function from a sample to its label values, in the order of the metric's labels."""
    if not metric.labels:
        return lambda _: ()
    pick = itemgetter(*metric.labels)
    if len(metric.labels) == 1:
        return lambda sample: (pick(sample.labels),)
    return lambda sample: pick(sample.labels)


_KEYS = {name: _keyed(metric) for name, metric in METRICS.items()}
