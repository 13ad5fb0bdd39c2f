"""Opening the store: the engine, the migrations, and one access module per noun."""

from functools import cached_property
from typing import TYPE_CHECKING, Self

from sqlalchemy import Engine

from huoyan.clock import SYSTEM_CLOCK, Clock
from huoyan.server.store.failures import FailureStore
from huoyan.server.store.gaps import GapStore
from huoyan.server.store.queues import QueueStore
from huoyan.server.store.rollups import RollupStore
from huoyan.server.store.runs import RunStore
from huoyan.server.store.source import StoreSource
from huoyan.server.store.workers import WorkerStore

if TYPE_CHECKING:
    from huoyan.server.store.alerts import AlertStore
    from huoyan.server.store.incidents import IncidentStore
    from huoyan.server.store.notifications import NotificationStore


class Store:
    """Everything that is kept, in one database. Safe to use from any thread."""

    engine: Engine
    clock: Clock
    runs: RunStore
    rollups: RollupStore
    failures: FailureStore
    workers: WorkerStore
    queues: QueueStore
    gaps: GapStore

    @classmethod
    def open(cls, url: str, clock: Clock = SYSTEM_CLOCK) -> Self:
        """Connect, bring the tables to the present shape, and return the store.

        Args:
            url: `sqlite:///path/to/file` or `postgresql://user:password@host/name`.
            clock: The time.

        Raises:
            ConfigurationError: The address is of another kind.
            Unreachable: The database does not answer or refuses us.
        """
        ...

    @cached_property
    def alerts(self) -> "AlertStore":
        """The alerts."""
        from huoyan.server.store.alerts import AlertStore

        return AlertStore(self.engine)

    @cached_property
    def incidents(self) -> "IncidentStore":
        """The incidents and their time lines."""
        from huoyan.server.store.incidents import IncidentStore

        return IncidentStore(self.engine)

    @cached_property
    def notifications(self) -> "NotificationStore":
        """The messages to people."""
        from huoyan.server.store.notifications import NotificationStore

        return NotificationStore(self.engine)

    def source(self) -> StoreSource:
        """Return what the signals read, from rollups alone; `Collector.source()` knows the last hour by 5 seconds."""
        ...

    def ping(self) -> None:
        """Ask the database for a sign of life.

        Raises:
            Unreachable: There is none.
        """
        ...

    def close(self) -> None:
        """Release the connections."""
        ...
