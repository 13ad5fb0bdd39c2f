"""What people are told about an incident, in their language: a title, facts, and where to look."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from huoyan.model.alert import Alert, AlertState
from huoyan.model.incident import EntryKind, Incident, TimelineEntry
from huoyan.server.alert import wording
from huoyan.server.alert.subject import subject
from huoyan.server.incident import account
from huoyan.server.incident.explaining import Explanation
from huoyan.server.incident.facts import TopFailure

TOLD = (EntryKind.OPENED, EntryKind.REOPENED, EntryKind.ESCALATED, EntryKind.RESOLVED)
"""What people are told of; everything else is for those who look."""

BODY_VERSION = 1
"""Version of the JSON form, raised when a field changes its meaning or goes."""

_WORDS = {
    "en": {
        "warning": "warning",
        "critical": "critical",
        "resolved": "resolved",
        "test": "test",
        "opened": "A new incident.",
        "reopened": "It is back: the incident was resolved a moment ago and is open again.",
        "escalated": "It got worse.",
        "over": "It is over.",
        "over_by": "Resolved by {by}.",
        "since": "Since",
        "ended": "Ended",
        "value": "Value",
        "worst": "at worst",
        "limit": "limit",
        "over_window": "over",
        "failure": "Top failure",
        "cause": "Cause",
        "of": "{count} of {total}",
        "also": "Also affected",
        "rule": "Rule",
        "mark": ": ",
        "test_title": "a message to see whether messages arrive",
        "test_body": "Nothing is wrong. Somebody asked Huoyan to check its receivers.",
    },
    "zh": {
        "warning": "警告",
        "critical": "严重",
        "resolved": "已恢复",
        "test": "测试",
        "opened": "新事件。",
        "reopened": "再次出现：该事件刚恢复不久，现重新打开。",
        "escalated": "级别上升。",
        "over": "已自行恢复。",
        "over_by": "由 {by} 处理完毕。",
        "since": "开始",
        "ended": "结束",
        "value": "数值",
        "worst": "最差",
        "limit": "阈值",
        "over_window": "统计窗口",
        "failure": "主要失败",
        "cause": "原因",
        "of": "{count}/{total}",
        "also": "同时受影响",
        "rule": "规则",
        "mark": "：",
        "test_title": "用于确认通知能否送达",
        "test_body": "一切正常，有人要求 Huoyan 检查其接收人。",
    },
}
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message, ready to be said by any channel.

    Attributes:
        event: opened, reopened, escalated, resolved, or test.
        level: warning, critical; resolved and test have their own tone.
        lead: The sentence before the facts.
        facts: (name, text), in the order in which they matter.
        url: The incident's page, empty when nobody said where the page is.
        thread: Equal for all messages about one incident, so that mail programs keep them together.
        key: Equal for repetitions of the same message.
        incident: The incident as JSON values, as programs want it; None for a test.
        alerts: Its alerts, likewise.
    """

    event: str
    title: str
    language: str = "en"
    level: str = "warning"
    lead: str = ""
    facts: Sequence[tuple[str, str]] = ()
    url: str = ""
    thread: str = ""
    key: str = ""
    incident: Mapping[str, Any] | None = None
    alerts: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    @property
    def text(self) -> str:
        """Return everything but the title as plain text."""
        mark = _WORDS[self.language]["mark"]
        parts = [self.lead, "\n".join(f"{name}{mark}{text}" for name, text in self.facts), self.url]
        return "\n\n".join(part for part in parts if part)

    def body(self) -> dict[str, Any]:
        """Return the JSON form that programs are sent."""
        return {
            "version": BODY_VERSION,
            "event": self.event,
            "key": self.key,
            "title": self.title,
            "text": self.text,
            "incident": None if self.incident is None else dict(self.incident),
            "alerts": [dict(alert) for alert in self.alerts],
            "url": self.url or None,
        }

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON values, to be stored."""
        return {
            "event": self.event,
            "title": self.title,
            "language": self.language,
            "level": self.level,
            "lead": self.lead,
            "facts": [list(fact) for fact in self.facts],
            "url": self.url,
            "thread": self.thread,
            "key": self.key,
            "incident": None if self.incident is None else dict(self.incident),
            "alerts": [dict(alert) for alert in self.alerts],
        }

    @classmethod
    def of_data(cls, data: Mapping[str, Any]) -> "Message":
        """Return it from what `as_data` gave."""
        facts = [(name, text) for name, text in data["facts"]]
        return cls(**{**data, "facts": facts})


def compose(
    incident: Incident,
    entry: TimelineEntry,
    alerts: Sequence[Alert],
    *,
    language: str = "en",
    public_url: str | None = None,
) -> Message:
    """Write the message about one line of an incident's time line.

    Args:
        incident: The incident.
        entry: The line, of one of the kinds in `TOLD`.
        alerts: The incident's alerts.
        language: `en` or `zh`.
        public_url: Where people reach the page; None leaves the link out.
    """
    words = _WORDS[language]
    resolved = entry.kind is EntryKind.RESOLVED
    told = _as_of(entry, alerts)
    tone = words["resolved"] if resolved else words[incident.level.value]
    if told is None:
        title = incident.title
    elif resolved:
        title = _end_title(told, language)
    else:
        title = account.title([told, *(alert for alert in alerts if alert.id != told.id)], language)
    url = f"{public_url.rstrip('/')}/incidents/{incident.id}" if public_url else ""
    return Message(
        event=entry.kind.value,
        title=f"[{tone}] {title}",
        language=language,
        level=incident.level.value,
        lead=_lead(entry, words),
        facts=_facts(incident, entry, told, alerts, language),
        url=url,
        thread=f"incident-{incident.id}-{int(incident.opened_at)}",
        key=f"entry:{entry.id}",
        incident=_incident_data(incident, len(alerts)),
        alerts=[_alert_data(alert) for alert in alerts],
    )


def trial(language: str = "en", public_url: str | None = None) -> Message:
    """Write the message by which somebody sees whether messages arrive."""
    words = _WORDS[language]
    return Message(
        event="test",
        title=f"[{words['test']}] Huoyan{words['mark']}{words['test_title']}",
        language=language,
        level="test",
        lead=words["test_body"],
        url=public_url or "",
        thread="test",
        key="test",
    )


def _as_of(entry: TimelineEntry, alerts: Sequence[Alert]) -> Alert | None:
    """Return the alert that a line is about, as it was then: a late message tells what it would have told in time."""
    known = {alert.id: alert for alert in alerts}
    alert = known.get(entry.data.get("alert_id")) or (account.leading(alerts) if alerts else None)
    if alert is None or entry.data.get("alert_id") != alert.id:
        return alert
    state = AlertState.FIRING if entry.data.get("firing") else alert.state
    return replace(
        alert, state=state, value=entry.data.get("value", alert.value), worst=entry.data.get("worst", alert.worst)
    )


def _end_title(alert: Alert, language: str) -> str:
    """Say what is over; the value that is good now stands among the facts."""
    if wording.is_plain(alert):
        return wording.headline(alert, language)
    name, mark = wording.quantity(alert.signal, language), _WORDS[language]["mark"]
    limit = wording.limit_of(alert, language)
    limited = f"{name}（{limit}）" if language == "zh" else f"{name} ({limit})"
    if not any(alert.labels.values()):
        return f"{limited[:1].upper()}{limited[1:]}"
    return f"{subject(alert.labels, language)}{mark}{limited}"


def _lead(entry: TimelineEntry, words: Mapping[str, str]) -> str:
    if entry.kind is not EntryKind.RESOLVED:
        return words[entry.kind.value]
    if entry.by == "huoyan":
        return words["over"]
    said = words["over_by"].format(by=entry.by)
    return f"{said} {entry.text}" if entry.text else said


def _facts(
    incident: Incident, entry: TimelineEntry, told: Alert | None, alerts: Sequence[Alert], language: str
) -> list[tuple[str, str]]:
    words = _WORDS[language]
    facts: list[tuple[str, str]] = []
    began = min([alert.pending_at for alert in alerts], default=incident.opened_at)
    facts.append((words["since"], _moment(began)))
    if entry.kind is EntryKind.RESOLVED:
        lasted = wording.span(max(0.0, entry.at - began), language)
        facts.append((words["ended"], f"{_moment(entry.at)} ({lasted})"))
    if told is not None:
        if not wording.is_plain(told):
            facts.append((words["value"], _value(told, words, language)))
        failure = TopFailure.of_data(entry.data.get("failure"))
        if failure is not None:
            count = words["of"].format(count=failure.count, total=failure.total)
            facts.append((words["failure"], f"{failure.titled(language)} ({count})"))
        cause = Explanation.of_data(entry.data.get("cause"))
        if cause is not None:
            facts.append((words["cause"], cause.sentence_zh if language == "zh" else cause.sentence))
        others = [alert for alert in alerts if alert.labels_key != told.labels_key]
        if others:
            names = list(dict.fromkeys(subject(alert.labels, language) for alert in others))
            more = f" +{len(names) - _MOST_NAMED}" if len(names) > _MOST_NAMED else ""
            facts.append((words["also"], ", ".join(names[:_MOST_NAMED]) + more))
        facts.append((words["rule"], told.rule))
        facts += sorted(told.annotations.items())
    return facts


def _value(alert: Alert, words: Mapping[str, str], language: str) -> str:
    value, worst = wording.value_of(alert, language), wording.worst_of(alert, language)
    notes = [f"{words['limit']} {wording.limit_of(alert, language)}"]
    if alert.window_s:
        notes.insert(0, f"{words['over_window']} {wording.span(alert.window_s, language)}")
    if worst != value:
        notes.append(f"{words['worst']} {worst}")
    return f"{value} ({'; '.join(notes)})"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _rfc3339(at: float | None) -> str | None:
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _incident_data(incident: Incident, alert_count: int) -> dict[str, Any]:
    return {
        "id": incident.id,
        "title": incident.title,
        "level": incident.level.value,
        "state": incident.state.value,
        "rule": incident.rule,
        "labels": dict(incident.labels),
        "opened_at": _rfc3339(incident.opened_at),
        "acknowledged_at": _rfc3339(incident.acknowledged_at),
        "acknowledged_by": incident.acknowledged_by,
        "resolved_at": _rfc3339(incident.resolved_at),
        "resolved_by": incident.resolved_by,
        "alert_count": alert_count,
        "summary": incident.summary,
    }


def _alert_data(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.id,
        "rule": alert.rule,
        "signal": alert.signal,
        "level": alert.level.value,
        "state": alert.state.value,
        "labels": dict(alert.labels),
        "value": alert.value,
        "worst": alert.worst,
        "op": alert.op,
        "threshold": alert.threshold,
        "window_s": alert.window_s,
        "reason": alert.reason,
        "pending_at": _rfc3339(alert.pending_at),
        "fired_at": _rfc3339(alert.fired_at),
        "resolved_at": _rfc3339(alert.resolved_at),
        "annotations": dict(alert.annotations),
    }
