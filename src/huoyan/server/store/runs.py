"""Runs: narrow rows to list and filter by, merge states to look into."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from huoyan.model.run import Run
from huoyan.server.store.page import Page


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


class RunCounts(dict[str, dict[str, int]]):
    """Facet (`state`, `task`, `queue`, `worker`, `service`, `framework`) → value → number of runs.

    Each facet ignores its own filter. `total` is the number of runs that meet all filters. `exact` is False when only
    the newest `COUNT_LIMIT` runs that meet the filters were looked at, as happens with `since`, `until`, `q` or `failure`.
    """

    total: int = 0
    exact: bool = True


class RunStore:
    """The runs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def load(self, ids: Sequence[str]) -> dict[str, Run]:
        """Return the merge states of those of `ids` that are known."""
        ...

    def get(self, run_id: str) -> Run | None:
        """Return the merge state of one run, None when it is not known."""
        ...

    def page(self, filters: RunFilters, limit: int = 50, cursor: str | None = None) -> Page[Run]:
        """Return runs that meet the filters, newest first (by when they were enqueued, else started, else first heard of).

        Raises:
            InvalidQuery: The cursor is malformed, or a filter names a state that does not exist.
        """
        ...

    def counts(self, filters: RunFilters) -> RunCounts:
        """Return how many runs there are of each state, task, queue, worker, service and framework."""
        ...

    def children(self, run_id: str) -> list[Run]:
        """Return the direct children of a run, oldest first, at most 500."""
        ...

    def delete_before(self, at: float, limit: int = 1000) -> int:
        """Delete up to `limit` of the oldest runs from before `at` and return how many; 0 says there are none left."""
        ...
