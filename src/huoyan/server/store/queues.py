"""What brokers say of their queues, the latest of each."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Engine

from huoyan.model.event import QueueReading


@dataclass(frozen=True, slots=True)
class QueueNow:
    """The latest reading of a queue. `depth` and `oldest_age_s` are None when the broker could not tell."""

    service: str
    queue: str
    depth: int | None
    oldest_age_s: float | None
    read_at: float


class QueueStore:
    """The table of queues. How depth and age went is kept with the rollups, as gauges."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def record(self, readings: Iterable[QueueReading]) -> None:
        """Keep the newest of these and the stored readings for every queue."""
        ...

    def list(self) -> list[QueueNow]:
        """Return every queue ever read, by name. A reading older than a minute says nothing of now: see `read_at`."""
        ...
