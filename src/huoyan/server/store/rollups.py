"""Counts and distributions per series and minute, and the same per hour for windows of many hours."""

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, Table, and_, bindparam, or_, select, tuple_, update

from huoyan.model.rollup import Rollup, Series
from huoyan.server.store.codec import decode_rollup, encode_rollup
from huoyan.server.store.schema import hour_rollups, minute_rollups, series
from huoyan.server.store.upsert import insert_into, replace_into

MINUTE_S = 60
HOUR_S = 3600
_SERIES_FRESH_S = 300.0
_AT_ONCE = 400


@dataclass(slots=True)
class RollupChange:
    """What changes in the rollup of one series: what is added, and what is taken back."""

    added: Rollup = field(default_factory=Rollup)
    taken: Rollup | None = None


class StoredRollup(NamedTuple):
    """The rollup of one series that starts at `at`, still encoded."""

    series_id: int
    at: int
    data: bytes


class RollupStore:
    """The rollups. Reading goes through `huoyan.server.store.source.StoreSource`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._ids: dict[Series, int] = {}
        self._fresh_at: dict[Series, float] = {}

    def series(self, since: float = 0.0) -> dict[int, Series]:
        """Return every series that something was counted in at or after `since`, seconds since 1970 UTC."""
        query = select(series).where(series.c.last_at >= since - _SERIES_FRESH_S)
        with self._engine.connect() as connection:
            return {row.id: Series(row.service, row.task, row.queue) for row in connection.execute(query)}

    def ids(self, wanted: Iterable[Series], at: float) -> dict[Series, int]:
        """Return the numbers of series, giving one to those that have none, in a transaction of its own.

        Args:
            wanted: Series that something is counted in.
            at: When, seconds since 1970 UTC.
        """
        with self._lock:
            wanted = set(wanted)
            stale = sorted(one for one in wanted if at - self._fresh_at.get(one, -1e18) > _SERIES_FRESH_S / 2)
            if stale:
                self._note(stale, at)
            return {one: self._ids[one] for one in wanted}

    def _note(self, stale: Sequence[Series], at: float) -> None:
        with self._engine.begin() as connection:
            rows = [{**one._asdict(), "last_at": at} for one in stale]
            connection.execute(insert_into(connection, series).on_conflict_do_nothing(), rows)
            for start in range(0, len(stale), _AT_ONCE):
                part = stale[start : start + _AT_ONCE]
                key = tuple_(series.c.service, series.c.task, series.c.queue)
                found = connection.execute(select(series).where(key.in_([tuple(one) for one in part]))).all()
                for row in found:
                    self._ids[Series(row.service, row.task, row.queue)] = row.id
            connection.execute(
                update(series)
                .where(series.c.id == bindparam("known"), series.c.last_at < bindparam("at"))
                .values(last_at=bindparam("at")),
                [{"known": self._ids[one], "at": at} for one in stale],
            )
        for one in stale:
            self._fresh_at[one] = at

    def add(self, connection: Connection, changes: Mapping[tuple[int, int], RollupChange]) -> None:
        """Add to the rollups of `(series id, start of the minute)` and to their hours', in the given transaction."""
        hours: dict[tuple[int, int], RollupChange] = {}
        for (series_id, minute), change in changes.items():
            key = (series_id, minute // HOUR_S * HOUR_S)
            hour = hours.get(key)
            if hour is None:
                # The minute's own change is not touched: another try may need it again.
                hour = hours[key] = RollupChange()
            hour.added.merge(change.added)
            if change.taken is not None:
                if hour.taken is None:
                    hour.taken = Rollup()
                hour.taken.merge(change.taken)
        _apply(connection, minute_rollups, changes)
        _apply(connection, hour_rollups, hours)

    def read(self, since: float, until: float, series_ids: Sequence[int] | None = None) -> list[StoredRollup]:
        """Return the rollups of minutes that start from `since` to before `until`, of all or some series."""
        return self._read(minute_rollups, since, until, series_ids)

    def read_hours(self, since: float, until: float, series_ids: Sequence[int] | None = None) -> list[StoredRollup]:
        """Do as `read` with the rollups of hours."""
        return self._read(hour_rollups, since, until, series_ids)

    def _read(self, table: Table, since: float, until: float, series_ids: Sequence[int] | None) -> list[StoredRollup]:
        query = select(table.c.series_id, table.c.at, table.c.data).where(table.c.at >= since, table.c.at < until)
        with self._engine.connect() as connection:
            if series_ids is None:
                return [StoredRollup(*row) for row in connection.execute(query)]
            rows: list[StoredRollup] = []
            for start in range(0, len(series_ids), _AT_ONCE):
                part = query.where(table.c.series_id.in_(list(series_ids[start : start + _AT_ONCE])))
                rows += [StoredRollup(*row) for row in connection.execute(part)]
            return rows

    def delete_before(self, at: float) -> int:
        """Delete the rollups that started before `at`; return how many."""
        with self._engine.begin() as connection:
            return sum(
                connection.execute(table.delete().where(table.c.at < at)).rowcount
                for table in (minute_rollups, hour_rollups)
            )


def _apply(connection: Connection, table: Table, changes: Mapping[tuple[int, int], RollupChange]) -> None:
    if not changes:
        return
    keys = sorted(changes)
    present: dict[tuple[int, int], bytes] = {}
    if connection.dialect.name == "postgresql":
        # Two collectors count in the same rows: they exist before they are locked, and are locked in one order.
        connection.execute(
            insert_into(connection, table).on_conflict_do_nothing(),
            [{"series_id": series_id, "at": at, "data": _EMPTY} for series_id, at in keys],
        )
    for start in range(0, len(keys), _AT_ONCE):
        part = keys[start : start + _AT_ONCE]
        query = select(table).where(_any_of(table, part)).order_by(table.c.series_id, table.c.at).with_for_update()
        for row in connection.execute(query):
            present[(row.series_id, row.at)] = row.data
    rows = []
    for key in keys:
        change = changes[key]
        data = present.get(key)
        rollup = Rollup() if data is None else decode_rollup(data)
        rollup.merge(change.added)
        if change.taken is not None:
            rollup.subtract(change.taken)
        rows.append({"series_id": key[0], "at": key[1], "data": encode_rollup(rollup)})
    connection.execute(replace_into(connection, table), rows)


_EMPTY = encode_rollup(Rollup())


def _any_of(table: Table, keys: Sequence[tuple[int, int]]) -> ColumnElement[bool]:
    times: dict[int, list[int]] = defaultdict(list)
    for series_id, at in keys:
        times[at].append(series_id)
    return or_(*(and_(table.c.at == at, table.c.series_id.in_(found)) for at, found in times.items()))
