"""Schedules: what is due when, and whether it was done."""

from collections.abc import Iterable, Mapping
from typing import Annotated

from fastapi import APIRouter, Query

from huoyan.errors import NotFound
from huoyan.model.schedule import Slot
from huoyan.server.api.context import Context, Here
from huoyan.server.api.parameters import Services, Texts, one_of
from huoyan.server.api.schemas.schedule import (
    Schedule,
    ScheduleDetail,
    ScheduleList,
    detail_document,
    schedule_document,
)
from huoyan.server.collect.schedules import is_dead
from huoyan.server.store import KnownSchedule, Worker

router = APIRouter(tags=["schedules"])

_RECENT = 30
_STATES = ("dead", "missed", "doubled", "repeated", "overlapping", "late", "unknown", "ok")


@router.get("/schedules", operation_id="listSchedules", summary="List schedules")
def list_schedules(
    here: Here,
    state: Annotated[
        Texts,
        Query(
            description="`ok`, `late`, `missed`, `overlapping`, `doubled`, `repeated`, `unknown` or `dead`; comma "
            "separated or repeated."
        ),
    ] = [],
    service: Services = [],
) -> ScheduleList:
    """List every schedule known, those that went wrong first."""
    states = one_of(state, _STATES, "state")
    items = [
        item for item in _all(here) if (not states or item.state in states) and (not service or item.service in service)
    ]
    order = {state: place for place, state in enumerate(_STATES)}
    items.sort(key=lambda one: (not one.enabled, order.get(one.state or "ok", 0), one.service, one.id))
    return ScheduleList(items=items, next=None)


@router.get(
    "/schedules/{service}/{framework}/{schedule_id:path}", operation_id="getSchedule", summary="Get one schedule"
)
def get_schedule(
    here: Here,
    service: str,
    framework: str,
    schedule_id: str,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many due times at most.")] = 200,
) -> ScheduleDetail:
    """Return one schedule with the verdicts on its latest due times; `service` as the list shows it."""
    wanted = service, framework, schedule_id
    for schedule in here.store.schedules.list():
        if (schedule.service or schedule.framework, schedule.framework, schedule.id) == wanted:
            slots = here.store.schedules.slots(schedule, limit)
            workers = {worker.worker: worker for worker in here.store.workers.list()}
            return detail_document(_document(schedule, workers, here.clock.now(), reversed(slots[:_RECENT])), slots)
    raise NotFound(f"expected service, framework and id of a schedule, got {service}/{framework}/{schedule_id[:200]}")


def _all(here: Context) -> list[Schedule]:
    recent = here.store.schedules.recent_slots(_RECENT)
    workers = {worker.worker: worker for worker in here.store.workers.list()}
    now = here.clock.now()
    return [
        _document(schedule, workers, now, recent.get((schedule.service, schedule.framework, schedule.id), ()))
        for schedule in here.store.schedules.list()
    ]


def _document(schedule: KnownSchedule, workers: Mapping[str, Worker], now: float, recent: Iterable[Slot]) -> Schedule:
    keeper = workers.get(schedule.source)
    state = None if keeper is None else keeper.state
    return schedule_document(schedule, dead=is_dead(schedule, keeper, now), keeper_state=state, recent=recent)
