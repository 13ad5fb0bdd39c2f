"""Which runs a list or a count is about."""

from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, literal_column, or_, select

from huoyan.errors import InvalidQuery
from huoyan.model.run import FINAL_STATES, RunState
from huoyan.server.store.schema.runs import runs, stuck_runs

DIMENSIONS = ("service", "framework", "task", "queue", "worker", "state")
"""What runs are counted by."""

_STATES = tuple(state.value for state in RunState)
_ACTIVE = tuple(state.value for state in RunState if state not in FINAL_STATES)


@dataclass(frozen=True, slots=True)
class RunFilters:
    """Which runs: a tuple means any of these, an empty one all of them.

    Attributes:
        failure: Fingerprint of the failure group.
        since: Sorted at or after this time, seconds since 1970 UTC.
        until: Sorted before this time.
        q: Text: the id or its beginning, or part of task, arguments or exception.
        active_only: Only runs that are not in a final state.
        parent: Only direct children of this run.
        root: Only runs of the tree below this run, and itself.
        group: Only members of this group.
    """

    state: tuple[str, ...] = ()
    task: tuple[str, ...] = ()
    queue: tuple[str, ...] = ()
    worker: tuple[str, ...] = ()
    service: tuple[str, ...] = ()
    framework: tuple[str, ...] = ()
    failure: str | None = None
    since: float | None = None
    until: float | None = None
    q: str | None = None
    active_only: bool = False
    parent: str | None = None
    root: str | None = None
    group: str | None = None
    stuck: bool = False
    """Only runs that owe a sign of life."""
    nothing: bool = False
    """No run can meet these filters."""

    def checked(self) -> "RunFilters":
        """Return the same filters with `active_only` said in states.

        Raises:
            InvalidQuery: There is no such state.
        """
        for state in self.state:
            if state not in _STATES:
                raise InvalidQuery(f"state: expected one of {', '.join(_STATES)}, got {state[:80]!r}")
        q = (self.q or "").replace("\0", "").strip() or None
        if not self.active_only:
            return replace(self, q=q)
        wanted = tuple(state for state in self.state or _ACTIVE if state in _ACTIVE)
        return replace(self, q=q, state=wanted, nothing=not wanted)

    @property
    def dimensions(self) -> bool:
        """Whether any of the filters is on something that runs are counted by."""
        return any(getattr(self, name) for name in DIMENSIONS)

    @property
    def states_only(self) -> bool:
        """Whether the state is the only such filter."""
        return bool(self.state) and not any(getattr(self, name) for name in DIMENSIONS if name != "state")

    @property
    def narrow(self) -> bool:
        """Whether a filter with an index of its own leaves few runs."""
        return any(value is not None for value in (self.failure, self.parent, self.root, self.group)) or self.stuck

    @property
    def beyond_dimensions(self) -> bool:
        """Whether there are filters on something that runs are not counted by."""
        others = (self.failure, self.since, self.until, self.q, self.parent, self.root, self.group)
        return any(value is not None for value in others) or self.stuck


def dimension_conditions(
    filters: RunFilters, without: tuple[str, ...] = (), unindexed: bool = False
) -> list[ColumnElement[bool]]:
    """Return the conditions on what runs are counted by.

    Args:
        filters: Checked filters.
        without: Leave out the conditions on these.
        unindexed: Say them so that no index over these columns is used, because another one yields the right order.
    """
    found: list[ColumnElement[bool]] = []
    for name in DIMENSIONS:
        values = getattr(filters, name)
        if values and name not in without:
            column = runs.c[name].concat("") if unindexed else runs.c[name]
            found.append(column == values[0] if len(values) == 1 else column.in_(values))
    return found


def conditions(filters: RunFilters) -> list[ColumnElement[bool]]:
    """Return the other conditions, but for the text."""
    found: list[ColumnElement[bool]] = []
    if filters.since is not None:
        found.append(runs.c.sort_at >= filters.since)
    if filters.until is not None:
        found.append(runs.c.sort_at < filters.until)
    if filters.stuck:
        found.append(runs.c.id.in_(select(stuck_runs.c.run_id)))
    if filters.failure is not None:
        # Said once more in the words of the partial index, or the database cannot know that it may use it.
        found += [runs.c.fingerprint == filters.failure, runs.c.fingerprint != literal_column("''")]
    if filters.parent is not None:
        found += [runs.c.parent_id == filters.parent, runs.c.parent_id.is_not(None)]
    if filters.root is not None:
        below = (runs.c.root_id == filters.root) & runs.c.parent_id.is_not(None)
        found.append(or_(runs.c.id == filters.root, below))
    if filters.group is not None:
        found.append(runs.c.group_id == filters.group)
    return found


def indexed_condition(name: str, value: str) -> ColumnElement[bool]:
    """Return the condition on a worker or queue in words that let the partial index be used."""
    return (runs.c[name] == value) & (runs.c[name] != literal_column("''"))
