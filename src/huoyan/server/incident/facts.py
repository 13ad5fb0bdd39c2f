"""What failed, for alerts that say how much did."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from huoyan.model.alert import Alert
from huoyan.model.reason_chinese import in_chinese
from huoyan.server.store import FailureGroup, FailureStore

FAILURE_SIGNALS = ("task_failure_ratio", "task_failures")
"""Signals whose alerts are explained by the failures behind them."""

_GROUPS = 50
_STATES_ZH = {"failed": "失败", "rejected": "被拒绝", "lost": "丢失", "dead": "死信"}


@dataclass(frozen=True, slots=True)
class TopFailure:
    """The failure group behind most of the failures of an alert.

    Attributes:
        title: What failed for people: the exception without its module, and its message.
        count: Failures of this group since a window before the alert began.
        total: All failures in that time.
        type: The exception's whole type, with its module; the state of runs that ended without one.
        title_zh: What failed in Chinese, where it is not an exception's own words.
    """

    fingerprint: str
    title: str
    count: int
    total: int
    run_id: str
    type: str = ""
    title_zh: str = ""

    def titled(self, language: str) -> str:
        """Name it in a language, `en` or `zh`."""
        return self.title_zh or self.title if language == "zh" else self.title

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
        total = sum(group.count for group in page.items)
        return TopFailure(top.fingerprint, _title(top), top.count, total, top.last_run_id, top.type, _title_zh(top))

    return facts


def _title_zh(group: FailureGroup) -> str:
    """Name runs that ended without an exception in Chinese; empty for exceptions, which speak for themselves."""
    return f"{_STATES_ZH[group.type]}：{in_chinese(group.reason)}" if group.reason else ""


def _title(group: FailureGroup) -> str:
    """Name a failure without the module of its exception, which says little and pushes the message out of sight."""
    short = group.type.rpartition(".")[2] or group.type
    message = group.title.removeprefix(group.type).removeprefix(":").strip()
    if not message or not group.type:
        return short or message
    named = message == short or message.startswith(f"{short}:")
    return message if named else f"{short}: {message}"
