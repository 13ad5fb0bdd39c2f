"""Rules and alerts as JSON."""

from typing import Any, Literal, cast

from huoyan.model.alert import Alert as ModelAlert
from huoyan.server.alert.reason import reason
from huoyan.server.alert.rules import Rule as ModelRule
from huoyan.server.api.schemas.base import Document, Timestamp, documented
from huoyan.server.api.schemas.signal import Operator
from huoyan.signals import declared
from huoyan.signals.spec import Op

Level = Literal["warning", "critical"]
AlertState = Literal["pending", "firing", "resolved"]
RuleState = Literal["inactive", "pending", "firing"]

RULE_EXAMPLE: dict[str, Any] = {
    "name": "payments-failing",
    "signal": "task_failure_ratio",
    "op": ">",
    "threshold": 0.05,
    "for_s": 30.0,
    "window_s": 300.0,
    "level": "critical",
    "where": {"service": "orders"},
    "by": ["service", "task"],
    "receivers": ["oncall"],
    "state": "firing",
}
ALERT_EXAMPLE: dict[str, Any] = {
    "id": 17,
    "rule": "payments-failing",
    "signal": "task_failure_ratio",
    "level": "critical",
    "state": "firing",
    "labels": {"service": "orders", "task": "orders.take_payment"},
    "value": 0.29,
    "threshold": 0.05,
    "op": ">",
    "reason": "failure ratio of orders.take_payment is 29 % over 5 min (> 5 %), for 30 s before it fired",
    "reason_zh": "orders.take_payment 的失败率为 29 %（统计窗口 5 分钟，阈值 > 5 %），持续 30 秒后触发",
    "pending_at": "2026-11-20T21:14:30.000000Z",
    "fired_at": "2026-11-20T21:15:00.000000Z",
    "resolved_at": None,
    "incident_id": 4,
}


class Rule(Document):
    """A condition on a signal that raises alerts."""

    model_config = documented(RULE_EXAMPLE)

    name: str
    signal: str
    op: Operator
    threshold: float
    for_s: float
    """How long the condition has to hold."""
    window_s: float | None
    """Null when the signal has a value at each moment."""
    level: Level
    where: dict[str, str]
    """Only values that carry these labels."""
    by: list[str]
    """One alert per combination of these labels."""
    receivers: list[str]
    """Who is told; empty means everybody."""
    state: RuleState
    """The most severe state of its alerts."""


class RuleList(Document):
    """Every rule in force."""

    model_config = documented({"items": [RULE_EXAMPLE], "next": None})

    items: list[Rule]
    next: None
    """Always null: the list is whole."""


class Alert(Document):
    """One rule's condition that holds or held for one combination of labels."""

    model_config = documented(ALERT_EXAMPLE)

    id: int
    rule: str
    signal: str
    level: Level
    state: AlertState
    labels: dict[str, str]
    value: float | None
    threshold: float
    op: Operator
    reason: str
    """Why it is in its state, in English."""
    reason_zh: str
    """The same in Chinese."""
    pending_at: Timestamp | None
    fired_at: Timestamp | None
    resolved_at: Timestamp | None
    incident_id: int | None


class AlertPage(Document):
    """A page of alerts, newest first."""

    model_config = documented({"items": [ALERT_EXAMPLE], "next": None})

    items: list[Alert]
    next: str | None
    """Cursor of the next page, null on the last one."""


def rule_document(rule: ModelRule, state: str) -> Rule:
    """Render a rule as the API shows it; what it leaves open is filled in from its signal."""
    signal = declared.find(rule.signal)
    window_s = rule.window_s
    if window_s is None and signal is not None:
        window_s = signal.window_s
    by = rule.by
    if by is None:
        by = signal.by if signal is not None else ()
    return Rule(
        name=rule.name,
        signal=rule.signal,
        op=Op(rule.op).value,
        threshold=rule.threshold,
        for_s=rule.for_s,
        window_s=window_s,
        level=rule.level.value,
        where=dict(rule.where),
        by=list(by),
        receivers=list(rule.receivers),
        state=cast(RuleState, state),
    )


def alert_document(alert: ModelAlert, rule: ModelRule | None = None) -> Alert:
    """Render an alert as the API shows it; its rule knows the times that some reasons name."""
    return Alert(
        id=alert.id or 0,
        rule=alert.rule,
        signal=alert.signal,
        level=alert.level.value,
        state=alert.state.value,
        labels=dict(alert.labels),
        value=alert.value,
        threshold=alert.threshold,
        op=Op(alert.op).value,
        reason=alert.reason,
        reason_zh=reason(alert, "zh", rule),
        pending_at=alert.pending_at,
        fired_at=alert.fired_at,
        resolved_at=alert.resolved_at,
        incident_id=alert.incident_id,
    )
