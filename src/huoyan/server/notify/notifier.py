"""Tell people: turn lines of time lines into messages, and messages into mail and posts.

1. A line that people are told of (`message.TOLD`) was written in the same transaction as the change it tells.
2. For each receiver concerned a message is stored, once: its `dedup_key` is the line and the receiver.
3. Each receiver has a lane of its own, so that one who does not answer keeps nobody else waiting. The lane takes what
   is due by a conditional update, one by one, sends it, and writes down what came of it.
4. What did not arrive is tried again after 1 s, 5 s, 30 s, 2 min and then every 10 min, and given up after `tries`; at
   once when the other side refused for good.

A process that ends between 2 and 3 has lost nothing; one that ends after the other side took a message and before that
was written down sends it again: at least once, as rarely twice as can be.
"""

import logging
import os
import threading
import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from huoyan.clock import SYSTEM_CLOCK, Clock
from huoyan.errors import HuoyanError, Undelivered
from huoyan.model.alert import Alert
from huoyan.model.incident import Incident, TimelineEntry
from huoyan.model.notification import Notification, NotificationState
from huoyan.server.alert.rules import Rule
from huoyan.server.notify.message import TOLD, Message, compose, trial
from huoyan.server.notify.receivers import Receiver
from huoyan.server.store.alerts import AlertStore
from huoyan.server.store.incidents import IncidentStore
from huoyan.server.store.notifications import NotificationStore

_LOG = logging.getLogger(__name__)

RETRY_S: tuple[float, ...] = (1.0, 5.0, 30.0, 120.0, 600.0)
"""How long to wait after each try that failed, in seconds; the last one from then on."""

TRIES = 12
"""How often a message is tried: for a little more than an hour."""

NEWS_S = 3600.0
"""Older lines are not told any more: nobody wants yesterday's alarms when the server comes back."""

_OVERLAP_S = 120.0


