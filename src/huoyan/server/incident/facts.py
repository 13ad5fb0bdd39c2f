"""What failed, for alerts that say how much did."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from huoyan.model.alert import Alert
from huoyan.server.store import FailureStore

FAILURE_SIGNALS = ("task_failure_ratio", "task_failures")
"""Signals whose alerts are explained by the failures behind them."""

_GROUPS = 50


@dataclass(frozen=True, slots=True)
class TopFailure:
    """The failure group behind most of the failures of an alert.

    Attributes:
        count: Failures of this group since a window before the alert began.
        total: All failures in that time.
    """

    fingerprint: str
    title: str
    count: int
    total: int
    run_id: str

    def as_data(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self)

    @classmethod
    def of_data(cls, data: Mapping[str, Any] | None) -> "TopFailure | None":
        """Return it from what `as_data` gave, None for none."""
        return None if not data else cls(**data)


Facts = Callable[[Alert, float], TopFailure | None]
"""Finds the failure behind an alert, given the alert and the time now; None when there is none to name."""


def failure_facts(failures: FailureStore) -> Facts:
    """Return a function that looks the failure behind an alert up in the store."""

    def facts(alert: Alert, now: float) -> TopFailure | None:
        if alert.signal not in FAILURE_SIGNALS:
            return None
        page = failures.page(
            since=alert.pending_at - (alert.window_s or 60.0),
            until=now,
            task=alert.labels.get("task"),
            service=alert.labels.get("service"),
            limit=_GROUPS,
        )
        if not page.items:
            return None
        top = page.items[0]
        title = (
            f"{top.type}: {top.title}" if top.title and not top.title.startswith(top.type) else top.title or top.type
        )
        return TopFailure(top.fingerprint, title, top.count, sum(group.count for group in page.items), top.last_run_id)

    return facts
