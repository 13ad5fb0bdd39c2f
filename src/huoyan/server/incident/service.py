"""Open incidents from alerts, let people take them on, close them when their alerts are over.

    open ──acknowledge──► acknowledged ──all alerts resolved, or a person──► resolved
      └────────────all alerts resolved, or a person────────────────────────────┘
                                    ◄──an alert fires again within five minutes── (reopened)

An alert that fires again soon after the end reopens the incident instead of opening another: what comes and goes is
one trouble, with one time line. Reopening takes the acknowledgement back, since whoever gave it was told of the end.
The same happens when a person resolved an incident whose alerts still fire five minutes later.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from huoyan.clock import SYSTEM_CLOCK, Clock
from huoyan.errors import Conflict, InvalidQuery, NotFound
from huoyan.model.alert import Alert
from huoyan.model.incident import UNRESOLVED, EntryKind, Incident, IncidentState, TimelineEntry
from huoyan.server.alert.evaluate import Transition, TransitionKind
from huoyan.server.alert.service import Publisher
from huoyan.server.incident import account, timeline
from huoyan.server.incident.explaining import Explain, Explanation, entry_of
from huoyan.server.incident.facts import Facts, TopFailure
from huoyan.server.incident.grouping import group_key, group_labels
from huoyan.server.store.alerts import AlertStore
from huoyan.server.store.incidents import IncidentStore

_LOG = logging.getLogger(__name__)

REOPEN_S = 300.0
"""How soon after the end an alert that fires again reopens the incident, in seconds."""

ITSELF = "huoyan"
"""Who did what happened by itself."""

LONGEST_NAME = 200
LONGEST_TEXT = 10_000


class IncidentService:
    """The life of incidents. Safe to use from any thread.

    Args:
        incidents: Where incidents are kept (`Store.incidents`).
        alerts: Where alerts are kept (`Store.alerts`).
        clock: The time.
        bus: Told of changes under the topic "incidents".
        facts: Finds the failure behind an alert.
        explain: Finds what makes requests or runs slow or fail.
        on_entry: Called after a line was added that people are told of; `Notifier.wake`.
        reopen_s: How soon after the end an alert that fires again reopens the incident, in seconds, default 300.
    """

    name = "incidents"
    interval_s = 5.0

    def __init__(
        self,
        incidents: IncidentStore,
        alerts: AlertStore,
        *,
        clock: Clock = SYSTEM_CLOCK,
        bus: Publisher | None = None,
        facts: Facts | None = None,
        explain: Explain | None = None,
        on_entry: Callable[[], None] | None = None,
        reopen_s: float = REOPEN_S,
    ) -> None:
        self._incidents = incidents
        self._alerts = alerts
        self._clock = clock
        self._bus = bus
        self._facts = facts
        self._explain = explain
        self._on_entry = on_entry
        self._reopen_s = reopen_s
        # The one who decides is one process: within it, one change at a time.
        self._lock = threading.RLock()

    def handle(self, transition: Transition) -> Incident | None:
        """Take in what happened to an alert.

        Returns:
            The incident that the alert belongs to, None when it belongs to none.
        """
        alert = transition.alert
        with self._lock:
            if transition.kind is TransitionKind.FIRING:
                return self._fired(transition)
            if alert.incident_id is None:
                return None
            if transition.kind is TransitionKind.RESOLVED:
                return self._alert_resolved(alert, transition.reason)
            return self._updated(alert)

    def acknowledge(self, incident_id: int, by: str, note: str = "") -> Incident:
        """Say that somebody takes care of an incident.

        Raises:
            NotFound: There is no such incident.
            Conflict: Somebody did before, or it is resolved; the message names who.
            InvalidQuery: `by` is empty or too long, or the note is.
        """
        by, note = _checked(by, note)
        with self._lock:
            now = self._clock.now()
            incident = replace(
                self._existing(incident_id),
                state=IncidentState.ACKNOWLEDGED,
                acknowledged_at=now,
                acknowledged_by=by,
                updated_at=now,
            )
            entry = TimelineEntry(at=now, kind=EntryKind.ACKNOWLEDGED, by=by, text=note)
            if not self._incidents.update(incident, [IncidentState.OPEN], [entry]):
                raise self._conflict(incident_id, "open")
        self._tell(incident)
        return incident

    def resolve(self, incident_id: int, by: str, note: str = "") -> Incident:
        """End an incident by hand. Should its alerts still fire after five minutes, it reopens.

        Raises:
            NotFound: There is no such incident.
            Conflict: It is resolved; the message names who did it.
            InvalidQuery: `by` is empty or too long, or the note is.
        """
        by, note = _checked(by, note)
        with self._lock:
            incident = self._close(self._existing(incident_id), by, note)
            if incident is None:
                raise self._conflict(incident_id, "open or acknowledged")
            return incident

    def comment(self, incident_id: int, by: str, text: str) -> Incident:
        """Write a line into the time line, whatever the state.

        Raises:
            NotFound: There is no such incident.
            InvalidQuery: `by` or `text` is empty or too long.
        """
        by, text = _checked(by, text)
        if not text:
            raise InvalidQuery("text: expected a text, got an empty one")
        with self._lock:
            incident = self._existing(incident_id)
            now = self._clock.now()
            self._incidents.append_timeline(
                incident_id, TimelineEntry(at=now, kind=EntryKind.COMMENTED, by=by, text=text)
            )
            incident = replace(incident, updated_at=now)
        self._tell(incident)
        return incident

    def run_once(self) -> None:
        """Mend what an interrupted step left: end incidents without alerts, reopen those whose alerts still fire."""
        with self._lock:
            active: dict[int, list[Alert]] = {}
            for alert in self._alerts.load_active():
                if alert.incident_id is not None:
                    active.setdefault(alert.incident_id, []).append(alert)
            for incident in self._incidents.unresolved():
                if incident.id not in active:
                    self._close(incident)
            now = self._clock.now()
            for incident_id, alerts in active.items():
                incident_now = self._incidents.get(incident_id)
                if incident_now is None or incident_now.resolved_at is None:
                    continue
                resolved_before_s = now - incident_now.resolved_at
                if resolved_before_s >= self._reopen_s:
                    lead = account.leading(alerts)
                    text = lead.reason + timeline.still_firing(resolved_before_s)
                    self._reopen(incident_now, lead, text, resolved_before_s=resolved_before_s)

    def open_counts(self) -> dict[str, int]:
        """Return how many incidents of each level are unresolved, 0 for levels without; for `/metrics`."""
        return self._incidents.open_counts()

    def _fired(self, transition: Transition) -> Incident:
        alert = transition.alert
        if alert.incident_id is not None:
            known = self._incidents.get(alert.incident_id)
            if known is not None:
                return known
        key = group_key(transition.rule, alert.labels)
        for _ in range(3):
            latest = self._incidents.last_for(key)
            if latest is None:
                break
            if latest.unresolved:
                done = self._add(latest, alert, transition.reason)
            elif self._clock.now() - (latest.resolved_at or 0.0) < self._reopen_s:
                done = self._reopen(latest, alert, transition.reason)
            else:
                break
            # Another server changed it in between: look again.
            if done is not None:
                return done
        return self._open(key, transition)

    def _open(self, key: str, transition: Transition) -> Incident:
        alert = transition.alert
        now = self._clock.now()
        incident = Incident(
            group_key=key,
            title=account.title([alert]),
            level=alert.level,
            rule=alert.rule,
            labels=group_labels(alert.labels),
            opened_at=now,
            updated_at=now,
        )
        incident, failure = self._accounted(incident, alert, [alert])
        behind = self._explanation(alert, now)
        facts = {} if behind is None else {"cause": behind.as_data()}
        entries = [self._titling(now, EntryKind.OPENED, transition.reason, alert, failure, [alert], **facts)]
        if behind is not None:
            entries.append(entry_of(behind, now))
        incident = self._incidents.create(incident, entries, _ids([alert]))
        self._tell(incident, people=True)
        return incident

    def _add(self, incident: Incident, alert: Alert, reason: str) -> Incident | None:
        """Add an alert to an unresolved incident; worse than what it has so far, it escalates."""
        now = self._clock.now()
        alerts = [*self._alerts_of(incident, without=alert), alert]
        worse = alert.level.rank > incident.level.rank
        changed = replace(
            incident, level=alert.level if worse else incident.level, title=account.title(alerts), updated_at=now
        )
        changed, failure = self._accounted(changed, alert, alerts)
        entries = [self._titling(now, EntryKind.ALERT_ADDED, reason, alert, failure, alerts)]
        if worse:
            entries.append(self._escalation(now, incident, alert, reason, failure))
        if not self._incidents.update(changed, UNRESOLVED, entries, _ids([alert])):
            return None
        self._tell(changed, people=worse)
        return changed

    def _reopen(self, incident: Incident, alert: Alert, reason: str, **facts: Any) -> Incident | None:
        now = self._clock.now()
        alerts = [*self._alerts_of(incident, without=alert), alert]
        changed = replace(
            incident,
            state=IncidentState.OPEN,
            title=account.title([alert]),
            level=alert.level,
            acknowledged_at=None,
            acknowledged_by="",
            resolved_at=None,
            resolved_by="",
            updated_at=now,
        )
        changed, failure = self._accounted(changed, alert, alerts)
        entry = self._titling(now, EntryKind.REOPENED, reason, alert, failure, [alert], **facts)
        if not self._incidents.update(changed, [IncidentState.RESOLVED], [entry], _ids([alert])):
            return None
        self._tell(changed, people=True)
        return changed

    def _alert_resolved(self, alert: Alert, reason: str) -> Incident | None:
        assert alert.incident_id is not None
        incident = self._incidents.get(alert.incident_id)
        if incident is None:
            return None
        entry = TimelineEntry(
            at=self._clock.now(),
            kind=EntryKind.ALERT_RESOLVED,
            by=ITSELF,
            text=reason,
            data=timeline.facts_of(alert),
        )
        self._incidents.append_timeline(alert.incident_id, entry)
        others = [other for other in self._alerts_of(incident, without=alert) if other.active]
        if others or not incident.unresolved:
            self._tell(incident)
            return incident
        return self._close(incident) or incident

    def _updated(self, alert: Alert) -> Incident | None:
        """Keep the summary true while an alert fires; a rule made worse by its owner escalates."""
        assert alert.incident_id is not None
        incident = self._incidents.get(alert.incident_id)
        if incident is None or not incident.unresolved:
            return incident
        now = self._clock.now()
        alerts = [*self._alerts_of(incident, without=alert), alert]
        worse = alert.level.rank > incident.level.rank
        changed = replace(incident, updated_at=now, level=alert.level if worse else incident.level)
        changed, failure = self._accounted(changed, alert, alerts)
        entries = [self._escalation(now, incident, alert, alert.reason, failure)] if worse else []
        self._incidents.update(changed, UNRESOLVED, entries)
        self._tell(changed, people=worse)
        return changed

    def _close(self, incident: Incident, by: str = ITSELF, text: str | None = None) -> Incident | None:
        """End an incident; without a text it ended by itself."""
        assert incident.id is not None
        now = self._clock.now()
        closed = replace(incident, state=IncidentState.RESOLVED, resolved_at=now, resolved_by=by, updated_at=now)
        alerts = self._alerts.for_incident(incident.id)
        facts: dict[str, Any] = {}
        if alerts:
            lead = account.leading(alerts)
            closed, failure = self._accounted(closed, lead, alerts)
            facts = timeline.facts_of(lead, failure)
        if text is None:
            good = all(alert.good_at is not None for alert in alerts)
            lasted_s = max(0.0, now - incident.opened_at)
            text = timeline.ending(good, lasted_s)
            facts |= {"good": good, "lasted_s": lasted_s}
        entry = TimelineEntry(at=now, kind=EntryKind.RESOLVED, by=by, text=text, data=facts)
        if not self._incidents.update(closed, UNRESOLVED, [entry]):
            return None
        self._tell(closed, people=True)
        return closed

    def _accounted(
        self, incident: Incident, alert: Alert, alerts: Sequence[Alert]
    ) -> tuple[Incident, TopFailure | None]:
        """Return the incident with its summary as of now, and the failure behind the alert."""
        failure = self._failure(alert, incident.updated_at)
        told = replace(incident, failure=None if failure is None else failure.as_data())
        return replace(told, summary=account.summary(told, alerts)), failure

    def _titling(
        self,
        now: float,
        kind: EntryKind,
        text: str,
        alert: Alert,
        failure: TopFailure | None,
        alerts: Sequence[Alert],
        **facts: Any,
    ) -> TimelineEntry:
        """Return a line with which the incident gets its title."""
        data = {**timeline.facts_of(alert, failure), **timeline.title_facts(alert, alerts), **facts}
        return TimelineEntry(at=now, kind=kind, by=ITSELF, text=text, data=data)

    def _escalation(
        self, now: float, before: Incident, alert: Alert, reason: str, failure: TopFailure | None
    ) -> TimelineEntry:
        data = {**timeline.facts_of(alert, failure), "from_level": before.level.value}
        text = timeline.escalation(before.level, alert.level) + reason
        return TimelineEntry(at=now, kind=EntryKind.ESCALATED, by=ITSELF, text=text, data=data)

    def _alerts_of(self, incident: Incident, without: Alert) -> list[Alert]:
        return [alert for alert in self._alerts.for_incident(incident.id or 0) if alert.id != without.id]

    def _failure(self, alert: Alert, now: float) -> TopFailure | None:
        if self._facts is None:
            return None
        try:
            return self._facts(alert, now)
        except Exception:  # noqa: BLE001 - an incident without its explanation is worth more than none
            _LOG.exception("the failure behind alert %s could not be found", alert.id)
            return None

    def _explanation(self, alert: Alert, now: float) -> Explanation | None:
        if self._explain is None:
            return None
        try:
            return self._explain(alert, now)
        except Exception:  # noqa: BLE001 - an incident without its explanation is worth more than none
            _LOG.exception("what is behind alert %s could not be found", alert.id)
            return None

    def _existing(self, incident_id: int) -> Incident:
        incident = self._incidents.get(incident_id)
        if incident is None:
            raise NotFound(f"expected the number of an incident, got {incident_id}; it may have been deleted with age")
        return incident

    def _conflict(self, incident_id: int, expected: str) -> Conflict:
        incident = self._existing(incident_id)
        by = incident.resolved_by if incident.state is IncidentState.RESOLVED else incident.acknowledged_by
        who = f" by {by}" if by else ""
        return Conflict(f"incident {incident_id}: expected it to be {expected}, got {incident.state.value}{who}")

    def _tell(self, incident: Incident, *, people: bool = False) -> None:
        if self._bus is not None:
            self._bus.publish("incidents", {"items": [_told(incident)]})
        if people and self._on_entry is not None:
            self._on_entry()


def _ids(alerts: Sequence[Alert]) -> list[int]:
    return [alert.id for alert in alerts if alert.id is not None]


def _told(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "title": incident.title,
        "level": incident.level.value,
        "state": incident.state.value,
        "rule": incident.rule,
        "updated_at": incident.updated_at,
    }


def _checked(by: str, text: str) -> tuple[str, str]:
    by, text = by.strip(), text.strip()
    if not by or len(by) > LONGEST_NAME:
        raise InvalidQuery(f"by: expected a name of at most {LONGEST_NAME} characters, got {by[:50]!r}")
    if len(text) > LONGEST_TEXT:
        raise InvalidQuery(f"text: expected at most {LONGEST_TEXT} characters, got {len(text)}")
    return by, text
