"""The text formats of Prometheus.

Label strings are escaped once and then only joined: writing them anew for each scrape is what makes large pages slow.
"""

import math
from collections.abc import Iterable

from prometheus_client import Metric as ClientMetric

from huoyan.server.export.buckets import SPARE, Buckets
from huoyan.server.export.families import Family, Key
from huoyan.server.export.negotiation import Format
from huoyan.signals.metrics import METRICS, Metric, MetricKind

_TYPES = {MetricKind.COUNTER: "counter", MetricKind.GAUGE: "gauge", MetricKind.DISTRIBUTION: "histogram"}


class TextWriter:
    """Writes families as text.

    Args:
        buckets: The classic buckets.
    """

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets
        # After the labels, which end in "{" or ",".
        self._closings = [f'le="{"+Inf" if bound == math.inf else float(bound)}"}} ' for bound in buckets.bounds_s]
        self._labels: dict[str, dict[Key, str]] = {name: {} for name in METRICS}

    def write(self, families: Iterable[Family], process: Iterable[ClientMetric], text_format: Format) -> bytes:
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
                self._write_buckets(lines, family, openings)
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

    def _write_buckets(self, lines: list[str], family: Family, openings: dict[Key, str]) -> None:
        name = family.metric.name
        for key, histogram, counts in zip(family.keys, family.distributions, self._buckets.counts(family), strict=True):
            labels = openings[key]
            opening = f"{name}_bucket{{{labels}," if labels else f"{name}_bucket{{"
            lines.extend([opening + end + str(count) for end, count in zip(self._closings, counts, strict=True)])
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


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
