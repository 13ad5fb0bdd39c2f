"""Causes: what the slowest requests or runs do differently."""

from typing import Annotated

from fastapi import APIRouter, Query

from huoyan.errors import InvalidQuery
from huoyan.server.api.context import Here
from huoyan.server.api.parameters import OneService, OneTask, Since, Until, period
from huoyan.server.api.schemas.cause import CauseList, cause_list
from huoyan.server.collect.causes import of_endpoint, of_named, of_named_task, of_service

router = APIRouter(tags=["causes"])

_WINDOW_S = 900.0

Endpoint = Annotated[
    str | None,
    Query(
        description="Method and route template, e.g. `GET /orders/{id}`, or the template for every method.",
        max_length=600,
    ),
]


@router.get("/causes", operation_id="listCauses", summary="List why the slowest are slow")
def list_causes(
    here: Here,
    service: OneService = None,
    endpoint: Endpoint = None,
    task: OneTask = None,
    since: Since = None,
    until: Until = None,
) -> CauseList:
    """Compare the slowest 1 % of an endpoint or task with the typical ones, over the last 15 minutes unless said
    otherwise; without either, every endpoint of the service. What several services have is answered for each."""
    if endpoint is not None and task is not None:
        raise InvalidQuery("endpoint, task: expected one of both, got both. Ask twice")
    now = here.clock.now()
    start, end = period(since, until, now)
    end = now if end is None else end
    start = end - _WINDOW_S if start is None else start
    if endpoint is not None and (service is None or " " not in endpoint):
        return cause_list(of_named(here.store, here.source, service, endpoint, start, end))
    if endpoint is not None and service is not None:
        return cause_list([of_endpoint(here.store, here.source, service, endpoint, start, end)])
    if task is not None:
        return cause_list(of_named_task(here.store, here.source, service, task, start, end))
    return cause_list(of_service(here.store, here.source, service, start, end))
