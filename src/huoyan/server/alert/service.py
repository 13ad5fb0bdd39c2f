"""Evaluate the rules every second, write down what changed, and pass it on."""

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from huoyan.clock import SYSTEM_CLOCK, Clock
from huoyan.model.alert import Alert, AlertState, Level, labels_key
from huoyan.model.incident import Incident
from huoyan.server.alert.evaluate import Transition, TransitionKind, evaluate, withdraw
from huoyan.server.alert.rules import Rule
from huoyan.server.alert.wording import INGEST_CUT
from huoyan.signals import declared
from huoyan.signals.catalogue import CATALOGUE
from huoyan.signals.evaluate import Value
from huoyan.signals.evaluate import evaluate as measure
from huoyan.signals.source import Moments
from huoyan.signals.spec import Op, Signal

_LOG = logging.getLogger(__name__)

BLINDNESS = Rule(
    name="ingest-cut",
    signal=INGEST_CUT,
    op=Op.ABOVE,
    threshold=0.0,
    level=Level.CRITICAL,
    for_s=10.0,
    annotations={"summary": "Huoyan sees less than there is: no alert resolves, nothing is taken to be missing."},
)
"""The rule that is always there: say once that a source of events is cut off, while every other rule holds still."""


class Publisher(Protocol):
    """Where changes are told to those who look on, such as open pages."""

    def publish(self, topic: str, data: dict[str, Any]) -> None:
        """Hand over a small message; never block."""
        ...


class AlertRows(Protocol):
    """What this service needs of the store (`Store.alerts`)."""

    def load_active(self) -> list[Alert]:
        """Return every pending and firing alert."""
        ...

    def save(self, alert: Alert) -> Alert:
        """Insert or update; return it with its id."""
        ...

    def delete(self, alert_id: int) -> None:
        """Remove a pending alert that came to nothing."""
        ...


