"""The table of alerts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Engine, Row, and_, delete, insert, or_, select, update

from huoyan.model.alert import Alert, AlertState, Level
from huoyan.server.store.page import Page, decode_cursor, encode_cursor
from huoyan.server.store.schema.incidents import alerts

_ACTIVE = (AlertState.PENDING.value, AlertState.FIRING.value)


class AlertStore:
    """Every alert that fires or fired, and those that are about to."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def load_active(self) -> list[Alert]:
        """Return every pending and firing alert, oldest first."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(alerts).where(alerts.c.state.in_(_ACTIVE)).order_by(alerts.c.id))
            return [_alert(row) for row in rows]

    def save(self, alert: Alert) -> Alert:
        """Insert the alert if it has no id, else write its row anew; the incident it belongs to is left as it is.

        Returns:
            The alert with its id.
        """
        values = _values(alert)
        with self._engine.begin() as connection:
            if alert.id is not None:
                connection.execute(update(alerts).where(alerts.c.id == alert.id).values(values))
                return alert
            values["incident_id"] = alert.incident_id
            key = connection.execute(insert(alerts).values(values)).inserted_primary_key
        assert key is not None
        return replace(alert, id=key[0])

    def delete(self, alert_id: int) -> None:
        """Remove an alert that came to nothing."""
        with self._engine.begin() as connection:
            connection.execute(delete(alerts).where(alerts.c.id == alert_id, alerts.c.incident_id.is_(None)))

    def get(self, alert_id: int) -> Alert | None:
        """Return one alert, None when it is not known."""
        with self._engine.connect() as connection:
            row = connection.execute(select(alerts).where(alerts.c.id == alert_id)).one_or_none()
        return None if row is None else _alert(row)

    def page(
        self,
        state: Sequence[str] = (),
        since: float | None = None,
        limit: int = 50,
        cursor: str | None = None,
        *,
        rule: str | None = None,
    ) -> Page[Alert]:
        """Return alerts, newest first.

        Args:
            state: Any of these states; empty: any.
            since: That began at or after this time, seconds since 1970 UTC.
            limit: Alerts per page.
            cursor: `next` of the page before.
            rule: Of this rule only.

        Raises:
            InvalidQuery: The cursor is malformed.
        """
        query = select(alerts).order_by(alerts.c.pending_at.desc(), alerts.c.id.desc()).limit(limit + 1)
        if state:
            query = query.where(alerts.c.state.in_(list(state)))
        if since is not None:
            query = query.where(alerts.c.pending_at >= since)
        if rule is not None:
            query = query.where(alerts.c.rule == rule)
        if cursor:
            at, key = decode_cursor(cursor)
            query = query.where(or_(alerts.c.pending_at < at, and_(alerts.c.pending_at == at, alerts.c.id < int(key))))
        with self._engine.connect() as connection:
            found = [_alert(row) for row in connection.execute(query)]
        if len(found) <= limit:
            return Page(found)
        last = found[limit - 1]
        return Page(found[:limit], encode_cursor(last.pending_at, last.id or 0))

    def for_incident(self, incident_id: int) -> list[Alert]:
        """Return the alerts of an incident, oldest first."""
        return self.for_incidents([incident_id])[incident_id]

    def for_incidents(self, incident_ids: Sequence[int]) -> dict[int, list[Alert]]:
        """Return the alerts of each of the incidents, oldest first."""
        found: dict[int, list[Alert]] = {incident_id: [] for incident_id in incident_ids}
        if found:
            query = select(alerts).where(alerts.c.incident_id.in_(list(found))).order_by(alerts.c.id)
            with self._engine.connect() as connection:
                for row in connection.execute(query):
                    found[row.incident_id].append(_alert(row))
        return found


def _values(alert: Alert) -> dict[str, Any]:
    return {
        "rule": alert.rule,
        "signal": alert.signal,
        "level": alert.level.value,
        "state": alert.state.value,
        "labels": dict(alert.labels),
        "labels_key": alert.labels_key,
        "value": alert.value,
        "worst": alert.worst,
        "threshold": alert.threshold,
        "op": str(alert.op),
        "window_s": alert.window_s,
        "pending_at": alert.pending_at,
        "fired_at": alert.fired_at,
        "resolved_at": alert.resolved_at,
        "last_value_at": alert.last_value_at,
        "good_at": alert.good_at,
        "absent_at": alert.absent_at,
        "reason": alert.reason,
        "annotations": dict(alert.annotations),
    }


def _alert(row: Row[Any]) -> Alert:
    return Alert(
        id=row.id,
        rule=row.rule,
        signal=row.signal,
        level=Level(row.level),
        state=AlertState(row.state),
        labels=row.labels,
        value=row.value,
        worst=row.worst,
        threshold=row.threshold,
        op=row.op,
        window_s=row.window_s,
        pending_at=row.pending_at,
        fired_at=row.fired_at,
        resolved_at=row.resolved_at,
        last_value_at=row.last_value_at,
        good_at=row.good_at,
        absent_at=row.absent_at,
        reason=row.reason,
        incident_id=row.incident_id,
        annotations=row.annotations,
    )
