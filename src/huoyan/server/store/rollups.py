"""Counts and distributions per series and minute; the same per hour, and per service, for wide looks."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeVar

from sqlalchemy import Connection, Engine, Table, and_, bindparam, or_, select, tuple_, update

from huoyan.model.rollup import Rollup, Series
from huoyan.server.store.codec import decode_rollup, encode_rollup
from huoyan.server.store.schema.figures import hour_rollups, minute_rollups, series, total_hours, total_minutes
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
    """The rollup of a series, or of all series of a service, that starts at `at`, still encoded."""

    key: int | str
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

    def add(
        self,
        connection: Connection,
        changes: Mapping[tuple[Series, int], RollupChange],
        ids: Mapping[Series, int],
    ) -> None:
        """Add to the rollups of minutes, hours and services, in the transaction that changes the runs.

        Args:
            connection: The transaction.
            changes: `(series, start of the minute)` → what changes; it is left as it is.
            ids: The number of every series.
        """
        _apply(connection, minute_rollups, _grouped(changes, lambda series, minute: (ids[series], minute)))
        _apply(connection, hour_rollups, _grouped(changes, lambda series, minute: (ids[series], _hour(minute))))
        _apply(connection, total_minutes, _grouped(changes, lambda series, minute: (series.service, minute)))
        _apply(connection, total_hours, _grouped(changes, lambda series, minute: (series.service, _hour(minute))))

    def read(
        self, table: "RollupTable", since: float, until: float, keys: Sequence[int] | Sequence[str] | None = None
    ) -> list[StoredRollup]:
        """Return the rollups that start from `since` to before `until`, of all keys or some."""
        source = _TABLES[table]
        key = source.primary_key.columns[0]
        query = select(key, source.c.at, source.c.data).where(source.c.at >= since, source.c.at < until)
        with self._engine.connect() as connection:
            if keys is None:
                return list(map(StoredRollup._make, connection.execute(query).all()))
            rows: list[StoredRollup] = []
            for start in range(0, len(keys), _AT_ONCE):
                part = query.where(key.in_(list(keys[start : start + _AT_ONCE])))
                rows += map(StoredRollup._make, connection.execute(part).all())
            return rows

    def delete_before(self, at: float) -> int:
        """Delete rollups that started before `at` and series nothing was counted in since; return how many rows."""
        with self._engine.begin() as connection:
            rollups = [connection.execute(t.delete().where(t.c.at < at)).rowcount for t in _TABLES.values()]
            return sum(rollups) + connection.execute(series.delete().where(series.c.last_at < at)).rowcount


RollupTable = Literal["minutes", "hours", "total minutes", "total hours"]
"""By series number and minute or hour, or by service and minute or hour."""

_TABLES: dict[RollupTable, Table] = {
    "minutes": minute_rollups,
    "hours": hour_rollups,
    "total minutes": total_minutes,
    "total hours": total_hours,
}

_Key = TypeVar("_Key", tuple[int, int], tuple[str, int])


def _hour(minute: int) -> int:
    return minute // HOUR_S * HOUR_S


def _grouped(
    changes: Mapping[tuple[Series, int], RollupChange], key_of: Callable[[Series, int], _Key]
) -> dict[_Key, RollupChange]:
    """Return the changes under other keys, added up where keys fall together."""
    keys = {key: key_of(*key) for key in changes}
    if len(set(keys.values())) == len(keys):
        return {keys[key]: change for key, change in changes.items()}
    grouped: dict[_Key, RollupChange] = {}
    for key, change in changes.items():
        whole = grouped.get(keys[key])
        if whole is None:
            whole = grouped[keys[key]] = RollupChange()
        whole.added.merge(change.added)
        if change.taken is not None:
            if whole.taken is None:
                whole.taken = Rollup()
            whole.taken.merge(change.taken)
    return grouped


def _apply(connection: Connection, table: Table, changes: Mapping[_Key, RollupChange]) -> None:
    if not changes:
        return
    first = table.primary_key.columns[0]
    keys = sorted(changes)
    if connection.dialect.name == "postgresql":
        # Two collectors count in the same rows: they exist before they are locked, and are locked in one order.
        connection.execute(
            insert_into(connection, table).on_conflict_do_nothing(),
            [{first.name: key, "at": at, "data": _EMPTY} for key, at in keys],
        )
    present: dict[tuple[int | str, int], bytes] = {}
    for start in range(0, len(keys), _AT_ONCE):
        times: dict[int, list[int | str]] = defaultdict(list)
        for key, at in keys[start : start + _AT_ONCE]:
            times[at].append(key)
        wanted = or_(*(and_(table.c.at == at, first.in_(found)) for at, found in times.items()))
        query = select(first, table.c.at, table.c.data).where(wanted).order_by(first, table.c.at).with_for_update()
        for key, at, data in connection.execute(query):
            present[(key, at)] = data
    rows = []
    for pair in keys:
        change = changes[pair]
        stored = present.get(pair)
        rollup = Rollup() if stored is None else decode_rollup(stored)
        rollup.merge(change.added)
        if change.taken is not None:
            rollup.subtract(change.taken)
        rows.append({first.name: pair[0], "at": pair[1], "data": encode_rollup(rollup)})
    connection.execute(replace_into(connection, table), rows)


_EMPTY = encode_rollup(Rollup())
