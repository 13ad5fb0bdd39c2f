"""Failure groups: runs that failed in the same way, by the fingerprint of their exception."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, ColumnElement, Connection, Engine, and_, bindparam, func, or_, select, update

from huoyan.clock import Clock
from huoyan.model.rollup import Series, slot_of
from huoyan.model.run import BAD_STATES
from huoyan.server.store.page import Page, decode_cursor, encode_cursor
from huoyan.server.store.schema.figures import failure_groups, failure_minutes, series
from huoyan.server.store.search import contains
from huoyan.server.store.upsert import insert_into

_DEFAULT_WINDOW_S = 86_400.0
_MINUTE_S = 60
_WITHOUT_EXCEPTION = frozenset(state.value for state in BAD_STATES)
"""Types of groups whose runs ended without an exception."""


class FailureChange(NamedTuple):
    """One run `more` (1) or less (-1) in a failure group, at a time in seconds since 1970 UTC."""

    fingerprint: str
    type: str
    title: str
    series: Series
    at: float
    run_id: str
    more: int


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """One way of failing. `count`, `tasks`, `services` and `per_minute` are of the window asked for.

    Attributes:
        type: The exception's type, or the state for runs that ended without one: `lost`, `dead`, `rejected`.
        title: One line that names it, from its type and message.
        first_seen_at: First failure ever, seconds since 1970 UTC; likewise `last_seen_at`.
        last_run_id: A run that failed so, the latest.
        per_minute: `(start of the minute, failures)`, oldest first, minutes without a failure left out.
    """

    fingerprint: str
    type: str
    title: str
    count: int
    first_seen_at: float
    last_seen_at: float
    tasks: list[str]
    services: list[str]
    last_run_id: str
    per_minute: list[tuple[float, int]] = field(default_factory=list)

    @property
    def reason(self) -> str:
        """Why its runs ended, when they ended without an exception; else empty."""
        return self.title.removeprefix(self.type).removeprefix(": ") if self.type in _WITHOUT_EXCEPTION else ""


class FailureStore:
    """The failure groups and their counts per minute."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def page(
        self,
        *,
        since: float | None = None,
        until: float | None = None,
        task: str | None = None,
        service: str | None = None,
        q: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[FailureGroup]:
        """Return groups with failures in the window, most failures first.

        Args:
            since: Start of the window, seconds since 1970 UTC; default a day ago.
            until: End of the window; default now. Windows are of whole minutes: the first and last one count whole.
            task: Failures of this task only.
            service: Failures of this service only.
            q: Part of type or title.
            limit: Groups per page.
            cursor: `next` of the page before.

        Raises:
            InvalidQuery: The cursor is malformed.
        """
        first, last = self._window(since, until)
        total = func.sum(failure_minutes.c.count).label("total")
        counted = _counted(first, last, task, service)
        query = (
            select(failure_minutes.c.fingerprint, total)
            .where(*counted)
            .group_by(failure_minutes.c.fingerprint)
            .having(total > 0)
            .order_by(total.desc(), failure_minutes.c.fingerprint)
            .limit(limit + 1)
        )
        if q:
            named = select(failure_groups.c.fingerprint).where(
                or_(contains(failure_groups.c.type, q), contains(failure_groups.c.title, q))
            )
            query = query.where(failure_minutes.c.fingerprint.in_(named))
        if cursor:
            count, fingerprint = decode_cursor(cursor)
            query = query.having(
                or_(total < count, and_(total == count, failure_minutes.c.fingerprint > str(fingerprint)))
            )
        with self._engine.connect() as connection:
            found = [(row.fingerprint, int(row.total)) for row in connection.execute(query)]
            groups = _groups(connection, found[:limit], counted)
        cut = encode_cursor(found[limit - 1][1], found[limit - 1][0]) if len(found) > limit else None
        return Page(groups, cut)

    def get(self, fingerprint: str, *, since: float | None = None, until: float | None = None) -> FailureGroup | None:
        """Return one group, None when it is not known; the window is as in `page`."""
        first, last = self._window(since, until)
        with self._engine.connect() as connection:
            groups = _groups(connection, [(fingerprint, 0)], _counted(first, last, None, None))
        return groups[0] if groups else None

    def _window(self, since: float | None, until: float | None) -> tuple[float, float]:
        last = self._clock.now() if until is None else until
        return (last - _DEFAULT_WINDOW_S if since is None else since) // _MINUTE_S * _MINUTE_S, last

    def delete_before(self, at: float) -> int:
        """Delete the minutes that started before `at`, and groups not seen since; return how many rows that were."""
        with self._engine.begin() as connection:
            minutes = connection.execute(failure_minutes.delete().where(failure_minutes.c.minute < at)).rowcount
            groups = connection.execute(failure_groups.delete().where(failure_groups.c.last_seen_at < at)).rowcount
        return minutes + groups


