"""Writing the two rows of many runs at once, as fast as the database takes them.

A row is only written over the version it was made from. Whoever else changed the run in between wins; the collector
then merges its news into what is there now, so that two collectors on one database lose nothing.
"""

# ruff: noqa: S608 - every statement here is put together from the names of columns, once, at import
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, Dialect, func, select
from sqlalchemy.dialects import postgresql

from huoyan.model.run import Run
from huoyan.server.store.codec import decode_run
from huoyan.server.store.schema.runs import run_numbers, run_states, runs, unindexed

RowValues = tuple[
    str,  # id
    str,  # task
    str,  # service
    str,  # framework
    str,  # queue
    str,  # state
    str,  # evidence
    str,  # worker
    float,  # sort_at
    float | None,  # enqueued_at
    float | None,  # started_at
    float | None,  # finished_at
    float | None,  # wait_s
    float | None,  # duration_s
    int,  # attempt_count
    str,  # fingerprint
    str | None,  # parent_id
    str | None,  # root_id
    str | None,  # group_id
    float,  # updated_at
]
"""The columns of `runs` from `id` to `updated_at`, in their order."""


class Stored(NamedTuple):
    """A run as it is in the database: its number, its version, and its merge state."""

    n: int
    version: int
    run: Run


class RunRows(NamedTuple):
    """The rows of one run to be written: number, version they become, columns, merge state."""

    n: int
    version: int
    values: RowValues
    state: bytes


_COLUMNS = [column.name for column in runs.columns]
_VALUES = _COLUMNS[1:-1]
# What changes while a run goes its way. The rest, and the indexes over it, is touched only when it has to be.
_MOVING = (
    "state",
    "evidence",
    "worker",
    "started_at",
    "finished_at",
    "wait_s",
    "duration_s",
    "attempt_count",
    "updated_at",
)
_MOVING_AT = [_VALUES.index(name) for name in _MOVING]
_STILL_AT = [index for index in range(len(_VALUES)) if index not in _MOVING_AT]

_POSTGRESQL: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
_PG_TYPES = {column.name: column.type.compile(_POSTGRESQL) for column in runs.columns}


def still_part(values: RowValues) -> tuple[object, ...]:
    """Return those columns that rarely change; rows with equal ones are updated without touching most indexes."""
    return tuple(values[index] for index in _STILL_AT)


