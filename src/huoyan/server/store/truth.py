"""What was put right about runs, what does not add up, and which runs are stuck."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, Engine, delete, func, select

from huoyan.server.store.schema.runs import discrepancies, run_counts, run_history, runs, stuck_runs
from huoyan.server.store.upsert import replace_into

MOST_CORRECTIONS = 50
"""Corrections kept of one run: the newest."""
MOST_NAMED = 20
"""Runs named of each kind of discrepancy and queue: the newest."""
_MOST_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Correction:
    """A run's state was put right, or worked out by us: `before` became `after`."""

    run_id: str
    at: float
    before: str
    after: str
    evidence: str
    reason: str


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A run that keeps a queue's account from adding up.

    Attributes:
        kind: `vanished`: nobody holds it and nobody executed it; `doubled`: executed again after it had succeeded.
        at: When that was found, seconds since 1970 UTC.
    """

    run_id: str
    kind: str
    service: str
    framework: str
    queue: str
    at: float
    reason: str


@dataclass(frozen=True, slots=True)
class StuckRun:
    """A run that owes a sign of life since `since_at`."""

    run_id: str
    since_at: float
    service: str
    task: str
    queue: str


class TruthStore:
    """The tables of corrections, discrepancies and stuck runs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def record(
        self,
        connection: Connection,
        corrections: Sequence[Correction],
        found: Iterable[Discrepancy],
        settled: Collection[str],
    ) -> None:
        """Write what a batch put right and what it showed not to add up.

        Args:
            connection: The transaction of the batch.
            corrections: In their order.
            found: New discrepancies.
            settled: Runs that turned out not to have vanished.
        """
        if corrections:
            connection.execute(run_history.insert(), [asdict(correction) for correction in corrections])
            for run_id in {correction.run_id for correction in corrections}:
                kept = (
                    select(run_history.c.id)
                    .where(run_history.c.run_id == run_id)
                    .order_by(run_history.c.id.desc())
                    .limit(1)
                    .offset(MOST_CORRECTIONS)
                )
                last = connection.execute(kept).scalar()
                if last is not None:
                    old = (run_history.c.run_id == run_id) & (run_history.c.id <= last)
                    connection.execute(delete(run_history).where(old))
        if settled:
            gone = discrepancies.c.run_id.in_(sorted(settled)) & (discrepancies.c.kind == "vanished")
            connection.execute(delete(discrepancies).where(gone))
        rows = [asdict(one) for one in found]
        if rows:
            connection.execute(replace_into(connection, discrepancies), rows)

    def history(self, run_id: str) -> list[Correction]:
        """Return the corrections of a run, oldest first."""
        query = select(*list(run_history.c)[1:]).where(run_history.c.run_id == run_id).order_by(run_history.c.id)
        with self._engine.connect() as connection:
            return [Correction(*row) for row in connection.execute(query)]

    def discrepancies(self, since: float) -> list[Discrepancy]:
        """Return what was found since, newest first, at most 10,000."""
        query = (
            select(discrepancies)
            .where(discrepancies.c.at >= since)
            .order_by(discrepancies.c.at.desc(), discrepancies.c.run_id)
            .limit(_MOST_ROWS)
        )
        with self._engine.connect() as connection:
            return [Discrepancy(**row._mapping) for row in connection.execute(query)]

    def books(self) -> list[tuple[str, str, str, str, int]]:
        """Return `(service, framework, queue, state, runs)` of every queue: what we know of its runs."""
        columns = (run_counts.c.service, run_counts.c.framework, run_counts.c.queue, run_counts.c.state)
        query = select(*columns, func.sum(run_counts.c.runs)).where(run_counts.c.queue != "").group_by(*columns)
        with self._engine.connect() as connection:
            return [(row[0], row[1], row[2], row[3], int(row[4])) for row in connection.execute(query) if row[4]]

    def workers_with(self, state: str) -> set[str]:
        """Return the workers that have runs in this state."""
        query = (
            select(run_counts.c.worker)
            .where(run_counts.c.state == state, run_counts.c.worker != "")
            .group_by(run_counts.c.worker)
            .having(func.sum(run_counts.c.runs) > 0)
        )
        with self._engine.connect() as connection:
            return set(connection.execute(query).scalars())

    def states(self, run_ids: Collection[str]) -> dict[str, str]:
        """Return the states of those of `run_ids` that are known."""
        found: dict[str, str] = {}
        wanted = sorted(run_ids)
        with self._engine.connect() as connection:
            for start in range(0, len(wanted), 1000):
                query = select(runs.c.id, runs.c.state).where(runs.c.id.in_(wanted[start : start + 1000]))
                found.update((row.id, row.state) for row in connection.execute(query))
        return found

    def unended(self, framework: str, before: float, limit: int) -> list[tuple[str, str, str, str, str]]:
        """Return `(id, service, queue, state, worker)` of runs that have not ended and were not heard of since
        `before`, the oldest first."""
        query = (
            select(runs.c.id, runs.c.service, runs.c.queue, runs.c.state, runs.c.worker)
            .where(
                runs.c.state.in_(("scheduled", "queued", "retrying", "started")),
                runs.c.framework == framework,
                runs.c.updated_at < before,
            )
            .order_by(runs.c.sort_at)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [(row[0], row[1], row[2], row[3], row[4]) for row in connection.execute(query)]

    def stuck(self, run_ids: Collection[str] | None = None) -> dict[str, StuckRun]:
        """Return the stuck runs by id, all or those of `run_ids`."""
        query = select(stuck_runs).limit(_MOST_ROWS)
        if run_ids is not None:
            if not run_ids:
                return {}
            query = query.where(stuck_runs.c.run_id.in_(sorted(run_ids)))
        with self._engine.connect() as connection:
            return {row.run_id: StuckRun(**row._mapping) for row in connection.execute(query)}

    def set_stuck(self, added: Iterable[StuckRun], removed: Collection[str]) -> None:
        """Note who is stuck from now on and who is no longer."""
        rows = [asdict(one) for one in added]
        with self._engine.begin() as connection:
            if rows:
                connection.execute(replace_into(connection, stuck_runs), rows)
            if removed:
                connection.execute(delete(stuck_runs).where(stuck_runs.c.run_id.in_(sorted(removed))))

    def delete_before(self, at: float) -> int:
        """Forget what was found before `at`; return how much."""
        with self._engine.begin() as connection:
            done = connection.execute(delete(run_history).where(run_history.c.at < at)).rowcount
            return done + connection.execute(delete(discrepancies).where(discrepancies.c.at < at)).rowcount
