"""Runs: narrow rows to list and filter by, merge states to look into.

A page is read along an index that yields runs in the right order. How many runs there are of each kind is known exactly
(`run_counts`), so a filter that few runs meet is read kind by kind instead of searching everything for them.
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, func, or_, select

from huoyan.clock import Clock
from huoyan.errors import InvalidQuery
from huoyan.model.run import Run
from huoyan.server.store.codec import decode_run
from huoyan.server.store.counts import RunCounts, count_runs, kinds, number_of, take_back
from huoyan.server.store.filters import DIMENSIONS, RunFilters, conditions, dimension_conditions, indexed_condition
from huoyan.server.store.page import Page, decode_cursor, encode_cursor
from huoyan.server.store.schema.runs import run_states, runs, unindexed
from huoyan.server.store.search import TextIndex

__all__ = ["RunCounts", "RunFilters", "RunStore"]

_MOST_KINDS = 40
_MOST_CHILDREN = 500
_SHORTEST_ID_PREFIX = 4
_MOST_IDS = 5000
_LAST_CHARACTER = "\U0010ffff"


class _Place(NamedTuple):
    """Where a run stands in the order of lists."""

    sort_at: float
    n: int


class RunStore:
    """The runs."""

    def __init__(self, engine: Engine, texts: TextIndex, clock: Clock) -> None:
        self._engine = engine
        self._texts = texts
        self._clock = clock

    def load(self, ids: Sequence[str]) -> dict[str, Run]:
        """Return the merge states of those of `ids` that are known."""
        found: dict[str, Run] = {}
        with self._engine.connect() as connection:
            for start in range(0, len(ids), _MOST_IDS):
                query = (
                    select(runs.c.id, run_states.c.state)
                    .join(run_states, run_states.c.n == runs.c.n)
                    .where(runs.c.id.in_(ids[start : start + _MOST_IDS]))
                )
                for row in connection.execute(query):
                    found[row.id] = decode_run(row.state)
        return found

    def get(self, run_id: str) -> Run | None:
        """Return the merge state of one run, None when it is not known."""
        return self.load([run_id]).get(run_id)

    def page(self, filters: RunFilters, limit: int = 50, cursor: str | None = None) -> Page[Run]:
        """Return runs that meet the filters, newest first (by when they were enqueued, else started, else first heard
        of).

        Raises:
            InvalidQuery: The cursor is malformed, or a filter names a state that does not exist.
        """
        filters = filters.checked()
        after = None if cursor is None else _place(cursor)
        with self._engine.connect() as connection:
            places = self._places(connection, filters, limit + 1, after)
            items = _states(connection, [place.n for place in places[:limit]])
        if len(places) <= limit:
            return Page(items)
        last = places[limit - 1]
        return Page(items, encode_cursor(last.sort_at, last.n))

    def _places(self, connection: Connection, filters: RunFilters, most: int, after: _Place | None) -> list[_Place]:
        if filters.nothing:
            return []
        if filters.q:
            found: set[_Place] = set()
            for where in self._matching(connection, filters):
                found.update(_read(connection, where, most, after))
            return sorted(found, reverse=True)[:most]
        lists = [_read(connection, where, most, after) for where in _ways(connection, filters)]
        return list(islice(heapq.merge(*lists, reverse=True), most))

    def _matching(self, connection: Connection, filters: RunFilters) -> Iterable[list[ColumnElement[bool]]]:
        """Yield the ways in which a run can contain the text that is looked for; each is read along its own index."""
        q = filters.q or ""
        where = [*conditions(filters), *dimension_conditions(filters, unindexed=True)]
        yield [*where, runs.c.id == q]
        if len(q) >= _SHORTEST_ID_PREFIX:
            yield [*where, runs.c.id > q, runs.c.id < q + _LAST_CHARACTER]
        named = tuple(sorted({task for task, _ in kinds(connection, filters, q)}))
        if named:
            yield from _ways(connection, replace(filters, q=None, task=named))
        matching = self._texts.condition(connection, q)
        if matching is not None:
            yield [*where, matching]

    def counts(self, filters: RunFilters) -> RunCounts:
        """Return how many runs there are of each state, task, queue, worker, service and framework.

        Raises:
            InvalidQuery: A filter names a state that does not exist.
        """
        filters = filters.checked()
        with self._engine.connect() as connection:
            matching: ColumnElement[bool] | None = None
            if filters.q:
                named = sorted({task for task, _ in kinds(connection, RunFilters(), filters.q)})
                ways = [runs.c.id == filters.q, runs.c.task.in_(named)]
                if len(filters.q) >= _SHORTEST_ID_PREFIX:
                    ways.append(and_(runs.c.id > filters.q, runs.c.id < filters.q + _LAST_CHARACTER))
                text = self._texts.condition(connection, filters.q)
                matching = or_(*ways, *([] if text is None else [text]))
            return count_runs(connection, filters, matching)

    def children(self, run_id: str) -> list[Run]:
        """Return the direct children of a run, oldest first, at most 500."""
        filters = RunFilters(parent=run_id)
        with self._engine.connect() as connection:
            query = (
                select(runs.c.n).where(*conditions(filters)).order_by(runs.c.sort_at, runs.c.n).limit(_MOST_CHILDREN)
            )
            return _states(connection, list(connection.execute(query).scalars()))

    def lost_on(self, worker: str) -> list[Run]:
        """Return the newest runs that are taken for lost with `worker`, at most 5,000."""
        return self._on(worker, "lost")

    def started_on(self, worker: str) -> list[Run]:
        """Return the runs that are being executed, as far as is known, by `worker`, at most 5,000."""
        return self._on(worker, "started")

    def queued_on(self, worker: str) -> list[Run]:
        """Return the runs that were delivered to `worker` and not started, at most 5,000."""
        return self._on(worker, "queued") + self._on(worker, "scheduled")

    def _on(self, worker: str, state: str) -> list[Run]:
        filters = RunFilters(worker=(worker,), state=(state,))
        with self._engine.connect() as connection:
            places = self._places(connection, filters, _MOST_IDS, None)
            return _states(connection, [place.n for place in places])

    def executing(self) -> dict[str, float]:
        """Return the workers that execute runs now, as far as is known, and when the earliest of those started."""
        query = (
            select(runs.c.worker, func.min(runs.c.started_at))
            .where(runs.c.state == "started", runs.c.worker != "")
            .group_by(runs.c.worker)
        )
        with self._engine.connect() as connection:
            return {worker: float(at) for worker, at in connection.execute(query) if at is not None}

    def delete_before(self, at: float, limit: int = 1000) -> int:
        """Delete up to `limit` of the oldest runs from before `at` and return how many; 0 says there are none left."""
        with self._engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                # The order of locks: reading first and writing later would fail when somebody writes in between.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            query = (
                select(runs.c.n, *(runs.c[name] for name in DIMENSIONS))
                .where(runs.c.sort_at < at)
                .order_by(runs.c.sort_at)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            rows = connection.execute(query).all()
            if not rows:
                return 0
            numbers = [row.n for row in rows]
            take_back(connection, [tuple(row[1:]) for row in rows])
            self._texts.delete(connection, numbers)
            connection.execute(delete(unindexed).where(unindexed.c.n.in_(numbers)))
            connection.execute(delete(run_states).where(run_states.c.n.in_(numbers)))
            connection.execute(delete(runs).where(runs.c.n.in_(numbers)))
        return len(numbers)

    def count(self) -> int:
        """Return how many runs are kept."""
        return int(self.counts(RunFilters()).total)


def _ways(connection: Connection, filters: RunFilters) -> list[list[ColumnElement[bool]]]:
    """Return conditions that together yield the runs asked for, each along an index that has them in order."""
    base = conditions(filters)
    if not filters.dimensions or filters.narrow:
        return [[*base, *dimension_conditions(filters)]]
    if filters.states_only:
        return [[*base, runs.c.state == state] for state in filters.state]
    present = kinds(connection, filters)
    if not present:
        return []
    tasks = tuple(sorted({task for task, _ in present}))
    states = tuple(sorted({state for _, state in present}))
    by_kind = number_of(connection, RunFilters(task=tasks, state=states))
    for name in ("worker", "queue"):
        values = getattr(filters, name)
        if not values or not all(values):
            continue
        by_name = number_of(connection, replace(RunFilters(), **{name: values}))
        if len(present) > _MOST_KINDS or by_name <= by_kind:
            rest = dimension_conditions(filters, without=(name,), unindexed=True)
            return [[*base, *rest, indexed_condition(name, value)] for value in values]
    if len(present) <= _MOST_KINDS:
        rest = dimension_conditions(filters, without=("task", "state"), unindexed=True)
        return [[*base, *rest, runs.c.task == task, runs.c.state == state] for task, state in present]
    # So many kinds are met soon when the newest runs are looked at one by one.
    return [[*base, *dimension_conditions(filters, unindexed=True)]]


def _place(cursor: str) -> _Place:
    at, key = decode_cursor(cursor)
    if not isinstance(key, int):
        raise InvalidQuery(f"cursor: expected the `next` of an earlier answer, got {cursor[:80]!r}")
    return _Place(at, key)


def _read(connection: Connection, where: list[ColumnElement[bool]], most: int, after: _Place | None) -> list[_Place]:
    query = select(runs.c.sort_at, runs.c.n).where(*where)
    if after is not None:
        # The first half is what an index understands.
        query = query.where(runs.c.sort_at <= after.sort_at, or_(runs.c.sort_at < after.sort_at, runs.c.n < after.n))
    query = query.order_by(runs.c.sort_at.desc(), runs.c.n.desc()).limit(most)
    return [_Place(row.sort_at, row.n) for row in connection.execute(query)]


def _states(connection: Connection, numbers: list[int]) -> list[Run]:
    """Return the merge states of these runs in this order."""
    if not numbers:
        return []
    rows = connection.execute(select(run_states).where(run_states.c.n.in_(numbers)))
    found: dict[int, Any] = {row.n: row.state for row in rows}
    return [decode_run(found[n]) for n in numbers if n in found]
