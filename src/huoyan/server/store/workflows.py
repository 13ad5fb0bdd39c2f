"""Runs that belong together: one workflow whole, and the newest workflows one a row."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, case, func, or_, select

from huoyan.model.run import FINAL_STATES, RunState
from huoyan.model.workflow import MOST_APART, Member
from huoyan.server.store.codec import decode_run
from huoyan.server.store.schema.runs import run_states, runs

MOST_MEMBERS = 20_000
"""Runs of one workflow that are looked at."""
MOST_SCANNED = 100_000
"""Newest runs among which workflows are looked for."""
_ROUNDS = 8
_MOST_IDS = 1000
_LINKED_OF_GROUP = 3
_COLUMNS = (
    runs.c.n,
    runs.c.id,
    runs.c.task,
    runs.c.state,
    runs.c.evidence,
    runs.c.enqueued_at,
    runs.c.started_at,
    runs.c.finished_at,
    runs.c.duration_s,
    runs.c.parent_id,
    runs.c.root_id,
    runs.c.group_id,
)


@dataclass(slots=True)
class WorkflowRow:
    """One workflow in a list.

    Attributes:
        run_id: A run of it, by which all of it is found: its root, or a member of its group.
        task: Task of that run.
        states: How many of its runs are in each state.
        first_at: When its first run was enqueued or heard of, seconds since 1970 UTC; `last_at` its newest one.
        group_id: The group, where no run is above its members.
    """

    run_id: str
    task: str
    service: str
    group_id: str | None = None
    states: Counter[str] = field(default_factory=Counter)
    first_at: float = 0.0
    last_at: float = 0.0

    @property
    def total(self) -> int:
        """How many runs it has."""
        return sum(self.states.values())

    @property
    def finished(self) -> int:
        """How many of them are in a final state."""
        return sum(self.states[state.value] for state in FINAL_STATES)


class WorkflowStore:
    """Reads workflows out of the runs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def members(self, run_id: str) -> tuple[list[Member], bool]:
        """Return the runs that belong together with a run, and whether these are all.

        They are found along roots, groups and what waits for what. Of a large group only a few runs are asked what
        comes after them: it is the same for all.
        """
        found: dict[str, Member] = {}
        asked: set[tuple[str, str]] = set()
        linked: Counter[str] = Counter()
        with self._engine.connect() as connection:
            wanted: list[tuple[str, str]] = [("id", run_id)]
            for _ in range(_ROUNDS):
                asked.update(wanted)
                rows = _rows(connection, wanted, MOST_MEMBERS - len(found))
                new = [row for row in rows if row.id not in found]
                if not new:
                    break
                self._take(connection, new, found, linked)
                wanted = sorted(_further(found.values()) - asked)
                if not wanted or len(found) >= MOST_MEMBERS:
                    break
        return list(found.values()), len(found) < MOST_MEMBERS

    def _take(
        self, connection: Connection, rows: Sequence[Row[Any]], found: dict[str, Member], linked: Counter[str]
    ) -> None:
        sizes = Counter(row.group_id for row in rows if row.group_id)
        fans = Counter((row.parent_id, row.task) for row in rows if row.parent_id)
        numbers: dict[int, str] = {}
        for row in rows:
            found[row.id] = _member(row)
            mark = row.group_id or f"{row.parent_id} {row.task}"
            many = sizes[row.group_id] > MOST_APART if row.group_id else fans[row.parent_id, row.task] > MOST_APART
            if not many or linked[mark] < _LINKED_OF_GROUP:
                linked[mark] += many
                numbers[row.n] = row.id
        keys = list(numbers)
        for start in range(0, len(keys), _MOST_IDS):
            query = select(run_states).where(run_states.c.n.in_(keys[start : start + _MOST_IDS]))
            for n, state in connection.execute(query):
                run = decode_run(state)
                member = found[numbers[n]]
                member.dependents, member.depends_on = run.dependents, frozenset(run.depends_on)

    def page(self, since: float | None, limit: int = 50, service: Iterable[str] = ()) -> tuple[list[WorkflowRow], bool]:
        """Return the workflows with the newest runs, and whether every run since then was looked at.

        Args:
            since: Only runs from then on, seconds since 1970 UTC.
            limit: How many workflows at most.
            service: Only these services; none means all.
        """
        recent = select(*_COLUMNS[1:], runs.c.service, runs.c.sort_at)
        if since is not None:
            recent = recent.where(runs.c.sort_at >= since)
        chosen = tuple(service)
        if chosen:
            recent = recent.where(runs.c.service.in_(chosen))
        newest = recent.order_by(runs.c.sort_at.desc()).limit(MOST_SCANNED).subquery()
        below = newest.c.parent_id.is_not(None) & newest.c.root_id.is_not(None)
        key = case((newest.c.group_id.is_not(None), "g:" + newest.c.group_id), (below, "r:" + newest.c.root_id))
        query = (
            select(
                key.label("key"),
                newest.c.state,
                func.count().label("runs"),
                func.min(newest.c.sort_at).label("first_at"),
                func.max(newest.c.sort_at).label("last_at"),
                func.min(newest.c.id).label("run_id"),
                func.min(newest.c.task).label("task"),
                func.min(newest.c.service).label("service"),
                func.min(case((below, newest.c.root_id))).label("root_id"),
            )
            .where(or_(newest.c.group_id.is_not(None), below))
            .group_by(key, newest.c.state)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
            scanned = connection.execute(select(func.count()).select_from(newest)).scalar_one()
            roots = _uppermost(connection, {row.root_id for row in rows if row.root_id})
        return _folded(rows, roots)[:limit], scanned < MOST_SCANNED


def _folded(rows: Iterable[Row[Any]], roots: dict[str, Row[Any]]) -> list[WorkflowRow]:
    """Return one row a workflow: groups below one root, and what members of a group started, belong to it."""
    found: dict[str, WorkflowRow] = {}
    for row in rows:
        root = roots.get(row.root_id) if row.root_id else None
        key = row.key
        if root is not None:
            # A root that is a member of a group itself: the body of a chord that nobody's run started.
            key = f"g:{root.group_id}" if root.group_id else f"r:{root.id}"
        place = found.get(key)
        if place is None:
            place = found[key] = WorkflowRow(row.run_id, row.task, row.service, first_at=row.first_at)
            if key.startswith("g:"):
                place.group_id = key[2:]
            elif root is not None:
                place.run_id, place.task, place.service = root.id, root.task, root.service
                place.states[root.state] += 1
        place.states[row.state] += row.runs
        place.first_at = min(place.first_at, row.first_at)
        place.last_at = max(place.last_at, row.last_at)
    return sorted(found.values(), key=lambda one: (-one.last_at, one.run_id))


def _uppermost(connection: Connection, ids: Iterable[str]) -> dict[str, Row[Any]]:
    """Return the root of each of these roots, itself where nothing is above it.

    A framework whose messages have no room for a root (Huey) lets every process begin anew: what a run starts there
    names that run as its root, though another one started it. Whoever started it belongs to a root, too.
    """
    asked = set(ids)
    known = _by_id(connection, asked)
    for _ in range(_ROUNDS):
        further = {above for row in known.values() if (above := _above(row))} - asked
        if not further:
            break
        asked |= further
        known |= _by_id(connection, further)
    found = {}
    for run_id in known:
        climbed = [run_id]
        while (above := _above(known[climbed[-1]])) in known and above not in climbed:
            climbed.append(above)
        found[run_id] = known[climbed[-1]]
    return found


def _above(row: Row[Any]) -> str | None:
    """Return the run that a run belongs below: its root where it names another one, else the one that started it."""
    if not row.parent_id:
        return None
    above: str = row.root_id if row.root_id and row.root_id != row.id else row.parent_id
    return above


def _by_id(connection: Connection, ids: Iterable[str]) -> dict[str, Row[Any]]:
    keys = sorted(ids)
    found: dict[str, Row[Any]] = {}
    for start in range(0, len(keys), _MOST_IDS):
        query = select(*_COLUMNS, runs.c.service).where(runs.c.id.in_(keys[start : start + _MOST_IDS]))
        found |= {row.id: row for row in connection.execute(query)}
    return found


def _rows(connection: Connection, wanted: Sequence[tuple[str, str]], most: int) -> list[Row[Any]]:
    """Return the runs that are asked for by (`id`, `root` or `group`, value)."""
    found: dict[str, Row[Any]] = {}
    by: dict[str, list[str]] = {}
    for kind, value in wanted:
        by.setdefault(kind, []).append(value)
    for kind, values in by.items():
        for start in range(0, len(values), _MOST_IDS):
            left = most - len(found)
            if left <= 0:
                return list(found.values())
            condition = _condition(kind, values[start : start + _MOST_IDS])
            query = select(*_COLUMNS).where(condition).order_by(runs.c.n).limit(left)
            found |= {row.id: row for row in connection.execute(query)}
    return list(found.values())


def _condition(kind: str, values: list[str]) -> ColumnElement[bool]:
    if kind == "group":
        return runs.c.group_id.in_(values)
    if kind == "root":
        # In the words of the partial index.
        return runs.c.root_id.in_(values) & runs.c.parent_id.is_not(None)
    return runs.c.id.in_(values)


def _further(members: Iterable[Member]) -> set[tuple[str, str]]:
    """Return what these runs name: their roots and what is below those, their groups, what waits for them."""
    found: set[tuple[str, str]] = set()
    for member in members:
        root = member.root_id or (member.id if member.parent_id is None else None)
        if root is not None:
            found |= {("root", root), ("id", root)}
        if member.group_id:
            found.add(("group", member.group_id))
        if member.parent_id:
            # It may be the root of what it started itself, see `_uppermost`.
            found |= {("id", member.parent_id), ("root", member.id)}
        found.update(("id", run_id) for run_id in member.dependents)
        found.update(("id", run_id) for run_id in member.depends_on)
    return found


def _member(row: Row[Any]) -> Member:
    return Member(
        id=row.id,
        task=row.task,
        state=RunState(row.state),
        evidence=row.evidence,
        enqueued_at=row.enqueued_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        duration_s=row.duration_s,
        parent_id=row.parent_id,
        root_id=row.root_id,
        group_id=row.group_id,
    )
