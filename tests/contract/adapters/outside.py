"""Celery and RQ watched from outside their processes, as `huoyan serve --celery` and `--rq` do: nothing of Huoyan's is
in the worker, and what is known comes from the broker alone.

What is read goes the whole way, through the collector into a store, and the suite looks at what is stored.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from huoyan.client.capabilities import Capability
from huoyan.model.run import view
from huoyan.server.collect import Collector
from huoyan.server.ingest.celery_events import CeleryEventIngest
from huoyan.server.ingest.rq_poll import RqPollIngest
from huoyan.server.store import Store
from huoyan.server.store.runs import RunFilters
from tests.contract.adapters.celery import CeleryAdapter
from tests.contract.adapters.contract import AdapterUnderTest, Function, Seen, new_queue
from tests.contract.adapters.rq import RqAdapter, ThreadTimedWorker
from tests.servers import RedisServer, migrated_sqlite, wait_until

SERVICE = "shop"


class Observer:
    """A collector and its store, for all tests of a module; each asks for what came since it began."""

    def __init__(self, folder: str) -> None:
        self.store = Store.open(migrated_sqlite(Path(folder) / "huoyan.db"))
        self.collector = Collector(self.store)
        self.collector.start()
        self.before: set[str] = set()

    def begin(self) -> None:
        """Leave out what is there already."""
        self.collector.flush()
        self.before = {run.id for run in self._stored()}

    def runs(self) -> Seen:
        """Return what came since, in the order of first mention."""
        self.collector.flush()
        new = [run for run in self._stored() if run.id not in self.before]
        return [(view(run), run) for run in reversed(new)]

    def close(self) -> None:
        """End both."""
        self.collector.stop()
        self.store.close()

    def _stored(self) -> list[Any]:
        return self.store.runs.page(RunFilters(), 10_000).items


@pytest.fixture(scope="module")
def observer() -> Iterator[Observer]:
    """Give the collector of this module."""
    with tempfile.TemporaryDirectory(prefix="huoyan-outside-") as folder:
        observer = Observer(folder)
        yield observer
        observer.close()


@pytest.fixture(scope="module")
def celery_events(observer: Observer, redis_server: RedisServer) -> Iterator[CeleryEventIngest]:
    """Give what listens to the events of the Celery workers on one Redis database."""
    ingest = CeleryEventIngest(redis_server.database_url(51), observer.collector, service=SERVICE)
    ingest.start()
    wait_until(lambda: ingest.status().connected, 15, lambda: f"a connection, got {ingest.status()}")
    yield ingest
    ingest.stop()


class EventStreamAdapter(CeleryAdapter):
    """Celery, whose worker sends events (`-E`) and has no hooks."""

    title = "Celery, event stream"
    partly = frozenset({Capability.ARGUMENTS})
    events = True

    def __init__(self, url: str, queue: str, observer: Observer, ingest: CeleryEventIngest) -> None:
        super().__init__(url, queue)
        self.observer = observer
        self.ingest = ingest
        if observer is not None:
            observer.begin()

    def watch_again(self) -> None: ...

    def unwatch(self) -> None: ...

    def apart(self) -> None:
        self.pool = "prefork"

    def limited(self, step: Function, limit_s: float) -> None:
        super().limited(step, limit_s)
        # The event of the failure is sent after Celery's own signal of it.
        self.backlog.forks = False

    @property
    def worker_name(self) -> str:
        return self.hostname

    def work(self) -> None:
        super().work()
        wait_until(self._heard, 20, lambda: f"the worker to have said goodbye: {self.ingest.status()}")

    def _heard(self) -> bool:
        worker = self.observer.store.workers.get(self.hostname)
        status = self.ingest.status()
        # Its goodbye is the last that it sends, and is handed over before the events that were read with it.
        return worker is not None and worker.state == "closed" and not (status.lag_s or status.backlog_bytes)

    def runs(self) -> Seen:
        return self.observer.runs()


class LookingWorker(ThreadTimedWorker):
    """Lets somebody look at Redis when a job has been started."""

    look: Callable[[], Any]

    def prepare_job_execution(self, *args: Any, **kwargs: Any) -> None:
        super().prepare_job_execution(*args, **kwargs)
        self.look()


class PollingAdapter(RqAdapter):
    """RQ, whose Redis is looked at before each job and after all: as if it took longer than the time between looks."""

    title = "RQ, polling"
    partly = frozenset({Capability.RETRY, Capability.REVOKE})

    def __init__(self, server: RedisServer, queue: str, observer: Observer) -> None:
        super().__init__(server, queue, database=52)
        self.observer = observer
        if observer is not None:
            self.ingest = RqPollIngest(server.database_url(52), observer.collector, service=SERVICE)
            self.connection.flushdb()
            observer.begin()

    def watch_again(self) -> None: ...

    def unwatch(self) -> None: ...

    def apart(self) -> None:
        # Looks are taken in this process.
        pass

    @property
    def worker_name(self) -> str:
        return f"worker-of-{self.queue.name}"

    def worker(self) -> Any:
        worker = LookingWorker([self.queue], connection=self.connection, name=self.worker_name)
        worker.look = self.look
        return worker

    def look(self) -> None:
        """Look at Redis once."""
        self.ingest.run_once()

    def work(self) -> None:
        self.look()
        super().work()
        self.look()

    def runs(self) -> Seen:
        return self.observer.runs()

    def close(self) -> None:
        super().close()
        self.ingest.stop()


ADAPTERS: dict[str, Callable[[pytest.FixtureRequest], AdapterUnderTest]] = {
    "celery-events": lambda request: EventStreamAdapter(
        request.getfixturevalue("redis_server").database_url(51),
        new_queue(request),
        request.getfixturevalue("observer"),
        request.getfixturevalue("celery_events"),
    ),
    "rq-polling": lambda request: PollingAdapter(
        request.getfixturevalue("redis_server"), new_queue(request), request.getfixturevalue("observer")
    ),
}
"""How to make them."""
