"""Decide what becomes of a rule's alerts, from the values of this moment and the alerts of the last.

Pure: everything the next decision needs is in the alerts returned, so a server that restarts with the saved ones
goes on as if it had never stopped.

    no alert ──holds──► pending ──held for `for`──► firing ──good for `keep_firing`, or gone for `stale`──► resolved
                           └──good, or no value──► cancelled

A missing value is not a value: it fires nothing, it breaks the unbroken time that `for` asks for, and only after
`stale` does it end an alert (the queue was deleted, the worker removed). While ingest is cut nothing that is computed
from events can be believed to be good, nor to be too little: nothing resolves then, and no rule with `<` fires.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from huoyan.model.alert import Alert, AlertState, labels_key
from huoyan.server.alert import reason as why
from huoyan.server.alert.rules import Rule
from huoyan.signals.evaluate import Value
from huoyan.signals.spec import Op

REFRESH_S = 5.0
"""A value that changes while nothing else does is written down at most this often."""


class TransitionKind(StrEnum):
    """What happened to an alert."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"
    UPDATE = "update"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of one alert, the alert as it is now, the sentence that says why, and who is to hear of it."""

    kind: TransitionKind
    alert: Alert
    reason: str
    rule: Rule


def evaluate(
    now: float, rule: Rule, values: Iterable[Value], previous: Mapping[str, Alert], *, blind: bool = False
) -> list[Transition]:
    """Decide about one rule.

    Args:
        now: Seconds since 1970 UTC.
        rule: The rule.
        values: The signal's values now, one per set of labels.
        previous: The rule's pending and firing alerts by `labels_key`.
        blind: Whether ingest is cut, so that what is missing or low means nothing.

    Returns:
        What changed, and nothing for what did not.
    """
    transitions: list[Transition] = []
    seen: set[str] = set()
    for value in values:
        key = labels_key(value.labels)
        seen.add(key)
        transition = _decide(now, rule, value.labels, value.value, previous.get(key), blind)
        if transition is not None:
            transitions.append(transition)
    for key, alert in previous.items():
        if key not in seen:
            transition = _decide(now, rule, alert.labels, None, alert, blind)
            if transition is not None:
                transitions.append(transition)
    return transitions


def withdraw(now: float, rule: Rule, alert: Alert) -> Transition:
    """End an alert whose rule is no longer configured."""
    if alert.state is AlertState.PENDING:
        return Transition(TransitionKind.CANCELLED, alert, why.withdrawn(alert), rule)
    return _resolve(now, rule, alert, why.withdrawn(alert))


def _decide(
    now: float, rule: Rule, labels: Mapping[str, str], value: float | None, alert: Alert | None, blind: bool
) -> Transition | None:
    if value is not None and math.isnan(value):
        value = None
    if blind and value is not None and (rule.op in (Op.BELOW, Op.AT_MOST) or not rule.holds(value)):
        value = None
    if value is None:
        return None if alert is None else _missing(now, rule, alert, blind)
    if not rule.holds(value):
        return None if alert is None else _good(now, rule, alert, value)
    if alert is None:
        return _begin(now, rule, labels, value)
    return _bad(now, rule, alert, value)


def _begin(now: float, rule: Rule, labels: Mapping[str, str], value: float) -> Transition:
    """The condition holds for the first time."""
    alert = Alert(
        rule=rule.name,
        signal=rule.signal,
        level=rule.level,
        state=AlertState.PENDING,
        labels=dict(labels),
        op=rule.op,
        threshold=rule.threshold,
        window_s=rule.judged_s,
        value=value,
        worst=value,
        pending_at=now,
        last_value_at=now,
        annotations=dict(rule.annotations),
    )
    if rule.for_s <= 0:
        return _fire(now, rule, alert, value)
    reason = why.pending(alert, rule.for_s)
    return Transition(TransitionKind.PENDING, replace(alert, reason=reason), reason, rule)


def _bad(now: float, rule: Rule, alert: Alert, value: float) -> Transition | None:
    """The condition still holds, or holds again."""
    if alert.state is AlertState.PENDING and now - alert.pending_at >= rule.for_s:
        return _fire(now, rule, alert, value)
    back = alert.good_at is not None or alert.absent_at is not None
    if back or _worth_writing(now, alert, value):
        changed = _measured(now, rule, alert, value, good_at=None)
        reason = why.firing(changed) if changed.state is AlertState.FIRING else why.pending(changed, rule.for_s)
        return Transition(TransitionKind.UPDATE, replace(changed, reason=reason), reason, rule)
    return None


def _good(now: float, rule: Rule, alert: Alert, value: float) -> Transition | None:
    """The condition does not hold."""
    if alert.state is AlertState.PENDING:
        changed = _measured(now, rule, alert, value, good_at=None)
        return Transition(TransitionKind.CANCELLED, changed, why.cancelled(changed), rule)
    good_at = now if alert.good_at is None else alert.good_at
    if now - good_at >= rule.keep_firing_s:
        changed = _measured(now, rule, alert, value, good_at)
        return _resolve(now, rule, changed, why.recovered(changed, now - good_at))
    if alert.good_at is None or alert.absent_at is not None or _worth_writing(now, alert, value):
        changed = _measured(now, rule, alert, value, good_at)
        reason = why.recovering(changed, rule.keep_firing_s)
        return Transition(TransitionKind.UPDATE, replace(changed, reason=reason), reason, rule)
    return None


def _missing(now: float, rule: Rule, alert: Alert, blind: bool) -> Transition | None:
    """There is no value, or none that can be believed."""
    if alert.state is AlertState.PENDING:
        return Transition(TransitionKind.CANCELLED, alert, why.cancelled_without_value(alert), rule)
    if blind:
        # Both times begin anew when events come again: those before the cut say nothing about what happened during it.
        if alert.good_at is None and alert.absent_at is None:
            return None
        reason = why.blind(alert)
        return Transition(
            TransitionKind.UPDATE, replace(alert, good_at=None, absent_at=None, reason=reason), reason, rule
        )
    absent_at = now if alert.absent_at is None else alert.absent_at
    if alert.good_at is not None and now - alert.good_at >= rule.keep_firing_s:
        return _resolve(now, rule, alert, why.recovered(alert, now - alert.good_at))
    if now - absent_at >= rule.stale_s:
        return _resolve(now, rule, replace(alert, absent_at=absent_at), why.vanished(alert, now - absent_at))
    if alert.absent_at is None:
        reason = why.absent(alert, rule.stale_s)
        return Transition(TransitionKind.UPDATE, replace(alert, absent_at=now, reason=reason), reason, rule)
    return None


def _fire(now: float, rule: Rule, alert: Alert, value: float) -> Transition:
    fired = replace(_measured(now, rule, alert, value, good_at=None), state=AlertState.FIRING, fired_at=now)
    reason = why.firing(fired)
    return Transition(TransitionKind.FIRING, replace(fired, reason=reason), reason, rule)


def _resolve(now: float, rule: Rule, alert: Alert, reason: str) -> Transition:
    resolved = replace(alert, state=AlertState.RESOLVED, resolved_at=now, reason=reason)
    return Transition(TransitionKind.RESOLVED, resolved, reason, rule)


def _measured(now: float, rule: Rule, alert: Alert, value: float, good_at: float | None) -> Alert:
    """Write the value down, with the rule as it is configured now."""
    return replace(
        alert,
        value=value,
        worst=value if rule.worse(value, alert.worst) else alert.worst,
        last_value_at=now,
        good_at=good_at,
        absent_at=None,
        level=rule.level,
        op=rule.op,
        threshold=rule.threshold,
        window_s=rule.judged_s,
        annotations=dict(rule.annotations),
    )


def _worth_writing(now: float, alert: Alert, value: float) -> bool:
    return value != alert.value and (alert.last_value_at is None or now - alert.last_value_at >= REFRESH_S)
