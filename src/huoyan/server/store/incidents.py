"""The tables of incidents and their time lines.

Every change of an incident is one transaction with the lines that tell of it, and every change of its state names the
states it may come from: of two people who acknowledge at once, one does and the other is told who did.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Engine, Row, and_, delete, func, insert, or_, select, update

from huoyan.model.alert import Level
from huoyan.model.incident import UNRESOLVED, EntryKind, Incident, IncidentState, TimelineEntry
from huoyan.server.store.page import Page, decode_cursor, encode_cursor
from huoyan.server.store.schema.incidents import alerts, incident_timeline, incidents, notifications

_UNRESOLVED = tuple(state.value for state in UNRESOLVED)


class IncidentStore:
    """Incidents, newest first, each with its time line."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(self, incident: Incident, entries: Sequence[TimelineEntry], alert_ids: Sequence[int] = ()) -> Incident:
        """Insert an incident, its first lines, and note on the alerts that they belong to it.

        Returns:
            The incident with its id.
        """
        with self._engine.begin() as connection:
            key = connection.execute(insert(incidents).values(_values(incident))).inserted_primary_key
            assert key is not None
            incident_id: int = key[0]
            _append(connection, incident_id, entries)
            _attach(connection, incident_id, alert_ids)
        return replace(incident, id=incident_id)

    def update(
        self,
        incident: Incident,
        expected: Sequence[IncidentState],
        entries: Sequence[TimelineEntry] = (),
        alert_ids: Sequence[int] = (),
    ) -> bool:
        """Write an incident anew if it is in one of the states expected, with the lines that tell why.

        Returns:
            Whether it was; if not, nothing is written.
        """
        assert incident.id is not None
        states = [state.value for state in expected]
        with self._engine.begin() as connection:
            changed = connection.execute(
                update(incidents)
                .where(incidents.c.id == incident.id, incidents.c.state.in_(states))
                .values(_values(incident))
            )
            if changed.rowcount == 0:
                return False
            _append(connection, incident.id, entries)
            _attach(connection, incident.id, alert_ids)
        return True

    def append_timeline(self, incident_id: int, entry: TimelineEntry) -> None:
        """Add a line that changes nothing about the incident."""
        with self._engine.begin() as connection:
            _append(connection, incident_id, [entry])
            connection.execute(update(incidents).where(incidents.c.id == incident_id).values(updated_at=entry.at))

    def get(self, incident_id: int) -> Incident | None:
        """Return one incident, None when it is not known."""
        with self._engine.connect() as connection:
            row = connection.execute(select(incidents).where(incidents.c.id == incident_id)).one_or_none()
        return None if row is None else _incident(row)

    def page(
        self,
        state: Sequence[str] = (),
        level: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
        *,
        since: float | None = None,
    ) -> Page[Incident]:
        """Return incidents, newest first.

        Args:
            state: Any of these states; empty: any.
            level: Of this level only.
            limit: Incidents per page.
            cursor: `next` of the page before.
            since: That opened at or after this time, seconds since 1970 UTC.

        Raises:
            InvalidQuery: The cursor is malformed.
        """
        query = select(incidents).order_by(incidents.c.opened_at.desc(), incidents.c.id.desc()).limit(limit + 1)
        if state:
            query = query.where(incidents.c.state.in_(list(state)))
        if level is not None:
            query = query.where(incidents.c.level == level)
        if since is not None:
            query = query.where(incidents.c.opened_at >= since)
        if cursor:
            at, key = decode_cursor(cursor)
            query = query.where(
                or_(incidents.c.opened_at < at, and_(incidents.c.opened_at == at, incidents.c.id < int(key)))
            )
        with self._engine.connect() as connection:
            found = [_incident(row) for row in connection.execute(query)]
        if len(found) <= limit:
            return Page(found)
        last = found[limit - 1]
        return Page(found[:limit], encode_cursor(last.opened_at, last.id or 0))

    def unresolved(self) -> list[Incident]:
        """Return the incidents that somebody still has to do something about, oldest first."""
        with self._engine.connect() as connection:
            query = select(incidents).where(incidents.c.state.in_(_UNRESOLVED)).order_by(incidents.c.id)
            return [_incident(row) for row in connection.execute(query)]

    def open_for(self, group_key: str) -> Incident | None:
        """Return the unresolved incident of a group, None when there is none."""
        incident = self.last_for(group_key)
        return incident if incident is not None and incident.unresolved else None

    def last_for(self, group_key: str) -> Incident | None:
        """Return the newest incident of a group, resolved or not, None when there never was one."""
        query = select(incidents).where(incidents.c.group_key == group_key).order_by(incidents.c.id.desc()).limit(1)
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _incident(row)

    def open_counts(self) -> dict[str, int]:
        """Return how many incidents of each level are unresolved, 0 for levels without; for `/metrics`."""
        counts = {level.value: 0 for level in Level}
        query = (
            select(incidents.c.level, func.count())
            .where(incidents.c.state.in_(_UNRESOLVED))
            .group_by(incidents.c.level)
        )
        with self._engine.connect() as connection:
            counts.update({row[0]: row[1] for row in connection.execute(query)})
        return counts

    def timeline(self, incident_id: int) -> list[TimelineEntry]:
        """Return the lines of an incident in order."""
        query = (
            select(incident_timeline)
            .where(incident_timeline.c.incident_id == incident_id)
            .order_by(incident_timeline.c.id)
        )
        with self._engine.connect() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def last_lines(self, incident_ids: Sequence[int], kinds: Sequence[EntryKind]) -> dict[int, list[TimelineEntry]]:
        """Return, for each of the incidents, the last line of each of these kinds that it has, in order."""
        found: dict[int, list[TimelineEntry]] = {incident_id: [] for incident_id in incident_ids}
        if found:
            last = (
                select(func.max(incident_timeline.c.id))
                .where(
                    incident_timeline.c.incident_id.in_(list(found)),
                    incident_timeline.c.kind.in_([kind.value for kind in kinds]),
                )
                .group_by(incident_timeline.c.incident_id, incident_timeline.c.kind)
            )
            query = select(incident_timeline).where(incident_timeline.c.id.in_(last)).order_by(incident_timeline.c.id)
            with self._engine.connect() as connection:
                for row in connection.execute(query):
                    found[row.incident_id].append(_entry(row))
        return found

    def entries_after(
        self, entry_id: int, kinds: Sequence[EntryKind], since: float, limit: int = 100
    ) -> list[TimelineEntry]:
        """Return lines of any incident that came after a line, in order.

        Args:
            entry_id: Number of the line before the first.
            kinds: Kinds of lines wanted.
            since: Not older than this, seconds since 1970 UTC.
            limit: How many at most.
        """
        query = (
            select(incident_timeline)
            .where(
                incident_timeline.c.id > entry_id,
                incident_timeline.c.kind.in_([kind.value for kind in kinds]),
                incident_timeline.c.at >= since,
            )
            .order_by(incident_timeline.c.id)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def delete_before(self, at: float, limit: int = 100) -> int:
        """Delete up to `limit` of the incidents resolved before `at`, with all that belongs to them.

        Returns:
            How many; 0 says there are none left.
        """
        with self._engine.begin() as connection:
            old = select(incidents.c.id).where(
                incidents.c.state == IncidentState.RESOLVED.value, incidents.c.resolved_at < at
            )
            ids = list(connection.execute(old.order_by(incidents.c.id).limit(limit)).scalars())
            if ids:
                connection.execute(delete(notifications).where(notifications.c.incident_id.in_(ids)))
                connection.execute(delete(alerts).where(alerts.c.incident_id.in_(ids)))
                connection.execute(delete(incident_timeline).where(incident_timeline.c.incident_id.in_(ids)))
                connection.execute(delete(incidents).where(incidents.c.id.in_(ids)))
        return len(ids)


def _append(connection: Connection, incident_id: int, entries: Sequence[TimelineEntry]) -> None:
    if entries:
        connection.execute(
            insert(incident_timeline),
            [
                {
                    "incident_id": incident_id,
                    "at": entry.at,
                    "kind": entry.kind.value,
                    "by": entry.by,
                    "text": entry.text,
                    "data": dict(entry.data),
                }
                for entry in entries
            ],
        )


def _attach(connection: Connection, incident_id: int, alert_ids: Sequence[int]) -> None:
    if alert_ids:
        connection.execute(update(alerts).where(alerts.c.id.in_(list(alert_ids))).values(incident_id=incident_id))


def _values(incident: Incident) -> dict[str, Any]:
    return {
        "group_key": incident.group_key,
        "title": incident.title,
        "level": incident.level.value,
        "state": incident.state.value,
        "rule": incident.rule,
        "labels": dict(incident.labels),
        "opened_at": incident.opened_at,
        "acknowledged_at": incident.acknowledged_at,
        "acknowledged_by": incident.acknowledged_by,
        "resolved_at": incident.resolved_at,
        "resolved_by": incident.resolved_by,
        "updated_at": incident.updated_at,
        "summary": incident.summary,
        "failure": None if incident.failure is None else dict(incident.failure),
    }


def _incident(row: Row[Any]) -> Incident:
    return Incident(
        id=row.id,
        group_key=row.group_key,
        title=row.title,
        level=Level(row.level),
        state=IncidentState(row.state),
        rule=row.rule,
        labels=row.labels,
        opened_at=row.opened_at,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by,
        resolved_at=row.resolved_at,
        resolved_by=row.resolved_by,
        updated_at=row.updated_at,
        summary=row.summary,
        failure=row.failure,
    )


def _entry(row: Row[Any]) -> TimelineEntry:
    return TimelineEntry(
        id=row.id,
        incident_id=row.incident_id,
        at=row.at,
        kind=EntryKind(row.kind),
        by=row.by,
        text=row.text,
        data=row.data,
    )
