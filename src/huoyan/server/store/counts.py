"""How many runs there are of each kind, kept exactly with every write, so that no list has to be counted."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, func, select

from huoyan.server.store.filters import DIMENSIONS, RunFilters, conditions, dimension_conditions
from huoyan.server.store.schema.runs import run_counts, runs
from huoyan.server.store.search import contains
from huoyan.server.store.upsert import insert_into

Cell = tuple[str, ...]
"""Service, framework, task, queue, worker and state of a run."""

COUNT_LIMIT = 20_000
"""Runs that are looked at, the newest first, where they have to be counted one by one."""
_MOST_VALUES = 500


class RunCounts(dict[str, dict[str, int]]):
    """Facet (`state`, `task`, `queue`, `worker`, `service`, `framework`) → value → number of runs, at most 500 values.

    Each facet ignores its own filter. `total` is the number of runs that meet all filters. `exact` is False when only
    the newest `COUNT_LIMIT` runs were looked at, as may happen with `since`, `until`, `q`, `failure` and the like.
    """

    total: int = 0
    exact: bool = True


def add_counts(connection: Connection, changes: Mapping[Cell, int]) -> None:
    """Add to the counts, in the transaction that changes the runs."""
    rows = [
        dict(zip((*DIMENSIONS, "runs"), (*cell, change), strict=True))
        for cell, change in sorted(changes.items())
        if change
    ]
    if not rows:
        return
    statement = insert_into(connection, run_counts)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(DIMENSIONS), set_={"runs": run_counts.c.runs + statement.excluded.runs}
        ),
        rows,
    )


def take_back(connection: Connection, cells: Sequence[Cell]) -> None:
    """Take deleted runs out of the counts, in the transaction that deletes them."""
    changes: dict[Cell, int] = {}
    for cell in cells:
        changes[cell] = changes.get(cell, 0) - 1
    add_counts(connection, changes)
    connection.execute(run_counts.delete().where(run_counts.c.runs == 0))


def kinds(connection: Connection, filters: RunFilters, part_of_task: str = "") -> list[tuple[str, str]]:
    """Return the tasks and states of the runs that meet the filters as far as they are on what is counted."""
    query = select(run_counts.c.task, run_counts.c.state).where(run_counts.c.runs > 0, *_counted_conditions(filters))
    if part_of_task:
        query = query.where(contains(run_counts.c.task, part_of_task))
    return [(row.task, row.state) for row in connection.execute(query.distinct())]


def number_of(connection: Connection, filters: RunFilters) -> int:
    """Return how many runs meet the filters as far as they are on what is counted."""
    query = select(func.coalesce(func.sum(run_counts.c.runs), 0)).where(*_counted_conditions(filters))
    return int(connection.execute(query).scalar_one())


def active(connection: Connection) -> dict[tuple[str, str, str], int]:
    """Return how many runs are being executed of each service, task and queue."""
    table = run_counts.c
    query = (
        select(table.service, table.task, table.queue, func.sum(table.runs).label("total"))
        .where(table.state == "started", table.runs > 0)
        .group_by(table.service, table.task, table.queue)
    )
    return {(row.service, row.task, row.queue): int(row.total) for row in connection.execute(query)}


def count_runs(connection: Connection, filters: RunFilters, matching: ColumnElement[bool] | None) -> RunCounts:
    """Count the runs that meet the filters by each dimension.

    Args:
        connection: To read with.
        filters: Checked filters.
        matching: The condition that stands for their text.
    """
    counts = RunCounts({name: {} for name in DIMENSIONS})
    if filters.nothing:
        return counts
    if not filters.beyond_dimensions:
        for name in DIMENSIONS:
            counts[name] = _counted(connection, filters, name)
    else:
        # One look serves all facets without a filter of their own.
        free = tuple(name for name in DIMENSIONS if not getattr(filters, name))
        for names in (free, *((name,) for name in DIMENSIONS if name not in free)):
            found, exact = _looked_at(connection, filters, matching, names)
            counts.update(found)
            counts.exact = counts.exact and exact
    counts.total = _total(counts, filters)
    return counts


def _total(counts: RunCounts, filters: RunFilters) -> int:
    """Return the number of runs that meet all filters: a facet without a filter of its own has them all."""
    free = next((name for name in DIMENSIONS if not getattr(filters, name)), None)
    if free is not None and len(counts[free]) < _MOST_VALUES:
        return sum(counts[free].values())
    wanted = filters.state or tuple(counts["state"])
    return sum(counts["state"].get(state, 0) for state in wanted)


def _counted(connection: Connection, filters: RunFilters, name: str) -> dict[str, int]:
    column = run_counts.c[name]
    total = func.sum(run_counts.c.runs).label("total")
    query = (
        select(column.label("value"), total)
        .where(run_counts.c.runs > 0, *_counted_conditions(filters, without=name))
        .group_by(column)
        .order_by(total.desc(), column)
        .limit(_MOST_VALUES)
    )
    return {row.value: int(row.total) for row in connection.execute(query)}


def _looked_at(
    connection: Connection, filters: RunFilters, matching: ColumnElement[bool] | None, names: tuple[str, ...]
) -> tuple[dict[str, dict[str, int]], bool]:
    """Count the newest runs one by one; return the facets `names`, and whether that were all runs."""
    if not names:
        return {}, True
    where: Iterable[ColumnElement[bool]] = [
        *conditions(filters),
        *dimension_conditions(filters, without=names),
        *([] if matching is None else [matching]),
    ]
    columns = [runs.c[name] for name in names]
    newest = select(*columns).where(*where).order_by(runs.c.sort_at.desc()).limit(COUNT_LIMIT).subquery()
    together = [newest.c[name] for name in names]
    facets: dict[str, dict[str, int]] = {name: {} for name in names}
    total = 0
    for *values, number in connection.execute(select(*together, func.count()).group_by(*together)):
        total += number
        for name, value in zip(names, values, strict=True):
            facets[name][value] = facets[name].get(value, 0) + number
    return {name: _most(facet) for name, facet in facets.items()}, total < COUNT_LIMIT


def _most(facet: dict[str, int]) -> dict[str, int]:
    return dict(sorted(facet.items(), key=lambda pair: (-pair[1], pair[0]))[:_MOST_VALUES])


def _counted_conditions(filters: RunFilters, without: str = "") -> list[ColumnElement[bool]]:
    return [
        run_counts.c[name].in_(values) for name in DIMENSIONS if name != without and (values := getattr(filters, name))
    ]