class Notifier:
    """Tell people about incidents.

    Args:
        notifications: Where messages are kept (`Store.notifications`).
        incidents: Where incidents are kept (`Store.incidents`).
        alerts: Where alerts are kept (`Store.alerts`).
        receivers: Who can be told.
        rules: The rules, for the receivers that they name.
        clock: The time.
        public_url: Where people reach the page, for links; None leaves links out.
        tries: How often a message is tried, default 12.
        threaded: Send in threads, one for each receiver; False sends within `run_once`, for tests.
    """

    name = "notifications"
    interval_s = 0.5

    def __init__(
        self,
        notifications: NotificationStore,
        incidents: IncidentStore,
        alerts: AlertStore,
        receivers: Iterable[Receiver],
        *,
        rules: Iterable[Rule] = (),
        clock: Clock = SYSTEM_CLOCK,
        public_url: str | None = None,
        tries: int = TRIES,
        threaded: bool = True,
    ) -> None:
        self._rows = notifications
        self._incidents = incidents
        self._alerts = alerts
        self._receivers = {receiver.name: receiver for receiver in receivers}
        self._named = {rule.name: rule.receivers for rule in rules}
        self._clock = clock
        self._public_url = public_url
        self._tries = tries
        self._owner = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._lanes: dict[str, ThreadPoolExecutor] = {}
        self._running: dict[str, Future[None]] = {}
        self._threaded = threaded
        self._waker = ThreadPoolExecutor(1, "huoyan-notify") if threaded else None
        self._woken = threading.Event()
        self._stopped = False
        self._lock = threading.Lock()
        self._floor: int | None = None
        self._told: dict[int, float] = {}

    def run_once(self) -> None:
        """Store the messages that are due to be written, and send those that are due to be sent."""
        with self._lock:
            if self._stopped:
                return
            now = self._clock.now()
            self._write(now)
            for name in self._rows.receivers_due(now):
                self._start(name)

    def wake(self) -> None:
        """Do `run_once` soon, in another thread; for whoever has just written a line. Never blocks, never raises."""
        if self._waker is None or self._woken.is_set():
            return
        self._woken.set()
        try:
            self._waker.submit(self._wake)
        except RuntimeError:
            # Shutting down: what is due is stored and goes out after the next start.
            self._woken.clear()

    def stop(self) -> None:
        """Finish the messages being sent and start no more."""
        with self._lock:
            self._stopped = True
        if self._waker is not None:
            self._waker.shutdown(wait=True)
        for lane in self._lanes.values():
            lane.shutdown(wait=True)

    def receivers(self) -> tuple[Receiver, ...]:
        """Return who can be told."""
        return tuple(self._receivers.values())

    def _wake(self) -> None:
        self._woken.clear()
        try:
            self.run_once()
        except Exception:  # noqa: BLE001 - the next round comes within half a second
            _LOG.exception("messages could not be looked after; trying again")

    def _write(self, now: float) -> None:
        """Store a message for each line and receiver that has none."""
        if self._floor is None:
            # The last line that has messages is looked at again: the process may have ended halfway through it.
            last = self._rows.last()
            self._floor = max(0, int(last.data.get("entry_id", 1)) - 1) if last is not None else 0
        for entry in self._incidents.entries_after(self._floor, TOLD, now - NEWS_S):
            if entry.id is None or entry.id in self._told:
                continue
            incident = self._incidents.get(entry.incident_id)
            if incident is not None:
                self._rows.enqueue(self._messages(entry, incident, now))
            self._told[entry.id] = now
        # Numbers are given before they can be seen, so a lower one may turn up after a higher one: look back a while.
        for entry_id in [entry_id for entry_id, at in self._told.items() if at < now - _OVERLAP_S]:
            self._floor = max(self._floor, entry_id)
            del self._told[entry_id]

    def _messages(self, entry: TimelineEntry, incident: Incident, now: float) -> Sequence[Notification]:
        alerts = self._alerts.for_incident(entry.incident_id)
        messages = []
        for receiver in self._concerned(incident, alerts):
            message = compose(incident, entry, alerts, language=receiver.language, public_url=self._public_url)
            messages.append(
                Notification(
                    receiver=receiver.name,
                    event=message.event,
                    title=message.title,
                    body=message.text,
                    dedup_key=f"entry:{entry.id}:{receiver.name}",
                    created_at=now,
                    next_at=now,
                    incident_id=entry.incident_id,
                    data={"entry_id": entry.id, "message": message.as_data(), "delivered": []},
                )
            )
        return messages

    def _concerned(self, incident: Incident, alerts: Sequence[Alert]) -> list[Receiver]:
        """Return those whom the incident's rules name (all, if one of them names nobody) and whose level it reaches."""
        named = [self._named.get(name, ()) for name in {alert.rule for alert in alerts} or {incident.rule}]
        everybody = any(not names for names in named)
        return [
            receiver
            for receiver in self._receivers.values()
            if incident.level.rank >= receiver.level.rank
            and (everybody or any(receiver.name in names for names in named))
        ]

    def _start(self, name: str) -> None:
        """Let the lane of a receiver run, unless it does."""
        if not self._threaded:
            self._drain(name)
            return
        running = self._running.get(name)
        if running is None or running.done():
            lane = self._lanes.setdefault(name, ThreadPoolExecutor(1, f"huoyan-notify-{name}"))
            self._running[name] = lane.submit(self._drain, name)

    def _drain(self, name: str) -> None:
        """Send what is due to one receiver, in order."""
        try:
            while not self._stopped:
                taken = self._rows.claim_due(self._clock.now(), 1, self._owner, receiver=name)
                if not taken:
                    return
                for message in taken:
                    self._send(message)
        except Exception:  # noqa: BLE001 - the store is away; what was taken is taken again after its lease
            _LOG.exception("messages to %s could not be looked after; trying again", name)

    def _send(self, notification: Notification) -> None:
        receiver = self._receivers.get(notification.receiver)
        if receiver is None:
            self._give_up(notification, "this receiver is no longer configured")
            return
        done: Sequence[str] = notification.data.get("delivered", ())
        try:
            message = replace(Message.of_data(notification.data["message"]), key=notification.dedup_key)
            receiver.send(message, done)
        except Exception as error:  # noqa: BLE001 - whatever a channel raises, the message did not arrive
            self._failed(notification, receiver, error)
            return
        self._rows.finish(notification.id or 0, NotificationState.SENT, claimed_by=self._owner, at=self._clock.now())

    def _failed(self, notification: Notification, receiver: Receiver, error: Exception) -> None:
        if isinstance(error, HuoyanError):
            text, retryable = str(error), error.retryable
        else:
            text, retryable = f"{type(error).__name__}: {error}", True
        text = receiver.scrub(text)
        if not retryable or notification.attempts >= self._tries:
            self._give_up(notification, text)
            return
        delay_s = RETRY_S[min(notification.attempts, len(RETRY_S)) - 1]
        data = dict(notification.data)
        if isinstance(error, Undelivered) and error.delivered:
            data["delivered"] = list(error.delivered)
        now = self._clock.now()
        _LOG.warning(
            "message %s to %s did not arrive (try %s, next in %g s): %s",
            notification.id,
            notification.receiver,
            notification.attempts,
            delay_s,
            text,
        )
        self._rows.finish(
            notification.id or 0,
            NotificationState.FAILED,
            claimed_by=self._owner,
            at=now,
            error=text,
            retry_at=now + delay_s,
            data=data,
        )

    def _give_up(self, notification: Notification, text: str) -> None:
        _LOG.error("message %s to %s is given up: %s", notification.id, notification.receiver, text)
        self._rows.finish(
            notification.id or 0,
            NotificationState.DEAD,
            claimed_by=self._owner,
            at=self._clock.now(),
            error=text,
        )


def send_test(receiver: Receiver, public_url: str | None = None) -> None:
    """Send a receiver a message by which somebody sees whether messages arrive.

    Raises:
        Undelivered: It did not arrive everywhere; the text says why and shows no secret, `delivered` names who has it.
    """
    try:
        receiver.send(trial(receiver.language, public_url))
    except Undelivered as error:
        text = receiver.scrub(str(error))
        raise Undelivered(text, retryable=error.retryable, delivered=error.delivered) from None
    except Exception as error:  # noqa: BLE001 - whatever a channel raises, the message did not arrive
        raise Undelivered(receiver.scrub(f"{type(error).__name__}: {error}")) from None
