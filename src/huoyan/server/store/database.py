"""Opening the store: the engine, the migrations, and one access module per noun."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from huoyan.clock import SYSTEM_CLOCK, Clock
from huoyan.errors import ConfigurationError, Unreachable
from huoyan.server.store.deploys import DeployStore
from huoyan.server.store.examples import ExampleStore
from huoyan.server.store.failures import FailureStore
from huoyan.server.store.funnels import FunnelStore
from huoyan.server.store.gaps import GapStore
from huoyan.server.store.gauges import GaugeStore
from huoyan.server.store.measured import MeasuredStore
from huoyan.server.store.migrations import migrate
from huoyan.server.store.queues import QueueStore
from huoyan.server.store.rollups import RollupStore
from huoyan.server.store.runs import RunStore
from huoyan.server.store.schedules import ScheduleStore
from huoyan.server.store.search import TextIndex
from huoyan.server.store.source import StoreSource
from huoyan.server.store.truth import TruthStore
from huoyan.server.store.workers import WorkerStore
from huoyan.server.store.workflows import WorkflowStore

if TYPE_CHECKING:
    from huoyan.server.store.alerts import AlertStore
    from huoyan.server.store.incidents import IncidentStore
    from huoyan.server.store.notifications import NotificationStore

_EXPECTED = "sqlite:///path/to/file or postgresql://user:password@host/name"

_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    # A crash of the machine may lose the last moments, never damage the file.
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -32768",
    # Pages that many batches change are copied back to the file once instead of with every batch; 64 MB at most.
    "PRAGMA wal_autocheckpoint = 16384",
    "PRAGMA journal_size_limit = 134217728",
)
_LOCK_TIMEOUT_S = 10.0


class Store:
    """Everything that is kept, in one database. Safe to use from any thread.

    Attributes:
        engine: For the modules of the store alone.
        runs: The runs.
        rollups: Counts and distributions per series and minute.
        gauges: Gauges and the server's own counters per minute.
        measured: What processes measure, per series and minute.
        funnels: Which keys have passed which step.
        failures: The failure groups.
        workers: The workers.
        queues: The latest readings of queues.
        deploys: When services began to run which version.
        gaps: Times in which ingest was cut.
        schedules: What is to run when, and what became of it.
        truth: What was put right about runs, what does not add up, who is stuck.
        texts: The index behind the search for text.
    """

    def __init__(self, engine: Engine, clock: Clock = SYSTEM_CLOCK) -> None:
        """Use `open` instead."""
        self.engine = engine
        self.clock = clock
        self.texts = TextIndex(engine)
        self.runs = RunStore(engine, self.texts, clock)
        self.examples = ExampleStore(engine)
        self.deploys = DeployStore(engine)
        self.workflows = WorkflowStore(engine)
        self.rollups = RollupStore(engine)
        self.gauges = GaugeStore(engine)
        self.measured = MeasuredStore(engine)
        self.funnels = FunnelStore(engine)
        self.failures = FailureStore(engine, clock)
        self.workers = WorkerStore(engine)
        self.queues = QueueStore(engine)
        self.gaps = GapStore(engine)
        self.schedules = ScheduleStore(engine)
        self.truth = TruthStore(engine)

    @classmethod
    def open(cls, url: str, clock: Clock = SYSTEM_CLOCK) -> Self:
        """Connect, bring the tables to the present shape, and return the store.

        Args:
            url: `sqlite:///path/to/file` or `postgresql://user:password@host/name`.
            clock: The time.

        Raises:
            ConfigurationError: The address is of another kind, or the database was written by a later version.
            Unreachable: The database does not answer or refuses us.
        """
        parsed = _checked(url)
        engine = _sqlite(parsed) if parsed.get_backend_name() == "sqlite" else _postgresql(parsed)
        try:
            migrate(engine)
            store = cls(engine, clock)
            store.texts.prepare()
        except DBAPIError as error:
            engine.dispose()
            raise Unreachable(f"database {parsed!r}: expected an answer, got {_reason(error)}") from error
        except BaseException:
            engine.dispose()
            raise
        return store

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
        return StoreSource(self)

    def ping(self) -> None:
        """Ask the database for a sign of life.

        Raises:
            Unreachable: There is none.
        """
        try:
            with self.engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
        except SQLAlchemyError as error:
            raise Unreachable(f"database: expected an answer, got {_reason(error)}") from error

    def close(self) -> None:
        """Release the connections."""
        self.engine.dispose()


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        # The text may hold a password, so it is not repeated.
        raise ConfigurationError("database_url", _EXPECTED, url.split(":", 1)[0], "Is the address quoted?") from None
    kind = parsed.drivername
    if kind == "sqlite" or kind.startswith("sqlite+pysqlite"):
        if parsed.database in {None, "", ":memory:"}:
            raise ConfigurationError("database_url", _EXPECTED, url, "Every connection to :memory: is another database")
        return parsed
    if kind in {"postgresql", "postgres", "postgresql+psycopg"}:
        return parsed.set(drivername="postgresql+psycopg")
    raise ConfigurationError("database_url", _EXPECTED, kind)


def _sqlite(url: URL) -> Engine:
    path = Path(url.database or "")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        # Arguments of tasks are nobody else's business.
        path.touch(mode=0o600)
    engine = create_engine(
        url,
        # Transactions that write say so when they begin: one that reads first and writes later could not wait its turn.
        connect_args={"timeout": _LOCK_TIMEOUT_S, "isolation_level": "IMMEDIATE", "check_same_thread": False},
        pool_size=10,
        max_overflow=40,
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: object) -> None:
        for pragma in _SQLITE_PRAGMAS:
            connection.execute(pragma)

    return engine


def _postgresql(url: URL) -> Engine:
    return create_engine(
        url,
        connect_args={"connect_timeout": 10, "application_name": "huoyan"},
        pool_size=10,
        max_overflow=20,
        pool_pre_ping=True,
    )


def _reason(error: SQLAlchemyError) -> str:
    cause = getattr(error, "orig", None) or error
    return " ".join(str(cause).split())[:300]
