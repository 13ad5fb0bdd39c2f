"""A server cut down to what alerts, incidents and messages need, with time that a test moves."""

from typing import Any

from huoyan.model.incident import Incident
from huoyan.server.alert.rules import parse_rules
from huoyan.server.alert.service import AlertService
from huoyan.server.incident.service import IncidentService
from huoyan.server.store import Store
from huoyan.signals.metrics.work import TASK_RUNS
from huoyan.testing.memory_source import MemorySource

START = 1_763_673_303.0
PAY = {"service": "orders", "task": "orders.take_payment", "queue": "default"}
MAIL = {"service": "mail", "task": "mail.send", "queue": "bulk"}
BURST = {
    "name": "burst",
    "signal": "task_failure_ratio",
    "threshold": 0.2,
    "op": ">",
    "for": 0,
    "window": "1m",
    "min_samples": 5,
    "level": "critical",
}


class Hand:
    """A clock whose hand the test moves."""

    def __init__(self, at=START) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


class Board:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.published: list[tuple[str, dict[str, Any]]] = []

    def publish(self, topic, data) -> None:
        self.published.append((topic, data))


class Scene:
    """Rules over a source in memory, with alerts and incidents in a real database."""

    def __init__(self, url, *rules, facts=None, on_entry=None) -> None:
        self.clock = Hand()
        self.source = MemorySource()
        self.bus = Board()
        self.silent: list[str] = []
        self.rules = parse_rules(rules or [BURST])
        self.store = Store.open(url, self.clock)
        self.incidents = IncidentService(
            self.store.incidents,
            self.store.alerts,
            clock=self.clock,
            bus=self.bus,
            facts=facts,
            on_entry=on_entry,
        )
        self.start()

    def start(self) -> None:
        """Start (again) what judges the rules; it knows nothing but what was stored."""
        self.alerts = AlertService(
            self.store.alerts,
            self.source,
            self.rules,
            clock=self.clock,
            bus=self.bus,
            on_transition=self.incidents.handle,
            silent=lambda: self.silent,
        )

    def runs(self, labels=PAY, succeeded=0, failed=0) -> None:
        for state, count in (("succeeded", succeeded), ("failed", failed)):
            if count:
                self.source.add(TASK_RUNS, {**labels, "state": state}, self.clock.at, count)

    def pass_s(self, seconds, step_s=1.0) -> list[tuple[str, str]]:
        """Let time pass, judging at every step, and return what changed as (kind, labels)."""
        seen = []
        end = self.clock.at + seconds
        while self.clock.at < end:
            self.clock.at = min(end, self.clock.at + step_s)
            seen += self.judge()
        return seen

    def judge(self) -> list[tuple[str, str]]:
        return [(t.kind.value, t.alert.labels.get("task", "")) for t in self.alerts.run_once()]

    def incident(self) -> Incident:
        """Return the only incident."""
        (incident,) = self.store.incidents.page().items
        return incident

    def incident_id(self) -> int:
        """Return the number of the only incident."""
        number = self.incident().id
        assert number is not None
        return number

    def kinds(self, incident) -> list[str]:
        return [entry.kind.value for entry in self.store.incidents.timeline(incident.id or 0)]
