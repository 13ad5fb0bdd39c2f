"""What brokers say of their queues, the latest of each."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, select

from huoyan.model.event import QueueReading
from huoyan.server.store.schema.watched import queues
from huoyan.server.store.upsert import insert_into


@dataclass(frozen=True, slots=True)
class QueueNow:
    """The latest reading of a queue. `depth` and `oldest_age_s` are None when the broker could not tell."""

    service: str
    queue: str
    depth: int | None
    oldest_age_s: float | None
    read_at: float


class QueueStore:
    """The table of queues. How depth and age went is kept with the gauges."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def record(self, readings: Iterable[QueueReading], connection: Connection | None = None) -> None:
        """Keep the newest of these and the stored readings for every queue.

        Args:
            readings: Readings in any order.
            connection: A transaction to do it in; default one of its own.
        """
        if connection is None:
            with self._engine.begin() as own:
                self.record(readings, own)
            return
        newest: dict[tuple[str, str], QueueReading] = {}
        for reading in readings:
            key = (reading.service, reading.queue)
            known = newest.get(key)
            if known is None or known.at <= reading.at:
                newest[key] = reading
        if not newest:
            return
        statement = insert_into(connection, queues)
        new = statement.excluded
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["service", "queue"],
                set_={"depth": new.depth, "oldest_age_s": new.oldest_age_s, "read_at": new.read_at},
                where=queues.c.read_at <= new.read_at,
            ),
            [
                {
                    "service": r.service,
                    "queue": r.queue,
                    "depth": r.depth,
                    "oldest_age_s": r.oldest_age_s,
                    "read_at": r.at,
                }
                for _, r in sorted(newest.items())
            ],
        )

    def list(self) -> list[QueueNow]:
        """Return every queue ever read, by name. A reading older than a minute says nothing of now: see `read_at`."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(queues).order_by(queues.c.service, queues.c.queue))
            return [QueueNow(r.service, r.queue, r.depth, r.oldest_age_s, r.read_at) for r in rows]

    def delete_before(self, at: float) -> int:
        """Forget queues that were last read before `at`; return how many."""
        with self._engine.begin() as connection:
            return connection.execute(queues.delete().where(queues.c.read_at < at)).rowcount
