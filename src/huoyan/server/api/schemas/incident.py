"""Incidents with their timeline, notifications and examples as JSON."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from huoyan.model.incident import Incident as ModelIncident
from huoyan.model.run import BAD_STATES
from huoyan.model.run import Run as ModelRun
from huoyan.server.api.schemas.alert import ALERT_EXAMPLE, Alert, Level, alert_document
from huoyan.server.api.schemas.base import Document, Timestamp, documented
from huoyan.server.api.schemas.run import EXAMPLE as RUN_EXAMPLE
from huoyan.server.api.schemas.run import Run, run_document
from huoyan.server.store import RunFilters, Store

_EXAMPLES = 5
_BEFORE_S = 900.0
"""A rule looks back over its window, so what raised it began before the incident."""

IncidentState = Literal["open", "acknowledged", "resolved"]
NotificationState = Literal["queued", "sending", "sent", "failed", "dead"]

EXAMPLE: dict[str, Any] = {
    "id": 4,
    "title": "payments-failing: orders.take_payment",
    "level": "critical",
    "state": "acknowledged",
    "rule": "payments-failing",
    "labels": {"service": "orders", "task": "orders.take_payment"},
    "opened_at": "2026-11-20T21:15:00.000000Z",
    "acknowledged_at": "2026-11-20T21:16:40.000000Z",
    "acknowledged_by": "lin",
    "resolved_at": None,
    "resolved_by": "",
    "updated_at": "2026-11-20T21:16:40.000000Z",
    "alert_count": 1,
    "summary": "task_failure_ratio is 0.29, above 0.05",
}
DETAIL_EXAMPLE: dict[str, Any] = {
    **EXAMPLE,
    "alerts": [ALERT_EXAMPLE],
    "timeline": [
        {
            "at": "2026-11-20T21:15:00.000000Z",
            "kind": "opened",
            "by": "huoyan",
            "text": "payments-failing fires",
            "data": {},
        },
        {
            "at": "2026-11-20T21:16:40.000000Z",
            "kind": "acknowledged",
            "by": "lin",
            "text": "calling the provider",
            "data": {},
        },
    ],
    "notifications": [
        {
            "receiver": "oncall",
            "event": "opened",
            "state": "sent",
            "created_at": "2026-11-20T21:15:00.010000Z",
            "sent_at": "2026-11-20T21:15:00.420000Z",
            "attempts": 1,
            "error": "",
        }
    ],
    "runs": [RUN_EXAMPLE],
}


class Incident(Document):
    """What people deal with: alerts that belong together, from the first to the last."""

    model_config = documented(EXAMPLE)

    id: int
    title: str
    level: Level
    state: IncidentState
    rule: str
    labels: dict[str, str]
    opened_at: Timestamp
    acknowledged_at: Timestamp | None
    acknowledged_by: str
    """Empty while nobody did."""
    resolved_at: Timestamp | None
    resolved_by: str
    """Empty while it is open; `huoyan` when it resolved by itself."""
    updated_at: Timestamp
    alert_count: int
    summary: str


class TimelineEntry(Document):
    """One thing that happened to an incident."""

    at: Timestamp
    kind: str
    """`opened`, `reopened`, `alert_added`, `alert_resolved`, `escalated`, `acknowledged`, `commented`, `resolved`."""
    by: str
    """Who did it; `huoyan` for what happened by itself."""
    text: str
    """English prose, or what the person wrote."""
    data: dict[str, Any]
    """The facts behind the text (alert, value, threshold, labels), to say it in another language."""


class Notification(Document):
    """One message to one receiver."""

    receiver: str
    event: str
    """What it told: `opened`, `reopened`, `escalated`, `resolved`."""
    state: NotificationState
    created_at: Timestamp
    sent_at: Timestamp | None
    attempts: int
    error: str
    """Why the last try failed; empty when it did not."""


class IncidentDetail(Incident):
    """An incident with everything that belongs to it."""

    model_config = documented(DETAIL_EXAMPLE)

    alerts: list[Alert]
    timeline: list[TimelineEntry]
    """Oldest first."""
    notifications: list[Notification]
    runs: list[Run]
    """Examples of runs that failed, newest first."""


class IncidentPage(Document):
    """A page of incidents, newest first."""

    model_config = documented({"items": [EXAMPLE], "next": None})

    items: list[Incident]
    next: str | None
    """Cursor of the next page, null on the last one."""


class IncidentStep(BaseModel):
    """What a person does to an incident."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"by": "lin", "note": "calling the provider"}]},
    )

    by: str = Field(min_length=1, max_length=100)
    """Who does it."""
    note: str = Field(default="", max_length=4000)
    """What there is to say about it; goes on the timeline."""


def incident_documents(store: Store, incidents: Sequence[ModelIncident]) -> list[Incident]:
    """Render incidents as lists show them."""
    counts = store.alerts.counts([incident.id or 0 for incident in incidents])
    return [Incident(**_common(incident, counts[incident.id or 0])) for incident in incidents]


def incident_detail(store: Store, incident: ModelIncident) -> IncidentDetail:
    """Render an incident with its alerts, timeline, notifications and examples of runs that failed."""
    number = incident.id or 0
    alerts = store.alerts.for_incident(number)
    return IncidentDetail(
        **_common(incident, len(alerts)),
        alerts=[alert_document(alert) for alert in alerts],
        timeline=[
            TimelineEntry(at=e.at, kind=e.kind.value, by=e.by, text=e.text, data=dict(e.data))
            for e in store.incidents.timeline(number)
        ],
        notifications=[
            Notification(
                receiver=n.receiver,
                event=n.event,
                state=n.state.value,
                created_at=n.created_at,
                sent_at=n.sent_at,
                attempts=n.attempts,
                error=n.error,
            )
            for n in store.notifications.for_incident(number)
        ],
        runs=[run_document(run) for run in _examples(store, incident)],
    )


def _common(incident: ModelIncident, alert_count: int) -> dict[str, Any]:
    return {
        "id": incident.id,
        "title": incident.title,
        "level": incident.level.value,
        "state": incident.state.value,
        "rule": incident.rule,
        "labels": dict(incident.labels),
        "opened_at": incident.opened_at,
        "acknowledged_at": incident.acknowledged_at,
        "acknowledged_by": incident.acknowledged_by,
        "resolved_at": incident.resolved_at,
        "resolved_by": incident.resolved_by,
        "updated_at": incident.updated_at,
        "alert_count": alert_count,
        "summary": incident.summary,
    }


def _examples(store: Store, incident: ModelIncident) -> list[ModelRun]:
    """Find runs that show what the incident is about: those that went wrong where it is, around the time of it."""
    service, task, queue, worker = (
        (incident.labels[name],) if name in incident.labels else () for name in ("service", "task", "queue", "worker")
    )
    if not (service or task or queue or worker):
        return []
    filters = RunFilters(
        state=tuple(sorted(state.value for state in BAD_STATES)),
        service=service,
        task=task,
        queue=queue,
        worker=worker,
        since=incident.opened_at - _BEFORE_S,
        until=incident.resolved_at,
    )
    return store.runs.page(filters, _EXAMPLES).items
