"""The table of messages to people: an outbox from which each is taken until it has arrived or is given up."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Engine, Row, and_, func, insert, not_, or_, select, update
from sqlalchemy.exc import IntegrityError

from huoyan.model.notification import Notification, NotificationState
from huoyan.server.store.schema.incidents import notifications

_WAITING = (NotificationState.QUEUED.value, NotificationState.FAILED.value)
_UNDELIVERED = (*_WAITING, NotificationState.SENDING.value)

LEASE_S = 300.0
"""How long whoever took a message has for it, in seconds."""


class NotificationStore:
    """Messages, each to one receiver."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def enqueue(self, messages: Sequence[Notification]) -> int:
        """Store messages to be sent; one whose `dedup_key` is known already is left out.

        Returns:
            How many were new.
        """
        return sum(self._insert(message) for message in messages)

    def receivers_due(self, now: float, lease_s: float = LEASE_S) -> list[str]:
        """Return the receivers for whom messages are due; see `claim_due`."""
        query = select(notifications.c.receiver).where(_due(now, lease_s)).distinct()
        with self._engine.connect() as connection:
            return sorted(connection.execute(query).scalars())

    def claim_due(
        self, now: float, limit: int, claimed_by: str, *, receiver: str | None = None, lease_s: float = LEASE_S
    ) -> list[Notification]:
        """Take messages that are due, so that nobody else does.

        A message waits until earlier ones about the same incident to the same receiver have arrived or were given up:
        nobody hears of an end before the beginning. One that was taken but neither sent nor given back within the lease
        (its process ended) is taken again.

        Args:
            now: Seconds since 1970 UTC.
            limit: How many at most.
            claimed_by: Who takes them.
            receiver: Those to this receiver only.
            lease_s: How long whoever took one has for it, in seconds.

        Returns:
            Those taken, oldest first, now in state `sending` and with this try counted.
        """
        earlier = notifications.alias()
        blocked = (
            select(earlier.c.id)
            .where(
                earlier.c.incident_id == notifications.c.incident_id,
                earlier.c.receiver == notifications.c.receiver,
                earlier.c.id < notifications.c.id,
                earlier.c.state.in_(_UNDELIVERED),
            )
            .exists()
        )
        with self._engine.connect() as connection:
            query = select(notifications).where(_due(now, lease_s), not_(blocked))
            if receiver is not None:
                query = query.where(notifications.c.receiver == receiver)
            query = query.order_by(notifications.c.id).limit(limit)
            found = [_notification(row) for row in connection.execute(query)]
        taken = []
        for message in found:
            claimed = replace(
                message,
                state=NotificationState.SENDING,
                attempts=message.attempts + 1,
                claimed_by=claimed_by,
                claimed_at=now,
            )
            with self._engine.begin() as connection:
                changed = connection.execute(
                    update(notifications)
                    .where(
                        notifications.c.id == message.id,
                        notifications.c.state == message.state.value,
                        # Of two that saw the same row, the number of tries lets only one take it.
                        notifications.c.attempts == message.attempts,
                    )
                    .values(
                        state=claimed.state.value,
                        attempts=claimed.attempts,
                        claimed_by=claimed_by,
                        claimed_at=now,
                    )
                )
            if changed.rowcount:
                taken.append(claimed)
        return taken

    def finish(
        self,
        notification_id: int,
        outcome: NotificationState,
        *,
        claimed_by: str,
        at: float,
        error: str = "",
        retry_at: float | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> bool:
        """Give back a message that was taken.

        Args:
            notification_id: Which one.
            outcome: `sent`, `failed` (to be tried again) or `dead`.
            claimed_by: Who took it; somebody else's is not touched.
            at: Seconds since 1970 UTC.
            error: Why it failed, free of secrets.
            retry_at: When to try again.
            data: Its facts, if they changed: who has it already.

        Returns:
            Whether it was still ours.
        """
        values: dict[str, Any] = {"state": outcome.value, "error": error, "claimed_by": "", "claimed_at": None}
        if outcome is NotificationState.SENT:
            values["sent_at"] = at
        if retry_at is not None:
            values["next_at"] = retry_at
        if data is not None:
            values["data"] = dict(data)
        with self._engine.begin() as connection:
            changed = connection.execute(
                update(notifications)
                .where(
                    notifications.c.id == notification_id,
                    notifications.c.state == NotificationState.SENDING.value,
                    notifications.c.claimed_by == claimed_by,
                )
                .values(values)
            )
        return changed.rowcount > 0

    def for_incident(self, incident_id: int) -> list[Notification]:
        """Return the messages about an incident, oldest first."""
        query = select(notifications).where(notifications.c.incident_id == incident_id).order_by(notifications.c.id)
        with self._engine.connect() as connection:
            return [_notification(row) for row in connection.execute(query)]

    def last(self) -> Notification | None:
        """Return the newest message, None when there never was one."""
        with self._engine.connect() as connection:
            row = connection.execute(select(notifications).order_by(notifications.c.id.desc()).limit(1)).one_or_none()
        return None if row is None else _notification(row)

    def counts(self) -> dict[str, int]:
        """Return how many messages are in each state, 0 for states without."""
        counts = {state.value: 0 for state in NotificationState}
        with self._engine.connect() as connection:
            query = select(notifications.c.state, func.count()).group_by(notifications.c.state)
            counts.update({row[0]: row[1] for row in connection.execute(query)})
        return counts

    def _insert(self, message: Notification) -> bool:
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(notifications).values(_values(message)))
        except IntegrityError:
            with self._engine.connect() as connection:
                known = select(notifications.c.id).where(notifications.c.dedup_key == message.dedup_key)
                if connection.execute(known).first() is None:
                    raise
            return False
        return True


def _due(now: float, lease_s: float) -> ColumnElement[bool]:
    """Waiting and its time has come, or taken so long ago that whoever took it is gone."""
    return or_(
        and_(notifications.c.state.in_(_WAITING), notifications.c.next_at <= now),
        and_(notifications.c.state == NotificationState.SENDING.value, notifications.c.claimed_at <= now - lease_s),
    )


def _values(message: Notification) -> dict[str, Any]:
    return {
        "incident_id": message.incident_id,
        "alert_id": message.alert_id,
        "receiver": message.receiver,
        "event": message.event,
        "title": message.title,
        "body": message.body,
        "data": dict(message.data),
        "state": message.state.value,
        "attempts": message.attempts,
        "next_at": message.next_at,
        "created_at": message.created_at,
        "dedup_key": message.dedup_key,
    }


def _notification(row: Row[Any]) -> Notification:
    return Notification(
        id=row.id,
        incident_id=row.incident_id,
        alert_id=row.alert_id,
        receiver=row.receiver,
        event=row.event,
        title=row.title,
        body=row.body,
        data=row.data,
        state=NotificationState(row.state),
        attempts=row.attempts,
        next_at=row.next_at,
        created_at=row.created_at,
        sent_at=row.sent_at,
        claimed_by=row.claimed_by,
        claimed_at=row.claimed_at,
        error=row.error,
        dedup_key=row.dedup_key,
    )
