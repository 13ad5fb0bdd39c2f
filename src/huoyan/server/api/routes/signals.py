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
from huoyan.signals.catalogue import CATALOGUE
from huoyan.signals.evaluate import evaluate, evaluate_range

router = APIRouter(tags=["signals"])

_MOST_POINTS = 2000


@router.get("/signals", operation_id="listSignals", summary="List the catalogue of signals")
async def list_signals() -> SignalList:
    """List every signal: what it measures, how it is drawn, and the same quantity as PromQL."""
    return SignalList(items=[signal_document(signal) for signal in CATALOGUE.values()], next=None)


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
    by: Annotated[
        Texts,
        Query(
            description="Labels to tell values apart by, among the signal's `labels`; `-` for none. Comma separated."
        ),
    ] = [],
) -> SignalReading:
    """Return the values at the end of the period (default: now) and the series over it (default: the last hour)."""
    signal = CATALOGUE.get(signal_id)
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
    where = _where({"service": service, "task": task, "queue": queue, "worker": worker}, signal.labels, signal_id)
    values = evaluate(signal, here.source, end, window_s=window_s, where=where, by=labels, min_samples=min_samples)
    ranged = evaluate_range(
        signal, here.source, start, end, step_s=step, window_s=window_s, where=where, by=labels, min_samples=min_samples
    )
    return SignalReading(
        id=signal.id,
        title=signal.title,
        unit=signal.unit,
        window_s=window_s if window_s is not None else signal.window_s,
        since=start,
        until=end,
        step_s=step,
        now=[SignalValue(labels=dict(v.labels), value=v.value, samples=v.samples) for v in values],
        series=[SignalSeries(labels=dict(s.labels), points=list(s.points)) for s in ranged],
    )


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
