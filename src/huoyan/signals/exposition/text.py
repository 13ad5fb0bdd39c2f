"""The text formats of Prometheus.

Label strings are escaped once and then only joined: writing them anew for each scrape is what makes large pages slow.
"""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from huoyan.signals.exposition.buckets import SPARE, Buckets
from huoyan.signals.exposition.families import Exemplar, Family, Key
from huoyan.signals.exposition.negotiation import Format
from huoyan.signals.metric import Metric, MetricKind

if TYPE_CHECKING:
    from prometheus_client import Metric as ClientMetric

_TYPES = {MetricKind.COUNTER: "counter", MetricKind.GAUGE: "gauge", MetricKind.DISTRIBUTION: "histogram"}


class TextWriter:
    """Writes families as text.

    Args:
        buckets: The classic buckets.
    """

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets
        self._closings: dict[str, list[str]] = {}
        self._labels: defaultdict[str, dict[Key, str]] = defaultdict(dict)

    def write(self, families: Iterable[Family], process: Iterable["ClientMetric"], text_format: Format) -> bytes:
        """Return the body.

        Args:
            families: What the server counted.
            process: What is known of the process, as prometheus-client collects it.
            text_format: `TEXT` or `OPENMETRICS`.
        """
        lines: list[str] = []
        for family in families:
            metric = family.metric
            _head(lines, metric.name, _TYPES[metric.kind], metric.help, metric.unit, text_format)
            openings = self._openings(family)
            if metric.kind is MetricKind.DISTRIBUTION:
                self._write_buckets(lines, family, openings, text_format)
            else:
                lines.extend(
                    [openings[key] + repr(value) for key, value in zip(family.keys, family.numbers, strict=True)]
                )
        for found in process:
            name = f"{found.name}_total" if found.type == "counter" else found.name
            _head(lines, name, found.type, found.documentation, "", text_format)
            lines.extend(f"{sample.name} {float(sample.value)!r}" for sample in found.samples)
        if text_format is Format.OPENMETRICS:
            lines.append("# EOF")
        lines.append("")
        return "\n".join(lines).encode()

    def _openings(self, family: Family) -> dict[Key, str]:
        """Return for each series the part of its lines that never changes."""
        openings = self._labels[family.metric.name]
        if len(openings) > 2 * len(family.keys) + SPARE:
            openings = self._labels[family.metric.name] = {}
        for key in family.keys:
            if key not in openings:
                openings[key] = _opening(family.metric, key)
        return openings

    def _closings_of(self, metric: Metric) -> list[str]:
        """Return what follows the labels of each bucket, which end in "{" or ","."""
        found = self._closings.get(metric.name)
        if found is None:
            bounds = self._buckets.bounds(metric)
            found = [f'le="{"+Inf" if bound == math.inf else float(bound)}"}} ' for bound in bounds]
            self._closings[metric.name] = found
        return found

    def _write_buckets(self, lines: list[str], family: Family, openings: dict[Key, str], text_format: Format) -> None:
        name = family.metric.name
        closings = self._closings_of(family.metric)
        exemplars = family.exemplars if text_format is Format.OPENMETRICS else {}
        for key, histogram, counts in zip(family.keys, family.distributions, self._buckets.counts(family), strict=True):
            labels = openings[key]
            opening = f"{name}_bucket{{{labels}," if labels else f"{name}_bucket{{"
            first = len(lines)
            lines.extend([opening + end + str(count) for end, count in zip(closings, counts, strict=True)])
            if exemplars and key in exemplars:
                _name(lines, first, self._buckets.bounds(family.metric), exemplars[key])
            braces = f"{{{labels}}}" if labels else ""
            lines.append(f"{name}_sum{braces} {histogram.sum!r}")
            # The count is that of the last bucket even if an observation came in between.
            lines.append(f"{name}_count{braces} {counts[-1]}")


def _head(lines: list[str], name: str, kind: str, help_text: str, unit: str, text_format: Format) -> None:
    help_text = help_text.replace("\\", "\\\\").replace("\n", "\\n")
    if text_format is Format.OPENMETRICS:
        # OpenMetrics names the family without the suffix that its samples have.
        name = name.removesuffix("_total") if kind == "counter" else name
        help_text = help_text.replace('"', '\\"')
    lines.append(f"# HELP {name} {help_text}")
    lines.append(f"# TYPE {name} {kind}")
    if unit and text_format is Format.OPENMETRICS:
        lines.append(f"# UNIT {name} {unit}")


def _opening(metric: Metric, key: Key) -> str:
    """Return what stands before the value; of a distribution, whose lines differ in name and `le`, only the labels."""
    text = ",".join(f'{label}="{_escaped(value)}"' for label, value in zip(metric.labels, key, strict=True))
    if metric.kind is MetricKind.DISTRIBUTION:
        return text
    return f"{metric.name}{{{text}}} " if text else f"{metric.name} "


def _name(lines: list[str], first: int, bounds: Sequence[float], exemplars: Sequence[Exemplar]) -> None:
    """Put exemplars behind the buckets that they fell into, the last one of each bucket.

    https://prometheus.io/docs/specs/om/open_metrics_spec/#exemplars
    """
    chosen = {bisect_left(bounds, exemplar.value): exemplar for exemplar in exemplars}
    for place, exemplar in chosen.items():
        trace = _escaped(exemplar.trace_id)
        lines[first + place] += f' # {{trace_id="{trace}"}} {exemplar.value!r} {exemplar.at:.3f}'


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
