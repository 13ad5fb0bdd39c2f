"""Where everything that the server knows is kept: SQLite by default, PostgreSQL by its address."""

from huoyan.server.store.counts import RunCounts
from huoyan.server.store.database import Store
from huoyan.server.store.failures import FailureGroup, FailureStore
from huoyan.server.store.filters import RunFilters
from huoyan.server.store.gaps import Gap, GapStore
from huoyan.server.store.page import Page
from huoyan.server.store.queues import QueueNow, QueueStore
from huoyan.server.store.rollups import RollupStore
from huoyan.server.store.runs import RunStore
from huoyan.server.store.schedules import KnownSchedule, ScheduleStore
from huoyan.server.store.workers import Worker, WorkerStore

__all__ = [
    "FailureGroup",
    "FailureStore",
    "Gap",
    "GapStore",
    "KnownSchedule",
    "Page",
    "QueueNow",
    "QueueStore",
    "RollupStore",
    "RunCounts",
    "RunFilters",
    "RunStore",
    "ScheduleStore",
    "Store",
    "Worker",
    "WorkerStore",
]
