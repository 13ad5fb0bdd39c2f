"""Why it is slow or fails, for incidents about that: the first causes as sentences, as soon as there is one to name."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from huoyan.clock import Clock
from huoyan.model.alert import Alert
from huoyan.model.incident import EntryKind, Incident, TimelineEntry
from huoyan.server.alert.service import Publisher
from huoyan.server.collect.cause_wording import sentence, standout_sentence
from huoyan.server.collect.causes import Answer, of_named, of_named_task, of_service
from huoyan.server.store import Store
from huoyan.server.store.alerts import AlertStore
from huoyan.server.store.incidents import IncidentStore
from huoyan.signals.source import Moments

_LOG = logging.getLogger(__name__)

_OF_REQUESTS = ("http_latency_", "http_error_ratio")
_OF_RUNS = ("task_duration_", "task_wait_", "task_failure_ratio", "task_failures")
_FAILING = ("http_error_ratio", "task_failure_ratio", "task_failures")
LONGEST_WAIT_S = 300.0
"""How long it takes at most until an incident without a cause is looked into again, in seconds."""
_BEFORE_S = 300.0
"""What raised an alert began before it; that far back is looked at least."""
_MOST_SENTENCES = 2
_MOST_RUNS = 1000
"""People are told of an incident only when this was looked into."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is behind an alert, in English and in Chinese."""

    sentence: str
    sentence_zh: str

    def as_data(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self)

    @classmethod
    def of_data(cls, data: Mapping[str, Any] | None) -> "Explanation | None":
        """Return it from what `as_data` gave, None for none."""
        return None if not data else cls(str(data["sentence"]), str(data["sentence_zh"]))


Explain = Callable[[Alert, float], Explanation | None]
"""Finds what is behind an alert, given the alert and the time now; None when there is nothing to name."""


def explanations(store: Store, source: Moments) -> Explain:
    """Return a function that looks up what is behind an alert about requests or runs that are slow or fail."""

    def explain(alert: Alert, now: float) -> Explanation | None:
        since = alert.pending_at - max(_BEFORE_S, alert.window_s or 0.0)
        service = alert.labels.get("service")
        answers: list[Answer] = []
        if alert.signal.startswith(_OF_REQUESTS):
            path = alert.labels.get("endpoint")
            answers = (
                of_named(store, source, service, path, since, now)
                if path
                else of_service(store, source, service, since, now)
            )
        elif alert.signal.startswith(_OF_RUNS) and alert.labels.get("task"):
            answers = of_named_task(store, source, service, alert.labels["task"], since, now, _MOST_RUNS)
        return _said(answers, failing=alert.signal in _FAILING)

    return explain


def _said(answers: list[Answer], *, failing: bool) -> Explanation | None:
    said: list[tuple[str, str]] = []
    for answer in answers:
        if failing:
            said += [standout_sentence(one, "failing") for one in answer.standouts.failing]
        else:
            said += [sentence(cause) for cause in answer.findings.causes]
            said += [standout_sentence(one, "slow") for one in answer.standouts.slow]
    told = said[:_MOST_SENTENCES]
    if not told:
        return None
    return Explanation(" ".join(english for english, _ in told), "".join(chinese for _, chinese in told))


def entry_of(explanation: Explanation, now: float) -> TimelineEntry:
    """Return the line that tells an explanation."""
    return TimelineEntry(at=now, kind=EntryKind.CAUSE_FOUND, text=explanation.sentence, data=explanation.as_data())


class Explainer:
    """The service that looks, while an incident goes on, for what could not be named when it opened.

    Args:
        incidents: Where incidents are kept.
        alerts: Where alerts are kept.
        explain: Finds what is behind an alert.
        clock: The time.
        bus: Told of changes under the topic "incidents".
    """

    name = "causes of incidents"
    interval_s = 5.0

    def __init__(
        self,
        incidents: IncidentStore,
        alerts: AlertStore,
        explain: Explain,
        clock: Clock,
        bus: Publisher | None = None,
    ) -> None:
        self._incidents = incidents
        self._alerts = alerts
        self._explain = explain
        self._clock = clock
        self._bus = bus
        self._explained: set[int] = set()
        self._waits: dict[int, tuple[float, float]] = {}

    def run_once(self) -> int:
        """Look once, and return how many incidents were explained."""
        unresolved = {incident.id: incident for incident in self._incidents.unresolved() if incident.id is not None}
        self._explained &= unresolved.keys()
        self._waits = {number: wait for number, wait in self._waits.items() if number in unresolved}
        done = 0
        for number in sorted(unresolved.keys() - self._explained):
            again_at, wait_s = self._waits.get(number, (0.0, self.interval_s))
            if self._clock.now() < again_at:
                continue
            # To look costs as much as it finds nothing: ever more seldom.
            self._waits[number] = (self._clock.now() + wait_s, min(2 * wait_s, LONGEST_WAIT_S))
            if any(entry.kind is EntryKind.CAUSE_FOUND for entry in self._incidents.timeline(number)):
                self._explained.add(number)
            elif (found := self._find(number)) is not None:
                self._incidents.append_timeline(number, entry_of(found, self._clock.now()))
                self._explained.add(number)
                self._tell(unresolved[number])
                done += 1
        return done

    def _find(self, number: int) -> Explanation | None:
        for alert in self._alerts.for_incident(number):
            if alert.active:
                try:
                    found = self._explain(alert, self._clock.now())
                except Exception:  # noqa: BLE001 - other incidents want theirs
                    _LOG.exception("what is behind alert %s could not be found", alert.id)
                    continue
                if found is not None:
                    return found
        return None

    def _tell(self, incident: Incident) -> None:
        if self._bus is not None:
            self._bus.publish("incidents", {"items": [{"id": incident.id}]})
