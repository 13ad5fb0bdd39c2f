"""A store on SQLite and on PostgreSQL, empty and full."""

import random
import uuid
from collections.abc import Callable, Iterator

import pytest

from huoyan.model.event import EventKind, TaskEvent
from huoyan.model.run import Run, RunView, apply, view
from huoyan.server.store import Store
from tests.contract.store.lives import StandingClock, T, life, record
from tests.servers import migrated_sqlite


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> str:
    if request.param == "sqlite":
        return migrated_sqlite(tmp_path / "huoyan.db")
    return request.getfixturevalue("migrated_postgres")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request, tmp_path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'huoyan.db'}"
    return request.getfixturevalue("postgres_database")


@pytest.fixture
def store(url, clock) -> Iterator[Store]:
    opened = Store.open(url, clock)
    yield opened
    opened.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def opened(request, tmp_path_factory) -> Iterator[Callable[[], Store]]:
    """Give a function that opens an empty store for all tests of a module that only read what is filled in once."""
    stores: list[Store] = []
    names: list[str] = []

    def open_one() -> Store:
        if request.param == "sqlite":
            url = migrated_sqlite(tmp_path_factory.mktemp("store") / "huoyan.db")
        else:
            names.append(f"read_{uuid.uuid4().hex[:12]}")
            url = request.getfixturevalue("postgres_server").make_migrated(names[-1])
        stores.append(Store.open(url, StandingClock()))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()
    for name in names:
        request.getfixturevalue("postgres_server").give_back(name)


@pytest.fixture
def crowd(store, clock) -> dict[str, RunView]:
    """Store 400 runs of several services, tasks, queues, workers and states; return what they look like by id."""
    return _fill(store, clock)


@pytest.fixture(scope="module")
def full(opened) -> tuple[Store, dict[str, RunView]]:
    """Give a store with the same, and what they look like by id, to tests that only read."""
    store = opened()
    return store, _fill(store, store.clock)


def _fill(store: Store, clock: StandingClock) -> dict[str, RunView]:
    rng = random.Random(2)
    events: list[TaskEvent] = []
    for number in range(400):
        service = rng.choice(["orders", "mail"])
        ends = [EventKind.SUCCEEDED, EventKind.FAILED, EventKind.REVOKED, None]
        events += life(
            f"run-{number:03}",
            # Several share a time, so that their order needs more than that.
            T - 4000 + rng.randrange(0, 300) * 10,
            rng.choices(ends, [6, 2, 1, 1])[0],
            rng.choice(["w1", "w2", "w3"]),
            service=service,
            task=f"{service}.{rng.choice('abc')}",
            queue=rng.choice(["", "fast", "slow"]),
            framework=rng.choice(["celery", "huey"]),
        )
    record(store, events, clock)
    found: dict[str, Run] = {}
    for event in events:
        found[event.run_id] = apply(found.get(event.run_id), event)
    return {run_id: view(run) for run_id, run in found.items()}
