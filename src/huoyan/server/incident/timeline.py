"""The lines of an incident's time line: the facts that each keeps, and what it says in English or Chinese.

A line is stored with its English text. Its facts are enough to say the same in Chinese; what people wrote is left as
they wrote it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from huoyan.model.alert import Alert, AlertState, Level
from huoyan.model.incident import EntryKind, TimelineEntry
from huoyan.server.alert.reason import reason
from huoyan.server.alert.wording import LEVELS, span
from huoyan.server.incident import account
from huoyan.server.incident.facts import TopFailure

TITLING = (EntryKind.OPENED, EntryKind.REOPENED, EntryKind.ALERT_ADDED)
"""Lines with which an incident gets its title."""

_PEOPLES = (EntryKind.ACKNOWLEDGED, EntryKind.COMMENTED)


def facts_of(alert: Alert, failure: TopFailure | None = None) -> dict[str, Any]:
    """Return what a line keeps about an alert, as JSON values."""
    data: dict[str, Any] = {
        "alert_id": alert.id,
        "rule": alert.rule,
        "signal": alert.signal,
        "level": alert.level.value,
        "labels": dict(alert.labels),
        "value": alert.value,
        "worst": alert.worst,
        "op": str(alert.op),
        "threshold": alert.threshold,
        "window_s": alert.window_s,
        "firing": alert.state is AlertState.FIRING,
        "pending_at": alert.pending_at,
        "fired_at": alert.fired_at,
        "resolved_at": alert.resolved_at,
        "good_at": alert.good_at,
        "absent_at": alert.absent_at,
    }
    if failure is not None:
        data["failure"] = failure.as_data()
    return data


def title_facts(entry_of: Alert, alerts: Sequence[Alert]) -> dict[str, Any]:
    """Return what a line keeps, beside its own alert, about the title that it gives to the incident."""
    lead = account.leading(alerts)
    facts: dict[str, Any] = {"others": account.others(alerts)}
    if lead.id != entry_of.id:
        facts["lead"] = facts_of(lead)
    return facts


def alert_of(entry: TimelineEntry) -> Alert | None:
    """Return the alert that a line is about as it was then, None when the line keeps none."""
    return _alert(entry.data, entry.text)


def title(entries: Iterable[TimelineEntry], language: str) -> str | None:
    """Return the title that an incident's lines gave it, None when none of them did.

    Args:
        entries: Its lines, at least the last that gave it a title.
        language: `en` or `zh`.
    """
    given = max((entry for entry in entries if entry.kind in TITLING), key=lambda entry: entry.id or 0, default=None)
    if given is None:
        return None
    lead = _alert(given.data.get("lead", given.data), "")
    return None if lead is None else account.title_of(lead, given.data.get("others", 0), language)


def text(entry: TimelineEntry, language: str) -> str:
    """Return what a line says; what people wrote is the same in every language."""
    if language == "en" or entry.kind in _PEOPLES:
        return entry.text
    if entry.kind is EntryKind.CAUSE_FOUND:
        return str(entry.data.get("sentence_zh", entry.text))
    if entry.kind is EntryKind.RESOLVED:
        lasted_s = entry.data.get("lasted_s")
        return entry.text if lasted_s is None else ending(bool(entry.data.get("good")), lasted_s, language)
    if entry.kind is EntryKind.ESCALATED and "from_level" in entry.data:
        before, after = Level(entry.data["from_level"]), Level(entry.data["level"])
        said = _reason(entry, entry.text.removeprefix(escalation(before, after)), language)
        return escalation(before, after, language) + said
    if entry.kind is EntryKind.REOPENED and "resolved_before_s" in entry.data:
        resolved_before_s = entry.data["resolved_before_s"]
        said = _reason(entry, entry.text.removesuffix(still_firing(resolved_before_s)), language)
        return said + still_firing(resolved_before_s, language)
    return _reason(entry, entry.text, language)


def ending(good: bool, lasted_s: float, language: str = "en") -> str:
    """Say that an incident is over by itself.

    Args:
        good: Whether every value was good again at the end; else some had gone missing, or their rule had.
        lasted_s: How long the incident was open, in seconds.
        language: `en` or `zh`.
    """
    if language == "zh":
        return f"{'所有告警均已恢复正常' if good else '已没有告警触发'}，历时 {span(lasted_s, language)}"
    return f"{'all alerts are good again' if good else 'no alert fires any more'}, after {span(lasted_s)}"


def escalation(before: Level, after: Level, language: str = "en") -> str:
    """Say that the level rose; the reason follows."""
    if language == "zh":
        return f"级别由{LEVELS[before.value]}升为{LEVELS[after.value]}："
    return f"from {before.value} to {after.value}: "


def still_firing(resolved_before_s: float, language: str = "en") -> str:
    """Say, after the reason, that an incident which somebody resolved is not over."""
    if language == "zh":
        return f"；标记解决 {span(resolved_before_s, language)}后仍在告警"
    return f"; still firing {span(resolved_before_s)} after it was resolved"


def _reason(entry: TimelineEntry, stored: str, language: str) -> str:
    alert = _alert(entry.data, stored)
    return stored if alert is None else reason(alert, language)


def _alert(data: Mapping[str, Any], stored_reason: str) -> Alert | None:
    if "signal" not in data or "pending_at" not in data:
        return None
    return Alert(
        id=data["alert_id"],
        rule=data["rule"],
        signal=data["signal"],
        level=Level(data["level"]),
        state=AlertState.FIRING if data["firing"] else AlertState.RESOLVED,
        labels=data["labels"],
        op=data["op"],
        threshold=data["threshold"],
        window_s=data["window_s"],
        value=data["value"],
        worst=data["worst"],
        pending_at=data["pending_at"],
        fired_at=data["fired_at"],
        resolved_at=data["resolved_at"],
        good_at=data["good_at"],
        absent_at=data["absent_at"],
        reason=stored_reason,
    )
