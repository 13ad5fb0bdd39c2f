"""Alerts: one rule holding for one set of labels, from the first value that met it to its end.

An `Alert` is a value: the decision (`server.alert.evaluate`) returns a changed copy and the store writes it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Return a number that grows with how bad it is."""
        return 1 if self is Level.WARNING else 2


class AlertState(StrEnum):
    """Where an alert is: pending → firing → resolved. A pending alert whose condition ends leaves no trace."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One rule holding for one set of labels. Times are seconds since 1970 UTC.

    Attributes:
        id: The row's number, None until it is stored.
        value: The value when it was last written down (at `last_value_at`), None when it was never known.
        worst: The value farthest past the threshold since the alert began.
        window_s: The window the value was computed over; 0 for a gauge read as it is.
        pending_at: Since when the condition has held without a break.
        good_at: Since when the condition has not held, while the alert still fires; None while it holds.
        absent_at: Since when the value has been missing, while the alert still fires; None while there is one.
        reason: Why it is in this state, one English sentence. The page makes its own from the other fields.
    """

    rule: str
    signal: str
    level: Level
    state: AlertState
    labels: Mapping[str, str]
    op: str
    threshold: float
    pending_at: float
    window_s: float = 0.0
    value: float | None = None
    worst: float | None = None
    fired_at: float | None = None
    resolved_at: float | None = None
    last_value_at: float | None = None
    good_at: float | None = None
    absent_at: float | None = None
    reason: str = ""
    incident_id: int | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    id: int | None = None

    @property
    def labels_key(self) -> str:
        """Return the labels as the text that identifies this alert within its rule."""
        return labels_key(self.labels)

    @property
    def active(self) -> bool:
        """Whether the alert is pending or firing."""
        return self.state is not AlertState.RESOLVED


def labels_key(labels: Mapping[str, str]) -> str:
    """Return labels as one canonical text: equal labels give equal text, different ones different text."""
    return json.dumps(dict(sorted(labels.items())), ensure_ascii=False, separators=(",", ":"))
