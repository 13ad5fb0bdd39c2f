"""Signals of metrics that an application declares itself: how to read one is said in the signal's id.

`rate:orders_total` is a counter per minute, `value:stock` a gauge, `p50:`, `p95:` and `p99:` percentiles of a
distribution. Nothing has to be known of the metric beforehand, so a rule may name one that no process has sent yet.
"""

import re
from collections.abc import Sequence

from huoyan.signals.catalogue import CATALOGUE
from huoyan.signals.metric import Across, Endpoint, Metric, MetricKind
from huoyan.signals.metrics import METRICS
from huoyan.signals.spec import Combine, Expression, Latest, Panel, Quantile, Rate, Scale, Signal, Unit

_ID = re.compile(r"(rate|value|p50|p95|p99):([a-zA-Z_:][a-zA-Z0-9_:]{0,199})")
_KINDS = {"rate": MetricKind.COUNTER, "value": MetricKind.GAUGE}
# Of several series there is none that was set last.
_COMBINE = {
    Across.SUM: Combine.SUM,
    Across.MAX: Combine.MAX,
    Across.MIN: Combine.MIN,
    Across.LAST: Combine.MAX,
}
_READINGS = {
    MetricKind.COUNTER: ("rate",),
    MetricKind.GAUGE: ("value",),
    MetricKind.DISTRIBUTION: ("p50", "p95", "p99"),
}


def find(signal_id: str, labels: Sequence[str] = (), help_text: str = "", across: Across = Across.SUM) -> Signal | None:
    """Return a signal of the catalogue, or of a metric that an application declares; None for neither.

    Args:
        signal_id: Its id.
        labels: Labels that the metric is known or expected to have, beside `service`.
        help_text: What the metric tells, where that is known.
        across: What a gauge is of several processes.
    """
    known = CATALOGUE.get(signal_id)
    if known is not None:
        return known
    match = _ID.fullmatch(signal_id)
    if match is None:
        return None
    reading, name = match.groups()
    own = tuple(dict.fromkeys(label for label in labels if label != "service"))
    kind = _KINDS.get(reading, MetricKind.DISTRIBUTION)
    declared = METRICS.get(name)
    if declared is not None and (declared.kind is not kind or not declared.measured):
        return None
    made = Metric(name, kind, help_text or f"{name}.", own, _unit_of(name), Endpoint.APPLICATION, across=across)
    return signal_of(declared or made, reading)


def signals_of(metric: Metric) -> list[Signal]:
    """Return the ways in which a metric can be read."""
    return [signal_of(metric, reading) for reading in _READINGS[metric.kind]]


def signal_of(metric: Metric, reading: str) -> Signal:
    """Return one way of reading a metric."""
    names = {"rate": ("per minute", "每分钟"), "value": ("", "")}
    words, words_zh = names.get(reading, (reading.upper(), reading.upper()))
    host = f"p95:{metric.name}"
    windowed = reading != "value"
    return Signal(
        id=f"{reading}:{metric.name}",
        title=f"{metric.name} {words}".strip(),
        title_zh=f"{metric.name} {words_zh}".strip(),
        help=metric.help,
        help_zh=metric.help,
        unit=Unit.PER_MINUTE
        if reading == "rate"
        else {"seconds": Unit.SECONDS, "bytes": Unit.BYTES}.get(metric.unit, Unit.COUNT),
        by=metric.series_labels,
        expression=_expression(metric, reading),
        panel=Panel("business", joins=host if reading in ("p50", "p99") else ""),
        window_s=300 if windowed else None,
        min_samples=1 if reading.startswith("p") else 0,
    )


def _expression(metric: Metric, reading: str) -> Expression:
    if reading == "rate":
        return Scale(Rate(metric), 60.0)
    if reading == "value":
        return Latest(metric, combine=_COMBINE[metric.across])
    return Quantile(int(reading[1:]) / 100, metric)


def _unit_of(name: str) -> str:
    return next((unit for unit in ("seconds", "bytes") if name.endswith(f"_{unit}")), "")