class AlertService:
    """Judge every rule, once per `run_once()`.

    Args:
        alerts: Where alerts are kept (`Store.alerts`).
        source: Where values come from (`Store.source()`).
        rules: The rules, already checked.
        clock: The time.
        bus: Told of changes under the topic "alerts".
        on_transition: Called with every alert that starts to fire, resolves or changes while firing, after it was
            written; returns the incident it belongs to. An alert that fires and got none (the callback failed) is
            handed over again the next time.
        silent: Gives the sources of events that nothing can be heard from at this moment.
        catalogue: The signals by id.
    """

    name = "alerts"
    interval_s = 1.0

    def __init__(
        self,
        alerts: AlertRows,
        source: Moments,
        rules: Iterable[Rule],
        *,
        clock: Clock = SYSTEM_CLOCK,
        bus: Publisher | None = None,
        on_transition: Callable[[Transition], Incident | None] | None = None,
        silent: Callable[[], Collection[str]] = tuple,
        catalogue: Mapping[str, Signal] = CATALOGUE,
    ) -> None:
        self._rows = alerts
        self._source = source
        self._rules = {rule.name: rule for rule in (*rules, BLINDNESS)}
        self._clock = clock
        self._bus = bus
        self._on_transition = on_transition
        self._silent = silent
        self._catalogue = catalogue
        self._active: dict[str, dict[str, Alert]] | None = None
        self._failing: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Return the rules being judged, the built-in one last."""
        return tuple(self._rules.values())

    def run_once(self) -> list[Transition]:
        """Judge every rule now.

        Returns:
            What changed and was written.
        """
        now = self._clock.now()
        silent = self._silent()
        active = self._load()
        written: list[Transition] = []
        for rule in self._rules.values():
            previous = active.get(rule.name, {})
            try:
                if rule is BLINDNESS:
                    # The rule about blindness is the one that is not blind itself.
                    transitions = evaluate(now, rule, _blindness(silent, previous), previous)
                else:
                    values = self._values(rule, now, previous)
                    transitions = evaluate(now, rule, values, previous, blind=bool(silent))
            except Exception:  # noqa: BLE001 - one rule that cannot be judged must not silence the others
                self._say_failing(rule.name, "judged")
                continue
            self._failing.discard((rule.name, "judged"))
            written += [done for transition in transitions if (done := self._write(transition)) is not None]
        for name in [name for name in active if name not in self._rules]:
            written += self._withdraw(now, list(active[name].values()))
        self._hand_over_again()
        if written and self._bus is not None:
            self._bus.publish("alerts", {"items": [_told(transition) for transition in written]})
        return written

    def active(self) -> list[Alert]:
        """Return the pending and firing alerts."""
        with self._lock:
            return [alert for alerts in (self._active or {}).values() for alert in alerts.values()]

    def firing_counts(self) -> dict[tuple[str, str], int]:
        """Return the number of firing alerts by (rule, level), 0 for rules that are quiet; for `/metrics`."""
        counts = {(rule.name, rule.level.value): 0 for rule in self._rules.values()}
        for alert in self.active():
            if alert.state is AlertState.FIRING:
                key = (alert.rule, alert.level.value)
                counts[key] = counts.get(key, 0) + 1
        return counts

    def state_of(self, rule: str) -> str:
        """Return `firing`, `pending` or `inactive`: the strongest state of the rule's alerts."""
        states = {alert.state for alert in self.active() if alert.rule == rule}
        for state in (AlertState.FIRING, AlertState.PENDING):
            if state in states:
                return state.value
        return "inactive"

    def _load(self) -> dict[str, dict[str, Alert]]:
        if self._active is None:
            loaded: dict[str, dict[str, Alert]] = {}
            for alert in self._rows.load_active():
                loaded.setdefault(alert.rule, {})[alert.labels_key] = alert
            with self._lock:
                self._active = loaded
        return self._active

    def _values(self, rule: Rule, now: float, previous: Mapping[str, Alert]) -> list[Value]:
        signal = self._catalogue.get(rule.signal) or declared.find(rule.signal, (*rule.where, *(rule.by or ())))
        if signal is None:
            raise KeyError(rule.signal)
        values = measure(signal, self._source, now, rule.window_s, rule.where, rule.by, rule.min_samples)
        seen = {labels_key(value.labels) for value in values}
        for key, alert in previous.items():
            # A group that dropped out of the answer is asked for by name: a count of nothing is zero, not unknown.
            if key not in seen and all(label in signal.labels for label in alert.labels):
                asked = {**rule.where, **alert.labels}
                (alone,) = measure(signal, self._source, now, rule.window_s, asked, (), rule.min_samples)
                values.append(Value(dict(alert.labels), alone.value, alone.samples))
        return values

    def _write(self, transition: Transition) -> Transition | None:
        """Write one change, hand it over, and only then hold it to be true; None when it could not be written."""
        alert = transition.alert
        try:
            if transition.kind is TransitionKind.CANCELLED:
                if alert.id is not None:
                    self._rows.delete(alert.id)
                self._forget(alert)
                return transition
            transition = replace(transition, alert=self._rows.save(alert))
        except Exception:  # noqa: BLE001 - the same decision is made again in a second
            self._say_failing(alert.rule, "written down")
            return None
        self._failing.discard((alert.rule, "written down"))
        if transition.alert.active:
            self._remember(transition.alert)
        else:
            self._forget(transition.alert)
        if transition.alert.state is not AlertState.PENDING:
            self._hand_over(transition)
        return transition

    def _hand_over(self, transition: Transition) -> None:
        if self._on_transition is None:
            return
        try:
            incident = self._on_transition(transition)
        except Exception:  # noqa: BLE001 - the alert stands; it is handed over again in a second
            _LOG.exception("alert %s of rule %s could not be handed over", transition.alert.id, transition.alert.rule)
            return
        if incident is not None and transition.alert.active:
            self._remember(replace(transition.alert, incident_id=incident.id))

    def _hand_over_again(self) -> None:
        """Hand over firing alerts that got no incident: the process ended, or the database refused, in between."""
        if self._on_transition is None:
            return
        for alert in self.active():
            rule = self._rules.get(alert.rule)
            if alert.state is AlertState.FIRING and alert.incident_id is None and rule is not None:
                self._hand_over(Transition(TransitionKind.FIRING, alert, alert.reason, rule))

    def _withdraw(self, now: float, alerts: list[Alert]) -> list[Transition]:
        """End the alerts of a rule that is no longer configured."""
        written = []
        for alert in alerts:
            gone = Rule(
                name=alert.rule, signal=alert.signal, op=Op(alert.op), threshold=alert.threshold, level=alert.level
            )
            done = self._write(withdraw(now, gone, alert))
            if done is not None:
                written.append(done)
        return written

    def _remember(self, alert: Alert) -> None:
        with self._lock:
            if self._active is not None:
                self._active.setdefault(alert.rule, {})[alert.labels_key] = alert

    def _forget(self, alert: Alert) -> None:
        with self._lock:
            if self._active is not None:
                alerts = self._active.get(alert.rule, {})
                alerts.pop(alert.labels_key, None)
                if not alerts:
                    self._active.pop(alert.rule, None)

    def _say_failing(self, rule: str, what: str) -> None:
        """Log the first failure of a rule in a row, not one each second."""
        if (rule, what) not in self._failing:
            self._failing.add((rule, what))
            _LOG.exception("rule %s could not be %s; trying again every second", rule, what)


def _blindness(silent: Collection[str], previous: Mapping[str, Alert]) -> list[Value]:
    """Return 1 for each source that is cut off, and 0 for those that were."""
    cut = dict.fromkeys(silent, 1.0)
    before = {alert.labels.get("source", ""): 0.0 for alert in previous.values()}
    return [Value({"source": source}, value, 1) for source, value in {**before, **cut}.items()]


def _told(transition: Transition) -> dict[str, Any]:
    alert = transition.alert
    return {
        "id": alert.id,
        "rule": alert.rule,
        "level": alert.level.value,
        "state": "cancelled" if transition.kind is TransitionKind.CANCELLED else alert.state.value,
        "labels": dict(alert.labels),
        "value": alert.value,
        "reason": transition.reason,
    }
