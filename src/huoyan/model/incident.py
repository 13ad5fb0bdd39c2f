"""Incidents: what people are told about, answer for and close."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from huoyan.model.alert import Level


class IncidentState(StrEnum):
    """Where an incident is: open → acknowledged → resolved, or open → resolved; soon after that it may reopen."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


UNRESOLVED = (IncidentState.OPEN, IncidentState.ACKNOWLEDGED)
"""States in which somebody still has to do something."""


class EntryKind(StrEnum):
    """What a line of the time line tells."""

    OPENED = "opened"
    REOPENED = "reopened"
    ALERT_ADDED = "alert_added"
    ALERT_RESOLVED = "alert_resolved"
    ESCALATED = "escalated"
    CAUSE_FOUND = "cause_found"
    ACKNOWLEDGED = "acknowledged"
    COMMENTED = "commented"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One line of an incident's time line.

    `by` is the person, or "huoyan" for what happened by itself. `text` is English prose or what the person wrote;
    `data` holds the facts behind it (alert id, value, threshold, labels) to say it in another language.
    """

    at: float
    kind: EntryKind
    by: str = "huoyan"
    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    incident_id: int = 0
    id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Alerts of one cause, gathered by `group_key`. Times are seconds since 1970 UTC.

    `level` is the worst its alerts have reached since it opened; it does not fall before the end.
    `title` is English, and so is `summary`: one sentence with what is wrong and how bad it was at worst, since when,
    and the failure behind most of it when that is known. `failure` are the facts about that failure as of then.
    """

    group_key: str
    title: str
    level: Level
    rule: str
    labels: Mapping[str, str]
    opened_at: float
    updated_at: float
    state: IncidentState = IncidentState.OPEN
    acknowledged_at: float | None = None
    acknowledged_by: str = ""
    resolved_at: float | None = None
    resolved_by: str = ""
    summary: str = ""
    failure: Mapping[str, Any] | None = None
    id: int | None = None

    @property
    def unresolved(self) -> bool:
        """Whether somebody still has to do something."""
        return self.state in UNRESOLVED