class RunWriter:
    """Writes rows of runs in a transaction that the collector holds."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._postgresql = connection.dialect.name == "postgresql"

    def numbers(self, count: int, above: int = 0) -> range:
        """Return `count` numbers that no run has, higher than `above`; call it at most once in a transaction.

        A collector names the highest number it ever got: SQLite would give the numbers of deleted runs again, and with
        them what is still remembered of those runs.
        """
        if self._postgresql:
            if count > _BLOCK:
                raise ValueError(f"count: expected at most {_BLOCK}, got {count}")
            first = int(self._connection.execute(run_numbers.next_value()).scalar_one()) * _BLOCK
        else:
            first = max(int(self._connection.execute(_NEWEST).scalar_one()), above) + 1
        return range(first, first + count)

    def load(self, ids: Sequence[str], *, lock: bool = False) -> dict[str, Stored]:
        """Return what is stored of those of `ids` that are known; `lock` keeps others from changing them."""
        return load(self._connection, ids, lock=lock)

    def insert(self, rows: Sequence[RunRows]) -> set[str]:
        """Write runs that are new and return the ids of those that somebody else has written meanwhile."""
        if not rows:
            return set()
        values = [(row.n, *row.values, row.version) for row in rows]
        if self._postgresql:
            done = self._unnested(_PG_INSERT, values)
        else:
            cursor = self._connection.exec_driver_sql(_SQLITE_INSERT, values)
            if cursor.rowcount == len(rows):
                done = {row.n for row in rows}
            else:
                done = self._present(rows)
        self._write_states(_STATE_INSERT, [row for row in rows if row.n in done])
        return {row.values[0] for row in rows if row.n not in done}

    def update(self, rows: Sequence[RunRows], *, moving_only: bool) -> set[str]:
        """Write runs that are known and return the ids of those whose version is another than was read.

        Args:
            rows: Each with a version one above the one that was read.
            moving_only: Only columns that change while a run goes its way differ from what is stored.
        """
        if not rows:
            return set()
        if self._postgresql:
            values = [(row.n, *row.values, row.version) for row in rows]
            done = self._unnested(_PG_UPDATE_MOVING if moving_only else _PG_UPDATE, values)
        else:
            if moving_only:
                statement = _SQLITE_UPDATE_MOVING
                parameters = [
                    (*[row.values[at] for at in _MOVING_AT], row.version, row.n, row.version - 1) for row in rows
                ]
            else:
                statement = _SQLITE_UPDATE
                parameters = [(*row.values, row.version, row.n, row.version - 1) for row in rows]
            cursor = self._connection.exec_driver_sql(statement, parameters)
            if cursor.rowcount == len(rows):
                done = {row.n for row in rows}
            else:
                done = self._present(rows)
        self._write_states(_STATE_UPDATE, [row for row in rows if row.n in done])
        return {row.values[0] for row in rows if row.n not in done}

    def note_texts(self, numbers: Iterable[int]) -> None:
        """Note that these runs have text which the search does not know."""
        rows = [(n,) for n in numbers]
        if not rows:
            return
        if self._postgresql:
            self._connection.exec_driver_sql(
                "INSERT INTO unindexed (n) SELECT unnest(%s::bigint[])", ([n for (n,) in rows],)
            )
        else:
            self._connection.exec_driver_sql(f"INSERT INTO {unindexed.name} (n) VALUES (?)", rows)

    def _write_states(self, statements: tuple[str, str], rows: Sequence[RunRows]) -> None:
        if not rows:
            return
        sqlite_statement, pg_statement = statements
        if self._postgresql:
            self._connection.exec_driver_sql(pg_statement, ([row.n for row in rows], [row.state for row in rows]))
        else:
            self._connection.exec_driver_sql(sqlite_statement, [(row.state, row.n) for row in rows])

    def _unnested(self, statement: str, values: Sequence[tuple[object, ...]]) -> set[int]:
        # One statement with an array per column: a tenth of the time of a statement per row.
        columns = [list(column) for column in zip(*values, strict=True)]
        return set(self._connection.exec_driver_sql(statement, tuple(columns)).scalars())

    def _present(self, rows: Sequence[RunRows]) -> set[int]:
        """Return the numbers of those rows that stand in the table with the version they were to become."""
        wanted = {row.n: row.version for row in rows}
        query = select(runs.c.n, runs.c.version).where(runs.c.n.in_(list(wanted)))
        return {row.n for row in self._connection.execute(query) if wanted[row.n] == row.version}


def load(connection: Connection, ids: Sequence[str], *, lock: bool = False) -> dict[str, Stored]:
    """Return what is stored of those of `ids` that are known."""
    if not ids:
        return {}
    if connection.dialect.name == "postgresql":
        rows = connection.exec_driver_sql(_PG_LOAD_LOCKED if lock else _PG_LOAD, (list(ids),))
    else:
        rows = connection.exec_driver_sql(_SQLITE_LOAD, (msgspec.json.encode(ids).decode(),))
    return {run_id: Stored(n, version, decode_run(state)) for run_id, n, version, state in rows}


_BLOCK = 100_000
_NEWEST = select(func.coalesce(func.max(runs.c.n), 0))
_LOAD = "SELECT r.id, r.n, r.version, s.state FROM runs AS r JOIN run_states AS s ON s.n = r.n WHERE r.id "
_SQLITE_LOAD = _LOAD + "IN (SELECT value FROM json_each(?))"
_PG_LOAD = _LOAD + "= ANY(%s)"
# Everybody locks in the same order, so that nobody waits in a circle.
_PG_LOAD_LOCKED = _PG_LOAD + " ORDER BY r.id FOR UPDATE OF r"

_SQLITE_INSERT = (
    f"INSERT INTO runs ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) ON CONFLICT (id) DO NOTHING"
)
_SQLITE_UPDATE = (
    f"UPDATE runs SET {', '.join(f'{name} = ?' for name in (*_VALUES, 'version'))} WHERE n = ? AND version = ?"
)
_SQLITE_UPDATE_MOVING = (
    f"UPDATE runs SET {', '.join(f'{name} = ?' for name in (*_MOVING, 'version'))} WHERE n = ? AND version = ?"
)

_ARRAYS = ", ".join(f"%s::{_PG_TYPES[name].split(' COLLATE')[0].lower()}[]" for name in _COLUMNS)
_NAMES = ", ".join(_COLUMNS)
_PG_INSERT = (
    f"INSERT INTO runs ({_NAMES}) SELECT * FROM unnest({_ARRAYS}) AS new ({_NAMES}) ORDER BY id "
    "ON CONFLICT (id) DO NOTHING RETURNING n"
)


def _pg_update(names: Iterable[str]) -> str:
    changes = ", ".join(f"{name} = new.{name}" for name in (*names, "version"))
    return (
        f"UPDATE runs SET {changes} FROM unnest({_ARRAYS}) AS new ({_NAMES}) "
        "WHERE runs.n = new.n AND runs.version = new.version - 1 RETURNING runs.n"
    )


_PG_UPDATE = _pg_update(_VALUES)
_PG_UPDATE_MOVING = _pg_update(_MOVING)

_STATES = run_states.name
_STATE_INSERT = (
    f"INSERT INTO {_STATES} (state, n) VALUES (?, ?)",
    f"INSERT INTO {_STATES} (n, state) SELECT * FROM unnest(%s::bigint[], %s::bytea[])",
)
_STATE_UPDATE = (
    f"UPDATE {_STATES} SET state = ? WHERE n = ?",
    (
        f"UPDATE {_STATES} SET state = new.state FROM unnest(%s::bigint[], %s::bytea[]) AS new (n, state) "
        f"WHERE {_STATES}.n = new.n"
    ),
)
