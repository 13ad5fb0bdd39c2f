"""Signals: the catalogue, and the values of one."""

from typing import Annotated

from fastapi import APIRouter, Query

from huoyan.errors import InvalidQuery, NotFound
from huoyan.server.api.context import Here
from huoyan.server.api.parameters import Queues, Services, Since, Tasks, Texts, Until, WindowS, Workers, period
from huoyan.server.api.schemas.signal import (
    SignalList,
    SignalReading,
    SignalSeries,
    SignalValue,
    signal_document,
)
from huoyan.signals import declared
from huoyan.signals.catalogue import CATALOGUE
from huoyan.signals.evaluate import evaluate, evaluate_range
from huoyan.signals.metric import Across, Endpoint, Metric, MetricKind
from huoyan.signals.metrics import METRICS
from huoyan.signals.spec import Signal

router = APIRouter(tags=["signals"])

_MOST_POINTS = 2000


@router.get("/signals", operation_id="listSignals", summary="List the catalogue of signals")
def list_signals(here: Here) -> SignalList:
    """List every signal, those of declared metrics last: what it measures, how it is drawn, the same as PromQL."""
    signals = [*CATALOGUE.values(), *(signal for metric in _declared(here) for signal in declared.signals_of(metric))]
    return SignalList(items=[signal_document(signal) for signal in signals], next=None)


@router.get("/signals/{signal_id}", operation_id="getSignal", summary="Get a signal's values now and over a period")
def get_signal(
    here: Here,
    signal_id: str,
    window_s: WindowS = None,
    since: Since = None,
    until: Until = None,
    step_s: Annotated[float | None, Query(gt=0, le=86400.0, description="Distance of the points, in seconds.")] = None,
    min_samples: Annotated[
        int | None, Query(ge=0, le=10**9, description="Fewest samples for a value; default: the signal's own.")
    ] = None,
    service: Services = [],
    task: Tasks = [],
    queue: Queues = [],
    worker: Workers = [],
    label: Annotated[
        Texts,
        Query(
            description="Filter by any other label: `endpoint=/orders`. Comma separated or repeated: any of the values "
            "of a label, and all labels.",
            max_length=100,
        ),
    ] = [],
    by: Annotated[
        Texts,
        Query(
            description="Labels to tell values apart by, among the signal's `labels`; `-` for none. Comma separated."
        ),
    ] = [],
) -> SignalReading:
    """Return the values at the end of the period (default: now) and the series over it (default: the last hour)."""
    named = [*by, *(text.partition("=")[0] for text in label)]
    signal = _find(here, signal_id, [name for name in named if name != "-"])
    if signal is None:
        raise NotFound(f"expected one of {', '.join(CATALOGUE)}, got {signal_id[:100]!r}")
    now = here.clock.now()
    start, end = period(since, until, now)
    end = now if end is None else end
    start = end - 3600.0 if start is None else start
    if start >= end:
        raise InvalidQuery(f"since: expected a time before until, got {since}")
    step = step_s if step_s is not None else _step(end - start)
    if (end - start) / step > _MOST_POINTS:
        raise InvalidQuery(
            f"step_s: expected at most {_MOST_POINTS} points, got {(end - start) / step:.0f}. "
            f"Ask for a step of at least {(end - start) / _MOST_POINTS:.0f} s or a shorter period"
        )
    labels = _labels(by, signal.labels)
    asked = {"service": service, "task": task, "queue": queue, "worker": worker}
    for name, value in map(_pair, label):
        asked[name] = [*asked.get(name, []), value]
    where = _where(asked, signal.labels, signal_id)
    values = evaluate(signal, here.source, end, window_s=window_s, where=where, by=labels, min_samples=min_samples)
    ranged = evaluate_range(
        signal, here.source, start, end, step_s=step, window_s=window_s, where=where, by=labels, min_samples=min_samples
    )
    return SignalReading(
        id=signal.id,
        title=signal.title,
        title_zh=signal.title_zh,
        unit=signal.unit,
        window_s=window_s if window_s is not None else signal.window_s,
        since=start,
        until=end,
        step_s=step,
        now=[SignalValue(labels=dict(v.labels), value=v.value, samples=v.samples) for v in values],
        series=[SignalSeries(labels=dict(s.labels), points=list(s.points)) for s in ranged],
    )


def _declared(here: Here) -> list[Metric]:
    """Return the metrics that applications declare, with the labels that any service gives them."""
    found: dict[str, Metric] = {}
    for known in here.store.measured.metrics():
        if known.name in METRICS:
            continue
        kind = MetricKind(known.kind)
        before = found.get(known.name)
        if before is not None and before.kind is not kind:
            continue
        labels = known.labels if before is None else tuple(dict.fromkeys((*before.labels, *known.labels)))
        found[known.name] = Metric(
            known.name, kind, known.help, labels, known.unit, Endpoint.APPLICATION, across=Across(known.across)
        )
    return list(found.values())


def _find(here: Here, signal_id: str, labels: list[str]) -> Signal | None:
    """Return a signal; one of a metric that nobody sent yet has the labels that are asked for, and no values."""
    known = CATALOGUE.get(signal_id)
    if known is not None or declared.find(signal_id) is None:
        return known
    every = (signal for metric in _declared(here) for signal in declared.signals_of(metric))
    return next((signal for signal in every if signal.id == signal_id), declared.find(signal_id, labels))


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise InvalidQuery(f"label: expected name=value, got {text[:64]!r}")
    return name, value


def _step(length_s: float) -> float:
    """Choose a round step that draws a period with about 120 points."""
    wanted = length_s / 120
    return next((step for step in (5.0, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600) if step >= wanted), 7200.0)


def _labels(by: list[str], known: tuple[str, ...]) -> tuple[str, ...] | None:
    if not by:
        return None
    if by == ["-"]:
        return ()
    for label in by:
        if label not in known:
            raise InvalidQuery(f"by: expected labels of the signal ({', '.join(known)}) or -, got {label[:64]!r}")
    return tuple(by)


def _where(asked: dict[str, list[str]], known: tuple[str, ...], signal_id: str) -> dict[str, tuple[str, ...]]:
    for label, values in asked.items():
        if values and label not in known:
            raise InvalidQuery(
                f"{label}: expected a label of {signal_id} ({', '.join(known)}), got a filter on {label}"
            )
    return {label: tuple(values) for label, values in asked.items() if values}
