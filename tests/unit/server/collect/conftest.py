"""A collector on a file of its own, and a clock that tests set."""

from collections.abc import Iterator

import pytest

from huoyan.server.collect import Collector
from huoyan.server.store import Store
from tests.servers import migrated_sqlite

T = 1_763_673_300.0
"""A whole minute."""


class SettableClock:
    """Time that stands still until a test moves it."""

    def __init__(self, at: float = T) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += seconds


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def store(tmp_path, clock) -> Iterator[Store]:
    opened = Store.open(migrated_sqlite(tmp_path / "huoyan.db"), clock)
    yield opened
    opened.close()


@pytest.fixture
def collector(store, clock) -> Iterator[Collector]:
    made = Collector(store, clock)
    yield made
    made.stop(1.0)
