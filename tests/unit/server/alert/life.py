"""One rule's alerts, decided from values that a test feeds."""

from dataclasses import replace

from huoyan.model.alert import Alert, labels_key
from huoyan.server.alert.evaluate import Transition, TransitionKind, evaluate
from huoyan.server.alert.rules import Rule
from huoyan.signals.evaluate import Value
from huoyan.signals.spec import Op

PAY = {"service": "orders", "task": "orders.take_payment"}
MAIL = {"service": "mail", "task": "mail.send"}
START = 1_000_000.0


def failing(**changes) -> Rule:
    """Return a rule about too many failures."""
    settings = {"name": "failing", "signal": "task_failure_ratio", "op": Op.ABOVE, "threshold": 0.2, **changes}
    return Rule(**settings)


class Life:
    """Feeds values to one rule and keeps the alerts that come of it, as the service does."""

    def __init__(self, rule) -> None:
        self.rule = rule
        self.now = START
        self.alerts: dict[str, Alert] = {}
        self.seen: list[Transition] = []
        self._id = 0

    def at(self, after_s, *values, blind=False) -> list[str]:
        """Judge `after_s` seconds after the start; values are numbers for PAY, or (labels, number)."""
        self.now = START + after_s
        labelled = [value if isinstance(value, tuple) else (PAY, value) for value in values]
        given_values = [Value(labels, value, 10) for labels, value in labelled]
        transitions = evaluate(self.now, self.rule, given_values, self.alerts, blind=blind)
        for transition in transitions:
            self.keep(transition)
        return [transition.kind.value for transition in transitions]

    def keep(self, transition) -> None:
        alert = transition.alert
        if alert.id is None:
            self._id += 1
            alert = replace(alert, id=self._id)
        self.seen.append(replace(transition, alert=alert))
        if transition.kind in (TransitionKind.CANCELLED, TransitionKind.RESOLVED):
            self.alerts.pop(alert.labels_key)
        else:
            self.alerts[alert.labels_key] = alert

    @property
    def alert(self) -> Alert:
        return self.alerts[labels_key(PAY)]
