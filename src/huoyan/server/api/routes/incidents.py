"""Incidents: the list, one with its timeline, and what people do to them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from huoyan.errors import NotFound
from huoyan.server.api.context import Context, Here
from huoyan.server.api.parameters import Cursor, Limit, Since, Texts, moment, one_of
from huoyan.server.api.schemas.alert import Level
from huoyan.server.api.schemas.incident import (
    IncidentDetail,
    IncidentPage,
    IncidentStep,
    incident_detail,
    incident_documents,
)

router = APIRouter(tags=["incidents"])

_STATES = ("open", "acknowledged", "resolved")
IncidentId = Annotated[int, Path(ge=1, le=2**53, description="The incident's number.")]


@router.get("/incidents", operation_id="listIncidents", summary="List incidents, newest first")
def list_incidents(
    here: Here,
    state: Annotated[Texts, Query(description="`open`, `acknowledged` or `resolved`; comma separated.")] = [],
    level: Annotated[Level | None, Query(description="Of this level only.")] = None,
    since: Since = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> IncidentPage:
    """List incidents; `state=open,acknowledged` are those that are not over."""
    page = here.store.incidents.page(
        state=one_of(state, _STATES, "state"),
        level=level,
        limit=limit,
        cursor=cursor,
        since=moment(since, here.clock.now(), "since"),
    )
    return IncidentPage(items=incident_documents(here.store, page.items), next=page.next)


@router.get("/incidents/{incident_id}", operation_id="getIncident", summary="Get one incident")
def get_incident(here: Here, incident_id: IncidentId) -> IncidentDetail:
    """Return an incident with its alerts, timeline, notifications and examples of runs that failed."""
    return _detail(here, incident_id)


@router.post(
    "/incidents/{incident_id}/acknowledge",
    operation_id="acknowledgeIncident",
    summary="Acknowledge an incident",
    responses={409: {"description": "The incident is not open."}},
)
def acknowledge_incident(here: Here, incident_id: IncidentId, step: IncidentStep) -> IncidentDetail:
    """Say that somebody deals with it."""
    here.incidents.acknowledge(incident_id, step.by, step.note)
    return _detail(here, incident_id)


@router.post(
    "/incidents/{incident_id}/resolve",
    operation_id="resolveIncident",
    summary="Resolve an incident",
    responses={409: {"description": "The incident is resolved already."}},
)
def resolve_incident(here: Here, incident_id: IncidentId, step: IncidentStep) -> IncidentDetail:
    """Say that it is over."""
    here.incidents.resolve(incident_id, step.by, step.note)
    return _detail(here, incident_id)


@router.post(
    "/incidents/{incident_id}/comment", operation_id="commentIncident", summary="Write on an incident's timeline"
)
def comment_incident(here: Here, incident_id: IncidentId, step: IncidentStep) -> IncidentDetail:
    """Add a note to the timeline, in any state."""
    here.incidents.comment(incident_id, step.by, step.note)
    return _detail(here, incident_id)


def _detail(here: Context, incident_id: int) -> IncidentDetail:
    incident = here.store.incidents.get(incident_id)
    if incident is None:
        raise NotFound(f"expected the number of an incident, got {incident_id}")
    return incident_detail(here.store, incident, here.alerts.rules)
