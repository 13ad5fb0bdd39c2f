"""Schedules: what is due when, and whether it was done."""

from typing import Annotated

from fastapi import APIRouter, Query

from huoyan.server.api.context import Here
from huoyan.server.api.parameters import Services, Texts, one_of
from huoyan.server.api.schemas.schedule import ScheduleList, schedule_document
from huoyan.server.collect.schedules import is_dead

router = APIRouter(tags=["schedules"])

_STATES = ("dead", "missed", "doubled", "overlapping", "late", "unknown", "ok")


@router.get("/schedules", operation_id="listSchedules", summary="List schedules")
def list_schedules(
    here: Here,
    state: Annotated[
        Texts,
        Query(
            description="`ok`, `late`, `missed`, `overlapping`, `doubled`, `unknown` or `dead`; comma separated or "
            "repeated."
        ),
    ] = [],
    service: Services = [],
) -> ScheduleList:
    """List every schedule known, those that went wrong first."""
    states = one_of(state, _STATES, "state")
    now = here.clock.now()
    workers = {worker.worker: worker for worker in here.store.workers.list()}
    items = []
    for schedule in here.store.schedules.list():
        item = schedule_document(schedule, dead=is_dead(schedule, workers.get(schedule.source), now))
        if (not states or item.state in states) and (not service or item.service in service):
            items.append(item)
    order = {state: place for place, state in enumerate(_STATES)}
    items.sort(key=lambda one: (not one.enabled, order.get(one.state or "ok", 0), one.service, one.id))
    return ScheduleList(items=items, next=None)
