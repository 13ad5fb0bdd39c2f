"""Incidents with their timeline, notifications and examples as JSON."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from huoyan.model.alert import Alert as ModelAlert
from huoyan.model.incident import EntryKind
from huoyan.model.incident import Incident as ModelIncident
from huoyan.model.incident import TimelineEntry as ModelTimelineEntry
from huoyan.model.run import BAD_STATES
from huoyan.model.run import Run as ModelRun
from huoyan.server.alert.rules import Rule as ModelRule
from huoyan.server.api.schemas.alert import ALERT_EXAMPLE, Alert, Level, alert_document
from huoyan.server.api.schemas.base import Document, Timestamp, documented
from huoyan.server.api.schemas.run import EXAMPLE as RUN_EXAMPLE
from huoyan.server.api.schemas.run import Run, run_document
from huoyan.server.incident import account, timeline
from huoyan.server.store import RunFilters, Store

_EXAMPLES = 5
_BEFORE_S = 900.0
"""A rule looks back over its window, so what raised it began before the incident."""

_TELLING = (*timeline.TITLING, EntryKind.RESOLVED)
"""Lines from which the title and the summary are said in Chinese."""

IncidentState = Literal["open", "acknowledged", "resolved"]
NotificationState = Literal["queued", "sending", "sent", "failed", "dead"]

EXAMPLE: dict[str, Any] = {
    "id": 4,
    "title": "orders.take_payment: failure ratio 29 % (> 5 %)",
    "title_zh": "orders.take_payment：失败率 29 %（> 5 %）",
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
    "summary": (
        "Failure ratio of orders.take_payment is 29 % over 5 min (> 5 %) since 21:14:30 UTC; "
        "all 12 failures are PaymentDeclined: card issuer did not answer."
    ),
    "summary_zh": (
        "orders.take_payment 的失败率为 29 %（统计窗口 5 分钟，阈值 > 5 %），始于 21:14:30 UTC；"
        "12 次失败均为 PaymentDeclined: card issuer did not answer。"
    ),
}
DETAIL_EXAMPLE: dict[str, Any] = {
    **EXAMPLE,
    "alerts": [ALERT_EXAMPLE],
    "timeline": [
        {
            "at": "2026-11-20T21:15:00.000000Z",
            "kind": "opened",
            "by": "huoyan",
            "text": "failure ratio of orders.take_payment is 29 % over 5 min (> 5 %), for 30 s before it fired",
            "text_zh": "orders.take_payment 的失败率为 29 %（统计窗口 5 分钟，阈值 > 5 %），持续 30 秒后触发",
            "data": {},
        },
        {
            "at": "2026-11-20T21:16:40.000000Z",
            "kind": "acknowledged",
            "by": "lin",
            "text": "calling the provider",
            "text_zh": "calling the provider",
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
    """What opened it, in English: the value as it was then."""
    title_zh: str
    """The same in Chinese."""
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
    """What, how bad at worst, since when, and the failure behind most of it, as one English sentence."""
    summary_zh: str
    """The same in Chinese."""


class TimelineEntry(Document):
    """One thing that happened to an incident."""

    at: Timestamp
    kind: str
    """`opened`, `reopened`, `alert_added`, `alert_resolved`, `escalated`, `cause_found`, `acknowledged`,
    `commented`, `resolved`."""
    by: str
    """Who did it; `huoyan` for what happened by itself."""
    text: str
    """English prose, or what the person wrote."""
    text_zh: str
    """The same in Chinese; what the person wrote is left as it is."""
    data: dict[str, Any]
    """The facts behind the text: alert, value, threshold, labels."""


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
    numbers = [incident.id or 0 for incident in incidents]
    alerts = store.alerts.for_incidents(numbers)
    lines = store.incidents.last_lines(numbers, _TELLING)
    return [Incident(**_common(i, alerts[i.id or 0], lines[i.id or 0])) for i in incidents]


def incident_detail(store: Store, incident: ModelIncident, rules: Iterable[ModelRule] = ()) -> IncidentDetail:
    """Render an incident with its alerts, timeline, notifications and examples of runs that failed."""
    number = incident.id or 0
    alerts = store.alerts.for_incident(number)
    lines = store.incidents.timeline(number)
    by_name = {rule.name: rule for rule in rules}
    return IncidentDetail(
        **_common(incident, alerts, lines),
        alerts=[alert_document(alert, by_name.get(alert.rule)) for alert in alerts],
        timeline=[
            TimelineEntry(
                at=e.at, kind=e.kind.value, by=e.by, text=e.text, text_zh=timeline.text(e, "zh"), data=dict(e.data)
            )
            for e in lines
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


def _common(
    incident: ModelIncident, alerts: Sequence[ModelAlert], lines: Sequence[ModelTimelineEntry]
) -> dict[str, Any]:
    return {
        "id": incident.id,
        "title": incident.title,
        "title_zh": timeline.title(lines, "zh") or incident.title,
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
        "alert_count": len(alerts),
        "summary": incident.summary,
        "summary_zh": _summary_zh(incident, alerts, lines),
    }


def _summary_zh(incident: ModelIncident, alerts: Sequence[ModelAlert], lines: Sequence[ModelTimelineEntry]) -> str:
    if not alerts:
        return incident.summary
    ends = [line for line in lines if line.kind is EntryKind.RESOLVED] if incident.resolved_at is not None else []
    at_the_end = timeline.alert_of(ends[-1]) if ends else None
    return account.summary(incident, alerts, "zh", at_the_end=at_the_end)


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
