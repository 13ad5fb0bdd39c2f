"""How what processes measured is read: frames from their wire form, with what cannot be taken said by name."""

import math

from huoyan.model.grid import LARGEST, upper_bound
from huoyan.model.histogram import Histogram
from huoyan.model.labels import clean_label_value
from huoyan.server.ingest.wire import WireFrame, WireMeasured, WireSeries
from huoyan.signals.measured import Frame, Measured, Step
from huoyan.signals.metric import Endpoint, Metric, MetricKind
from huoyan.signals.metrics import METRICS

FrameProblem = tuple[str, str, str]
"""Field, what was expected, what came."""

_MEMBER = {MetricKind.COUNTER: "add", MetricKind.GAUGE: "value", MetricKind.DISTRIBUTION: "buckets"}


def frame_of(wire: WireFrame, at: float, problems: list[FrameProblem]) -> Frame:
    """Return a frame as far as it can be taken.

    Args:
        wire: As it came.
        at: Its time, seconds since 1970 UTC.
        problems: Takes what is wrong with the rest.
    """
    frame = Frame(wire.source, wire.sequence, at, wire.service, wire.worker)
    for place, one in enumerate(wire.metrics):
        problem = _refused(one)
        if problem is not None:
            problems.append((f"metrics[{place}].{problem[0]}", *problem[1:]))
            continue
        measured = Measured(_metric(one))
        measured.folded = one.folded
        measured.samples = [tuple(map(clean_label_value, values)) for values in one.samples]
        for number, series in enumerate(one.series):
            value = _value(one.kind, series)
            if value is None or len(series.values) != len(one.labels):
                problems.append(
                    (
                        f"metrics[{place}].series[{number}]",
                        f"`{_MEMBER[one.kind]}` and values for the labels {one.labels}",
                        f"{len(series.values)} values" if value is not None else "none, or a number that is not finite",
                    )
                )
                continue
            values = tuple(map(clean_label_value, series.values))
            part = Measured(measured.metric, {values: value})
            if series.set_at is not None:
                part.set_at[values] = series.set_at
            measured.merge(part)
        known = frame.metrics.get(one.name)
        if known is None:
            frame.metrics[one.name] = measured
        else:
            known.merge(measured)
    for reached in wire.reached:
        names = clean_label_value(reached.funnel), clean_label_value(reached.step)
        step = Step(*names, reached.position, reached.window_s)
        frame.reached.setdefault(step, []).extend(reached.keys)
    return frame


def _refused(wire: WireMeasured) -> FrameProblem | None:
    declared = METRICS.get(wire.name)
    if declared is None:
        if "service" in wire.labels or len(set(wire.labels)) != len(wire.labels):
            return "labels", "different labels, `service` not among them", str(wire.labels)
        return None
    if declared.endpoint is not Endpoint.APPLICATION:
        return "name", "a metric of an application", f"{wire.name}, which the server itself counts"
    if declared.kind is not wire.kind or declared.labels != tuple(wire.labels):
        return "kind", f"a {declared.kind} with the labels {declared.labels}", f"a {wire.kind} with {wire.labels}"
    return None


def _metric(wire: WireMeasured) -> Metric:
    declared = METRICS.get(wire.name)
    if declared is not None:
        return declared
    return Metric(
        wire.name, wire.kind, wire.help, tuple(wire.labels), wire.unit, Endpoint.APPLICATION, across=wire.across
    )


def _value(kind: MetricKind, series: WireSeries) -> float | Histogram | None:
    if kind is MetricKind.DISTRIBUTION:
        return _histogram(series)
    value = series.add if kind is MetricKind.COUNTER else series.value
    return value if value is not None and math.isfinite(value) else None


def _histogram(series: WireSeries) -> Histogram | None:
    buckets: dict[int, int] = {}
    for index, count in series.buckets:
        buckets[index] = buckets.get(index, 0) + count
    if not math.isfinite(series.sum):
        return None
    if not buckets and not series.zeros:
        return Histogram(series.schema)
    try:
        low = 0.0 if series.zeros else upper_bound(min(buckets) - 1, series.schema)
        high = min(upper_bound(max(buckets), series.schema), LARGEST) if buckets else 0.0
    except OverflowError:
        return None
    whole = Histogram.from_parts(
        (series.schema, series.zeros, series.sum, low, high, list(buckets), list(buckets.values()))
    )
    # Merging keeps the number of buckets within bounds.
    whole.merge(Histogram(whole.schema))
    return whole