def add_failures(connection: Connection, changes: Sequence[FailureChange], ids: Mapping[Series, int]) -> None:
    """Count runs in and out of failure groups, in the transaction that changes the runs.

    Args:
        connection: The transaction.
        changes: In any order.
        ids: The number of every series they name.
    """
    newest: dict[str, FailureChange] = {}
    oldest: dict[str, float] = {}
    totals: dict[str, int] = defaultdict(int)
    minutes: dict[tuple[int, str, int], int] = defaultdict(int)
    for change in changes:
        name = change.fingerprint
        totals[name] += change.more
        minutes[(slot_of(change.at, _MINUTE_S), name, ids[change.series])] += change.more
        if change.more > 0:
            oldest[name] = min(oldest.get(name, change.at), change.at)
            if name not in newest or newest[name].at <= change.at:
                newest[name] = change
    _add_groups(connection, newest, oldest, totals)
    rows = [
        {"minute": minute, "fingerprint": name, "series_id": series_id, "count": count}
        for (minute, name, series_id), count in sorted(minutes.items())
        if count
    ]
    if rows:
        statement = insert_into(connection, failure_minutes)
        more = failure_minutes.c.count + statement.excluded.count
        keys = ["minute", "fingerprint", "series_id"]
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_={"count": more}), rows)


def _add_groups(
    connection: Connection, newest: Mapping[str, FailureChange], oldest: Mapping[str, float], totals: Mapping[str, int]
) -> None:
    table = failure_groups.c
    known: BindParameter[str] = bindparam("known")
    at: BindParameter[float] = bindparam("seen_at")
    if newest:
        connection.execute(
            insert_into(connection, failure_groups).on_conflict_do_nothing(),
            [
                {
                    "fingerprint": name,
                    "type": change.type,
                    "title": change.title,
                    "count": 0,
                    "first_seen_at": oldest[name],
                    "last_seen_at": change.at,
                    "last_run_id": change.run_id,
                }
                for name, change in sorted(newest.items())
            ],
        )
        connection.execute(
            update(failure_groups)
            .where(table.fingerprint == known, table.last_seen_at <= at)
            .values(last_seen_at=at, last_run_id=bindparam("run_id")),
            [{"known": name, "seen_at": c.at, "run_id": c.run_id} for name, c in sorted(newest.items())],
        )
        connection.execute(
            update(failure_groups).where(table.fingerprint == known, table.first_seen_at > at).values(first_seen_at=at),
            [{"known": name, "seen_at": first} for name, first in sorted(oldest.items())],
        )
    counted = [{"known": name, "more": total} for name, total in sorted(totals.items()) if total]
    if counted:
        connection.execute(
            update(failure_groups).where(table.fingerprint == known).values(count=table.count + bindparam("more")),
            counted,
        )


def _counted(first: float, last: float, task: str | None, service: str | None) -> list[ColumnElement[bool]]:
    """Return the conditions on the minutes that are counted."""
    found = [failure_minutes.c.minute >= first, failure_minutes.c.minute <= last]
    if task is not None or service is not None:
        meant = select(series.c.id)
        if task is not None:
            meant = meant.where(series.c.task == task)
        if service is not None:
            meant = meant.where(series.c.service == service)
        found.append(failure_minutes.c.series_id.in_(meant))
    return found


def _groups(
    connection: Connection, found: Sequence[tuple[str, int]], counted: list[ColumnElement[bool]]
) -> list[FailureGroup]:
    """Put together what the tables say of these groups; a count of 0 stands for the sum of their minutes."""
    fingerprints = [fingerprint for fingerprint, _ in found]
    group = failure_groups.c
    heads = {
        row.fingerprint: row
        for row in connection.execute(select(failure_groups).where(group.fingerprint.in_(fingerprints)))
    }
    name, number = failure_minutes.c.fingerprint, func.sum(failure_minutes.c.count)

    def added_up(column: ColumnElement[Any]) -> list[tuple[str, Any, int]]:
        query = select(name, column, number).where(*counted, name.in_(fingerprints), failure_minutes.c.count > 0)
        rows = connection.execute(query.group_by(name, column).order_by(name, column))
        return [(fingerprint, value, int(total)) for fingerprint, value, total in rows]

    minutes: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for fingerprint, minute, total in added_up(failure_minutes.c.minute):
        minutes[fingerprint].append((float(minute), total))
    by_series = added_up(failure_minutes.c.series_id)
    # By number and not by a join: the database would look every minute's series up.
    numbers = sorted({series_id for _, series_id, _ in by_series})
    names = {row.id: row for row in connection.execute(select(series).where(series.c.id.in_(numbers)))}
    tasks: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    services: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for fingerprint, series_id, total in by_series:
        if series_id in names:
            tasks[fingerprint][names[series_id].task] += total
            services[fingerprint][names[series_id].service] += total
    return [
        FailureGroup(
            fingerprint=fingerprint,
            type=heads[fingerprint].type,
            title=heads[fingerprint].title,
            count=count or sum(total for _, total in minutes[fingerprint]),
            first_seen_at=heads[fingerprint].first_seen_at,
            last_seen_at=heads[fingerprint].last_seen_at,
            tasks=_most_first(tasks[fingerprint]),
            services=_most_first(services[fingerprint]),
            last_run_id=heads[fingerprint].last_run_id,
            per_minute=minutes[fingerprint],
        )
        for fingerprint, count in found
        if fingerprint in heads
    ]


def _most_first(counts: dict[str, int]) -> list[str]:
    return sorted(counts, key=lambda name: (-counts[name], name))
