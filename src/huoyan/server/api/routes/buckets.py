"""Buckets: how far off classic buckets are, and better bounds."""

from typing import Annotated

from fastapi import APIRouter, Query

from huoyan.errors import InvalidQuery
from huoyan.model.grid import DEFAULT_CLASSIC_BOUNDS_S
from huoyan.model.histogram import Histogram
from huoyan.server.api.context import Here
from huoyan.server.api.parameters import OneService, OneTask, Since, Until, period
from huoyan.server.api.schemas.buckets import BucketAdvice, advice
from huoyan.signals.metrics.application import HTTP_REQUEST_DURATION
from huoyan.signals.metrics.work import TASK_DURATION

router = APIRouter(tags=["signals"])

_WINDOW_S = 86_400.0
_MOST_BOUNDS = 100

Endpoint = Annotated[
    str | None, Query(description="Method and route template, e.g. `GET /orders/{id}`.", max_length=600)
]
Present = Annotated[
    str | None,
    Query(description="Bounds used now, in seconds, comma separated; Huoyan's own by default.", max_length=2000),
]
Count = Annotated[int | None, Query(description="How many bounds to propose; as many as now by default.", ge=1, le=100)]


@router.get("/buckets", operation_id="adviseBuckets", summary="Propose bounds for classic buckets")
def advise_buckets(
    here: Here,
    service: OneService = None,
    endpoint: Endpoint = None,
    task: OneTask = None,
    bounds: Present = None,
    count: Count = None,
    since: Since = None,
    until: Until = None,
) -> BucketAdvice:
    """Compare the bounds used now with what was observed of an endpoint or task, or of all tasks, over the last day
    unless said otherwise."""
    if endpoint is not None and task is not None:
        raise InvalidQuery("endpoint, task: expected one of both, got both. Ask twice")
    present = list(DEFAULT_CLASSIC_BOUNDS_S) if bounds is None else _read(bounds)
    start, end = period(since, until, here.clock.now())
    end = here.clock.now() if end is None else end
    start = end - _WINDOW_S if start is None else start
    where = {} if service is None else {"service": (service,)}
    metric = TASK_DURATION
    if endpoint is not None:
        metric = HTTP_REQUEST_DURATION
        method, _, path = endpoint.partition(" ")
        where |= {"method": (method,), "endpoint": (path,)}
    elif task is not None:
        where["task"] = (task,)
    observed = here.source.distribution(metric.name, where, (), start, end).get(())
    return advice(metric.name, observed or Histogram(), present, count)


def _read(text: str) -> list[float]:
    expected = f"bounds: expected at most {_MOST_BOUNDS} rising numbers of seconds above 0, got {text[:100]!r}"
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        raise InvalidQuery(expected) from None
    if len(found) > _MOST_BOUNDS or not all(a < b for a, b in zip([0.0, *found], [*found, float("inf")], strict=True)):
        raise InvalidQuery(expected)
    return found
