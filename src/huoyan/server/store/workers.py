"""Workers and processes that execute runs, as far as they were heard of."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, Engine, Row, and_, or_, select

from huoyan.server.store.schema.watched import workers
from huoyan.server.store.upsert import replace_into

WorkerState = Literal["up", "wedged", "down", "closed"]


@dataclass(slots=True)
class Worker:
    """One worker. Times are seconds since 1970 UTC by the server's clock, but `started_at`, which is the worker's own.

    Attributes:
        state: up; wedged: it reports but starts nothing of what waits;
            down: three of its reports are overdue; closed: it said goodbye, or was replaced.
        interval_s: How often it promised to report, in seconds.
        clock_skew_s: How far its clock is ahead of the server's, in seconds; 0 when within 2 s.
        dropped: Events it had to drop so far.
        active: Runs it executes, by its own last report.
        replaced_by: Who does its work since it went without a goodbye, empty for nobody.
    """

    worker: str
    service: str = ""
    framework: str = ""
    host: str = ""
    pid: int = 0
    version: str = ""
    state: WorkerState = "up"
    first_seen_at: float = 0.0
    last_seen_at: float = 0.0
    started_at: float = 0.0
    interval_s: float = 10.0
    active: int = 0
    clock_skew_s: float = 0.0
    dropped: int = 0
    queues: list[str] = field(default_factory=list)
    replaced_by: str = ""


class WorkerStore:
    """The table of workers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def save(self, changed: Iterable[Worker], connection: Connection | None = None) -> None:
        """Write these workers as they are, in place of what is stored of them.

        Args:
            changed: One `Worker` per name.
            connection: A transaction to do it in; default one of its own.
        """
        rows = [asdict(worker) for worker in sorted(changed, key=lambda worker: worker.worker)]
        if not rows:
            return
        if connection is None:
            with self._engine.begin() as own:
                own.execute(replace_into(own, workers), rows)
        else:
            connection.execute(replace_into(connection, workers), rows)

    def list(self) -> list[Worker]:
        """Return every worker, by name."""
        with self._engine.connect() as connection:
            return [_worker(row) for row in connection.execute(select(workers).order_by(workers.c.worker))]

    def get(self, worker: str) -> Worker | None:
        """Return one worker, None when it was never heard of."""
        with self._engine.connect() as connection:
            row = connection.execute(select(workers).where(workers.c.worker == worker)).one_or_none()
        return None if row is None else _worker(row)

    def delete_before(self, closed_before: float, down_before: float) -> int:
        """Forget workers that said goodbye, or are down, and were last seen before these times; return how many."""
        state, seen = workers.c.state, workers.c.last_seen_at
        gone = or_(and_(state == "closed", seen < closed_before), and_(state == "down", seen < down_before))
        with self._engine.begin() as connection:
            return connection.execute(workers.delete().where(gone)).rowcount


def _worker(row: Row[Any]) -> Worker:
    return Worker(**row._mapping)
